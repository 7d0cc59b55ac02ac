"""Archives of images as users bring them: what is refused before it takes memory, and which array is at fault."""

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import processes
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core import memory
from mixbench.core.errors import UserError
from mixbench.data import load


def arrays(**changed):
    rng = np.random.default_rng(0)
    return {
        "train_images": rng.integers(0, 256, (12, 8, 8, 3), np.uint8),
        "train_labels": np.arange(12) % 3,
        "test_images": rng.integers(0, 256, (6, 8, 8, 3), np.uint8),
        "test_labels": np.arange(6) % 3,
    } | changed


def written(path, **changed):
    """An .npz of `arrays` with these changed; None leaves one out."""
    np.savez(path, **{key: value for key, value in arrays(**changed).items() if value is not None})
    return str(path)


def read(path, part="test"):
    def silent(line):
        raise AssertionError(line)

    return load("npz", "nowhere", str(path), silent, part)


def refused(path, part="test"):
    """The one line that the user is told, which names the archive."""
    with pytest.raises(UserError) as raised:
        read(path, part)
    told = str(raised.value)
    assert "\n" not in told
    assert str(path) in told
    return told


def header(shape, dtype="|u1", order=False):
    """The head of an .npy member as NumPy's format 1.0 has it, written by hand."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape!r}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def packed(path, **members):
    """A zip of members of any bytes beside the sound ones of `arrays`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for key, array in arrays().items():
            if key in members:
                file.writestr(f"{key}.npy", members[key])
            else:
                content = io.BytesIO()
                np.save(content, array)
                file.writestr(f"{key}.npy", content.getvalue())
    return str(path)


# Memory


def refused_with_little_memory(path, folder, *words):
    """What `mixbench run` says in a process that can make no array of more than 50 MB.

    So it is seen when memory is taken before anybody asks. In this process earlier tests can have left enough.
    """
    words = ("run", "dataset=npz", f"dataset.path={path}", "n=4", "train.steps=1", "device=cpu", *words)
    ended = processes.call(words, folder, before=processes.limit_memory)
    told = ended.stderr.decode()
    assert ended.returncode == 2, told
    assert told.count("\n") == 1
    assert str(path) in told
    return told


@pytest.mark.parametrize(
    "shape",
    [
        (10**12, 8, 8, 3),
        (10**6, 10**6, 10**6, 3),
        (10**30, 8, 8, 3),
        (13, 8, 8, 3),
        (11, 8, 8, 3),
        (-1, 8, 8, 3),
        (-12, -8, 8, 3),
    ],
)
def test_a_header_that_claims_another_size_than_there_is(tmp_path, shape):
    body = arrays()["train_images"].tobytes()
    told = refused_with_little_memory(packed(tmp_path / "my.npz", train_images=header(shape) + body), tmp_path)
    assert "train_images" in told


def test_labels_that_claim_another_size_than_there_are(tmp_path):
    archive = packed(tmp_path / "my.npz", train_labels=header((10**12,), "<i8") + bytes(96))
    told = refused_with_little_memory(archive, tmp_path)
    assert "train_labels" in told


UNPACKED = 100_000_512  # bytes, a whole number of images


@pytest.fixture(scope="module")
def bomb(tmp_path_factory):
    """Black images, compressed to a thousandth, with a header that is right."""
    path, count = tmp_path_factory.mktemp("bomb") / "my.npz", UNPACKED // 3072
    labels = io.BytesIO()
    np.save(labels, np.arange(count) % 2)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("train_images.npy", header((count, 32, 32, 3)) + bytes(count * 3072))
        file.writestr("train_labels.npy", labels.getvalue())
    assert path.stat().st_size < UNPACKED / 100
    return path


def test_an_archive_that_unpacks_to_more_than_there_is(bomb, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 90_000_000)
    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "read_array", None)  # nothing is unpacked
        told = refused(bomb, None)
    assert "memory" in told
    assert "90.0 MB" in told
    monkeypatch.setattr(memory, "available", lambda: None)  # a system that does not tell
    assert read(bomb, None).train_images.nbytes == UNPACKED // 3072 * 3072


def test_memory_that_is_told_and_not_to_be_had(bomb, tmp_path):
    """Where a limit is in force that nobody tells of."""
    assert "memory" in refused_with_little_memory(bomb, tmp_path, "eval=holdout", "dataset.holdout=4")


def test_a_directory_that_lies_about_the_size(tmp_path):
    """Header and zip directory agree on 8 GB, of which a few kB are there."""
    claimed = (8 * 10**9 // 192, 8, 8, 3)
    path = Path(packed(tmp_path / "my.npz", train_images=header(claimed) + bytes(192)))
    content = bytearray(path.read_bytes())
    size = len(header(claimed)) + claimed[0] * 192
    at = content.find(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", min(size, 2**32 - 2))
    path.write_bytes(content)
    refused(path)


def test_free_memory_is_what_the_system_says():
    free = memory.available()
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert free is None or 0 < free <= total


@pytest.mark.parametrize(
    ("meminfo", "limit", "expected"),
    [
        ("MemTotal: 100 kB\nMemAvailable:  64 kB\n", None, 64 * 1024),
        ("MemTotal: 100 kB\nMemAvailable:  64 kB\n", "max", 64 * 1024),
        ("MemTotal: 100 kB\nMemAvailable:  64 kB\n", "20000", 12_000),  # 10,000 in use, of which 2,000 can be freed
        ("MemTotal: 100 kB\nMemAvailable:  64 kB\n", "9000", 1000),
        ("MemTotal: 100 kB\nMemAvailable:  64 kB\n", "5000", 0),
        ("MemTotal: 100 kB\n", "20000", 12_000),
        ("", "20000", 12_000),
    ],
)
def test_free_memory_of_a_container(tmp_path, monkeypatch, meminfo, limit, expected):
    (tmp_path / "meminfo").write_text(meminfo)
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("10000\n")
        (tmp_path / "memory.stat").write_text("anon 8000\ninactive_file 2000\nactive_file 0\n")
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUPS", ((tmp_path, "memory.max", "memory.current", "inactive_file"),))
    assert memory.available() == expected


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (11 * 10**9, "11.0 GB")]
)
def test_sizes_as_readers_know_them(count, text):
    assert memory.size(count) == text


def test_a_size_beyond_all_units():
    assert memory.size(10**30).endswith(" EB")


# Only what is needed


def test_hold_outs_need_no_test_arrays_and_do_not_read_them(tmp_path):
    path = written(tmp_path / "my.npz", test_images=None, test_labels=None)
    data = read(path, None)
    assert np.array_equal(data.train_images, arrays()["train_images"])
    assert data.test_images is None
    told = refused(path)
    for words in ("test_images", "test_labels", "eval=stratified"):
        assert words in told
    # Those that are there and unusable do not matter either.
    broken = packed(tmp_path / "other.npz", test_images=header((10**15, 8, 8, 3)), test_labels=b"no array")
    assert read(broken, None).sha256() == data.sha256()
    refused(broken)


def test_a_gallery_needs_no_test_arrays(mixbench, tmp_path):
    written("my.npz", test_images=None, test_labels=None)
    assert mixbench("gallery", "dataset=npz", "dataset.path=my.npz", "method=cutmix", "n=8").status == 0


@pytest.mark.parametrize("key", ["train_images", "train_labels"])
def test_training_arrays_are_always_needed(tmp_path, key):
    path = written(tmp_path / "my.npz", **{key: None})
    for part in ("test", None):
        told = refused(path, part)
        for name in ("train_images", "train_labels", "test_images", "test_labels"):  # what it has and what it must have
            assert told.count(name) >= 2
        assert told.index(key) < told.index("test_images"), "the missing array is named first"


def test_a_part_of_cifar10_says_how_to_use_it(tmp_path):
    with pytest.raises(UserError, match="dataset=npz"):
        load("cifar10", "nowhere", written(tmp_path / "my.npz"), print, None)


# Labels


@pytest.mark.parametrize(
    ("train", "test"),
    [([0, 1, 2], [3]), ([1, 2, 3], [0]), ([1, 2, 9], [3]), ([0, 1, -1], [0]), ([0, 1, 100_000], [0])],
    ids=["above", "below", "between", "negative", "too large"],
)
def test_labels_that_no_training_image_has_or_that_are_no_classes(tmp_path, train, test):
    told = refused(written(tmp_path / "my.npz", train_labels=np.repeat(train, 4), test_labels=np.repeat(test, 6)))
    assert "_labels has" in told


# What holds Python objects


def ragged(count=12):
    """Images of different sizes, as numpy.array makes them of a list."""
    images = np.empty(count, dtype=object)
    for i in range(count):
        images[i] = np.zeros((8 + i % 2, 8, 3), np.uint8)
    return images


def test_images_of_different_sizes(tmp_path):
    told = refused(written(tmp_path / "my.npz", train_images=ragged()))
    for words in ("train_images", "size", "[N, H, W, C]", "uint8"):
        assert words in told
    assert "pickle" not in told


def test_labels_that_are_python_objects(tmp_path):
    told = refused(written(tmp_path / "my.npz", test_labels=np.arange(6).astype(object)))
    for words in ("test_labels", "Python objects", "integers"):
        assert words in told


# Places


def test_a_folder_is_called_a_folder(tmp_path):
    (tmp_path / "photos").mkdir()
    told = refused(tmp_path / "photos")
    assert "folder" in told
    assert ".npz" in told
    assert "no such file" not in told


def test_what_is_neither_file_nor_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")  # reading it would wait for ever
    assert "not a file" in refused(tmp_path / "pipe.npz")
    assert "no such file" in refused(tmp_path / "gone.npz")
    assert "no such file" in refused(tmp_path / ("x" * 300 + ".npz"))
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    refused(tmp_path / "loop.npz")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = Path(written(tmp_path / "my.npz"))
    path.chmod(0)
    assert "ermission" in refused(path)


@pytest.mark.parametrize("name", ["my.npz", "my photos.npz", "a,b=c.npz", "größe [1].npz", "x'y\".npz", "a\\b.npz"])
def test_any_path_is_read_and_home_too(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "in here").mkdir()
    expected = read(written(tmp_path / "in here" / name)).sha256("test")
    assert read(f"~/in here/{name}").sha256("test") == expected
    with pytest.raises(UserError, match="no such file"):
        read(f"~nobody-of-that-name/{name}")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("some/where/mine.npz", "mine"),
        ("my photos.npz", "my-photos"),
        ("~/a,b  c.npz", "a-b-c"),
        ("_x.npz", "x"),
        ("größe.npz", "gr-e"),
        ("x.y_z+1-2.npz", "x.y_z+1-2"),
    ],
)
def test_a_data_set_is_named_after_its_file(path, name):
    with Composer() as composer:
        cfg = composer.compose(["dataset=npz"])
        cfg.dataset.path = path
        assert job(cfg).identity["dataset"] == name


def test_a_file_name_without_a_usable_letter_needs_a_name():
    with Composer() as composer:
        cfg = composer.compose(["dataset=npz"])
        cfg.dataset.path = "写真.npz"
        with pytest.raises(UserError, match=r"dataset\.name"):
            job(cfg)


# Anything


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "my.npz"
    np.savez_compressed(path, **arrays())
    return path.read_bytes()


FUZZ = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(path):
    """The checksum of what is read, or None where it is refused in one line; anything else is a failure."""
    try:
        return read(path).sha256("test")
    except UserError as error:
        told = str(error)
    assert "\n" not in told
    return None


@settings(FUZZ, max_examples=200)
@given(data=st.data())
def test_changed_bytes_are_refused_or_change_nothing(data, sound, tmp_path):
    content = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "my.npz"
    path.write_bytes(content)
    # A changed name of a member can leave the arrays as they are; other bytes are seen by the checksums of zip.
    assert outcome(path) in (None, outcome_of(sound, tmp_path))


def outcome_of(content, folder):
    path = folder / "sound.npz"
    path.write_bytes(content)
    return outcome(path)


DTYPES = ["|u1", "<i8", "|O", "|V0", "<U0", "<f8", "|S5", [("a", "<i4")], "(2,)u1", "", "x" * 99, 3, None]
SHAPES = st.lists(st.integers(-3, 10**20), max_size=5).map(tuple) | st.sampled_from(["(12,", None, (True,)])
BROKEN = ["(" * 5000, "{" * 5000, "[" * 150, "-" * 9000, "'" * 3, "1\\\n", "\t{\n  }", "0x", "{1: }", "f'{", "é{"]
HEADERS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=150),
    st.tuples(st.sampled_from(DTYPES), SHAPES, st.sampled_from([True, False, None, "x"])).map(
        lambda x: f"{{'descr': {x[0]!r}, 'fortran_order': {x[2]!r}, 'shape': {x[1]!r}, }}"
    ),
    st.sampled_from(BROKEN),
)


@settings(FUZZ, max_examples=200)
@given(text=HEADERS, version=st.sampled_from([(1, 0), (2, 0), (3, 0), (4, 0), (0, 0)]), rest=st.binary(max_size=30))
def test_any_header_is_refused_in_one_line(text, version, rest, tmp_path):
    encoded = text if isinstance(text, bytes) else text.encode("utf-8")
    length = struct.pack("<H" if version == (1, 0) else "<I", len(encoded))
    member = b"\x93NUMPY" + bytes(version) + length + encoded + rest
    assert outcome(packed(tmp_path / "my.npz", train_images=member)) is None


def test_a_member_of_another_compression(tmp_path):
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "my.npz", "w", compression) as file:
            for key, array in arrays().items():
                content = io.BytesIO()
                np.save(content, array)
                file.writestr(f"{key}.npy", content.getvalue())
        assert len(read(tmp_path / "my.npz").train_images) == 12
    content = bytearray((tmp_path / "my.npz").read_bytes())
    content[content.find(b"PK\x01\x02") + 10] = 99
    (tmp_path / "my.npz").write_bytes(content)
    refused(tmp_path / "my.npz")


def test_a_wrong_checksum_inside(tmp_path):
    path = Path(packed(tmp_path / "my.npz"))
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\x01\x02")
    content[at + 16 : at + 20] = struct.pack("<I", zlib.crc32(b"other"))
    path.write_bytes(content)
    assert "not a readable" in refused(path)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_of_bytes_in_the_file_does_not_matter(tmp_path, order):
    images = np.asarray(arrays()["train_images"], order=order)
    assert np.array_equal(read(written(tmp_path / "my.npz", train_images=images)).train_images, images)
