"""The verdict on a setting that `mixbench decide` raced, in words. No torch."""

import numpy as np

from mixbench.analysis.display import baseline_text
from mixbench.analysis.setting import Raced
from mixbench.analysis.wording import NOTHING, UNDECIDED, USE, Verdict, listed, signed
from mixbench.core.text import duration
from mixbench.stats.sequential import IMAGES
from mixbench.stats.spending import FIRST, LAST


def verdict(race: Raced) -> Verdict:
    """Return the verdict with its evidence.

    race: what `mixbench decide` found.
    """
    word, subject, line = _found(race)
    between = f" between {listed(_in_race(race), 'and')}" if word == UNDECIDED and len(_in_race(race)) > 1 else ""
    start = f"{word} {subject}" if subject else f"{word}{between}"
    after = f"After {_rounds(race.standing.rounds)} ({_runs(race.runs)})"
    sentences = [*_use_meanwhile(race), *_avoid(race), *_failed(race), *_cost(race), *_images(race)]
    if word == UNDECIDED:
        return Verdict(word, start, [f"{after}, {line}.", *sentences])
    return Verdict(word, f"{start}: {line}", [f"{after}, this is known with 95 % confidence.", *sentences])


def first_screen(race: Raced) -> tuple[str, str, str, list[str]]:
    """Return the word, the word with its method, the line, and what else to know, all short.

    race: what `mixbench decide` found.
    """
    word, subject, line = _found(race)
    others = [name for name in _in_race(race) if word == UNDECIDED]
    between = [f"It is between {listed(others, 'and')}."] if len(others) > 1 else []
    took = [f"Decided after {_rounds(race.standing.rounds)} ({_runs(race.runs)})."] if word != UNDECIDED else []
    return (
        word,
        f"{word} {subject}".strip(),
        line,
        [*between, *_use_meanwhile(race), *_avoid(race), *_failed(race), *_cost(race), *took],
    )


def points(race: Raced, method: int) -> str:
    """Return a gain such as `+4.4 points (2.1 to 6.7)`, or `+4.4 points` before it has an interval.

    race: the race.
    method: index of the method, not 0.
    """
    standing = race.standing
    if not standing.pairs[method]:
        return "not compared yet"
    low, high = max(float(standing.low[method]), -100.0), min(float(standing.high[method]), 100.0)
    mean = f"{signed(float(standing.gain[method]))} points"
    if standing.pairs[method] < FIRST:
        return mean
    ends = (f"{low:.1f}", f"{high:.1f}") if low >= 0 else (signed(low), signed(high))
    return f"{mean} ({ends[0]} to {ends[1]})"


def ranked(race: Raced) -> list[int]:
    """Return the methods without the baseline, largest gain first.

    race: the race.
    """
    gains = np.where(race.standing.pairs > 0, race.standing.gain, -np.inf)
    return [m for m in np.argsort(-gains, kind="stable").tolist() if m]


def _found(race: Raced) -> tuple[str, str, str]:
    """Return the word of the verdict, the method that it is about, and the line."""
    standing, names, best, margin = race.standing, race.shown_names, ranked(race)[0], _points(race.margin)
    gain = f"{names[best]}, {points(race, best)}"
    if standing.choice == 0:
        # Without its interval: that is two-sided and can reach beyond the margin, which only needs an upper bound.
        largest = f"{names[best]}, {signed(float(standing.gain[best]))} points"
        which = "largest gain is that of" if standing.gain[best] > 0 else "closest to it is"
        return NOTHING, "", f"no method gains more than {margin} over no mixing; the {which} {largest}"
    if standing.choice is not None:
        line = f"{_chosen(race, standing.choice)} over no mixing, and no other method is better by more than {margin}"
        return USE, names[standing.choice], line
    if standing.rounds < FIRST:
        return UNDECIDED, "", f"nothing can be said before {FIRST} rounds"
    which = "the largest gain so far is that of" if standing.gain[best] > 0 else "no gain so far; the closest is"
    return UNDECIDED, "", f"{which} {gain}"


def _chosen(race: Raced, method: int) -> str:
    """Return the gain of the chosen method with the bound on which the choice rests, if the interval includes 0.

    The interval has two sides, so it is wider.
    """
    standing = race.standing
    if standing.low[method] > 0 or standing.at_least[method] <= 0:
        return points(race, method)
    return f"{signed(float(standing.gain[method]))} points (at least {signed(float(standing.at_least[method]))})"


def _in_race(race: Raced) -> list[str]:
    """Return the methods that may still be chosen, as sentences name them."""
    return [baseline_text(name) for m, name in enumerate(race.shown_names) if m in race.standing.in_race]


def _use_meanwhile(race: Raced) -> list[str]:
    """Return the sentence on a method that can be used although the race is not decided."""
    standing = race.standing
    if standing.choice is not None or not standing.qualified:
        return []
    best = baseline_text(race.shown_names[standing.qualified[0]])
    return [f"Nothing is more than {_points(race.margin)} better than {best}, so it can be used meanwhile."]


def _avoid(race: Raced) -> list[str]:
    """Return the sentence on the methods that are shown to be worse than no mixing."""
    worse = [race.shown_names[m] for m in ranked(race) if race.standing.high[m] < 0]
    return [f"Avoid {listed(worse, 'and')}: worse than no mixing."] if worse else []


def _failed(race: Raced) -> list[str]:
    """Return a sentence for each method that left the race because it could not be trained."""
    return [
        f"{race.shown_names[m]} could not be trained: {why}; it is not in the comparison, the family still counts it."
        for m, why in race.failed.items()
    ]


def _images(race: Raced) -> list[str]:
    """Return the sentence on predictions that some runs lack, because the part of the test images needs them."""
    if race.with_images in (0, race.runs):
        return []
    return [
        f"Of {_runs(race.runs)}, {race.with_images:,} store their predictions; the part of the test images in the "
        "intervals is estimated from these."
    ]


def _cost(race: Raced) -> list[str]:
    """Return the sentence on what it would cost to know more."""
    standing = race.standing
    if standing.choice is not None:
        return []
    if standing.ended == IMAGES:
        return ["More rounds cannot decide this. More test images can, or a larger margin."]
    if standing.rounds < FIRST:
        return [f"The first look is after {FIRST} rounds."]
    share = standing.image_share[1:]
    images = bool(np.isfinite(share).any() and np.nanmedian(share) > 0.5)
    hint = [" More test images would help more than more rounds."] if images else []
    if standing.more_rounds is None:
        text = f"More than {LAST} rounds would be needed if the gains stay as they are; a larger margin needs fewer."
        return ["".join([text, *hint])]
    rounds, runs = standing.more_rounds, standing.more_rounds * len(standing.in_race)
    time = f", {duration(runs * race.seconds)} of computing" if race.seconds else ""
    text = f"To decide: about {rounds} more {'round' if rounds == 1 else 'rounds'} ({_runs(runs)}{time})"
    return ["".join([f"{text}, if the gains stay as they are.", *hint])]


def _points(margin: float) -> str:
    return f"{margin:g} point{'s' * (margin != 1)}"


def _rounds(count: int) -> str:
    return f"{count} round{'s' * (count != 1)}"


def _runs(count: int) -> str:
    return f"{count:,} run{'s' * (count != 1)}"
