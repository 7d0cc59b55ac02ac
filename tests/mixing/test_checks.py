"""`check_mixed`, which training, mixtures and `mixbench check` share: what may be trained on, and what may not."""

import pytest
import torch

from mixbench.mixing import Mixed
from mixbench.mixing.checks import check_mixed, check_shapes

IMAGES = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
TARGETS = torch.eye(2)[[0, 1, 0, 1, 0]]
TWICE = {"images": IMAGES.repeat(2, 1, 1, 1), "targets": TARGETS.repeat(2, 1)}


def made(**fields):
    return Mixed(**{"images": IMAGES, "targets": TARGETS, **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {},
        TWICE,
        TWICE | {"weights": torch.ones(10), "own": torch.ones(10, 1, 1, 1)},
        {"own": torch.ones(5, 1, 8, 8)},
        {"at_layer": lambda name, features: 2 * features if name == "stage1" else features},
        {"after_forward": lambda outputs: outputs.logits.softmax(dim=1)},
        {"after_forward": lambda outputs: TARGETS * outputs.attention(TARGETS).sum(dim=(1, 2, 3))[:, None]},
    ],
)
def test_what_may_be_trained_on(fields):
    check_mixed(made(**fields), IMAGES, TARGETS, ("stage1",))


WRONG = {
    "none": (None, "it returns NoneType"),
    "pair": ((IMAGES, TARGETS), "it returns tuple"),
    "array": (made(images=IMAGES.numpy()), "images are of type ndarray"),
    "own array": (made(own=0.5), "own are of type float"),
    "list of weights": (made(weights=[1.0] * 5), "weights are of type list"),
    "first three": (made(images=IMAGES[:3], targets=TARGETS[:3]), "images have the shape [3, 3, 8, 8]"),
    "no rows": (made(images=IMAGES[:0], targets=TARGETS[:0]), "images have the shape [0, 3, 8, 8]"),
    "other channels": (made(images=IMAGES[:, :1]), "images have the shape [5, 1, 8, 8]"),
    "fewer targets": (made(**TWICE | {"targets": TARGETS}), "targets have the shape [5, 2]: must be [10, 2]"),
    "other classes": (made(targets=TARGETS.repeat(1, 2)), "targets have the shape [5, 4]"),
    "doubles": (made(targets=TARGETS.double()), "targets are torch.float64"),
    "own of a channel": (made(own=IMAGES), "own has the shape"),
    "weights": (made(weights=torch.ones(3)), "weights have the shape [3]: must be [5]"),
    "NaN": (made(images=IMAGES / 0 * 0), "not finite: images"),
    "NaN targets": (made(targets=TARGETS / 0), "not finite: targets"),
    "infinite weights": (made(weights=torch.ones(5) / 0), "not finite: weights"),
    "sum": (made(targets=2 * TARGETS), "must sum to 1 in each row; row 0 sums to 2"),
    "late shape": (made(after_forward=lambda outputs: outputs.logits[:3]), "after the forward pass have the shape"),
    "late type": (made(after_forward=lambda outputs: None), "after the forward pass have the type NoneType"),
    "late sum": (made(after_forward=lambda outputs: 2 * TARGETS), "after the forward pass must sum to 1"),
    "late NaN": (made(after_forward=lambda outputs: TARGETS / 0), "after the forward pass must sum to 1"),
    "layer": (made(at_layer=lambda n, f: f[:3] if n == "stage1" else f), "at_layer('stage1') returns the shape"),
    "layer type": (made(at_layer=lambda n, f: None if n == "stage1" else f), "returns the type NoneType"),
}


@pytest.mark.parametrize(("mixed", "message"), WRONG.values(), ids=WRONG)
def test_what_may_not_is_told_in_words(mixed, message):
    with pytest.raises(ValueError, match=r".+") as told:
        check_mixed(mixed, IMAGES, TARGETS, ("stage1",))
    assert message in str(told.value)


@pytest.mark.parametrize("fields", [TWICE, {"weights": torch.ones(5)}])
def test_a_part_of_a_mixture_returns_as_many_rows_and_no_weights(fields):
    check_shapes(made(**fields), IMAGES, TARGETS)
    with pytest.raises(ValueError, match="mixture"):
        check_shapes(made(**fields), IMAGES, TARGETS, same_rows=True)
