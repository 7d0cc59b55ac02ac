"""Paths of published records: the runs of a study, packed into one archive. No torch.

They are in <results_dir>/published/<study>/runs.zip. If there is no such file, those of the package are used.
"""

from importlib.resources import files
from pathlib import Path

PUBLISHED, RUNS = "published", "runs.zip"
PACKAGE = "mixbench.published"


def path(root: Path, study: str) -> Path:
    """Return the path to which the records of a study are written.

    root: folder of the results.
    study: name of the study.
    """
    return root / PUBLISHED / study / RUNS


def find(root: Path, study: str) -> Path:
    """Return the path of a study's records; if there are none, the path to which they would be written.

    root: folder of the results.
    study: name of the study.
    """
    own, *shipped = places(root, study)
    return own if own.exists() else next(filter(Path.is_file, shipped), own)


def places(root: Path, study: str) -> list[Path]:
    """Return the paths at which the records of a study are looked for: in the results, then in the package.

    root: folder of the results.
    study: name of the study.
    """
    shipped = _shipped()
    return [path(root, study), *([shipped / study / RUNS] if shipped is not None else [])]


def studies(root: Path) -> list[str]:
    """Return the names of the studies that have records.

    root: folder of the results. Records of the package are included.
    """
    folders = [folder for folder in (root / PUBLISHED, _shipped()) if folder is not None]
    return sorted({found.parent.name for folder in folders for found in folder.glob(f"*/{RUNS}")})


def _shipped() -> Path | None:
    try:
        folder = files(PACKAGE)
    except ModuleNotFoundError:  # an installation without published records
        return None
    return folder if isinstance(folder, Path) else None
