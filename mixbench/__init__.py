"""mixbench: with n labelled images, which mixing augmentation helps, by how much, and how sure are we?

    import mixbench as mb

    run = mb.run(method="mixup", n=20, dataset="digits")
    runs = mb.load_runs("results")
    mb.compare(runs)
    mb.recommend(runs)
    mix = mb.mixing.CutMix(num_classes=10)

See docs/api.md. Names are loaded when they are first used, so `import mixbench` is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mixbench.core.version import __version__

if TYPE_CHECKING:
    from mixbench import mixing
    from mixbench.api import Run, RunFailed, UserError, compare, load_runs, recommend, run, study, sweep

__all__ = [
    "Run",
    "RunFailed",
    "UserError",
    "__version__",
    "compare",
    "load_runs",
    "mixing",
    "recommend",
    "run",
    "study",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name == "mixing":
        return import_module("mixbench.mixing")
    if name in __all__:
        return getattr(import_module("mixbench.api"), name)
    raise AttributeError(f"module 'mixbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
