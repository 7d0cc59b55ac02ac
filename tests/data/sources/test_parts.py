"""The parts of a data set: which images a run is evaluated on, and which further test sets it sees."""

import numpy as np
import pytest
from omegaconf import OmegaConf

from mixbench import data
from mixbench.core.errors import UserError
from mixbench.data.sources.parts import name_of_test_set, part_of

RNG = np.random.default_rng(0)
PARTS = {"train": 12, "val": 4, "test": 5, "test_siteB": 6, "test_site_C": 3}


def arrays(**changed):
    made = {f"{part}_images": RNG.integers(0, 256, (count, 8, 8), np.uint8) for part, count in PARTS.items()}
    made |= {f"{part}_labels": np.arange(count) % 3 for part, count in PARTS.items()}
    return {key: value for key, value in (made | changed).items() if value is not None}


def cfg(path, eval_):
    dataset = {"source": "npz", "root": "", "path": str(path), "name": "my", "mean": None, "std": None, "holdout": 0.25}
    dataset |= {"label_noise": 0.0, "classes": None}
    settings = {"n": 6, "subset": "random", "subset_seed": 0, "split_seed": None, "seed": 0, "protect": []}
    return OmegaConf.create(settings | {"eval": eval_, "dataset": dataset})


def split(path, eval_):
    made = cfg(path, eval_)
    return data.split(data.load_for(made, lambda line: None), made)


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("Train", "train"),
        ("validation", "val"),
        ("TEST", "test"),
        ("test-siteB", "test-siteB"),
        ("Test_site B", "test-site-B"),
        ("testing-2", "test-2"),
        ("test-", None),
        ("tester", None),
        ("protest-a", None),
    ],
)
def test_words_that_mean_parts(word, part):
    assert part_of(word) == part
    assert part is None or (name_of_test_set(part) is None) == (part in ("train", "val", "test"))


@pytest.mark.parametrize("eval_", ["test", "val", "stratified", "holdout", "validation"])
def test_a_run_sees_its_evaluation_images_and_the_further_test_sets(tmp_path, eval_):
    """Runs that choose settings see no further test set, and no part but the training list."""
    given = arrays()
    np.savez(tmp_path / "my.npz", **given)
    made = split(tmp_path / "my.npz", eval_)
    if eval_ in ("test", "val"):
        assert np.array_equal(made.eval_images[..., 0], given[f"{eval_}_images"])
        assert np.array_equal(made.eval_labels, given[f"{eval_}_labels"])
    else:
        pool = {image.tobytes() for image in given["train_images"]}
        assert {image.tobytes() for image in made.eval_images} <= pool
    assert {image.tobytes() for image in made.train_images} <= {image.tobytes() for image in given["train_images"]}
    sets = {} if eval_ == "validation" else {"siteB": "test_siteB", "site_C": "test_site_C"}
    assert {name: of_set.labels.tolist() for name, of_set in made.test_sets.items()} == {
        name: given[f"{key}_labels"].tolist() for name, key in sets.items()
    }
    for name, key in sets.items():
        assert np.array_equal(made.test_sets[name].images[..., 0], given[f"{key}_images"])


def test_checksums_of_a_run_do_not_depend_on_further_test_sets(tmp_path):
    """So a test set can be added later: the runs are the same."""
    given = arrays()
    np.savez(tmp_path / "all.npz", **given)
    np.savez(tmp_path / "few.npz", **{key: value for key, value in given.items() if "site" not in key})
    assert split(tmp_path / "all.npz", "test").checksums == split(tmp_path / "few.npz", "test").checksums
    assert split(tmp_path / "all.npz", "test").checksums != split(tmp_path / "all.npz", "val").checksums


@pytest.mark.parametrize(
    ("changed", "eval_", "named"),
    [
        ({"test_images": None, "test_labels": None}, "test", "eval=val"),
        ({"val_images": None}, "val", "eval=test"),
        ({"test_images": None, "val_images": None}, "test", "eval=stratified"),
        ({"test_siteB_labels": None}, "test", "test_siteB_labels"),
        ({"test_siteB_labels": np.arange(6)}, "test", "test_siteB_labels"),
        ({"test_siteB_images": np.zeros((6, 9, 9), np.uint8)}, "stratified", "test_siteB_images"),
        ({"test_siteB_images": np.zeros((5, 8, 8), np.uint8)}, "stratified", "test_siteB_images"),
        ({"train_labels": np.zeros((12, 14), int)}, "stratified", "train_labels"),
    ],
)
def test_archives_that_lack_a_part_or_have_one_that_does_not_fit(tmp_path, changed, eval_, named):
    np.savez(tmp_path / "my.npz", **arrays(**changed))
    with pytest.raises(UserError) as raised:
        split(tmp_path / "my.npz", eval_)
    assert "\n" not in str(raised.value)
    assert named in str(raised.value)


def test_a_digit_has_no_part_for_validation():
    made = cfg("my.npz", "val")
    made.dataset.update({"source": "digits", "path": None, "name": "digits"})
    with pytest.raises(UserError, match="eval=test"):
        data.check(data.load_labels_for(made), made)
