"""The invariants of mixing methods, checked by calling a method; what it breaks is described in words."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixbench.core.draws import Plan
from mixbench.mixing.contract import Context, Mixed, Outputs, StandIns
from mixbench.mixing.runner import Method, build

SHAPES = ((6, 3, 16, 16), (1, 3, 16, 16), (5, 1, 12, 20))  # of images that a method is tried on, [B, C, H, W]
CLASSES, STEPS, N = 4, 3, 100
SLACK = 1e-4  # of sums and colours, for rounding
PROTECTED = np.arange(N) % 3 == 0


@dataclass(frozen=True)
class Trial:
    """One call of a method: what it was given and what it made of it."""

    method: Method
    images: Tensor
    targets: Tensor
    decided: Mapping[str, Tensor]
    context: Context

    def __call__(self, images: Tensor | None = None) -> Mixed:
        """The mixed batch; images: in place of the trial's."""
        return self.method(self.images if images is None else images, self.targets, self.decided, self.context)

    @property
    def rows(self) -> int:
        return len(self.images)


def violations(cfg: Mapping[str, Any], context: Context | None = None) -> list[str]:
    """The invariants that a method breaks, one sentence each; empty if it keeps them all.

    cfg: a validated group `method`.
    context: serves what the method needs; None: stand-ins of the right shapes.
    """
    context = context or StandIns()
    found: dict[str, str] = {}
    for one in _variants(cfg):
        method = build(one)
        for shape in SHAPES:
            for trial in _trials(method, shape, context):
                _collect(found, ALWAYS, trial, shape)
            for trial in _trials(method, shape, context, protected=PROTECTED):
                _collect(found, {"protected": _protected}, trial, shape)
            if "p" in cfg:
                for trial in _trials(build({**one, "p": 0.0}), shape, context):
                    _collect(found, {"identity": _identity}, trial, shape)
    return list(found.values())


def _variants(cfg: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The configuration as given, and with per_sample switched where it has that."""
    yield cfg
    if "per_sample" in cfg and "parts" not in cfg:
        yield {**cfg, "per_sample": not cfg["per_sample"]}


def _trials(
    method: Method, shape: tuple[int, ...], context: Context, protected: np.ndarray | None = None
) -> Iterator[Trial]:
    batch, _, height, width = shape
    plan = Plan(3, N, batch, height, width, protected=protected)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(shape, generator=generator)
    targets = torch.rand(batch, CLASSES, generator=generator).softmax(dim=1)
    for step in range(STEPS):
        drawn = {"index": plan.steps(step, 1)["index"]} | method.drawn(plan, step, 1)
        decided = {name: torch.from_numpy(values[0]) for name, values in drawn.items()}
        yield Trial(method, images.clone(), targets.clone(), decided, context)


def _collect(
    found: dict[str, str], checks: Mapping[str, Callable[[Trial], str | None]], trial: Trial, shape: tuple[int, ...]
) -> None:
    """Add what is broken for the first time."""
    size = "x".join(map(str, shape))
    for name, check in checks.items():
        if "raises" in found or name in found:
            return
        try:
            told = check(trial)
        except Exception as error:  # whatever a user's method raises
            name, told = "raises", f"it raises {type(error).__name__}: {error}"
        if told is not None:
            found[name] = f"{told} (images {size})"
            return  # what follows would say the same in other words


def _shapes(trial: Trial) -> str | None:
    mixed = trial()
    if not isinstance(mixed, Mixed):
        return f"it returns {type(mixed).__name__}, not Mixed"
    rows, classes = len(mixed.images), trial.targets.shape[1]
    if rows % trial.rows or mixed.images.shape[1:] != trial.images.shape[1:]:
        return (
            f"images have the shape {list(mixed.images.shape)}: must be {list(trial.images.shape)}, or multiples of B"
        )
    if mixed.targets.shape != (rows, classes):
        return f"targets have the shape {list(mixed.targets.shape)}: must be {[rows, classes]}"
    if mixed.own is not None and tuple(mixed.own.shape) not in ((rows, 1, 1, 1), (rows, 1, *trial.images.shape[2:])):
        return f"own has the shape {list(mixed.own.shape)}: must be [{rows}, 1, H, W] or [{rows}, 1, 1, 1]"
    if mixed.weights is not None and (mixed.weights.shape != (rows,) or not (mixed.weights >= 0).all()):
        return f"weights must be {rows} numbers of 0 or more"
    for name, value, given in (("images", mixed.images, trial.images), ("targets", mixed.targets, trial.targets)):
        if value.dtype != given.dtype:
            return f"{name} are {value.dtype}: must be {given.dtype}, as given"
    return None


def _untouched(trial: Trial) -> str | None:
    given = {"images": trial.images, "targets": trial.targets, **trial.decided}
    before = {name: value.clone() for name, value in given.items()}
    trial()
    changed = [name for name, value in given.items() if not torch.equal(value, before[name])]
    return f"it changes its input in place: {', '.join(changed)}" if changed else None


def _deterministic(trial: Trial) -> str | None:
    first, second = trial(), trial()
    same = torch.equal(first.images, second.images) and torch.equal(first.targets, second.targets)
    return None if same else "two calls with the same draws differ; whatever is random must be a declared draw"


def _finite(trial: Trial) -> str | None:
    mixed = trial()
    values = {"images": mixed.images, "targets": mixed.targets, "own": mixed.own, "weights": mixed.weights}
    wrong = [name for name, value in values.items() if value is not None and not value.isfinite().all()]
    return f"not finite: {', '.join(wrong)}" if wrong else None


def _targets(trial: Trial) -> str | None:
    mixed = trial()
    every = {"targets": mixed.targets}
    if mixed.after_forward is not None:
        logits = torch.randn(mixed.targets.shape, generator=torch.Generator().manual_seed(1))
        outputs = Outputs(logits, lambda targets: targets.new_full((len(targets), 1, 2, 2), 0.25))
        every["targets after the forward pass"] = mixed.after_forward(outputs)
    for name, targets in every.items():
        if targets.shape != mixed.targets.shape:
            return f"{name} have the shape {list(targets.shape)}: must be {list(mixed.targets.shape)}"
        if targets.min() < -SLACK:
            return f"{name} are negative: {targets.min().item():.3g}"
        sums = targets.sum(dim=1)
        worst = int((sums - 1).abs().argmax())
        if (sums[worst] - 1).abs() > SLACK:
            return f"{name} must sum to 1 in each row; row {worst} sums to {sums[worst].item():.4g}"
    return None


def _own(trial: Trial) -> str | None:
    own = trial().own
    if own is None or (own.min() >= 0 and own.max() <= 1):
        return None
    return f"own must be from 0 to 1; it goes from {own.min().item():.3g} to {own.max().item():.3g}"


def _convex(trial: Trial) -> str | None:
    """Of images of one colour each, what is not an image's own lies between the colours of the batch and 0."""
    generator = torch.Generator().manual_seed(2)
    colours = torch.rand(trial.images.shape[:2], generator=generator) + 0.5
    images = colours[:, :, None, None].expand_as(trial.images).clone()
    mixed = trial(images)
    if mixed.own is None or len(mixed.images) != trial.rows:
        return None
    rest = mixed.images - mixed.own * images
    low = (1 - mixed.own) * colours.amin(dim=0).clamp(max=0).view(1, -1, 1, 1)
    high = (1 - mixed.own) * colours.amax(dim=0).view(1, -1, 1, 1)
    if (rest < low - SLACK).any() or (rest > high + SLACK).any():
        return "own does not fit the images: they are not own times the image and (1 - own) times others of the batch"
    return None


def _layers(trial: Trial) -> str | None:
    mixed = trial()
    if mixed.at_layer is None:
        return None
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(len(mixed.images), 2, 3, 3, generator=generator)
    if not torch.equal(mixed.at_layer("no such layer", features), features):
        return "at_layer must return the features of a layer that is not its own as they are"
    for name in _layer_names(trial.method):
        given = features.clone().requires_grad_()
        made = mixed.at_layer(name, given)
        if made.shape != features.shape:
            return f"at_layer({name!r}) returns the shape {list(made.shape)}: must be {list(features.shape)}"
        if made.requires_grad:
            made.sum().backward()
        if given.grad is None or not given.grad.isfinite().all():
            return f"at_layer({name!r}) lets no finite gradient through"
    return None


def _gradients(trial: Trial) -> str | None:
    images = trial.images.clone().requires_grad_()
    made = trial(images).images
    if not made.requires_grad:
        return "no gradient flows from the mixed images to the images"
    made.sum().backward()
    if images.grad is None or not images.grad.isfinite().all():
        return "the gradient of the mixed images is not finite"
    return None


def _protected(trial: Trial) -> str | None:
    kept = torch.from_numpy(PROTECTED)[trial.decided["index"]]
    return _stays(trial, kept, "protected images, which are their own partners,")


def _identity(trial: Trial) -> str | None:
    return _stays(trial, torch.ones(trial.rows, dtype=torch.bool), "images that are not mixed (p=0)")


def _stays(trial: Trial, kept: Tensor, what: str) -> str | None:
    mixed = trial()
    if not torch.equal(mixed.images[: trial.rows][kept], trial.images[kept]):
        return f"{what} must stay exactly as they are"
    if mixed.after_forward is None and not torch.equal(mixed.targets[: trial.rows][kept], trial.targets[kept]):
        return f"{what} must keep their targets exactly"
    if mixed.at_layer is None:
        return None
    for name in _layer_names(trial.method):
        features = torch.randn(len(mixed.images), 2, 3, 3, generator=torch.Generator().manual_seed(4))
        if not torch.equal(mixed.at_layer(name, features)[: trial.rows][kept], features[: trial.rows][kept]):
            return f"{what} must keep their features at {name} exactly"
    return None


def _layer_names(method: Method) -> set[str]:
    return {name for single in method.singles().values() for name in single.layers()}


ALWAYS: dict[str, Callable[[Trial], str | None]] = {
    "shapes": _shapes,
    "untouched": _untouched,
    "deterministic": _deterministic,
    "finite": _finite,
    "targets": _targets,
    "own": _own,
    "convex": _convex,
    "layers": _layers,
    "gradients": _gradients,
}
