"""Names of methods in tables: the method's own name, or that of a user's file with other settings. No torch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from mixbench.config.identity import Job, cell_hash

if TYPE_CHECKING:
    from mixbench.config.compose import Composer

BASE = "method.base"  # key of a row that shows a method under another name: the method's own name


def of_jobs(jobs: Iterable[Job]) -> dict[str, str]:
    """Return cell -> name of its method in tables.

    jobs: runs of any methods.
    """
    return {cell_hash(job.identity): job.display_name for job in jobs}


def of_runs(found: Sequence[Mapping[str, Any]], cells: Sequence[str]) -> dict[str, str]:
    """Return cell -> name of its method in the stored runs, for cells whose runs have only one name.

    found: metrics of the runs.
    cells: cell of each run.
    """
    names: dict[str, set[str]] = {}
    for m, cell in zip(found, cells, strict=True):
        if m.get("called"):
            names.setdefault(cell, set()).add(m["called"])
    return {cell: one.pop() for cell, one in names.items() if len(one) == 1}


def renamed(row: dict[str, Any], name: str | None) -> dict[str, Any]:
    """Return the row with another name of its method. The method's own name is kept under BASE.

    row: row of a frame.
    name: the new name; None, or the same name, changes nothing.
    """
    base = row["method"]
    return row if name in (None, base) else row | {"method": name, BASE: base}


def matching_names(composer: "Composer", frame: pd.DataFrame, names: Iterable[Any]) -> list[Any]:
    """Return the method names in a frame that a filter selects.

    composer: resolves aliases of methods.
    frame: rows of runs.
    names: names as tables show them, or names of methods. A method's name selects all rows of that method.
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
