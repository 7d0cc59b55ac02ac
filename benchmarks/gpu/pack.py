"""Packs what the other machine needs besides the checkout: data tiles, missing wheels and the runs so far."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import requires, version
from pathlib import Path

from benchmarks.gpu.bare import distribution

LIMIT = 64_000_000  # most bytes of the checkout and the packed files together
RETURN_LIMIT, RETURN_FILES = 16_000_000, 8  # most bytes of a returned file, and most returned files
# Packages that the machine has, together with their requirements.
BASE = ("torch", "torchvision", "pandas", "matplotlib", "scipy", "scikit-learn", "tqdm", "pip", "setuptools")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
PYTHON = "3.12"


class PackError(Exception):
    """A file to pack is missing or too large."""


def lacking(checkout: Path, needs: Callable[[str], Iterable[str]] | None = None) -> list[str]:
    """Return the distributions that mixbench needs but the machine does not have.

    checkout: the checkout of mixbench.
    needs: name of a distribution -> names of its requirements; None: from the packages installed here.
    """
    needs = needs or _needs
    declared = tomllib.loads((checkout / "pyproject.toml").read_text())["project"]["dependencies"]
    return sorted(_closure(map(_name, declared), needs) - _closure(BASE, needs))


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()


def _needs(name: str) -> list[str]:
    """Return the requirements of a distribution, without those of extras and other platforms."""
    from packaging.requirements import Requirement

    found = [Requirement(text) for text in requires(name) or ()]
    return [one.name for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]


def _closure(names: Iterable[str], needs: Callable[[str], Iterable[str]]) -> set[str]:
    found: set[str] = set()
    left = [_name(name) for name in names]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [_name(other) for other in needs(name)]
    return found


def fetch(names: Sequence[str], folder: Path, pip: Sequence[str]) -> None:
    """Put a wheel of each distribution into a folder, in the version installed here.

    names: names of the distributions.
    folder: folder of the wheels.
    pip: command of pip.
    Raises PackError if there is no suitable wheel and none can be built.
    """
    for name in names:
        if any(distribution(wheel) == name for wheel in folder.glob("*.whl")):
            continue
        wanted = f"{name}=={version(name)}"
        common = ["--quiet", "--disable-pip-version-check", "--no-deps"]
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        binary = ["--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", *platforms]
        got = subprocess.run([*pip, "download", *common, *binary, "--dest", folder, wanted], capture_output=True)
        if got.returncode:
            got = subprocess.run(
                [*pip, "wheel", *common, "--wheel-dir", folder, wanted], capture_output=True, text=True
            )
        if got.returncode:
            raise PackError(f"{wanted}: no wheel can be downloaded or built ({got.stderr.strip().splitlines()[-1:]})")
        (made,) = [wheel for wheel in folder.glob("*.whl") if distribution(wheel) == name]
        if not re.search(r"-(py3-none-any|(cp312|abi3)-.*x86_64)\.whl$|-cp312-abi3-", made.name):
            raise PackError(f"{made.name}: is not for Python {PYTHON} on x86-64")


def copy_tiles(source: Path, folder: Path) -> dict:
    """Copy the sheets of tiles.CIFAR10 with their labels, after checking the pixels.

    source: folder of all sheets.
    folder: folder to copy to.
    Returns the content of tiles.json. Raises PackError if a file is missing or the pixels are not those of CIFAR-10.
    """
    from benchmarks.gpu import tiles

    names = [tiles.sheet_name(k) for part in ("train", "test") for k in tiles.CIFAR10[part]]
    missing = [name for name in (*names, tiles.LABELS) if not (source / name).exists()]
    if missing:
        raise PackError(f"{source}: no {missing[0]}" + f" and {len(missing) - 1} more" * (len(missing) > 1))
    try:
        manifest = tiles.describe(source, tiles.CIFAR10)
    except tiles.Damaged as error:
        raise PackError(str(error)) from error
    folder.mkdir(parents=True)
    for name in (*names, tiles.LABELS):
        shutil.copyfile(source / name, folder / name)
    (folder / tiles.MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def travelling(checkout: Path) -> int:
    """Return the size of the working tree in bytes: files that git tracks or does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=checkout,
        capture_output=True,
        check=True,
    ).stdout
    paths = {checkout / name.decode() for name in listed.split(b"\0") if name}
    return sum(path.stat().st_size for path in paths if path.is_file())


def sizes(folder: Path) -> dict[str, int]:
    """Return the size of each file and subfolder of a folder in bytes."""
    found: dict[str, int] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            part = path.relative_to(folder).parts[0]
            found[part] = found.get(part, 0) + path.stat().st_size
    return found


def check_size(parts: dict[str, int], limit: int = LIMIT) -> str:
    """Return a line with the sizes. Raises PackError if they exceed the limit.

    parts: name -> size in bytes.
    limit: most bytes together.
    """
    total = sum(parts.values())
    each = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in parts.items())
    line = f"{total / 1e6:.1f} MB of at most {limit / 1e6:.0f} MB: {each}"
    if total > limit:
        raise PackError(f"too large: {line}")
    return line


def pip() -> list[str]:
    """Return the command of this Python's pip."""
    return [sys.executable, "-m", "pip"]
