"""Closed streams, signals, full and read-only disks: output that cannot be written must not stop training.

The rules: a command that trains finishes all its runs, whatever happens to its output, and its exit status shows it. A
command that is asked to stop leaves a checkpoint, and the same command then ends with the same bits. No command ends in
a traceback. Wrong files in the store are tested in places.py.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hostile import events, places
from hostile.calls import CLOSED, Child, Ended, call, start
from hostile.findings import TRACEBACK, Finding, Report, judge
from hostile.lanes import Settings, each
from hostile.stores import TINY, contents, copy, differences, succeed

SHORT = (*TINY, "train.steps=4")
RUN = ("run", *SHORT, "seed=5")
SWEEP = ("sweep", *SHORT, "method=none,mixup", "seed=5,6")
STUDY = ("study", *events.STUDY, "device=cpu")
LONG = ("sweep", *TINY, "train.steps=40", "method=none,mixup", "seed=5")  # long enough to be stopped during training
TRAINING = {RUN: 1, (*RUN, "progress=on"): 1, SWEEP: 4, STUDY: 1}  # command -> number of its runs
READING = (
    (),
    ("--help",),
    ("run", "--help"),
    ("run", *SHORT, "--cfg", "job"),
    (*SWEEP, "--dry-run"),
    ("list", "methods"),
    ("status",),
    ("table",),
    ("plot",),
    ("report",),
    ("export",),
    ("import", "more.mixbench.zip"),
    ("clean",),
    ("clean", "--yes"),
    ("gallery", "dataset=digits", "method=cutmix"),
    ("run", "n=0"),
    ("-sc", "install=bash"),
)
GONE_AFTER = (0, 1, 20, 300)  # bytes
GONE, PIPE = 128 + signal.SIGPIPE, "a reader that ends"
SIGNALS = 40  # number of signals at random moments
PLACES = 400  # number of random cases from the 1,098 of places.py
FREE = (0, 4096, 32_768, 131_072, 262_144)  # free bytes on a full disk
DISK = 16 * 2**20
KINDS = ("lost", "differs", "left over", "traceback", "crash", "hang", "memory", "status")


@dataclass(frozen=True)
class Case:
    """A case.

    kind: name of a function of this module.
    told: description of the case.
    arguments: further arguments of the function.
    """

    kind: str
    told: str
    arguments: tuple[Any, ...]


def campaign(settings: Settings) -> Report:
    """Try all cases, or `count` random ones."""
    report = Report("pipes")
    events.prepare(settings.scratch)
    _prepare_signals(settings.scratch)
    disks = can_mount(settings.scratch)
    todo = cases(settings.seed, disks)
    order = random.Random(settings.seed)
    order.shuffle(todo)
    if settings.count is not None:
        todo = todo[: settings.count]
    if disks:
        for command in {case.arguments[0] for case in todo if case.kind == "full_disk"}:
            events.make_reference(settings.scratch, command)
    made = 0
    for findings in each(partial(_try, settings.scratch), todo, settings):
        if findings is not None:
            made += 1
            report.add(findings)
    report.figures = {"cases": made, "disks": "full and read-only" if disks else "skipped (mounting is not allowed)"}
    report.count_kinds(*KINDS)
    return report


def cases(seed: int, disks: bool) -> list[Case]:
    """Return all cases. disks: whether file systems can be mounted, for cases with full disks."""
    rng = random.Random(seed)
    commands = [*TRAINING, *READING]
    found = [
        Case("gone", f"{names} gone after {after} bytes", (words, which, after))
        for words in commands
        for which, names in (((1,), "stdout"), ((2,), "stderr"), ((1, 2), "both"))
        for after in (GONE_AFTER if words in TRAINING else GONE_AFTER[:3])
    ]
    found += [
        Case("closed", f"{names} closed", (words, which))
        for words in commands
        for which, names in (((0,), "stdin"), ((1,), "stdout"), ((2,), "stderr"), ((0, 1, 2), "all streams"))
    ]
    found += [
        Case("full_stream", f"{names} to /dev/full", (words, which))
        for words in commands
        for which, names in (((1,), "stdout"), ((2,), "stderr"), ((1, 2), "both"))
    ]
    found += [
        Case("encoding", f"PYTHONIOENCODING={encoding}", (words, encoding))
        for words in commands
        for encoding in ("ascii", "latin-1")
    ]
    for number in range(SIGNALS):
        which = rng.choice((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        streams = rng.choice(("kept", "kept", "stderr gone", "both closed"))
        twice = which == signal.SIGINT and rng.random() < 0.3
        told = f"{which.name}{' twice' * twice} at a random moment, {streams}"
        found.append(Case("signalled", told, (int(which), rng.random(), twice, streams, number)))
    odd = rng.sample(places.cases(), PLACES)
    found += [Case("place", f"{what} in place of {where}", (what, where, command)) for what, where, command in odd]
    found += [Case("shell", line, (line, runs)) for line, runs in SHELL]
    if disks:
        found += [
            Case("full_disk", f"a disk with {free:,} bytes left", (command, free))
            for command in events.COMMANDS
            for free in FREE
        ]
        found += [Case("read_only", "a read-only disk", (words,)) for words in (*commands, SWEEP)]
    return found


def _try(scratch: Path, case: Case) -> list[Finding]:
    return globals()[case.kind](scratch, case.told, *case.arguments)


# Streams


def gone(scratch: Path, told: str, words: tuple[str, ...], which: tuple[int, ...], after: int) -> list[Finding]:
    """The reader of the streams `which` reads `after` bytes and closes its end."""
    with _folder(scratch) as folder:
        reading, writing = os.pipe()
        child = start(words, folder, streams=dict.fromkeys(which, writing))
        os.close(writing)
        left = after
        while left > 0 and (read := os.read(reading, left)):
            left -= len(read)
        os.close(reading)
        return _output_lost(child.finish(), words, folder, told, (0, GONE))


def closed(scratch: Path, told: str, words: tuple[str, ...], which: tuple[int, ...]) -> list[Finding]:
    """The streams `which` are not open, as after >&-."""
    with _folder(scratch) as folder:
        ended = call(words, folder, streams=dict.fromkeys(which, CLOSED))
        return _output_lost(ended, words, folder, told, (0,))


def full_stream(scratch: Path, told: str, words: tuple[str, ...], which: tuple[int, ...]) -> list[Finding]:
    """Every write to the streams `which` fails, as on a full disk."""
    with _folder(scratch) as folder, open("/dev/full", "wb") as full:
        ended = call(words, folder, streams=dict.fromkeys(which, full))
        return _output_lost(ended, words, folder, told, (0, 1))


def encoding(scratch: Path, told: str, words: tuple[str, ...], name: str) -> list[Finding]:
    """The terminal cannot show λ, – or ±."""
    with _folder(scratch) as folder:
        ended = call(words, folder, environment={"PYTHONIOENCODING": name})
        return _output_lost(ended, words, folder, told, (0,))


def _output_lost(
    ended: Ended, words: tuple[str, ...], folder: Path, told: str, allowed: tuple[int, ...]
) -> list[Finding]:
    command = f"{ended.command} ({told})"
    if words == ("run", "n=0"):  # a user's mistake always has status 2
        allowed = (2, *allowed[1:])
    findings = judge(ended, "output", (0,) if words in TRAINING and 1 not in allowed else allowed, command)
    if words in TRAINING:
        findings += _all_trained(folder, TRAINING[words], command)
    return findings


def _all_trained(folder: Path, runs: int, command: str) -> list[Finding]:
    prepared = 4  # runs of the prepared store
    made = len(list(folder.glob("results/runs/*/metrics.json"))) - prepared
    failed = [path.parent.name for path in folder.glob("results/runs/*/failed.json")]
    if made < runs or failed:
        return [Finding("lost", "output", command, f"{made} of {runs} runs are finished; failed: {failed}")]
    return []


# The same with a shell and separate processes, to test that the fork hides nothing

SHELL = (
    (f"mixbench {' '.join(RUN)} progress=on 2>&1 | head -c 20", 1),
    (f"mixbench {' '.join(SWEEP)} | head -1", 4),
    (f"mixbench {' '.join(SWEEP)} >&- 2>&-", 4),
    (f"mixbench {' '.join(RUN)} > /dev/full", 1),
    ("mixbench list methods | head -c 20", 0),
    ("mixbench --help >&-", 0),
    ("mixbench status 2>&- < /dev/null", 0),
    ("PYTHONIOENCODING=ascii mixbench --help", 0),
)


def shell(scratch: Path, told: str, line: str, runs: int) -> list[Finding]:
    with _folder(scratch) as folder:
        script = f'mixbench() {{ "{sys.executable}" -m mixbench "$@"; }}\n{line}\nexit ${{PIPESTATUS[0]}}'
        script = f"unset PYTHONUNBUFFERED; {script}"
        began = time.monotonic()
        ended = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=300)
        findings = []
        if TRACEBACK in ended.stderr or "Exception ignored" in ended.stderr:
            findings.append(Finding("traceback", "output", line, ended.stderr[-3000:]))
        elif ended.returncode not in (0, *[1, GONE] * (runs == 0), *[1] * ("/dev/full" in line)):
            detail = f"exit status {ended.returncode} after {time.monotonic() - began:.0f} s"
            findings.append(Finding("status", "output", line, f"{ended.stderr[-500:]}\n{detail}"))
        return findings + (_all_trained(folder, runs, line) if runs else [])


# Signals


def _prepare_signals(scratch: Path) -> None:
    """Make the store that LONG leaves without a signal, and measure how long it takes."""
    folder = scratch / "undisturbed"
    folder.mkdir()
    began = time.monotonic()
    succeed(*LONG, folder=folder, limit=300)
    (scratch / "undisturbed.seconds").write_text(str(time.monotonic() - began))


def signalled(
    scratch: Path, told: str, number: int, moment: float, twice: bool, streams: str, case: int
) -> list[Finding]:
    """Send a signal after a share of the command's time (`moment`), then call the same command again."""
    seconds = float((scratch / "undisturbed.seconds").read_text())
    with tempfile.TemporaryDirectory(dir=scratch, prefix="signal-") as name:
        folder = Path(name)
        reading, writing = os.pipe()
        given = {"kept": {}, "stderr gone": {2: writing}, "both closed": {1: CLOSED, 2: CLOSED}}[streams]
        child = start(LONG, folder, streams=given, limit=300)
        os.close(writing)
        os.close(reading)
        _send(child, number, moment * seconds, twice)
        ended = child.finish()
        command = f"{ended.command} ({told})"
        findings = judge(ended, "output", (0, 130, 128 + number), command)
        if ended.status == 130 and not twice:
            findings += _checkpoint_left(folder, command)
        ended = call(LONG, folder, limit=300)
        findings += judge(ended, "output", (0,), f"{command}; then the same again")
        missing, more, other = differences(contents(scratch / "undisturbed"), contents(folder))
        kinds = (("lost", missing), ("left over", more), ("differs", other))
        return findings + [Finding(kind, "output", command, ", ".join(paths[:4])) for kind, paths in kinds if paths]


def _send(child: Child, number: int, after: float, twice: bool) -> None:
    if child.running(after):
        child.signal(number)
        if twice:
            child.running(0.05)
            child.signal(number)


def _checkpoint_left(folder: Path, command: str) -> list[Finding]:
    """Return findings on runs that were started but are neither finished nor have a checkpoint."""
    begun = [path.parent for path in folder.glob("results/runs/*/provenance.json")]
    without = [run.name for run in begun if not any((run / f).exists() for f in ("metrics.json", "checkpoint.pt"))]
    return [Finding("lost", "output", command, f"no checkpoint in {run}") for run in without]


# Places and disks


def place(scratch: Path, told: str, what: str, where: str, command: str) -> list[Finding]:
    with _folder(scratch) as folder:
        return places.check(folder, what, where, command)


def can_mount(scratch: Path) -> bool:
    probe = scratch / "probe"
    probe.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", probe], capture_output=True)
    return made.returncode == 0 and subprocess.run(["umount", probe], capture_output=True).returncode == 0


@contextlib.contextmanager
def _disk(scratch: Path, prepared: str) -> Iterator[Path]:
    """Mount a small file system with a copy of a prepared folder."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix="disk-") as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", name], check=True)
        try:
            yield copy(scratch / "prepared" / prepared, Path(name) / "folder")
        finally:
            subprocess.run(["umount", "-l", name], check=True)


def full_disk(scratch: Path, told: str, command: events.Command, free: int) -> list[Finding]:
    """Call a command on a full disk, then again with space: the result must be as if the disk was never full."""
    with _disk(scratch, command.prepared) as folder:
        filler = folder.parent / "filler"
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        os.truncate(filler, filler.stat().st_size // 4096 * 4096 - free)
        named = f"{command.name} ({told})"
        ended = events._call(command, folder)
        findings = judge(ended, "store", (0, 1, 2), named)
        filler.unlink()
        ended = events._call(command, folder)
        findings += judge(ended, "store", (0,), f"{named}; then the same again with space")
        findings += judge(call(("clean", "--yes"), folder), "store", (0,), f"{named}; the same again; clean --yes")
        wanted = events.reference(scratch, command)
        return findings + events._compared(wanted, contents(folder, loose=command.loose), named)


def read_only(scratch: Path, told: str, words: tuple[str, ...]) -> list[Finding]:
    with _disk(scratch, "littered" if words[:1] == ("clean",) else "runs") as folder:
        subprocess.run(["mount", "-o", "remount,ro", folder.parent], check=True)
        ended = call(words, folder)
        return judge(ended, "store", (0, 1, 2), f"{ended.command} ({told})")


@contextlib.contextmanager
def _folder(scratch: Path) -> Iterator[Path]:
    """Make a copy of the prepared store."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix="pipe-") as name:
        yield copy(scratch / "prepared" / "runs", Path(name) / "folder")
