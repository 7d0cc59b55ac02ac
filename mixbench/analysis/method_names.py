"""What tables call a method: its own name, or that of a user's file which gives it other settings. No torch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from mixbench.config.identity import Job, cell_hash

if TYPE_CHECKING:
    from mixbench.config.compose import Composer

BASE = "method.base"  # key of a run whose method is called by another name: the method's own


def of_jobs(jobs: Iterable[Job]) -> dict[str, str]:
    """Cell -> what tables call its method."""
    return {cell_hash(job.identity): job.display_name for job in jobs}


def of_runs(found: Sequence[Mapping[str, Any]], cells: Sequence[str]) -> dict[str, str]:
    """Cell -> what its stored runs call their method, where all that tell agree. cells: of the runs."""
    names: dict[str, set[str]] = {}
    for m, cell in zip(found, cells, strict=True):
        if m.get("called"):
            names.setdefault(cell, set()).add(m["called"])
    return {cell: one.pop() for cell, one in names.items() if len(one) == 1}


def renamed(row: dict[str, Any], name: str | None) -> dict[str, Any]:
    """A row of a frame with its method under the name, and where that is another, the method itself under BASE."""
    base = row["method"]
    return row if name in (None, base) else row | {"method": name, BASE: base}


def meant(composer: "Composer", frame: pd.DataFrame, names: Iterable[Any]) -> list[Any]:
    """The names in `frame` that a filter means: the methods that tables call so, or else those that it stands for."""
    found: list[Any] = []
    for name in names:
        method = composer.method_name(name) if isinstance(name, str) else name
        shown = set(frame["method"]) if len(frame) else set()
        if name in shown or method in shown or BASE not in frame:
            found.append(name if name in shown else method)
        else:
            found += frame.loc[frame[BASE] == method, "method"].tolist() or [method]
    return found
