"""Checks of what a method returns, used before training, in a mixture and by `mixbench check`.

Each check raises ValueError with an explanation if the batch cannot be used for training.
"""

from collections.abc import Collection

import torch
from torch import Tensor

from mixbench.mixing.contract import Mixed, Outputs

SLACK = 1e-4  # rounding error allowed in sums


def check_mixed(mixed: object, images: Tensor, targets: Tensor, layers: Collection[str] = ()) -> None:
    """Run all checks on what a method returned.

    mixed: the return value of the method.
    images: float [B, C, H, W], the images before mixing.
    targets: float [B, K], the targets before mixing.
    layers: names of the layers at which the method may mix.
    Raises ValueError for the first check that fails.
    """
    check_shapes(mixed, images, targets)
    assert isinstance(mixed, Mixed)  # check_shapes
    check_finite(mixed)
    check_targets(mixed)
    check_layers(mixed, layers)


def check_shapes(mixed: object, images: Tensor, targets: Tensor, same_rows: bool = False) -> None:
    """Check types and shapes only, which costs nothing on any device.

    mixed: the return value of the method, with R rows.
    images: float [B, C, H, W], the images before mixing.
    targets: float [B, K], the targets before mixing.
    same_rows: require R = B and no weights, as a mixture does.
    Raises ValueError if a type or shape does not fit.
    """
    if not isinstance(mixed, Mixed):
        raise ValueError(f"it returns {type(mixed).__name__}: must return Mixed(images, targets, …)")
    for name, value in (("images", mixed.images), ("targets", mixed.targets), ("own", mixed.own)):
        if not isinstance(value, Tensor) and (name != "own" or value is not None):
            raise ValueError(f"{name}: has the type {type(value).__name__}, must be a tensor")
    if mixed.weights is not None and not isinstance(mixed.weights, Tensor):
        raise ValueError(f"weights: has the type {type(mixed.weights).__name__}, must be a tensor")
    if mixed.images.shape[1:] != images.shape[1:] or not _multiple(mixed.images, images):
        must = f"must be {list(images.shape)}, or have a multiple of {len(images)} rows"
        raise ValueError(f"images have the shape {list(mixed.images.shape)}: {must}")
    rows = len(mixed.images)
    if same_rows and (rows != len(images) or mixed.weights is not None):
        raise ValueError("cannot be part of a mixture, because it returns weights or a different number of rows")
    if mixed.targets.shape != (rows, targets.shape[1]):
        must = [rows, targets.shape[1]]
        raise ValueError(f"targets have the shape {list(mixed.targets.shape)}: must be {must}, a row for each image")
    if mixed.own is not None and tuple(mixed.own.shape) not in ((rows, 1, 1, 1), (rows, 1, *images.shape[2:])):
        raise ValueError(f"own has the shape {list(mixed.own.shape)}: must be [{rows}, 1, H, W] or [{rows}, 1, 1, 1]")
    if mixed.weights is not None and mixed.weights.shape != (rows,):
        raise ValueError(f"weights have the shape {list(mixed.weights.shape)}: must be [{rows}]")
    for name, value, given in (("images", mixed.images, images), ("targets", mixed.targets, targets)):
        if value.dtype != given.dtype:
            raise ValueError(f"{name} are {value.dtype}: must be {given.dtype}, the dtype before mixing")


def check_finite(mixed: Mixed) -> None:
    """Check that all values are finite and that weights are 0 or more.

    mixed: a result that passes `check_shapes`.
    Raises ValueError if a value does not fit.
    """
    values = {"images": mixed.images, "targets": mixed.targets, "own": mixed.own, "weights": mixed.weights}
    wrong = [name for name, value in values.items() if value is not None and not value.isfinite().all()]
    if wrong:
        raise ValueError(f"not finite: {', '.join(wrong)}")
    if mixed.weights is not None and not (mixed.weights >= 0).all():
        raise ValueError(f"weights must be 0 or more; the smallest is {mixed.weights.min().item():.3g}")


def check_targets(mixed: Mixed) -> None:
    """Check that target rows are 0 or more and sum to 1, before and after the forward pass.

    mixed: a result that passes `check_shapes`.
    Raises ValueError if a row does not fit.
    """
    check_rows("targets", mixed.targets)
    if mixed.after_forward is None:
        return
    logits = torch.randn(mixed.targets.shape, generator=torch.Generator().manual_seed(1)).to(mixed.targets.dtype)
    late = mixed.after_forward(Outputs(logits, lambda targets: targets.new_full((len(targets), 1, 2, 2), 0.25)))
    if not isinstance(late, Tensor) or late.shape != mixed.targets.shape:
        what = f"the shape {list(late.shape)}" if isinstance(late, Tensor) else f"the type {type(late).__name__}"
        raise ValueError(f"targets after the forward pass have {what}: must be {list(mixed.targets.shape)}")
    check_rows("targets after the forward pass", late)


def check_rows(name: str, targets: Tensor) -> None:
    """Check that the rows of targets are 0 or more and sum to 1.

    name: name of the targets, in messages.
    targets: float [R, K].
    Raises ValueError if a row does not fit.
    """
    if targets.min() < -SLACK:
        raise ValueError(f"{name} are negative: {targets.min().item():.3g}")
    sums = targets.sum(dim=1)
    worst = int((sums - 1).abs().argmax())
    if not (sums[worst] - 1).abs() <= SLACK:  # written with `not`, so that NaN fails too
        raise ValueError(f"{name} must sum to 1 in each row; row {worst} sums to {sums[worst].item():.4g}")


def check_layers(mixed: Mixed, layers: Collection[str]) -> None:
    """Check that `at_layer` keeps the shape of features at the named layers and changes no other layer.

    mixed: a result that passes `check_shapes`.
    layers: names of the layers at which the method may mix.
    Raises ValueError if it does not.
    """
    if mixed.at_layer is None:
        return
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(len(mixed.images), 2, 3, 3, generator=generator).to(mixed.images.dtype)
    for name in ("no such layer", *layers):
        made = mixed.at_layer(name, features)
        if not isinstance(made, Tensor) or made.shape != features.shape:
            what = f"the shape {list(made.shape)}" if isinstance(made, Tensor) else f"the type {type(made).__name__}"
            raise ValueError(f"at_layer({name!r}) returns {what}: must be {list(features.shape)}")
        if name not in layers and not torch.equal(made, features):
            raise ValueError("at_layer must return the features of all other layers unchanged")


def _multiple(mixed: Tensor, given: Tensor) -> bool:
    return len(mixed) > 0 and len(mixed) % len(given) == 0
