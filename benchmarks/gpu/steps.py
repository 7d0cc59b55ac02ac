"""Steps that run one after another within a deadline, each a process of its own, and what is kept of each.

A step that the deadline stops runs again in the next call; the study goes on from its checkpoints. Standard library.
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
GRACE = 20  # seconds from asking a process to stop until it is killed: a checkpoint takes one or two
ATTEMPTS = 2  # calls that may each run out of time over one step, before it counts as failed
INTERRUPTED = 130  # mixbench's exit status where it was asked to stop


@dataclass(frozen=True)
class Step:
    """One thing to do.

    words: of the Python that runs it. needs: minutes, about; it does not start where less is left, unless it is the
    first of the call. resumes: whether it goes on where it was stopped. figures: the file in its folder that holds
    them. copies: processes that do it together.
    """

    name: str
    words: Sequence[str]
    needs: float
    resumes: bool = False
    figures: str | None = None
    copies: int = 1


@dataclass
class Ended:
    """How a step's processes ended: `code` the worst exit status, `text` what the first printed."""

    code: int
    text: str
    seconds: float
    late: bool = False  # the deadline stopped it
    asked: bool = False  # a signal did


class Deadline:
    """Seconds that are left of a call. clock: as time.monotonic."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic):
        self.clock, self.end = clock, clock() + seconds

    def left(self) -> float:
        return self.end - self.clock()


@dataclass
class Records:
    """What is kept of the steps, a JSON file each, and whether it holds for this machine and this code."""

    folder: Path
    machine: Mapping[str, Any] = field(default_factory=dict)
    keys: Sequence[str] = ("device", "torch", "code_sha256")

    def read(self, name: str) -> dict[str, Any] | None:
        """The step's record; None where there is none of this machine and code."""
        try:
            found = json.loads((self.folder / f"{name}.json").read_text())
            same = all(found["machine"].get(key) == self.machine.get(key) for key in self.keys)
        except (OSError, ValueError, KeyError, AttributeError):
            return None
        return found if same else None

    def write(self, name: str, record: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        half = self.folder / f".{name}.json"
        half.write_text(json.dumps({"step": name, **record, "machine": dict(self.machine)}, indent=1) + "\n")
        half.replace(self.folder / f"{name}.json")

    def ended(self, name: str) -> bool:
        """Whether the step is behind us, for better or worse."""
        found = self.read(name)
        return found is not None and found["status"] in (FINISHED, FAILED)


def run(
    steps: Sequence[Step],
    records: Records,
    deadline: Deadline,
    launch: Callable[[Step, float], Ended],
    say: Callable[[str], None] = print,
) -> list[Step]:
    """Run what is not behind us until the deadline; returns what is left.

    launch(step, seconds) runs a step, for that long at most.
    """
    left, begun = [], False
    for step in steps:
        if records.ended(step.name):
            say(f"{step.name}: {records.read(step.name)['status']} before")
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
    """The record of a step that has just ended. before: the one of an earlier attempt."""
    attempts = (before or {}).get("attempts", 0) + (not ended.asked)
    seconds = ended.seconds + (before or {}).get("seconds", 0) * step.resumes
    stopped = ended.late or ended.asked or (step.resumes and ended.code == INTERRUPTED)
    if stopped and (step.resumes or ended.asked or attempts < ATTEMPTS):
        status = STOPPED
    else:
        status = FINISHED if ended.code == 0 and not stopped else FAILED
    return {"status": status, "code": ended.code, "attempts": attempts, "seconds": seconds, "text": ended.text}


class Launcher:
    """Runs a step's processes in a folder of their own and reads their figures."""

    def __init__(self, work: Path, environment: Mapping[str, str]):
        self.work, self.environment = work, dict(environment)

    def __call__(self, step: Step, seconds: float) -> Ended:
        folder = self.work / step.name
        folder.mkdir(parents=True, exist_ok=True)
        if step.figures:
            (folder / step.figures).unlink(missing_ok=True)  # of an earlier attempt
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
            reader.join(5)  # a worker that outlives its process may hold the pipe open
        for process, reader in zip(processes, readers, strict=True):
            if not reader.is_alive():
                process.stdout.close()
        codes = [process.returncode for process in processes]
        return Ended(max(codes, key=abs), "".join(texts[0]), time.monotonic() - start, late, bool(got))

    def figures(self, step: Step) -> Any:
        """What the step wrote; None where it wrote nothing."""
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
    """Ask them to stop, wait a little, then kill."""
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
    """While the processes run, a signal that should end this program stops them first; yields those that came.

    Ctrl-C on a terminal reaches them without help, and a second signal would cost the study its checkpoint.
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
