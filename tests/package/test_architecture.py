"""The layout: which folder may import which, who prints and reads words, and that the tests mirror the package."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mixbench"
TESTS = ROOT / "tests"
WORDS = {"print", "input", "breakpoint"}  # built in: called, or handed on under another name
STREAMS = {"argv", "orig_argv", "stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__", "exit"}  # of sys
SHOWING = {"tqdm", "argparse", "builtins", "fileinput", "getpass"}  # modules
BY_OTHERS = {"cli/commands"}  # every test of the command line calls them
OF_NO_FOLDER = {"benchmarks", "package"}  # what measures mixbench, and mixbench as a whole
LINES = 500  # of a test file


def linted(folder):
    words = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run([*words, "--no-cache"], cwd=folder, capture_output=True, text=True)


def contracts():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]


def test_imports_go_down_only():
    done = linted(ROOT)
    assert done.returncode == 0, done.stdout


def test_every_folder_has_a_layer():
    """A new folder or module that no layer names would be free to import anything: the contract itself refuses it."""
    (layers,) = (contract for contract in contracts() if contract["type"] == "layers")
    assert (layers["containers"], layers["exhaustive"]) == (["mixbench"], True)
    assert "exhaustive_ignores" not in layers
    named = {name.strip() for layer in layers["layers"] for name in layer.split("|")}
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert named == folders | modules


def test_a_folder_without_a_layer_is_refused(tmp_path):
    config = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.importlinter]" + config.partition("[tool.importlinter]")[2])
    for path in PACKAGE.rglob("*.py"):  # the names alone, which import nothing
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.touch()
    assert linted(tmp_path).returncode == 0
    (tmp_path / "mixbench/fresh").mkdir()
    (tmp_path / "mixbench/fresh/__init__.py").touch()
    done = linted(tmp_path)
    assert done.returncode == 1
    assert "mixbench.fresh" in done.stdout


def test_at_most_four_modules_stand_at_the_top():
    assert {"__init__.py", "__main__.py"} <= {path.name for path in PACKAGE.glob("*.py")}
    assert len(list(PACKAGE.glob("*.py"))) <= 4


def words_shown_or_read(source):
    """What a module uses of what prints and reads words: [(line, name)]."""
    found, of_sys = [], {"sys"}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            of_sys |= {alias.asname for alias in node.names if alias.name == "sys" and alias.asname}
            found += [(node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] in SHOWING]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            if node.module.split(".")[0] in SHOWING:
                found.append((node.lineno, node.module))
            elif node.module == "sys":
                found += [(node.lineno, alias.name) for alias in node.names if alias.name in STREAMS | {"*"}]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in WORDS and isinstance(node.ctx, ast.Load):
            found.append((node.lineno, node.id))
        elif isinstance(node, ast.Attribute) and node.attr in STREAMS and ast.unparse(node.value) in of_sys:
            found.append((node.lineno, node.attr))
    return found


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("print(1)", ["print"]),
        ("say = print", ["print"]),
        ("load(say=print)", ["print"]),
        ("import sys\nsys.argv", ["argv"]),
        ("import sys as system\nsystem.stdin", ["stdin"]),
        ("from sys import argv as words", ["argv"]),
        ("from sys import platform, stderr", ["stderr"]),
        ("from tqdm.auto import tqdm", ["tqdm.auto"]),
        ("import builtins", ["builtins"]),
        ("import sys, warnings\nwarnings.warn('x')\nsys.platform\nself.print(printed=2)", []),
    ],
)
def test_what_prints_and_reads_is_found(source, names):
    assert [name for _, name in words_shown_or_read(source)] == names


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_command_line_alone_prints_and_reads_words(path):
    if path.is_relative_to(PACKAGE / "cli") or path.name == "__main__.py":
        return
    found = words_shown_or_read(path.read_text(encoding="utf-8"))
    assert found == [], f"{path}: {found}"


def test_the_tests_mirror_the_package():
    """A folder has a folder of tests; one inside it may have a file of its name there instead."""
    folders = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*/__init__.py")} - {"."}
    files = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    tested = {name.rpartition("/")[0] for name in files}
    by_name = {folder for folder in folders if "/" in folder and "/test_".join(folder.rsplit("/", 1)) + ".py" in files}
    assert folders - tested - by_name == BY_OTHERS
    assert tested - folders == OF_NO_FOLDER


def test_test_files_are_short():
    for path in TESTS.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES, path
