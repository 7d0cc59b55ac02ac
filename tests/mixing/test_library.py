"""The mixing functions outside the runner: any batch, integer or soft labels, draws from a generator."""

import functools
import inspect
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from scipy import stats
from torch import nn
from torch.nn import functional as F

from mixbench import mixing
from mixbench.core import registry
from mixbench.mixing import METHODS, cutmix, cutout, fmix, label_mix, label_only, manifold, mixture
from mixbench.mixing.operations import blend

ROOT = Path(__file__).parents[2]
LINEAR = ("none", "label-mix", "data-mix", "label-only")
every_method = pytest.mark.parametrize("name", METHODS)


def images_and_labels(*shape, classes=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator), torch.randint(classes, shape[:1], generator=generator)


@every_method
def test_defaults_are_those_of_the_yaml_file(name):
    cfg = OmegaConf.load(ROOT / "configs" / "method" / f"{name}.yaml")
    signature = inspect.signature(METHODS[name])
    for key in set(cfg) - {"name", "version"}:
        default = signature.parameters[key].default
        assert (list(default) if isinstance(default, tuple) else default) == cfg[key], key
    assert set(cfg) - {"name", "version"} == {
        *registry.options_of(METHODS[name]),
        *registry.settings_of(METHODS[name]),
    }


@every_method
def test_integer_labels_are_one_hot_rows_and_the_generator_decides(name):
    images, labels = images_and_labels(8, 3, 16, 16)
    first = METHODS[name](images, labels, num_classes=5, generator=np.random.default_rng(3))
    again = METHODS[name](images, F.one_hot(labels, 5).float(), generator=np.random.default_rng(3))
    for a, b in zip(first[:2], again[:2], strict=True):
        assert torch.equal(a, b)
    assert first[0].shape == images.shape
    assert first[1].shape == (8, 5)
    torch.testing.assert_close(first[1].sum(dim=1), torch.ones(8))


@every_method
@pytest.mark.parametrize("kind", ["numpy", "torch", "global"])
def test_one_call_after_another_draws_anew(name, kind):
    images, labels = images_and_labels(8, 3, 16, 16)
    if kind == "global":
        torch.manual_seed(5)
    generator = {"numpy": np.random.default_rng(5), "torch": torch.Generator().manual_seed(5), "global": None}[kind]
    calls = [METHODS[name](images, labels, num_classes=5, generator=generator)[:2] for _ in range(6)]
    alike = all(torch.equal(a, b) for call in calls[1:] for a, b in zip(calls[0], call, strict=True))
    assert alike == (name == "none")


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 9), (6, 3, 8, 8), (6, 2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_linear_methods_take_tables_signals_and_images(name, shape, dtype):
    batch, labels = images_and_labels(*shape)
    batch = batch.to(dtype)
    partner, lam = torch.tensor([1, 2, 3, 4, 5, 0]), torch.full((6,), 0.25)
    decided = {"partner": partner, "lam": lam} if name != "none" else {}
    mixed, targets = METHODS[name](batch, labels, num_classes=5, **decided)
    assert (mixed.dtype, targets.dtype) == (dtype, torch.float64 if dtype == torch.float64 else torch.float32)
    blended = (0.25 * batch.double() + 0.75 * batch[partner].double()).to(dtype)
    expected = batch if name in ("none", "label-only") else blended
    torch.testing.assert_close(mixed, expected, atol=0.02 if dtype == torch.bfloat16 else 1e-6, rtol=0)


def test_lambda_has_the_beta_distribution_asked_for():
    images, generator = torch.zeros(4000, 1), np.random.default_rng(0)
    labels = torch.eye(2)[torch.arange(4000) % 2]
    neighbour = torch.arange(4000).roll(1)
    _, targets = label_only(
        images, labels, generator=generator, partner=neighbour, alpha=2.0, beta=0.5, per_sample=True
    )
    assert stats.kstest(targets[labels == 1].numpy(), stats.beta(2.0, 0.5).cdf).pvalue > 0.01
    _, targets = label_only(images, labels, generator=generator, partner=neighbour, alpha=0.3, per_sample=True)
    assert stats.kstest(targets[labels == 1].numpy(), stats.beta(0.3, 0.3).cdf).pvalue > 0.01


def test_alpha_0_mixes_nothing():
    images, labels = images_and_labels(6, 3, 8, 8)
    for settings in ({"alpha": 0}, {"alpha": 0.0, "beta": 0.0}):
        mixed, targets = cutmix(images, labels, num_classes=5, **settings)
        assert torch.equal(mixed, images)
        assert torch.equal(targets, F.one_hot(labels, 5).float())


def test_one_number_serves_all_images():
    images, labels = images_and_labels(6, 4)
    partner = torch.tensor([1, 2, 3, 4, 5, 0])
    mixed, _ = label_mix(images, labels, num_classes=5, partner=partner, lam=0.25)
    torch.testing.assert_close(mixed, 0.25 * images + 0.75 * images[partner])


def test_p_leaves_that_share_of_batches_alone():
    images, labels = images_and_labels(6, 3, 8, 8)
    generator = np.random.default_rng(1)
    kept = [
        torch.equal(label_mix(images, labels, num_classes=5, generator=generator, p=0.3)[0], images) for _ in range(300)
    ]
    assert np.mean(kept) == pytest.approx(0.7, abs=0.08)


@every_method
def test_protected_images_are_neither_changed_nor_anyones_partner(name):
    images, _ = images_and_labels(8, 3, 16, 16)
    own_label, protected = torch.eye(8), torch.tensor([True, False, False, True, False, False, False, False])
    generator = np.random.default_rng(2)
    for per_sample in (False, True) if "per_sample" in inspect.signature(METHODS[name]).parameters else (None,):
        scope = {} if per_sample is None else {"per_sample": per_sample}
        for _ in range(5):
            mixed, targets, *_ = METHODS[name](images, own_label, generator=generator, protected=protected, **scope)
            assert torch.equal(mixed[protected], images[protected])
            assert torch.equal(targets[protected], own_label[protected])
            assert (targets[~protected][:, protected] == 0).all()
    # A different protected image gives the others the same pixels: they have nothing of it.
    other = torch.where(protected[:, None, None, None], 100 * images, images)
    calls = [
        METHODS[name](x, own_label, generator=np.random.default_rng(7), protected=protected) for x in (images, other)
    ]
    assert torch.equal(calls[0][0][~protected], calls[1][0][~protected])


def test_the_generator_of_a_dataloaders_worker_is_its_own():
    """The trap of published codes: λ from NumPy's global state is the same in every worker."""
    images, labels = images_and_labels(8, 3, 8, 8)

    class Mixed(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield label_mix(images, labels, num_classes=5)[0]

    first, second = torch.utils.data.DataLoader(Mixed(), batch_size=None, num_workers=2)
    assert not torch.equal(first, second)


def test_mixture_takes_each_method_with_its_probability():
    images, labels = images_and_labels(4, 3, 8, 8)
    generator, taken = np.random.default_rng(0), []

    def named(name):
        def method(images, labels, **given):
            taken.append(name)
            return images, labels

        return method

    methods = {named("a"): 0.5, named("b"): 0.2}
    for _ in range(1000):
        before = len(taken)
        mixture(images, labels, methods, num_classes=5, generator=generator)
        if len(taken) == before:
            taken.append("neither")
    shares = {name: taken.count(name) / 1000 for name in ("a", "b", "neither")}
    assert shares == {
        "a": pytest.approx(0.5, abs=0.05),
        "b": pytest.approx(0.2, abs=0.04),
        "neither": pytest.approx(0.3, abs=0.05),
    }

    one = functools.partial(cutmix, alpha=0.5)
    mixed, targets = mixture(images, labels, {one: 1.0}, num_classes=5, generator=np.random.default_rng(1))
    assert mixed.shape == images.shape
    assert targets.shape == (4, 5)
    with pytest.raises(ValueError, match="at most 1"):
        mixture(images, labels, {cutmix: 0.7, label_mix: 0.7}, num_classes=5)


def test_manifold_mixes_the_features_of_any_network():
    images, labels = images_and_labels(6, 4)
    first, second = nn.Linear(4, 7), nn.Linear(7, 5)
    partner, lam = torch.tensor([1, 2, 3, 4, 5, 0]), torch.full((6,), 0.25, dtype=torch.float64)
    decided = {"partner": partner, "lam": lam, "layer": torch.full((6,), 0.5)}
    images, targets, at = manifold(images, labels, num_classes=5, **decided)  # the middle of three: stage1
    features = first(images)
    torch.testing.assert_close(at("stage1", features), blend(features, features[partner], lam))
    assert torch.equal(at("stage2", second(features)), second(features))
    own_label = F.one_hot(labels, 5).float()
    torch.testing.assert_close(targets, blend(own_label, own_label[partner], lam))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: label_mix(x, y), "labels are integers: give num_classes too"),
        (lambda x, y: label_mix(x, y.float(), num_classes=5), "labels of shape [4], torch.float32: must be int [B] or"),
        (lambda x, y: label_mix(x, y[:3], num_classes=5), "4 images but 3 labels"),
        (lambda x, y: label_mix(x, y, num_classes=5, alpha=-1), "alpha=-1: must be a finite number above 0"),
        (lambda x, y: label_mix(x, y, num_classes=5, alpha=0, beta=1), "alpha=0: must be a finite number above 0"),
        (lambda x, y: label_mix(x, y, num_classes=5, beta=0), "beta=0: must be a finite number above 0"),
        (lambda x, y: label_mix(x, y, num_classes=2), "labels from 2 to 4: must be in 0 … 1"),
        (lambda x, y: label_mix(x, y - 3, num_classes=5), "labels from -1 to 1: must be in 0 … 4"),
        (lambda x, y: label_mix(x.numpy(), y, num_classes=5), "images are of type ndarray: must be a torch tensor"),
        (lambda x, y: label_mix(x, y.tolist(), num_classes=5), "labels are of type list: must be a torch tensor"),
        (
            lambda x, y: label_mix(x, y, num_classes=5, generator=np.random.RandomState(0)),
            "generator is a numpy.random.mtrand.RandomState: must be a numpy.random.Generator, a torch",
        ),
        (
            lambda x, y: label_mix(x, y, num_classes=5, lam=0.3, alpha=2.0),
            "alpha=2.0: has no effect beside what is given: lam",
        ),
        (
            lambda x, y: label_mix(x, y, num_classes=5, lam=torch.rand(3)),
            "lam of shape [3]: must be for each of 4",
        ),
        (lambda x, y: label_mix(x, y, num_classes=5, protected=torch.tensor([2])), "must be a bool tensor [4]"),
        (lambda x, y: label_mix(x, y, num_classes=5, protected=[True] * 4), "must be a bool tensor [4]"),
        (lambda x, y: label_mix(x, y, num_classes=5, protected=torch.ones(3).bool()), "must be a bool tensor [4]"),
        (
            lambda x, y: label_mix(x, y, num_classes=5, lam=0.3, protected=torch.ones(4).bool()),
            "protected: has no effect on lam, which is given",
        ),
        (lambda x, y: label_mix(x, y, num_classes=5, alpha="0.2"), "alpha=0.2: must be float"),
        (lambda x, y: label_mix(x, y, num_classes=5, per_sample="no"), "per_sample=no: must be bool"),
        (lambda x, y: label_mix(x, y, num_classes=5, alpha=float("nan")), "alpha=nan: must be a finite number"),
        (
            lambda x, y: fmix(x, y, num_classes=5, spectrum="real"),
            "unknown spectrum 'real'; choices: complex",
        ),
        (
            lambda x, y: label_mix(x, y, num_classes=5, partner=torch.tensor([1])),
            "partner of shape [1]: must be",
        ),
        (lambda x, y: label_mix(x, y, num_classes=5, lam=1.5), "lam: must be from 0 to 1"),
        (lambda x, y: mixture(x, y, [cutmix], num_classes=5), "must be functions with probabilities"),
        (lambda x, y: mixture(x, y, {"cutmix": 1.0}, num_classes=5), "must be functions with probabilities"),
        (lambda x, y: manifold(x, y, num_classes=5)[2]("fc1", x), "layer 'fc1': must be one of input, stage1"),
        (lambda x, y: mixture(x, y, {manifold: 1.0}, num_classes=5), "manifold mixes features too: call it by itself"),
        (lambda x, y: label_mix(x, y, num_classes=5, p=1.5), "p=1.5: must be a probability, from 0 to 1"),
        (lambda x, y: label_mix(x.byte(), y, num_classes=5), "images are torch.uint8: label_mix needs floating-point"),
        (lambda x, y: cutmix(x[:, 0], y, num_classes=5), "images of shape [4, 8, 8]: cutmix needs [B, C, H, W]"),
        (lambda x, y: label_mix(x[:0], y[:0], num_classes=5), "with an image or more"),
        (lambda x, y: cutout(x, y, num_classes=5, length=2.0), "length=2.0: must be above 0 and at most 1"),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises(ValueError, match=r".+") as told:
        call(*images_and_labels(4, 3, 8, 8))
    assert message in str(told.value)


def test_an_unknown_parameter_is_a_type_error():
    with pytest.raises(TypeError, match=r"label_mix\(\) has no parameter 'alhpa'"):
        label_mix(*images_and_labels(4, 3, 8, 8), num_classes=5, alhpa=0.2)


@every_method
def test_help_tells_what_is_drawn_and_from_where(name):
    function = METHODS[name]
    documented = inspect.getdoc(function)
    assert len(documented.splitlines()[0]) > 15
    for parameter in inspect.signature(function).parameters:
        assert re.search(rf"\b{parameter}\b", documented), parameter


def test_everything_promised_is_exported():
    for name in mixing.__all__:
        assert hasattr(mixing, name)
    assert {function.__name__ for function in METHODS.values()} | {"METHODS", "mixture", "mixup"} == set(mixing.__all__)


def test_the_training_loop_of_the_readme_runs_and_learns():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme[readme.index("    import torch\n") :].split("\n\n`")[0]
    names: dict = {}
    exec(textwrap.dedent(block), names)
    right = names["network"](names["images"]).argmax(dim=1) == names["labels"]
    assert right.float().mean().item() > 0.9
