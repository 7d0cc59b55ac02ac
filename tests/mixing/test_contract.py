"""What a method declares and returns: draws, needs and options; more rows, weights and late targets in a mixture."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
import torch

import mixbench
from mixbench.core import registry
from mixbench.core.errors import UserError
from mixbench.mixing import METHODS, Gradient, Mixed, Outputs, method
from mixbench.mixing.contract import NEEDS, StandIns
from mixbench.mixing.runner import METHOD_NAMES, build_method, input_only

IMAGES, TARGETS = torch.arange(8.0).view(2, 1, 2, 2), torch.eye(2)


def test_a_declared_function_is_the_function_itself():
    def plain(images, targets, *, partner):
        return Mixed(images, targets)

    assert method(draws=("partner",))(plain) is plain
    assert list(inspect.signature(plain).parameters) == ["images", "targets", "partner"]


def test_options_may_have_the_names_of_draws_and_settings_that_are_not_asked_for():
    @method(draws=("partner",))
    def odd(images, targets, *, partner, size: int = 3, layer: str = "a", p: float = 0.5):
        return Mixed(images, targets)

    assert registry.draws_of(odd) == ("partner",)
    assert list(registry.options_of(odd)) == ["size", "layer", "p"]
    assert registry.settings_of(odd) == {"partners"}


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"draws": ("partnr",)}, "unknown draw 'partnr' (did you mean partner?)"),
        ({"draws": ("partner", "centre")}, "declares the draw 'centre', but has no keyword-only parameter 'centre'"),
        ({"needs": ("techer",)}, "unknown need 'techer' (did you mean teacher?)"),
        ({"needs": ("teacher",)}, "declares the need 'teacher', but has no keyword-only parameter 'teacher'"),
        ({"draws": ("lam",)}, "option 'alpha' has the name of a setting of its draws"),
        ({"layers": "stages"}, "layers='stages' names no keyword-only parameter"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused_where_the_method_is_written(declared, message):
    with pytest.raises(ValueError, match="mine: ") as told:

        @method(**declared)
        def mine(images, targets, *, partner=None, lam=None, alpha=1.0):
            return Mixed(images, targets)

    assert message in str(told.value)


def test_method_without_parentheses_is_refused_in_words():
    with pytest.raises(TypeError, match=r"@method needs parentheses"):

        @method
        def mine(images, targets):
            return Mixed(images, targets)


@pytest.mark.parametrize("declared", [{"draws": "partner"}, {"needs": "teacher"}])
def test_names_in_place_of_a_sequence_of_them_are_refused_in_words(declared):
    ((key, name),) = declared.items()
    with pytest.raises(TypeError, match=rf"{key}='{name}': must be a sequence of names, as in {key}=\('{name}',\)"):
        method(**declared)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_that_it_returns_mixed(name):
    assert get_type_hints(METHODS[name])["return"] is Mixed
    parameters = inspect.signature(METHODS[name]).parameters.values()
    declared = registry.declaration_of(METHODS[name])
    keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert {*declared.draws, *declared.needs} <= keywords
    for option in registry.options_of(METHODS[name]).values():
        assert option.default is not option.empty


def test_magnitudes_are_the_root_mean_square_over_the_channels():
    values = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    assert Gradient(values).magnitudes.item() == pytest.approx((25 / 2) ** 0.5)
    assert Gradient(torch.randn(3, 2, 4, 5)).magnitudes.shape == (3, 1, 4, 5)


def test_the_stand_ins_have_the_shapes_that_are_promised():
    images, targets = torch.rand(3, 2, 4, 6), torch.eye(3, 5)
    served = {need: StandIns().serve(need, images, targets) for need in NEEDS}
    assert served["input_gradient"].values.shape == images.shape
    attention = served["attention"](images[:2], targets[:2])
    assert attention.shape[:2] == (2, 1)
    torch.testing.assert_close(attention.sum(dim=(1, 2, 3)), torch.ones(2))
    assert served["teacher"](images[:2]).shape == (2, 5)
    position = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    assert served["generated"].variants(position).shape == images.shape
    assert served["generated"].fractals(position).shape == images.shape


# Methods of a test, in the table as the package's own are


@method()
def doubled(images, targets):
    return Mixed(torch.cat([images, -images]), torch.cat([targets, targets]), weights=torch.ones(2 * len(images)))


@method(draws=("partner",))
def late(images, targets, *, partner):
    return Mixed(images, targets, after_forward=lambda outputs: outputs.logits.softmax(dim=1))


@method(needs=("teacher",))
def taught(images, targets, *, teacher):
    return Mixed(images, teacher(images))


@pytest.fixture
def table(monkeypatch):
    for function in (doubled, late, taught):
        monkeypatch.setitem(METHODS, function.__name__, function)


def validated(name, **more):
    return {"name": name, "version": 1, **more}


def mixture(*names, per_sample=False):
    parts = {name: validated(name) for name in names}
    shares = [1 / len(names)] * len(names)
    return build_method(validated("mixture", parts=parts, probabilities=shares, p=1.0, per_sample=per_sample))


def test_a_need_is_served_by_the_context_and_refused_without_one(table):
    single = build_method(validated("taught"))
    assert torch.equal(single(IMAGES, TARGETS, {}, StandIns()).targets, torch.zeros(2, 2))
    with pytest.raises(UserError, match=r"'teacher'.*providers="):
        single(IMAGES, TARGETS, {})


def test_a_mixture_takes_the_targets_after_the_forward_pass_of_the_images_that_a_part_had(table):
    decided = {"part": torch.tensor([1, 0]), "late.partner": torch.tensor([1, 0])}
    mixed = mixture("late", "none", per_sample=True)(IMAGES, TARGETS, decided)
    logits = torch.tensor([[0.0, 0.0], [9.0, 9.0]])
    assert torch.equal(mixed.targets, TARGETS)
    assert torch.equal(mixed.after_forward(Outputs(logits)), torch.tensor([[1.0, 0.0], [0.5, 0.5]]))


def test_a_mixture_does_not_know_its_own_share_where_a_part_does_not(table):
    for part, known in ((1, True), (0, False)):
        decided = {"part": torch.tensor([part, part]), "late.partner": torch.tensor([1, 0])}
        assert (mixture("late", "none")(IMAGES, TARGETS, decided).own is not None) == known


def test_more_rows_are_no_part_of_a_mixture(table):
    with pytest.raises(UserError, match=r"^method\.parts\.doubled: doubled "):
        mixture("doubled", "none")(IMAGES, TARGETS, {"part": torch.tensor([0, 0])})


def test_an_undeclared_layer_option_is_left_alone_and_a_declared_one_can_be_set_to_the_input():
    cfg = validated("manifold", alpha=1.0, beta=1.0, p=1.0, per_sample=False, layers=["stage1"])
    assert build_method(cfg).layers() == ("stage1",)
    assert build_method(input_only(cfg)).layers() == ("input",)
    both = validated("mixture", parts={"manifold": cfg, "none": validated("none")}, probabilities=[0.5, 0.5])
    both |= {"p": 1.0, "per_sample": False}
    assert {single.layers() for single in build_method(input_only(both)).singles().values()} == {("input",)}
    assert (cfg["layers"], both["parts"]["manifold"]["layers"]) == (["stage1"], ["stage1"])
    assert build_method(validated("none")).layers() == ("input",)
    assert input_only(validated("none")) == validated("none")


# The rest of the program


def test_no_code_outside_mixing_names_a_method():
    """But for the baseline, which has one constant, and the colours of charts."""
    package = Path(mixbench.__file__).parent
    named = {}
    for path in package.rglob("*.py"):
        name = path.relative_to(package).as_posix()
        if not name.startswith("mixing/") and name != "analysis/charts/style.py":
            constants = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
            named[name] = {value for value in constants if value in METHOD_NAMES and value != "none"}
    assert len(named) > 50
    assert {name: values for name, values in named.items() if values} == {}


def test_the_library_needs_no_configuration_and_no_tables():
    heavy = ("hydra", "omegaconf", "yaml", "pandas", "matplotlib")
    code = f"import sys, mixbench.mixing; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
