"""What the modules share: a method that draws for each batch by itself, and the choice of one of several."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from mixbench.core import registry
from mixbench.core.draw_settings import DEFAULTS
from mixbench.core.errors import unknown
from mixbench.mixing import drawing
from mixbench.mixing.checks import check_shapes
from mixbench.mixing.contract import Mixed
from mixbench.mixing.drawing import Generator
from mixbench.mixing.operations import ROUNDING, bounds

Pairs = Sequence[tuple[Tensor, Tensor | int]]  # of images and labels, as a DataLoader hands them to its collate_fn


class Mixer(nn.Module):
    """A method with its options that draws for each batch: what all modules here share.

    `mixed` gives all that the method returns. `PairMixer` is for methods that are done with the images before the
    network sees them.
    """

    spatial: ClassVar[bool] = True  # whether images must be [B, C, H, W]; otherwise [B, …]

    def __init__(
        self,
        function: Callable[..., Mixed],
        num_classes: int | None = None,
        generator: Generator | None = None,
        **values: Any,
    ):
        """function: a method, such as `label_mix` or one of your own, decorated with `@method(…)`.

        num_classes: K, needed where labels are integers.
        generator: of NumPy or torch, advanced by one number a call; None: torch's global one.
        values: settings of the function's draws (alpha, beta, p, per_sample), and its options.
        Raises ValueError for a value that does not fit, and for a function with needs, which only a run serves;
        TypeError for an unknown or missing option. The function is tried on two small images.
        """
        super().__init__()
        name, known, settings = function.__name__, registry.options_of(function), registry.settings_of(function)
        for need in registry.declaration_of(function).needs:
            raise ValueError(
                f"{name} needs {need!r}, which a run provides; a module cannot: train it with mixbench run"
            )
        for key in values:
            if key not in known and key not in settings:
                raise TypeError(f"{name}: {unknown('option', key, {*known, *settings})}")
        self.function, self.num_classes, self.generator = function, checked_classes(num_classes), generator
        self.options = {key: value for key, value in values.items() if key in known}
        for key, value in self.options.items():
            drawing.check_kind(key, value, known[key].annotation)
            self.options[key] = tuple(value) if isinstance(value, list) else value
        self.given = {key: values.get(key, default) for key, default in DEFAULTS.items() if key in settings}
        self.settings = drawing.checked_settings(self.given)
        self._check(self._tried())

    def _tried(self) -> Mixed:
        """What the function makes of two small images: which values its options may have is the function's to know."""
        images, targets = torch.zeros((2, 3, 8, 8) if self.spatial else (2, 8)), torch.eye(2)
        mixed = self._call(images, targets, np.random.default_rng(0))
        try:
            check_shapes(mixed, images, targets)
        except ValueError as error:
            raise ValueError(f"{self.function.__name__}: {error}") from error
        return mixed

    def _check(self, mixed: Mixed) -> None:
        """Raises ValueError where the module could not hand on what the function returns."""

    def mixed(self, images: Tensor, labels: Tensor, protected: Tensor | None = None) -> Mixed:
        """The mixed batch with all that the method returns.

        images: float [B, C, H, W], on any device.
        labels: int [B] in 0 … num_classes - 1, or label weights float [B, K].
        protected: bool [B], images that are not mixed and serve no other as partner.
        Raises ValueError where they do not fit.
        """
        drawing.check_images(type(self).__name__, images, self.spatial)
        targets = drawing.label_weights(labels, self.num_classes, images)
        drawing.check_protected(protected, images)
        return self._call(images, targets, self.generator, protected)

    def _call(
        self, images: Tensor, targets: Tensor, generator: Generator | None, protected: Tensor | None = None
    ) -> Mixed:
        names = registry.draws_of(self.function)
        decided = drawing.draw(names, images, generator, protected, self.settings) if names else {}
        return self.function(images, targets, **decided, **self.options)

    def extra_repr(self) -> str:
        values = {"num_classes": self.num_classes} | self.given | self.options
        return ", ".join(f"{key}={value!r}" for key, value in values.items())


class PairMixer(Mixer):
    """A method that is done with the images before the network sees them: images and labels in, images and targets out.

    `PairMixer(halves, num_classes=10, left=0.25)` makes a module of a method of your own.
    """

    def _check(self, mixed: Mixed) -> None:
        for name in ("weights", "at_layer", "after_forward"):
            if getattr(mixed, name) is not None:
                told = f"{self.function.__name__} returns {name}, which images and targets cannot tell"
                raise ValueError(f"{told}; use Mixer({self.function.__name__}, …).mixed(images, labels)")

    def forward(
        self, images: Tensor | Pairs, labels: Tensor | None = None, *, protected: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mixed images and targets.

        images: float [B, C, H, W]; or, without `labels`, a list of (image, label) pairs, which are stacked.
        labels: int [B], or label weights float [B, K].
        protected: bool [B], images that are not mixed and serve no other as partner.
        Returns images of the same shape, and targets float [B, K].
        Raises ValueError where they do not fit.
        """
        images, labels = stacked(images, labels)
        mixed = self.mixed(images, labels, protected)
        return mixed.images, mixed.targets


def stacked(images: Tensor | Pairs, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """A batch as two tensors: it is one already, or a list of (image, label) pairs without `labels`."""
    if isinstance(images, Tensor):
        if labels is None:
            raise ValueError("labels are missing: give images and labels, or a list of (image, label) pairs")
        return images, labels
    if labels is not None:
        raise ValueError(f"images are of type {type(images).__name__}: must be a torch tensor, as labels are given too")
    if not isinstance(images, Sequence) or not images:
        raise ValueError(f"images are {images!r}: must be a tensor, or a list of one (image, label) pair or more")
    of_pairs, their_labels = default_collate(list(images))
    return of_pairs, their_labels


def checked_classes(num_classes: Any) -> int | None:
    """Raises ValueError where the number of classes is none."""
    if num_classes is None:
        return None
    if not isinstance(num_classes, Integral) or isinstance(num_classes, bool) or num_classes < 1:
        raise ValueError(f"num_classes={num_classes!r}: must be a whole number of 1 or more, or None")
    return int(num_classes)


class Mixture(nn.Module):
    """One of several modules for each batch: `Mixture([MixUp(10), CutMix(10)])` is the usual recipe."""

    def __init__(
        self,
        mixers: Sequence[PairMixer],
        probabilities: Sequence[float] | None = None,
        *,
        generator: Generator | None = None,
    ):
        """mixers: the modules; each draws from its own generator.

        probabilities: one for each module; None: equal. With what they leave to 1 the batch stays as it is.
        generator: for the choice, as in every module.
        Raises ValueError where they do not fit together.
        """
        super().__init__()
        of_mixers = list(mixers) if isinstance(mixers, Iterable) else []
        if not of_mixers or not all(isinstance(one, PairMixer) for one in of_mixers):
            told = textwrap.shorten(repr(mixers), 60)
            raise ValueError(f"mixers are {told}: must be modules such as [MixUp(10), CutMix(10)]; no ManifoldMixUp")
        classes = [one.num_classes for one in of_mixers]
        if len({*classes}) > 1:
            raise ValueError(f"num_classes of the modules are {classes}: must be the same for all")
        equal = [1 / len(of_mixers)] * len(of_mixers)
        shares = np.atleast_1d(np.array(equal if probabilities is None else probabilities, dtype=float))
        if shares.shape != (len(of_mixers),) or not (shares >= 0).all() or shares.sum() > 1 + ROUNDING:
            raise ValueError(
                f"probabilities {shares.tolist()}: must be one of 0 or more for each of {len(of_mixers)} modules, with "
                "a sum of at most 1"
            )
        self.mixers, self.generator = nn.ModuleList(of_mixers), generator
        self.num_classes = classes[0]
        self.bounds = bounds(shares)

    def forward(
        self, images: Tensor | Pairs, labels: Tensor | None = None, *, protected: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `PairMixer.forward`, of the module that is drawn for this batch."""
        images, labels = stacked(images, labels)
        place = np.random.default_rng(drawing.seed(self.generator)).random()
        number = int(np.searchsorted(self.bounds, place, side="right"))
        if number == len(self.mixers):
            return images, drawing.label_weights(labels, self.num_classes, images)
        return self.mixers[number](images, labels, protected=protected)
