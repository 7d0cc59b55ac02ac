"""Picture files as they lie on disk: what is decoded, what is left out, and that no file is decoded twice."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from mixbench.config import validate
from mixbench.core import pictures
from mixbench.core.errors import UserError
from mixbench.data import load
from mixbench.data.sources import load as load_module
from mixbench.data.sources.pictures import decoding, reading
from mixbench.data.sources.pictures import table as table_module
from mixbench.data.sources.pictures.decoding import Broken, decode
from mixbench.data.sources.pictures.reading import Settings

RED, GREEN, BLUE, WHITE = (200, 30, 40), (20, 180, 60), (10, 60, 220), (255, 255, 255)


def corners(mode="RGB"):
    """A picture of 32x32 pixels whose quarters are red, green, blue and white, from top left in reading order."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16, :16], pixels[:16, 16:], pixels[16:, :16], pixels[16:, 16:] = RED, GREEN, BLUE, WHITE
    return Image.fromarray(pixels).convert(mode)


def quarters(pixels):
    """The colours in the middles of the quarters."""
    side = len(pixels)
    return [pixels[y, x].tolist() for y in (side // 4, 3 * side // 4) for x in (side // 4, 3 * side // 4)]


def near(found, expected, most=6):
    return np.abs(np.array(found, int) - np.array(expected, int)).max() <= most


def saved(path, picture, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def folder(root, **counts):
    """A folder with a class folder for each name, each with that many different pictures."""
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        for k in range(count):
            noise = rng.integers(0, 256, (12, 12, 3), np.uint8)
            saved(root / name / f"{k}.png", Image.fromarray(noise))
    return root


def read(path, source="folder", say=print, **settings):
    return load(source, "", str(path), say, "test", Settings(**{"size": 8, **settings}))


def refused(path, source="folder", **settings):
    with pytest.raises(UserError) as raised:
        read(path, source, **settings)
    told = str(raised.value)
    assert "\n" not in told
    assert str(path) in told
    return told


# One picture


@pytest.mark.parametrize(
    ("mode", "suffix"), [("RGB", "png"), ("RGB", "webp"), ("CMYK", "jpg"), ("P", "gif"), ("RGB", "tif")]
)
def test_every_kind_of_file_has_the_same_colours(tmp_path, mode, suffix):
    path = saved(tmp_path / f"a.{suffix}", corners(mode), **({"lossless": True} if suffix == "webp" else {}))
    assert near(quarters(decode(path, 16, "crop")), [RED, GREEN, BLUE, WHITE], 12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_as_its_camera_says(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", corners(), exif=exif)
    upright = np.asarray(
        ImageOps.exif_transpose(Image.open(path))
    )  # a second implementation of the turn, by EXIF's table:
    turned = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
        8: np.rot90,
    }[orientation](np.asarray(corners()))
    assert np.array_equal(upright, turned)
    assert near(quarters(decode(path, 32, "crop")), quarters(turned), 0)


def test_levels_of_16_bits_keep_their_brightness(tmp_path):
    levels = np.linspace(0, 65_535, 32 * 32).reshape(32, 32).astype(np.uint16)
    path = saved(tmp_path / "a.png", Image.fromarray(levels))
    pixels = decode(path, 32, "crop")
    assert pixels.shape == (32, 32)
    assert near(pixels, np.rint(levels / 257), 1)


def test_what_is_transparent_is_white(tmp_path):
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., 0], pixels[:8, :, 3] = 255, 255  # the lower half is transparent red
    found = decode(saved(tmp_path / "a.png", Image.fromarray(pixels, "RGBA")), 16, "crop")
    assert found[2, 2].tolist() == [255, 0, 0]
    assert found[13, 2].tolist() == [255, 255, 255]


def test_the_first_picture_of_an_animation(tmp_path):
    path = tmp_path / "a.gif"
    corners().save(path, save_all=True, append_images=[Image.new("RGB", (32, 32))])
    assert near(quarters(decode(path, 16, "crop")), [RED, GREEN, BLUE, WHITE], 12)


def test_crop_keeps_proportions_and_squash_keeps_the_ends(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = RED, GREEN, BLUE
    path = saved(tmp_path / "a.png", Image.fromarray(wide))
    assert near(decode(path, 20, "crop"), np.full((20, 20, 3), GREEN), 0)
    squashed = decode(path, 30, "squash")
    assert near([squashed[15, 4], squashed[15, 15], squashed[15, 26]], [RED, GREEN, BLUE], 2)


def test_a_large_jpeg_is_scaled_like_a_small_one(tmp_path):
    """JPEG's decoder scales by itself, which must not be seen: the reference decodes all pixels."""
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((1600, 1200), Image.Resampling.BICUBIC)
    path = saved(tmp_path / "a.jpg", smooth, quality=95)
    whole = ImageOps.fit(Image.open(path).convert("RGB"), (32, 32), Image.Resampling.BICUBIC)
    assert np.abs(decode(path, 32, "crop").astype(int) - np.asarray(whole).astype(int)).mean() < 2


def claims(width, height):
    """A PNG file of a few bytes that claims to have many pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", claims(30_000, 30_000), claims(2**31 - 1, 2**31 - 1), claims(100, 100)],
    ids=["empty", "text", "bomb", "largest", "truncated"],
)
def test_a_file_that_is_no_picture_is_broken(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Broken) as raised:
        decode(tmp_path / "a.png", 8, "crop")
    assert "\n" not in str(raised.value)


# A folder


def test_class_folders_are_the_labels(tmp_path):
    dataset = read(folder(tmp_path, dog=3, cat=4))
    assert dataset.class_names == ["cat", "dog"]
    assert np.bincount(dataset.train_labels).tolist() == [4, 3]
    assert dataset.train_images.shape == (7, 8, 8, 3)
    for image, label, picture in zip(dataset.train_images, dataset.train_labels, dataset.listing.pictures, strict=True):
        assert np.array_equal(image, decode(picture.file, 8, "crop"))
        assert picture.name.startswith(dataset.class_names[label])
    assert dataset.test_images is None


def test_a_new_picture_leaves_the_order_of_the_others(tmp_path):
    before = [p.name for p in read(folder(tmp_path, dog=9, cat=9)).listing.pictures]
    saved(tmp_path / "dog" / "new.png", corners())
    after = [p.name for p in read(tmp_path).listing.pictures]
    assert [name for name in after if name != "dog/new.png"] == before
    assert sorted(before) != before  # else the end of the list would be one class


@pytest.mark.parametrize(
    ("name", "part"), [("test", "test"), ("Test", "test"), ("val", "val"), ("validation", "val"), ("test-B", "test-B")]
)
def test_folders_of_parts(tmp_path, name, part):
    folder(tmp_path / "train", a=3, b=4)
    folder(tmp_path / name, a=2, b=1)
    dataset = read(tmp_path)
    assert np.bincount(dataset.train_labels).tolist() == [3, 4]
    there = {part: given for part in ("test", "val") if (given := dataset.given(part)) is not None}
    there |= {f"test-{name}": of_set for name, of_set in dataset.test_sets.items()}
    assert list(there) == [part]
    assert np.bincount(there[part].labels).tolist() == [2, 1]
    for image, label in zip(there[part].images, there[part].labels, strict=True):
        files = [tmp_path / name / "ab"[label] / f"{k}.png" for k in range(2 - label)]
        assert any(np.array_equal(image, decode(file, 8, "crop")) for file in files)


def test_folders_of_parts_that_do_not_fit(tmp_path):
    folder(tmp_path / "two" / "train", a=2, b=2)
    folder(tmp_path / "two" / "test-B", a=2)
    folder(tmp_path / "two" / "test_B", b=2)
    told = refused(tmp_path / "two")
    assert "test-B" in told
    assert "test_B" in told
    folder(tmp_path / "class" / "train", a=2, b=2)
    folder(tmp_path / "class" / "test-B", a=2, c=2)
    assert "test-B/c" in refused(tmp_path / "class")


def test_classes_named_train_and_plane_are_classes(tmp_path):
    assert read(folder(tmp_path, train=2, plane=2)).class_names == ["plane", "train"]


def test_grey_pictures_have_one_channel_unless_one_has_colours(tmp_path):
    saved(tmp_path / "a" / "1.png", corners("L"))
    saved(tmp_path / "b" / "1.png", corners("LA"))
    assert read(tmp_path).train_images.shape == (2, 8, 8, 1)
    saved(tmp_path / "b" / "2.png", corners())
    assert read(tmp_path).train_images.shape == (3, 8, 8, 3)


def test_what_is_left_out_is_named_and_the_rest_is_read(tmp_path):
    folder(tmp_path / "in", a=3, b=3)
    outside = saved(tmp_path / "outside.png", corners())
    root = tmp_path / "in"
    (root / "a" / "link.png").symlink_to(outside)
    (root / "a" / "inside.png").symlink_to(root / "a" / "0.png")
    (root / "a" / "more").symlink_to(tmp_path)
    (root / "b" / "broken.png").write_bytes(b"no")
    (root / "b" / "notes.txt").write_text("not a picture")
    (root / "b" / ".hidden.png").write_bytes(b"no")
    (root / "b" / "odd\n<b>name.png").write_bytes(b"no")
    said = []
    dataset = read(root, say=said.append)
    assert len(dataset.train_labels) == 7
    skipped = {name for name, _ in dataset.listing.skipped}
    assert skipped == {"a/link.png", "a/more", "b/broken.png", "b/notes.txt", "b/odd\n<b>name.png"}
    assert "\n" not in "".join(said)


def test_folders_that_are_no_data(tmp_path):
    refused(tmp_path / "nowhere")
    refused(tmp_path)
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file")
    saved(tmp_path / "flat" / "a.png", corners())
    refused(tmp_path / "flat")
    (tmp_path / "empty" / "a").mkdir(parents=True)
    refused(tmp_path / "empty")
    saved(tmp_path / "broken" / "a" / "a.png", corners()).write_bytes(b"no")
    refused(tmp_path / "broken")
    folder(tmp_path / "unseen" / "train", a=2, b=2)
    folder(tmp_path / "unseen" / "test", c=2)
    assert "c" in refused(tmp_path / "unseen")


def test_a_thousand_damaged_pictures_are_left_out(tmp_path):
    """Each is a good file with some bytes changed or lost: it is read or named, and nothing else happens."""
    rng = np.random.default_rng(1)
    folder(tmp_path, a=2, b=2)
    whole = {
        s: saved(tmp_path / f"whole.{s}", corners()).read_bytes() for s in ("png", "jpg", "gif", "webp", "bmp", "tif")
    }
    for file in tmp_path.glob("whole.*"):
        file.unlink()
    for k in range(1000):
        suffix = list(whole)[k % len(whole)]
        content = bytearray(whole[suffix])
        for place in rng.integers(0, len(content), rng.integers(1, 20)):
            content[place] = rng.integers(0, 256)
        (tmp_path / "b" / f"damaged{k}.{suffix}").write_bytes(content[: rng.integers(1, len(content) + 1)])
    dataset = read(tmp_path)
    assert len(dataset.train_labels) + len(dataset.listing.skipped) == 1004
    assert sorted(p.name for p in dataset.listing.pictures if p.name.startswith("a/")) == ["a/0.png", "a/1.png"]


# The cache


def test_pictures_are_decoded_once(tmp_path, monkeypatch):
    root, cache = folder(tmp_path / "in", a=3, b=3), tmp_path / "cache"
    (root / "a" / "broken.png").write_bytes(b"no")
    first = read(root, cache=cache)

    def never(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(reading, "decode", never)
    second = read(root, cache=cache)
    assert second.sha256() == first.sha256()
    assert second.listing == first.listing
    with pytest.raises(AssertionError):
        read(root, cache=cache, fit="squash")
    saved(root / "a" / "0.png", corners())
    with pytest.raises(AssertionError):
        read(root, cache=cache)


def test_a_damaged_or_unwritable_cache_is_no_harm(tmp_path):
    root, cache = folder(tmp_path / "in", a=3, b=3), tmp_path / "cache"
    first = read(root, cache=cache)
    (kept,) = cache.iterdir()
    content = bytearray(kept.read_bytes())
    for place in range(0, len(content), 97):
        changed = content.copy()
        changed[place] ^= 0xFF
        kept.write_bytes(changed)
        assert read(root, cache=cache).sha256() == first.sha256()
    (tmp_path / "file").write_text("")
    assert read(root, cache=tmp_path / "file" / "cache").sha256() == first.sha256()


# A table


def table(path, text):
    path.write_text(text)
    return path


def test_a_table_names_pictures_labels_and_parts(tmp_path):
    folder(tmp_path, x=6)
    lines = [
        "file,Label,split",
        "x/0.png,10,train",
        "x/1.png,9,train",
        "x/2.png,9,Test",
        "x/3.png,10,valid",
        "x/5.png,10,test-site B",
        "x/4.png,9,train",
    ]
    dataset = read(table(tmp_path / "t.csv", "\n".join(lines)), "csv")
    assert dataset.class_names == ["9", "10"]  # in the order of numbers
    assert dataset.train_labels.tolist() == [1, 0, 0]  # in the order of the table
    assert dataset.test_labels.tolist() == [0]
    assert dataset.val_labels.tolist() == [1]
    assert {name: of_set.labels.tolist() for name, of_set in dataset.test_sets.items()} == {"site-B": [1]}
    assert np.array_equal(dataset.test_sets["site-B"].images[0], decode(tmp_path / "x" / "5.png", 8, "crop"))
    assert np.array_equal(dataset.train_images[2], decode(tmp_path / "x" / "4.png", 8, "crop"))


def test_columns_of_other_names_and_tabs(tmp_path):
    folder(tmp_path, x=4)
    text = "\ufeffwhere\twhat\twho\n" + "\n".join(f"x/{k}.png\t{'ab'[k % 2]}\tpatient{k // 2}" for k in range(4))
    columns = {"path": "where", "label": "what", "group": "who"}
    dataset = read(table(tmp_path / "t.tsv", text), "csv", columns=columns)
    assert dataset.groups.tolist() == [0, 0, 1, 1]
    assert "path_column" in refused_columns(tmp_path / "t.tsv")


def refused_columns(path):
    with pytest.raises(UserError) as raised:
        read(path, "csv", columns={"path": "nothing"})
    return str(raised.value)


def test_rows_without_path_label_or_picture_are_left_out(tmp_path):
    folder(tmp_path, x=3)
    text = "path,label\nx/0.png,a\nx/1.png,\n,b\nx/gone.png,b\nx/2.png,b\n"
    dataset = read(table(tmp_path / "t.csv", text), "csv")
    assert dataset.train_labels.tolist() == [0, 1]
    assert len(dataset.listing.skipped) == 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path,label\n",
        "a,b\n1,2\n",
        "path,label,split\nx/0.png,a,later\n",
        "path,label,split\nx/0.png,a,test\n",
        "path,label,split\nx/0.png,a,train\nx/0.png,b,test-B\n",
    ],
)
def test_tables_that_are_no_data(tmp_path, text):
    folder(tmp_path, x=1)
    refused(table(tmp_path / "t.csv", text), "csv")
    refused(tmp_path, "csv")
    refused(tmp_path / "nowhere.csv", "csv")


def test_settings_and_data_sets_name_the_same_things():
    assert validate.FITS == pictures.FITS == (decoding.CROP, pictures.SQUASH)
    assert validate.OF_PICTURES == load_module.OF_PICTURES
    assert tuple(table_module.NAMES) == pictures.COLUMNS
