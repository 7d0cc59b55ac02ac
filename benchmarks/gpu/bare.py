"""A folder from which Python imports all that a bare machine lacks: mixbench as its wheel has it, and packed wheels.

The checkout alone will not do there: mixbench.configs lies in configs/, which only an installation puts in its place.
A copy also keeps a long study on the code that it began with. Standard library alone: this runs before anything else.
"""

import os
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SOURCES = {
    "mixbench": "mixbench",
    "configs": "mixbench/configs",
    "results/published": "mixbench/published",
    "benchmarks": "benchmarks",
}
SKIPPED = shutil.ignore_patterns("__pycache__")


def installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def prepare(site: Path, checkout: Path, wheels: Path, there: Callable[[str], bool] = installed) -> list[str]:
    """Make the folder anew; returns the packed distributions that went in, those that the machine lacks.

    there: whether a distribution is installed.
    """
    shutil.rmtree(site, ignore_errors=True)
    for source, place in SOURCES.items():
        shutil.copytree(checkout / source, site / place, ignore=SKIPPED)
    added = []
    for wheel in sorted(wheels.glob("*.whl")):
        name = distribution(wheel)
        if not there(name):
            with zipfile.ZipFile(wheel) as opened:
                opened.extractall(site)
            added.append(name)
    return added


def distribution(wheel: Path) -> str:
    """The name of what a wheel installs, such as `hydra-core`."""
    return re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()


def environment(site: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Environment variables under which Python imports from the folder first, and nothing from where it runs."""
    others = [path for path in base.get("PYTHONPATH", "").split(os.pathsep) if path]
    here = Path(__file__).resolve().parents[2]
    kept = [path for path in others if Path(path).resolve() != here]  # the checkout: scripts/gpu put it there
    return {
        **base,
        "PYTHONPATH": os.pathsep.join([str(site), *kept]),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    }
