"""Which images runs classify is part of a comparison: published records against arrays made from their files."""

from pathlib import Path

import numpy as np
import pytest

import mixbench as mb
from mixbench import stats
from mixbench.analysis.compare import compare
from mixbench.analysis.correct import correct_by_unit, read_or_none
from mixbench.runs.store.predictions import read_correct

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs():
    found = mb.load_runs(ROOT / "results", study="demo")
    return found[found["n"] == 20]


def test_the_gains_are_those_of_the_arrays(runs):
    (setting,) = compare(runs, "final")
    experiments = setting.experiments
    table = stats.paired_table(setting.baseline.runs, [method.runs for method in setting.methods])
    folders = {(row.method, row.seed): row.folder for row in runs.itertuples()}
    units = [seed for ((_, seed),) in table.keys]
    correct = np.array([[read_correct(folders[e.method, seed]) for e in experiments] for seed in units], float)
    rounding = 100 / correct.shape[-1] / 6**0.5
    expected = stats.compare(table, stats.image_covariance(correct), rounding).gains
    assert [method.gain for method in setting.methods] == expected
    assert setting.images_known
    accuracies = 100 * correct.mean(axis=-1)
    assert accuracies == pytest.approx(table.values, abs=0.25)  # logits are stored with half precision


def test_one_run_that_does_not_store_it_makes_the_images_count_as_given(runs):
    without = runs.assign(folder=[None, *runs["folder"].iloc[1:]])
    (setting,) = compare(without, "final")
    assert not setting.images_known
    assert all(gain.interval for _, gain in setting.gains)


def test_a_unit_has_the_mean_over_its_seeds():
    arrays = {"a": np.array([1, 0, 1, 0], bool), "b": np.array([1, 1, 0, 0], bool), "c": np.array([0, 0, 0, 1], bool)}
    folders = [{(0, 0): "a", (0, 1): "b", (1, 0): "c"}, {(0, 1): "c"}]
    units = [[(0, 0), (0, 1)], [(1, 0)]]
    found = correct_by_unit(folders, units, np.array([[True, True], [True, False]]), arrays.get)
    assert found[0, 0].tolist() == [1.0, 0.5, 0.5, 0.0]
    assert found[0, 1].tolist() == found[1, 0].tolist() == [0, 0, 0, 1]
    assert np.isnan(found[1, 1]).all()
    arrays["c"] = np.zeros(5, bool)  # evaluated on other images
    assert correct_by_unit(folders, units, np.array([[True, True], [True, False]]), arrays.get) is None


def test_a_comparison_reads_each_run_once(runs, monkeypatch):
    """Equivalent data compares the methods at one n with the baseline at all others."""
    every = mb.load_runs(ROOT / "results", study="demo")
    read = []
    monkeypatch.setattr(
        "mixbench.analysis.compare.read_or_none", lambda place: read.append(place) or read_or_none(place)
    )
    compare(every, "final")
    assert len(read) == len(set(map(str, read))) == len(every)
