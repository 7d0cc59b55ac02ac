"""Equivalent data of the methods of a comparison: how many images the baseline needs for their accuracy. No torch."""

from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from mixbench.analysis.correct import Read
from mixbench.analysis.gains import compare_experiments
from mixbench.analysis.setting import Experiment, Setting
from mixbench.stats import Comparison, Gain, Runs, summarise
from mixbench.stats.equivalents import Equivalent, equivalent_data

# Keys that may differ along one curve of accuracy against n: a protocol can choose the steps from n.
KEYS_ALONG_CURVE = ("n", "train.steps", "train.eval_every", "train.warmup")
FEW_CHAINS = 16  # of Gibbs samplers: these intervals are read off a curve


def find_equivalents(settings: Sequence[Setting], frame: pd.DataFrame, of_setting: Sequence[str], read: Read) -> None:
    """Set the equivalent data of every method.

    Settings that differ only in n share one curve of the baseline. Keys that a protocol chooses from n may differ too,
    if each n then has only one setting.

    settings: all settings of a comparison, with their gains.
    frame: the runs that the experiments' places refer to.
    of_setting: keys that distinguish settings.
    read: reads which images a run classifies correctly.
    """
    rest = [key for key in of_setting if key not in KEYS_ALONG_CURVE]
    exact = [key for key in of_setting if key != "n"]
    curves: dict[tuple, list[Setting]] = {}
    for setting in settings:
        curves.setdefault(_values(setting, frame, rest), []).append(setting)
    for alike in list(curves.values()):
        if len({setting.n for setting in alike}) < len(alike):
            for setting in alike:
                curves.setdefault(("exact", *_values(setting, frame, exact)), []).append(setting)
            curves.pop(_values(alike[0], frame, rest))
    for alike in curves.values():
        with_baseline = [setting for setting in alike if setting.baseline]
        if len(with_baseline) > 1:
            for setting in alike:
                _set_equivalents(setting, with_baseline, frame, read)


def _set_equivalents(setting: Setting, curve: Sequence[Setting], frame: pd.DataFrame, read: Read) -> None:
    """Set the equivalent data of a setting's methods.

    Only subsets count that have runs of the method and of the baseline at every n; if there are none, all do.

    setting: the setting of the methods.
    curve: settings with the baseline's accuracy at each n.
    """
    baselines = {of.n: of.baseline for of in curve if of.baseline}
    subsets = [{subset for subset, _ in baseline.runs} for baseline in baselines.values()]
    found = {
        n: {m.name: gain for m, gain in setting.gains}
        if baseline is setting.baseline
        else _gains_by_name(compare_experiments(baseline, setting.methods, frame, read, FEW_CHAINS), setting.methods)
        for n, baseline in baselines.items()
    }
    for method in setting.methods:
        common = set.intersection({subset for subset, _ in method.runs}, *subsets)
        means = {n: _mean(baseline.runs, common) for n, baseline in baselines.items()}
        errors = {n: gain.error if (gain := of_n.get(method.name)) else None for n, of_n in found.items()}
        if any(of.race for of in curve):  # the intervals at single n are those of a fixed number of runs
            errors = dict.fromkeys(errors)
        method.equivalent = equivalent_data(_mean(method.runs, common), means, errors)
        if method.equivalent and method.gain and _contradicts(method.equivalent, setting.n, method.gain):
            method.equivalent = None


def _gains_by_name(comparison: Comparison, methods: Sequence[Experiment]) -> dict[str, Gain]:
    pairs = zip(methods, comparison.gains, strict=True)
    return {method.name: gain for method, gain in pairs if gain}


def _mean(runs: Runs, subsets: Collection[Any]) -> float:
    """Return the mean accuracy over subsets, or over all if none is given."""
    return summarise({key: value for key, value in runs.items() if not subsets or key[0] in subsets}).mean


def _contradicts(equivalent: Equivalent, n: int, gain: Gain) -> bool:
    """Whether a gain is equivalent to fewer than n images, or a loss to more.

    This happens if the baseline's accuracy falls somewhere as n grows. The curve is monotone and then differs from the
    mean accuracy at n.
    """
    return (equivalent.images - n) * gain.mean < 0


def _values(setting: Setting, frame: pd.DataFrame, keys: Sequence[str]) -> tuple[Any, ...]:
    row = frame.iloc[setting.experiments[0].places[0]]
    return tuple(str(row[key]) for key in keys)
