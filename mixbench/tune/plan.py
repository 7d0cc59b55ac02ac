"""The plan of a command: for every method its fixed words, what is tuned for it, and its first trial."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import OmegaConf

from mixbench import data
from mixbench.config.assignments import Assignment, Word
from mixbench.config.combinations import fitting
from mixbench.config.compose import Composer
from mixbench.config.identity import Job
from mixbench.config.jobs import job_of
from mixbench.config.limits import LIMIT, check_count
from mixbench.config.method_aliases import with_alias
from mixbench.core.errors import UserError
from mixbench.core.groups import GROUPS
from mixbench.runs.datasets import Datasets
from mixbench.runs.planning import check_data
from mixbench.runs.store.store import Store
from mixbench.runs.study import words_of_run
from mixbench.training.validate import check_functions
from mixbench.tune.asked import Asked, of_trial
from mixbench.tune.space import Choices, Range, Variable

SHOWN_METHODS = 4  # names in the name of a folder; of more methods their number


@dataclass(frozen=True)
class Candidate:
    """A method that is tuned.

    option: option of the group method.
    words: words of all its runs, without those that tuning chooses.
    space: what is tuned for it; empty if it has none of the keys.
    default: the first run of its first trial, which has its default settings.
    defaults: tuned key -> its value in that trial.
    """

    option: str
    words: list[Word]
    space: list[Variable]
    default: Job
    defaults: dict[str, Any]

    @property
    def shown_name(self) -> str:
        """The method as readers see it, such as `mixup (label-mix)`."""
        return with_alias(self.option)

    def count(self, trials: int) -> int:
        """Return its number of trials: without any key to tune there is only the first one.

        trials: number of trials that the command asks for.
        """
        return trials if self.space else 1


@dataclass(frozen=True)
class Plan:
    """The runs of a command, as far as they are known before the first one is trained.

    asked: what the command asks for.
    candidates: the methods, the baseline among them.
    left_out: for each tuned key that some methods do not have, a line that says so.
    name: name of the folder of the results.
    one_subset: whether the winners are compared on one subset with new seeds, because there is no other subset.
    """

    asked: Asked
    candidates: list[Candidate]
    left_out: list[str]
    name: str
    one_subset: bool

    @property
    def results_dir(self) -> str:
        return self.candidates[0].default.cfg.results_dir

    @property
    def trials(self) -> int:
        """Number of trials of all methods together."""
        return sum(candidate.count(self.asked.trials) for candidate in self.candidates)


def plan(composer: Composer, asked: Asked, datasets: Datasets, limit: int | None = LIMIT) -> Plan:
    """Return the plan of a command. Nothing is trained or written.

    The ends of every range and all choices are checked, and whether the data set has the images.

    composer: composes the runs.
    asked: what the command asks for.
    datasets: the data sets of the command.
    limit: largest number of runs; None: no limit.
    Raises UserError if a word does not fit.
    """
    check_count(len(asked.methods) * (asked.trials * asked.splits + asked.confirm), limit)
    combinations = fitting(composer, [[f"method={method}", *asked.fixed] for method in asked.methods])
    of_methods = list(zip(asked.methods, combinations, strict=True))
    # The baseline last: a misspelled key of a method is then reported with the keys of that method.
    made = [_candidate(composer, asked, method, words) for method, words in reversed(of_methods)][::-1]
    first: dict[str, str] = {}
    for one in made:
        other = first.setdefault(one.default.id, one.option)
        if other != one.option:
            raise UserError(f"method={other},{one.option}: is the same method twice; name it once")
    own = _job(composer, made[0].words)
    if own.cfg.eval == "validation":
        raise UserError(
            "eval=validation: the trials use it anyway; eval says on which images the winners are compared: test, "
            "val, stratified or holdout"
        )
    planned = Plan(asked, made, _left_out(asked, made), _name(asked, made, own), own.identity["subset_seed"] is None)
    for one in made:
        for setting in (setting for variable in one.space for setting in variable.checked):
            check_functions(runs_of_trial(composer, asked, one, [setting])[0].cfg)
    confirming = [job for one in made for job in confirmation(composer, planned, one, [])]
    check_data([*(one.default for one in made), *confirming], Store(planned.results_dir), datasets)
    return planned


def runs_of_trial(composer: Composer, asked: Asked, candidate: Candidate, settings: Sequence[Assignment]) -> list[Job]:
    """Return the runs of a trial: one for each split of the n images, with a seed of its own.

    composer: composes the runs.
    asked: what the command asks for.
    candidate: the method.
    settings: the settings that were chosen.
    Raises UserError if they do not fit together.
    """
    words, first = [*candidate.words, *settings, *of_trial(asked)], candidate.default.cfg.seed
    return [_job(composer, [*words, f"seed={first + i}"]) for i in range(asked.splits)]


def confirmation(composer: Composer, planned: Plan, candidate: Candidate, settings: Sequence[Assignment]) -> list[Job]:
    """Return the runs that confirm settings: all n images of new subsets, with new seeds, and the user's own eval.

    composer: composes the runs.
    planned: the plan.
    candidate: the method.
    settings: its chosen settings.
    """
    cfg = candidate.default.cfg
    last = cfg.seed + planned.asked.splits - 1  # of the trials
    pairs = [(cfg.subset_seed + i, last + i) for i in range(1, planned.asked.confirm + 1)]
    return [
        _job(composer, [*candidate.words, *settings, f"subset_seed={subset_seed}", f"seed={seed}"])
        for subset_seed, seed in pairs
    ]


def validated(planned: Plan, dataset: data.Dataset) -> tuple[int, int]:
    """Return the number of images that a trial trains on, and the number that it is validated on.

    planned: the plan.
    dataset: its data set, or only its labels.
    """
    trained, held = data.positions(dataset, planned.candidates[0].default.cfg)
    return len(trained), 0 if held is None else len(held)


def seen(composer: Composer, planned: Plan, dataset: data.Dataset) -> tuple[int, int] | None:
    """Return how many evaluation images of the confirmation are among the images of the trials, and how many there are.

    composer: composes the runs.
    planned: the plan.
    dataset: its data set.
    Returns both numbers for the subset with the largest share of such images; None if the winners are compared on test
        images, or not at all.
    """
    candidate = planned.candidates[0]
    trained, held = data.positions(dataset, candidate.default.cfg)
    used = {*trained.tolist(), *([] if held is None else held.tolist())}
    found = []
    for job in confirmation(composer, planned, candidate, []):
        evaluated = data.positions(dataset, job.cfg)[1]
        if evaluated is not None:
            found.append((len(used.intersection(evaluated.tolist())), len(evaluated)))
    return max(found, key=lambda pair: pair[0] / pair[1], default=None)


def _candidate(composer: Composer, asked: Asked, method: str, words: list[Word]) -> Candidate:
    # A key that no method has stays, so that composing it reports the mistake.
    tuned = [
        (key, ends)
        for key, ends in asked.tuned.items()
        if key.partition(".")[0] != "method"
        or composer.has("method", method, key)
        or not any(composer.has("method", other, key) for other in asked.methods)
    ]
    default = _job(composer, [*words, *of_trial(asked)])
    space = [ends if isinstance(ends, Choices) else _range(composer, words, key, *ends) for key, ends in tuned]
    return Candidate(method, words, space, default, {key: _value(composer, default, key) for key, _ in tuned})


def _value(composer: Composer, job: Job, key: str) -> Any:
    """Return the value of a key in a run without tuned settings; of a config group, the option."""
    if key in GROUPS:
        return composer.default(key)
    value = OmegaConf.select(job.cfg, key)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def _range(composer: Composer, words: list[Word], key: str, low: float, high: float) -> Range:
    """Return the range of a key: of whole numbers if the key takes no others.

    Raises UserError for a key that does not take numbers.
    """
    composer.compose([*words, _assigned(key, low)])  # reports an unknown key
    before = OmegaConf.select(composer.compose(words), key)
    if isinstance(before, bool | str) or OmegaConf.is_config(before):
        raise UserError(f"{key}={low:g}..{high:g}: its values are not numbers; list the values, as in {key}=A,B")
    whole = isinstance(before, int) or (before is None and not _takes_fractions(composer, words, key, low))
    if whole and not (low.is_integer() and high.is_integer()):
        raise UserError(f"{key}={low:g}..{high:g}: takes whole numbers; give whole numbers as the ends of the range")
    return Range(key, low, high, whole)


def _takes_fractions(composer: Composer, words: list[Word], key: str, low: float) -> bool:
    """Whether a key whose default is null takes numbers that are not whole."""
    try:
        composer.compose([*words, Assignment(key, math.floor(low) + 0.5)])
    except UserError:
        return False
    return True


def _assigned(key: str, value: float) -> Assignment:
    return Assignment(key, int(value) if value.is_integer() else value)


def _left_out(asked: Asked, candidates: Sequence[Candidate]) -> list[str]:
    """Return a line for each tuned key that some methods do not have."""
    lines = []
    for key in asked.tuned:
        without = [one.shown_name for one in candidates if key not in {variable.key for variable in one.space}]
        if without:
            lines.append(f"{key} is not tuned for {', '.join(without)}, which does not have it")
    alone = [one.shown_name for one in candidates if not one.space]
    if alone:
        lines.append(f"{', '.join(alone)}: nothing is tuned, so the default settings are the only trial")
    return lines


def _name(asked: Asked, candidates: Sequence[Candidate], own: Job) -> str:
    """Return the name of the folder of the results. More trials or subsets of the same question keep the name."""
    identity = candidates[0].default.identity
    names = [one.option for one in candidates]
    methods = "+".join(names) if len(names) <= SHOWN_METHODS else f"{len(names)}-methods"
    decided = [
        own.id,
        str(asked.splits),
        *(text for one in candidates for text in (one.default.id, *map(str, one.space))),
    ]
    digest = hashlib.sha256("\n".join(decided).encode()).hexdigest()[:8]
    return f"{identity['dataset']}-n{identity['n']}-{methods}-{digest}"


def _job(composer: Composer, words: Sequence[Word]) -> Job:
    return job_of(composer, words_of_run(composer, words))
