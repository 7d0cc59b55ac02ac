"""The contract of a mixing method: what it declares, what it gets and what it returns.

A method is a function `f(images, targets, *, …)` decorated with `@method(draws=…, needs=…)`. Its keyword-only
parameters are its declared draws, its declared needs, and its options. Its YAML file sets the options. It returns
`Mixed`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from mixbench.core import registry
from mixbench.core.errors import UserError

Function = TypeVar("Function", bound=Callable[..., "Mixed"])
AtLayer = Callable[[str, Tensor], Tensor]
Maps = Callable[[Tensor, Tensor], Tensor]  # the needs "attention" and "class_activation"

# What a method can ask for in addition to the batch and its draws, and what it gets as the keyword of that name.
NEEDS = {
    "input_gradient": "a Gradient, of the loss of the batch before mixing with respect to its images",
    "attention": "a function (images [N, C, H, W], targets [N, K]) -> [N, 1, h, w], maps that each sum to 1",
    "class_activation": "a function (images [N, C, H, W], targets [N, K]) -> [N, 1, h, w], evidence for the labels",
    "teacher": "a Teacher: a network that is not changed, with its logits and maps of images",
    "generated": "a Generated, variants of each image of the batch and fractals, from a bank of mixbench generate",
}


@dataclass(frozen=True)
class Outputs:
    """The network's outputs for the mixed images, without gradients. `Mixed.after_forward` gets them.

    logits: float [R, K].
    attention: takes targets [R, K] and returns the attention of the mixed images [R, 1, h, w]. None: the method does
        not need attention.
    """

    logits: Tensor
    attention: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Mixed:
    """The result of a method for a batch of B images.

    images: float [R, C, H, W]. R is B, or a multiple of B if the method returns more rows than it got.
    targets: float [R, K], label weights; each row sums to 1.
    own: float [R, 1, H, W], or [R, 1, 1, 1] for the whole image, 0 to 1: the share of each pixel that comes from the
        image itself. None: the method cannot tell.
    at_layer: takes (name, features [R, …]) of a layer and returns the features that replace them. It returns the
        features of all other layers unchanged. None: only images are mixed.
    after_forward: takes Outputs and returns targets [R, K], for methods whose targets are known only after the forward
        pass. `targets` are then the targets before it. None: `targets` are final.
    weights: float [R], a factor for the loss of each row; the loss is the mean over the rows. None: 1 for all rows.
    stages: name -> float [R, C, H, W], images on the way from the image to the result, in order, for the gallery. None:
        there is nothing to show.
    """

    images: Tensor
    targets: Tensor
    own: Tensor | None = None
    at_layer: AtLayer | None = None
    after_forward: Callable[[Outputs], Tensor] | None = None
    weights: Tensor | None = None
    stages: Mapping[str, Tensor] | None = None


@dataclass(frozen=True)
class Generated:
    """Images that were generated before training, from a bank of `mixbench generate`.

    Both functions take float [B] in (0, 1), a position along the list for each image of the batch, and return float
    [B, C, H, W], normalised like the batch.

    variants: a variant of each image, from its own list. It is augmented like the image.
    fractals: fractals from the bank's list, the same for all images.
    """

    variants: Callable[[Tensor], Tensor]
    fractals: Callable[[Tensor], Tensor]


class Gradient:
    """The gradient of a loss with respect to the images.

    values: float [B, C, H, W], B times the gradient of the batch's mean loss, so that it does not depend on B; or a
        function that computes it when it is first read, since not every batch of a method needs it.
    """

    def __init__(self, values: Tensor | Callable[[], Tensor]):
        self._given = values

    @cached_property
    def values(self) -> Tensor:
        """float [B, C, H, W], B times the gradient of the batch's mean loss."""
        return self._given if isinstance(self._given, Tensor) else self._given()

    @property
    def magnitudes(self) -> Tensor:
        """float [B, 1, H, W]: the root mean square over the channels.

        Source: PuzzleMix, Kim et al. 2020, section 4.
        """
        return self.values.square().mean(dim=1, keepdim=True).sqrt()


class Teacher(Protocol):
    """A network whose predictions or maps of images a method uses. It does not change, and nothing has a gradient."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return logits [N, K] of normalised images float [N, C, H, W]."""
        ...

    def attention(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the attention, float [N, 1, h, w]; each map sums to 1.

        images: float [N, C, H, W], normalised.
        targets: float [N, K], label weights.
        """
        ...

    def class_activation(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the evidence for the labels at each place, float [N, 1, h, w], of any sign.

        images: float [N, C, H, W], normalised.
        targets: float [N, K], label weights.
        """
        ...

    def activation(self, images: Tensor, targets: Tensor) -> Tensor:
        """Return the mean of the last features over their channels, float [N, 1, h, w].

        images: float [N, C, H, W], normalised.
        targets: float [N, K]; not used.
        """
        ...


class Context(Protocol):
    """Provides the needs of methods for one batch. In training, `training/context.py` does so."""

    def serve(self, need: str, images: Tensor, targets: Tensor, key: str = "method") -> Any:
        """Return what a method gets for a need, as described in NEEDS.

        need: a name from NEEDS.
        images: float [B, C, H, W], before mixing.
        targets: float [B, K], before mixing.
        key: the method's key in the configuration; the methods of a mixture can have different banks.
        Raises UserError if the need cannot be provided.
        """
        ...


class NoContext(Context):
    """Provides nothing, for methods without needs."""

    def serve(self, need: str, images: Tensor, targets: Tensor, key: str = "method") -> Any:
        raise unserved(need)


class StandInTeacher(Teacher):
    """A teacher without a network. It remembers which maps it was asked for.

    asked: names of its methods that were called.
    """

    def __init__(self):
        self.asked: set[str] = set()
        self.classes = 0  # of the batch, set by StandIns

    def __call__(self, images: Tensor) -> Tensor:
        return images.new_zeros(len(images), self.classes)

    def attention(self, images: Tensor, targets: Tensor) -> Tensor:
        return self._even("attention", images)

    def class_activation(self, images: Tensor, targets: Tensor) -> Tensor:
        return self._even("class_activation", images)

    def activation(self, images: Tensor, targets: Tensor) -> Tensor:
        self.asked.add("activation")
        return F.adaptive_avg_pool2d(images.detach().float().mean(dim=1, keepdim=True), 3)

    def _even(self, kind: str, images: Tensor) -> Tensor:
        self.asked.add(kind)
        return images.new_full((len(images), 1, 2, 2), 0.25)


class StandIns(Context):
    """Provides values of the right shapes without a network, to try a method before anything is loaded."""

    def __init__(self):
        self.teacher = StandInTeacher()

    def serve(self, need: str, images: Tensor, targets: Tensor, key: str = "method") -> Any:
        self.teacher.classes = targets.shape[1]
        if need == "input_gradient":
            return Gradient(images.detach().float().cos())
        if need in ("attention", "class_activation"):
            return lambda images, targets: images.new_full((len(images), 1, 2, 2), 0.25)
        if need == "teacher":
            return self.teacher
        return Generated(lambda position: images.detach().flip(2), lambda position: torch.zeros_like(images))


def unserved(need: str) -> UserError:
    """Return the error for a need that nothing provides.

    need: a name from NEEDS.
    """
    problem = f"the method needs {need!r} ({NEEDS[need]}), and nothing provides it here; "
    if need == "generated":
        return UserError(f"{problem}make a bank with mixbench generate and set method.bank=FOLDER")
    if need != "teacher":
        return UserError(f"{problem}train it with mixbench run")
    where = f"mixbench.training.loop.train(providers=Providers({need}=…))"
    return UserError(f"{problem}provide it in Python with {where}")


def method(
    draws: Sequence[str] = (),
    needs: Sequence[str] = (),
    layers: str | None = None,
    backends: Sequence[str] = (),
) -> Callable[[Function], Function]:
    """Declare that a function is a mixing method.

    draws: names from core.draws.DRAWS. The function gets each as a keyword argument, a tensor [B, …].
    needs: names from NEEDS. The function gets each as a keyword argument.
    layers: name of the option that lists the network's layers at which the method mixes. These names are checked
        against the network's layers. None: the method has no such option.
    backends: for the need `generated`, the backends of `mixbench generate` whose banks the method takes. None named:
        those of every backend.
    Returns a decorator that returns the function itself. Its other keyword-only parameters are options.
    Raises ValueError if a draw or need is unknown or is not a keyword-only parameter of the function, and TypeError if
        the parentheses are missing or the names are not a sequence.
    """
    if callable(draws):
        raise TypeError("@method needs parentheses: @method(), or @method(draws=(…))")
    for key, names in (("draws", draws), ("needs", needs), ("backends", backends)):
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise TypeError(f"@method: {key}={names!r}: must be a sequence of names, as in {key}=({str(names)!r},)")

    def declare(function: Function) -> Function:
        registry.declare(function, tuple(draws), tuple(needs), NEEDS, layers, backends=tuple(backends))
        return function

    return declare


def unmixed(images: Tensor, targets: Tensor) -> Mixed:
    """Return a batch that is not mixed. Methods that ask a network return it early, so as not to ask in vain.

    images: float [B, C, H, W].
    targets: float [B, K].
    """
    return Mixed(images, targets, own=torch.ones_like(images[:, :1]))


def whole(images: Tensor, share: Tensor | float = 1.0) -> Tensor:
    """Return `own` [B, 1, 1, 1] for images that are mixed as a whole.

    images: float [B, …].
    share: each image's own share, a number or [B].
    """
    share = torch.as_tensor(share, dtype=images.dtype, device=images.device)
    return share.expand(len(images)).view(-1, 1, 1, 1)
