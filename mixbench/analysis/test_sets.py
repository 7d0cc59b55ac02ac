"""Accuracies and gains on further test sets, such as pictures of another camera or site. No torch.

Each setting is seen once more on each test set, as a setting of its own, so that tables and charts of gains fit it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mixbench.analysis import raced
from mixbench.analysis.frame import TEST_SETS, as_objects
from mixbench.analysis.gains import compare_experiments
from mixbench.analysis.setting import Experiment, Setting
from mixbench.config.validate import SEEDS
from mixbench.runs.store.predictions import from_bits
from mixbench.runs.store.reading import Place
from mixbench.stats import summarise


@dataclass(frozen=True)
class Seen:
    """A setting on the images of one test set.

    name: name of the test set, such as siteB.
    setting: the experiments with their accuracies and gains there.
    images: number of its images; None if it is not known.
    changes: name of an experiment -> mean accuracy there minus that on the setting's own evaluation images, over the
        same runs after their last step, in percentage points.
    without: number of the setting's runs that were not evaluated on it as it is now.
    """

    name: str
    setting: Setting
    images: int | None
    changes: dict[str, float]
    without: int


def on_test_sets(settings: Sequence[Setting], runs: pd.DataFrame) -> list[tuple[Setting, list[Seen]]]:
    """Return the settings whose runs were evaluated on further test sets, with what was found there.

    Where a test set has changed between runs, the version counts that most runs have seen.

    settings: from analysis.compare, of these runs.
    runs: one row for each run, from analysis.frame.
    """
    if TEST_SETS not in runs or not bool(runs[TEST_SETS].notna().any()):
        return []
    frame = as_objects(runs.reset_index(drop=True))
    races = raced.races_of(frame) if any(setting.race for setting in settings) else {}
    found = []
    for setting in settings:
        places = [place for experiment in setting.experiments for place in experiment.places]
        versions = Counter(
            (name, of_set["sha256"]) for place in places for name, of_set in (frame.at[place, TEST_SETS] or {}).items()
        )
        newest = {name: sha256 for (name, sha256), _ in sorted(versions.items(), key=lambda pair: pair[1])}
        seen = [_seen(setting, frame, races, name, newest[name]) for name in sorted(newest)]
        if seen:
            found.append((setting, seen))
    return found


def _seen(setting: Setting, frame: pd.DataFrame, races: Mapping[str, raced.Stored], name: str, sha256: str) -> Seen:
    stored = {
        place: of_set
        for experiment in setting.experiments
        for place in experiment.places
        if (of_set := _of(frame.at[place, TEST_SETS], name, sha256)) is not None
    }
    made = {id(one): _experiment(one, frame, stored) for one in setting.experiments}
    of_methods = [made[id(method)] for method in setting.methods]
    on_set = Setting(
        f"{setting.name}, test set {name}",
        setting.n,
        made[id(setting.baseline)] if setting.baseline else None,
        [method for method in of_methods if method is not None],
    )
    if on_set.baseline is not None:
        _set_gains(setting, on_set, frame, races, stored, name, sha256)
    changes = {
        one.name: float(
            np.mean([stored[place]["accuracy"] - frame.at[place, "final_accuracy"] for place in one.places])
        )
        for one in on_set.experiments
    }
    counts = {of_set.get("images") for of_set in stored.values()}
    number = counts.pop() if len(counts) == 1 else None
    runs = sum(len(experiment.places) for experiment in setting.experiments)
    return Seen(name, on_set, number, changes, runs - len(stored))


def _of(stored: Mapping[str, Any] | None, name: str, sha256: str) -> Mapping[str, Any] | None:
    """Return what a run stored of a test set; None if it has not seen this version of it."""
    of_set = (stored or {}).get(name)
    return of_set if of_set is not None and of_set["sha256"] == sha256 else None


def _experiment(one: Experiment, frame: pd.DataFrame, stored: Mapping[int, Mapping[str, Any]]) -> Experiment | None:
    """Return an experiment with its accuracies on a test set; None if no run has seen it."""
    places = [place for place in one.places if place in stored]
    if not places:
        return None
    keys = zip(*(frame[key].iloc[places] for key in SEEDS[::-1]), strict=True)
    runs = {key: stored[place]["accuracy"] for key, place in zip(keys, places, strict=True)}
    return Experiment(one.name, one.method, places, runs, summarise(runs))


def _set_gains(
    setting: Setting,
    on_set: Setting,
    frame: pd.DataFrame,
    races: Mapping[str, raced.Stored],
    stored: Mapping[int, Mapping[str, Any]],
    name: str,
    sha256: str,
) -> None:
    """Set the gains of the methods on a test set, by the same statistics as those of the setting."""
    baseline = on_set.baseline
    if baseline is None:
        return
    race = races.get(frame.at[baseline.places[0], "cell"])
    if setting.race is not None and race is not None:
        raced.set_gains_on_test_set(on_set, frame, race, setting.race, lambda found: _of(found, name, sha256))
        return
    correct = {frame.at[place, "folder"]: of_set for place, of_set in stored.items()}

    def read(place: Place | None) -> np.ndarray | None:
        return None if place is None else correct_or_none(correct[place])

    comparison = compare_experiments(baseline, on_set.methods, frame, read, same_images=True)
    on_set.baseline_may_be_best = comparison.baseline_may_be_best
    for method, gain in zip(on_set.methods, comparison.gains, strict=True):
        method.gain = gain


def correct_or_none(of_set: Mapping[str, Any]) -> np.ndarray | None:
    """Return which images of a test set a run classifies correctly; None if that is damaged.

    of_set: what the run stored of the test set.
    """
    try:
        return from_bits(of_set)
    except ValueError:
        return None
