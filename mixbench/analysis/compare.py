"""Compares every method with the baseline of its setting: gains, equivalent data and the method to recommend.

A setting is every choice except the method: data, n, subset, augmentation, network, loss and training. No torch.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import cache

import pandas as pd

from mixbench.analysis import raced
from mixbench.analysis.correct import Read, read_or_none
from mixbench.analysis.display import label, order
from mixbench.analysis.equivalents import find_equivalents
from mixbench.analysis.frame import as_objects, identity_keys, is_of_method
from mixbench.analysis.gains import compare_experiments
from mixbench.analysis.setting import Experiment, Setting
from mixbench.config.labels import distinguishing_keys
from mixbench.config.validate import SEEDS
from mixbench.core.baseline import BASELINE
from mixbench.stats import summarise
from mixbench.training.rules import RULES

RACES = "races"  # in the attrs of a frame: whether races in its results folder are about its runs (default: yes)


def compare(
    runs: pd.DataFrame, rule: str, baseline: Collection[str] = (BASELINE,), *, equivalents: bool = True
) -> list[Setting]:
    """Compare every method with the baseline of its setting.

    runs: one row for each run, from analysis.frame.
    rule: name of the accuracy rule, a key of RULES.
    baseline: names of methods; the first one found in a setting is its baseline.
    equivalents: whether the equivalent data of methods are computed, which takes as long as all the rest.
    Returns the settings, smallest n first; methods are in the order of the table.
    """
    if not len(runs):
        return []
    frame = as_objects(runs.reset_index(drop=True))
    keys = identity_keys(frame)
    of_method = [key for key in keys if is_of_method(key)]
    of_setting = [key for key in keys if key not in of_method]
    experiments = frame.drop_duplicates("cell").to_dict("records")
    named_by = ["n", *distinguishing_keys(experiments, ["n"], [key for key in of_setting if key != "n"])]
    first = "variant" if "variant" in frame and bool(frame["variant"].notna().any()) else "method"
    variant_by = distinguishing_keys(experiments, [first], [key for key in of_method if key != first])
    accuracies = frame[RULES[rule].key]
    settings: dict[tuple, list[Experiment]] = {}
    for _, rows in frame.groupby("cell", sort=False):
        row = rows.iloc[0]
        repetitions = zip(*(rows[key] for key in SEEDS[::-1]), accuracies[rows.index], strict=True)
        repeated = {(subset, seed): accuracy for subset, seed, accuracy in repetitions}
        name = _name(row, first, variant_by)
        experiment = Experiment(name, row["method"], rows.index.tolist(), repeated, summarise(repeated))
        settings.setdefault(tuple(str(row[key]) for key in of_setting), []).append(experiment)
    made, read = [], cache(read_or_none)  # a run of the baseline is compared at several n
    races = raced.races_of(frame) if runs.attrs.get(RACES, True) else {}
    for of_one in settings.values():
        row = frame.iloc[of_one[0].places[0]]
        given = [(key, row[key]) for key in named_by if row[key] is not None]
        name = ", ".join(f"{key} = {label(value, 'n' if key == 'n' else None)}" for key, value in given)
        baselines = [experiment for experiment in of_one if experiment.method in baseline]
        methods = sorted(
            (e for e in of_one if e not in baselines[:1]),
            key=lambda e: [order(frame.at[e.places[0], key]) for key in (first, *variant_by)],
        )
        setting = Setting(name, row["n"], baselines[0] if baselines else None, methods)
        if setting.baseline and "per_class_accuracy" in frame:
            setting.baseline_classes = _mean_of_classes(frame["per_class_accuracy"].iloc[setting.baseline.places])
        _compare_with_baseline(setting, frame, rule, races, read)
        made.append(([order(row[key]) for key in named_by], setting))
    if equivalents:
        find_equivalents([setting for _, setting in made], frame, of_setting, read)
    return [setting for _, setting in sorted(made, key=lambda pair: pair[0])]


def _name(row: pd.Series, first: str, keys: Sequence[str]) -> str:
    options = [f"{key.removeprefix('method.')}={label(row[key])}" for key in keys if row[key] is not None]
    return ", ".join([str(row[first] if row[first] is not None else row["method"]), *options])


def _mean_of_classes(accuracies: pd.Series) -> list[float] | None:
    """Return the accuracy for each class, the mean over runs; None if it is not known for every run."""
    of_runs = [[value for value in run if value is not None] for run in accuracies if run]
    if not of_runs or len({len(run) for run in of_runs}) > 1 or len(of_runs) < len(accuracies):
        return None
    return [sum(values) / len(values) for values in zip(*of_runs, strict=True)]


def _compare_with_baseline(
    setting: Setting, frame: pd.DataFrame, rule: str, races: Mapping[str, raced.Stored], read: Read
) -> None:
    if setting.baseline is None:
        return
    stored = races.get(frame.at[setting.baseline.places[0], "cell"])
    if stored is not None:
        raced.set_gains(setting, frame, stored, rule, read)
        return
    comparison = compare_experiments(setting.baseline, setting.methods, frame, read)
    setting.baseline_may_be_best = comparison.baseline_may_be_best
    for method, gain in zip(setting.methods, comparison.gains, strict=True):
        method.gain = gain
