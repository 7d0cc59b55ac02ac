"""The samples of a gallery: a few images mixed by one method, with their label weights and masks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixbench import data
from mixbench.augment import AUGMENTS
from mixbench.config.identity import Job
from mixbench.core.draw_settings import always_mixing
from mixbench.core.draws import Plan
from mixbench.core.own_signatures import configured
from mixbench.mixing.contract import Mixed
from mixbench.mixing.rows import Counting
from mixbench.mixing.runner import NO_CONTEXT, build_method, input_only
from mixbench.training.engine import Engine
from mixbench.training.losses import one_hot

PAIRS = 2  # pairs of images
TRIED_LAMBDAS = (0.25, 0.75)  # their pictures differ if pictures depend on λ
LONGEST_NAME = 12  # letters of a class name; longer names would overlap the next caption


@dataclass(frozen=True)
class Picture:
    """One mixed image.

    image: float [H, W, C], from 0 to 1.
    label: label of the first image.
    weights: float [K], weights of the labels.
    own: float [H, W], share of each pixel that comes from the first image; None if the method does not define it.
    stages: name -> float [H, W, C], images on the way to the result, in order; empty if the method shows none.
    """

    image: np.ndarray
    label: int
    weights: np.ndarray
    own: np.ndarray | None
    stages: Mapping[str, np.ndarray] = field(default_factory=dict)


class Samples:
    """Pairs of images, of different classes if possible, and the pictures that one method makes from them.

    job: the job of a run with the method.
    images: the images.
    """

    def __init__(self, job: Job, images: data.Split):
        self.cfg, self.split = job.cfg, images
        self.note = ""  # text that readers see beside the method's name
        self.name = job.display_name
        # Always mix, because unmixed images show nothing; and mix images, because features cannot be shown.
        self.method = build_method(input_only(_always(self.cfg.method)))
        self.augment = configured("augment", AUGMENTS, self.cfg.augment)
        self.index = torch.from_numpy(_pairs(images.train_labels))
        height, width = images.train_images.shape[1:3]
        pad = self.augment.options.get("pad", 0)
        size = len(self.index)
        self.plan = Plan(self.cfg.seed, size, size, height, width, draws=self.augment.draws, pad=pad)

    @property
    def by_network(self) -> bool:
        """Whether the method declares a need, which the engine provides with an untrained network."""
        return any(single.function.needs for single in self.method.singles().values())

    @cached_property
    def asks_network(self) -> bool:
        """Whether the pictures depend on a network's answer. A need that is declared but not read does not count."""
        decided, counting = self._decisions(0), Counting()
        mixed = self.method(*self._batch(decided), decided, counting)
        return counting.rows > 0 or mixed.after_forward is not None

    @cached_property
    def has_lambda(self) -> bool:
        """Whether the method uses a λ from the plan, and the picture depends on it. Some options replace λ."""
        if "lam" not in self.method.drawn(self.plan, 0, 1):
            return False
        few, many = (self.picture(lam=lam) for lam in TRIED_LAMBDAS)
        return not np.array_equal(few.image, many.image) or not np.array_equal(few.weights, many.weights)

    @property
    def mixed_share(self) -> float:
        """Probability that a run mixes an image. All pictures show mixed images."""
        method = self.cfg.method
        shares = zip(method.get("probabilities") or [1.0], (method.get("parts") or {"": {}}).values(), strict=True)
        return method.get("p", 1.0) * sum(share * part.get("p", 1.0) for share, part in shares)

    @property
    def mixes_apart(self) -> bool:
        """Whether a run decides for each image, not for each batch, whether to mix it."""
        decided = self.method.drawn(self.plan, 0, 1)
        return bool(self.cfg.method.get("per_sample")) and not {"chosen", "part"}.isdisjoint(decided)

    def originals(self) -> list[Picture]:
        """Return both images of the first pair, neither augmented nor mixed."""
        images, targets = self._batch()
        whole = np.ones(images.shape[2:])
        return [Picture(self._visible(images[i]), self._label(i), targets[i].numpy(), whole) for i in (0, 1)]

    def picture(self, pair: int = 0, draw: int = 0, lam: float | None = None) -> Picture:
        """Return the first image of a pair, mixed with the second.

        pair: number of the pair.
        draw: step whose random draws are used.
        lam: λ to use instead of the drawn one. Regions are then in the middle, so that the edge does not clip them.
        """
        decided = self._decisions(draw)
        if lam is not None:
            decided["lam"] = torch.full_like(decided["lam"], lam)
            if "centre" in decided:
                middle = torch.tensor([self.plan.height // 2, self.plan.width // 2])
                decided["centre"] = middle.expand_as(decided["centre"])
            if "place" in decided:
                decided["place"] = torch.full_like(decided["place"], 0.5)
        images, targets = self._batch(decided)
        mixed, weights = self._mixed(images, targets, decided)
        first = 2 * pair + len(mixed.images) - len(images)  # with more rows, the last ones are the mixed ones
        own = None if mixed.own is None else mixed.own[first, 0].expand(images.shape[2:]).numpy()
        stages = {name: self._visible(images[first]) for name, images in (mixed.stages or {}).items()}
        return Picture(self._visible(mixed.images[first]), self._label(2 * pair), weights[first].numpy(), own, stages)

    @cached_property
    def engine(self) -> Engine:
        """An engine with the untrained network of a run, for methods that use a network."""
        return Engine(self.cfg, self.split, torch.device("cpu"), torch.float64)

    def _mixed(self, images: Tensor, targets: Tensor, decided: Mapping[str, Tensor]) -> tuple[Mixed, Tensor]:
        """Return the mixed batch and its targets."""
        context = self.engine.context({**decided, "index": self.index}) if self.by_network else NO_CONTEXT
        mixed = self.method(images, targets, decided, context)
        return mixed, mixed.targets if mixed.after_forward is None else self.engine.outputs(mixed)[1]

    def _label(self, place: int) -> int:
        return int(self.split.train_labels[self.index[place]])

    def _decisions(self, draw: int) -> dict[str, Tensor]:
        drawn = self.plan.drawn(draw, 1) | self.method.drawn(self.plan, draw, 1)
        decided = {name: torch.from_numpy(values[0]) for name, values in drawn.items()}
        swapped = torch.arange(len(self.index)).view(-1, 2).flip(1).flatten()  # each is the other's partner
        return {name: swapped if name.endswith("partner") else value for name, value in decided.items()}

    def _batch(self, decided: Mapping[str, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(self.split.train_images)[self.index].permute(0, 3, 1, 2)
        images = (images if decided is None else self.augment(images, decided=decided)).double() / 255
        labels = torch.from_numpy(self.split.train_labels)[self.index]
        targets = one_hot(labels, self.split.num_classes, self.cfg.loss.label_smoothing, images.dtype)
        return (images - _channels(self.split.mean)) / _channels(self.split.std), targets

    def _visible(self, image: Tensor) -> np.ndarray:
        scaled = image * _channels(self.split.std) + _channels(self.split.mean)
        return scaled.clamp(0, 1).permute(1, 2, 0).numpy()

    def caption(self, picture: Picture) -> str:
        """Return the label weights of a picture as text, the label of the first image first.

        picture: a mixed image.
        Returns one or two lines, such as `cat: 0.70`. Weights below 0.005 are left out.
        """
        weights = picture.weights
        names = self.cfg.dataset.classes or [f"class {k}" for k in range(len(weights))]
        shown = [k for k in np.argsort(-weights).tolist() if weights[k] >= 0.005]
        own_first = sorted(shown[:2], key=lambda k: k != picture.label)
        return "\n".join(f"{_short(names[k])}: {weights[k]:.2f}" for k in own_first)


def _always(method: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the config group `method` that mixes every batch."""
    copy = always_mixing(method)
    if "parts" in copy:
        copy["parts"] = {name: _always(part) for name, part in copy["parts"].items()}
    return copy


def _pairs(labels: np.ndarray) -> np.ndarray:
    """Return indices int [2 PAIRS] of images. The images of a pair have different classes if possible."""
    free, chosen = list(range(len(labels))), []
    while len(chosen) < 2 * PAIRS and len(free) >= 2:
        first = free.pop(0)
        other = next((i for i in free if labels[i] != labels[first]), free[0])
        free.remove(other)
        chosen += [first, other]
    return np.array(chosen or [0, 0])


def _short(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 6]}…{name[-5:]}"


def _channels(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values)[:, None, None]
