"""From overrides to a run with the name that its method was called by. No torch."""

from collections.abc import Sequence

from mixbench.config.compose import Composer
from mixbench.config.identity import Job, job


def job_of(composer: Composer, overrides: Sequence[str], aliases: bool = True) -> Job:
    """The run that the overrides ask for. Raises UserError where a value is out of range.

    aliases: whether messages call the method by an alias that stands for nothing but the method.
    """
    cfg = composer.compose(overrides)
    option = method_of(overrides)
    shown = composer.shown(option, cfg.method.name)
    return job(cfg, option if aliases else shown, shown)


def method_of(overrides: Sequence[str]) -> str | None:
    """The method as the overrides name it, where they do."""
    return next((o.removeprefix("method=").strip("'") for o in reversed(overrides) if o.startswith("method=")), None)
