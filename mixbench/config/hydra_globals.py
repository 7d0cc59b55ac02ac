"""Hydra's global state, kept separate from the state of an application that uses mixbench."""

import contextlib
import copy
from collections.abc import Iterator

from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase


@contextlib.contextmanager
def separate_hydra_state() -> Iterator[None]:
    """A context with its own Hydra globals. The globals of an outer application or Composer are restored afterwards."""
    outer, version = GlobalHydra.instance(), VersionBase.instance()
    ours = copy.copy(outer)
    ours.clear()
    GlobalHydra.set_instance(ours)
    VersionBase.set_instance(copy.copy(version))
    try:
        yield
    finally:
        GlobalHydra.set_instance(outer)
        VersionBase.set_instance(version)
