"""RandAugment, TrivialAugment, AutoAugment and Three-Augment take torchvision's decisions and give its images."""

import pytest
import torch
from test_augment import batch, differences, every_shape, jittered, uniform_rows
from torchvision.transforms import AutoAugmentPolicy, v2
from torchvision.transforms.v2 import functional as tv

from mixbench.augment import autoaugment, randaugment, standard, three_augment, trivialaugment
from mixbench.augment.three import gaussian_blur

OPERATIONS = 14  # of RandAugment and TrivialAugment
SIGNED = set(range(1, 10))  # of them: ShearX … Sharpness; a sign is drawn for these
BLENDS = {6, 7, 8, 9}  # Brightness, Color, Contrast, Sharpness
NEITHER = {"pad": 0, "flip": False}


def torchvisions(transform, image, integers, uniforms):
    """The transform's result where the random numbers it asks for are these."""
    integers, uniforms = iter(integers), iter(uniforms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randint", lambda *_: torch.tensor(next(integers)))
        patch.setattr(torch, "rand", lambda *_: torch.tensor(next(uniforms)))
        result = transform(image)
    assert not [*integers, *uniforms], "not all numbers were asked for"
    return result


def uniforms_for(*columns):
    """float64 [B, 32] beginning with these columns; the others must not be read."""
    columns = torch.broadcast_tensors(*(torch.as_tensor(column, dtype=torch.float64) for column in columns))
    count = len(columns[0])
    unread = torch.full((count, 32 - len(columns)), torch.nan, dtype=torch.float64)
    return torch.cat((torch.stack(columns, dim=1), unread), dim=1)


def places(count, choices):
    """Numbers in the middle of each of `choices` equal parts of (0, 1), in turn."""
    return (torch.arange(count, dtype=torch.float64) % choices + 0.5) / choices


def augmented(function, images, uniforms, **options):
    shift, mirror = torch.zeros(len(images), 2, dtype=torch.int64), torch.zeros(len(images), dtype=torch.bool)
    return function(images, shift=shift, mirror=mirror, uniforms=uniforms, **(NEITHER | options))


@every_shape
@pytest.mark.parametrize("operation", range(OPERATIONS))
def test_each_operation_at_each_strength_is_torchvisions(shape, operation):
    images, _, _ = batch((62, *shape[1:]))
    strengths = torch.arange(31).repeat(2)
    signs = torch.tensor([0.25, 0.75]).repeat_interleave(31).double()
    uniforms = uniforms_for(torch.full((62,), (operation + 0.5) / OPERATIONS), (strengths + 0.5) / 31, signs)
    got = augmented(trivialaugment, images, uniforms)
    transform = v2.TrivialAugmentWide()
    for i, image in enumerate(images):
        has_magnitude = operation not in (0, 12, 13)
        integers = [operation, strengths[i].item()] if has_magnitude else [operation]
        expected = torchvisions(transform, image, integers, [signs[i].item()] if operation in SIGNED else [])
        # Blends cut fractions off, and torch rounds the sums at a tensor's end in another way: a level, rarely.
        assert differences(got[i], expected).max() <= (operation in BLENDS)


@every_shape
@pytest.mark.parametrize(("magnitude", "bins"), [(0, 31), (9, 31), (5, 11), (27, 31)])  # none moves pixels half-way
def test_randaugment_is_torchvisions(shape, magnitude, bins):
    count = OPERATIONS**2
    images, _, _ = batch((count, *shape[1:]))
    first, second = torch.arange(count) % OPERATIONS, torch.arange(count) // OPERATIONS
    signs = uniform_rows(count)[:, :2]
    uniforms = uniforms_for((first + 0.5) / OPERATIONS, signs[:, 0], (second + 0.5) / OPERATIONS, signs[:, 1])
    got = augmented(randaugment, images, uniforms, magnitude=magnitude, num_magnitude_bins=bins)
    transform = v2.RandAugment(2, magnitude, bins)
    expected = []
    for image, *operations, one, other in zip(images, first.tolist(), second.tolist(), *signs.T.tolist(), strict=True):
        asked = [u for k, u in zip(operations, (one, other), strict=True) if k in SIGNED]
        expected.append(torchvisions(transform, image, operations, asked))
    # Blends as above; posterizing or equalizing after them makes more of a level.
    assert (differences(got, torch.stack(expected)) > 0).float().mean() < 0.002


def test_randaugment_with_other_numbers_of_operations():
    images, _, _ = batch((5, 3, 16, 16))
    uniforms = uniform_rows(5)
    for num_ops in (1, 3, 16):
        got = augmented(randaugment, images, uniforms, num_ops=num_ops)
        for i, image in enumerate(images):
            chosen = [int(u * OPERATIONS) for u in uniforms[i, 0 : 2 * num_ops : 2].tolist()]
            signs = uniforms[i, 1 : 2 * num_ops : 2].tolist()
            asked = [u for k, u in zip(chosen, signs, strict=True) if k in SIGNED]
            expected = torchvisions(v2.RandAugment(num_ops), image, chosen, asked)
            assert (differences(got[i], expected) > 0).float().mean() < 0.01


@every_shape
@pytest.mark.parametrize("policy", ["cifar10", "imagenet", "svhn"])
def test_autoaugment_is_torchvisions(shape, policy):
    count = 25 * 12
    images, _, _ = batch((count, *shape[1:]))
    pairs = torch.arange(count) % 25
    numbers = uniform_rows(count)[:, :4]
    numbers[: count // 2, 0::2] *= 0.1  # both operations of most pairs, at least once
    uniforms = uniforms_for((pairs + 0.5) / 25, *numbers.T)
    got = augmented(autoaugment, images, uniforms, policy=policy)
    transform = v2.AutoAugment(AutoAugmentPolicy(policy))
    unsigned = ("Posterize", "Solarize", "AutoContrast", "Equalize", "Invert")
    expected = []
    for image, pair, drawn in zip(images, pairs.tolist(), numbers.tolist(), strict=True):
        asked = []
        for k, (operation, probability, _) in enumerate(transform._policies[pair]):
            asked.append(drawn[2 * k])
            if drawn[2 * k] <= probability and operation not in unsigned:
                asked.append(drawn[2 * k + 1])
        expected.append(torchvisions(transform, image, [pair], asked))
    # Blends as above. Some shears and turns by 30 degrees put whole rows half-way between two pixels, where the last
    # bit of a matrix product decides: 1 in 50 for other processors than the one this was written on, which has none.
    assert (differences(got, torch.stack(expected)) > 0).float().mean() < 0.02


@pytest.mark.parametrize("function", [randaugment, trivialaugment, autoaugment])
def test_policies_see_the_standard_crop(function):
    images, shift, mirror = batch((9, 3, 16, 16), pad=2)
    uniforms = uniform_rows(9)
    cropped = standard(images, shift=shift, mirror=mirror, pad=2, flip=True)
    got = function(images, shift=shift, mirror=mirror, uniforms=uniforms, pad=2, flip=True)
    assert torch.equal(got, augmented(function, cropped, uniforms))


@pytest.mark.parametrize("function", [randaugment, trivialaugment])
def test_operations_are_equally_likely(function):
    image, _, _ = batch((1, 3, 32, 32))
    uniforms = torch.full((10 * OPERATIONS, 32), 0.1, dtype=torch.float64)  # RandAugment's second operation: ShearX
    uniforms[:, 1] = 0.5  # TrivialAugment: half of the strongest, which leaves nothing of a shifted image
    uniforms[:, 0] = (torch.arange(len(uniforms)) + 0.5) / len(uniforms)
    results = augmented(function, image.expand(len(uniforms), -1, -1, -1), uniforms)
    assert results.flatten(1).unique(dim=0, return_counts=True)[1].tolist() == [10] * OPERATIONS


@every_shape
def test_gaussian_blur_is_torchvisions(shape):
    images, _, _ = batch((40, *shape[1:]))
    sigma = torch.linspace(0.1, 2.0, 40).double()
    if min(shape[2:]) > 6:  # torchvision reflects once at most
        got = gaussian_blur(images.float().contiguous(), sigma, reach=6)
        for i, image in enumerate(images):
            expected = tv.gaussian_blur(image, [13, 13], [sigma[i].item()])
            assert differences(got[i], expected).max() <= 1  # sums in another order, then rounded
            assert (differences(got[i], expected) > 0).float().mean() < 0.01


@every_shape
def test_three_augment_is_crop_flip_one_of_three_and_jitter(shape):
    images, shift, mirror = batch((30, *shape[1:]), pad=3)
    uniforms = uniform_rows(30)
    uniforms[:, 8] = places(30, 3)
    got = three_augment(images, shift=shift, mirror=mirror, uniforms=uniforms, pad=3, flip=True)
    for i, (top, left) in enumerate(shift.tolist()):
        image = tv.crop(tv.pad(images[i], [3], padding_mode="reflect"), top, left, *shape[2:])
        image = tv.horizontal_flip(image) if mirror[i] else image
        if i % 3 == 0:
            image = tv.rgb_to_grayscale(image, num_output_channels=shape[1])
        elif i % 3 == 1:
            image = tv.solarize(image, 128)
        else:
            image = tv.gaussian_blur(image, [13, 13], [0.1 + 1.9 * uniforms[i, 9].item()])
        expected = jittered(image, uniforms[i].tolist(), (0.3, 0.3, 0.3), 0)
        # A level of difference in the blur, as above, may become two or three in contrast and saturation.
        assert differences(got[i], expected).max() <= 3
        assert (differences(got[i], expected) > 0).float().mean() < 0.01
