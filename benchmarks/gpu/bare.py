"""Makes a folder from which Python imports mixbench, and packages that the machine does not have.

The checkout alone is not enough: mixbench.configs is in configs/, and only an installation moves it to its place. The
copy also ensures that a long study continues with the code that it began with. This module uses only the standard
library, because it runs before everything else.
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
    """Whether a distribution is installed."""
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def prepare(site: Path, checkout: Path, wheels: Path, has: Callable[[str], bool] = installed) -> list[str]:
    """Make the folder again.

    site: path of the folder.
    checkout: the checkout of mixbench.
    wheels: folder of packed wheels.
    has: name of a distribution -> whether it is installed.
    Returns the names of the packed distributions that were added, because they are not installed.
    """
    shutil.rmtree(site, ignore_errors=True)
    for source, place in SOURCES.items():
        shutil.copytree(checkout / source, site / place, ignore=SKIPPED)
    added = []
    for wheel in sorted(wheels.glob("*.whl")):
        name = distribution(wheel)
        if not has(name):
            with zipfile.ZipFile(wheel) as opened:
                opened.extractall(site)
            added.append(name)
    return added


def distribution(wheel: Path) -> str:
    """Return the name of a wheel's distribution, such as `hydra-core`."""
    return re.sub(r"[-_.]+", "-", wheel.name.split("-")[0]).lower()


def environment(site: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return environment variables with which Python imports from the folder first, and not from the current folder.

    site: path of the folder.
    base: environment variables to extend.
    """
    others = [path for path in base.get("PYTHONPATH", "").split(os.pathsep) if path]
    here = Path(__file__).resolve().parents[2]
    kept = [path for path in others if Path(path).resolve() != here]  # scripts/gpu adds the checkout, which is not used
    return {
        **base,
        "PYTHONPATH": os.pathsep.join([str(site), *kept]),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    }
