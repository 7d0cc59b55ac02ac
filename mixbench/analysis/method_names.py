"""Names of methods in tables: the method's own, or that of a user's file with other settings. No torch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from mixbench.config.identity import Job, cell_hash

if TYPE_CHECKING:
    from mixbench.config.compose import Composer

BASE = "method.base"  # key of a row that shows a method under another name: the method's own name


def of_jobs(jobs: Iterable[Job]) -> dict[str, str]:
    """Cell -> the name of its method in tables."""
    return {cell_hash(job.identity): job.display_name for job in jobs}


def of_runs(found: Sequence[Mapping[str, Any]], cells: Sequence[str]) -> dict[str, str]:
    """Cell -> the name that its stored runs give their method, if they give only one. cells: of the runs."""
    names: dict[str, set[str]] = {}
    for m, cell in zip(found, cells, strict=True):
        if m.get("called"):
            names.setdefault(cell, set()).add(m["called"])
    return {cell: one.pop() for cell, one in names.items() if len(one) == 1}


def renamed(row: dict[str, Any], name: str | None) -> dict[str, Any]:
    """The row with its method renamed; its own name is kept under BASE. name: None or the same changes nothing."""
    base = row["method"]
    return row if name in (None, base) else row | {"method": name, BASE: base}


def meant(composer: "Composer", frame: pd.DataFrame, names: Iterable[Any]) -> list[Any]:
    """The method names in `frame` that a filter's names select.

    names: as tables show them, or of methods: then all names of rows of that method are selected.
    """
    found: list[Any] = []
    for name in names:
        method = composer.method_name(name) if isinstance(name, str) else name
        shown = set(frame["method"]) if len(frame) else set()
        if name in shown or method in shown or BASE not in frame:
            found.append(name if name in shown else method)
        else:
            found += frame.loc[frame[BASE] == method, "method"].tolist() or [method]
    return found
