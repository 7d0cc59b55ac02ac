"""Narrow networks on images of 64x64 and more, and the convolution that makes them safe.

Torch's own strided 1x1 convolution damages memory there, so what trains does so in a process of its own.
"""

import csv
import math
from functools import partial

import numpy as np
import processes
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mixbench.models.pointwise import BLOCK, Pointwise
from mixbench.models.preact_resnet import PreActResNet
from mixbench.models.resnet import ResNet
from mixbench.models.wide_resnet import WideResNet


def archive(path, side):
    """A data set of 40 random colour images in 4 classes."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, side, side, 3), dtype=np.uint8)
    labels = np.arange(40) % 4
    arrays = {"train_images": pixels, "train_labels": labels, "test_images": pixels[:8], "test_labels": labels[:8]}
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("side", "batch", "widths", "model", "threads"),
    [
        (64, 32, "4,8", ["model.depth=10"], 1),
        (64, 32, "4", ["model=resnet18"], 1),
        (64, 32, "4", ["model.depth=10"], 2),
        (224, 8, "4", ["model.depth=10"], 1),
    ],
)
def test_narrow_networks_train_on_large_images(tmp_path, side, batch, widths, model, threads):
    archive(tmp_path / "big.npz", side)
    words = ["dataset=npz", "dataset.path=big.npz", "n=32", "device=cpu", "progress=off", f"model.width={widths}"]
    words += ["precision=fp32,bf16", "train.steps=2", f"train.batch_size={batch}", "train.eval_every=1", *model]
    done = processes.call(["sweep", *words], tmp_path, before=partial(torch.set_num_threads, threads))
    assert done.returncode == 0, done.stderr
    histories = list(tmp_path.glob("results/runs/*/history.csv"))
    assert len(histories) == 2 * len(widths.split(","))
    for history in histories:
        rows = list(csv.DictReader(history.read_text().splitlines()))
        assert len(rows) == 2
        assert all(math.isfinite(float(row[key])) for row in rows for key in ("train_loss", "eval_loss"))


def by_matrices(x, weight, stride, upstream):
    """Result and both gradients of a 1x1 convolution, as products of matrices, for the gradient `upstream`."""
    taken = x[..., ::stride, ::stride]
    rows, kernel = taken.permute(0, 2, 3, 1).flatten(0, 2), weight.flatten(1)
    back = upstream.permute(0, 2, 3, 1).flatten(0, 2)
    shape = (len(x), *taken.shape[2:], -1)
    grad = torch.zeros_like(x)
    grad[..., ::stride, ::stride] = (back @ kernel).view(shape).permute(0, 3, 1, 2)
    return (rows @ kernel.T).view(shape).permute(0, 3, 1, 2), grad, (back.T @ rows).view_as(weight)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(("channels", "stride"), [(1, 2), (3, 2), (4, 2), (8, 2), (12, 2), (16, 2), (20, 2), (5, 1)])
@pytest.mark.parametrize(("batch", "height", "width"), [(3, 8, 8), (2, 9, 13), (2, 64, 64), (5, 1, 1)])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_the_layer_and_its_gradients_are_those_of_the_strided_convolution(
    layout, channels, stride, batch, height, width, dtype, close
):
    generator = torch.Generator().manual_seed(0)
    layer = Pointwise(channels, 2 * channels, stride).double()
    x = torch.randn(batch, channels, height, width, generator=generator, dtype=torch.float64)
    expected = by_matrices(x, layer.weight.detach(), stride, upstream := torch.randn_like(layer(x)))
    layer = layer.to(dtype).to(memory_format=layout)
    x = x.to(dtype).contiguous(memory_format=layout).requires_grad_()
    out = layer(x)
    out.backward(upstream.to(dtype))
    for found, wanted in zip((out, x.grad, layer.weight.grad), expected, strict=True):
        torch.testing.assert_close(found.double(), wanted, rtol=close, atol=close)
    if dtype == torch.float64:  # torch does not hand this one to oneDNN
        torch.testing.assert_close(out, F.conv2d(x, layer.weight, stride=stride), rtol=close, atol=close)


def test_from_a_whole_block_of_channels_on_it_is_torchs_convolution_bit_for_bit():
    """Stored runs have 16 channels and more: their numbers stay on every machine."""
    torch.manual_seed(0)
    for channels, side in ((BLOCK, 8), (BLOCK, 32), (4 * BLOCK, 8)):
        layer = Pointwise(channels, 2 * channels, 2).to(memory_format=torch.channels_last)
        x = torch.randn(8, channels, side, side).contiguous(memory_format=torch.channels_last)
        both = []
        for convolve in (layer, lambda x, w=layer.weight: F.conv2d(x, w, stride=2)):
            layer.zero_grad()
            inside = x.clone(memory_format=torch.preserve_format).requires_grad_()
            out = convolve(inside)
            out.square().sum().backward()
            both.append((out, inside.grad, layer.weight.grad))
        assert all(torch.equal(one, other) for one, other in zip(*both, strict=True))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: PreActResNet(3, 10, width=4), [f"blocks.{i}.shortcut.weight" for i in (2, 4, 6)]),
        (lambda: ResNet(3, 10, width=4), [f"blocks.{i}.shortcut.0.weight" for i in (2, 4, 6)]),
        (lambda: WideResNet(3, 10, depth=10, widen=2), [f"blocks.{i}.shortcut.weight" for i in (0, 1, 2)]),
    ],
)
def test_every_convolution_of_one_pixel_is_such_a_layer_under_its_old_name(make, names):
    model = make()
    pointwise = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)}
    assert all(isinstance(module, Pointwise) for module in pointwise.values())
    assert [f"{name}.weight" for name in pointwise] == names
    assert {name for name in model.state_dict() if "shortcut" in name and "weight" in name} >= set(names)
