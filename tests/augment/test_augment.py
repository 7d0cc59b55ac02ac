"""Label-preserving augmentation equals torchvision's, image by image, for the same decisions."""

import math

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from mixbench.augment import AUGMENTS, color_jitter, flip, none, random_resized_crop, rotation, standard, vertical_flip
from mixbench.augment.colour import turned_hue
from mixbench.augment.crops import crop_box
from mixbench.augment.layout import reflected
from mixbench.core import registry
from mixbench.core.draws import Plan

SHAPES = [(9, 3, 16, 16), (6, 3, 10, 14), (6, 1, 14, 10), (1, 3, 8, 8), (5, 3, 32, 32), (4, 3, 9, 7)]  # [B, C, H, W]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
every_augmentation = pytest.mark.parametrize("name", AUGMENTS)


def batch(shape, pad=0):
    """uint8 images without zeros, so that padding shows, laid out as training lays them out; shift and mirror.

    Every third image has low contrast and every third a channel of one value: both are cases of their own for some
    operations.
    """
    generator = torch.Generator().manual_seed(sum(shape))
    images = torch.randint(1, 256, shape, dtype=torch.uint8, generator=generator)
    images[1::3] = images[1::3] // 3 + 60
    images[2::3, 0] = 77
    shift = torch.randint(2 * pad + 1, (shape[0], 2), generator=generator)
    shift[0] = torch.tensor([0, 2 * pad])  # a corner
    mirror = torch.randint(2, shape[:1], generator=generator).bool()
    return images.to(memory_format=torch.channels_last), shift, mirror


def uniform_rows(count, seed=0):
    """float64 [count, 32], uniform."""
    return torch.rand(count, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def call(name, images, decisions, **options):
    """The augmentation with those of the decisions that it asks for; pad 1 and flip where it has such options."""
    function = AUGMENTS[name]
    wanted = {key: value for key, value in {"pad": 1, "flip": True}.items() if key in registry.options_of(function)}
    asked = {key: decisions[key] for key in registry.draws_of(function)}
    return function(images, **asked, **(wanted | options))


def decisions(shape, pad=1):
    images, shift, mirror = batch(shape, pad)
    chains = uniform_rows(3 * shape[0]).view(shape[0], -1)[:, :68].reshape(shape[0], 2, 34)
    return images, {"shift": shift, "mirror": mirror, "uniforms": uniform_rows(shape[0]), "chains": chains}


def differences(got, expected):
    """How many grey levels the pixels differ by."""
    return (got.int() - expected.int()).abs()


@every_shape
@pytest.mark.parametrize("pad", [0, 1, 4])
@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("padding", ["zero", "reflect"])
def test_standard_is_torchvisions_pad_crop_and_flip(shape, pad, flips, padding):
    images, shift, mirror = batch(shape, pad)
    before = images.clone()
    augmented = standard(images, shift=shift, mirror=mirror, pad=pad, flip=flips, padding=padding)
    mode = {"zero": "constant", "reflect": "reflect"}[padding]
    for i, (top, left) in enumerate(shift.tolist()):
        expected = tv.crop(tv.pad(before[i], [pad], padding_mode=mode), top, left, *shape[2:])
        if flips and mirror[i]:
            expected = tv.horizontal_flip(expected)
        assert torch.equal(augmented[i], expected)
    assert augmented.dtype == torch.uint8
    assert torch.equal(images, before)


def test_standard_pads_with_zeros_unless_told():
    images, shift, mirror = batch(SHAPES[0], pad=2)
    arguments = {"shift": shift, "mirror": mirror, "pad": 2, "flip": True}
    assert torch.equal(standard(images, **arguments), standard(images, **arguments, padding="zero"))


def test_reflection_may_be_wider_than_the_image():
    assert reflected(torch.arange(-5, 8), 3).tolist() == [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]
    assert reflected(torch.arange(-2, 3), 1).tolist() == [0] * 5


@every_shape
def test_flip_is_torchvisions(shape):
    images, _, mirror = batch(shape)
    before = images.clone()
    flipped = flip(images, mirror=mirror)
    for i, mirrored in enumerate(mirror):
        assert torch.equal(flipped[i], tv.horizontal_flip(before[i]) if mirrored else before[i])
    assert torch.equal(images, before)


@every_shape
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
def test_vertical_flip_is_torchvisions(shape, p):
    images, _, _ = batch(shape)
    uniforms = uniform_rows(shape[0])
    flipped = vertical_flip(images, uniforms=uniforms, p=p)
    for i, u in enumerate(uniforms[:, 0].tolist()):
        assert torch.equal(flipped[i], tv.vertical_flip(images[i]) if u < p else images[i])


def test_none_keeps_the_images():
    images, _, _ = batch(SHAPES[0])
    assert torch.equal(none(images), images)


@every_shape
@pytest.mark.parametrize("degrees", [15.0, 180.0])
def test_rotation_is_torchvisions(shape, degrees):
    images, _, _ = batch(shape)
    uniforms = uniform_rows(shape[0])
    turned = rotation(images, uniforms=uniforms, degrees=degrees)
    for i, u in enumerate(uniforms[:, 0].tolist()):
        assert torch.equal(turned[i], tv.rotate(images[i], degrees * (2 * u - 1)))


def torchvisions_boxes(uniforms, height, width, scale, ratio):
    """What torchvision's RandomResizedCrop draws whose random numbers are `uniforms`."""
    transform = v2.RandomResizedCrop((height, width), scale=scale, ratio=ratio)
    boxes = []
    for numbers in uniforms.tolist():
        rest, places = iter(numbers), iter(numbers[20:])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                torch.Tensor,
                "uniform_",
                lambda _, low, high, rest=rest: torch.tensor(
                    [float(low) + (float(high) - float(low)) * next(rest)], dtype=torch.float64
                ),
            )
            patch.setattr(
                torch,
                "randint",
                lambda low, high, size, places=places: torch.tensor(low + math.floor(next(places) * (high - low))),
            )
            drawn = transform.make_params([torch.empty(3, height, width)])
        boxes.append([drawn[key] for key in ("top", "left", "height", "width")])
    return boxes


@pytest.mark.parametrize(
    ("height", "width", "scale", "ratio"),
    [
        (32, 32, (0.08, 1.0), (3 / 4, 4 / 3)),
        (10, 14, (0.08, 1.0), (3 / 4, 4 / 3)),
        (8, 32, (0.5, 1.0), (3 / 4, 4 / 3)),  # rarely fits: too wide
        (32, 8, (0.9, 1.0), (3 / 4, 4 / 3)),  # never fits: too high
        (9, 9, (1.0, 1.0), (2.0, 3.0)),
    ],
)
def test_crop_boxes_are_those_that_torchvision_draws(height, width, scale, ratio):
    uniforms = uniform_rows(200)
    got = torch.stack(crop_box(uniforms, height, width, scale, ratio), dim=1)
    assert got.long().tolist() == torchvisions_boxes(uniforms, height, width, scale, ratio)


@every_shape
@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("scale", [(0.08, 1.0), (1.0, 1.0)])
def test_random_resized_crop_is_torchvisions(shape, flips, scale):
    images, _, mirror = batch(shape)
    uniforms = uniform_rows(shape[0])
    bounds = {"min_scale": scale[0], "max_scale": scale[1]}
    cropped = random_resized_crop(images, uniforms=uniforms, mirror=mirror, flip=flips, **bounds)
    for i, box in enumerate(torchvisions_boxes(uniforms, *shape[2:], scale, (3 / 4, 4 / 3))):
        # torchvision on a CPU resizes uint8 in two passes and rounds after each; we round once.
        expected = tv.resized_crop(images[i], *box, list(shape[2:]))
        exact = tv.resized_crop(images[i].double(), *box, list(shape[2:]))
        if flips and mirror[i]:
            expected, exact = tv.horizontal_flip(expected), tv.horizontal_flip(exact)
        assert differences(cropped[i], expected).max() <= 1
        assert (cropped[i] - exact).abs().max() < 0.501


def jittered(image, numbers, strengths, hue):
    """torchvision's ColorJitter with its draws made from eight numbers."""
    low = [max(0, 1 - s) for s in strengths]
    factors = [lo + (1 + s - lo) * u for lo, s, u in zip(low, strengths, numbers[4:], strict=False)]
    turn = hue * (2 * numbers[7] - 1)
    for operation in sorted(range(4), key=lambda k: numbers[k]):
        if operation == 3:
            image = tv.adjust_hue(image, turn) if hue else image
        else:
            adjust = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)[operation]
            image = adjust(image, factors[operation])
    return image


@every_shape
@pytest.mark.parametrize("strengths", [(0.4, 0.4, 0.4), (0.9, 0, 0), (0, 0.9, 0), (0, 0, 0.9), (1.5, 1.2, 2.0)])
def test_jitter_without_hue_is_torchvisions(shape, strengths):
    images, _, _ = batch(shape)
    uniforms = uniform_rows(shape[0])
    options = dict(zip(("brightness", "contrast", "saturation"), strengths, strict=True))
    got = color_jitter(images, uniforms=uniforms, **options, hue=0.0)
    expected = torch.stack(
        [jittered(image, u, strengths, 0) for image, u in zip(images, uniforms.tolist(), strict=True)]
    )
    # Fractions are cut off, and torch rounds the sums at a tensor's end otherwise than the rest: a level, rarely.
    assert (differences(got, expected) > 0).float().mean() < 0.005


@every_shape
@pytest.mark.parametrize("turns", [-0.5, -0.2, 0.0, 0.1, 0.37, 0.5])
def test_hue_is_torchvisions(shape, turns):
    if shape[1] == 1:
        return
    images, _, _ = batch(shape)
    images[0, :, 0] = torch.tensor([[0], [255], [255]], dtype=torch.uint8)
    images[0, :, 1] = 128  # no hue
    images[0, :, 2] = 0
    got = turned_hue(images.float(), torch.full((shape[0],), turns, dtype=torch.float64))
    # The fraction is cut off after a chain of float32 operations; torchvision's chain is another.
    assert differences(got, tv.adjust_hue(images, turns)).max() <= 1
    assert (differences(got, tv.adjust_hue(images, turns)) > 0).float().mean() < 0.01


@every_shape
def test_jitter_with_hue_is_torchvisions(shape):
    images, _, _ = batch(shape)
    for seed in range(8):  # all places of the hue in the order
        uniforms = uniform_rows(shape[0], seed)
        got = color_jitter(images, uniforms=uniforms, brightness=0.4, contrast=0.3, saturation=0.5, hue=0.1)
        expected = torch.stack(
            [jittered(image, u, (0.4, 0.3, 0.5), 0.1) for image, u in zip(images, uniforms.tolist(), strict=True)]
        )
        # A level of difference in the hue may become three by contrast and saturation after it.
        assert differences(got, expected).max() <= 3
        assert (differences(got, expected) > 0).float().mean() < 0.01


def test_jitter_of_no_strength_changes_nothing():
    images, _, _ = batch(SHAPES[0])
    uniforms = uniform_rows(len(images))
    assert torch.equal(color_jitter(images, uniforms=uniforms, brightness=0, contrast=0, saturation=0, hue=0), images)


@every_augmentation
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[1] > 1])
def test_channels_stay_innermost(name, shape):
    images, decided = decisions(shape)
    assert call(name, images, decided).is_contiguous(memory_format=torch.channels_last)


@every_augmentation
@every_shape
def test_shape_type_and_input_are_kept(name, shape):
    images, decided = decisions(shape)
    before, decided_before = images.clone(), {key: value.clone() for key, value in decided.items()}
    augmented = call(name, images, decided)
    assert augmented.dtype == torch.uint8
    assert augmented.shape == images.shape
    assert torch.equal(images, before)
    assert all(torch.equal(value, decided_before[key]) for key, value in decided.items())
    assert torch.equal(augmented, call(name, images, decided))


@every_augmentation
def test_images_do_not_depend_on_each_other(name):
    images, decided = decisions((9, 3, 16, 16))
    whole = call(name, images, decided)
    chosen = torch.tensor([7, 2, 4])
    assert torch.equal(call(name, images[chosen], {k: v[chosen] for k, v in decided.items()}), whole[chosen])


@every_augmentation
def test_nothing_waits_for_the_device(name):
    """On the meta device there are no numbers: what needs one on the host, or for a shape, fails."""
    images, decided = decisions((5, 3, 16, 16))
    augmented = call(name, images.to("meta"), {key: value.to("meta") for key, value in decided.items()})
    assert augmented.shape == images.shape


@every_augmentation
def test_the_plan_draws_what_is_asked_for(name):
    function = AUGMENTS[name]
    plan = Plan(0, 20, 6, 16, 16, draws=registry.draws_of(function), pad=1)
    drawn = {key: torch.from_numpy(value[0]) for key, value in plan.steps(0, 1).items()}
    images, _, _ = batch((6, 3, 16, 16))
    assert call(name, images, drawn).shape == images.shape


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("standard", {"pad": -1}, "pad=-1: must be"),
        ("vertical-flip", {"p": 1.5}, "p=1.5: must be"),
        ("rotation", {"degrees": -1.0}, "degrees=-1.0: must be"),
        ("rotation", {"degrees": 181.0}, "degrees=181.0: must be"),
        ("random-resized-crop", {"min_scale": 0.0}, "min_scale=0.0: must be"),
        ("random-resized-crop", {"min_scale": 0.9, "max_scale": 0.5}, "min_scale=0.9: must be"),
        ("random-resized-crop", {"max_scale": 1.5}, "max_scale=1.5: must be"),
        ("random-resized-crop", {"min_ratio": 2.0}, "min_ratio=2.0: must be"),
        ("color-jitter", {"brightness": -0.1}, "brightness=-0.1: must be"),
        ("color-jitter", {"contrast": -0.1}, "contrast=-0.1: must be"),
        ("color-jitter", {"saturation": -0.1}, "saturation=-0.1: must be"),
        ("color-jitter", {"hue": 0.6}, "hue=0.6: must be"),
        ("randaugment", {"pad": -1}, "pad=-1: must be"),
        ("randaugment", {"num_ops": 17}, "num_ops=17: must be"),
        ("randaugment", {"num_ops": 0}, "num_ops=0: must be"),
        ("randaugment", {"magnitude": 31}, "magnitude=31: must be"),
        ("randaugment", {"num_magnitude_bins": 1}, "num_magnitude_bins=1: must be"),
        ("trivialaugment", {"num_magnitude_bins": 1}, "num_magnitude_bins=1: must be"),
        ("augmix", {"severity": 0}, "severity=0: must be"),
        ("augmix", {"severity": 11}, "severity=11: must be"),
        ("augmix", {"depth": 4}, "depth=4: must be"),
        ("augmix", {"pad": -1}, "pad=-1: must be"),
        ("three-augment", {"color_jitter": -1.0}, "color_jitter=-1.0: must be"),
        ("three-augment", {"min_sigma": 0.0}, "min_sigma=0.0: must be"),
        ("three-augment", {"max_sigma": 0.05}, "min_sigma=0.1: must be"),
    ],
)
def test_an_option_out_of_range_raises_value_error_with_its_value(name, options, told):
    images, decided = decisions(SHAPES[0])
    with pytest.raises(ValueError, match=told):
        call(name, images, decided, **options)
