"""Losses against torch, timm and SciPy, and the smoothed one-hot rows that they begin from."""

import inspect

import pytest
import timm.loss
import torch
from scipy.special import rel_entr
from torch.nn import functional as F

from mixbench.core.registry import declaration_of
from mixbench.mixing.linear import label_mix
from mixbench.training.losses import LOSSES, loss_per_row, one_hot

B, K = 12, 7


def drawn(shift=0):
    generator = torch.Generator().manual_seed(shift)
    return 3 * torch.randn(B, K, generator=generator), torch.randint(K, (B,), generator=generator)


def mixed_targets(smoothing=0.0, lam=0.3):
    _, labels = drawn()
    rows = one_hot(labels, K, smoothing)
    return lam * rows + (1 - lam) * rows.roll(1, 0)


def loss_and_gradient(loss, logits, targets):
    logits = logits.clone().requires_grad_()
    value = loss(logits, targets)
    value.backward()
    return value.detach(), logits.grad


ORACLES = {
    ("ce", False): timm.loss.SoftTargetCrossEntropy(),
    ("kl", False): lambda logits, t: F.kl_div(logits.log_softmax(1), t, reduction="none").sum() / len(t),
    ("bce", False): timm.loss.BinaryCrossEntropy(smoothing=0),
    ("bce", True): timm.loss.BinaryCrossEntropy(smoothing=0, sum_classes=True),
}


@pytest.mark.parametrize("targets", ["one-hot", "mixed", "smoothed and mixed", "not of sum 1"])
@pytest.mark.parametrize(("name", "sum_classes"), list(ORACLES))
def test_losses_and_gradients_are_those_of_torch_and_timm(name, sum_classes, targets):
    logits, labels = drawn()
    rows = {
        "one-hot": one_hot(labels, K, 0.0),
        "mixed": mixed_targets(),
        "smoothed and mixed": mixed_targets(0.1),
        "not of sum 1": torch.rand(B, K, generator=torch.Generator().manual_seed(1)),
    }[targets]
    options = {"sum_classes": True} if sum_classes else {}
    ours = loss_and_gradient(lambda x, t: LOSSES[name](x, t, **options), logits, rows)
    torch.testing.assert_close(ours, loss_and_gradient(ORACLES[name, sum_classes], logits, rows))


def decoupled_by_formula(logits, rows, eta):
    """From the softmax itself, in a loop. rows: (weight, class) pairs of each image."""
    total = 0.0
    for z, pairs in zip(logits, rows, strict=True):
        total += -sum(weight * z.softmax(0)[label].log() for weight, label in pairs)
        if len({label for _, label in pairs}) == 2:
            for one, other in ((0, 1), (1, 0)):
                mine, left_out = pairs[one][1], pairs[other][1]
                others = sum(z[c].exp() for c in range(K) if c not in (mine, left_out))
                total += -eta * (z[mine].exp() / (z[mine].exp() + others)).log()
    return total / len(logits)


@pytest.mark.parametrize("eta", [0.1, 0.0, 2.0])
def test_decoupled_is_its_formula(eta):
    logits, labels = drawn()
    logits = logits.double()
    labels[3] = labels[2]
    partner = torch.arange(B).roll(1)
    lam = torch.linspace(0, 1, B, dtype=torch.float64)
    one_hot_rows = one_hot(labels, K, 0.0, torch.float64)
    targets = lam[:, None] * one_hot_rows + (1 - lam)[:, None] * one_hot_rows[partner]
    rows = []
    for own, a, b in zip(lam, labels.tolist(), labels[partner].tolist(), strict=True):
        rows.append([(w, c) for w, c in ((own, a), (1 - own, b)) if w > 0])
    assert (labels == labels[partner]).any(), "a pair of equal labels is one class"
    ours = loss_and_gradient(lambda x, t: LOSSES["decoupled"](x, t, eta=eta), logits, targets)
    theirs = loss_and_gradient(lambda x, t: decoupled_by_formula(x, rows, eta), logits, targets)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_decoupled_reduces_to_cross_entropy_with_one_class_and_with_two_in_all():
    logits, labels = drawn()
    for smoothing in (0.0, 0.1):
        rows = one_hot(labels, K, smoothing)
        assert LOSSES["decoupled"](logits, rows, eta=5.0) == LOSSES["ce"](logits, rows)
    two = torch.rand(B, 2, generator=torch.Generator().manual_seed(1)).softmax(dim=1)
    assert LOSSES["decoupled"](logits[:, :2], two, eta=5.0) == LOSSES["ce"](logits[:, :2], two)
    smoothed = mixed_targets(0.1)  # the pair is that of the labels, also where all weights are above 0
    plain = LOSSES["decoupled"](logits, mixed_targets()) - LOSSES["ce"](logits, mixed_targets())
    torch.testing.assert_close(LOSSES["decoupled"](logits, smoothed) - LOSSES["ce"](logits, smoothed), plain)


def test_decoupled_works_row_by_row_for_weights():
    logits, _ = drawn()
    each = loss_per_row(LOSSES["decoupled"], logits, mixed_targets())
    torch.testing.assert_close(each.mean(), LOSSES["decoupled"](logits, mixed_targets()))


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_jsd_is_that_of_scipy_and_finite_where_predictions_are_certain(scale):
    logits = scale * torch.randn(3 * B, K, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    targets = mixed_targets().double().repeat(3, 1)
    value, gradient = loss_and_gradient(lambda x, t: LOSSES["jsd"](x, t, weight=2.0), logits, targets)
    p = logits.softmax(dim=1).view(3, B, K).numpy()
    divergence = sum(rel_entr(view, p.mean(axis=0)).sum() for view in p) / (3 * B)
    clean = LOSSES["ce"](logits[:B], targets[:B])
    assert value.item() == pytest.approx(clean.item() + 2 * divergence, rel=1e-9)
    assert gradient.isfinite().all()
    alike = logits[:B].repeat(3, 1)
    assert LOSSES["jsd"](alike, targets).item() == pytest.approx(clean.item())


@pytest.mark.parametrize(("name", "option"), [("decoupled", "eta"), ("jsd", "weight")])
def test_negative_weights_of_a_part_are_refused(name, option):
    with pytest.raises(ValueError, match=f"{option}=-1"):
        LOSSES[name](torch.zeros(3, K), torch.eye(3, K), **{option: -1.0})


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_smoothed_rows_are_torchs_and_timms_label_smoothing(smoothing):
    logits, labels = drawn()
    rows = one_hot(labels, K, smoothing)
    torch.testing.assert_close(LOSSES["ce"](logits, rows), F.cross_entropy(logits, labels, label_smoothing=smoothing))
    torch.testing.assert_close(
        LOSSES["bce"](logits, rows), timm.loss.BinaryCrossEntropy(smoothing=smoothing)(logits, labels)
    )


def test_without_smoothing_rows_are_exactly_one_hot():
    """Bit for bit: runs of before there was smoothing stay what they were."""
    _, labels = drawn()
    rows = one_hot(labels, K, 0.0)
    assert rows.dtype == torch.float32
    assert torch.equal(rows, F.one_hot(labels, K).float())


def test_kl_is_relative_entropy():
    logits, _ = drawn()
    targets = mixed_targets()
    expected = rel_entr(targets.double().numpy(), logits.double().softmax(1).numpy()).sum() / B
    assert LOSSES["kl"](logits, targets).item() == pytest.approx(expected, rel=1e-5)
    at_the_targets = mixed_targets(0.1)
    assert LOSSES["kl"](at_the_targets.log(), at_the_targets).item() == pytest.approx(0, abs=1e-6)


def test_kl_has_the_gradient_of_cross_entropy():
    logits, _ = drawn()
    for targets in (mixed_targets(), mixed_targets(0.1)):
        value, gradient = loss_and_gradient(LOSSES["kl"], logits, targets)
        of_ce, expected = loss_and_gradient(LOSSES["ce"], logits, targets)
        torch.testing.assert_close(gradient, expected)
        torch.testing.assert_close(of_ce - value, torch.special.entr(targets).sum() / B)


@pytest.mark.parametrize("name", LOSSES)
def test_targets_of_exact_zeros_and_extreme_logits_stay_finite(name):
    _, labels = drawn()
    rows = one_hot(labels, K, 0.0)
    for logits in (torch.zeros(B, K), 1e4 * rows, -1e4 * rows):  # sure and right, sure and wrong
        value, gradient = loss_and_gradient(LOSSES[name], logits, rows)
        assert value.isfinite()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_a_mean_over_the_batch(name):
    logits, targets = drawn()[0], mixed_targets()
    images = B // declaration_of(LOSSES[name]).views  # some losses get several rows, the views, of each image
    each = torch.stack([LOSSES[name](logits[i::images], targets[i::images]) for i in range(images)])
    torch.testing.assert_close(LOSSES[name](logits, targets), each.mean())


def test_summing_over_classes_is_k_times_the_mean():
    logits, targets = drawn()[0], mixed_targets()
    bce = LOSSES["bce"]
    torch.testing.assert_close(bce(logits, targets, sum_classes=True), K * bce(logits, targets))


@pytest.mark.parametrize("name", ["ce", "bce"])
def test_the_loss_of_a_mixture_is_the_mixture_of_losses(name):
    logits, labels = drawn()
    own, partners = one_hot(labels, K, 0.1), one_hot(labels.roll(1), K, 0.1)
    apart = 0.3 * LOSSES[name](logits, own) + 0.7 * LOSSES[name](logits, partners)
    torch.testing.assert_close(LOSSES[name](logits, 0.3 * own + 0.7 * partners), apart)


def test_smoothing_before_mixing_is_smoothing_of_the_mixture():
    torch.testing.assert_close(mixed_targets(0.2), 0.8 * mixed_targets() + 0.2 / K)
    _, labels = drawn()
    partner, lam = torch.arange(B).roll(1), torch.linspace(0, 1, B)
    images = torch.zeros(B, 1, 2, 2)
    rows = [label_mix(images, one_hot(labels, K, e), partner=partner, lam=lam).targets for e in (0.2, 0.0)]
    torch.testing.assert_close(rows[0], 0.8 * rows[1] + 0.2 / K)
    torch.testing.assert_close(rows[0].sum(1), torch.ones(B))


def test_binary_cross_entropy_treats_each_class_by_itself():
    """Both classes of a mixed image wholly present: the best output has both at 1, which softmax cannot give."""
    targets = torch.tensor([[1.0, 1.0, 0.0]])
    assert LOSSES["bce"](torch.tensor([[20.0, 20.0, -20.0]]), targets) < 1e-6
    logits = torch.tensor([[0.5, -1.0, 2.0]])
    _, gradient = loss_and_gradient(LOSSES["bce"], logits, targets)
    torch.testing.assert_close(gradient, (logits.sigmoid() - targets) / 3)


def test_options_are_keywords_with_defaults():
    for loss in LOSSES.values():
        for name, parameter in inspect.signature(loss).parameters.items():
            assert name in ("logits", "targets") or parameter.kind is inspect.Parameter.KEYWORD_ONLY
