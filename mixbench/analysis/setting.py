"""A setting and the experiments in it: what every table, chart and report of a comparison is made from.

A setting is every choice except the method: data, n, subset, augmentation, network, loss and training. No torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mixbench.analysis.display import shown_experiment
from mixbench.stats import ALPHA, Gain, Runs, Summary
from mixbench.stats.equivalents import Equivalent
from mixbench.stats.sequential import Standing

NEAR_CHANCE = 5.0  # percentage points above chance; below that, a comparison says little about training that works


@dataclass
class Experiment:
    """A method in a setting, with the runs of all subsets and seeds.

    name: the method, and the keys that distinguish it from other experiments of the setting.
    method: name of the method.
    places: positions of its runs in the frame.
    runs: (subset seed, seed) -> accuracy in percent.
    summary: mean, standard deviation and interval of the accuracies.
    gain: difference to the baseline in percentage points; None if no runs could be paired.
    equivalent: number of images with which the baseline reaches the same accuracy.
    """

    name: str
    method: str
    places: list[int]
    runs: Runs
    summary: Summary
    gain: Gain | None = None
    equivalent: Equivalent | None = None

    @property
    def shown_name(self) -> str:
        """The name as readers see it, such as `mixup (label-mix), alpha=0.2`."""
        return shown_experiment(self.name)

    @property
    def significant(self) -> bool:
        """Whether the difference to the baseline is statistically significant, better or worse."""
        if self.gain is None or self.gain.interval is None:
            return False
        if self.gain.p is None:  # a race: its interval holds after every round
            low, high = self.gain.interval
            return low > 0 or high < 0
        return self.gain.p < ALPHA


@dataclass(frozen=True)
class Raced:
    """What a race says about a setting: its methods were trained in rounds until the answer was known.

    names: names of all methods that were ever in the race, the baseline first.
    cells: what all runs of each of them have in common, as in the frame's column `cell`.
    standing: what is known after the last round.
    margin: indifference margin in percentage points.
    runs: number of runs.
    seconds: mean time of a run; None if it is not known.
    with_images: number of runs of which it is known which test images they classify correctly.
    failed: indexes of the methods that left the race because they could not be trained, with the reason.
    """

    names: list[str]
    cells: list[str]
    standing: Standing
    margin: float
    runs: int
    seconds: float | None
    with_images: int = 0
    failed: Mapping[int, str] = field(default_factory=dict)

    @property
    def shown_names(self) -> list[str]:
        """The names as readers see them."""
        return [shown_experiment(name) for name in self.names]


@dataclass
class Setting:
    """The experiments of one setting.

    name: such as `n = 500`.
    n: number of training images.
    baseline: the baseline's experiment; None if it has no runs.
    methods: the experiments of all other methods.
    baseline_classes: the baseline's accuracy for each class in percent, the mean over its runs; None if not stored.
    baseline_may_be_best: whether no method is shown to be better than the baseline; None if no gain has an interval.
    race: what `mixbench decide` found here, which then also gives the gains; None if it did not train these runs.
    """

    name: str
    n: int
    baseline: Experiment | None
    methods: list[Experiment]
    baseline_classes: list[float] | None = None
    baseline_may_be_best: bool | None = None
    race: Raced | None = None

    @property
    def near_chance(self) -> bool:
        """Whether the baseline is within 5 percentage points of a network that always predicts one class."""
        classes = self.baseline_classes
        return classes is not None and sum(classes) / len(classes) < 100 / len(classes) + NEAR_CHANCE

    @property
    def experiments(self) -> list[Experiment]:
        return [*([self.baseline] if self.baseline else []), *self.methods]

    @property
    def gains(self) -> list[tuple[Experiment, Gain]]:
        """The methods that can be compared with the baseline, each with its gain."""
        return [(method, method.gain) for method in self.methods if method.gain]

    @property
    def best(self) -> Experiment | None:
        """The method with the largest gain over the baseline; None if no method can be compared."""
        return _largest(self.gains)

    @property
    def may_be_best(self) -> list[Experiment]:
        """The methods of which none is shown to be worse than another one, with the baseline; empty if unknown."""
        of_baseline = [self.baseline] if self.baseline and self.baseline_may_be_best else []
        return [*of_baseline, *(method for method, gain in self.gains if gain.may_be_best)]

    @property
    def images_known(self) -> bool:
        """Whether the intervals hold for other test images too, because it is known which images runs classify."""
        return any(gain.image_sd is not None for _, gain in self.gains)

    @property
    def recommended(self) -> Experiment | None:
        """The method with the largest significant gain; None if there is none."""
        return _largest([(method, gain) for method, gain in self.gains if method.significant and gain.mean > 0])

    @property
    def worse(self) -> list[Experiment]:
        """The methods that are significantly worse than the baseline."""
        return [method for method, gain in self.gains if method.significant and gain.mean < 0]


def _largest(gains: Sequence[tuple[Experiment, Gain]]) -> Experiment | None:
    return max(gains, key=lambda pair: pair[1].mean)[0] if gains else None
