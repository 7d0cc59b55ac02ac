"""Train rounds of runs until the answer is known, or until the budget is spent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mixbench.analysis.correct import read_or_none
from mixbench.analysis.raced import names_of, not_mended, rounds_of
from mixbench.analysis.setting import Raced
from mixbench.config.compose import Composer
from mixbench.config.identity import Job, own_evaluation_images
from mixbench.core.errors import UserError
from mixbench.decide.budget import Budget, Spent
from mixbench.decide.plan import Asked, jobs_of
from mixbench.runs import races
from mixbench.runs.cost import measure
from mixbench.runs.datasets import Datasets
from mixbench.runs.observer import Observer
from mixbench.runs.planning import check_data
from mixbench.runs.races import Race
from mixbench.runs.run import Result
from mixbench.runs.store.store import Store, read_metrics
from mixbench.runs.sweep import Sweep, run_jobs, validate
from mixbench.stats.rounds import Rounds
from mixbench.training.rules import RULES


class RaceObserver(Observer):
    """Observes a race: besides the runs, the rounds. It remembers that the user asked to stop.

    A request in the last step of a run does not interrupt this run, so only the observer knows of it.
    """

    stopped = False

    def stopping(self) -> None:
        self.stopped = True

    def round(self, racer: "Racer") -> None:
        """Called after each round of a setting.

        racer: the setting.
        """


@dataclass
class Racer:
    """A setting while it is raced.

    race: its record.
    most: largest number of rounds.
    rounds: the rounds so far.
    trained: ids of its runs.
    seconds: their times.
    stopped: why no further round can be trained; empty: no such reason.
    """

    race: Race
    most: int
    rounds: Rounds = field(init=False)
    trained: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    stopped: str = ""

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin with the first round, without the methods that could not be trained. Stored runs are used again."""
        self.rounds = rounds_of(self.race, self.most)
        self.trained.clear()
        self.seconds.clear()

    @property
    def raced(self) -> Raced | None:
        """What is known; None before the end of the first round."""
        if self.rounds.standing is None:
            return None
        return Raced(
            names=names_of(self.race),
            cells=[entry.cell for entry in self.race.entries],
            standing=self.rounds.standing,
            margin=self.race.margin,
            runs=self.rounds.runs,
            with_images=self.rounds.with_images,
            seconds=sum(self.seconds) / len(self.seconds) if self.seconds else None,
            failed=not_mended(self.race),
        )


@dataclass(frozen=True)
class Outcome:
    """The end of a command.

    racers: its settings.
    failed: results of runs that failed twice; their methods left the race.
    interrupted: whether the user asked to stop.
    """

    racers: list[Racer]
    failed: list[Result]
    interrupted: bool


def decide(
    composer: Composer,
    asked: Asked,
    found: Sequence[Race],
    budget: Budget,
    rule: str,
    warnings: Sequence[str] = (),
    observer: RaceObserver | None = None,
    datasets: Datasets | None = None,
) -> Outcome:
    """Race methods at one or several settings. Each round trains one run of every method that is still in the race.

    composer: composes the runs.
    asked: what the command asks for.
    found: the races, from plan.races_of.
    budget: the budget of the command.
    rule: name of the accuracy rule, a key of RULES.
    warnings: lines for the observer, after all runs of the first round passed their checks.
    observer: observer of the runs and rounds; None: no observer.
    datasets: data sets that the command has loaded; None: they are loaded.
    Raises UserError, before anything is written, if a run of the first round cannot be trained; CannotWrite if the disk
        is full or broken.
    """
    observer, results = observer or RaceObserver(), Store(asked.results_dir)
    datasets = datasets or Datasets(observer.note)
    racers = [Racer(race, max(budget.rounds, race.rounds)) for race in found]
    spent, failed, warned = Spent(budget), [], list(warnings)
    planned: dict[tuple[int, int], dict[str, Job]] = {}
    first = [job for racer in racers for job in _jobs(composer, asked, racer, planned).values()]
    check_data(first, results, datasets)
    # Those that are stored already must be on these data; the others are checked before they train.
    list(validate([job for job in first if results.state(job.id).name == "finished"], results, datasets))
    while active := [racer for racer in racers if racer.rounds.missing and not racer.stopped]:
        for racer in active:
            jobs = _jobs(composer, asked, racer, planned)
            todo = [job for job in jobs.values() if results.state(job.id).name != "finished"]
            if todo and spent.is_unknown:
                cost = measure(todo, results, datasets.of)
                if cost is not None:
                    spent.expect(cost.seconds / cost.runs)
            if todo and not spent.allows(len(todo), racer.rounds.runs + len(jobs)):
                how = "is spent" if racer.trained else "has no room for a round"
                racer.stopped = f"the budget of {budget} {how}"
                continue
            if todo:
                try:
                    sweep = run_jobs(todo, asked.results_dir, warned, observer, datasets)
                except UserError as error:
                    if not any(one.trained for one in racers):
                        raise
                    racer.stopped = str(error)  # such as subset=disjoint without another subset
                    continue
                warned = []
                racer.race = _begun(racer)
                races.write(results.root, racer.race)  # what it returns can have another command's methods too
                if sweep.interrupted or observer.stopped:
                    return Outcome(racers, failed, interrupted=True)
                spent.add(*_trained(sweep))
                if sweep.failed:  # perhaps by chance, such as memory that another program took
                    sweep = run_jobs([result.job for result in sweep.failed], asked.results_dir, (), observer, datasets)
                    if sweep.interrupted or observer.stopped:
                        return Outcome(racers, failed, interrupted=True)
                    spent.add(*_trained(sweep))
                if sweep.failed:
                    failed += sweep.failed
                    _leave(racer, jobs, sweep.failed)
                    races.write(results.root, racer.race)
                    continue
            _add(racer, jobs, rule, results)
            racer.rounds.judge()
            observer.round(racer)
    for racer in racers:  # also where all runs were stored before
        races.write(results.root, racer.race)
    return Outcome(racers, failed, interrupted=False)


def _trained(sweep: Sweep) -> tuple[int, float]:
    """Return the number of runs that were trained, and their time in seconds."""
    new = [result.metrics for result in sweep.results.values() if result.metrics]
    return len(new), sum(metrics["seconds"] for metrics in new)


def _leave(racer: Racer, jobs: Mapping[tuple[int, int], Job], failed: Sequence[Result]) -> None:
    """Take the methods whose runs failed out of the race, which begins anew without them.

    What their earlier runs said about others is forgotten: a method that was only worse than one of them comes back.
    """
    why = {result.job.id: result.note for result in failed}
    left = {method: why[job.id] for (method, _), job in jobs.items() if job.id in why}
    if 0 in left:
        racer.stopped = f"no mixing could not be trained: {left[0]}"
        return
    entries = racer.race.entries
    racer.race = replace(
        racer.race, failed=dict(racer.race.failed) | {entries[method].cell: note for method, note in left.items()}
    )
    if len(racer.race.failed) == len(entries) - 1:
        racer.stopped = "no method is left to compare with no mixing"
    racer.begin()


def _begun(racer: Racer) -> Race:
    """Return the record of a race whose round is trained now."""
    race, rounds = racer.race, racer.rounds.round + 1
    return replace(race, rounds=max(rounds, race.rounds))


def _jobs(
    composer: Composer, asked: Asked, racer: Racer, planned: dict[tuple[int, int], dict[str, Job]]
) -> dict[tuple[int, int], Job]:
    """Return the runs that a setting needs next: (method, round) -> run."""
    jobs = {}
    for method, round_ in racer.rounds.missing:
        seeds = racer.race.seeds(round_)
        of_round = planned.setdefault(seeds, {})
        entry = racer.race.entries[method]
        for command in racer.race.commands:
            if entry.run_id(seeds) not in of_round:
                of_round |= {job.id: job for job in jobs_of(composer, command, asked.inert, seeds)}
        if entry.run_id(seeds) not in of_round:
            raise UserError(
                f"results_dir={asked.results_dir}: {entry.name} was raced here, and the command that did so no longer "
                "gives the same runs; set another results_dir for a race of its own"
            )
        jobs[method, round_] = of_round[entry.run_id(seeds)]
    return jobs


def _add(racer: Racer, jobs: Mapping[tuple[int, int], Job], rule: str, results: Store) -> None:
    """Add the results of a round to a setting."""
    varying = own_evaluation_images(racer.race.entries[0].identity)
    for (method, round_), job in jobs.items():
        metrics = read_metrics(results.folder(job.id))
        correct = None if varying else read_or_none(results.folder(job.id))
        racer.rounds.add(method, round_, metrics[RULES[rule].key], correct)
        racer.trained.append(job.id)
        racer.seconds.append(metrics["seconds"])
