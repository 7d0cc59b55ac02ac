"""Turn overrides into a run that keeps the name by which its method was chosen. No torch."""

from collections.abc import Sequence

from mixbench.config.assignments import Word, key_of, option_of
from mixbench.config.compose import Composer
from mixbench.config.identity import Job, job


def job_of(composer: Composer, words: Sequence[Word], aliases: bool = True) -> Job:
    """Return the run that words describe.

    composer: composes the configuration.
    words: assignments or KEY=VALUE texts, each with one value.
    aliases: whether messages use an alias, such as mixup, as the method's name.
    Raises UserError if a value is out of range.
    """
    cfg = composer.compose(words)
    option = _method_of(words)
    name = cfg.method.get("name")  # a user's file may have no name, which `job` reports
    display_name = composer.display_name(option, name) if isinstance(name, str) else None
    return job(cfg, option if aliases else display_name, display_name)


def _method_of(words: Sequence[Word]) -> str | None:
    """Return the method that the words name; None if they name none."""
    return next((str(option_of(word)).strip("'") for word in reversed(words) if key_of(word) == "method"), None)
