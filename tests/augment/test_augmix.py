"""AugMix takes torchvision's decisions and gives its images; its views; the distributions of its numbers."""

import numpy as np
import pytest
import torch
from scipy import stats
from test_augment import batch, every_shape
from torchvision.transforms import InterpolationMode, v2

from mixbench.augment import augmix, standard
from mixbench.augment.chains import LEFT_OUT, OPERATIONS
from mixbench.augment.operations import SIGNED
from mixbench.core.draws import Plan

WITHOUT_STRENGTH = ("AutoContrast", "Equalize")


def numbers(count, seed=0):
    """float64 [count, 2, 34]."""
    return torch.rand(count, 2, 34, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def augmented(images, chains, **options):
    shift, mirror = torch.zeros(len(images), 2, dtype=torch.int64), torch.zeros(len(images), dtype=torch.bool)
    return augmix(images, shift=shift, mirror=mirror, chains=chains, pad=0, flip=False, **options)


def torchvisions(image, row, severity, depth, all_ops, monkeypatch):
    """v2.AugMix where the numbers that it asks for follow from ours. row: [34]."""
    names = (*OPERATIONS, *(LEFT_OUT if all_ops else ()))
    exponential = -row[:3].log()
    weights = iter([torch.stack([row[3], 1 - row[3]])[None], (exponential / exponential.sum())[None]])
    integers, signs = [], []
    for chain in range(3):
        length = depth or int(row[4 + chain] * 3) + 1
        integers += [] if depth else [length]
        for operation, strength, sign in row[7:].view(3, 3, 3)[chain, :length].tolist():
            name = names[int(operation * len(names))]
            integers += [name, *([] if name in WITHOUT_STRENGTH else [int(strength * severity)])]
            signs += [sign] if name in SIGNED else []
    integers, signs = iter(integers), iter(signs)
    transform = v2.AugMix(severity, 3, depth or -1, all_ops=all_ops, interpolation=InterpolationMode.NEAREST)

    def item(space):
        name = next(integers)
        return name, space[name]

    with monkeypatch.context() as patch:
        patch.setattr(transform, "_sample_dirichlet", lambda _: next(weights))
        patch.setattr(transform, "_get_random_item", item)
        patch.setattr(torch, "randint", lambda *_, **__: torch.tensor(next(integers)))
        patch.setattr(torch, "rand", lambda *_: torch.tensor(next(signs)))
        result = transform(image)
    assert not [*integers, *signs], "not all numbers were asked for"
    return result


@every_shape
@pytest.mark.parametrize(
    ("severity", "depth", "all_ops"), [(3, None, False), (10, None, True), (1, 1, False), (7, 3, True)]
)
def test_it_is_torchvisions_with_nearest_pixels(shape, severity, depth, all_ops, monkeypatch):
    images, _, _ = batch((24, *shape[1:]))
    chains = numbers(24, severity)
    got = augmented(images, chains, severity=severity, depth=depth, all_ops=all_ops)
    expected = [
        torchvisions(image, row, severity, depth, all_ops, monkeypatch)
        for image, row in zip(images, chains[:, 0], strict=True)
    ]
    above = got.int() - torch.stack(expected).int()
    # torchvision cuts fractions off, and we round. Seldom a pixel half-way between two is the other one.
    assert ((above == 0) | (above == 1)).float().mean() > 0.99
    if not (depth == severity == 1):
        assert 0.1 < (above == 1).float().mean() < 0.6


def test_three_views_are_the_clean_image_and_two_others_of_the_same_crop():
    images, shift, mirror = batch((6, 3, 16, 16), pad=2)
    chains = numbers(6)
    options = {"shift": shift, "mirror": mirror, "pad": 2, "flip": True}
    clean = standard(images, **options)
    views = augmix(images, chains=chains, views=3, **options)
    assert views.shape == (18, 3, 16, 16)
    assert torch.equal(views[:6], clean)
    assert torch.equal(views[6:12], augmix(images, chains=chains, **options))
    assert torch.equal(views[12:], augmix(images, chains=chains.flip(1), **options))
    assert not torch.equal(views[6:12], views[12:])


def test_an_image_with_the_whole_weight_stays_as_it_is():
    images, _, _ = batch((6, 3, 16, 16))
    chains = numbers(6)
    chains[:, :, 3] = 1
    assert torch.equal(augmented(images, chains), images)


def test_weights_of_the_chains_are_dirichlet_and_no_number_is_drawn_twice():
    drawn = Plan(3, 50, 20, 8, 8, draws=("chains",)).steps(0, 100)["chains"]
    assert drawn.shape == (100, 20, 2, 34)
    exponential = -np.log(drawn[..., :3])
    share = (exponential / exponential.sum(axis=-1, keepdims=True)).reshape(-1, 3)
    for k in range(3):
        assert stats.kstest(share[:, k], stats.beta(1, 2).cdf).pvalue > 1e-3  # the margins of Dirichlet(1, 1, 1)
    assert len(np.unique(drawn)) == drawn.size
