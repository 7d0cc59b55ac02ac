"""Settings of any method on modules: partners by class, and what a module cannot know."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mixbench.mixing import CutMix, PairMixer, label_mix


def test_a_module_finds_partners_by_its_labels():
    labels = torch.randint(4, (40,), generator=torch.Generator().manual_seed(0))
    own_colour = torch.arange(40.0)[:, None, None, None].expand(40, 1, 8, 8)
    for partners, alike in (("same-class", True), ("other-class", False)):
        mix = CutMix(4, generator=np.random.default_rng(1), min_side=0.5, max_side=0.5, partners=partners)
        mixed, targets = mix(own_colour.contiguous(), labels)
        other = mixed.flatten(1).mode(dim=1).values.long()  # three quarters are the image's own
        assert torch.equal(other, torch.arange(40))
        pasted = (mixed != own_colour).flatten(1)
        assert pasted.float().mean().item() == pytest.approx(0.25)
        source = torch.stack([row[inside][0] for row, inside in zip(mixed.flatten(1), pasted, strict=True)]).long()
        assert ((labels[source] == labels) == alike).all()
        torch.testing.assert_close(targets, 0.75 * F.one_hot(labels, 4) + 0.25 * F.one_hot(labels[source], 4))


def test_a_module_does_not_know_the_groups():
    with pytest.raises(ValueError, match="groups"):
        CutMix(4, partners="same-group")


def test_a_module_does_not_know_when_training_ends():
    with pytest.raises(TypeError, match="off_after"):
        PairMixer(label_mix, 4, off_after=0.5)
