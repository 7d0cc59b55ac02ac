"""Labels of the runs of one call: method, n, seed and the keys in which the runs differ. No torch.

An example is `mixup (label-mix) α=0.2 n=500 seed=0`. The name of a run's folder has a hash in place of most keys.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mixbench.config.identity import Job
from mixbench.config.method_aliases import with_alias
from mixbench.config.mixture import PARTS

ALWAYS = ("method", "n", "seed")
GREEK = {"alpha": "α", "beta": "β"}


def labels(jobs: Sequence[Job]) -> dict[str, str]:
    """Return a label for each run, which names the keys that distinguish it.

    jobs: the runs of one call.
    Returns id -> label.
    """
    identities = [job.identity for job in jobs]
    swept = distinguishing_keys(
        identities, ALWAYS, list(dict.fromkeys(key for identity in identities for key in identity))
    )
    own = [key for key in swept if key.startswith("method.")]
    others = [key for key in swept if key not in own]
    return {job.id: _label(job, [*own, *others, "n", "seed"]) for job in jobs}


def _label(job: Job, keys: Iterable[str]) -> str:
    shown = [f"{_short(key)}={_text(job.identity[key])}" for key in keys if job.identity.get(key) is not None]
    return " ".join([_method(job), *shown])


def _method(job: Job) -> str:
    """The method as the command named it, with its own name in brackets where that is another."""
    own = job.identity["method"]
    called = job.called or own
    return with_alias(called) if called in (own, job.display_name) else f"{called} ({own})"


def distinguishing_keys(rows: Sequence[Mapping[str, Any]], given: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return the keys that distinguish rows with equal `given`; of keys that vary together, only the first.

    rows: identities, or rows of a frame; key -> value.
    given: keys that are shown anyway.
    keys: keys that may distinguish rows, the most important first.
    """
    values = [tuple(str(row.get(key)) for key in given) for row in rows]
    kept: list[str] = []
    for key in keys:
        if key not in given:
            extended = [(*before, str(row.get(key))) for before, row in zip(values, rows, strict=True)]
            if len(set(extended)) > len(set(values)):
                kept.append(key)
                values = extended
    return kept


def _short(key: str) -> str:
    """Shorten a key to its last part, which is clear without the group: method.alpha is α, model.width is width."""
    before, _, last = key.removeprefix(PARTS).rpartition(".")
    last = GREEK.get(last, last)
    return f"{before}.{last}" if key.startswith(PARTS) else last  # in a mixture: cutmix.α


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
