"""Beyond accuracy: what methods do to single classes, to calibration, and what they cost. No torch."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from mixbench.analysis.compare import Experiment, Setting
from mixbench.analysis.report.blocks import Section, Table, Text
from mixbench.analysis.select import Selection
from mixbench.core import files
from mixbench.core.text import duration
from mixbench.runs.machine_load import IDLE_BELOW
from mixbench.runs.store import reading
from mixbench.runs.store.predictions import read_predictions
from mixbench.stats import mean_of
from mixbench.training import metrics

MOST_CLASSES = 20  # columns of a table; of more classes those that are hardest without mixing are shown
CALIBRATION = ("nll", "ece", *metrics.CALIBRATION)


def classes(selection: Selection, settings: Sequence[Setting]) -> list[Section]:
    """Recall of each class, and what each method does to the class that is hardest without mixing."""
    recalls = _per_run(selection, "per_class_accuracy")
    names = _class_names(selection)
    lines, shades, worst, shown, most = [], [], [], None, 0
    for setting in settings:
        of_setting = {e.name: _mean_recall(recalls, e) for e in setting.experiments}
        of_setting = {name: recall for name, recall in of_setting.items() if recall is not None}
        if not of_setting:
            continue
        if shown is None:
            first = next(iter(of_setting.values()))
            shown, most = _hardest(first), len([r for r in first if r is not None])
        for name, recall in of_setting.items():
            kept = [recall[k] if k < len(recall) else None for k in shown]
            lines.append([setting.name, name, *("–" if r is None else f"{r:.1f}" for r in kept)])
            shades.append([None, None, *(None if r is None else r / 100 for r in kept)])
        worst += _worst(setting, of_setting, names)
    if shown is None:
        return []
    told = [_name(names, k) for k in shown]
    some = f" Of all classes the {MOST_CLASSES} hardest without mixing are shown." if len(shown) < most else ""
    blocks = [
        Text(f"Recall: percent of each class's evaluation images that are recognised, mean over the runs.{some}"),
        Table(["setting", "method", *told], lines, left=2, shades=shades),
    ]
    if worst:
        headers = ["setting", "method", "hardest of none", "recall", "against none", "own hardest", "recall"]
        blocks += [
            Text("The class that is hardest without mixing, under each method; and each method's own hardest one."),
            Table(headers, worst, left=3),
        ]
    return [Section("Classes", blocks)]


def _worst(setting: Setting, recalls: dict[str, list], names: Sequence[str] | None) -> list[list[str]]:
    if setting.baseline is None or setting.baseline.name not in recalls:
        return []
    of_none = recalls[setting.baseline.name]
    hardest = _lowest(of_none)
    lines = []
    for name, recall in recalls.items():
        own = _lowest(recall)
        change = recall[hardest] - of_none[hardest]
        told = "" if name == setting.baseline.name else f"{change:+.1f}"
        of_hardest = [_name(names, hardest), f"{recall[hardest]:.1f}", told]
        lines.append([setting.name, name, *of_hardest, _name(names, own), f"{recall[own]:.1f}"])
    return lines


def _lowest(recall: Sequence[float | None]) -> int:
    return min((r, k) for k, r in enumerate(recall) if r is not None)[1]


def _hardest(recall: Sequence[float | None]) -> list[int]:
    """All classes in their order, or those with the lowest recall where there are too many for a table."""
    there = sorted((r, k) for k, r in enumerate(recall) if r is not None)
    return sorted(k for _, k in there[:MOST_CLASSES])


def _mean_recall(recalls: Sequence[Any], experiment: Experiment) -> list[float | None] | None:
    of_runs = [recalls[place] for place in experiment.places if isinstance(recalls[place], list)]
    if not of_runs or len({len(of_run) for of_run in of_runs}) > 1:
        return None
    means = [mean_of(of_class) for of_class in zip(*of_runs, strict=True)]
    return means if any(mean is not None for mean in means) else None


def _class_names(selection: Selection) -> list[str] | None:
    """The names of the classes in the order of their numbers: the command's, else those of the first run's settings."""
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
    """NLL and ECE before and after temperature scaling; of runs older than that, from their predictions."""
    rows = _calibrated(selection)
    lines = []
    for setting, experiment in _each(settings):
        means = {key: mean_of(rows[place].get(key) for place in experiment.places) for key in CALIBRATION}
        if means["nll"] is None:
            continue
        ece = [_number(means[key], lambda v: f"{100 * v:.1f}") for key in ("ece", "unscaled_ece", "scaled_ece")]
        nll = [_number(means[key], lambda v: f"{v:.2f}") for key in ("nll", "unscaled_nll", "scaled_nll")]
        temperature = _number(means["temperature"], lambda v: f"{v:.2f}")
        lines.append([setting.name, experiment.name, nll[0], ece[0], temperature, nll[1], nll[2], ece[1], ece[2]])
    if not lines:
        return []
    meaning = (
        "Negative log-likelihood (nats) and expected calibration error (percent, 15 bins), means over the runs: of all "
        "evaluation images, and of every second one before and after dividing the logits by the temperature that fits "
        "the other half best. Low values are good; a temperature above 1 means an overconfident network."
    )
    headers = ["setting", "method", "NLL", "ECE", "T", "NLL before", "NLL after", "ECE before", "ECE after"]
    if all(line[4] == "–" for line in lines):  # of runs older than that, kept without their predictions
        meaning = (
            "Negative log-likelihood (nats) and expected calibration error (percent, 15 bins) of all evaluation "
            "images, means over the runs. Temperature scaling needs predictions, which are not kept of these runs."
        )
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
    """Steps and memory of each experiment's runs; their times alone where the machine had nothing else to do."""
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
            times = [f"{fmean(seconds[places]):,.0f}", f"{own:,.1f}", _beside(setting, experiment, own, step_ms, idle)]
        on = ", ".join(sorted({str(devices[place]) for place in places}))
        largest = f"{np.max(memory[places]) / 2**30:.1f}"
        lines.append(
            [setting.name, experiment.name, f"{len(places)}", f"{fmean(steps[places]):,.0f}", largest, *times, on]
        )
    headers = ["setting", "method", "runs", "steps", "memory (GiB)", "seconds a run", "ms a step", "against none"]
    told = f"All {len(frame)} runs together took {np.nansum(steps):,.0f} steps."
    if not timed:
        headers, lines = headers[:5], [[*line[:5], line[-1]] for line in lines]
        told += (
            " Times are left out: no method's runs are all known to have had the machine to themselves, and beside "
            "other work a step's time says nothing about the method. scripts/bench methods measures what a method adds."
        )
    else:
        told += (
            f" They computed for {duration(float(np.nansum(seconds)))}, evaluations included. Times are of runs during "
            f"which other processes used at most {100 * IDLE_BELOW:.0f} % of the machine's cores; of others there is a "
            "dash, since they say nothing about the method."
        )
    return Section("Training cost", [Text(told), Table([*headers, "device"], lines, left=2)])


def _beside(setting: Setting, experiment: Experiment, own: float, step_ms: np.ndarray, idle: Sequence[bool]) -> str:
    """How much longer a step takes than the baseline's, where that was measured on an idle machine too."""
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
