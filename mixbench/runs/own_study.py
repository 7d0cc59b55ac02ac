"""A study of a user's own data: methods x training sizes x subsets."""

from collections.abc import Sequence
from dataclasses import replace

from mixbench.config.combinations import combine
from mixbench.config.compose import Composer
from mixbench.config.limits import LIMIT
from mixbench.config.overrides import parse, values
from mixbench.config.validate import SEEDS
from mixbench.runs.planning import Planned, plan_runs
from mixbench.runs.study import words_of_run

REPETITIONS = 3  # subsets of each size
SIZES = 4  # most values of n
FEWEST = 5  # training images of a class, on average, at the smallest n


def sizes(free: int, classes: int) -> list[int]:
    """Return the numbers of training images of a learning curve: up to four, in equal ratios of at least 2.

    free: number of training images that are not held out; the largest n.
    classes: number of classes; the smallest n has at least 5 images of each on average.
    """
    fewest = FEWEST * classes
    ratio = max(2.0, (free / fewest) ** (1 / (SIZES - 1)))
    smaller = [_rounded(free / ratio**k) for k in range(1, SIZES)]
    return sorted({free, *(n for n in smaller if fewest <= n < free)})


def _rounded(number: float) -> int:
    """Return a number with two digits that are not 0: 14, 110, 3,500."""
    return round(float(f"{number:.2g}"))


def plan(composer: Composer, words: Sequence[str], limit: int | None = LIMIT) -> Planned:
    """Return the runs of a study of own data.

    Each repetition has its own subset and its own seed, k for both. So all methods share the subset, the smaller
    subsets are parts of the larger ones, and the runs are those of the rounds of `decide` at the same settings.

    composer: composes the runs.
    words: KEY=VALUE texts. A single one of `seed` and `subset_seed` sets both; if both are given, each goes with each.
    limit: largest number of runs; None: no limit.
    Raises UserError if a word does not fit, or if there are more runs.
    """
    given = {override.key_or_group: values(override) for override in parse(words)}
    named = [key for key in SEEDS if key in given]
    if len(named) < len(SEEDS):
        seeds = given[named[0]] if named else range(REPETITIONS)
        others = [word for word in words if word.partition("=")[0] not in SEEDS]
        every = combine(composer, [f"seed={','.join(map(str, seeds))}", *others], limit)
        every = [[*one, f"subset_{word}"] for one in every for word in one if word.startswith("seed=")]
    else:
        every = combine(composer, words, limit)
    planned = plan_runs(composer, [words_of_run(composer, one) for one in every])
    return replace(planned, jobs=list({job.id: job for job in planned.jobs}.values()))
