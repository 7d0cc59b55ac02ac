"""Compares every method with the baseline of its setting: gains, equivalent data and the method to recommend.

A setting is every choice except the method: data, n, subset, augmentation, network, loss and training. No torch.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mixbench.analysis.display import label, order, shown_experiment
from mixbench.analysis.frame import identity_keys
from mixbench.config.labels import distinguishing_keys
from mixbench.config.validate import SEEDS
from mixbench.core.baseline import BASELINE
from mixbench.stats import ALPHA, Difference, Runs, Summary, holm, paired_difference, summarise
from mixbench.stats.equivalents import Equivalent, equivalent_data
from mixbench.training.rules import RULES

# Keys of an identity that belong to the method, besides those with the prefix `method.`. All others are the setting.
METHOD_KEYS = ("method", "protect", "variant")
NEAR_CHANCE = 5.0  # percentage points above chance; below that, a comparison says little about training that works
# Keys that may differ along one curve of accuracy against n: a protocol can choose the steps from n.
KEYS_ALONG_CURVE = ("n", "train.steps", "train.eval_every", "train.warmup")


@dataclass
class Experiment:
    """A method in a setting, with the runs of all subsets and seeds.

    name: the method, and the keys that distinguish it from other experiments of the setting.
    method: name of the method.
    places: positions of its runs in the frame.
    runs: (subset seed, seed) -> accuracy in percent.
    summary: mean, standard deviation and interval of the accuracies.
    gain: difference to the baseline in percentage points; None if no runs could be paired.
    p_holm: p-value of the gain after Holm's correction for the methods of the setting.
    equivalent: number of images with which the baseline reaches the same accuracy.
    ahead: only for the recommended method: name of another method -> lead over it in percentage points.
    """

    name: str
    method: str
    places: list[int]
    runs: Runs
    summary: Summary
    gain: Difference | None = None
    p_holm: float | None = None
    equivalent: Equivalent | None = None
    ahead: dict[str, Difference] = field(default_factory=dict)

    @property
    def shown_name(self) -> str:
        """The name as readers see it, such as `mixup (label-mix), alpha=0.2`."""
        return shown_experiment(self.name)

    @property
    def significant(self) -> bool:
        """Whether the difference to the baseline is statistically significant, better or worse."""
        return self.p_holm is not None and self.p_holm < ALPHA


@dataclass
class Setting:
    """The experiments of one setting.

    name: such as `n = 500`.
    n: number of training images.
    baseline: the baseline's experiment; None if it has no runs.
    methods: the experiments of all other methods.
    baseline_classes: the baseline's accuracy for each class in percent, the mean over its runs; None if not stored.
    """

    name: str
    n: int
    baseline: Experiment | None
    methods: list[Experiment]
    baseline_classes: list[float] | None = None

    @property
    def near_chance(self) -> bool:
        """Whether the baseline is within 5 percentage points of a network that always predicts one class."""
        classes = self.baseline_classes
        return classes is not None and sum(classes) / len(classes) < 100 / len(classes) + NEAR_CHANCE

    @property
    def experiments(self) -> list[Experiment]:
        return [*([self.baseline] if self.baseline else []), *self.methods]

    @property
    def gains(self) -> list[tuple[Experiment, Difference]]:
        """The methods that can be compared with the baseline, each with its gain."""
        return [(method, method.gain) for method in self.methods if method.gain]

    @property
    def best(self) -> Experiment | None:
        """The method with the largest gain over the baseline; None if no method can be compared."""
        return _largest(self.gains)

    @property
    def recommended(self) -> Experiment | None:
        """The method with the largest significant gain; None if there is none."""
        return _largest([(method, gain) for method, gain in self.gains if method.significant and gain.mean > 0])


def _largest(gains: Sequence[tuple[Experiment, Difference]]) -> Experiment | None:
    return max(gains, key=lambda pair: pair[1].mean)[0] if gains else None


def compare(runs: pd.DataFrame, rule: str, baseline: Collection[str] = (BASELINE,)) -> list[Setting]:
    """Compare every method with the baseline of its setting.

    runs: one row for each run, from analysis.frame.
    rule: name of the accuracy rule, a key of RULES.
    baseline: names of methods; the first one found in a setting is its baseline.
    Returns the settings, smallest n first; methods are in the order of the table.
    """
    frame = runs.reset_index(drop=True)
    if not len(frame):
        return []
    frame = frame.astype(object).where(frame.notna(), None)
    keys = identity_keys(frame)
    of_method = [key for key in keys if key in METHOD_KEYS or key.startswith("method.")]
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
    made = []
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
        _compare_with_baseline(setting)
        made.append(([order(row[key]) for key in named_by], setting))
    _find_equivalents([setting for _, setting in made], frame, of_setting)
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


def _compare_with_baseline(setting: Setting) -> None:
    if setting.baseline is None:
        return
    for method in setting.methods:
        method.gain = paired_difference(method.runs, setting.baseline.runs)
    corrected = holm([method.gain.p if method.gain else None for method in setting.methods])
    for method, p in zip(setting.methods, corrected, strict=True):
        method.p_holm = p
    chosen = setting.recommended
    if chosen is not None:
        leads = {m.name: paired_difference(chosen.runs, m.runs) for m in setting.methods if m is not chosen}
        chosen.ahead = {name: lead for name, lead in leads.items() if lead is not None}


def _find_equivalents(settings: Sequence[Setting], frame: pd.DataFrame, of_setting: Sequence[str]) -> None:
    """Set the equivalent data of every method.

    Settings that differ only in n share one curve of the baseline. Keys that a protocol chooses from n may differ too,
    if each n then has only one setting.
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
        baseline: Mapping[int, Runs] = {s.n: s.baseline.runs for s in alike if s.baseline}
        for setting in alike:
            for method in setting.methods:
                method.equivalent = equivalent_data(method.runs, baseline)
                if method.equivalent and method.gain and _contradicts(method.equivalent, setting.n, method.gain):
                    method.equivalent = None


def _contradicts(equivalent: Equivalent, n: int, gain: Difference) -> bool:
    """Whether a gain is equivalent to fewer than n images, or a loss to more.

    This happens if the baseline's accuracy falls somewhere as n grows. The curve is monotone and then differs from the
    mean accuracy at n.
    """
    return (equivalent.images - n) * gain.mean < 0


def _values(setting: Setting, frame: pd.DataFrame, keys: Sequence[str]) -> tuple[Any, ...]:
    row = frame.iloc[setting.experiments[0].places[0]]
    return tuple(str(row[key]) for key in keys)
