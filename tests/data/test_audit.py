"""The audit of a data set: duplicates against brute force and hand-made copies, and what is said about the rest."""

import io
import itertools
import json

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy import fft

from mixbench.data import Dataset
from mixbench.data.audit import Evaluation, audit, duplicates, precision
from mixbench.data.audit.counted import Counted
from mixbench.data.audit.duplicates import NEAR_BITS, Duplicates, features, find_duplicates, near_pairs
from mixbench.data.audit.findings import from_json
from mixbench.data.sources.load import load
from mixbench.data.sources.pictures.reading import Settings

SIDE = 64


def scenes(count, seed=0, side=160):
    """Pictures with smooth structure, as photographs have, all different."""
    rng = np.random.Generator(np.random.Philox(seed))
    coarse = rng.integers(0, 256, (count, 9, 9, 3), np.uint8)
    return [Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC) for one in coarse]


def decoded(pictures, side=SIDE):
    return np.stack([np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC)) for picture in pictures])


def jpeg(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def test_a_hash_has_the_signs_of_the_lowest_frequencies_about_their_median():
    images = decoded(scenes(20), 40)[..., :1]
    for image, found in zip(images, features(images)[0], strict=True):
        low = fft.dctn(image[..., 0].astype(float), type=2)[:8, :8].ravel()
        expected = int("".join("01"[int(value > np.median(low))] for value in low), 2)
        assert int(found) == expected


def test_hashes_of_small_grey_pictures_are_those_of_imagehash():
    imagehash = pytest.importorskip("imagehash", reason="ImageHash is missing: hashes are not compared with its own")
    images = decoded(scenes(50), 32)[..., 1:2]
    expected = [int(str(imagehash.phash(Image.fromarray(image[..., 0]))), 16) for image in images]
    assert features(images)[0].tolist() == expected


@pytest.mark.parametrize("compared", [7, 100, 2**20])
def test_near_pairs_are_those_of_brute_force(monkeypatch, compared):
    monkeypatch.setattr(duplicates, "COMPARED", compared)
    rng = np.random.Generator(np.random.Philox(1))
    hashes = rng.integers(0, 2**64, 60, np.uint64)
    for k in range(30, 60):  # flip 0 … 14 bits of another one
        flips = sum(1 << int(bit) for bit in rng.choice(64, k % 15, replace=False))
        hashes[k] = hashes[k - 30] ^ np.uint64(flips)
    numbers = hashes.tolist()
    expected = {
        (i, j) for i, j in itertools.combinations(range(60), 2) if (numbers[i] ^ numbers[j]).bit_count() <= NEAR_BITS
    }
    found, complete = near_pairs(hashes)
    assert complete
    assert len(found) == len(expected) > 10
    assert set(map(tuple, found.tolist())) == expected


def test_the_search_ends_where_there_are_too_many_pairs(monkeypatch):
    monkeypatch.setattr(duplicates, "COMPARED", 100)
    monkeypatch.setattr(duplicates, "MOST_NEAR", 50)
    found, complete = near_pairs(np.zeros(100, np.uint64))
    assert not complete
    assert 50 <= len(found) < 100 * 99 / 2
    assert near_pairs(np.zeros(0, np.uint64))[1]


COPIES = {
    "JPEG of quality 90": lambda picture: jpeg(picture, 90),
    "JPEG of quality 50": lambda picture: jpeg(picture, 50),
    "half as large": lambda picture: picture.resize((80, 80), Image.Resampling.BICUBIC),
    "twice as large": lambda picture: picture.resize((320, 320), Image.Resampling.BICUBIC),
    "other shape": lambda picture: picture.resize((160, 120), Image.Resampling.BICUBIC),
    "a little lighter": lambda picture: picture.point(lambda level: min(255, level + 6)),
}
OTHERS = {
    "mirrored": ImageOps.mirror,
    "turned": lambda picture: picture.rotate(90),
    "negative": ImageOps.invert,
    "other colours": lambda picture: Image.merge("RGB", picture.split()[::-1]),
    "a part of it": lambda picture: picture.crop((0, 0, 110, 110)),
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_are_found(how):
    pictures = scenes(40)
    found = find_duplicates(decoded([*pictures, *map(COPIES[how], pictures)]))
    pairs = {(a, b) for a, b in found.near.tolist()}
    for k in range(40):
        one, other = sorted((int(found.same[k]), int(found.same[k + 40])))
        assert one == other or (one, other) in pairs
    assert len(pairs) <= 40  # and nothing else


@pytest.mark.parametrize("how", OTHERS)
def test_what_is_no_copy_is_not_found(how):
    pictures = scenes(40)
    found = find_duplicates(decoded([*pictures, *map(OTHERS[how], pictures)]))
    assert len(set(found.same.tolist())) == 80
    assert not len(found.near)


def test_different_pictures_with_the_same_histogram_are_not_duplicates():
    rng = np.random.Generator(np.random.Philox(2))
    fields = decoded(scenes(1))[0].reshape(8, 8, 8, 8, 3).swapaxes(1, 2).reshape(64, 8, 8, 3)
    shuffled = [fields[rng.permutation(64)].reshape(8, 8, 8, 8, 3).swapaxes(1, 2).reshape(64, 64, 3) for _ in range(50)]
    found = find_duplicates(np.stack(shuffled))
    assert len(set(found.same.tolist())) == 50
    assert not len(found.near)


def test_equal_pixels_are_one_group_whatever_the_number_of_pictures(monkeypatch):
    monkeypatch.setattr(duplicates, "AT_ONCE", 7)
    images = decoded(scenes(20))[np.arange(50) % 20]
    found = find_duplicates(images)
    for i, j in itertools.combinations(range(50), 2):
        assert (found.same[i] == found.same[j]) == np.array_equal(images[i], images[j])
    assert not len(find_duplicates(images, near=False).near)


def test_plain_pictures_are_not_duplicates_of_each_other():
    rng = np.random.Generator(np.random.Philox(3))
    levels = rng.integers(0, 256, 30)
    noisy = np.clip(levels[:, None, None, None] + rng.integers(-3, 4, (30, 32, 32, 1)), 0, 255).astype(np.uint8)
    images = np.concatenate([noisy, np.zeros((5, 32, 32, 1), np.uint8), decoded(scenes(3), 32)[..., :1]])
    found = find_duplicates(images)
    assert found.plain.tolist() == [True] * 35 + [False] * 3
    assert not len(found.near)
    made = audit(Dataset(images, np.arange(38) % 2), Evaluation("stratified", share=0.2))
    assert [one.severity for one in made.findings if one.kind == "plain pictures"] == ["notice"]
    assert not any("duplicates in" in one.kind for one in made.findings)


@pytest.fixture
def made_up():
    """Pictures, their equal and nearly equal ones, labels and parts, all at random."""
    rng = np.random.Generator(np.random.Philox(4))
    same = np.unique(rng.integers(0, 40, 60), return_inverse=True)[1].astype(np.int64)
    groups = same.max() + 1
    near = np.array([pair for pair in itertools.combinations(range(groups), 2) if rng.random() < 0.03])
    plain = np.isin(same, [g for g in range(groups) if g not in near and rng.random() < 0.2])
    labels, test, sides = rng.integers(0, 2, 60), np.arange(60) >= 40, rng.integers(0, 12, 60)
    return Duplicates(same, near, plain), labels, test, sides


def related(found, i, j):
    """How two pictures are related, by the definition: True for equal, False for nearly equal, None for neither."""
    if found.plain[i] or found.plain[j]:
        return None
    if found.same[i] == found.same[j]:
        return True
    pairs = {frozenset(pair) for pair in found.near.tolist()}
    return False if frozenset((int(found.same[i]), int(found.same[j]))) in pairs else None


def test_duplicates_are_counted_as_by_brute_force(made_up):
    found, labels, test, _ = made_up
    counted = Counted(found, labels, test)
    both = {t for t in range(40, 60) if any(related(found, t, i) is not None for i in range(40))}
    assert {one for one, *_ in counted.in_both()} == both
    for part, start, end in ((False, 0, 40), (True, 40, 60)):
        repeated = {j for j in range(start, end) if any(related(found, i, j) is not None for i in range(start, j))}
        assert {one for one, *_ in counted.within(test=part)} == repeated
    contradicting = {
        j for j in range(60) if any(labels[i] != labels[j] and related(found, i, j) is not None for i in range(j))
    }
    assert {one for one, *_ in counted.other_label()} == contradicting
    for pairs in (counted.in_both(), counted.within(False), counted.within(True), counted.other_label()):
        assert pairs
        assert all(related(found, one, other) is exact for one, other, exact in pairs)
    assert all(labels[one] != labels[other] for one, other, _ in counted.other_label())


@pytest.mark.parametrize("grouped", [False, True])
def test_the_expected_number_of_split_duplicates_is_that_of_many_splits(made_up, grouped):
    found, labels, _, groups = made_up
    share, rng, rounds = 0.3, np.random.Generator(np.random.Philox(5)), 4000
    alike = np.array([[i != j and related(found, i, j) is not None for j in range(60)] for i in range(60)])
    if grouped:  # whole groups are held out, so pictures of one group are never on two sides
        held = (rng.random((rounds, 12)) < share)[:, groups]
        groups_of = groups
    else:
        held, groups_of = rng.random((rounds, 60)) < share, None
    split = (held & ((~held).astype(int) @ alike.T.astype(int) > 0)).sum(axis=1)
    expected = Counted(found, labels, np.zeros(60, bool), groups_of).expected_split(share)
    assert expected == pytest.approx(split.mean(), abs=4 * split.std() / rounds**0.5)


def data(train, labels, test=None, test_labels=None, **more):
    return Dataset(train, np.asarray(labels), test, None if test_labels is None else np.asarray(test_labels), **more)


def kinds(made):
    return {one.kind: one.severity for one in made.findings}


def test_pictures_in_training_and_test_are_the_first_problem(numbers):
    images = decoded(scenes(60))
    near = decoded([jpeg(picture, 60) for picture in scenes(60)[:3]])
    test = np.concatenate([images[40:], images[5:7], near])
    labels = np.arange(40) % 2
    of_test = np.concatenate([np.arange(20) % 2, [1, 0], [0, 1, 1]])  # the last one contradicts
    made = audit(data(images[:40], labels, test, of_test), Evaluation("test"))
    first = made.findings[0]
    assert (first.kind, first.severity) == ("duplicates across", "problem")
    assert numbers(first.found) == [5, 25, 2, 3]  # test pictures, of, equal, nearly
    assert numbers(first.meaning)[0] == 20.0  # points
    assert first.names[0] == "test_images[20] = train_images[5]"
    assert kinds(made)["labels that contradict"] == "problem"
    assert {pair.exact for pair in made.pairs} == {True, False}
    assert all(Image.open(io.BytesIO(jpeg)).size == (64, 64) for pair in made.pairs for jpeg in pair.thumbnails)


def test_groups_keep_duplicates_together():
    images = decoded(scenes(30))[np.arange(40) % 30]
    labels, groups = np.arange(40) % 30 % 2, np.arange(40) % 30
    drawn = Evaluation("stratified", share=0.25)
    assert kinds(audit(data(images, labels), drawn))["duplicates in training"] == "problem"
    assert kinds(audit(data(images, labels, groups=groups), drawn))["duplicates in training"] == "notice"
    held = Evaluation("holdout", held=np.arange(30, 40))
    assert kinds(audit(data(images, labels), held))["duplicates across"] == "problem"


@pytest.mark.parametrize(
    ("labels", "of_test", "kind", "severity"),
    [
        ([0] * 30, [0] * 10, "one class", "problem"),
        ([0, 1, 2] * 10, [0, 1] * 5, "classes missing", "problem"),
        ([0, 1, 3] * 10, [0, 1, 3, 0, 1, 3, 0, 1, 3, 0], "classes missing", "problem"),
        ([0] * 28 + [1] * 2, [0, 1] * 5, "uneven classes", "notice"),
    ],
)
def test_classes(labels, of_test, kind, severity):
    images = decoded(scenes(40), 16)
    made = audit(data(images[:30], labels, images[30:], of_test), Evaluation("test"))
    assert kinds(made)[kind] == severity
    good = audit(data(images[:30], [0, 1, 2] * 10, images[30:], [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]), Evaluation("test"))
    assert kind not in kinds(good)
    assert kinds(good)["duplicates"] == kinds(good)["classes"] == "fact"


def test_the_deviation_of_a_difference_is_that_of_simulated_test_sets():
    rng = np.random.Generator(np.random.Philox(6))
    differences = 100 * (rng.binomial(300, 0.7, 20_000) - rng.binomial(300, 0.7, 20_000)) / 300
    assert precision.difference_sd(300, 1.0) == pytest.approx(differences.std(), rel=0.03)
    needed = precision.images_needed()
    assert precision.SEEN * precision.difference_sd(needed, precision.MANY_RUNS) <= precision.WANTED
    assert precision.SEEN * precision.difference_sd(needed - 1, precision.MANY_RUNS) > precision.WANTED


def test_too_few_test_pictures_are_a_problem():
    rng = np.random.Generator(np.random.Philox(7))
    images = rng.integers(0, 256, (1000, 8, 8, 1), np.uint8)
    needed = precision.images_needed()
    for count, severity in ((needed - 1, "problem"), (needed, "fact")):
        dataset = data(images[:300], np.arange(300) % 2, images[300 : 300 + count], np.arange(count) % 2)
        assert kinds(audit(dataset, Evaluation("test")))["evaluation pictures"] == severity
    assert "evaluation pictures" not in kinds(audit(data(images, np.arange(1000) % 2), Evaluation("validation")))


def folder_of(root, per_class=12):
    for name, seed in (("cat", 0), ("dog", 1)):
        (root / name).mkdir(parents=True)
        for k, picture in enumerate(scenes(per_class, seed)):
            picture.save(root / name / f"{k}.png")
    return root


def of_folder(root, **settings):
    return load("folder", "data", str(root), lambda line: None, settings=Settings(32, **settings))


def test_files_left_out_and_kinds_of_files(tmp_path, numbers):
    root = folder_of(tmp_path / "pictures")
    drawn = Evaluation("stratified", share=0.25)
    clean = kinds(audit(of_folder(root), drawn, "crop"))
    assert set(clean) == {"duplicates", "classes", "evaluation pictures", "sizes"}
    (root / "cat/notes.txt").write_text("no picture")
    (root / "cat/0.png").write_bytes((root / "cat/0.png").read_bytes()[:60])
    for k in range(1, 12):
        Image.open(root / f"cat/{k}.png").convert("L").resize((20, 50)).save(root / f"cat/{k}.png")
    made = audit(of_folder(root), drawn, "crop")
    found = {one.kind: one for one in made.findings}
    assert found["files left out"].severity == "notice"
    assert numbers(found["files left out"].found) == [1, 24, 1]
    assert "0.png" in found["files left out"].names[0]
    assert found["telling files"].severity == "problem"
    telling = " ".join(one.found for one in made.findings if one.kind == "telling files")
    assert "grey" in telling
    assert "smaller" in telling
    assert {"small pictures", "cut pictures"} <= set(found)
    assert "cut pictures" not in kinds(audit(of_folder(root, fit="squash"), drawn, "squash"))


def test_an_audit_comes_back_from_json():
    images = decoded(scenes(10))[np.arange(20) % 10]
    made = audit(data(images, np.arange(20) % 2), Evaluation("stratified", share=0.2))
    text = json.dumps(made.to_json())
    again = from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert again.pairs == made.pairs
    for damaged in ({}, {"findings": [{}]}, {"findings": 3}, json.loads(text) | {"pairs": [{"names": ["a"]}]}):
        with pytest.raises(ValueError, match="not an audit"):
            from_json(damaged)
    broken = json.loads(text)
    broken["pairs"][0]["thumbnails"][0] = '"><script>'
    with pytest.raises(ValueError, match="not an audit"):
        from_json(broken)
