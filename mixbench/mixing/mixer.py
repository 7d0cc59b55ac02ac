"""The base classes of the modules: a method that makes its own draws for each batch, and a mixture of modules."""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any, ClassVar, Literal

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
from mixbench.mixing.operations import ROUNDING, cumulative_probabilities

OF_RUNS = ("off_after",)  # settings of draws that need to know how long a run is; a module does not
Partners = Literal["any", "same-class", "other-class"]
Pairs = Sequence[tuple[Tensor, Tensor | int]]  # (image, label) pairs, as a DataLoader passes them to its collate_fn


class Mixer(nn.Module):
    """A method with its options that makes its own draws for each batch. All modules are based on it.

    `mixed` returns everything that the method returns. Use `PairMixer` for methods that only change images and targets
    before the network sees them.

    function: a method, such as `label_mix` or a function of your own, decorated with `@method(…)`.
    num_classes: K; needed if labels are integers.
    generator: a NumPy or torch generator; each call takes one number from it. None: torch's global generator.
    values: settings of the function's draws (alpha, beta, p, per_sample, larger_own, partners) and its options.
    Raises ValueError for a value that does not fit and for a function with needs, which only a run provides; TypeError
        for an unknown or missing option. The function is tried on two small images.
    """

    spatial: ClassVar[bool] = True  # whether images must be [B, C, H, W]; otherwise they are [B, …]

    def __init__(
        self,
        function: Callable[..., Mixed],
        num_classes: int | None = None,
        generator: Generator | None = None,
        **values: Any,
    ):
        super().__init__()
        name, known = function.__name__, registry.options_of(function)
        settings = registry.settings_of(function) - {*OF_RUNS}
        for need in registry.declaration_of(function).needs:
            raise ValueError(f"{name} needs {need!r}, which a module cannot provide; train with mixbench run instead")
        for key in values:
            if key not in known and key not in settings:
                raise TypeError(f"{name}: {unknown('option', key, {*known, *settings})}")
        self.function, self.num_classes, self.generator = function, _checked_classes(num_classes), generator
        self.options = {key: value for key, value in values.items() if key in known}
        for key, value in self.options.items():
            drawing.check_kind(key, value, known[key].annotation)
            self.options[key] = tuple(value) if isinstance(value, list) else value
        self.given = {key: values.get(key, default) for key, default in DEFAULTS.items() if key in settings}
        self.settings = drawing.checked_settings(self.given)
        self._check(self._tried())

    def _tried(self) -> Mixed:
        """Return the result for two small images. Only the function knows which values its options can have."""
        images, targets = torch.zeros((2, 3, 8, 8) if self.spatial else (2, 8)), torch.eye(2)
        mixed = self._call(images, targets, np.random.default_rng(0))
        try:
            check_shapes(mixed, images, targets)
        except ValueError as error:
            raise ValueError(f"{self.function.__name__}: {error}") from error
        return mixed

    def _check(self, mixed: Mixed) -> None:
        """Raise ValueError if the module cannot return everything that the function returns."""

    def mixed(self, images: Tensor, labels: Tensor, protected: Tensor | None = None) -> Mixed:
        """Mix a batch.

        images: float [B, C, H, W], on any device.
        labels: int [B] in 0 … num_classes - 1, or label weights float [B, K].
        protected: bool [B], images that are not mixed and are not partners of other images. None: no such images.
        Returns everything that the method returns.
        Raises ValueError if an argument does not fit.
        """
        drawing.check_images(type(self).__name__, images, self.spatial)
        targets = drawing.label_weights(labels, self.num_classes, images)
        drawing.check_protected(protected, images)
        return self._call(images, targets, self.generator, protected)

    def _call(
        self, images: Tensor, targets: Tensor, generator: Generator | None, protected: Tensor | None = None
    ) -> Mixed:
        names = registry.draws_of(self.function)
        decided = {}
        if names:
            decided = drawing.draw_for_batch(names, images, targets, generator, protected, self.settings)
        return self.function(images, targets, **decided, **self.options)

    def extra_repr(self) -> str:
        values = {"num_classes": self.num_classes} | self.given | self.options
        return ", ".join(f"{key}={value!r}" for key, value in values.items())


class PairMixer(Mixer):
    """A module that takes images and labels and returns images and targets, before the network sees them.

    `PairMixer(halves, num_classes=10, left=0.25)` turns a method of your own into a module. The parameters are those of
    `Mixer`. Raises ValueError as well if the method returns weights, at_layer or after_forward.
    """

    def _check(self, mixed: Mixed) -> None:
        for name in ("weights", "at_layer", "after_forward"):
            if getattr(mixed, name) is not None:
                function = self.function.__name__
                raise ValueError(
                    f"{function} returns {name}, but PairMixer returns only images and targets; use "
                    f"Mixer({function}, …).mixed(images, labels)"
                )

    def forward(
        self, images: Tensor | Pairs, labels: Tensor | None = None, *, protected: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mix a batch.

        images: float [B, C, H, W]; or, without `labels`, a list of (image, label) pairs, which are stacked.
        labels: int [B], or label weights float [B, K].
        protected: bool [B], images that are not mixed and are not partners of other images. None: no such images.
        Returns images of the same shape and targets float [B, K].
        Raises ValueError if an argument does not fit.
        """
        images, labels = stacked(images, labels)
        mixed = self.mixed(images, labels, protected)
        return mixed.images, mixed.targets


def stacked(images: Tensor | Pairs, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return a batch as two tensors, images and labels.

    images: [B, …]; or, without `labels`, a list of (image, label) pairs.
    labels: [B] or [B, K].
    Raises ValueError if they are neither two tensors nor a list of pairs.
    """
    if isinstance(images, Tensor):
        if labels is None:
            raise ValueError("labels are missing: pass images and labels, or a list of (image, label) pairs")
        return images, labels
    if labels is not None:
        raise ValueError(
            f"images: has the type {type(images).__name__}, must be a torch tensor if labels are passed too"
        )
    if not isinstance(images, Sequence) or not images:
        raise ValueError(f"images={images!r}: must be a tensor, or a list of at least one (image, label) pair")
    of_pairs, their_labels = default_collate(list(images))
    return of_pairs, their_labels


def _checked_classes(num_classes: Any) -> int | None:
    """Return the number of classes as an int, or None. Raises ValueError for any other value."""
    if num_classes is None:
        return None
    if not isinstance(num_classes, Integral) or isinstance(num_classes, bool) or num_classes < 1:
        raise ValueError(f"num_classes={num_classes!r}: must be a whole number, 1 or more, or None")
    return int(num_classes)


class Mixture(nn.Module):
    """Apply one of several modules to each batch. `Mixture([MixUp(10), CutMix(10)])` is the usual recipe.

    mixers: the modules; each draws from its own generator.
    probabilities: one for each module, with a sum of at most 1; the rest is the probability of no mixing. None: equal.
    generator: for the choice of the module: a NumPy or torch generator. None: torch's global generator.
    Raises ValueError if the arguments do not fit together.
    """

    def __init__(
        self,
        mixers: Sequence[PairMixer],
        probabilities: Sequence[float] | None = None,
        *,
        generator: Generator | None = None,
    ):
        super().__init__()
        modules = list(mixers) if isinstance(mixers, Iterable) else []
        if not modules or not all(isinstance(module, PairMixer) for module in modules):
            given = textwrap.shorten(repr(mixers), 60)
            raise ValueError(
                f"mixers={given}: must be a list of modules, such as [MixUp(10), CutMix(10)], without ManifoldMixUp"
            )
        classes = [module.num_classes for module in modules]
        if len({*classes}) > 1:
            raise ValueError(f"num_classes of the modules are {classes}: must be equal")
        equal = [1 / len(modules)] * len(modules)
        shares = np.atleast_1d(np.array(equal if probabilities is None else probabilities, dtype=float))
        if shares.shape != (len(modules),) or not (shares >= 0).all() or shares.sum() > 1 + ROUNDING:
            raise ValueError(
                f"probabilities={shares.tolist()}: must be {len(modules)} numbers of 0 or more, one for each module, "
                "with a sum of at most 1"
            )
        self.mixers, self.generator = nn.ModuleList(modules), generator
        self.num_classes = classes[0]
        self.bounds = cumulative_probabilities(shares)

    def forward(
        self, images: Tensor | Pairs, labels: Tensor | None = None, *, protected: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mix a batch with the module that is drawn for it.

        images: float [B, C, H, W]; or, without `labels`, a list of (image, label) pairs, which are stacked.
        labels: int [B], or label weights float [B, K].
        protected: bool [B], images that are not mixed and are not partners of other images. None: no such images.
        Returns images of the same shape and targets float [B, K].
        Raises ValueError if an argument does not fit.
        """
        images, labels = stacked(images, labels)
        place = np.random.default_rng(drawing.next_seed(self.generator)).random()
        number = int(np.searchsorted(self.bounds, place, side="right"))
        if number == len(self.mixers):
            return images, drawing.label_weights(labels, self.num_classes, images)
        return self.mixers[number](images, labels, protected=protected)
