"""Calls the command line in a forked child, with a folder, streams, limits and signals, and reports how it ended.

Importing torch takes seconds; forking a process that has imported it takes milliseconds. Forking is safe because this
process has only one thread: the thread counts are set before NumPy and torch are imported, and `load` checks this.
"""

import atexit
import contextlib
import faulthandler
import gc
import importlib
import io
import mmap
import os
import pkgutil
import resource
import select
import shlex
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
LIMIT = 60  # seconds after which a call counts as hanging
MEMORY = 3 * 2**30  # most bytes of a call in addition to its memory at the start
HARD = 3 * 2**30  # bytes beyond MEMORY from which the system refuses more memory
LOOK_EVERY = 0.05  # seconds between two checks of a child's memory
KEPT = 200_000  # bytes of each stream that are kept
CLOSED = "closed"  # instead of a stream: the descriptor is not open
ASKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Program = Callable[[Sequence[str]], int]


@dataclass(frozen=True)
class Ended:
    """The end of a call.

    words: words of the command.
    status: exit status, as in a shell (128 + the number of the signal that ended it).
    out, err: output.
    seconds: time that it took.
    peak: most bytes in addition to its memory at the start.
    hung: whether it was killed because it took too long.
    greedy: whether it was killed because it needed too much memory.
    stack: stack of a crash or a hang.
    """

    words: tuple[str, ...]
    status: int
    out: str
    err: str
    seconds: float
    peak: int
    hung: bool = False
    greedy: bool = False
    stack: str = ""

    @property
    def command(self) -> str:
        return shlex.join(["mixbench", *self.words])


@dataclass
class Child:
    """A call that can still be running."""

    words: tuple[str, ...]
    pid: int
    begun: float
    limit: float
    memory: int
    files: dict[str, Any]
    watch: int
    begin: mmap.mmap  # the child writes its memory after the fork here, in bytes

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def running(self, wait: float = 0) -> bool:
        """Whether it is still running. wait: seconds to wait for its end."""
        return not select.select([self.watch], [], [], wait)[0]

    def resident(self) -> int:
        """Return its bytes in addition to its memory at the start; these include pages of libraries that it uses."""
        try:
            return _pages(self.pid, 1) - self.start
        except (OSError, IndexError):
            return 0

    def finish(self) -> Ended:
        """Wait for its end. A child that takes too long or needs too much memory is killed."""
        hung = greedy = False
        while self.running(LOOK_EVERY):
            hung = time.monotonic() - self.begun > self.limit
            greedy = self.resident() > self.memory
            if hung or greedy:
                self.signal(signal.SIGABRT)  # faulthandler writes the stack
                if self.running(2):
                    self.signal(signal.SIGKILL)
                break
        return self.reap(hung, greedy)

    @property
    def start(self) -> int:
        return int.from_bytes(self.begin[:8], "little")

    def reap(self, hung: bool = False, greedy: bool = False) -> Ended:
        _, status, usage = os.wait4(self.pid, 0)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # processes that it started
        os.close(self.watch)
        code = os.waitstatus_to_exitcode(status)
        out, err, stack = (_text(self.files.get(name)) for name in ("out", "err", "stack"))
        peak = usage.ru_maxrss * 1024 - self.start
        seconds = time.monotonic() - self.begun
        return Ended(self.words, code if code >= 0 else 128 - code, out, err, seconds, peak, hung, greedy, stack)


def load() -> None:
    """Import all of mixbench for the forked children. Raises RuntimeError if forking would not be safe."""
    import torch

    import mixbench

    torch.set_num_threads(1)
    for found in pkgutil.walk_packages(mixbench.__path__, "mixbench."):
        if not found.name.endswith("__main__") and ".bench" not in found.name:
            importlib.import_module(found.name)
    for name in ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "sklearn.datasets", "tabulate"):
        importlib.import_module(name)
    if (count := len(os.listdir("/proc/self/task"))) != 1:
        raise RuntimeError(f"{count} threads: forking is safe only with one; set {', '.join(ONE_THREAD)} to 1")
    gc.collect()
    gc.freeze()  # so that a child's garbage collector does not copy the parent's pages


def main(words: Sequence[str]) -> int:
    """Call the command line as a program: with words as an argument it would not protect the streams."""
    from mixbench.cli.main import main

    sys.argv = ["mixbench", *words]
    return main()


def call(words: Sequence[str], folder: Path, **options: Any) -> Ended:
    """Call `mixbench WORDS` in a folder and wait for its end. The options are those of `start`."""
    return start(words, folder, **options).finish()


def start(
    words: Sequence[str],
    folder: Path,
    *,
    program: Program = main,
    streams: Mapping[int, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    limit: float = LIMIT,
    memory: int = MEMORY,
) -> Child:
    """Start a call of `mixbench WORDS` in a folder.

    words: words of the command.
    folder: folder of the call.
    program: function to call in the child instead of the command line.
    streams: descriptor 0, 1 or 2 -> a file, a descriptor or CLOSED. The default is an empty input and output that is
        kept.
    environment: additional environment variables.
    limit: most seconds.
    memory: most bytes in addition to the memory at the start.
    """
    streams = dict(streams or {})
    files = {"stack": tempfile.TemporaryFile()}  # noqa: SIM115 (reap closes them)
    for number, name in ((1, "out"), (2, "err")):
        if number not in streams:
            files[name] = streams[number] = tempfile.TemporaryFile()  # noqa: SIM115
    sys.stdout.flush()
    sys.stderr.flush()
    begin = mmap.mmap(-1, 8)  # shared with the child
    begun = time.monotonic()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKED)
    pid = os.fork()
    if pid == 0:
        _run(words, folder, program, streams, files["stack"], dict(environment or {}), memory, begin)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Child(tuple(words), pid, begun, limit, memory, files, os.pidfd_open(pid), begin)


def _run(
    words: Sequence[str],
    folder: Path,
    program: Program,
    streams: Mapping[int, Any],
    stack: Any,
    environment: Mapping[str, str],
    memory: int,
    begin: mmap.mmap,
) -> NoReturn:
    """Run the call in the child. It ends like a Python process, but skips the slow shutdown of the interpreter."""
    try:
        begin[:8] = _pages("self", 1).to_bytes(8, "little")
        os.setsid()
        atexit._clear()
        os.chdir(folder)
        os.environ.update(environment)
        _no_network()
        resource.setrlimit(resource.RLIMIT_DATA, (_pages("self", 5) + memory + HARD,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        faulthandler.enable(stack)
        set_streams(streams)
        for number in ASKED:  # the defaults of a process started by a shell
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED)
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
        os._exit(99)
    os._exit(run_to_end(program, words))


def run_to_end(program: Program, words: Sequence[str]) -> int:
    """Call a program, do what Python does at its end, and return the exit status."""
    code = 1
    try:
        code = program(words) or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        code = 130 if isinstance(error, KeyboardInterrupt) else 1
        if code == 1 or _passed_through_mixbench(error):
            with contextlib.suppress(Exception):
                traceback.print_exc()
    return _end(code)


def _passed_through_mixbench(error: BaseException) -> bool:
    """Whether a KeyboardInterrupt came while mixbench's own code was running."""
    return any("/mixbench/" in frame.filename for frame in traceback.extract_tb(error.__traceback__))


def _end(code: int) -> int:
    """Do what Python does at its end: wait for threads, run registered functions, flush (120 if it fails)."""
    for number in ASKED:
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(Exception):
        threading._shutdown()
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        if stream is not None and not stream.closed:
            try:
                stream.flush()
            except Exception as error:
                code = 120
                with contextlib.suppress(Exception):
                    if name == "stdout":
                        print(f"Exception ignored in: <stdout>\n{type(error).__name__}: {error}", file=sys.stderr)
                        sys.stderr.flush()
    return code & 0xFF


def set_streams(streams: Mapping[int, Any]) -> None:
    """Replace the descriptors 0, 1 and 2 by files, and make Python's streams from them as at its start."""
    with open(os.devnull, "rb") as nothing:
        wanted = {0: nothing, **streams}
        for number in (0, 1, 2):
            if wanted[number] != CLOSED:
                os.dup2(wanted[number] if isinstance(wanted[number], int) else wanted[number].fileno(), number)
        for number in (0, 1, 2):
            if wanted[number] == CLOSED:
                os.close(number)
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        stream = None
        if wanted[number] != CLOSED:
            raw = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
            buffer = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
            raw.name = f"<{name}>"
            handling = "backslashreplace" if number == 2 else errors or "strict"
            lines = number == 2 or raw.isatty()
            stream = io.TextIOWrapper(buffer, encoding or "utf-8", handling, line_buffering=lines)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _pages(pid: int | str, column: int) -> int:
    """Return a column of /proc/PID/statm in bytes: 1 is resident memory, 5 is data and stack."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[column]) * resource.getpagesize()


def _no_network() -> None:
    """Prevent all access to the network."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise socket.gaierror("no network in this campaign")

    socket.getaddrinfo = socket.create_connection = refuse


def _text(file: Any) -> str:
    if file is None:
        return ""
    with file:
        file.seek(0)
        return file.read(KEPT).decode(errors="replace")
