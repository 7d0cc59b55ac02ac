"""Runs steps one after another within a deadline, each in its own process, and records their results.

A step that the deadline stops is repeated in the next call; the study resumes from its checkpoints. This module uses
only the standard library.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FINISHED, FAILED, STOPPED = "finished", "failed", "stopped"
GRACE = 20  # seconds between asking a process to stop and killing it; a checkpoint takes one or two
ATTEMPTS = 2  # a step fails if so many calls ran out of time during it
INTERRUPTED = 130  # exit status of mixbench after a request to stop


@dataclass(frozen=True)
class Step:
    """A step.

    name: its name.
    words: Python's arguments.
    needs: minutes that it takes, approximately. It starts only if as much is left, or if it is the first of the call.
    resumes: whether it continues where it was stopped.
    figures: name of the file in its folder to which it writes its figures; None: no such file.
    copies: number of processes that work on it together.
    """

    name: str
    words: Sequence[str]
    needs: float
    resumes: bool = False
    figures: str | None = None
    copies: int = 1


@dataclass
class Ended:
    """The end of a step.

    code: the worst exit status of its processes.
    text: output of the first process.
    seconds: time that it took.
    late: whether the deadline stopped it.
    asked: whether a signal stopped it.
    """

    code: int
    text: str
    seconds: float
    late: bool = False
    asked: bool = False


class Deadline:
    """The time left for a call.

    seconds: length of the call.
    clock: returns seconds, such as time.monotonic.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic):
        self.clock, self.end = clock, clock() + seconds

    def left(self) -> float:
        """Return the seconds left."""
        return self.end - self.clock()


@dataclass
class Records:
    """Records of the steps, one JSON file for each.

    folder: their folder.
    machine: this machine, from benchmarks.gpu.machine.
    keys: keys of the machine; a record counts only if all of them agree.
    """

    folder: Path
    machine: Mapping[str, Any] = field(default_factory=dict)
    keys: Sequence[str] = ("device", "torch", "code_sha256")

    def read(self, name: str) -> dict[str, Any] | None:
        """Return a step's record; None if there is none for this machine and this code."""
        try:
            found = json.loads((self.folder / f"{name}.json").read_text())
            same = all(found["machine"].get(key) == self.machine.get(key) for key in self.keys)
        except (OSError, ValueError, KeyError, AttributeError):
            return None
        return found if same else None

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Store a step's record."""
        self.folder.mkdir(parents=True, exist_ok=True)
        half = self.folder / f".{name}.json"
        half.write_text(json.dumps({"step": name, **record, "machine": dict(self.machine)}, indent=1) + "\n")
        half.replace(self.folder / f"{name}.json")

    def ended(self, name: str) -> bool:
        """Whether a step finished or failed."""
        found = self.read(name)
        return found is not None and found["status"] in (FINISHED, FAILED)


def run(
    steps: Sequence[Step],
    records: Records,
    deadline: Deadline,
    launch: Callable[[Step, float], Ended],
    say: Callable[[str], None] = print,
) -> list[Step]:
    """Run the steps that have not ended, until the deadline.

    steps: the steps in order.
    records: their records.
    deadline: the time left.
    launch: (step, seconds) -> its end; it runs a step for at most so many seconds.
    say: called with lines on the progress.
    Returns the steps that are left.
    """
    left, begun = [], False
    for step in steps:
        if records.ended(step.name):
            say(f"{step.name}: {records.read(step.name)['status']} earlier")
            continue
        seconds = deadline.left()
        enough = seconds > 0 and (not begun or step.resumes or seconds >= 60 * step.needs)
        if left or not enough:
            left.append(step)
            continue
        say(f"{step.name}: {seconds / 60:.1f} minutes are left")
        begun = True
        record = judged(step, launch(step, seconds), records.read(step.name))
        records.write(step.name, record)
        how = "" if record["status"] != FAILED else f" with exit status {record['code']}"
        say(f"{step.name}: {record['status']}{how} after {record['seconds']:.0f} s")
        if record["status"] == STOPPED:
            left.append(step)
    return left


def judged(step: Step, ended: Ended, before: dict[str, Any] | None) -> dict[str, Any]:
    """Return the record of a step that has ended.

    step: the step.
    ended: its end.
    before: record of an earlier attempt; None: there was none.
    """
    attempts = (before or {}).get("attempts", 0) + (not ended.asked)
    seconds = ended.seconds + (before or {}).get("seconds", 0) * step.resumes
    stopped = ended.late or ended.asked or (step.resumes and ended.code == INTERRUPTED)
    if stopped and (step.resumes or ended.asked or attempts < ATTEMPTS):
        status = STOPPED
    else:
        status = FINISHED if ended.code == 0 and not stopped else FAILED
    return {"status": status, "code": ended.code, "attempts": attempts, "seconds": seconds, "text": ended.text}


class Launcher:
    """Runs the processes of a step in the step's folder and reads their figures.

    work: folder of all steps.
    environment: environment variables of the processes.
    """

    def __init__(self, work: Path, environment: Mapping[str, str]):
        self.work, self.environment = work, dict(environment)

    def __call__(self, step: Step, seconds: float) -> Ended:
        folder = self.work / step.name
        folder.mkdir(parents=True, exist_ok=True)
        if step.figures:
            (folder / step.figures).unlink(missing_ok=True)  # from an earlier attempt
        start = time.monotonic()
        processes = [self._start(step, folder) for _ in range(step.copies)]
        texts: list[list[str]] = [[] for _ in processes]
        readers = [
            threading.Thread(target=_read, args=(process.stdout, text), daemon=True)
            for process, text in zip(processes, texts, strict=True)
        ]
        for reader in readers:
            reader.start()
        with signals_passed_on(processes) as got:
            late = not _ended(processes, start + seconds)
            if late:
                _stop(processes)
        for reader in readers:
            reader.join(5)  # a worker that outlives its process can keep the pipe open
        for process, reader in zip(processes, readers, strict=True):
            if not reader.is_alive():
                process.stdout.close()
        codes = [process.returncode for process in processes]
        return Ended(max(codes, key=abs), "".join(texts[0]), time.monotonic() - start, late, bool(got))

    def figures(self, step: Step) -> Any:
        """Return the figures that a step wrote; None if there are none."""
        try:
            return json.loads((self.work / step.name / step.figures).read_text()) if step.figures else None
        except (OSError, ValueError):
            return None

    def _start(self, step: Step, folder: Path) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, *step.words], cwd=folder, env=self.environment, stdout=subprocess.PIPE, text=True
        )


def _read(stream: Any, text: list[str]) -> None:
    for line in stream:
        text.append(line)
        print(line, end="", flush=True)


def _ended(processes: Sequence[subprocess.Popen], until: float) -> bool:
    try:
        for process in processes:
            process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _stop(processes: Sequence[subprocess.Popen]) -> None:
    """Ask processes to stop, wait for a short time, then kill them."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    if not _ended(processes, time.monotonic() + GRACE):
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()


@contextmanager
def signals_passed_on(processes: Sequence[subprocess.Popen]) -> Iterator[list[int]]:
    """Within the body, pass SIGTERM on to the processes instead of ending this program.

    Ctrl-C on a terminal reaches them anyway; a second signal would prevent the study's checkpoint.

    processes: the processes.
    Yields a list of the signals that came.
    """
    got: list[int] = []

    def on_signal(number: int, frame: Any) -> None:
        got.append(number)
        for process in processes:
            if number == signal.SIGTERM and process.poll() is None:
                process.terminate()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
