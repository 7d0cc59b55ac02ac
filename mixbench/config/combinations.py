"""The combinations of a sweep, without keys that the chosen option does not have. No torch."""

from collections.abc import Sequence

from mixbench.config.assignments import Word, key_of, option_of
from mixbench.config.compose import Composer
from mixbench.config.identity import Job
from mixbench.config.limits import LIMIT
from mixbench.config.overrides import expand
from mixbench.core.groups import GROUPS

Combination = list[Word]
SHOWN = 3  # largest number of reasons in a warning


def combine(composer: Composer, overrides: Sequence[str], limit: int | None = LIMIT) -> list[list[str]]:
    """Return every combination of the values once. A key that a method does not have is left out of its combinations.

    composer: knows which keys an option has.
    overrides: KEY=VALUE texts, each with one or several values.
    limit: largest number of combinations; None: no limit.
    Returns KEY=VALUE texts with one value each, one list for each combination.
    Raises UserError if there are more than `limit` combinations.
    """
    fits = fitting(composer, [list(words) for words in expand(overrides, limit)])
    return [[str(word) for word in words] for words in fits]


def fitting(composer: Composer, combinations: Sequence[Combination]) -> list[Combination]:
    """Remove keys that belong to another option of a swept group, and return every combination once.

    `method=none,mixup method.alpha=0.2,1` is three runs, because none has no α. A key that no option has stays; it is
    reported as unknown later.

    composer: knows which keys an option has.
    combinations: the words of each run.
    """
    chosen = [_options(words) for words in combinations]
    named = {group: {options[group] for options in chosen if group in options} for group in GROUPS}
    swept = {group for group, options in named.items() if len(options) > 1}
    there: dict[tuple[str, str, str], bool] = {}

    def has(group: str, option: str, key: str) -> bool:
        place = (group, option, key)
        if place not in there:
            there[place] = composer.has(group, option, key)
        return there[place]

    def fits(word: Word, options: dict[str, str]) -> bool:
        key = key_of(word)
        group, dot, _ = key.partition(".")
        if not dot or group not in swept or group not in options or has(group, options[group], key):
            return True
        return not any(has(group, option, key) for option in named[group])

    kept = (tuple(w for w in words if fits(w, o)) for words, o in zip(combinations, chosen, strict=True))
    return [list(words) for words in dict.fromkeys(kept)]


def repetition_warning(combinations: Sequence[Combination], jobs: Sequence[Job]) -> str | None:
    """Return a line that explains why several combinations are the same run.

    combinations: the words of each run.
    jobs: the run of each combination, in the same order.
    Returns None if all runs differ.
    """
    first: dict[tuple[str, str | None], Combination] = {}
    reasons: dict[str, None] = {}
    for words, job in zip(combinations, jobs, strict=True):
        # Two archives with the same name are not a repetition; their contents are compared when they are read.
        other = first.setdefault((job.id, job.cfg.dataset.path), words)
        if other != words:
            reasons[_reason(other, words, job)] = None
    if not reasons:
        return None
    more = f"; and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
    runs = "1 different run" if len(first) == 1 else f"{len(first)} different runs"
    return f"{len(combinations)} combinations make {runs} ({'; '.join(list(reasons)[:SHOWN])}{more})"


def _options(words: Combination) -> dict[str, str]:
    """Return group -> the option that the words choose."""
    chosen = {key_of(word): option_of(word) for word in words if key_of(word) in GROUPS}
    return {group: option for group, option in chosen.items() if isinstance(option, str)}


def _reason(one: Combination, other: Combination, job: Job) -> str:
    apart = [[word for word in a if word not in b] for a, b in ((one, other), (other, one))]
    keys = {key_of(word) for words in apart for word in words}
    mine, theirs = (" ".join(map(str, words)) for words in apart)
    if keys == {"subset_seed"} and job.cfg.subset == "head":
        return "subset_seed does nothing with subset=head"
    if not mine or not theirs:
        return f"{mine or theirs} changes nothing"
    return f"{theirs} is the same run as {mine}"
