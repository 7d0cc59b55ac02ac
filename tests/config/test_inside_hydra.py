"""A Composer inside another Hydra application, and that nothing private of Hydra and OmegaConf is called."""

import ast
import subprocess
import sys
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.version import getbase

import mixbench
from mixbench.config.compose import Composer
from mixbench.core.errors import UserError

PACKAGE = Path(mixbench.__file__).parent


@pytest.fixture
def application(tmp_path):
    """Another application's configuration, initialised as its own tests or notebooks do."""
    (tmp_path / "schema.yaml").write_text("ours: 2\n")
    (tmp_path / "app.yaml").write_text("defaults:\n  - schema\n  - _self_\ncolour: red\nn: 3\n")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.2", job_name="theirs"):
        yield
    GlobalHydra.instance().clear()


EXPECTED = {"ours": 2, "colour": "blue", "n": 3}


def test_the_outer_application_composes_as_before(application):
    before = hydra.compose("app", ["colour=blue"])
    outer, loader, base = GlobalHydra.instance(), GlobalHydra.instance().config_loader(), getbase()
    with Composer() as composer:
        assert composer.compose(["n=7"]).n == 7
        assert "cutmix" in composer.options("method")
    assert hydra.compose("app", ["colour=blue"]) == before == EXPECTED
    assert GlobalHydra.instance() is outer
    assert GlobalHydra.instance().config_loader() is loader
    assert getbase() == base


def test_also_where_composing_fails(application):
    with pytest.raises(UserError), Composer() as composer:
        composer.compose(["no_such_key=7"])
    assert hydra.compose("app", ["colour=blue"]) == EXPECTED


def test_also_where_hydra_s_own_program_shows_something(application, mixbench):
    assert mixbench("run", "n=7", "--cfg", "job").status == 0
    assert hydra.compose("app", ["colour=blue"]) == EXPECTED


def test_a_composer_inside_a_composer(application):
    with Composer() as outer:
        with Composer() as inner:
            assert inner.compose(["n=7"]).n == 7
        assert outer.compose(["n=8", "method=cutmix"]).method.name == "cutmix"
    assert hydra.compose("app", ["colour=blue"]) == EXPECTED


def test_without_an_outer_application_nothing_stays_initialised():
    GlobalHydra.instance().clear()
    with Composer() as composer:
        composer.compose(["n=7"])
        assert GlobalHydra.instance().is_initialized()
    assert not GlobalHydra.instance().is_initialized()


PROGRAM = """
import hydra
from hydra.core.hydra_config import HydraConfig
from mixbench.config.compose import Composer

@hydra.main(config_path=".", config_name="app", version_base="1.2")
def main(cfg):
    with Composer() as composer:
        inner = composer.compose(["n=7", "method=cutmix"])
    again = hydra.compose("app", ["colour=green"])
    print(cfg.colour, inner.n, inner.method.name, again.colour, again.n, HydraConfig.get().job.name)

main()
"""


def test_a_program_of_hydra_main_goes_on_after_a_composer(tmp_path):
    (tmp_path / "app.yaml").write_text("colour: red\nn: 3\nhydra:\n  run: {dir: .}\n  output_subdir: null\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    call = subprocess.run(
        [sys.executable, "program.py", "colour=blue"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert call.returncode == 0, call.stderr
    assert call.stdout.split() == ["blue", "7", "cutmix", "green", "3", "program"]


def test_nothing_private_of_hydra_or_omegaconf_is_called():
    private = []
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        theirs = {"hydra", "omegaconf"}
        names = set()
        for node in imports:
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
            if theirs.isdisjoint(module.split(".")[0] for module in modules):
                continue
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
            parts = [part for module in modules for part in module.split(".")] + [a.name for a in node.names]
            private += [(file.name, part) for part in parts if part.startswith("_")]
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
                root = node.value
                while isinstance(root, ast.Attribute | ast.Call):
                    root = root.value if isinstance(root, ast.Attribute) else root.func
                if isinstance(root, ast.Name) and root.id in names | {"cfg"}:
                    private.append((file.name, node.attr))
    assert not private
