"""Turn overrides into a run that keeps the name by which its method was chosen. No torch."""

import pickle
import re
from collections.abc import Sequence

from mixbench.config import teacher
from mixbench.config.assignments import Word, key_of, option_of
from mixbench.config.compose import Composer
from mixbench.config.identity import Job, job, with_seeds
from mixbench.config.validate import REFERENCE, SEEDS
from mixbench.core.banks import BANK

# In a word: what makes the run depend on another key or on files, which can change while a notebook runs.
NOT_ALONE = (REFERENCE, "~", teacher.KEY, BANK)
SHORT = 19  # digits; a longer seed may be above the largest, 2^64 - 1
MOST_KNOWN = 2000  # about 10 KB each

# (words without seeds, aliases) -> the run with the default seeds, pickled. Runs of the package's own options alone.
_KNOWN: dict[tuple[tuple[Word, ...], bool], bytes] = {}


def job_of(composer: Composer, words: Sequence[Word], aliases: bool = True) -> Job:
    """Return the run that words describe.

    The runs of a study differ mostly in their seeds, which nothing else depends on. So each run is composed and checked
    for its first seeds; for further ones it is copied, which takes a tenth of the time.

    composer: composes the configuration.
    words: assignments or KEY=VALUE texts, each with one value.
    aliases: whether messages use an alias, such as mixup, as the method's name.
    Raises UserError if a value is out of range.
    """
    seeds = _seeds(words)
    if seeds is None or not composer.only_shipped or any(mark in repr(word) for mark in NOT_ALONE for word in words):
        return _composed(composer, words, aliases)
    others = tuple(word for word in words if key_of(word) not in SEEDS)
    known = (others, aliases)
    if known not in _KNOWN:
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[known] = pickle.dumps(_composed(composer, others, aliases), pickle.HIGHEST_PROTOCOL)
    return with_seeds(pickle.loads(_KNOWN[known]), seeds)


def _composed(composer: Composer, words: Sequence[Word], aliases: bool) -> Job:
    cfg = composer.compose(words)
    option = _method_of(words)
    name = cfg.method.get("name")  # a user's file may have no name, which `job` reports
    display_name = composer.display_name(option, name) if isinstance(name, str) else None
    return job(cfg, option if aliases else display_name, display_name)


def _method_of(words: Sequence[Word]) -> str | None:
    """Return the method that the words name; None if they name none."""
    return next((str(option_of(word)).strip("'") for word in reversed(words) if key_of(word) == "method"), None)


def _seeds(words: Sequence[Word]) -> dict[str, int] | None:
    """Return the seeds that the words set; None if one of them is not clearly a number that fits."""
    seeds = {}
    for word in words:
        if (key := key_of(word)) in SEEDS:
            value = str(option_of(word))
            if not re.fullmatch(r"0|[1-9][0-9]*", value) or len(value) > SHORT:
                return None
            seeds[key] = int(value)
    return seeds
