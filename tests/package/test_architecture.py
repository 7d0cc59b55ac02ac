"""The layout: which folder may import which, who prints, and that modules load without the heavy libraries."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mixbench"
PRINTING = {"print", "input"}


def test_imports_go_down_only():
    words = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*words, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_folder_has_a_layer():
    """A new folder that no contract names would be free to import anything."""
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    folders = [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    assert len(folders) >= 11
    for folder in folders:
        assert f"mixbench.{folder}" in contracts.partition("[tool.importlinter]")[2], folder


def test_at_most_four_modules_stand_at_the_top():
    assert {"__init__.py", "__main__.py"} <= {path.name for path in PACKAGE.glob("*.py")}
    assert len(list(PACKAGE.glob("*.py"))) <= 4


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_command_line_alone_prints_and_reads_words(path):
    if path.is_relative_to(PACKAGE / "cli") or path.name == "__main__.py":
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in PRINTING, f"{path}:{node.lineno}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sys":
            assert node.attr not in ("argv", "stdout", "stderr", "exit"), f"{path}:{node.lineno}"


def test_the_tests_mirror_the_package():
    folders = {path.relative_to(PACKAGE).parts[0] for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE}
    tested = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert folders <= tested
