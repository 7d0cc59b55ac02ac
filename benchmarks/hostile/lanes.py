"""Runs several cases at the same time: each lane is a forked process that runs one case after another."""

import contextlib
import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """The settings of a campaign.

    scratch: folder for temporary files.
    seed: seed of all random choices.
    count: number of cases or kills; None: the campaign's default.
    deadline: end of the campaign as a value of time.monotonic; None: no end.
    jobs: number of lanes.
    """

    scratch: Path
    seed: int = 0
    count: int | None = None
    deadline: float | None = None
    jobs: int = 2

    @property
    def out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline


def each(function: Callable[[Any], Any], cases: Sequence[Any], settings: Settings) -> Iterator[Any]:
    """Yield function(case) for every case, in any order, until the deadline. Results that are None are left out."""
    with contextlib.ExitStack() as stack:
        if settings.jobs == 1:
            results = map(_Guarded(function, settings), cases)
        else:
            pool = stack.enter_context(multiprocessing.get_context("fork").Pool(settings.jobs))
            results = pool.imap_unordered(_Guarded(function, settings), cases)
        for result in results:
            if isinstance(result, Broken):
                BROKEN.append(result)
            elif result is not None:
                yield result


@dataclass(frozen=True)
class Broken:
    """A case in which the campaign itself failed."""

    case: str
    traceback: str


BROKEN: list[Broken] = []  # the broken cases of this process, which the script reports


@dataclass(frozen=True)
class _Guarded:
    """Calls the function for a case, but not after the deadline; an exception becomes a Broken."""

    function: Callable[[Any], Any]
    settings: Settings

    def __call__(self, case: Any) -> Any:
        if self.settings.out_of_time:
            return None
        try:
            return self.function(case)
        except Exception:
            return Broken(str(case), traceback.format_exc())
