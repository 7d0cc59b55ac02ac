"""The methods as modules: any batch, integer or soft labels, draws from a generator; in a loop and as a collate_fn."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from scipy import stats
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset

from mixbench import mixing
from mixbench.core import registry
from mixbench.mixing import (
    METHODS,
    CutMix,
    Cutout,
    FMix,
    LabelOnly,
    ManifoldMixUp,
    Mixed,
    Mixer,
    Mixture,
    MixUp,
    PairMixer,
    cutmix,
    label_mix,
    method,
)
from mixbench.mixing.operations import blend

ROOT = Path(__file__).parents[2]
# The module of each method; a new method gets a row here.
MODULES = {
    "none": mixing.NoMixing,
    "label-mix": mixing.MixUp,
    "data-mix": mixing.DataMix,
    "mixup-io": mixing.MixUpInputs,
    "label-only": mixing.LabelOnly,
    "regmixup": mixing.RegMixUp,
    "cutmix": mixing.CutMix,
    "cutout": mixing.Cutout,
    "random-erasing": mixing.RandomErasing,
    "resizemix": mixing.ResizeMix,
    "gridmix": mixing.GridMix,
    "smoothmix": mixing.SmoothMix,
    "saliencymix": mixing.SaliencyMix,
    "fmix": mixing.FMix,
    "manifold": mixing.ManifoldMixUp,
}
NOT_OF_MODULES = {"name", "version", "cost", "budget", "off_after"}  # a module does not know how long training is
OF_MIXER = {"regmixup": {"eta", "reduction"}}  # options with which rows have weights, which `Mixer` returns
ROWS = {"regmixup": 2}  # for each image of the batch
LINEAR = ("none", "label-mix", "data-mix", "mixup-io", "label-only", "regmixup")
every_method = pytest.mark.parametrize("name", MODULES)


def images_and_labels(*shape, classes=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(shape, generator=generator), torch.randint(classes, shape[:1], generator=generator)


def module(name, *args, generator=None, **values):
    return MODULES[name](*args, **values, **({} if name == "none" else {"generator": generator}))


def pair(made):
    """Images and targets of what a module returns: two tensors, or of ManifoldMixUp all of Mixed."""
    return made if isinstance(made, tuple) else (made.images, made.targets)


def test_every_method_without_needs_has_a_module():
    without = {name for name, function in METHODS.items() if not registry.declaration_of(function).needs}
    assert {name: module(name) for name in MODULES}.keys() == without
    for name, of_name in MODULES.items():
        assert module(name).function is METHODS[name]
        assert of_name.__name__ in mixing.__all__


@every_method
def test_defaults_are_those_of_the_yaml_file(name):
    cfg = OmegaConf.load(ROOT / "configs" / "method" / f"{name}.yaml")
    parameters = dict(inspect.signature(MODULES[name]).parameters)
    function = METHODS[name]
    keys = set(cfg) - NOT_OF_MODULES
    assert keys | {"off_after"} == {*registry.options_of(function), *registry.settings_of(function), "off_after"}
    keys -= OF_MIXER.get(name, set())
    for key in keys:
        default = parameters[key].default
        assert (list(default) if isinstance(default, tuple) else default) == cfg[key], key
    assert set(parameters) - {"num_classes", "generator"} == keys
    for key, option in registry.options_of(function).items():  # the function has the same defaults
        assert (parameters[key].default if key in parameters else cfg[key]) == option.default


@every_method
def test_signatures_are_the_real_ones(name):
    """What an editor or a type checker reads off the source is what a call takes."""
    for one in (MODULES[name].__init__, METHODS[name]):
        assert not hasattr(one, "__signature__")
        assert not hasattr(one, "__wrapped__")
        kinds = {p.kind for p in inspect.signature(one).parameters.values()}
        assert kinds.isdisjoint({inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL})


@every_method
def test_integer_labels_are_one_hot_rows_and_the_generator_decides(name):
    images, labels = images_and_labels(8, 3, 16, 16)
    first = pair(module(name, 5, generator=np.random.default_rng(3))(images, labels))
    again = pair(module(name, generator=np.random.default_rng(3))(images, F.one_hot(labels, 5).float()))
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)
    rows = 8 * ROWS.get(name, 1)
    assert first[0].shape == (rows, 3, 16, 16)
    assert first[1].shape == (rows, 5)
    torch.testing.assert_close(first[1].sum(dim=1), torch.ones(rows))


@every_method
@pytest.mark.parametrize("kind", ["numpy", "torch", "global"])
def test_one_call_after_another_draws_anew(name, kind):
    images, labels = images_and_labels(8, 3, 16, 16)
    if kind == "global":
        torch.manual_seed(5)
    generator = {"numpy": np.random.default_rng(5), "torch": torch.Generator().manual_seed(5), "global": None}[kind]
    mix = module(name, 5, generator=generator)
    calls = [pair(mix(images, labels)) for _ in range(6)]
    alike = all(torch.equal(a, b) for call in calls[1:] for a, b in zip(calls[0], call, strict=True))
    assert alike == (name == "none")


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 9), (6, 3, 8, 8), (6, 2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_linear_methods_take_tables_signals_and_images(name, shape, dtype):
    batch, labels = images_and_labels(*shape)
    batch = batch.to(dtype)
    mix = module(name, 5, generator=np.random.default_rng(0))
    mixed, targets = mix(batch, labels)
    assert (mixed.dtype, targets.dtype) == (dtype, torch.float64 if dtype == torch.float64 else torch.float32)
    partner, lam = torch.tensor([1, 2, 3, 4, 5, 0]), torch.full((6,), 0.25)
    decided = {"partner": partner, "lam": lam} if name != "none" else {}
    mixed = METHODS[name](batch, targets[-6:], **decided).images[-6:]  # a clean batch may stand before it
    blended = (0.25 * batch.double() + 0.75 * batch[partner].double()).to(dtype)
    expected = batch if name in ("none", "label-only") else blended
    torch.testing.assert_close(mixed, expected, atol=0.02 if dtype == torch.bfloat16 else 1e-6, rtol=0)


def test_a_module_is_its_function_with_the_draws_of_its_generator():
    images, labels = images_and_labels(6, 3, 8, 8)
    mix = CutMix(5, alpha=0.7, per_sample=True, correct_lambda=False, generator=np.random.default_rng(4))
    mixed, targets = mix(images, labels)
    seed = int(np.random.default_rng(4).integers(2**63))
    values = {"alpha": 0.7, "beta": 0.7, "p": 1.0, "per_sample": True}
    plan = mixing.mixer.drawing.Plan(seed, 6, 6, 8, 8, draws=("partner", "lam", "centre"), **values)
    decided = {name: torch.from_numpy(drawn[0]) for name, drawn in plan.drawn(0, 1).items()}
    expected = cutmix(images, F.one_hot(labels, 5).float(), **decided, correct_lambda=False)
    assert torch.equal(mixed, expected.images)
    assert torch.equal(targets, expected.targets)


def test_lambda_has_the_beta_distribution_asked_for():
    images, generator = torch.zeros(4000, 1), np.random.default_rng(0)
    own = torch.eye(2)[torch.arange(4000) % 2]
    for values, wanted in (({"alpha": 2.0, "beta": 0.5}, (2.0, 0.5)), ({"alpha": 0.3}, (0.3, 0.3))):
        _, targets = LabelOnly(generator=generator, per_sample=True, **values)(images, own)
        share = targets[own == 1]
        share = share[share < 1]  # a partner of the same class leaves the label as it is
        assert stats.kstest(share.numpy(), stats.beta(*wanted).cdf).pvalue > 0.01


def test_alpha_0_mixes_nothing():
    images, labels = images_and_labels(6, 3, 8, 8)
    for settings in ({"alpha": 0}, {"alpha": 0.0, "beta": 0.0}):
        mixed, targets = CutMix(5, **settings)(images, labels)
        assert torch.equal(mixed, images)
        assert torch.equal(targets, F.one_hot(labels, 5).float())


def test_p_leaves_that_share_of_batches_alone():
    images, labels = images_and_labels(6, 3, 8, 8)
    mix = MixUp(5, p=0.3, generator=np.random.default_rng(1))
    kept = [torch.equal(mix(images, labels)[0], images) for _ in range(300)]
    assert np.mean(kept) == pytest.approx(0.7, abs=0.08)


@every_method
def test_protected_images_are_neither_changed_nor_anyones_partner(name):
    images, _ = images_and_labels(8, 3, 16, 16)
    own_label, protected = torch.eye(8), torch.tensor([True, False, False, True, False, False, False, False])
    scopes = (False, True) if "per_sample" in inspect.signature(MODULES[name]).parameters else (None,)
    for per_sample in scopes:
        scope = {} if per_sample is None else {"per_sample": per_sample}
        mix = module(name, generator=np.random.default_rng(2), **scope)
        for _ in range(5):
            mixed, targets = (part[-8:] for part in pair(mix(images, own_label, protected=protected)))
            assert torch.equal(mixed[protected], images[protected])
            assert torch.equal(targets[protected], own_label[protected])
            assert (targets[~protected][:, protected] == 0).all()
    # A different protected image gives the others the same pixels: they have nothing of it.
    other = torch.where(protected[:, None, None, None], 100 * images, images)
    calls = [
        pair(module(name, generator=np.random.default_rng(7))(x, own_label, protected=protected))
        for x in (images, other)
    ]
    assert torch.equal(calls[0][0][-8:][~protected], calls[1][0][-8:][~protected])


# In a DataLoader


def test_a_module_is_a_collate_fn():
    images, labels = images_and_labels(10, 3, 8, 8)
    dataset = [(image, int(label)) for image, label in zip(images, labels, strict=True)]
    batches = list(DataLoader(dataset, batch_size=4, collate_fn=CutMix(5, generator=np.random.default_rng(0))))
    assert [batch[0].shape for batch in batches] == [(4, 3, 8, 8), (4, 3, 8, 8), (2, 3, 8, 8)]
    again = CutMix(5, generator=np.random.default_rng(0))(images[:4], labels[:4])
    assert torch.equal(batches[0][0], again[0])
    assert torch.equal(batches[0][1], again[1])


def test_the_generator_of_a_dataloaders_worker_is_its_own():
    """The trap of published codes: λ from NumPy's global state is the same in every worker."""
    images, labels = images_and_labels(8, 3, 8, 8)

    class Mixed(IterableDataset):
        def __iter__(self):
            yield MixUp(5)(images, labels)[0]

    first, second = DataLoader(Mixed(), batch_size=None, num_workers=2)
    assert not torch.equal(first, second)


# One of several, and features


class Named(mixing.NoMixing):
    """Notes that it was taken."""

    def __init__(self, name, taken):
        super().__init__(5)
        self.name, self.taken = name, taken

    def forward(self, images, labels=None, *, protected=None):
        self.taken.append(self.name)
        return super().forward(images, labels, protected=protected)


def test_mixture_takes_each_module_with_its_probability():
    images, labels = images_and_labels(4, 3, 8, 8)
    taken = []
    mix = Mixture([Named("a", taken), Named("b", taken)], [0.5, 0.2], generator=np.random.default_rng(0))
    for _ in range(1000):
        before = len(taken)
        mixed, targets = mix(images, labels)
        if len(taken) == before:
            taken.append("neither")
            assert torch.equal(mixed, images)
            assert torch.equal(targets, F.one_hot(labels, 5).float())
    shares = {name: taken.count(name) / 1000 for name in ("a", "b", "neither")}
    assert shares == {
        "a": pytest.approx(0.5, abs=0.05),
        "b": pytest.approx(0.2, abs=0.04),
        "neither": pytest.approx(0.3, abs=0.05),
    }


def test_mixture_as_a_collate_fn_takes_all_in_equal_parts():
    images, labels = images_and_labels(4, 3, 8, 8)
    taken = []
    mix = Mixture([Named("a", taken), Named("b", taken), Named("c", taken)], generator=np.random.default_rng(0))
    for _ in range(300):
        mix(list(zip(images, labels, strict=True)))
    assert len(taken) == 300
    assert min(taken.count(name) for name in "abc") > 70


def test_manifold_mixes_the_features_of_any_network():
    images, labels = images_and_labels(6, 4)
    first, second = nn.Linear(4, 7), nn.Linear(7, 5)
    mix = ManifoldMixUp(5, layers=("fc1",), generator=np.random.default_rng(0))
    mixed = mix(images, labels)
    assert torch.equal(mixed.images, images)
    own = F.one_hot(labels, 5).float()
    # λ and π are read off the targets of labels that all differ, by the same generator.
    decided = ManifoldMixUp(layers=("fc1",), generator=np.random.default_rng(0))(images, torch.eye(6)).targets
    features = first(images)
    torch.testing.assert_close(mixed.at_layer("fc1", features), decided @ features)
    assert torch.equal(mixed.at_layer("fc2", second(features)), second(features))
    torch.testing.assert_close(mixed.targets, decided @ own)


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (lambda x, y: MixUp()(x, y), ["num_classes", "labels", "integers"]),
        (lambda x, y: MixUp(5)(x, y.float()), ["labels", "[4]", "torch.float32", "int [B]", "float [B, K]"]),
        (lambda x, y: MixUp(5)(x, y[:3]), ["4 images", "3 labels"]),
        (lambda x, y: MixUp(5)(x), ["labels", "(image, label) pairs"]),
        (lambda x, y: MixUp(5, alpha=-1), ["alpha=-1", "0 or more"]),
        (lambda x, y: MixUp(5, alpha=0, beta=1), ["alpha=0", "beta=1", "both"]),
        (lambda x, y: MixUp(5, beta=0), ["alpha=1", "beta=0", "both"]),
        (lambda x, y: MixUp(2)(x, y), ["labels", "2", "4", "0 … 1"]),
        (lambda x, y: MixUp(5)(x, y - 3), ["labels", "-1", "0 … 4"]),
        (lambda x, y: MixUp(5)(x.numpy(), y), ["images", "ndarray", "torch tensor"]),
        (lambda x, y: MixUp(5)(x, y.tolist()), ["labels", "list", "torch tensor"]),
        (
            lambda x, y: MixUp(5, generator=np.random.RandomState(0))(x, y),
            ["generator", "numpy.random.mtrand.RandomState", "numpy.random.Generator", "torch.Generator", "None"],
        ),
        (lambda x, y: MixUp(5)(x, y, protected=torch.tensor([2])), ["protected=tensor([2])", "bool", "[4]"]),
        (lambda x, y: MixUp(5)(x, y, protected=[True] * 4), ["protected=[True, True", "tensor", "[4]"]),
        (lambda x, y: MixUp(5)(x, y, protected=torch.ones(3).bool()), ["protected=tensor(", "bool", "[4]"]),
        (lambda x, y: MixUp(5, alpha="0.2"), ["alpha=0.2", "number"]),
        (lambda x, y: MixUp(5, per_sample="no"), ["per_sample=no", "true", "false"]),
        (lambda x, y: MixUp(5, alpha=float("nan")), ["alpha=nan", "finite"]),
        (lambda x, y: FMix(5, spectrum="real"), ["spectrum", "'real'", "complex", "published", "interleaved"]),
        (lambda x, y: Mixture([]), ["mixers=[]", "CutMix"]),
        (lambda x, y: Mixture([cutmix]), ["mixers=[<function", "CutMix"]),
        (lambda x, y: Mixture([ManifoldMixUp(5)]), ["mixers=[ManifoldMixUp", "CutMix"]),
        (lambda x, y: Mixture([MixUp(5), CutMix(5)], [0.7, 0.7]), ["probabilities=[0.7, 0.7]", "at most 1"]),
        (lambda x, y: Mixture([MixUp(5)], [0.7, 0.3]), ["probabilities=[0.7, 0.3]", "1 number"]),
        (lambda x, y: MixUp(5, p=1.5), ["p=1.5", "from 0 to 1"]),
        (lambda x, y: MixUp(5)(x.byte(), y), ["images", "torch.uint8", "MixUp", "floating-point"]),
        (lambda x, y: CutMix(5)(x[:, 0], y), ["images", "[4, 8, 8]", "CutMix", "[B, C, H, W]"]),
        (lambda x, y: MixUp(5)(x[:0], y[:0]), ["images", "[0, 3, 8, 8]", "[B, …]"]),
        (lambda x, y: Cutout(5, length=2.0), ["length=2.0", "above 0", "at most 1"]),
        (lambda x, y: mixing.ResizeMix(5, min_scale=2), ["min_scale=2", "max_scale", "0.8"]),
        (lambda x, y: mixing.GridMix(5, grid=0), ["grid=0", "2"]),
        (lambda x, y: ManifoldMixUp(5, layers="input"), ["layers=input", "list"]),
        (lambda x, y: ManifoldMixUp(5, layers=3), ["layers=3", "list"]),
        (lambda x, y: ManifoldMixUp(5, layers=("input", 1)), ["layers=1", "str"]),
        (lambda x, y: ManifoldMixUp(5, layers=[]), ["layers=[]", "[input,stage1]"]),
        (lambda x, y: MixUp("5"), ["num_classes='5'", "whole number", "1 or more"]),
        (lambda x, y: MixUp(5.0), ["num_classes=5.0", "whole number"]),
        (lambda x, y: MixUp(True), ["num_classes=True", "whole number"]),
        (lambda x, y: MixUp(0), ["num_classes=0", "1 or more"]),
        (lambda x, y: MixUp(5)([]), ["images=[]", "(image, label) pair"]),
        (lambda x, y: Mixture([MixUp(5), CutMix(3)]), ["num_classes", "[5, 3]", "equal"]),
        (lambda x, y: Mixture(MixUp(5)), ["mixers=MixUp(", "list"]),
        (lambda x, y: Mixture([MixUp(5), CutMix(5)], 0.3), ["probabilities=[0.3]", "2 numbers"]),
        (lambda x, y: ManifoldMixUp(5)(list(zip(x, y, strict=True))), ["ManifoldMixUp", "collate_fn", "training loop"]),
        (lambda x, y: ManifoldMixUp(5)(x), ["labels", "images"]),
    ],
)
def test_a_mistake_raises_value_error_with_the_value_and_the_choices(call, parts):
    with pytest.raises(ValueError, match=r".+") as error:
        call(*images_and_labels(4, 3, 8, 8))
    assert [part for part in parts if part not in str(error.value)] == []


def test_trying_a_module_draws_from_no_generator():
    generator = np.random.default_rng(0)
    before, of_torch = generator.bit_generator.state, torch.get_rng_state()
    CutMix(5, generator=generator)
    CutMix(5)
    assert generator.bit_generator.state == before
    assert torch.equal(torch.get_rng_state(), of_torch)


# A user's own function


@method(draws=("partner", "lam"))
def shifted(images, targets, *, partner, lam, most: float | None = 0.5, to: int):
    """Mixup whose λ is at least `most`, moved by `to` pixels."""
    lam = lam if most is None else lam.clamp(min=most)
    mixed = blend(images, images[partner], lam).roll(to, dims=-1)
    return Mixed(mixed, blend(targets, targets[partner], lam))


def test_an_own_function_as_a_module():
    images, labels = images_and_labels(4, 3, 8, 8)
    mix = PairMixer(shifted, 5, np.random.default_rng(0), to=2, most=None)
    plain = MixUp(5, generator=np.random.default_rng(0))(images, labels)
    mixed, targets = mix(images, labels)
    torch.testing.assert_close((mixed, targets), (plain[0].roll(2, dims=-1), plain[1]))
    settings = {"alpha": 1.0, "beta": None, "p": 1.0, "per_sample": False, "larger_own": False, "partners": "any"}
    assert mix.given == settings
    assert "to=2" in repr(mix)


@method(needs=("teacher",))
def needing(images, targets, *, teacher):
    return Mixed(images, teacher(images))


@method()
def weighing(images, targets):
    return Mixed(images, targets, weights=torch.ones(len(images)))


@method()
def cropping(images, targets):
    return Mixed(images[1:], targets[1:])


@pytest.mark.parametrize(
    ("make", "kind", "parts"),
    [
        (lambda: PairMixer(needing, 5), ValueError, ["needing", "'teacher'", "mixbench run"]),
        (lambda: PairMixer(weighing, 5), ValueError, ["weighing", "weights", "Mixer(weighing"]),
        (lambda: PairMixer(cropping, 5), ValueError, ["cropping", "images", "[1, 3, 8, 8]", "[2, 3, 8, 8]"]),
        (lambda: PairMixer(shifted, 5, too=2), TypeError, ["'too'", "did you mean to?"]),
        (lambda: PairMixer(shifted, 5), TypeError, ["'to'"]),
        (lambda: PairMixer(shifted, 5, to="2"), ValueError, ["to=2", "int"]),
    ],
)
def test_an_own_function_that_makes_no_module_is_refused(make, kind, parts):
    with pytest.raises(kind) as error:
        make()
    assert [part for part in parts if part not in str(error.value)] == []


def test_all_that_an_own_function_returns():
    images, labels = images_and_labels(4, 3, 8, 8)
    assert torch.equal(Mixer(weighing, 5).mixed(images, labels).weights, torch.ones(4))


def test_an_unknown_parameter_is_a_type_error():
    with pytest.raises(TypeError, match="alhpa"):
        MixUp(5, alhpa=0.2)
    with pytest.raises(TypeError, match="alhpa"):
        label_mix(*images_and_labels(4, 3, 8, 8), alhpa=0.2)


@pytest.mark.parametrize("name", METHODS)
def test_the_help_of_a_method_and_of_its_module_describes_every_parameter(name):
    for documented in (METHODS[name], *([MODULES[name]] if name in MODULES else [])):
        text = inspect.getdoc(documented)
        assert len(text.splitlines()[0]) > 15
        for parameter in inspect.signature(documented).parameters:
            assert re.search(rf"^(\w+, )*{parameter}(, \w+)*: ", text, re.MULTILINE), (documented, parameter)


def test_everything_promised_is_exported():
    for name in mixing.__all__:
        assert hasattr(mixing, name)
    assert {function.__name__ for function in METHODS.values()} <= set(mixing.__all__)


def test_a_module_shows_its_settings_and_moves_and_saves_as_any():
    mix = CutMix(10, alpha=0.5)
    shown = "alpha=0.5, beta=None, p=1.0, per_sample=False, larger_own=False, partners='any', correct_lambda=True"
    assert repr(mix) == f"CutMix(num_classes=10, {shown}, min_side=None, max_side=None)"
    assert nn.Sequential(mix).to(torch.float64).state_dict() == {}
    assert isinstance(mix, Mixer)


def test_the_training_loop_of_the_readme_learns_as_much_as_it_says(numbers):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("```python\n")[2].partition("```")[0]
    names: dict = {}
    exec(block, names)
    (promised,) = numbers(block.rpartition("# about")[2])
    assert 100 * names["accuracy"].item() == pytest.approx(promised, abs=2)


def test_one_number_for_all_images_is_a_tensor():
    images, targets = torch.randn(6, 4), torch.eye(6)
    partner = torch.tensor([1, 2, 3, 4, 5, 0])
    mixed = label_mix(images, targets, partner=partner, lam=torch.full((6,), 0.25))
    torch.testing.assert_close(mixed.images, 0.25 * images + 0.75 * images[partner])
    torch.testing.assert_close(mixed.targets, blend(targets, targets[partner], torch.full((6,), 0.25)))


GENERATORS = {
    "torch": lambda: torch.Generator().manual_seed(0),
    "numpy": lambda: np.random.default_rng(0),
    "none": lambda: None,
}


@pytest.mark.parametrize("generator", GENERATORS.values(), ids=GENERATORS)
def test_the_workers_of_a_loader_draw_apart_and_each_epoch_anew(generator):
    """Each worker has a copy of the generator: with the seed of the generator alone all would draw the same."""
    data = [(torch.zeros(1, 4, 4), k % 10) for k in range(32)]

    def two_epochs():
        torch.manual_seed(1)  # from which the workers' seeds come
        mix = MixUp(10, generator=generator())
        loader = torch.utils.data.DataLoader(data, batch_size=8, collate_fn=mix, num_workers=2)
        # The least of the rows: an image that is its own partner keeps all of its label.
        return [round(float(targets.amax(dim=1).min()), 6) for _ in range(2) for _, targets in loader]

    drawn = two_epochs()
    assert len(drawn) == 8
    assert len(set(drawn)) > 6
    assert two_epochs() == drawn


def test_soft_labels_have_the_width_that_was_promised():
    with pytest.raises(ValueError, match="10"):
        MixUp(10)(torch.zeros(8, 1, 4, 4), torch.full((8, 7), 1 / 7))
