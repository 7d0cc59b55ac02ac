"""`check_mixed`, shared by training, mixtures and `mixbench check`: which results of a method can be trained on."""

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
def test_what_can_be_trained_on_is_accepted(fields):
    check_mixed(made(**fields), IMAGES, TARGETS, ("stage1",))


WRONG = {
    "none": (None, ["NoneType", "Mixed("]),
    "pair": ((IMAGES, TARGETS), ["tuple", "Mixed("]),
    "array": (made(images=IMAGES.numpy()), ["images", "ndarray", "tensor"]),
    "own array": (made(own=0.5), ["own", "float", "tensor"]),
    "list of weights": (made(weights=[1.0] * 5), ["weights", "list", "tensor"]),
    "first three": (made(images=IMAGES[:3], targets=TARGETS[:3]), ["images", "[3, 3, 8, 8]", "[5, 3, 8, 8]"]),
    "no rows": (made(images=IMAGES[:0], targets=TARGETS[:0]), ["images", "[0, 3, 8, 8]", "[5, 3, 8, 8]"]),
    "other channels": (made(images=IMAGES[:, :1]), ["images", "[5, 1, 8, 8]", "[5, 3, 8, 8]"]),
    "fewer targets": (made(**TWICE | {"targets": TARGETS}), ["targets", "[5, 2]", "[10, 2]"]),
    "other classes": (made(targets=TARGETS.repeat(1, 2)), ["targets", "[5, 4]", "[5, 2]"]),
    "doubles": (made(targets=TARGETS.double()), ["targets", "torch.float64", "torch.float32"]),
    "own of a channel": (made(own=IMAGES), ["own", "[5, 3, 8, 8]", "[5, 1, H, W]", "[5, 1, 1, 1]"]),
    "weights": (made(weights=torch.ones(3)), ["weights", "[3]", "[5]"]),
    "NaN": (made(images=IMAGES / 0 * 0), ["images", "finite"]),
    "NaN targets": (made(targets=TARGETS / 0), ["targets", "finite"]),
    "infinite weights": (made(weights=torch.ones(5) / 0), ["weights", "finite"]),
    "sum": (made(targets=2 * TARGETS), ["targets", "row 0", "2", "sum to 1"]),
    "late shape": (
        made(after_forward=lambda outputs: outputs.logits[:3]),
        ["after the forward pass", "[3, 2]", "[5, 2]"],
    ),
    "late type": (made(after_forward=lambda outputs: None), ["after the forward pass", "NoneType", "[5, 2]"]),
    "late sum": (made(after_forward=lambda outputs: 2 * TARGETS), ["after the forward pass", "sum to 1"]),
    "late NaN": (made(after_forward=lambda outputs: TARGETS / 0), ["after the forward pass", "nan"]),
    "layer": (made(at_layer=lambda n, f: f[:3] if n == "stage1" else f), ["at_layer('stage1')", "[3, 2, 3, 3]"]),
    "layer type": (made(at_layer=lambda n, f: None if n == "stage1" else f), ["at_layer('stage1')", "NoneType"]),
}


@pytest.mark.parametrize(("mixed", "parts"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_trained_on_is_refused_with_the_value_and_what_it_must_be(mixed, parts):
    with pytest.raises(ValueError, match=r".+") as error:
        check_mixed(mixed, IMAGES, TARGETS, ("stage1",))
    assert [part for part in parts if part not in str(error.value)] == []


@pytest.mark.parametrize("fields", [TWICE, {"weights": torch.ones(5)}])
def test_a_part_of_a_mixture_returns_as_many_rows_and_no_weights(fields):
    check_shapes(made(**fields), IMAGES, TARGETS)
    with pytest.raises(ValueError, match="mixture"):
        check_shapes(made(**fields), IMAGES, TARGETS, same_rows=True)
