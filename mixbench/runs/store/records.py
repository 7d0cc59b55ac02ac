"""Where the records of studies are: runs that were published with mixbench, packed in one archive for each study.

<results_dir>/published/<study>/runs.zip, and where that is not there, the one that came with the package. No torch.
"""

from importlib.resources import files
from pathlib import Path

PUBLISHED, RUNS = "published", "runs.zip"
PACKAGE = "mixbench.published"


def path(root: Path, study: str) -> Path:
    """Where the records of a study are to be written. root: the results folder."""
    return root / PUBLISHED / study / RUNS


def find(root: Path, study: str) -> Path:
    """The archive of a study's records; where there is none, the path at which the results folder would have it."""
    own, shipped = path(root, study), _shipped()
    if own.exists() or shipped is None or not (shipped / study / RUNS).is_file():
        return own
    return shipped / study / RUNS


def studies(root: Path) -> list[str]:
    """The names of the studies that have records."""
    folders = [folder for folder in (root / PUBLISHED, _shipped()) if folder is not None]
    return sorted({found.parent.name for folder in folders for found in folder.glob(f"*/{RUNS}")})


def _shipped() -> Path | None:
    try:
        folder = files(PACKAGE)
    except ModuleNotFoundError:  # an installation of before there were any
        return None
    return folder if isinstance(folder, Path) else None
