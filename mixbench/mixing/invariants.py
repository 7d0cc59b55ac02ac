"""The invariants of mixing methods. They are checked by calling a method; each violation is described in a sentence."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mixbench.core.draws import Plan
from mixbench.mixing.checks import SLACK, check_finite, check_layers, check_shapes, check_targets
from mixbench.mixing.contract import Context, Mixed, StandIns
from mixbench.mixing.runner import Method, build_method

SHAPES = ((6, 3, 16, 16), (1, 3, 16, 16), (5, 1, 12, 20))  # [B, C, H, W] of the images that a method is tried on
CLASSES, STEPS, N = 4, 3, 100
PROTECTED = np.arange(N) % 3 == 0
OTHER_SETTINGS = {
    "off_after": [0.5],
    "larger_own": [True],
    "partners": ["same-class", "other-class", "same-group", "other-group"],
}


@dataclass(frozen=True)
class Trial:
    """A method and its arguments. Each call gets copies, so that no call can change the arguments of another."""

    method: Method
    images: Tensor
    targets: Tensor
    decided: Mapping[str, Tensor]
    context: Context

    def __call__(self, images: Tensor | None = None) -> Mixed:
        """Return the mixed batch. images: replace the trial's images; None: use those."""
        images = (self.images if images is None else images).clone()
        decided = {name: value.clone() for name, value in self.decided.items()}
        return self.method(images, self.targets.clone(), decided, self.context)

    @property
    def rows(self) -> int:
        return len(self.images)


def violations(cfg: Mapping[str, Any], context: Context | None = None) -> list[str]:
    """Return the invariants that a method violates, one sentence each.

    cfg: a validated config group `method`.
    context: provides the method's needs; None: values of the right shapes without a network.
    """
    context = context or StandIns()
    found: dict[str, str] = {}
    for one in _variants(cfg):
        method = build_method(one)
        for shape in SHAPES:
            for trial in _trials(method, shape, context):
                _collect(found, ALWAYS, trial, shape)
            for trial in _trials(method, shape, context, protected=PROTECTED):
                _collect(found, {"protected": _protected}, trial, shape)
            if "p" in cfg:
                for trial in _trials(build_method({**one, "p": 0.0}), shape, context):
                    _collect(found, {"identity": _identity}, trial, shape)
    return list(found.values())


def _variants(cfg: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the configuration, and the configuration with other values of the settings that it has."""
    yield cfg
    others = {**OTHER_SETTINGS, "per_sample": [not cfg.get("per_sample")]}
    for key, values in others.items():
        if key in cfg and "parts" not in cfg:
            yield from ({**cfg, key: value} for value in values)


def _trials(
    method: Method, shape: tuple[int, ...], context: Context, protected: np.ndarray | None = None
) -> Iterator[Trial]:
    batch, _, height, width = shape
    labels = np.arange(N) % CLASSES
    plan = Plan(3, N, batch, height, width, protected=protected, labels=labels, groups=np.arange(N) // 3, length=STEPS)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(shape, generator=generator)
    targets = torch.rand(batch, CLASSES, generator=generator).softmax(dim=1)
    for step in range(STEPS):
        drawn = {"index": plan.steps(step, 1)["index"]} | method.drawn(plan, step, 1)
        decided = {name: torch.from_numpy(values[0]) for name, values in drawn.items()}
        yield Trial(method, images, targets, decided, context)


def _collect(
    found: dict[str, str], checks: Mapping[str, Callable[[Trial], str | None]], trial: Trial, shape: tuple[int, ...]
) -> None:
    """Run checks and add the first violation of each. The other checks run only if the shapes are right."""
    size = "x".join(map(str, shape))
    for name, check in {"shapes": _shapes, **checks}.items():
        if name != "shapes" and (name in found or FOLLOWS.get(name) in found):
            continue
        raises = f"{name} raises"
        try:
            told = check(trial)
        except Exception as error:  # whatever a user's method raises
            told, name = f"it raises {type(error).__name__}: {error}", raises
        if told is not None:
            found.setdefault(name, f"{told} (images {size})")
            if name in ("shapes", "shapes raises"):
                return


def _shapes(trial: Trial) -> str | None:
    mixed = trial()
    return _refused(lambda: check_shapes(mixed, trial.images, trial.targets))


def _refused(check: Callable[[], None]) -> str | None:
    """Return the message of a check that fails; None if it passes."""
    try:
        check()
    except ValueError as error:
        return str(error)
    return None


def _untouched(trial: Trial) -> str | None:
    given = {"images": trial.images.clone(), "targets": trial.targets.clone()}
    decided = {name: value.clone() for name, value in trial.decided.items()}
    trial.method(given["images"], given["targets"], decided, trial.context)
    before = {"images": trial.images, "targets": trial.targets, **trial.decided}
    changed = [name for name, value in (given | decided).items() if not torch.equal(value, before[name])]
    return f"it changes its input in place: {', '.join(changed)}" if changed else None


def _deterministic(trial: Trial) -> str | None:
    first, second = trial(), trial()
    same = _equal(first.images, second.images) and _equal(first.targets, second.targets)
    return None if same else "two calls with the same draws differ; all randomness must come from declared draws"


def _equal(one: Tensor, other: Tensor) -> bool:
    """Like torch.equal, except that NaN equals NaN, because another check reports values that are not finite."""
    return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _finite(trial: Trial) -> str | None:
    mixed = trial()
    return _refused(lambda: check_finite(mixed))


def _targets(trial: Trial) -> str | None:
    mixed = trial()
    return _refused(lambda: check_targets(mixed))


def _own(trial: Trial) -> str | None:
    own = trial().own
    if own is None or (own.min() >= 0 and own.max() <= 1):
        return None
    return f"own must be from 0 to 1; it goes from {own.min().item():.3g} to {own.max().item():.3g}"


def _convex(trial: Trial) -> str | None:
    """With images of one colour each, the part that is not the image's own lies between 0 and the batch's colours."""
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
    mixed, names = trial(), _layer_names(trial.method)
    told = _refused(lambda: check_layers(mixed, names))
    if mixed.at_layer is None or told:
        return told
    features = torch.randn(len(mixed.images), 2, 3, 3, generator=torch.Generator().manual_seed(3))
    for name in names:
        given = features.clone().requires_grad_()
        made = mixed.at_layer(name, given)
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
    return _unchanged(trial, kept, "protected images, which are their own partners,")


def _identity(trial: Trial) -> str | None:
    return _unchanged(trial, torch.ones(trial.rows, dtype=torch.bool), "images that are not mixed (p=0)")


def _unchanged(trial: Trial, kept: Tensor, what: str) -> str | None:
    """Check that the images in `kept`, bool [B], stay unchanged. what: names them in the message."""
    mixed = trial()
    if not torch.equal(mixed.images[: trial.rows][kept], trial.images[kept]):
        return f"{what} must stay exactly the same"
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
    "untouched": _untouched,
    "deterministic": _deterministic,
    "finite": _finite,
    "targets": _targets,
    "own": _own,
    "convex": _convex,
    "layers": _layers,
    "gradients": _gradients,
}
# A check is skipped if the check named here has failed, because its failure would only be a consequence.
FOLLOWS = {"convex": "own", "gradients": "finite"}
