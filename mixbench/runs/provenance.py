"""The provenance of a result: code, library versions, device and data. No torch."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mixbench.core import numerics
from mixbench.core.version import __version__
from mixbench.data import Split

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "hydra-core", "omegaconf")


def collect(split: Split, device: str, precision: str, threads: int) -> dict[str, Any]:
    """Return the content of provenance.json.

    split: the images of the run.
    device: name of the device.
    precision: `fp32` or `bf16`.
    threads: number of CPU threads.
    """
    return {
        "mixbench": __version__,
        "numerics": dict(numerics.VERSIONS),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "platform": f"{platform.system()} {platform.machine()}",
        "device": device,
        "precision": precision,
        "threads": threads,
        **split.checksums,
        "indices_sha256": split.indices_sha256,
        "class_counts": split.class_counts,
        **({"label_noise": _noise(split)} if split.label_noise > 0 else {}),
        **({"banks": {key: dict(bank.source) for key, bank in split.generated.items()}} if split.generated else {}),
        "mean": split.mean.tolist(),
        "std": split.std.tolist(),
    }


def _noise(split: Split) -> dict[str, Any]:
    """Return the number of replaced labels, the number of wrong ones among them, and the checksum of all labels."""
    return {
        "rate": split.label_noise,
        "replaced": int(split.replaced.sum()),
        "wrong": int((split.train_labels != split.true_labels).sum()),
        "train_labels_sha256": split.train_labels_sha256,
    }


@cache
def _git_commit() -> str | None:
    """Return the commit of the checkout, with + if files differ from it; None for an installed package."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return None
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no", "--", "mixbench", "configs"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{commit}+" if changed.strip() else commit
