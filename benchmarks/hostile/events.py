"""Kills every command that writes at every file-system event; then the same command must finish the work.

An event is a call that changes files below the working folder: opening a file for writing, a write, fsync, rename,
remove, making or removing a folder, a link. A command is killed before each event, and in the middle of a write. Of the
writes to one file, the 1st, 2nd, 4th, 8th … count. After each kill, the commands that read must work, the same command
must succeed, and after `clean --yes` the folder must be the same as after a command that was not killed.

Many kills leave the same files. What happens then depends only on the files, so each state is tried once.
"""

import builtins
import hashlib
import importlib
import io
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hostile.calls import Ended, call, main
from hostile.findings import Finding, Report, judge
from hostile.lanes import Settings, each
from hostile.stores import TINY, age, contents, copy, differences, succeed

OPTIONS_AFTER = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CALLS = ("replace", "rename", "remove", "unlink", "mkdir", "rmdir", "link", "symlink", "truncate", "ftruncate")
ON_DESCRIPTORS = ("fsync", "sendfile", "copy_file_range")
KINDS = ("lost", "differs", "left over", "traceback", "crash", "hang", "status")


@dataclass(frozen=True)
class Command:
    """A command that writes.

    name: its name.
    words: its words.
    prepared: name of the prepared folder in which it is called.
    loose: pattern of paths whose contents depend on times.
    record: whether it is python -m mixbench.cli.record.
    changes_runs: whether it changes runs, so that the report is tried after a kill too.
    """

    name: str
    words: tuple[str, ...]
    prepared: str
    loose: str | None = None
    record: bool = False
    changes_runs: bool = False


SHORT = (*TINY, "train.steps=8")
STUDY = ("demo", "scale=smoke", "model.width=16", "precision=fp32")  # torch 2.14 fails with the study's width 2
REPORT_EVERY = 5  # the report, which takes longest, is tried for every fifth event
STUDY_SHOWS_TIMES = r"(report|accuracy)\.(md|html|svg|png)$|\.(svg|png)$|report\.html$"
COMMANDS = (
    Command("run", ("run", *SHORT, "seed=7", "save_model=true", "dataset.label_noise=0.2"), "runs", changes_runs=True),
    Command("run in a new store", ("run", *SHORT, "method=mixup"), "empty", changes_runs=True),
    Command("run force=true", ("run", *SHORT, "force=true"), "runs", changes_runs=True),
    Command("sweep", ("sweep", *SHORT, "seed=0,8"), "runs", changes_runs=True),
    Command("study", ("study", *STUDY, "device=cpu"), "empty", loose=STUDY_SHOWS_TIMES, changes_runs=True),
    Command("table", ("table",), "runs"),
    Command("plot", ("plot",), "runs"),
    Command("report", ("report",), "runs"),
    Command("gallery", ("gallery", "dataset=digits", "method=cutmix"), "empty"),
    Command("export", ("export",), "runs"),
    Command("import", ("import", "more.mixbench.zip"), "runs", changes_runs=True),
    Command("clean", ("clean", "--yes"), "littered", changes_runs=True),
    Command("record", STUDY, "study", record=True),
)


@dataclass
class Events:
    """Counts the events below a folder and kills this process at one of them.

    root: the folder.
    at: number of the event, from 0; None: never.
    seen: names of the events so far.
    """

    root: str
    at: int | None = None
    seen: list[str] = field(default_factory=list)

    def event(self, name: str, half: Callable[[], Any] | None = None) -> None:
        """Count an event. half: does half of the work before the kill."""
        self.seen.append(name)
        if len(self.seen) - 1 == self.at:
            if half is not None:
                half()
            os.kill(os.getpid(), signal.SIGKILL)

    def inside(self, path: Any, folder: int | None = None) -> bool:
        try:
            if isinstance(path, int):
                full = os.readlink(f"/proc/self/fd/{path}")
            else:
                full = os.fsdecode(path)
                if folder is not None:
                    full = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), full)
        except (OSError, TypeError):
            return False
        return os.path.abspath(full).startswith(self.root)

    def install(self) -> None:
        """Replace the functions of this process that change files."""
        for name in CALLS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        for name in ON_DESCRIPTORS:
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        os.open = self._os_open(os.open)
        builtins.open = io.open = self._open(builtins.open)

    def _wrapped(self, name: str, real: Callable) -> Callable:
        def wrapped(path: Any, *arguments: Any, **options: Any) -> Any:
            folder = options.get("dir_fd", options.get("src_dir_fd"))
            if self.inside(path, folder) or (arguments and self.inside(arguments[0])):
                self.event(name)
            return real(path, *arguments, **options)

        return wrapped

    def _os_open(self, real: Callable) -> Callable:
        def wrapped(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
            if flags & OPTIONS_AFTER and self.inside(path, options.get("dir_fd")):
                self.event("os.open")
            return real(path, flags, *arguments, **options)

        return wrapped

    def _open(self, real: Callable) -> Callable:
        events = self

        class Raw(io.FileIO):
            writes = 0

            def write(self, data: Any) -> int:
                view = memoryview(data).cast("B")
                self.writes += 1
                if self.writes & (self.writes - 1) == 0:
                    events.event("write", lambda: super(Raw, self).write(view[: len(view) // 2]))
                return super().write(data)

        def wrapped(
            file: Any,
            mode: str = "r",
            buffering: int = -1,
            encoding=None,
            errors=None,
            newline=None,
            *rest: Any,
            **more: Any,
        ) -> Any:
            writes = set(mode) & set("wax+")
            if not writes or rest or more or isinstance(file, int) or not self.inside(file):
                return real(file, mode, buffering, encoding, errors, newline, *rest, **more)
            self.event("open")
            raw = Raw(file, mode.replace("b", "").replace("t", ""))
            if buffering == 0:
                return raw
            buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            if "b" in mode:
                return buffer
            text = io.TextIOWrapper(buffer, encoding, errors, newline)
            text.mode = mode
            return text

        return wrapped


def campaign(settings: Settings) -> Report:
    """Try every event, or `count` random ones."""
    report = Report("events")
    prepare(settings.scratch)
    points = []
    total = 0
    list(each(partial(make_reference, settings.scratch), COMMANDS, settings))
    for command in COMMANDS:
        marker = settings.scratch / "reference" / f"{command.name}.json"
        if not marker.exists():
            continue
        known = json.loads(marker.read_text())
        report.add([Finding(**finding) for finding in known["findings"]])
        total += len(known["events"])
        points += [(command, index) for index in range(len(known["events"]))]
    order = random.Random(settings.seed)
    if settings.count is not None and settings.count < len(points):
        points = order.sample(points, settings.count)
    order.shuffle(points)  # so that long and short commands alternate
    tried = states = 0
    for result in each(partial(_try, settings.scratch), points, settings):
        if result is not None:
            killed, new, findings = result
            tried += killed
            states += new
            report.add(findings)
    report.figures = {"commands": len(COMMANDS), "events": total, "kills": tried, "states": states}
    report.count_kinds(*KINDS)
    return report


def prepare(scratch: Path) -> None:
    """Make the folders in which commands are called, below scratch/prepared."""
    prepared = scratch / "prepared"
    for name in ("empty", "runs", "study", "more"):
        (prepared / name).mkdir(parents=True)
    succeed("sweep", *SHORT, "method=none,label-mix", "seed=0,1", folder=prepared / "runs")
    succeed("sweep", *SHORT, "method=none", "seed=1,2,3", folder=prepared / "more")
    succeed("export", "out=more.mixbench.zip", folder=prepared / "more")
    _share_runs(prepared / "runs", prepared / "more")
    succeed("study", *STUDY, "device=cpu", folder=prepared / "study")
    copy(prepared / "runs", prepared / "littered")
    litter(prepared / "littered" / "results" / "runs")


def _share_runs(runs: Path, more: Path) -> None:
    """Replace a run by the one in the archive, so that the archive has one run that is already stored."""
    for folder in (more / "results" / "runs").glob("*-s1-*"):
        shutil.rmtree(runs / "results" / "runs" / folder.name)
        shutil.copytree(folder, runs / "results" / "runs" / folder.name)
    shutil.copy(more / "more.mixbench.zip", runs)


def litter(runs: Path) -> None:
    """Add what kills and failures leave: an interrupted and a failed run, left-over files, a half replaced run."""
    one, two = sorted(runs.glob("digits-*"))[:2]
    for name, file in (("0123456789", "checkpoint.pt"), ("1123456789", "failed.json")):
        folder = runs / f"digits-n20-none-s90-{name}"
        folder.mkdir()
        (folder / file).write_text("{}")
    (one / "checkpoint.pt").write_bytes(b"left")
    (one / ".history.csv.999999").write_bytes(b"left")
    copy(two, runs / f"{two.name}.replaced")
    again = copy(two, runs / f"{two.name}.force")
    (again / "metrics.json").unlink()
    (runs / ".incoming" / two.name).mkdir(parents=True)


def _program(command: Command, at: int | None, told: Path | None, words: Sequence[str]) -> int:
    """In the child: run the command and count its events. told: file for their names; None: no file."""
    events = Events(os.getcwd() + os.sep, at)
    run = _record if command.record else main
    real = open
    events.install()
    status = run(words)
    if told is not None:
        with real(told, "w") as file:
            json.dump(events.seen, file)
    return status


def _record(words: Sequence[str]) -> int:
    return importlib.import_module("mixbench.cli.record").main(list(words))


def _call(command: Command, folder: Path, at: int | None = None, told: Path | None = None) -> Ended:
    return call(command.words, folder, program=partial(_program, command, at, told))


def make_reference(scratch: Path, command: Command) -> str:
    """Run a command without a kill, and store what it writes and which events it has. Returns its name."""
    folder = copy(scratch / "prepared" / command.prepared, scratch / "reference" / command.name)
    told = scratch / "reference" / f"{command.name}.events"
    ended = _call(command, folder, told=told)
    findings = judge(ended, "store", (0,))
    events = json.loads(told.read_text()) if told.exists() else []
    succeed("clean", "--yes", folder=folder)
    state = contents(folder, loose=command.loose)
    stored = {"events": events, "contents": state, "findings": [vars(finding) for finding in findings]}
    (scratch / "reference" / f"{command.name}.json").write_text(json.dumps(stored))
    return command.name


def reference(scratch: Path, command: Command) -> dict[str, str]:
    """Return the files that a command leaves without a kill."""
    return json.loads((scratch / "reference" / f"{command.name}.json").read_text())["contents"]


def _try(scratch: Path, point: tuple[Command, int]) -> tuple[int, int, list[Finding]]:
    """Kill a command at one event. Returns whether it was killed, whether the state was new, and the findings."""
    command, at = point
    known = json.loads((scratch / "reference" / f"{command.name}.json").read_text())
    folder = copy(scratch / "prepared" / command.prepared, scratch / f"killed-{os.getpid()}")
    try:
        ended = _call(command, folder, at)
        told = f"{ended.command} (killed at event {at}: {known['events'][at]})"
        if ended.status != 128 + signal.SIGKILL:
            return 0, 0, judge(ended, "store", (0,), told)
        if not _new(scratch, command, contents(folder, loose=command.loose)):
            return 1, 0, []
        findings = _readers(command, at, folder, scratch / f"out-{os.getpid()}", told)
        ended = _call(command, folder)
        findings += judge(ended, "store", (0,), f"{told}; then the same again")
        age(folder)
        ended = call(("clean", "--yes"), folder)
        findings += judge(ended, "store", (0,), f"{told}; the same again; clean --yes")
        return 1, 1, findings + _compared(known["contents"], contents(folder, loose=command.loose), told)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new(scratch: Path, command: Command, state: dict[str, str]) -> bool:
    """Whether this state was not tried yet."""
    name = hashlib.sha256(f"{command.name} {sorted(state.items())}".encode()).hexdigest()
    (scratch / "states").mkdir(exist_ok=True)
    try:
        os.close(os.open(scratch / "states" / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _readers(command: Command, at: int, folder: Path, out: Path, told: str) -> list[Finding]:
    out.mkdir(exist_ok=True)
    readers = [("status",), ("table", f"out={out}")]
    if command.changes_runs and at % REPORT_EVERY == 0:
        readers.append(("report", f"out={out}"))
    findings = []
    for words in readers:
        findings += judge(call(words, folder), "store", (0, 1), f"{told}; then {words[0]}")
    return findings


def _compared(wanted: dict[str, str], found: dict[str, str], told: str) -> list[Finding]:
    missing, more, other = differences(wanted, found)
    return [
        Finding(kind, "store", told, f"{', '.join(paths[:5])}")
        for kind, paths in (("lost", missing), ("left over", more), ("differs", other))
        if paths
    ]
