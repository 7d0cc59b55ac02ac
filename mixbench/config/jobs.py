"""From overrides to a run with the name that its method was called by. No torch."""

from collections.abc import Sequence

from mixbench.config.assignments import Word, key_of, option_of
from mixbench.config.compose import Composer
from mixbench.config.identity import Job, job


def job_of(composer: Composer, words: Sequence[Word], aliases: bool = True) -> Job:
    """The run that the words ask for. Raises UserError where a value is out of range.

    aliases: whether messages call the method by an alias that stands for nothing but the method.
    """
    cfg = composer.compose(words)
    option = method_of(words)
    name = cfg.method.get("name")  # a user's file may lack it, which `job` tells
    display_name = composer.display_name(option, name) if isinstance(name, str) else None
    return job(cfg, option if aliases else display_name, display_name)


def method_of(words: Sequence[Word]) -> str | None:
    """The method as the words name it, where they do."""
    return next((str(option_of(word)).strip("'") for word in reversed(words) if key_of(word) == "method"), None)
