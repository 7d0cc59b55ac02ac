"""What `mixbench decide` prints while it trains."""

from collections.abc import Sequence
from dataclasses import replace

from mixbench.analysis.display import baseline_text
from mixbench.analysis.raced_verdict import points, ranked
from mixbench.analysis.setting import Raced
from mixbench.analysis.wording import listed
from mixbench.cli.console import Console
from mixbench.config.identity import Job
from mixbench.core.text import duration
from mixbench.decide.race import RaceObserver, Racer
from mixbench.runs.cost import Cost
from mixbench.runs.run import Result
from mixbench.runs.store.store import Store
from mixbench.stats.sequential import WORSE, Exit
from mixbench.stats.spending import FIRST

SHOWN = 3  # methods in the line of a round


class RaceConsole(Console, RaceObserver):
    """Prints one line for each run, and one for each round of a setting.

    results: the store of the runs.
    rounds: largest number of rounds.
    """

    def __init__(self, results: Store, rounds: int):
        super().__init__(results)
        self._rounds, self._told = rounds, False

    def stopping(self) -> None:
        RaceObserver.stopping(self)
        super().stopping()

    def cost(self, cost: Cost) -> None:
        if self._told:
            return
        self._told = True
        most = replace(cost, seconds=cost.seconds * self._rounds, runs=cost.runs * self._rounds)
        line = (
            f"a round ({cost.runs} runs) takes about {duration(cost.seconds)} here, by a few steps measured now; "
            f"{self._rounds} rounds, the most there are, take about {duration(most.seconds)}"
        )
        if most.is_long:
            self.warn(f"{line}. Shorter: budget=1h, fewer train.steps, a smaller model.width or dataset.size, a GPU")
        else:
            self.note(line)

    def begin(self, jobs: Sequence[Job], finished: Sequence[Result], names: dict[str, str]) -> None:
        self._names = names

    def round(self, racer: Racer) -> None:
        if racer.raced is not None:
            self._print(f"{racer.race.setting_name}, round {racer.rounds.round}: {_line(racer.raced)}")


def _line(race: Raced) -> str:
    """Return what a round says: the largest gains, and who is still in the race."""
    standing, best = race.standing, [m for m in ranked(race) if m not in race.failed][:SHOWN]
    gains = ", ".join(f"{race.shown_names[m]} {points(race, m)}" for m in best)
    if standing.rounds < FIRST:
        return f"{gains}; the first look is after {FIRST} rounds"
    if standing.ended is not None:
        return f"{gains}; decided" if standing.choice is not None else f"{gains}; not decided"
    still = listed([race.shown_names[m] for m in standing.in_race], "and")
    out = [f"{race.shown_names[e.method]} ({_why(race, e)})" for e in standing.exits]
    left = f"; out: {', '.join(out)}" if out else ""
    more = f"; about {standing.more_rounds} more rounds needed" if standing.more_rounds else ""
    return f"{gains}; still in the race: {still}{left}{more}"


def _why(race: Raced, gone: Exit) -> str:
    by = baseline_text(race.shown_names[gone.by])
    return f"worse than {by}" if gone.reason == WORSE else f"not {race.margin:g} points better than {by}"
