"""A mixture: each batch, or each image, meets one method of several, with that method's own decisions."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.draws import Plan
from mixbench.core.errors import UserError
from mixbench.mixing.rows import Counting
from mixbench.mixing.runner import build_method
from mixbench.training.validate import check_functions

SHAPE = (6, 3, 12, 16)
PLAN = Plan(4, 40, SHAPE[0], *SHAPE[2:])


@pytest.fixture(scope="module")
def composer():
    with Composer() as composer:
        yield composer


def validated(composer, *overrides):
    return job(composer.compose(["method=mixture", *overrides])).cfg


def parts(mixed):
    return mixed.images, mixed.targets, mixed.at_layer


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(SHAPE, generator=generator), torch.rand(SHAPE[0], 4, generator=generator).softmax(dim=1)


def decisions(method, step=0, plan=PLAN):
    return {name: torch.from_numpy(values[0]) for name, values in method.drawn(plan, step, 1).items()}


def by_itself(composer, name, step, *overrides):
    """What the method makes of the batch in a run of its own, by its own plan of that step."""
    method = build_method(job(composer.compose([f"method={name}", *overrides])).cfg.method)
    return parts(method(*batch(), decisions(method, step)))


MANY = "method.methods=[label-mix,cutmix,fmix,cutout,none]"


@pytest.mark.parametrize("scope", ["false", "true"])
def test_each_image_is_what_its_method_would_have_made_of_it_alone(composer, scope):
    cfg = validated(composer, MANY, f"method.per_sample={scope}", "method.parts.cutmix.per_sample=true")
    method, names = build_method(cfg.method), list(cfg.method.methods)
    used = set()
    for step in range(8):
        decided = decisions(method, step)
        images, targets, at = parts(method(*batch(), decided))
        assert at is None
        number = decided["part"].tolist()
        used |= set(number)
        assert scope == "true" or len(set(number)) == 1
        for i, k in enumerate(number):
            own = ["method.per_sample=true"] if names[k] == "cutmix" else []
            alone, weights, _ = by_itself(composer, names[k], step, *own)
            assert torch.equal(images[i], alone[i])
            assert torch.equal(targets[i], weights[i])
    assert len(used) >= 4


def test_the_choice_has_the_probabilities_and_p_leaves_batches_alone(composer):
    cfg = validated(
        composer, "method.methods=[cutmix,none,label-mix]", "method.probabilities=[0.5,0.2,0.3]", "method.p=0.6"
    )
    assert cfg.method.methods == ["cutmix", "label-mix", "none"]
    part = build_method(cfg.method).drawn(PLAN, 0, 4000)["part"]
    assert (part == part[:, :1]).all()
    counts = np.bincount(part[:, 0], minlength=4)
    assert stats.chisquare(counts, 4000 * np.array([0.3, 0.18, 0.12, 0.4])).pvalue > 0.01

    never = build_method(validated(composer, "method.p=0").method)
    images, targets, _ = parts(never(*batch(), decisions(never)))
    assert torch.equal(images, batch()[0])
    assert torch.equal(targets, batch()[1])


def test_a_part_takes_the_same_decisions_whatever_the_others_are(composer):
    two = build_method(validated(composer, "method.methods=[cutmix,label-mix]").method).drawn(PLAN, 5, 3)
    other = build_method(validated(composer, "method.methods=[fmix,gridmix,cutmix]").method).drawn(PLAN, 5, 3)
    for name in ("cutmix.partner", "cutmix.lam", "cutmix.centre"):
        assert np.array_equal(two[name], other[name])


def test_features_are_mixed_where_manifold_was_chosen_and_by_nothing_else(composer):
    cfg = validated(
        composer,
        "method.methods=[manifold,cutmix]",
        "method.parts.manifold.layers=[stage1]",
    )
    method, names = build_method(cfg.method), list(cfg.method.methods)
    features = torch.randn(SHAPE[0], 5)
    seen = set()
    for step in range(8):
        decided = decisions(method, step)
        at = method(*batch(), decided).at_layer
        chosen = decided["part"] == names.index("manifold")
        seen |= set(chosen.tolist())
        if at is None:
            assert not chosen.any()
            continue
        lam = decided["manifold.lam"][:, None].float()
        blended = lam * features + (1 - lam) * features[decided["manifold.partner"]]
        torch.testing.assert_close(at("stage1", features), torch.where(chosen[:, None], blended, features))
        assert torch.equal(at("stage2", features), features)
    assert seen == {True, False}


def test_per_sample_with_manifold_at_the_input_gives_pixels_and_labels_the_same_shares(composer):
    """Where features could be mixed the targets would be wrong: refused, and see the mistakes below."""
    words = ["method.methods=[manifold,label-mix]", "method.per_sample=true", "method.parts.manifold.layers=[input]"]
    method = build_method(validated(composer, *words).method)
    own = torch.eye(SHAPE[0])
    for step in range(5):
        pixels = own[:, :, None, None].expand(-1, -1, 8, 8).clone()
        images, targets, at = parts(method(pixels, own, decisions(method, step)))
        torch.testing.assert_close(images.mean(dim=(2, 3)), targets)
        assert at is None or torch.equal(at("stage1", own), own)


def test_work_left_out_on_a_cpu_changes_nothing(composer, monkeypatch):
    """On a GPU every part is computed for every batch: there a look at the decisions would wait for the device."""
    words = ["method.methods=[manifold,cutmix,fmix,cutout]"]
    method = build_method(validated(composer, *words).method)
    for step in range(6):
        decided, features = decisions(method, step), torch.randn(SHAPE[0], 5)
        with monkeypatch.context() as patch:
            for module in ("runner", "features"):
                patch.setattr(f"mixbench.mixing.{module}.known_all_false", lambda mask: False)
            whole = parts(method(*batch(), decided))
            everywhere = [whole[2](name, features) for name in ("stage1", "stage2")]
        some = parts(method(*batch(), decided))
        assert torch.equal(whole[0], some[0])
        assert torch.equal(whole[1], some[1])
        for name, expected in zip(("stage1", "stage2"), everywhere, strict=True):
            assert torch.equal(features if some[2] is None else some[2](name, features), expected)


@pytest.mark.parametrize(
    "words",
    [
        ["snapmix"],
        ["snapmix", "method.normalise=true"],
        ["attentivemix"],
        ["tokenmix", "method.normalise=false"],
        ["smmix"],
        ["guidedmix", "method.saliency=gradient"],
    ],
)
def test_a_network_is_not_asked_about_a_batch_that_is_not_mixed(composer, monkeypatch, words):
    """On a GPU it is asked, since a look at the decisions would wait for the device. The result is the same."""
    name, *settings = words
    method = build_method(job(composer.compose([f"method={name}", "method.p=0", *settings])).cfg.method)
    module = "transformers" if name in ("tokenmix", "smmix") else name
    decided, not_asked, asked = decisions(method, 0), Counting(), Counting()
    some = method(*batch(), decided, not_asked)
    with monkeypatch.context() as patch:
        patch.setattr(importlib.import_module(f"mixbench.mixing.{module}"), "known_all_false", lambda mask: False)
        whole = method(*batch(), decided, asked)
    assert not_asked.rows == 0 < asked.rows
    assert (some.weights is None) == (whole.weights is None)
    for key in ("images", "targets", "own", *["weights"] * (whole.weights is not None)):
        torch.testing.assert_close(getattr(some, key), getattr(whole, key))


def test_protected_images_stay_as_they_are(composer):
    protected = np.arange(40) % 3 == 0
    plan = replace(PLAN, protected=protected)
    method = build_method(validated(composer, MANY, "method.per_sample=true").method)
    for step in range(6):
        kept = torch.from_numpy(protected[plan.steps(step, 1)["index"][0]])
        images, targets, _ = parts(method(*batch(), decisions(method, step, plan)))
        assert torch.equal(images[kept], batch()[0][kept])
        assert torch.equal(targets[kept], batch()[1][kept])


def test_the_same_mixture_is_the_same_run_however_it_is_written(composer):
    written = [
        ["method=mixture"],
        ["method=mixup-cutmix"],
        ["method=mixture", "method.methods=[mixup,cutmix]", "method.probabilities=[0.5,0.5]"],
        ["method=mixture", "method.parts={cutmix:{alpha:1.0}}"],
        ["method=mixture", "method.methods=[cutmix,label-mix,fmix]", "method.probabilities=[0.5,0.5,0]"],
    ]
    assert len({job(composer.compose(words)).id for words in written}) == 1
    others = [
        ["method.probabilities=[0.4,0.6]"],
        ["method.parts.cutmix.alpha=2"],
        ["method.per_sample=true"],
        ["method.p=0.5"],
    ]
    assert len({job(composer.compose(["method=mixture", *words])).id for words in [[], *others]}) == 5


def test_a_part_without_mixing_counts_as_none(composer):
    cfg = validated(composer, "method.parts.cutmix.alpha=0")
    assert cfg.method.parts.cutmix.name == "none"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["method.methods=[mixup,cutmx]"], "unknown method.methods 'cutmx' (did you mean cutmix?)"),
        (["method.methods=cutmix"], "method.methods=cutmix: must be a list, as in method.methods=[label-mix,cutmix]"),
        (["method.methods=[]"], "method.methods=[]: must be a list"),
        (["method.methods=[cutmix,mixture]"], "a mixture cannot be part of a mixture"),
        (["method.methods=[mixup,label-mix]"], "method.methods=['label-mix', 'label-mix']"),
        (["method.probabilities=[0.3,0.3]"], "method.probabilities=[0.3, 0.3]: must be numbers that sum to 1"),
        (["method.probabilities=[1]"], "method.probabilities=[1]: must be a list of 2"),
        (["method.probabilities=[1.5,-0.5]"], "method.probabilities=-0.5: must be a finite number, 0 or more"),
        (["method.probabilities=[a,b]"], "method.probabilities=a: must be a number"),
        (["method.parts.cutmx.alpha=2"], "(did you mean method.parts.cutmix?)"),
        (["method.parts.cutmix.alhpa=2"], "(did you mean method.parts.cutmix.alpha?)"),
        (["method.parts=5"], "method.parts=5: "),
        (["method.parts=null"], "method.parts=None: "),
        (["method.parts.cutmix.name=mixture"], "method.parts.cutmix.name=mixture: "),
        (["method.parts.cutmix.version=2"], "method.parts.cutmix.version=2: "),
        (["method.parts.cutmix=2"], "method.parts.cutmix.p=0.5"),
        (["method.parts.cutmix.alpha=-2"], "method.parts.cutmix.alpha=-2: must be a finite number, 0 or more"),
        (["method.methods=[cutout]", "method.parts.cutout.length=2"], "method.parts.cutout.length=2: must be above 0"),
        (
            ["method.methods=[label-mix,resizemix]", "method.parts.resizemix.max_scale=2"],
            "method.parts.resizemix.max_scale=2: must be at most 1",
        ),
        (["method.methods=[none,gridmix]", "method.parts.gridmix.grid=0"], "method.parts.gridmix.grid=0: must be"),
        (
            ["method.methods=[cutmix,manifold]", "method.parts.manifold.layers=[stage9]"],
            "unknown layer (model=preact_resnet18) in method.parts.manifold.layers 'stage9'",
        ),
        (
            ["method.methods=[cutmix,manifold]", "method.per_sample=true"],
            "method.per_sample=true: manifold mixes features with those of its partner, which another method may have",
        ),
        (["method.p=2"], "method.p=2.0: must be a probability, from 0 to 1"),
    ],
)
def test_mistakes_are_told(composer, overrides, message):
    with pytest.raises(UserError) as told:
        check_functions(validated(composer, *overrides))
    assert message in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("scope", ["false", "true"])
def test_nothing_is_mixed_after_a_share_of_the_steps(composer, scope):
    cfg = validated(composer, f"method.per_sample={scope}", "method.off_after=0.5")
    method, plan = build_method(cfg.method), replace(PLAN, length=10)
    drawn = method.drawn(plan, 0, 10)["part"]
    assert (drawn[:5] < len(cfg.method.methods)).all()
    assert (drawn[5:] >= len(cfg.method.methods)).all()
    images, targets = batch()
    late = method(images, targets, decisions(method, 7, plan))
    assert torch.equal(late.images, images)
    assert torch.equal(late.targets, targets)
