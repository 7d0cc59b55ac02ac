"""The random decisions of training, drawn on the host as plain arrays: a pure function of (seed, step).

The device only executes a plan, so CPU and GPU take the same decisions and a killed run resumes exactly. Each kind of
decision has its own random stream (Purpose). Equal seeds therefore give all methods the same batches, crops and flips,
which makes paired differences between methods precise. λ is computed from one uniform number by the inverse of the Beta
distribution function, so λ of a given step changes smoothly with α: a sweep over α compares like with like.

A mixing method declares the draws it needs by their names in DRAWS. An augmentation asks for a draw by having a keyword
parameter of that name.

All draws have the same parameters:

plan: settings of the draws.
purpose: the random stream of the draw. `Draw` passes it.
first: the first step, from 0.
count: number of steps.

The docstring of a draw describes its result. Axis 0 are the steps. B is the batch size, H and W are the image's height
and width in pixels.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import betaincinv, ndtri

from mixbench.core import partners, random_words
from mixbench.core.random_words import Purpose

UNIFORMS = 32  # uniform numbers per image for augmentation; no augmentation needs more
VIEWS, CHAIN_UNIFORMS = 2, 34  # augmented views of an image, and uniform numbers for each of them
PICKS = 4  # choices from lists for each image
ATTEMPTS = 10  # tries to find a rectangle that fits the image, as in torchvision's RandomErasing and RandomResizedCrop


@dataclass(frozen=True)
class Plan:
    """What to draw for each step.

    seed: seed of the run.
    n: number of images in the subset.
    batch_size: images in a batch, B.
    height, width: size of the images in pixels.
    draws: names from DRAWS.
    alpha, beta: λ ~ Beta(alpha, beta).
    p: probability of mixing a batch.
    per_sample: draw λ and places for each image instead of once for the batch.
    off_after: share of `length` after which nothing is mixed any more; 1: mix to the end.
    larger_own: replace λ by the larger one of λ and 1-λ.
    partners: classes or groups of which partners are drawn, from PARTNERS.
    length: steps of the run, which off_after refers to. None: not known, so off_after has no effect.
    labels: int [n], the label of each image of the subset. None: not known, so partners can be of any class.
    groups: int [n], the group of each image of the subset, such as its patient. None: not known, so partners can be of
        any group.
    pad: largest shift of a crop, in pixels.
    protected: bool [n], images of the subset that are never mixed and never serve as partners. None: no such images.
    """

    seed: int
    n: int
    batch_size: int
    height: int
    width: int
    draws: tuple[str, ...] = ()
    alpha: float | None = None
    beta: float | None = None
    p: float = 1.0
    per_sample: bool = False
    off_after: float = 1.0
    larger_own: bool = False
    partners: str = "any"
    length: int | None = None
    labels: np.ndarray | None = None
    groups: np.ndarray | None = None
    pad: int = 0
    protected: np.ndarray | None = None

    def steps(self, first: int, count: int) -> dict[str, np.ndarray]:
        """Return the decisions of consecutive steps.

        first: the first step, from 0.
        count: number of steps.
        Returns `index`, int64 [count, B], and one array [count, B, …] for each draw.
        """
        return {"index": order(self, first, count)} | self.drawn(first, count)

    def drawn(self, first: int, count: int) -> dict[str, np.ndarray]:
        """Return the same as `steps`, without `index`.

        first: the first step, from 0.
        count: number of steps.
        """
        return {name: DRAWS[name](self, first, count) for name in self.draws}


@dataclass(frozen=True)
class Draw:
    """A kind of random decision that a function can ask for by name.

    purpose: the random stream of this draw. No other draw uses it.
    settings: attributes of a plan that the draw reads and that a method's YAML file sets.
    groups: config groups whose functions can ask for the draw.
    function: takes (plan, purpose, first, count) and returns an array [count, …].
    """

    purpose: Purpose
    settings: tuple[str, ...]
    groups: tuple[str, ...]
    function: Callable[[Plan, Purpose, int, int], np.ndarray]

    def __call__(self, plan: Plan, first: int, count: int) -> np.ndarray:
        return self.function(plan, self.purpose, first, count)


DRAWS: dict[str, Draw] = {}  # every draw that functions can ask for, by name


def draw(
    purpose: Purpose, settings: tuple[str, ...] = (), groups: tuple[str, ...] = ("method",)
) -> Callable[[Callable[..., np.ndarray]], Draw]:
    """Register a function in DRAWS under its own name.

    purpose: the random stream of the draw.
    settings: attributes of a plan that the draw reads and that a method's YAML file sets.
    groups: config groups whose functions can ask for the draw.
    Returns a decorator, which replaces the function by its `Draw`.
    Raises ValueError if the name or the purpose is already used.
    """

    def register(function: Callable[..., np.ndarray]) -> Draw:
        name = function.__name__
        if name in DRAWS or any(other.purpose == purpose for other in DRAWS.values()):
            raise ValueError(f"draw {name!r}: another draw already uses this name or the purpose {purpose.name}")
        DRAWS[name] = Draw(purpose, settings, groups, function)
        return DRAWS[name]

    return register


def draws_for(group: str) -> tuple[str, ...]:
    """Return the names of the draws that functions of a config group can ask for.

    group: config group, such as method.
    """
    return tuple(name for name, one in DRAWS.items() if group in one.groups)


def settings_read_by(names: Iterable[str]) -> set[str]:
    """Return the settings that the named draws read.

    names: names of draws.
    """
    return {setting for name in names for setting in DRAWS[name].settings}


def has_default(setting: str) -> bool:
    """Whether a plan has a default for a setting of draws; alpha and beta have none.

    setting: name of the setting.
    """
    return getattr(Plan, setting, None) is not None


def order(plan: Plan, first: int, count: int) -> np.ndarray:
    """int64 [count, B]: which images of the subset each batch holds.

    Consecutive permutations of the subset are cut into batches of exactly B images. A batch may run past the end of one
    permutation into the next, so every step has the same shape, even if n < B.

    plan: settings of the draws.
    first: the first step, from 0.
    count: number of steps.
    """
    return _order(plan.seed, plan.n, plan.batch_size, first, count).copy()


@lru_cache(maxsize=1)  # every draw looks up the protected images, and a permutation of 50,000 takes milliseconds
def _order(seed: int, n: int, batch_size: int, first: int, count: int) -> np.ndarray:
    start, stop = first * batch_size, (first + count) * batch_size
    first_epoch, last_epoch = start // n, (stop - 1) // n
    stream = random_words.permutations(seed, Purpose.ORDER, first_epoch, last_epoch - first_epoch + 1, n).reshape(-1)
    return stream[start - first_epoch * n :][: stop - start].reshape(count, batch_size).copy()


@draw(Purpose.SHIFT, groups=("method", "augment"))
def shift(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """int64 [count, B, 2]: top and left edge of each crop in the padded image, in pixels, uniform in 0 … 2·pad."""
    u = random_words.uniform(plan.seed, purpose, first, count, 2 * plan.batch_size)
    return (u * (2 * plan.pad + 1)).astype(np.int64).reshape(count, plan.batch_size, 2)


@draw(Purpose.MIRROR, groups=("method", "augment"))
def mirror(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """bool [count, B]: whether each image is flipped, with probability 1/2."""
    return random_words.uniform(plan.seed, purpose, first, count, plan.batch_size) < 0.5


@draw(Purpose.UNIFORMS, groups=("method", "augment"))
def uniforms(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B, 32]: uniform numbers in (0, 1) that an augmentation uses for its decisions on each image."""
    drawn = random_words.uniform(plan.seed, purpose, first, count, UNIFORMS * plan.batch_size)
    return drawn.reshape(count, plan.batch_size, UNIFORMS)


@draw(Purpose.CHAINS, groups=("augment",))
def chains(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B, 2, 34]: uniform numbers in (0, 1) for two views of each image, by chains of operations."""
    drawn = random_words.uniform(plan.seed, purpose, first, count, VIEWS * CHAIN_UNIFORMS * plan.batch_size)
    return drawn.reshape(count, plan.batch_size, VIEWS, CHAIN_UNIFORMS)


@draw(Purpose.PARTNER, settings=("partners",))
def partner(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """int64 [count, B]: a uniform permutation π of the batch; image i is mixed with image π(i).

    Protected images are their own partners, and π is uniform over the permutations of the others. With
    another value of `partners`, π is a permutation that respects the classes or groups as far as the batch allows.
    """
    drawn = _permutations(plan, purpose, first, count)
    of_images = plan.groups if plan.partners in partners.OF_GROUPS else plan.labels
    if plan.partners == "any" or of_images is None:
        return drawn
    labels = of_images[order(plan, first, count)]
    protected = np.broadcast_to(_protected(plan, first, count), drawn.shape)
    rearranged = partners.CHOICES[plan.partners]
    return np.stack([rearranged(*step) for step in zip(drawn, labels, protected, strict=True)])


def _permutations(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    if plan.protected is None:
        return random_words.permutations(plan.seed, purpose, first, count, plan.batch_size)
    keys = random_words.words(plan.seed, purpose, first, count, plan.batch_size)
    protected = _protected(plan, first, count)
    # Both sorts place the protected images last, in their original order. The others are matched in random order.
    places = np.argsort(protected, axis=1, kind="stable")
    keys[protected] = np.iinfo(np.uint64).max
    pi = np.empty_like(places)
    np.put_along_axis(pi, places, np.argsort(keys, axis=1, kind="stable"), axis=1)
    return pi


@draw(Purpose.APPLIED, settings=("p", "off_after"))
def applied(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """bool [count, B]: whether the method is applied. The batch has one chance p; protected images are always False."""
    coin = (random_words.uniform(plan.seed, purpose, first, count, 1) < plan.p) & _mixes(plan, first, count)
    return np.repeat(coin, plan.batch_size, axis=1) & ~_protected(plan, first, count)


@draw(Purpose.CHOSEN, settings=("p", "per_sample", "off_after"))
def chosen(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """bool [count, B]: like `applied`, except that with per_sample each image has its own chance p."""
    coin = (_scoped(plan, purpose, first, count) < plan.p) & _mixes(plan, first, count)
    return coin & ~_protected(plan, first, count)


@draw(Purpose.LAMBDA, settings=("alpha", "beta", "p", "per_sample", "off_after", "larger_own"))
def lam(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B]: λ ~ Beta(α, β), the image's own share; 1 for an image that is not mixed."""
    return _lambda(plan, purpose, first, count)


@draw(Purpose.CENTRE, settings=("per_sample",))
def centre(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """int64 [count, B, 2]: row and column of a pixel, uniform over the image."""
    return _pixel(plan, purpose, first, count)


@draw(Purpose.SOURCE_LAMBDA, settings=("alpha", "beta", "p", "per_sample", "off_after", "larger_own"))
def source_lam(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B]: like `lam`, drawn independently, for a second region: the one taken from the partner."""
    return _lambda(plan, purpose, first, count)


@draw(Purpose.SOURCE_CENTRE, settings=("per_sample",))
def source_centre(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """int64 [count, B, 2]: like `centre`, drawn independently, for a second region: the one taken from the partner."""
    return _pixel(plan, purpose, first, count)


@draw(Purpose.SIZE, settings=("per_sample",))
def size(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B]: position of a size between the method's bounds (0 lower, 1 upper), uniform in (0, 1)."""
    return _scoped(plan, purpose, first, count)


@draw(Purpose.PLACE, settings=("per_sample",))
def place(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B, 2]: position of a rectangle, from top to bottom and from left to right, uniform in (0, 1)."""
    return _scoped(plan, purpose, first, count, 2)


@draw(Purpose.SIDES, settings=("per_sample",))
def sides(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B, 2]: positions of a height and a width between the method's bounds, uniform in (0, 1)."""
    return _scoped(plan, purpose, first, count, 2)


@draw(Purpose.ATTEMPTS, settings=("per_sample",))
def attempts(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B, 10, 2]: uniform numbers in (0, 1) for the area and aspect ratio of ten rectangles.

    The method uses the first rectangle that fits.
    """
    drawn = _scoped(plan, purpose, first, count, 2 * ATTEMPTS)
    return drawn.reshape(count, plan.batch_size, ATTEMPTS, 2)


@draw(Purpose.NOISE, settings=("per_sample",))
def noise(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float32 [count, M, H, W // 2 + 1, 2]: standard normal noise for M masks.

    M is B with per_sample, else 1. The last axis holds the real and imaginary parts of complex noise on the half
    spectrum of an image.
    """
    masks = plan.batch_size if plan.per_sample else 1
    shape = (masks, plan.height, plan.width // 2 + 1, 2)
    u = random_words.uniform(plan.seed, purpose, first, count, int(np.prod(shape)))
    return ndtri(u).astype(np.float32).reshape(count, *shape)


@draw(Purpose.COIN, settings=("per_sample",))
def coin(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """bool [count, B]: a fair coin toss."""
    return _scoped(plan, purpose, first, count) < 0.5


@draw(Purpose.PICKS, settings=("per_sample",))
def picks(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B, 4]: four choices from lists of any length, as positions in (0, 1) along the lists."""
    return _scoped(plan, purpose, first, count, PICKS)


@draw(Purpose.LAYER)
def layer(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B]: which of the method's layers mixes, as a position in (0, 1) along their list."""
    drawn = random_words.uniform(plan.seed, purpose, first, count, 1)
    return np.repeat(drawn, plan.batch_size, axis=1)


@draw(Purpose.CHOICE, settings=("p", "per_sample", "off_after"))
def choice(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B]: which method of a mixture is used, as a position along their cumulative probabilities.

    These probabilities sum to 1. With probability 1 - p the value is above 1, which means no method.
    """
    with np.errstate(divide="ignore"):
        place = _scoped(plan, purpose, first, count) / plan.p
    return np.where(_mixes(plan, first, count), place, np.inf)


def _mixes(plan: Plan, first: int, count: int) -> np.ndarray:
    """bool [count, 1]: whether a step comes before the share `off_after` of the run."""
    steps = np.arange(first, first + count)[:, None]
    # The quotient is compared, not the product, for the same reason as in training/schedule.py.
    return np.ones_like(steps, dtype=bool) if plan.length is None else steps / plan.length < plan.off_after


def _lambda(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """float64 [count, B]: λ ~ Beta(α, β); 1 for an image that is not mixed."""
    u = random_words.uniform(plan.seed, purpose, first, count, plan.batch_size if plan.per_sample else 1)
    drawn = betaincinv(plan.alpha, plan.beta, u)
    if plan.larger_own:
        drawn = np.maximum(drawn, 1 - drawn)
    return np.where(applied(plan, first, count), drawn, 1.0)


def _pixel(plan: Plan, purpose: Purpose, first: int, count: int) -> np.ndarray:
    """int64 [count, B, 2]: row and column of a pixel, uniform over the image."""
    u = _scoped(plan, purpose, first, count, 2)
    return (u * (plan.height, plan.width)).astype(np.int64)


def _scoped(plan: Plan, purpose: Purpose, first: int, count: int, *size: int) -> np.ndarray:
    """float64 [count, B, *size], uniform in (0, 1): drawn for each image with per_sample, else once for the batch."""
    images = plan.batch_size if plan.per_sample else 1
    u = random_words.uniform(plan.seed, purpose, first, count, images * int(np.prod(size, dtype=int)))
    return np.broadcast_to(u.reshape(count, images, *size), (count, plan.batch_size, *size)).copy()


def _protected(plan: Plan, first: int, count: int) -> np.ndarray:
    """bool [count, B]: which images of each batch are protected; a single False if the plan protects none."""
    return np.array(False) if plan.protected is None else plan.protected[order(plan, first, count)]
