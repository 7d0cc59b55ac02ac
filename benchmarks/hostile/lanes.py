"""Several cases at a time: each lane is a forked process that makes one case after another."""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    cases = _until(cases, settings)
    if settings.jobs == 1:
        yield from map(function, cases)
        return
    with multiprocessing.get_context("fork").Pool(settings.jobs) as pool:
        yield from pool.imap_unordered(_Timed(function, settings), cases)


@dataclass(frozen=True)
class _Timed:
    """The pool takes all cases at once, so each lane looks at the clock itself; None for what is not made any more."""

    function: Callable[[Any], Any]
    settings: Settings

    def __call__(self, case: Any) -> Any:
        return None if self.settings.out_of_time else self.function(case)


def _until(cases: Iterable[Any], settings: Settings) -> Iterator[Any]:
    for case in cases:
        if settings.out_of_time:
            return
        yield case
