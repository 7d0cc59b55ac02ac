"""Several cases at a time: each lane is a forked process that makes one case after another."""

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
    """What a campaign is given. count: of cases or kills, None for its default. deadline: on time.monotonic's clock."""

    scratch: Path
    seed: int = 0
    count: int | None = None
    deadline: float | None = None
    jobs: int = 2

    @property
    def out_of_time(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline


def each(function: Callable[[Any], Any], cases: Sequence[Any], settings: Settings) -> Iterator[Any]:
    """function(case) of every case, in any order, until the time is over."""
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
    """A case that the campaign itself could not make."""

    case: str
    traceback: str


BROKEN: list[Broken] = []  # of this process; the script tells them


@dataclass(frozen=True)
class _Guarded:
    """A lane makes no case after the time is over, and goes on after one that the campaign could not make."""

    function: Callable[[Any], Any]
    settings: Settings

    def __call__(self, case: Any) -> Any:
        if self.settings.out_of_time:
            return None
        try:
            return self.function(case)
        except Exception:
            return Broken(str(case), traceback.format_exc())
