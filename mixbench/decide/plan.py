"""From the words of a command to the settings that it races, and the runs of each round. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mixbench.config.assignments import key_of
from mixbench.config.combinations import combine
from mixbench.config.compose import Composer
from mixbench.config.identity import INERT, Job, cell_hash, completed
from mixbench.config.overrides import line_of, parse, quoted, readable, values
from mixbench.config.validate import SEEDS
from mixbench.core.baseline import BASELINE
from mixbench.core.errors import UserError
from mixbench.runs import races, study
from mixbench.runs.planning import plan_runs
from mixbench.runs.races import Command, Entry, Race
from mixbench.runs.store import store
from mixbench.runs.store.store import Store
from mixbench.runs.study import words_of_run
from mixbench.stats.spending import LAST

RANDOM = "subset=random"


@dataclass(frozen=True)
class Asked:
    """What a command asks for.

    command: the study and the words that decide the outcome of runs.
    inert: words that do not, such as device=cpu.
    first: subset_seed and seed of the first round.
    results_dir: folder of the results.
    """

    command: Command
    inert: tuple[str, ...]
    first: tuple[int, int]
    results_dir: str


def read(composer: Composer, name: str | None, words: Sequence[str], results_dir: str) -> tuple[Asked, list[Job]]:
    """Read the words of a command.

    composer: composes the runs.
    name: name of a study; None: no study.
    words: KEY=VALUE texts.
    results_dir: folder of the results.
    Returns what they ask for, and its runs in the first round.
    Raises UserError for a word that does not fit.
    """
    words = readable(words)
    parsed = {override.key_or_group: override for override in parse(words)}
    if "force" in parsed:
        raise UserError("force=…: decide uses finished runs; to start anew, set another results_dir")
    seed, subset_seed = (_first(parsed, key) for key in SEEDS)
    first = (seed or 0) if subset_seed is None else subset_seed, (subset_seed or 0) if seed is None else seed
    kept = [word for word in words if key_of(word) not in SEEDS]
    inert = (*(word for word in kept if key_of(word) in INERT), f"results_dir={quoted(results_dir)}")
    asked = Asked(Command(name, races.lasting(kept)), inert, first, results_dir)
    jobs = jobs_of(composer, asked.command, inert, first)
    if all(job.cfg.subset != "head" for job in jobs):
        return asked, jobs
    if "subset" in parsed:
        raise UserError("subset=head: is always the same images, but each round needs new ones; set subset=random")
    asked = replace(asked, command=Command(name, (*asked.command.words, RANDOM)))
    return asked, jobs_of(composer, asked.command, inert, first)


def _first(parsed: dict, key: str) -> int | None:
    """Return the seed of the first round; None if the words do not set it."""
    if key not in parsed:
        return None
    given = values(parsed[key])
    if len(given) != 1 or not isinstance(given[0], int) or given[0] < 0:
        raise UserError(f"{line_of(parsed[key])}: must be one number, the {key} of the first round; each adds 1")
    return given[0]


def jobs_of(composer: Composer, command: Command, inert: Sequence[str], seeds: tuple[int, int]) -> list[Job]:
    """Return the runs of a command in one round, each once.

    composer: composes the runs.
    command: the study and the words.
    inert: words that do not decide the outcome of runs.
    seeds: subset_seed and seed of the round.
    Raises UserError if a word does not fit.
    """
    subset_seed, seed = seeds
    words = [*command.words, *inert, f"subset_seed={subset_seed}", f"seed={seed}"]
    if command.study is not None:
        jobs = study.plan(composer, command.study, words).jobs
    else:
        jobs = plan_runs(composer, [words_of_run(composer, one) for one in combine(composer, words)]).jobs
    return list({job.id: job for job in jobs}.values())


def races_of(asked: Asked, jobs: Sequence[Job], margin: float) -> list[Race]:
    """Return a race for each setting of the runs, with the methods that were raced there before.

    asked: what the command asks for.
    jobs: its runs in the first round.
    margin: indifference margin in percentage points.
    Raises UserError if a setting has no baseline or nothing to compare with it, or was raced with other seeds.
    """
    by_setting: dict[str, list[Job]] = {}
    for job in jobs:
        by_setting.setdefault(races.setting_of(job.identity), []).append(job)
    made, stored = [], _stored(asked)
    for setting, of_one in by_setting.items():
        of_one = sorted(of_one, key=lambda job: job.identity["method"] != BASELINE)
        entries = {cell_hash(job.identity): _entry(job) for job in of_one}
        if of_one[0].identity["method"] != BASELINE or len(entries) < 2:
            given = ",".join(dict.fromkeys(job.called for job in of_one))
            raise UserError(
                f"method={given}: decide compares methods with {BASELINE}; name both, such as method={BASELINE},mixup"
            )
        tried = frozenset(stored.get(setting, ())) - entries.keys()
        race = Race(setting, tuple(entries.values()), (asked.command,), asked.first, 0, margin, tried)
        before = races.read(Path(asked.results_dir), setting)
        if before is not None and before.first != race.first:
            seeds = f"seed={before.first[1]} subset_seed={before.first[0]}"
            raise UserError(
                f"seed={asked.first[1]}: the race in {asked.results_dir} began with {seeds}; use these, or another "
                "results_dir for a race of its own"
            )
        # Failed methods of earlier commands stay out. Those that this command names are tried again.
        made.append(race.joined(before) if before else race)
    return sorted(made, key=lambda race: race.entries[0].identity["n"])


def _stored(asked: Asked) -> dict[str, set[str]]:
    """Return setting -> cells of the stored runs that a round of this race would use."""
    found: dict[str, set[str]] = {}
    for metrics in store.scan(Store(asked.results_dir).runs)[0]:
        identity = metrics["identity"]
        rounds = {(identity.get(key) or 0) - first for key, first in zip(SEEDS[::-1], asked.first, strict=True)}
        if len(rounds) == 1 and 0 <= min(rounds) < LAST:
            found.setdefault(races.setting_of(completed(identity)), set()).add(cell_hash(identity))
    return found


def _entry(job: Job) -> Entry:
    return Entry(job.display_name, races.without_seeds(job.identity))
