"""A recommendation in words for each setting: which method, its gain and how sure, or what it would take to know.

No torch.
"""

from collections.abc import Sequence

from mixbench.analysis.compare import Experiment, Setting
from mixbench.analysis.display import display_gain, shown_experiment
from mixbench.core.baseline import BASELINE
from mixbench.stats import ALPHA, Difference, holm, units_needed
from mixbench.stats.equivalents import BELOW, BEYOND, Equivalent

SMALLEST_P = 0.001
LISTED = 4  # names, before "and so many others"


def recommend(setting: Setting) -> str:
    """Two or three sentences: what to use in this setting, and how much the runs can say."""
    if setting.baseline is None:
        return "No run without mixing (method=none) is among these: gains cannot be told."
    against, best = setting.baseline.shown_name, setting.best
    if best is None:
        unpaired = " on the same subsets and seeds" * bool(setting.methods)
        return f"No run of a mixing method{unpaired} is among these beside the baseline's."
    chosen = setting.recommended
    if chosen is not None:
        sentences = [
            f"Use {chosen.shown_name}: {gain_text(chosen, against)}.",
            *_worth(chosen, against),
            *_rivals(chosen),
        ]
        return " ".join(sentences)
    return " ".join([_nothing_shown(setting, best, against), *_worse(setting, against)])


def gain_text(method: Experiment, against: str) -> str:
    """Such as +6.5 points over none (95 % interval +5.1 to +8.4 over 3 subsets, p = 0.003 after Holm's correction)."""
    gain, p = _gain(method), method.p_holm
    text, interval = f"{_difference(gain.mean)} {against}", display_gain(gain)
    if interval is None or p is None:
        return f"{text} ({_why_no_interval(gain)})"
    low, high = interval
    told = f"p {'<' if p < SMALLEST_P else '='} {p_text(p).removeprefix('<')}"
    return f"{text} (95 % interval {points(low)} to {points(high)} {over_text(gain)}, {told} after Holm's correction)"


def _gain(method: Experiment) -> Difference:
    """Raises ValueError for a method without one: it was not compared with a baseline."""
    if method.gain is None:
        raise ValueError(f"{method.name}: has no gain")
    return method.gain


def _difference(mean: float) -> str:
    """Such as `+6.5 points over` or `6.8 points below`."""
    return f"{-mean:.1f} points below" if round(mean, 1) < 0 else f"{points(mean)} points over"


def points(value: float) -> str:
    """With its sign and one digit after the point; never -0.0."""
    return f"{round(value, 1) + 0.0:+.1f}"


def p_text(p: float) -> str:
    """Two digits, or three where it nearly is 0.05."""
    if p < SMALLEST_P:
        return f"<{SMALLEST_P}"
    return f"{p:.3g}" if abs(p - ALPHA) < 0.1 * ALPHA else f"{p:.2g}"


def over_text(gain: Difference) -> str:
    return f"over {gain.units} subsets" if gain.over == "subsets" else f"over {gain.units} seeds of this subset only"


def _why_no_interval(gain: Difference) -> str:
    if gain.units < 2:
        return "one pair of runs: no interval can be given"
    return f"the same difference {over_text(gain)}: their spread cannot be judged"


def _worth(method: Experiment, against: str) -> list[str]:
    worth = method.equivalent
    if worth is None:
        return []
    interval = ""
    if worth.interval:
        interval = f" (bootstrap over {worth.subsets} subsets: {' to '.join(map(worth.text, worth.interval))})"
    return [f"Its accuracy is that of {_images(worth)} {_without(against)}{interval}."]


def _without(against: str) -> str:
    return "without mixing" if against == BASELINE else f"with {against}"


def _images(worth: Equivalent) -> str:
    if worth.images == BEYOND:
        return f"more than {worth.largest:,} images"
    return f"fewer than {worth.smallest:,} images" if worth.images == BELOW else f"about {worth.images:,.0f} images"


def _rivals(method: Experiment) -> list[str]:
    """The methods from which the recommended one is not told apart."""
    # One with a larger mean, but too much spread to be shown, is never behind, whatever its p against the chosen one.
    corrected = holm([lead.p for lead in method.ahead.values()])
    leads = sorted(zip(method.ahead.items(), corrected, strict=True), key=lambda pair: pair[0][1].mean)
    close = [name for (name, lead), p in leads if p is None or p >= ALPHA or lead.mean <= 0]
    if not close:
        return []
    return [f"The data do not tell it apart from {_listed(list(map(shown_experiment, close)))}."]


def _nothing_shown(setting: Setting, best: Experiment, against: str) -> str:
    gain, told = _gain(best), gain_text(best, against)
    if gain.mean <= 0:
        return f"No method is significantly better than {against}; the closest is {best.shown_name}, {told}."
    needed = _needed(gain, len(setting.gains))
    return (
        f"No method is significantly better than {against}. The largest gain is of {best.shown_name}, {told}; {needed}."
    )


def _needed(gain: Difference, tests: int) -> str:
    if gain.sd is None:
        return "at least 2 runs of each, better 3 or more, are needed to say how sure that is"
    if gain.p is None:
        return "more runs are needed to see how much they differ"
    count = units_needed(gain, tests)
    units = "subsets" if gain.over == "subsets" else "seeds"
    if count is None:
        return f"at this spread not even 1,000 {units} would decide it"
    count = max(count, gain.units + 1)
    return f"if gain and spread are as seen, about {count} {units} would show it with a chance of 80 %"


def _worse(setting: Setting, against: str) -> list[str]:
    worse = [method.shown_name for method, gain in setting.gains if method.significant and gain.mean < 0]
    return [f"Significantly worse than {against}: {_listed(worse)}."] if worse else []


def _listed(names: Sequence[str]) -> str:
    """`a, b or c`; of many the first few. A name that has commas itself is set off by semicolons."""
    comma = "; " if any("," in name for name in names) else ", "
    if len(names) > LISTED + 1:
        return f"{comma.join(names[:LISTED])} and {len(names) - LISTED} others"
    return names[0] if len(names) == 1 else f"{comma.join(names[:-1])} or {names[-1]}"
