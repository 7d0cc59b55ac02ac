"""The folder of a user's own configuration files. No torch, no Hydra."""

import os
from pathlib import Path

from mixbench.core.errors import UserError

REMEMBERED = "MIXBENCH_CONFIG_DIR"  # environment variable


def config_folder(given: str | Path | None) -> str | None:
    """Return the folder of a user's own YAML files and functions; None if there is none.

    given: the folder from --config-dir or from Python. None: the folder in MIXBENCH_CONFIG_DIR, if it is set.
    Raises UserError if there is no such folder.
    """
    if given is not None:
        return given_folder(given)
    remembered = os.environ.get(REMEMBERED)
    if not remembered:
        return None
    folder = os.path.expanduser(remembered)
    if not os.path.isdir(folder):
        raise UserError(f"{REMEMBERED}={remembered}: no such folder; correct it, or unset {REMEMBERED}")
    return folder


def given_folder(given: str | Path) -> str:
    """Return the folder that a caller names, with ~ replaced.

    given: path of the folder.
    Raises UserError if there is no such folder.
    """
    folder = os.path.expanduser(given)
    if not os.path.isdir(folder):
        raise UserError(f"--config-dir {given}: no such folder (config_dir={str(given)!r} in Python)")
    return folder
