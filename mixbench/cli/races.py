"""What `mixbench decide` prints while it trains."""

from collections.abc import Sequence

from mixbench.analysis.display import baseline_text
from mixbench.analysis.raced_verdict import points, ranked
from mixbench.analysis.setting import Raced
from mixbench.analysis.wording import listed
from mixbench.cli.console import Console
from mixbench.config.identity import Job
from mixbench.decide.race import RaceObserver, Racer
from mixbench.runs.run import Result
from mixbench.stats.sequential import WORSE, Exit
from mixbench.stats.spending import FIRST

SHOWN = 3  # methods in the line of a round


class RaceConsole(Console, RaceObserver):
    """Prints one line for each run, and one for each round of a setting."""

    def begin(self, jobs: Sequence[Job], finished: Sequence[Result], names: dict[str, str]) -> None:
        self._names = names

    def round(self, racer: Racer) -> None:
        if racer.raced is not None:
            self._print(f"{racer.race.setting_name}, round {racer.rounds.round}: {_line(racer.raced)}")


def _line(race: Raced) -> str:
    """Return what a round says: the largest gains, and who is still in the race."""
    standing, best = race.standing, ranked(race)[:SHOWN]
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
