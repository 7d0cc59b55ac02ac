"""The command that trains in rounds until the answer is known: decide."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mixbench.cli.commands.shared import check_out, say, with_out, write_all
from mixbench.cli.help import DECIDE_HELP
from mixbench.core.errors import UserError

if TYPE_CHECKING:
    from mixbench.analysis.select import Options, Selection
    from mixbench.cli.races import RaceConsole
    from mixbench.config.compose import Composer
    from mixbench.config.identity import Job
    from mixbench.decide.budget import Budget
    from mixbench.decide.plan import Asked
    from mixbench.decide.race import Outcome
    from mixbench.runs.datasets import Datasets
    from mixbench.runs.races import Race
    from mixbench.runs.store.store import Store

SPREAD = 1.7  # percentage points, of the difference of two methods over rounds: docs/sequential.md


def decide(words: list[str]) -> int:
    """mixbench decide: train in rounds until it is known which method to use.

    words: words after the command.
    Returns the exit status.
    """
    from mixbench.cli.flags import YES, read
    from mixbench.cli.races import RaceConsole
    from mixbench.cli.words import is_data, read_selection
    from mixbench.config.compose import Composer
    from mixbench.decide import budget as budgets
    from mixbench.decide import plan
    from mixbench.decide.race import decide as train
    from mixbench.runs.datasets import Datasets
    from mixbench.runs.own_data import resolved_all
    from mixbench.runs.planning import check_data
    from mixbench.runs.store.store import Store

    flags = read(words)
    if flags.help or not flags.overrides:
        from mixbench.stats.sequential import MARGIN

        print(DECIDE_HELP.format(margin=f"{MARGIN:g}", rounds=budgets.ROUNDS), end="")
        return 0 if flags.help else 2
    given, rest = _own_options(flags.overrides)
    margin = _margin(given.get("margin"))
    budget = budgets.read(given.get("budget", f"{budgets.ROUNDS}rounds"))
    name, overrides, options = read_selection([*rest, *[YES] * flags.yes])
    check_out(options)
    results, datasets = Store(options.results_dir), Datasets(say)
    console = RaceConsole(results, budget.rounds)
    lines: list[str] = []
    with Composer(flags.config_dir) as composer:
        if name is not None and is_data(composer, name, say):
            overrides, options, lines = _of_own_data(composer, name, overrides, options, datasets)
            name = None
        overrides = resolved_all(composer, overrides, datasets, options.results_dir)
        asked, jobs = plan.read(composer, name, overrides, options.results_dir)
        races = plan.races_of(asked, jobs, margin)
        budgets.check(budget, max(len(race.entries) for race in races))
        rule = _rule(composer, name, options)
        check_data(jobs, results, datasets)
        if asked.command.words[-1:] == (plan.RANDOM,) and "subset=random" not in overrides:
            lines.append("subset=random: each round draws new training images, instead of the first n of the list")
        plan_lines = _beforehand(races, margin, budget)
        if flags.dry_run:
            return _dry_run(composer, asked, races, jobs, datasets, console, lines, plan_lines)
        _say_cost(jobs, results, datasets, console, budget.rounds)
        _show(lines, plan_lines)
        outcome = train(composer, asked, races, budget, rule, observer=console, datasets=datasets)
        if outcome.interrupted:
            from mixbench.cli.console import EXIT_INTERRUPTED

            print("interrupted; to go on, give the same command again", flush=True)
            return EXIT_INTERRUPTED
        chosen = _selection(composer, asked, overrides, options, outcome)
    for racer in outcome.racers:
        if racer.stopped:
            say(f"{racer.race.setting_name}: stopped, because {racer.stopped}")
    for result in outcome.failed:
        say(f"failed: {result.job}: {result.note}{f' (see {result.record})' if result.record else ''}")
    write_all(chosen, shlex.join(["mixbench", "decide", *words]))
    return 1 if outcome.failed else 0


def _of_own_data(
    composer: "Composer", path: str, given: Sequence[str], options: "Options", datasets: "Datasets"
) -> tuple[list[str], "Options", list[str]]:
    """Return the words and options for the user's own data, and lines on what was chosen."""
    from mixbench.runs.own_data import fitted

    found = fitted(composer, path, given, options.results_dir, datasets)
    lines = [*found.lines]
    smaller = [f"n={n}" for n in found.sizes if n < found.free]
    if smaller:
        lines.append(f"{', '.join(smaller)}: each round draws other training images, and the answer is for such data")
    if found.free in found.sizes:
        lines.append(
            f"n={found.free} is every image that is not held out: rounds differ in seeds alone, and the answer is for "
            "these images"
        )
    return found.words, with_out(options, "decide", found.name, given), lines


def _show(lines: Sequence[str], plan_lines: Sequence[str]) -> None:
    for line in lines:
        say(line)
    print("\n".join(plan_lines), flush=True)


def _say_cost(
    jobs: Sequence["Job"], results: "Store", datasets: "Datasets", console: "RaceConsole", rounds: int
) -> None:
    """Print how long the rounds take, before anything else is printed. Stored rounds are not measured."""
    from mixbench.runs.cost import WORTH, measure
    from mixbench.runs.estimate import unfinished

    results.check_writable()
    cost = measure(unfinished(jobs, results), results, datasets.of, least=WORTH // rounds)
    if cost is not None:
        console.cost(cost)


def _own_options(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Separate margin and budget from the other words."""
    given = {key: value for key, _, value in (word.partition("=") for word in words) if key in ("margin", "budget")}
    return given, [word for word in words if word.partition("=")[0] not in ("margin", "budget")]


def _margin(text: str | None) -> float:
    from mixbench.stats.sequential import MARGIN

    if text is None:
        return MARGIN
    try:
        margin = float(text)
    except ValueError:
        margin = math.nan
    if not 0 < margin < 100:
        raise UserError(f"margin={text}: must be a number of percentage points above 0 and below 100, such as 2")
    return margin


def _rule(composer: "Composer", name: str | None, options: "Options") -> str:
    from mixbench.config.schema import StudyConfig
    from mixbench.runs import study

    return options.rule or (study.load(composer, name).rule if name else StudyConfig.rule)


def _beforehand(races: Sequence["Race"], margin: float, budget: "Budget") -> list[str]:
    """Return the lines that say what is raced, and what a margin costs."""
    from mixbench.analysis.display import shown_experiment
    from mixbench.analysis.raced import names_of
    from mixbench.stats.sequential import rounds_for
    from mixbench.stats.spending import LAST

    named = [(race.setting_name, ", ".join(map(shown_experiment, names_of(race)))) for race in races]
    methods, costs = max(len(race.entries) for race in races), []
    for half in (margin, margin / 2, margin * 2):
        needed = rounds_for(half, methods, SPREAD)
        costs.append(f"{f'about {needed}' if needed else f'more than {LAST}'} with margin={half:g}")
    return [
        *(f"{setting}: {methods}; margin {margin:g}, budget {budget}" for setting, methods in named),
        f"Rounds needed where no method is better and differences vary by {SPREAD:g} points between rounds: "
        f"{', '.join(costs)}. Large gains are seen sooner.",
    ]


def _dry_run(
    composer: "Composer",
    asked: "Asked",
    races: Sequence["Race"],
    jobs: Sequence["Job"],
    datasets: "Datasets",
    console: "RaceConsole",
    lines: Sequence[str],
    plan_lines: Sequence[str],
) -> int:
    from mixbench.decide.plan import jobs_of
    from mixbench.runs import estimate
    from mixbench.runs.cost import measure
    from mixbench.runs.store.store import Store
    from mixbench.stats.spending import FIRST

    results = Store(asked.results_dir)
    later = [
        job
        for round_ in range(1, FIRST)
        for job in jobs_of(composer, asked.command, asked.inert, races[0].seeds(round_))
    ]
    first = [*jobs, *later]
    cost = measure(estimate.unfinished(first, results), results, lambda job: datasets.labels(job.cfg), least=1)
    if cost is not None:
        console.cost(replace(cost, seconds=cost.seconds / cost.runs * len(jobs), runs=len(jobs)))
    _show(lines, plan_lines)
    print(f"The first {FIRST} rounds, after which the first method can leave the race:")
    print("\n".join(estimate.dry_run(first, results, cost.each if cost else None)))
    return 0


def _selection(
    composer: "Composer", asked: "Asked", overrides: Sequence[str], options: "Options", outcome: "Outcome"
) -> "Selection":
    """Return the runs that the report shows: those of the study, or otherwise those of the races."""
    from mixbench.analysis import select

    if asked.command.study is not None:
        words = [*asked.command.words, *asked.inert]
        return select.of_study(composer, asked.command.study, words, options, sources=(select.OWN,))
    ids = [run for racer in outcome.racers for run in racer.trained]
    names = list(dict.fromkeys(racer.race.entries[0].identity["dataset"] for racer in outcome.racers))
    return select.of_runs("decide", asked.command.words, ", ".join(names), ids, options)
