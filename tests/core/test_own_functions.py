"""A user's own functions: what a reference means, what its checksum covers, how its file is executed."""

import hashlib
import sys
from pathlib import Path

import pytest
import torch

from mixbench.core import own_functions
from mixbench.core.errors import UserError
from mixbench.core.own_signatures import Own
from mixbench.core.registry import check_kind

HALVES = "def halves(images, targets, *, partner, left: float = 0.5):\n    return images, targets\n"


def write(folder, content=HALVES, name="halves.py"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return f"{path}:halves"


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("halves.py:halves", "/own/method/halves.py:halves"),
        ("../shared/halves.py:halves", "/own/shared/halves.py:halves"),
        ("/elsewhere/halves.py:halves", "/elsewhere/halves.py:halves"),
        ("package.module:halves", "package.module:halves"),
        ("module:halves", "module:halves"),
    ],
)
def test_a_file_is_relative_to_its_yaml_file(reference, meant):
    assert own_functions.located(reference, Path("/own/method"), "method.function") == meant


@pytest.mark.parametrize(
    "reference",
    [3, None, "", "halves", "halves.py", "halves.py:", ":halves", "halves.py:a.b", "a b:halves", "a-b:halves"],
)
def test_what_is_no_reference_is_refused(reference):
    with pytest.raises(UserError, match=r"method\.function"):
        own_functions.located(reference, Path("/own/method"), "method.function")


def test_the_code_of_a_file_is_its_sha256(tmp_path):
    reference = write(tmp_path)
    whole = hashlib.sha256(HALVES.encode()).hexdigest()
    assert own_functions.checksums(reference) == {"halves.py": whole}
    assert own_functions.code(reference) == whole[:12]
    assert own_functions.code(write(tmp_path / "moved")) == whole[:12]
    assert own_functions.code(write(tmp_path, HALVES + "\n# more\n")) != whole[:12]
    assert own_functions.code(f"{tmp_path}/gone.py:halves") is None


@pytest.mark.parametrize(
    ("imports", "sibling"),
    [
        ("import helper\n", "helper.py"),
        ("from helper import x\n", "helper.py"),
        ("import helper.deep\n", "helper/deep.py"),
        ("def f():\n    import helper\n", "helper.py"),
        ("import between\n", "helper.py"),
    ],
)
def test_the_code_covers_what_the_file_imports_of_its_folder(tmp_path, imports, sibling):
    write(tmp_path, "x = 1\n", sibling)
    write(tmp_path, "", "helper/__init__.py") if "/" in sibling else None
    write(tmp_path, "import helper\n", "between.py")
    write(tmp_path, "", "unrelated.py")
    reference = write(tmp_path, imports + HALVES)
    before = own_functions.code(reference)
    write(tmp_path, "x = 2\n", "unrelated.py")
    assert own_functions.code(reference) == before
    write(tmp_path, "x = 2\n", sibling)
    assert own_functions.code(reference) != before


def test_a_file_is_executed_once_and_again_when_it_is_edited(tmp_path):
    counted = f"import torch\ntorch.count = getattr(torch, 'count', 0) + 1\n{HALVES}"
    reference = write(tmp_path, counted)
    try:
        first = own_functions.load(reference)
        assert own_functions.load(reference, own_functions.code(reference)) is first
        assert torch.count == 1
        edited = own_functions.load(write(tmp_path, counted + "# edited\n"))
        assert torch.count == 2
    finally:
        del torch.count
    assert edited is not first
    assert edited.__module__ != first.__module__
    assert sys.modules[first.__module__].halves is first


def test_code_that_was_executed_goes_on_after_the_file_is_edited(tmp_path):
    reference = write(tmp_path)
    code = own_functions.code(reference)
    first = own_functions.load(reference, code)
    write(tmp_path, HALVES + "# edited\n")
    assert own_functions.load(reference, code) is first
    cfg = {"name": "halves", "function": reference, "code": code}
    (noted,) = own_functions.provenance([("method", cfg)]).values()
    assert noted["files"] == {"halves.py": hashlib.sha256(HALVES.encode()).hexdigest()}


def test_code_that_was_edited_before_it_was_executed_is_refused(tmp_path):
    reference = write(tmp_path)
    code = own_functions.code(reference)
    write(tmp_path, HALVES + "# edited\n")
    with pytest.raises(UserError, match="edited"):
        own_functions.load(reference, code)


def test_siblings_are_importable_while_loading_alone(tmp_path):
    before = list(sys.path)
    for folder, value in (("one", 1), ("two", 2)):
        write(tmp_path / folder, f"VALUE = {value}\n", "helper.py")
        write(tmp_path / folder, f"import helper\nVALUE = helper.VALUE\n{HALVES}")
    loaded = [own_functions.load(f"{tmp_path / folder}/halves.py:halves") for folder in ("one", "two")]
    assert [sys.modules[function.__module__].VALUE for function in loaded] == [1, 2]
    assert "helper" not in sys.modules
    assert sys.path == before
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.parametrize(
    ("content", "told", "executed"),
    [
        ("def halves(:\n", "line 1", False),
        ("import torch\nraise RuntimeError('no GPU here')\n", "no GPU here", False),
        ("import torch\nraise RuntimeError('no GPU here')\n", "line 2", False),
        ("import no_such_package\n", "no_such_package", False),
        ("raise SystemExit(3)\n", "SystemExit", False),
        ("def halfs(images, targets): ...\n", "did you mean halfs", True),
        ("halves = 3\n", "halves", True),
        ("\0", "halves.py", False),
    ],
)
def test_a_file_that_cannot_be_executed_is_told_and_leaves_nothing(tmp_path, content, told, executed):
    before, modules = list(sys.path), set(sys.modules)
    with pytest.raises(UserError, match="halves") as error:
        own_functions.load(write(tmp_path, content))
    assert told in str(error.value)
    assert sys.path == before
    if not executed:
        assert not [name for name in set(sys.modules) - modules if name.startswith("mixbench_own")]


def test_a_module_is_imported_and_its_source_is_its_code():
    function = own_functions.load("json.decoder:JSONDecoder")
    assert function.__module__ == "json.decoder"
    source = Path(sys.modules["json.decoder"].__file__).read_bytes()
    assert own_functions.code("json.decoder:JSONDecoder") == hashlib.sha256(source).hexdigest()[:12]


@pytest.mark.parametrize("reference", ["no_such_package:f", "json.no_such_module:f", "json.decoder:no_such_function"])
def test_a_module_or_function_that_is_not_there_is_told(reference):
    with pytest.raises(UserError, match="no_such"):
        own_functions.load(reference)


def own(tmp_path, content, group="method", **cfg):
    reference = write(tmp_path, content)
    cfg = {"name": "halves", "function": reference, "code": own_functions.code(reference)} | cfg
    return Own(group, cfg), cfg


DECLARE = (
    "from mixbench.core.registry import Declaration\n"
    "def declare(function, *draws): function.mixbench_declaration = Declaration(draws)\n"
)


def test_draws_are_read_from_keywords_unless_they_are_declared(tmp_path):
    made, _ = own(tmp_path, "def halves(images, targets, *, partner, lam, size: int = 3): ...\n")
    assert made.declared.draws == ("partner", "lam", "size")
    declared = f"{DECLARE}def halves(images, targets, *, partner, size: int = 3): ...\ndeclare(halves, 'partner')\n"
    made, _ = own(tmp_path, declared)
    assert made.declared.draws == ("partner",)
    assert made.takes() == {"size", "partners"}


def test_a_declared_draw_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"'partnr'.*partner\?"):
        own(tmp_path, f"{DECLARE}def halves(images, targets, *, partnr): ...\ndeclare(halves, 'partnr')\n")


def test_other_decorators_stay(tmp_path):
    content = (
        "import torch\n@torch.no_grad()\n"
        "def halves(images, targets, *, partner): return torch.is_grad_enabled(), partner\n"
    )
    made, _ = own(tmp_path, content)
    assert made.declared.draws == ("partner",)
    assert made.function(1, 2, partner=3) == (False, 3)


def test_settings_have_defaults_and_beta_follows_alpha(tmp_path):
    made, cfg = own(tmp_path, "def halves(images, targets, *, lam): ...\n")
    rest = {"per_sample": False, "off_after": 1.0, "larger_own": False}
    assert made.settings(cfg) == {"alpha": 1.0, "beta": 1.0, "p": 1.0} | rest
    assert made.settings(cfg | {"alpha": 0.3, "p": 0.5}) == {"alpha": 0.3, "beta": 0.3, "p": 0.5} | rest
    assert made.settings(cfg | {"beta": 2.0})["beta"] == 2.0


@pytest.mark.parametrize(
    ("group", "signature", "told"),
    [
        ("method", "(images, targets, partner, *, left=0.5)", "partner"),
        ("method", "(images, targets, left=0.5)", "left"),
        ("method", "(images)", "images"),
        ("method", "()", "nothing"),
        ("method", "(images, targets, **options)", "**options"),
        ("method", "(*batch, left=0.5)", "*batch"),
        ("method", "(images, targets, *, name)", "name"),
        ("method", "(images, targets, *, alpha=0.5)", "alpha"),
        ("augment", "(images, targets)", "targets"),
        ("augment", "(images, *, partner)", "partner"),
        ("loss", "(logits)", "logits"),
        ("loss", "(logits, targets, *, label_smoothing=0.1)", "label_smoothing"),
        ("model", "(channels)", "channels"),
        ("model", "(channels, classes, width)", "width"),
    ],
)
def test_a_function_that_cannot_be_called_so_is_refused(tmp_path, group, signature, told):
    with pytest.raises(UserError, match="halves") as error:
        own(tmp_path, f"def halves{signature}: ...\n", group)
    assert told in str(error.value)


@pytest.mark.parametrize("group", ["loss", "model"])
def test_losses_and_models_draw_nothing(tmp_path, group):
    made, cfg = own(tmp_path, "def halves(a, b, *, size: int = 3): ...\n", group)
    assert made.declared.draws == ()
    assert made.options(cfg | {"size": 4}, group) == {"size": 4}


INT, FLOAT = int, float


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        (float, [0.5, 1], ["x", True, None, float("nan")]),
        (int, [1], [0.5, "x", True]),
        (bool, [True], [1, "true"]),
        (str, ["x"], [1, None]),
        (float | None, [0.5, None], ["x", True]),
        (INT | str, [1, "x"], [0.5, None]),
        (list[int], [[1, 2]], [1, "x", [0.5]]),
        (tuple[FLOAT, ...], [[1.5]], ["x", ["x"]]),
        (torch.Tensor, [1, "anything"], []),
        (dict, [{"a": 1}], []),
    ],
)
def test_the_kinds_of_an_option(wanted, good, bad):
    for value in good:
        check_kind("method.left", value, wanted)
    for value in bad:
        with pytest.raises(UserError, match=r"method\.left"):
            check_kind("method.left", value, wanted)


def test_annotations_may_be_text(tmp_path):
    content = "from __future__ import annotations\ndef halves(images, targets, *, left: float, x: Nowhere = 1): ...\n"
    made, cfg = own(tmp_path, content)
    assert made.options(cfg | {"left": "half"}, "method")  # not checked, since one annotation names nothing
    made, cfg = own(tmp_path, content.replace(", x: Nowhere = 1", ""))
    with pytest.raises(UserError, match="left"):
        made.options(cfg | {"left": "half"}, "method")
