"""Sections of the report besides accuracy: single classes, calibration and training cost. No torch."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from mixbench.analysis.evaluated import image_counts
from mixbench.analysis.report.blocks import Section, Table, Text
from mixbench.analysis.select import Selection
from mixbench.analysis.setting import Experiment, Setting
from mixbench.core import files
from mixbench.core.text import duration
from mixbench.runs.machine_load import IDLE_BELOW
from mixbench.runs.store import reading
from mixbench.runs.store.predictions import read_predictions
from mixbench.stats import mean_of
from mixbench.training import metrics

MOST_CLASSES = 20  # most columns of the table; of more classes, the hardest ones without mixing are shown
FEWEST_FITTED = 50  # images; a temperature fitted to fewer is mostly chance
CALIBRATION = ("nll", "ece", *metrics.CALIBRATION)


def classes(selection: Selection, settings: Sequence[Setting]) -> list[Section]:
    """Return the section on the recall of each class, and on the hardest classes; no section if runs have no recall.

    selection: at least one run.
    settings: the selection's settings, from analysis.compare.
    """
    recalls = _per_run(selection, "per_class_accuracy")
    names = _class_names(selection)
    lines, shades, worst, shown, most = [], [], [], None, 0
    for setting in settings:
        of_setting = {e.shown_name: _mean_recall(recalls, e) for e in setting.experiments}
        of_setting = {name: recall for name, recall in of_setting.items() if recall is not None}
        if not of_setting:
            continue
        if shown is None:
            first = next(iter(of_setting.values()))
            shown, most = _hardest(first), len([r for r in first if r is not None])
        for name, recall in of_setting.items():
            selected = [recall[k] if k < len(recall) else None for k in shown]
            lines.append([setting.name, name, *("–" if r is None else f"{r:.1f}" for r in selected)])
            shades.append([None, None, *(None if r is None else r / 100 for r in selected)])
        worst += _worst(setting, of_setting, names)
    if shown is None:
        return []
    recall_note = (
        "Recall is the percentage of a class's evaluation images that are classified correctly (mean of runs)."
    )
    if len(shown) < most:
        recall_note += f" The table shows the {MOST_CLASSES} classes of {most:,} that are hardest without mixing."
    blocks = [
        Text(recall_note),
        Table(["setting", "method", *(_name(names, k) for k in shown)], lines, left=2, shades=shades),
    ]
    if worst:
        headers = ["setting", "method", "hardest class of none", "recall", "change", "own hardest class", "recall"]
        blocks += [
            Text(
                "The class that is hardest without mixing: its recall with each method, and the change in percentage "
                "points. The last columns show the hardest class of each method itself."
            ),
            Table(headers, worst, left=3),
        ]
    return [Section("Classes", blocks)]


def _worst(setting: Setting, recalls: dict[str, list], names: Sequence[str] | None) -> list[list[str]]:
    if setting.baseline is None or setting.baseline.shown_name not in recalls:
        return []
    of_none = recalls[setting.baseline.shown_name]
    hardest = _lowest(of_none)
    lines = []
    for name, recall in recalls.items():
        own = _lowest(recall)
        change = "" if name == setting.baseline.shown_name else f"{recall[hardest] - of_none[hardest]:+.1f}"
        of_hardest = [_name(names, hardest), f"{recall[hardest]:.1f}", change]
        lines.append([setting.name, name, *of_hardest, _name(names, own), f"{recall[own]:.1f}"])
    return lines


def _lowest(recall: Sequence[float | None]) -> int:
    return min((r, k) for k, r in enumerate(recall) if r is not None)[1]


def _hardest(recall: Sequence[float | None]) -> list[int]:
    """Return all classes in order; if there are too many for a table, those with the lowest recall."""
    there = sorted((r, k) for k, r in enumerate(recall) if r is not None)
    return sorted(k for _, k in there[:MOST_CLASSES])


def _mean_recall(recalls: Sequence[Any], experiment: Experiment) -> list[float | None] | None:
    of_runs = [recalls[place] for place in experiment.places if isinstance(recalls[place], list)]
    if not of_runs or len({len(of_run) for of_run in of_runs}) > 1:
        return None
    means = [mean_of(of_class) for of_class in zip(*of_runs, strict=True)]
    return means if any(mean is not None for mean in means) else None


def _class_names(selection: Selection) -> list[str] | None:
    """Return the names of the classes in order: from the command, otherwise from the settings of the first run."""
    if selection.class_names is not None:
        return selection.class_names
    try:
        text = reading.read_text(selection.frame["folder"].iloc[0], "config.yaml", files.LARGEST_YAML)
        names = files.parse_yaml(text)["dataset"].get("classes")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def _name(names: Sequence[str] | None, k: int) -> str:
    return names[k] if names is not None and k < len(names) else f"class {k}"


def calibration(selection: Selection, settings: Sequence[Setting]) -> list[Section]:
    """Return the section on NLL and ECE, before and after temperature scaling; no section if runs have no NLL.

    For runs that were stored before these values existed, they are computed from the predictions.

    selection: at least one run.
    settings: the selection's settings, from analysis.compare.
    """
    rows, counts = _calibrated(selection), image_counts(selection.frame).tolist()
    lines, few = [], False
    for setting, experiment in _each(settings):
        means = {key: mean_of(rows[place].get(key) for place in experiment.places) for key in CALIBRATION}
        if means["nll"] is None:
            continue
        ece = [_number(means[key], lambda v: f"{100 * v:.1f}") for key in ("ece", "unscaled_ece", "scaled_ece")]
        nll = [_number(means[key], lambda v: f"{v:.2f}") for key in ("nll", "unscaled_nll", "scaled_nll")]
        temperature = _number(means["temperature"], lambda v: f"{v:.2f}")
        fitted_on = [-(-counts[place] // 2) for place in experiment.places if counts[place] is not None]
        if means["temperature"] is not None and min(fitted_on, default=FEWEST_FITTED) < FEWEST_FITTED:
            few, temperature = True, "–"
            nll[1:], ece[1:] = ["–"] * 2, ["–"] * 2
        lines.append([setting.name, experiment.shown_name, nll[0], ece[0], temperature, nll[1], nll[2], ece[1], ece[2]])
    if not lines:
        return []
    meaning = (
        "Negative log-likelihood (NLL, in nats) and expected calibration error (ECE, in percent, 15 bins) as means of "
        "the runs; low values are good. NLL and ECE are for all evaluation images. For temperature scaling, the "
        "temperature T is fitted to one half of the images, and NLL and ECE before and after it are for the other "
        "half. A temperature above 1 means that the network is overconfident."
    )
    headers = ["setting", "method", "NLL", "ECE", "T", "NLL before", "NLL after", "ECE before", "ECE after"]
    left_out = f"Temperature scaling is left out where T would be fitted to fewer than {FEWEST_FITTED} images."
    if few:
        meaning += f" {left_out}"
    if all(line[4] == "–" for line in lines):  # few images, or older runs, stored without predictions
        meaning = (
            "Negative log-likelihood (NLL, in nats) and expected calibration error (ECE, in percent, 15 bins) for all "
            "evaluation images, as means of the runs; low values are good. "
        )
        not_kept = "Temperature scaling needs predictions, which were not kept for these runs."
        meaning += left_out if few else not_kept
        headers, lines = headers[:4], [line[:4] for line in lines]
    return [Section("Calibration", [Text(meaning), Table(headers, lines, left=2)])]


def _calibrated(selection: Selection) -> list[dict[str, Any]]:
    there = [key for key in CALIBRATION if key in selection.frame]
    rows = selection.frame.loc[:, there].to_dict("records")
    for row, folder in zip(rows, selection.frame["folder"], strict=True):
        if row.get("temperature") is None or row["temperature"] != row["temperature"]:
            predictions = read_predictions(folder)
            if predictions is not None:
                row.update(metrics.calibration(*predictions))
    return rows


def cost(selection: Selection, settings: Sequence[Setting]) -> Section:
    """Return the section on steps, memory and time. Times need runs that had the machine to themselves.

    selection: at least one run.
    settings: the selection's settings, from analysis.compare.
    """
    frame = selection.frame
    steps, memory = (frame[key].astype(float).to_numpy() for key in ("steps", "peak_memory_bytes"))
    seconds, devices = frame["seconds"].astype(float).to_numpy(), frame["device"].tolist()
    step_ms = 1000 / frame["steps_per_second"].astype(float).to_numpy()
    idle = [load is not None and load <= IDLE_BELOW for load in _per_run(selection, "other_load")]
    lines, timed = [], False
    for setting, experiment in _each(settings):
        places = experiment.places
        times = ["–"] * 3
        if all(idle[place] for place in places):
            timed, own = True, fmean(step_ms[places])
            slower = _against_baseline(setting, experiment, own, step_ms, idle)
            times = [f"{fmean(seconds[places]):,.0f}", f"{own:,.1f}", slower]
        on = ", ".join(sorted({str(devices[place]) for place in places}))
        largest = f"{np.max(memory[places]) / 2**30:.1f}"
        lines.append(
            [setting.name, experiment.shown_name, f"{len(places)}", f"{fmean(steps[places]):,.0f}", largest, *times, on]
        )
    headers = ["setting", "method", "runs", "steps", "memory (GiB)", "seconds per run", "ms per step", "against none"]
    summary = f"All {len(frame):,} runs together took {np.nansum(steps):,.0f} steps."
    if not timed:
        headers, lines = headers[:5], [[*line[:5], line[-1]] for line in lines]
        summary += (
            " Times are not shown, because the runs may have shared the machine with other work. Then the time of a "
            "step says nothing about the method. scripts/bench methods measures how long each method takes."
        )
    else:
        summary += (
            f" Their computing time was {duration(float(np.nansum(seconds)))}, including evaluations. Times are shown "
            "only for methods whose runs had the machine to themselves: other processes used at most "
            f"{100 * IDLE_BELOW:.0f} % of its cores."
        )
    return Section("Training cost", [Text(summary), Table([*headers, "device"], lines, left=2)])


def _against_baseline(
    setting: Setting, experiment: Experiment, own: float, step_ms: np.ndarray, idle: Sequence[bool]
) -> str:
    """Return how much longer a step takes than the baseline's; a dash if that was not measured on an idle machine."""
    baseline = setting.baseline
    if baseline is None or experiment is baseline or not all(idle[place] for place in baseline.places):
        return "–"
    return f"{100 * (own / fmean(step_ms[baseline.places]) - 1):+.0f} %"


def _each(settings: Sequence[Setting]) -> list[tuple[Setting, Experiment]]:
    return [(setting, experiment) for setting in settings for experiment in setting.experiments]


def _per_run(selection: Selection, key: str) -> list[Any]:
    return selection.frame[key].tolist() if key in selection.frame else [None] * len(selection.frame)


def _number(value: float | None, text: Callable[[float], str]) -> str:
    return "–" if value is None else text(value)
