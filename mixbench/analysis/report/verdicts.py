"""The first section of a report: a verdict for each setting, in words that need no statistics. No torch."""

import datetime
from collections.abc import Sequence

import numpy as np

from mixbench.analysis import notes, raced_verdict
from mixbench.analysis.display import baseline_text, display_gain
from mixbench.analysis.recommend import verdict
from mixbench.analysis.report.blocks import Folded, Section, Text, Verdict
from mixbench.analysis.select import Selection
from mixbench.analysis.setting import Experiment, Setting
from mixbench.analysis.wording import AVOID, MARGIN, NOTHING, UNDECIDED, UNKNOWN, USE, listed, signed
from mixbench.core.text import duration
from mixbench.stats import Gain, units_needed

KINDS = {USE: "use", AVOID: "avoid", NOTHING: "nothing", UNDECIDED: "undecided", UNKNOWN: "unknown"}
NOTICEABLE = 1.0  # percentage points between a measured and the expected gain that belong on the first screen
MEANING = (
    "A gain is the mean difference in accuracy, in percentage points, between a method and no mixing on the same "
    "images and with the same seed. All statements on one setting hold together with a probability of 95 %: its "
    "intervals, and which methods may be the best. A gain is statistically significant if its interval excludes "
    "0. If there are several subsets, they are the units of the comparison. If there is only one subset, the "
    "result holds for these images and says nothing about others."
)
OF_RACES = (
    "Where methods were trained in rounds by mixbench decide, the intervals hold after every round, so that training "
    "could stop as soon as the answer was known; they are wider than those of a number of runs that was fixed "
    "beforehand."
)


def verdicts(selection: Selection, settings: Sequence[Setting], command: str = "") -> Section:
    """Return the first section: a verdict for each setting, how to read it, and where it comes from.

    selection: at least one run.
    settings: the selection's settings, from analysis.compare.
    command: the command that makes the report; empty if it was made from Python.
    """
    blocks: list = [Text(text) for text in notes.precisions(selection.frame)]
    blocks += [_verdict(setting, selection) for setting in settings]
    by = f" by {command}" if command else ""
    made = f"Made on {datetime.date.today().isoformat()}{by} from {notes.count(selection.frame)}."
    return Section(
        "What to use",
        [
            *blocks,
            Text(_how_to_read(settings, selection.on)),
            Text(made),
            Folded("What the verdicts rest on", [Text(meaning(settings))]),
        ],
    )


def meaning(settings: Sequence[Setting]) -> str:
    """Return what a gain and its interval mean.

    settings: the settings of a selection, from analysis.compare.
    """
    several = [setting for setting in settings if any(gain.interval for _, gain in setting.gains)]
    text = f"{MEANING} {OF_RACES}" if any(setting.race for setting in settings) else MEANING
    if several and all(setting.images_known for setting in several):
        return f"{text} The choice of test images is part of the uncertainty."
    if several:
        return (
            f"{text} Where it is not stored which test images each run classifies correctly, the intervals hold for "
            "these test images only."
        )
    return text


def _how_to_read(settings: Sequence[Setting], on: str) -> str:
    """Return how to read the verdicts, with the terms that they use."""
    parts = ["n is the number of labelled training images."]
    gains = [gain for setting in settings for _, gain in setting.gains]
    if gains:
        parts.append(f"Points are percentage points of {on} accuracy, compared with training without mixing.")
    if any(gain.interval for gain in gains):
        parts.append("In brackets is the range in which the true gain lies, with 95 % confidence.")
    if any(setting.recommended and setting.recommended.equivalent for setting in settings):
        parts.append(
            "“As good as 500 images” means that training without mixing needs 500 images for the same accuracy."
        )
    return " ".join(parts)


def _verdict(setting: Setting, selection: Selection) -> Verdict:
    found = verdict(setting)
    if setting.race is not None:
        kind, word, line, further = raced_verdict.first_screen(setting.race)
        return Verdict(setting.name, KINDS[kind], word, line, [*further, *_near_chance(setting)], found.text)
    word, line, further = found.word, "", []
    worse = setting.worse
    if found.word == USE and setting.recommended:
        word = f"{USE} {setting.recommended.shown_name}"
        line, further = _use(setting, setting.recommended)
    elif found.word == AVOID:
        word = f"{AVOID} {listed([method.shown_name for method in worse], 'and')}"
        line, worse = _avoid(worse), []
    elif found.word == NOTHING and setting.best:
        line = f"no gain above {MARGIN:g} points; the largest is that of {_measured(setting.best)}"
    elif found.word == UNDECIDED and setting.best:
        line, further = _undecided(setting, setting.best, selection)
    else:
        line = found.line.removeprefix(f"{UNKNOWN}: ")
    if worse:
        further.append(f"Avoid {listed([method.shown_name for method in worse], 'and')}: worse than no mixing.")
    return Verdict(setting.name, KINDS[found.word], word, line, [*further, *_near_chance(setting)], found.text)


def _near_chance(setting: Setting) -> list[str]:
    return ["Careful: without mixing, the network has hardly learned anything here."] if setting.near_chance else []


def _use(setting: Setting, chosen: Experiment) -> tuple[str, list[str]]:
    """Return the line on a recommended method, and what else to know."""
    line, further, gain = _points(chosen), [], chosen.gain
    if chosen.equivalent:
        images = chosen.equivalent.text(chosen.equivalent.images)
        line += f", as good as {images.replace('>', 'more than ').replace('<', 'fewer than ')} images"
    if gain and gain.mean - gain.expected > NOTICEABLE:
        further.append(
            f"Measured again, expect about {signed(gain.expected)}: the best of many looks better than it is."
        )
    rivals = [method.shown_name for method in setting.may_be_best if method is not chosen]
    if rivals:
        further.append(f"Perhaps as good or better: {listed(rivals, 'and')}.")
    return line, further


def _avoid(worse: Sequence[Experiment]) -> str:
    gains = sorted(method.gain.mean for method in worse if method.gain)
    return _points(worse[0]) if len(gains) == 1 else f"{signed(gains[0])} to {signed(gains[-1])} points"


def _undecided(setting: Setting, best: Experiment, selection: Selection) -> tuple[str, list[str]]:
    """Return the line where no method is shown to be better, and what it would cost to know more."""
    gain = best.gain
    if gain is None or gain.mean <= 0:
        return f"no gain so far; the closest is {_measured(best)}", []
    others = [baseline_text(method.shown_name) for method in setting.may_be_best if method is not best]
    between = [f"It may also be {listed(others, 'or')}."] if others else []
    cost = [] if setting.near_chance else [_cost(setting, best, gain, selection)]
    return f"the largest gain is that of {_measured(best)}", [*between, *cost]


def _cost(setting: Setting, best: Experiment, gain: Gain, selection: Selection) -> str:
    """Return what it would cost to know whether a gain is real."""
    units = "subsets" if gain.over == "subsets" else "seeds"
    if gain.units < 2:
        return "To know more: at least two more runs of each method."
    if gain.p is None:
        return f"To know more: a few more {units}, which show how much the gain varies."
    if (gain.image_share or 0.0) > 0.5:
        return f"To know more: more {selection.on} images, rather than more {units}."
    needed = units_needed(gain, len(setting.gains))
    if needed is None:
        return f"More {units} are not worth it: even 1,000 would not show so small a gain."
    more = max(needed, gain.units + 1) - gain.units
    baseline = setting.baseline
    runs = 2 * round(more * gain.pairs / gain.units)
    places = [*best.places, *(baseline.places if baseline else [])]
    seconds = float(np.mean(selection.frame["seconds"].iloc[places].to_numpy(dtype=float)))
    time = f", {duration(runs * seconds)} of computing" if np.isfinite(seconds) else ""
    few = units.removesuffix("s") if more == 1 else units
    return (
        f"To know more: about {more:,} more {few} of {best.shown_name} and of no mixing ({runs:,} runs{time}), if the "
        f"true gain is {signed(gain.expected)}."
    )


def _measured(method: Experiment) -> str:
    return f"{method.shown_name}, {_points(method)}"


def _points(method: Experiment) -> str:
    """Return a gain such as `+4.4 points (2.1 to 6.7)`; ends have signs if one of them is negative."""
    gain = method.gain
    if gain is None:
        raise ValueError(f"{method.name}: has no gain")
    ends = display_gain(gain)
    if ends is None:
        return f"{signed(gain.mean)} points"
    low, high = (f"{end:.1f}" if ends[0] >= 0 else signed(end) for end in ends)
    return f"{signed(gain.mean)} points ({low} to {high})"
