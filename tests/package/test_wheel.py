"""The wheel, built from a copy, installed outside the repository and used there, works like the checkout."""

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from mixbench.config.new_files import KINDS

CHECKOUT = Path(__file__).parents[2]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "mixbench", "configs", "results/published")
NAMES = {"config.yaml", "provenance.json", "history.csv", "predictions.npz", "metrics.json"}


def call(*words, **options):
    """Run a program of this Python; its standard output."""
    ended = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, **options)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the sources; no network."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, folder / "copy" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / "copy").mkdir(exist_ok=True)
            shutil.copy(CHECKOUT / name, folder / "copy" / name)
    call("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, folder / "copy")
    (built,) = folder.glob("mixbench-*.whl")
    return built


@dataclass(frozen=True)
class Installed:
    """The installed wheel, as the only mixbench in reach of a Python that runs in the folder `elsewhere`."""

    target: Path
    elsewhere: Path

    def python(self, *words):
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        return call(*words, cwd=self.elsewhere, env=environment | {"PYTHONPATH": str(self.target)})


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    installed = Installed(tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere"))
    call("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", installed.target, wheel)
    script = "import mixbench, mixbench.configs as c; print(mixbench.__file__, *c.__path__, sep='\\n')"
    package = installed.target / "mixbench"
    assert installed.python("-c", script).splitlines() == [str(package / "__init__.py"), str(package / "configs")]
    return installed


def test_the_wheel_holds_the_package_and_its_yaml_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as opened:
        held = {name for name in opened.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(CHECKOUT).as_posix() for path in CHECKOUT.glob("mixbench/**/*.py")}
    configs = {path.relative_to(CHECKOUT).as_posix() for path in CHECKOUT.glob("configs/**/*.yaml")}
    templates = {path.relative_to(CHECKOUT).as_posix() for path in CHECKOUT.glob("mixbench/config/templates/*.yaml")}
    records = {f"mixbench/published/{name}/runs.zip" for name in ("cifar10-cpu", "demo", "methods-cpu", "methods-demo")}
    page = {f"analysis/report/report.{kind}" for kind in ("html", "css", "js")}
    others = {"configs/__init__.py", "published/__init__.py", "py.typed", *page}
    assert held == modules | {f"mixbench/{name}" for name in {*configs, *others}} | templates | records


def test_every_import_is_a_declared_dependency(wheel):
    """Of an extra, if it is imported in a function, where the user is told what to install, or for types alone."""
    with zipfile.ZipFile(wheel) as opened:
        (metadata,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        lines = re.findall(r"^Requires-Dist: .*$", opened.read(metadata).decode(), re.M)
        trees = [ast.parse(opened.read(name)) for name in opened.namelist() if name.endswith(".py")]
    declared, of_extras = set(), set()
    for line in lines:
        name = re.match(r"Requires-Dist: ([A-Za-z0-9_.-]+)", line)[1].lower().replace("_", "-")
        (of_extras if "extra ==" in line else declared).add(name)
    providers = packages_distributions()
    for tree in trees:
        later = {node for part in ast.walk(tree) if _runs_later(part) for node in ast.walk(part)}
        for node in ast.walk(tree):
            for name in imported(node) - set(sys.stdlib_module_names) - {"mixbench"}:
                distributions = {found.lower().replace("_", "-") for found in providers[name]}
                allowed = declared | of_extras if node in later else declared
                assert distributions & allowed, f"{name} is imported, but {distributions} is not among the dependencies"


def _runs_later(node):
    """Whether a part of a module does not run when the module is imported."""
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef)


def imported(node):
    """The packages that a node of a syntax tree imports."""
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    return {node.module.split(".")[0]} if isinstance(node, ast.ImportFrom) and node.level == 0 else set()


@pytest.fixture(scope="module")
def trained(installed, tiny):
    """What the installed program prints for a tiny run, and the folder that it leaves."""
    printed = installed.python(installed.target / "bin/mixbench", "run", *tiny, "method=cutmix", "progress=off")
    (folder,) = (installed.elsewhere / "results/runs").glob("digits-n20-cutmix-s0-*")
    return printed, folder


def test_the_installed_wheel_lists_trains_and_tables(installed, trained):
    printed, folder = trained
    assert f"{folder.relative_to(installed.elsewhere)}/\n" in printed
    assert {path.name for path in folder.iterdir()} == NAMES
    assert '"git_commit": null' in (folder / "provenance.json").read_text()
    listed = installed.python("-m", "mixbench", "list", "methods").splitlines()
    methods = {word.strip("()") for line in listed for word in line.split("  ")[0].split()}
    assert methods == {path.stem for path in (CHECKOUT / "configs/method").glob("*.yaml")}
    assert "cutmix" in installed.python("-m", "mixbench", "table", "dataset=digits")
    assert {path.name for path in installed.elsewhere.iterdir()} == {"results"}


def test_the_installed_wheel_reports_on_its_records_in_an_empty_folder(installed):
    folder = installed.elsewhere.parent / f"{installed.elsewhere.name}-empty"
    folder.mkdir()
    there = Installed(installed.target, folder)
    told = there.python("-m", "mixbench", "report", "cifar10-cpu")
    page = (CHECKOUT / "results/published/cifar10-cpu/README.md").read_text(encoding="utf-8")
    verdicts = re.findall(r"^- \*\*(n = [\d,]+)\*\*: (.*)$", page, re.M)
    assert len(verdicts) == 4
    assert all(f"{setting}: {verdict}" in told for setting, verdict in verdicts)
    assert f"from {installed.target}" in (folder / "results/cifar10-cpu/report.md").read_text(encoding="utf-8")
    script = "import mixbench as mb; print(len(mb.load_runs(study='methods-demo')))"
    assert there.python("-c", script) == "126\n"
    assert {path.name for path in folder.iterdir()} == {"results"}


@pytest.mark.slow
def test_the_wheel_gives_runs_the_ids_and_numbers_of_the_checkout(trained, mixbench, tiny, tmp_path):
    theirs, words = trained[1], ["run", *tiny, "method=cutmix"]
    assert mixbench(*words).status == 0
    ours = tmp_path / "results/runs" / theirs.name
    first, second = (
        [line.rpartition(",")[0] for line in (folder / "history.csv").read_text().splitlines()]
        for folder in (ours, theirs)
    )
    assert first == second
    shutil.rmtree(ours)
    shutil.copytree(theirs, ours)
    assert "finished before)" in mixbench(*words).out  # and by the same code


@pytest.mark.slow
def test_an_own_method_trains_beside_the_installed_wheel(installed, tiny):
    folder = installed.elsewhere.parent / f"{installed.elsewhere.name}-own"
    (folder / "mine" / "method").mkdir(parents=True)
    content = (
        "from mixbench.mixing import Mixed, method\n\n\n"
        '@method(draws=("partner",))\n'
        "def mine(images, targets, *, partner):\n    return Mixed(images[partner], targets[partner])\n"
    )
    (folder / "mine" / "method" / "mine.py").write_text(content)
    (folder / "mine" / "method" / "mine.yaml").write_text("function: mine.py:mine\n")
    there = Installed(installed.target, folder)
    there.python("-m", "mixbench", "run", *tiny, "method=mine", "--config-dir", "mine", "progress=off")
    assert "mine" in there.python("-m", "mixbench", "table", "method=mine")
    (run,) = (folder / "results/runs").glob("digits-n20-mine-s0-*")
    assert {path.name for path in run.iterdir()} == NAMES
    for kind in KINDS:
        there.python("-m", "mixbench", "new", kind, "first-try", "--config-dir", "mine")
    assert there.python("-m", "mixbench", "check", "first-try", "--config-dir", "mine") == "first-try: ok\n"
    words = [f"{kind}=first-try" for kind in KINDS if kind != "study"]
    there.python("-m", "mixbench", "run", *words, "n=20", "train.steps=4", "device=cpu", "--config-dir", "mine")
    assert list((folder / "results/runs").glob("first-try-n20-first-try-s0-*/metrics.json"))
    there.python("-m", "mixbench", "study", "first-try", "device=cpu", "--config-dir", "mine")
    assert "cutmix" in (folder / "results/first-try/report.md").read_text()
