"""Hydra's global state, kept apart from that of an application around mixbench."""

import contextlib
import copy
from collections.abc import Iterator

from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase


@contextlib.contextmanager
def separate() -> Iterator[None]:
    """A context with globals of its own; those of an application or Composer around it come back afterwards."""
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
