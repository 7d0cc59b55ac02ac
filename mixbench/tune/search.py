"""The search for settings: Optuna suggests them, one after another, from the accuracies of the trials before.

The same command suggests the same settings: the sampler's seed follows from the command, and finished trials are read
from the store. So nothing but runs is stored, and an interrupted search goes on.

Source: the tree-structured Parzen estimator, Bergstra et al. 2011, section 4, as Optuna implements it. Its first ten
trials are drawn at random.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mixbench.config.assignments import Assignment
from mixbench.core.errors import UserError
from mixbench.tune.plan import Candidate
from mixbench.tune.space import Choices, Variable

if TYPE_CHECKING:
    import optuna

OF_FAILURE = 0.0  # accuracy that the sampler is told of settings that cannot be trained: no other is lower


def check_optuna() -> str:
    """Return the version of Optuna. Raises UserError if it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise UserError("mixbench tune needs Optuna, which is not installed; pip install 'mixbench[tune]'") from error
    return optuna.__version__


class Search:
    """Suggests the settings of one method's trials, in order. The first trial has the default settings.

    candidate: the method.
    """

    def __init__(self, candidate: Candidate):
        import optuna

        self._candidate = candidate
        self._distributions = {variable.key: _distribution(variable) for variable in candidate.space}
        words = "\n".join([candidate.default.id, *map(str, candidate.space)])
        with _quiet():
            sampler = optuna.samplers.TPESampler(seed=zlib.crc32(words.encode()))
            self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: optuna.Trial | None = None
        self._first = True

    def ask(self) -> list[Assignment]:
        """Return the settings of the next trial; none for the default settings."""
        if self._first:
            return []
        self._asked = self._study.ask(self._distributions)
        return [variable.setting(self._asked.params[variable.key]) for variable in self._candidate.space]

    def tell(self, accuracy: float | None) -> None:
        """Take the result of the settings that `ask` returned last.

        accuracy: validation accuracy in percent; None: the settings cannot be trained.
        """
        import optuna

        value = OF_FAILURE if accuracy is None else accuracy
        if self._asked is not None:
            self._study.tell(self._asked, value)
        elif (params := _params(self._candidate)) is not None:
            self._study.add_trial(
                optuna.trial.create_trial(params=params, distributions=self._distributions, value=value)
            )
        self._first = False


def _params(candidate: Candidate) -> dict[str, Any] | None:
    """Return the default settings as the sampler knows them; None if they are not all in the search space."""
    found: dict[str, Any] = {}
    for variable in candidate.space:
        value = candidate.defaults[variable.key]
        if not variable.has(value):
            return None
        found[variable.key] = variable.name_of(value) if isinstance(variable, Choices) else value
    return found


def _distribution(variable: Variable) -> "optuna.distributions.BaseDistribution":
    from optuna import distributions

    if isinstance(variable, Choices):
        return distributions.CategoricalDistribution(variable.names)
    if variable.whole:
        return distributions.IntDistribution(int(variable.low), int(variable.high), log=variable.log)
    return distributions.FloatDistribution(variable.low, variable.high, log=variable.log)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's line about a new study. Its level is global, so that of a notebook's own studies is kept."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
