"""Functions that an installed package offers by entry points: a package is a folder with its dist-info on sys.path."""

import json
import py_compile
import sys

import pytest

HALVES = """\
from mixbench.mixing import Mixed, method


@method(draws=("partner",))
def halves(images, targets, *, partner, left: float = 0.5):
    mixed = images.clone()
    mixed[..., round(left * images.shape[3]) :] = images[partner][..., round(left * images.shape[3]) :]
    return Mixed(mixed, left * targets + (1 - left) * targets[partner])


def turn(images, *, mirror):
    return images.rot90(1, (2, 3))


def square(logits, targets):
    return (logits - targets).square().mean()
"""
SMALL = """\
from torch import nn


def small(channels, classes, *, width: int = 3):
    last = nn.Linear(width, classes)
    return nn.Sequential(nn.Conv2d(channels, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
"""
ENTRY_POINTS = """\
[mixbench.methods]
halves = pickle_mix.halves:halves
[mixbench.augments]
turn = pickle_mix.halves:turn
[mixbench.losses]
square = pickle_mix.halves:square
[mixbench.models]
small = pickle_mix.small:small
"""


def install(site, name, files, entry_points):
    for path, content in files.items():
        (site / name / path).parent.mkdir(parents=True, exist_ok=True)
        (site / name / path).write_text(content)
    info = site / f"{name}-1.2.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def site(tmp_path_factory, monkeypatch):
    """A folder of installed packages, with one; what mixbench and Python learn of it is forgotten afterwards."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "pickle_mix", {"__init__.py": "", "halves.py": HALVES, "small.py": SMALL}, ENTRY_POINTS)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "pickle_mix"]:
        del sys.modules[name]


def only_run(tmp_path):
    (path,) = tmp_path.glob("results/runs/*/metrics.json")
    return json.loads(path.read_text())


def test_a_package_needs_no_yaml(mixbench, site, tiny, tmp_path):
    words = [word for word in tiny if not word.startswith("model.")]
    call = mixbench("run", *words, "method=halves", "augment=turn", "loss=square", "model=small", "model.width=2")
    assert call.status == 0, call.err
    identity = only_run(tmp_path)["identity"]
    assert {key: identity[key] for key in ("method", "augment", "loss", "model", "model.width")} == {
        "method": "halves",
        "augment": "turn",
        "loss": "square",
        "model": "small",
        "model.width": 2,
    }
    assert identity["method.function"] == "pickle_mix.halves:halves"
    assert len(identity["method.code"]) == 12
    assert "halves" in mixbench("table", "method=halves").out


def test_list_shows_what_packages_offer(mixbench, site):
    for what, name in (("methods", "halves"), ("augments", "turn"), ("losses", "square"), ("models", "small")):
        lines = {line.split()[0]: line for line in mixbench("list", what).out.splitlines()}
        assert "pickle-mix 1.2" in lines[name]
        assert "cannot be run" not in lines[name]


def test_list_tells_what_a_package_cannot_give(mixbench, site):
    (site / "pickle_mix" / "halves.py").write_text("raise RuntimeError('no licence')\n")
    lines = {line.split()[0]: line for line in mixbench("list", "methods").out.splitlines()}
    assert "cannot be run" in lines["halves"]
    assert "no licence" in lines["halves"]


def test_a_yaml_file_may_name_the_entry_point(mixbench, site, tiny, tmp_path):
    (tmp_path / "own" / "method").mkdir(parents=True)
    (tmp_path / "own" / "method" / "quarter.yaml").write_text("name: halves\nleft: 0.25\n")
    assert mixbench("run", *tiny, "method=quarter", "--config-dir", "own").status == 0
    identity = only_run(tmp_path)["identity"]
    assert (identity["method"], identity["method.left"]) == ("halves", 0.25)
    call = mixbench("run", *tiny, "method=halves", "method.left=0.25")
    assert "finished before" in call.out


def test_another_version_of_the_source_is_another_run(mixbench, site, tiny, tmp_path):
    first = mixbench("run", *tiny, "method=halves", "--dry-run")
    (site / "pickle_mix" / "halves.py").write_text(HALVES + "# version 1.3\n")
    second = mixbench("run", *tiny, "method=halves", "--dry-run")
    assert first.status == second.status == 0
    ids = [{word for word in call.out.split() if word.startswith("digits-n20-halves")} for call in (first, second)]
    assert ids[0]
    assert ids[1]
    assert ids[0] != ids[1]


def test_the_version_stands_for_a_package_without_source(mixbench, site, tiny):
    source = site / "pickle_mix" / "halves.py"
    py_compile.compile(str(source), str(source.with_suffix(".pyc")))
    source.unlink()
    info = site / "pickle_mix-1.2.dist-info"
    (info / "top_level.txt").write_text("pickle_mix\n")

    def run_id():
        call = mixbench("run", *tiny, "method=halves", "--dry-run")
        assert call.status == 0, call.err
        return next(word for word in call.out.split() if word.startswith("digits-n20-halves"))

    first = run_id()
    assert run_id() == first
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pickle-mix\nVersion: 1.3\n")
    assert run_id() != first


def test_code_that_cannot_be_told_apart_is_refused(mixbench, site, tiny, tmp_path):
    (tmp_path / "own" / "method").mkdir(parents=True)
    (tmp_path / "own" / "method" / "mine.yaml").write_text("function: math:sqrt\n")
    call = mixbench("run", *tiny, "method=mine", "--config-dir", "own")
    assert call.status == 2
    assert "math:sqrt" in call.err
    assert call.err.count("\n") == 1


def test_a_package_cannot_replace_what_mixbench_has(mixbench, site, tiny, tmp_path):
    install(site, "pickle_mix", {}, "[mixbench.methods]\ncutmix = pickle_mix.halves:halves\n")
    assert mixbench("run", *tiny, "method=cutmix").status == 0
    identity = only_run(tmp_path)["identity"]
    assert identity["method.version"] == 1
    assert "method.function" not in identity


def test_an_own_file_goes_before_a_package(mixbench, site, tiny, tmp_path):
    (tmp_path / "own" / "method").mkdir(parents=True)
    (tmp_path / "own" / "method" / "halves.yaml").write_text("function: halves.py:halves\n")
    (tmp_path / "own" / "method" / "halves.py").write_text(HALVES + "# mine\n")
    assert mixbench("run", *tiny, "method=halves", "--config-dir", "own").status == 0
    assert only_run(tmp_path)["identity"]["method.function"] == "halves"


def test_cfg_shows_what_packages_offer(mixbench, site, tiny):
    call = mixbench("run", *tiny, "method=halves", "method.left=0.25", "--cfg", "job")
    assert call.status == 0, call.err
    assert "pickle_mix.halves:halves" in call.out
    assert "left: 0.25" in call.out


def test_two_packages_of_one_name_are_refused(mixbench, site, tiny, tmp_path):
    install(site, "pickle_other", {}, "[mixbench.methods]\nhalves = pickle_other:halves\n")
    call = mixbench("run", *tiny, "method=halves")
    assert call.status == 2
    assert call.err.count("\n") == 1
    assert "pickle_mix.halves:halves" in call.err
    assert "pickle_other:halves" in call.err
    assert list(tmp_path.iterdir()) == []


def test_an_own_file_may_name_a_function_of_a_module(mixbench, site, tiny, tmp_path):
    (tmp_path / "own" / "method").mkdir(parents=True)
    (tmp_path / "own" / "method" / "mine.yaml").write_text("function: pickle_mix.halves:halves\n")
    assert mixbench("run", *tiny, "method=mine", "--config-dir", "own").status == 0
    identity = only_run(tmp_path)["identity"]
    assert (identity["method"], identity["method.function"]) == ("mine", "pickle_mix.halves:halves")
