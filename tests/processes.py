"""mixbench in processes of their own that cost milliseconds: forks of a server that has torch and mixbench loaded.

A fork does not show what a fresh interpreter does: which modules it imports, what it makes of the locale. Tests of
those start one.
"""

import atexit
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver, get_context, reduction
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

TESTS = Path(__file__).parent
BENCHMARKS = TESTS.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from hostile.calls import CLOSED, Program, main, run_to_end, set_streams  # noqa: E402

PATIENCE = 300  # seconds until a process counts as hanging


def start(
    words: Sequence[str],
    folder: Path,
    *,
    streams: Mapping[int, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    before: Callable[[], None] | None = None,
    program: Program = main,
) -> BaseProcess:
    """Begin `mixbench WORDS` in a folder.

    streams: descriptor 0, 1 or 2 -> a file, a descriptor or CLOSED; else nothing comes in and what goes out is lost.
    environment: in addition to that of this process. before: what happens first in the new process. program: what it
    calls in place of the command line. The last two are functions of a module, or a partial of one.
    """
    with open(os.devnull, "r+b") as nothing:
        wanted = {0: nothing, 1: nothing, 2: nothing, **(streams or {})}
        handed = {number: stream if stream == CLOSED else _Handed(stream) for number, stream in wanted.items()}
        arguments = (list(words), str(folder), handed, {**os.environ, **(environment or {})}, before, program)
        _serve()
        process = get_context("forkserver").Process(target=_live, args=arguments)
        process.start()
    return process


def ended(process: BaseProcess, patience: float = PATIENCE) -> int | None:
    """The exit code; minus the signal for a process that was killed; None for one that hung, which is killed now."""
    process.join(patience)
    code = process.exitcode
    if code is None:
        process.kill()
        process.join()
    process.close()
    return code


def call(words: Sequence[str], folder: Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Call `mixbench WORDS` in a folder, with the options of `start`, and wait for its end."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = {1: out, 2: err, **options.pop("streams", {})}
        code = ended(start(words, folder, streams=streams, **options))
        out.seek(0)
        err.seek(0)
        assert code is not None, f"no end: {words}"
        return subprocess.CompletedProcess(list(words), code, out.read(), err.read())


def limit_memory() -> None:
    """From now on no array of more than 50 MB can be made. For `before` of `start`."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 50_000_000,) * 2)


class _Handed:
    """A descriptor on its way to another process."""

    def __init__(self, stream: Any):
        self.number = stream if isinstance(stream, int) else stream.fileno()

    def __reduce__(self) -> tuple:
        return _taken, (reduction.DupFd(self.number),)


def _taken(duplicate: Any) -> int:
    return duplicate.detach()


def _serve() -> None:
    """Start the server of this session, if there is none."""
    path = os.pathsep.join(map(str, (TESTS.parent, TESTS, BENCHMARKS, os.environ.get("PYTHONPATH", ""))))
    get_context("forkserver").set_forkserver_preload(["preloaded"])
    with mock.patch.dict(os.environ, {"PYTHONPATH": path.rstrip(os.pathsep)}):
        forkserver.ensure_running()


def _live(
    words: list[str],
    folder: str,
    streams: Mapping[int, Any],
    environment: Mapping[str, str],
    before: Callable[[], None] | None,
    program: Program,
) -> None:
    """The life of the new process; it ends as a fresh one would."""
    atexit._clear()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    set_streams(streams)
    if before is not None:
        before()
    os._exit(run_to_end(program, words))
