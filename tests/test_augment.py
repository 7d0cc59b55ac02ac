"""Label-preserving augmentation equals torchvision's, image by image, for the same decisions."""

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from mixbench.augment import AUGMENTS, flip, none, standard

SHAPES = [(9, 3, 16, 16), (6, 3, 10, 14), (6, 1, 14, 10), (1, 3, 8, 8)]  # [B, C, H, W]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))


def batch(shape, pad=0):
    """uint8 images without zeros, so that padding shows, laid out as training lays them out; shift and mirror."""
    generator = torch.Generator().manual_seed(sum(shape))
    images = torch.randint(1, 256, shape, dtype=torch.uint8, generator=generator)
    shift = torch.randint(2 * pad + 1, (shape[0], 2), generator=generator)
    shift[0] = torch.tensor([0, 2 * pad])  # a corner
    mirror = torch.randint(2, shape[:1], generator=generator).bool()
    return images.to(memory_format=torch.channels_last), shift, mirror


@every_shape
@pytest.mark.parametrize("pad", [0, 1, 4])
@pytest.mark.parametrize("flips", [True, False])
def test_standard_is_torchvisions_pad_crop_and_flip(shape, pad, flips):
    images, shift, mirror = batch(shape, pad)
    before = images.clone()
    augmented = standard(images, shift=shift, mirror=mirror, pad=pad, flip=flips)
    for i, (top, left) in enumerate(shift.tolist()):
        expected = tv.crop(tv.pad(before[i], [pad]), top, left, *shape[2:])
        if flips and mirror[i]:
            expected = tv.horizontal_flip(expected)
        assert torch.equal(augmented[i], expected)
    assert augmented.dtype == torch.uint8
    assert torch.equal(images, before)


@every_shape
def test_flip_is_torchvisions(shape):
    images, _, mirror = batch(shape)
    before = images.clone()
    flipped = flip(images, mirror=mirror)
    for i, mirrored in enumerate(mirror):
        assert torch.equal(flipped[i], tv.horizontal_flip(before[i]) if mirrored else before[i])
    assert torch.equal(images, before)


def test_none_keeps_the_images():
    images, _, _ = batch(SHAPES[0])
    assert torch.equal(none(images), images)


@pytest.mark.parametrize("name", AUGMENTS)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[1] > 1])
def test_channels_stay_innermost(name, shape):
    images, shift, mirror = batch(shape, pad=1)
    decided = {"none": {}, "flip": {"mirror": mirror}}
    options = decided.get(name, {"shift": shift, "mirror": mirror, "pad": 1, "flip": True})
    assert AUGMENTS[name](images, **options).is_contiguous(memory_format=torch.channels_last)
