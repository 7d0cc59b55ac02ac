"""The contract of a mixing method: what it declares, what it is given, and what it returns.

A method is a function `f(images, targets, *, …)` decorated with `@method(draws=…, needs=…)`. Its keyword-only
parameters are the declared draws, the declared needs, and its options, which its YAML file sets. It returns `Mixed`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from mixbench.core import registry
from mixbench.core.errors import UserError

Function = TypeVar("Function", bound=Callable[..., "Mixed"])
AtLayer = Callable[[str, Tensor], Tensor]

# What a method can ask for beyond the batch and its draws, and what it gets under that name.
NEEDS = {
    "input_gradient": "Gradient: of the loss of the batch before mixing, with respect to its images",
    "attention": "a function (images [N, C, H, W], targets [N, K]) -> [N, 1, h, w], maps that sum to 1",
    "teacher": "a function images [N, C, H, W] -> logits [N, K], of a network that is not trained",
    "generated": "float [B, C, H, W], a generated image for each image of the batch, normalised as the batch is",
}

PROVIDED = ("teacher", "generated")  # of NEEDS, what the caller of a training brings; the engine computes the others


@dataclass(frozen=True)
class Outputs:
    """What the network made of the mixed images, for `Mixed.after_forward`; without gradients.

    logits: float [R, K].
    attention: for methods that need it, a function of targets [R, K]: the attention of the mixed images [R, 1, h, w].
    """

    logits: Tensor
    attention: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Mixed:
    """What a method makes of a batch of B images.

    images: float [R, C, H, W]; R is B, or a multiple of B where the method returns more rows than it was given.
    targets: float [R, K], label weights; each row sums to 1.
    own: float [R, 1, H, W], or [R, 1, 1, 1] for the whole image: the share of each pixel that is the image's own,
        0 to 1; None where the method cannot say.
    at_layer: (name, features) -> features, what the network's layer of that name hands on in place of its features
        [R, …]; None where only images are mixed. It returns the features of every other layer as they are.
    after_forward: Outputs -> targets [R, K], where the targets are known only after the forward pass; `targets` are
        then those before it.
    weights: float [R], a factor for the loss of each row; the loss is the mean over the rows. None: 1 for all.
    """

    images: Tensor
    targets: Tensor
    own: Tensor | None = None
    at_layer: AtLayer | None = None
    after_forward: Callable[[Outputs], Tensor] | None = None
    weights: Tensor | None = None


@dataclass(frozen=True)
class Gradient:
    """The gradient of a loss with respect to images.

    values: float [B, C, H, W]; the gradient of the mean loss of the batch, times B, so that it does not depend on B.
    """

    values: Tensor

    @property
    def magnitudes(self) -> Tensor:
        """float [B, 1, H, W]: the root mean square over the channels (PuzzleMix, Kim et al. 2020, section 4)."""
        return self.values.square().mean(dim=1, keepdim=True).sqrt()


class Context(Protocol):
    """What serves the needs of the methods for one batch; `training/context.py` does it in training."""

    def serve(self, need: str, images: Tensor, targets: Tensor) -> Any:
        """What NEEDS promises under that name, for the batch before mixing.

        images: float [B, C, H, W]. targets: float [B, K].
        Raises UserError where it cannot be had.
        """
        ...


class NoContext:
    """Serves nothing: for methods that need nothing."""

    def serve(self, need: str, images: Tensor, targets: Tensor) -> Any:
        raise unserved(need)


class StandIns:
    """Serves numbers of the right shapes, without a network: to try a method before anything is loaded."""

    def serve(self, need: str, images: Tensor, targets: Tensor) -> Any:
        if need == "input_gradient":
            return Gradient(images.detach().cos())
        if need == "attention":
            return lambda images, targets: images.new_full((len(images), 1, 2, 2), 0.25)
        if need == "teacher":
            return lambda images: images.new_zeros(len(images), targets.shape[1])
        return images.detach().flip(2)


def unserved(need: str) -> UserError:
    """The error for a need that nothing serves."""
    told = f"the method needs {need!r}, and nothing here provides it; {need!r} is {NEEDS[need]}; "
    if need not in PROVIDED:
        return UserError(f"{told}a run provides it")
    where = f"mixbench.training.loop.train(providers=Providers({need}=…))"
    return UserError(f"{told}a command cannot provide it, only Python code can: {where}")


def method(
    draws: Sequence[str] = (), needs: Sequence[str] = (), layers: str | None = None
) -> Callable[[Function], Function]:
    """Declare a function to be a mixing method.

    draws: names of core.draws.DRAWS; the function gets each as a keyword, an array [B, …].
    needs: names of NEEDS; the function gets each as a keyword.
    layers: name of the option that lists the network's layers at which the method mixes, where it has one; the names
        are then checked against the network's.
    Returns the function itself: every other keyword-only parameter is an option, whatever its name.
    Raises ValueError where a draw or need is unknown, or the function does not take it, and TypeError without
    parentheses or where the names are no sequence.
    """
    if callable(draws):
        raise TypeError("@method needs parentheses: @method(), or @method(draws=(…))")
    for key, names in (("draws", draws), ("needs", needs)):
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise TypeError(f"@method: {key}={names!r}: must be a sequence of names, as in {key}=({str(names)!r},)")

    def declare(function: Function) -> Function:
        registry.declare(function, tuple(draws), tuple(needs), NEEDS, layers)
        return function

    return declare


def whole(images: Tensor, share: Tensor | float = 1.0) -> Tensor:
    """[B, 1, 1, 1], as `own` of a whole image. share: number, or [B]."""
    share = torch.as_tensor(share, dtype=images.dtype, device=images.device)
    return share.expand(len(images)).view(-1, 1, 1, 1)
