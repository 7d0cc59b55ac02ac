"""Where a result comes from: code, library versions, device, data. No torch."""

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mixbench
from mixbench.data import Split

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "hydra-core", "omegaconf")
# What decides a run's numbers; a change elsewhere (a plot, a message) does not make a stored run another code's.
OUTCOME_CODE = (
    "core/random_words.py",
    "core/draws.py",
    "augment",
    "core/registry.py",
    "training/losses.py",
    "training/context.py",
    "training/engine.py",
    "training/loop.py",
    "training/schedule.py",
    "training/checkpoint.py",
    "training/device.py",
    "training/metrics.py",
    "data",
    "mixing",
    "models",
)


@cache
def code_sha256() -> str:
    """Twelve hexadecimal digits of the SHA-256 of the source files that decide a run's numbers."""
    package = Path(mixbench.__file__).parent
    digest = hashlib.sha256()
    for name in OUTCOME_CODE:
        path = package / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(package).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def collect(split: Split, device: str, precision: str, threads: int) -> dict[str, Any]:
    """What provenance.json says of a run. precision: as resolved, fp32 or bf16. threads: of the CPU."""
    return {
        "mixbench": mixbench.__version__,
        "code_sha256": code_sha256(),
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
        "mean": split.mean.tolist(),
        "std": split.std.tolist(),
    }


def _noise(split: Split) -> dict[str, Any]:
    """How many labels were replaced by random ones, how many of these are wrong, and the sum of what was trained on."""
    return {
        "rate": split.label_noise,
        "replaced": int(split.replaced.sum()),
        "wrong": int((split.train_labels != split.true_labels).sum()),
        "train_labels_sha256": split.train_labels_sha256,
    }


def cpu_name() -> str:
    """The processor's own name where the system tells it, as /proc/cpuinfo on Linux."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def _git_commit() -> str | None:
    """The checkout's commit, with + where files differ from it; None for an installed package."""
    folder = Path(mixbench.__file__).parent.parent
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
    return commit + "+" * bool(changed.strip())
