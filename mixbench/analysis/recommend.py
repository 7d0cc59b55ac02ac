"""A recommendation in words for each setting: the method to use, its gain and the evidence. No torch.

If no method is significantly better than the baseline, it says how many subsets or seeds would be enough.
"""

from collections.abc import Sequence

from mixbench.analysis.compare import Experiment, Setting
from mixbench.analysis.display import baseline_text, display_gain, shown_experiment
from mixbench.core.baseline import BASELINE
from mixbench.stats import ALPHA, Difference, holm, units_needed
from mixbench.stats.equivalents import BELOW, BEYOND, Equivalent

SMALLEST_P = 0.001
SUBSETS_OF_BOOTSTRAP = 10  # with fewer, the bootstrap interval is far too short (docs/statistics.md): tables say so
LISTED = 4  # names in a list before "and 3 others"


def recommend(setting: Setting) -> str:
    """Return the recommendation for a setting, in a few sentences.

    setting: the methods with their gains, from analysis.compare.
    """
    if setting.baseline is None:
        return "No run without mixing (method=none) is among these runs, so gains cannot be computed."
    baseline, best = setting.baseline.shown_name, setting.best
    if best is None and setting.methods:
        return "No mixing method has a run on the same subset and with the same seed as a run of the baseline."
    if best is None:
        return "Only the baseline has runs here. Train a mixing method to compare with it."
    chosen = setting.recommended
    if chosen is not None:
        sentences = [
            f"Use {chosen.shown_name}: {_gain_text(chosen, baseline, len(setting.gains))}.",
            *_equivalent(chosen, baseline),
            *_rivals(chosen),
        ]
    else:
        sentences = [*_undecided(setting, best, baseline), *_worse(setting, baseline)]
    return " ".join([*sentences, *_near_chance(setting)])


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


def _gain_text(method: Experiment, baseline: str, tests: int) -> str:
    """Return the gain of a method with its evidence.

    Such as: +6.5 percentage points over no mixing (95 % interval +5.1 to +8.4 for this method alone, 3 subsets, p =
    0.003 after Holm's correction for all methods). An interval without correction can exclude 0 where p is above 0.05.

    method: a method that was compared with the baseline.
    baseline: name of the baseline.
    tests: number of methods that were compared with the baseline.
    """
    gain, p = _gain(method), method.p_holm
    text, interval = f"{_difference(gain.mean)} {baseline_text(baseline)}", display_gain(gain)
    if interval is None or p is None:
        return f"{text} ({_why_no_interval(gain)})"
    low, high = interval
    p_value = f"p {'<' if p < SMALLEST_P else '='} {p_text(p).removeprefix('<')}"
    if tests > 1:
        alone, corrected = " for this method alone", " after Holm's correction for all methods"
    else:
        alone = corrected = ""
    return f"{text} (95 % interval {signed(low)} to {signed(high)}{alone}, {_units_text(gain)}, {p_value}{corrected})"


def _gain(method: Experiment) -> Difference:
    """Return the gain of a method. Raises ValueError if the method was not compared with a baseline."""
    if method.gain is None:
        raise ValueError(f"{method.name}: has no gain")
    return method.gain


def _difference(mean: float) -> str:
    """Such as `+6.5 percentage points over` or `6.8 percentage points below`."""
    return f"{-mean:.1f} percentage points below" if round(mean, 1) < 0 else f"{signed(mean)} percentage points over"


def signed(value: float) -> str:
    """Format a number with its sign and one decimal; never -0.0.

    value: such as a gain in percentage points.
    """
    return f"{round(value, 1) + 0.0:+.1f}"


def p_text(p: float) -> str:
    """Format a p-value with two significant digits, or three if it is close to 0.05.

    p: p-value, 0 to 1.
    """
    if p < SMALLEST_P:
        return f"<{SMALLEST_P}"
    return f"{p:.3g}" if abs(p - ALPHA) < 0.1 * ALPHA else f"{p:.2g}"


def _units_text(gain: Difference) -> str:
    """Such as `3 subsets` or `3 seeds of one subset`."""
    return f"{gain.units} subsets" if gain.over == "subsets" else f"{gain.units} seeds of one subset"


def _why_no_interval(gain: Difference) -> str:
    if gain.units < 2:
        return "one pair of runs, so there is no interval"
    return f"the same difference for each of the {_units_text(gain)}, so no interval can be computed"


def _equivalent(method: Experiment, baseline: str) -> list[str]:
    """Return the sentence on the images that the baseline needs for the method's accuracy, if that is known."""
    found = method.equivalent
    if found is None:
        return []
    interval = ""
    if found.interval and found.subsets >= SUBSETS_OF_BOOTSTRAP:
        low, high = map(found.text, found.interval)
        interval = f" (bootstrap interval {low} to {high}, {found.subsets} subsets)"
    without = "without mixing" if baseline == BASELINE else f"with {baseline}"
    return [f"To reach the same accuracy {without}, you would need {_images(found)}{interval}."]


def _images(found: Equivalent) -> str:
    if found.images == BEYOND:
        return f"more than {found.largest:,} images, the largest n measured"
    if found.images == BELOW:
        return f"fewer than {found.smallest:,} images, the smallest n measured"
    return f"about {found.images:,.0f} images"


def _rivals(method: Experiment) -> list[str]:
    """Return the sentence on the methods than which the recommended one is not significantly better."""
    # A method with a larger mean can have too large a spread to be significant. It is a rival, whatever its p is.
    corrected = holm([lead.p for lead in method.ahead.values()])
    leads = sorted(zip(method.ahead.items(), corrected, strict=True), key=lambda pair: pair[0][1].mean)
    close = [name for (name, lead), p in leads if p is None or p >= ALPHA or lead.mean <= 0]
    if not close:
        return []
    return [f"It is not significantly better than {_listed(list(map(shown_experiment, close)), 'or')}."]


def _undecided(setting: Setting, best: Experiment, baseline: str) -> list[str]:
    tests, against = len(setting.gains), baseline_text(baseline)
    gain, text = _gain(best), _gain_text(best, baseline, tests)
    if gain.mean <= 0:
        return [
            f"No method is significantly better than {against}.",
            f"The method closest to it is {best.shown_name}: {text}.",
        ]
    return [
        f"No method is significantly better than {against} yet.",
        f"The largest gain is that of {best.shown_name}: {text}.",
        *([] if setting.near_chance else [_needed(gain, tests)]),  # with longer training the gain would be another
    ]


def _needed(gain: Difference, tests: int) -> str:
    """Return the sentence on the number of subsets or seeds that would make a gain significant."""
    if gain.sd is None:
        return "At least 2 runs of each method, better 3 or more, are needed to judge how certain this gain is."
    if gain.p is None:
        return "More runs are needed to see how much the differences vary."
    count = units_needed(gain, tests)
    units = "subsets" if gain.over == "subsets" else "seeds"
    if count is None:
        return f"The gain is so small for its spread that even 1,000 {units} would not be enough to decide."
    count = max(count, gain.units + 1)
    return (
        f"If the gain and its spread stay as they are, about {count:,} {units} in all would make it significant with a "
        "probability of 80 %."
    )


def _worse(setting: Setting, baseline: str) -> list[str]:
    worse = [method.shown_name for method, gain in setting.gains if method.significant and gain.mean < 0]
    return [f"Significantly worse than {baseline_text(baseline)}: {_listed(worse, 'and')}."] if worse else []


def _listed(names: Sequence[str], word: str) -> str:
    """Join names, such as `a, b or c`; of more than five, the first four and the number of others.

    word: `and` or `or`, before the last name.
    A name that has commas itself is separated by semicolons.
    """
    comma = "; " if any("," in name for name in names) else ", "
    if len(names) > LISTED + 1:
        return f"{comma.join(names[:LISTED])} {word} {len(names) - LISTED} others"
    return names[0] if len(names) == 1 else f"{comma.join(names[:-1])} {word} {names[-1]}"
