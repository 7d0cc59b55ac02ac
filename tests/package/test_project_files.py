"""The files around the package agree with each other: version, supported Pythons, changelog."""

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path

import heavy
import pytest
import yaml

import mixbench

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def loaded(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_version_has_one_source():
    assert "version" in PROJECT["project"]["dynamic"]
    assert mixbench.__version__ == importlib.metadata.version("mixbench")
    assert str(loaded("CITATION.cff")["version"]) == mixbench.__version__


def test_the_changelog_dates_every_release():
    heads = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    releases = [head for head in heads if head != "Unreleased"]
    assert heads.count("Unreleased") <= 1
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)", head) for head in releases)
    dates = [head[-11:-1] for head in releases]
    assert dates == sorted(dates, reverse=True)
    assert releases[0] == f"{mixbench.__version__} ({loaded('CITATION.cff')['date-released']})"


def test_ci_runs_the_script_with_every_supported_python():
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["project"]["requires-python"]).groups()
    job = loaded(".github/workflows/test.yml")["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in range(int(low), int(high))]
    assert "scripts/test" in [step.get("run") for step in job["steps"]]


def test_no_tracked_file_is_above_one_megabyte():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    sizes = {name: (ROOT / name).stat().st_size for name in names.split("\0") if name and (ROOT / name).is_file()}
    assert sizes
    assert not {name: size for name, size in sizes.items() if size > 1_000_000}


def test_hooks_before_a_commit_use_the_tools_of_the_checkout():
    hooks = [hook for repo in loaded(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert {"ruff-check", "ruff-format"} <= {hook["id"] for hook in hooks}
    assert all(hook["language"] == "system" for hook in hooks)


@pytest.mark.parametrize("test", [*heavy.ALWAYS, *heavy.ONE_IN])
def test_tests_that_heavy_names_exist(test):
    file, _, name = test.partition("::")
    assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text()
