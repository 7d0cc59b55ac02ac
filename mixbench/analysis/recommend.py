"""A verdict for each setting: which method to use, its gain and the evidence. No torch.

If no method is significantly better than the baseline, it says how many subsets or seeds would be enough.
"""

from dataclasses import replace

from mixbench.analysis import raced_verdict
from mixbench.analysis.display import baseline_text, display_gain
from mixbench.analysis.setting import Experiment, Setting
from mixbench.analysis.wording import (
    AVOID,
    MARGIN,
    NOTHING,
    SMALLEST_P,
    UNDECIDED,
    UNKNOWN,
    USE,
    Verdict,
    listed,
    p_text,
    signed,
)
from mixbench.stats import Gain, units_needed
from mixbench.stats.equivalents import BELOW, BEYOND, Equivalent

NOTICEABLE = 0.15  # percentage points between a measured gain and the expected one that are worth a sentence


def recommend(setting: Setting) -> str:
    """Return the verdict on a setting, in a few sentences.

    setting: the methods with their gains, from analysis.compare.
    """
    return verdict(setting).text


def verdict(setting: Setting) -> Verdict:
    """Return the verdict on a setting.

    Use a method that is significantly better than the baseline; of several the one with the largest gain. If
    none is, and no interval reaches beyond 2 percentage points: do not bother. Otherwise it is undecided, unless all
    methods are significantly worse.

    setting: the methods with their gains, from analysis.compare.
    """
    if setting.baseline is None:
        return Verdict(UNKNOWN, f"{UNKNOWN}: no run without mixing (method=none) is among these runs", [])
    baseline, best = baseline_text(setting.baseline.shown_name), setting.best
    if best is None:
        there = "no mixing method has a run on the same subset and with the same seed as a run of the baseline"
        return Verdict(UNKNOWN, f"{UNKNOWN}: {there if setting.methods else 'only the baseline has runs here'}", [])
    if setting.race is not None:
        found = raced_verdict.verdict(setting.race)
        return replace(found, sentences=[*found.sentences, *_near_chance(setting)])
    chosen, tests = setting.recommended, len(setting.gains)
    worse = setting.worse
    ends = [gain.interval[1] for _, gain in setting.gains if gain.interval]
    if chosen is not None:
        gain = _gain(chosen)
        line = f"{USE} {chosen.shown_name}: {_difference(gain.mean)} {baseline}{_evidence(gain, tests)}"
        sentences = [*_expected(gain, tests), *_equivalent(chosen), *_rivals(setting, chosen)]
        word = USE
    elif len(worse) == tests:
        names = listed([method.shown_name for method in worse], "and")
        word, line = AVOID, f"{AVOID} {names}: significantly worse than {baseline}"
        sentences = [f"The closest to {baseline} is {_described(best, baseline, tests)}."]
        worse = []
    elif len(ends) == tests and max(ends) <= MARGIN:
        word, line = NOTHING, f"{NOTHING}: no method gains more than {MARGIN:g} percentage points over {baseline}"
        sentences = [f"The largest gain is that of {_described(best, baseline, tests)}."]
    else:
        word, line, sentences = UNDECIDED, *_undecided(setting, best, baseline)
    if worse:
        names = listed([method.shown_name for method in worse], "and")
        sentences.append(f"Avoid {names}: significantly worse than {baseline}.")
    return Verdict(word, line, [*sentences, *_near_chance(setting)])


def _near_chance(setting: Setting) -> list[str]:
    """Return the sentence on a baseline that has learned almost nothing, so that a comparison with it says little."""
    classes = setting.baseline_classes
    if classes is None or not setting.near_chance:
        return []
    mean, chance = sum(classes) / len(classes), 100 / len(classes)
    return [
        f"The baseline has hardly learned anything: its mean accuracy over classes is {mean:.0f} %, and always "
        f"predicting one class gives {chance:.0f} %. Train for more steps or with more images."
    ]


def _described(method: Experiment, baseline: str, tests: int) -> str:
    """Return a method with its gain, such as `cutmix, +1.2 percentage points over no mixing (95 % interval …)`.

    method: a method that was compared with the baseline.
    baseline: the baseline in words.
    tests: number of methods that were compared with the baseline.
    """
    gain = _gain(method)
    return f"{method.shown_name}, {_difference(gain.mean)} {baseline}{_evidence(gain, tests)}"


def _evidence(gain: Gain, tests: int) -> str:
    """Return the evidence in brackets, such as ` (95 % interval +5.1 to +8.4, 3 subsets, p = 0.003)`."""
    interval, p = display_gain(gain), gain.p
    if interval is None or p is None:
        return f" ({_why_no_interval(gain)})"
    low, high = interval
    p_value = f"p {'<' if p < SMALLEST_P else '='} {p_text(p).removeprefix('<')}"
    together = "both" if tests == 2 else f"all {tests}"
    every = f", for {together} methods together" if tests > 1 else ""
    return f" (95 % interval {signed(low)} to {signed(high)}{every}; {_units_text(gain)}, {p_value})"


def _gain(method: Experiment) -> Gain:
    """Return the gain of a method. Raises ValueError if the method was not compared with a baseline."""
    if method.gain is None:
        raise ValueError(f"{method.name}: has no gain")
    return method.gain


def _difference(mean: float) -> str:
    """Such as `+6.5 percentage points over` or `6.8 percentage points below`."""
    return f"{-mean:.1f} percentage points below" if round(mean, 1) < 0 else f"{signed(mean)} percentage points over"


def _expected(gain: Gain, tests: int) -> list[str]:
    """Return the sentence on the gain to expect, because the largest of several measured gains is too large."""
    if tests < 2 or abs(gain.expected - gain.mean) < NOTICEABLE:
        return []
    return [
        f"Measured again, expect about {signed(gain.expected)}: the largest of {tests} gains is likely to be too large."
    ]


def _units_text(gain: Gain) -> str:
    """Such as `3 subsets` or `3 seeds of one subset`."""
    return (
        f"{gain.units} subset{'s' * (gain.units > 1)}"
        if gain.over == "subsets"
        else f"{gain.units} seeds of one subset"
    )


def _why_no_interval(gain: Gain) -> str:
    if gain.units < 2:
        return "one pair of runs, so there is no interval"
    return f"the same difference for each of the {_units_text(gain)}, so no interval can be computed"


def _equivalent(method: Experiment) -> list[str]:
    """Return the sentence on the images that the baseline needs for the method's accuracy, if that is known."""
    found = method.equivalent
    if found is None:
        return []
    interval = ""
    if found.interval:
        low, high = map(found.text, found.interval)
        interval = f" (95 % interval {low} to {high})"
    return [f"To reach that without it, you would need {_images(found)}{interval}."]


def _images(found: Equivalent) -> str:
    if found.images == BEYOND:
        return f"more than {found.largest:,} images, the largest n measured"
    if found.images == BELOW:
        return f"fewer than {found.smallest:,} images, the smallest n measured"
    return f"about {found.images:,.0f} images"


def _rivals(setting: Setting, chosen: Experiment) -> list[str]:
    """Return the sentence on the methods that may be better than the recommended one."""
    close = [method.shown_name for method in setting.may_be_best if method is not chosen]
    return [f"These may be as good or better: {listed(close, 'and')}."] if close else []


def _undecided(setting: Setting, best: Experiment, baseline: str) -> tuple[str, list[str]]:
    """Return the line and the evidence where no method is significantly better."""
    tests, gain = len(setting.gains), _gain(best)
    close = [baseline_text(method.shown_name) for method in setting.may_be_best]
    between = f" between {listed(close, 'and')}" if len(close) > 1 else ""
    line = f"{UNDECIDED}{between}"
    if gain.mean <= 0:
        return line, [f"The closest to {baseline} is {_described(best, baseline, tests)}."]
    needed = [] if setting.near_chance else _needed(gain, tests)  # with longer training the gain would be another
    return line, [f"The largest gain is that of {_described(best, baseline, tests)}.", *needed]


def _needed(gain: Gain, tests: int) -> list[str]:
    """Return the sentence on what would make a gain significant."""
    if gain.units < 2:
        return ["At least 2 runs of each method, better 3 or more, are needed to judge how certain this gain is."]
    if gain.p is None:
        return ["More runs are needed to see how much the differences vary."]
    units, count = ("subsets" if gain.over == "subsets" else "seeds"), units_needed(gain, tests)
    if (gain.image_share or 0.0) > 0.5:
        return [f"More test images would help more than more {units}."]
    if count is None:
        return [f"The gain is so small for its spread that even 1,000 {units} would not be enough to decide."]
    count = max(count, gain.units + 1)
    return [
        f"If the true gain is about {signed(gain.expected)}, {count:,} {units} in all would show it with a probability "
        "of 80 %."
    ]
