"""What the modules share: a method that draws for each batch by itself, and the choice of one of several."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn
from torch.utils.data import default_collate

from mixbench.core import registry
from mixbench.mixing import drawing
from mixbench.mixing.contract import Mixed
from mixbench.mixing.drawing import Generator

Pairs = Sequence[tuple[Tensor, Tensor | int]]  # of images and labels, as a DataLoader hands them to its collate_fn


class Mixer(nn.Module):
    """A method with its options that draws for each batch: what all modules here share."""

    spatial: ClassVar[bool] = True  # whether images must be [B, C, H, W]; otherwise [B, …]

    def __init__(
        self, function: Callable[..., Mixed], num_classes: int | None, generator: Generator | None, **values: Any
    ):
        """values: settings of the function's draws, and its options. Raises ValueError for one that does not fit."""
        super().__init__()
        self.function, self.num_classes, self.generator = function, num_classes, generator
        known = registry.options_of(function)
        self.options = {key: value for key, value in values.items() if key in known}
        for key, value in self.options.items():
            drawing.check_kind(key, value, known[key].annotation)
        self.given = {key: value for key, value in values.items() if key not in known}
        self.settings = drawing.checked_settings(self.given)

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
        names = registry.draws_of(self.function)
        decided = drawing.draw(names, images, self.generator, protected, self.settings) if names else {}
        return self.function(images, targets, **decided, **self.options)

    def extra_repr(self) -> str:
        values = {"num_classes": self.num_classes} | self.given | self.options
        return ", ".join(f"{key}={value!r}" for key, value in values.items())


class PairMixer(Mixer):
    """A method that is done with the images before the network sees them."""

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
    of_pairs, their_labels = default_collate(list(images))
    return of_pairs, their_labels


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
        if not mixers or not all(isinstance(one, PairMixer) for one in mixers):
            raise ValueError(f"mixers are {mixers}: must be modules such as [MixUp(10), CutMix(10)]; no ManifoldMixUp")
        shares = np.array([1 / len(mixers)] * len(mixers) if probabilities is None else probabilities, dtype=float)
        if len(shares) != len(mixers) or not (shares >= 0).all() or shares.sum() > 1 + 1e-6:
            raise ValueError(
                f"probabilities {shares.tolist()}: must be one of 0 or more for each of {len(mixers)} modules, with a "
                "sum of at most 1"
            )
        self.mixers, self.generator = nn.ModuleList(mixers), generator
        self.num_classes = mixers[0].num_classes
        self.bounds = shares.cumsum()
        if abs(self.bounds[-1] - 1) < 1e-6:
            self.bounds[-1] = 1.0  # whatever the sum was rounded to

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
