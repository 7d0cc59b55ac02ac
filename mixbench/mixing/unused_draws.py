"""Draws that a method declares but never uses. They cost time and may be a mistake. Found in the method's bytecode."""

import dis
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from mixbench.mixing.runner import build_method


def unused_draws(cfg: Mapping[str, Any]) -> list[str]:
    """The declared draws that a method, or a method of a mixture, never reads.

    cfg: a validated group `method`.
    """
    singles = build_method(cfg).singles().values()
    return [name for one in singles for name in one.function.draws if not _reads(one.function.function, name)]


def _reads(function: Callable, name: str) -> bool:
    """Whether a function's code reads its parameter `name`; True if it has no Python code."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or "locals" in code.co_names or name in code.co_cellvars:  # inner functions read cell variables
        return True
    reads = (one for one in dis.get_instructions(code) if one.opname.startswith("LOAD_"))
    return any(name in (one.argval if isinstance(one.argval, tuple) else (one.argval,)) for one in reads)
