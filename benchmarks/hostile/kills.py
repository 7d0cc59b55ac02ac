"""Kills eight processes that work on one store at random; the result is compared with an undisturbed sweep.

Six processes sweep, two do other things: tables, exports, imports, clean. Each runs for a random time and is then
killed, mostly by SIGKILL, sometimes by SIGTERM or Ctrl-C, after which it must write a checkpoint and end with exit
status 130. A new process replaces it until all kills are used. A last undisturbed sweep then finishes the work.
"""

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hostile.calls import Child, Ended, main, start
from hostile.findings import Finding, Report, judge
from hostile.lanes import Settings
from hostile.stores import TINY, contents, differences, succeed

KILLS = 600
PROCESSES, SWEEPING = 8, 6
LIVES = (0.2, 15.0)  # seconds, log-uniform
ASKED = 0.1  # share of the kills by SIGTERM, and the same by SIGINT, instead of SIGKILL
OBEYS = 30.0  # seconds within which a process must end after SIGTERM or SIGINT
STEPS = "train.steps=40"  # long enough to be killed during training
SWEEP = ("sweep", *TINY, STEPS, "method=none,label-mix,cutmix,manifold", "n=20,50", "seed=0,1,2")
OTHERS = (
    ("table",),
    ("status",),
    ("clean", "--yes"),
    ("export", "out=guest.mixbench.zip"),
    ("import", "some.mixbench.zip"),
    ("plot",),
)
ENDS = {"sweep": (0, 130), "import": (0, 1, 130)}  # 1: an import reports runs that were trained in the meantime
FINISHED = "finished.log"
KINDS = ("lost", "differs", "left over", "traceback", "crash", "hang", "status")


@dataclass
class Life:
    """A process that will be killed.

    child: the process.
    until: time of the kill.
    by: number of the signal.
    asked: time at which it got SIGTERM or SIGINT; None: it did not.
    """

    child: Child
    until: float
    by: int
    asked: float | None = None


def campaign(settings: Settings) -> Report:
    """Kill processes until `count` kills are used."""
    wanted, rng = settings.count or KILLS, random.Random(settings.seed)
    report, kills, rounds, twice, clutter = Report("kills"), Counter(), 0, 0, 0
    reference = settings.scratch / "reference"
    reference.mkdir(parents=True)
    succeed(*SWEEP, folder=reference, limit=600)
    runs = {path.name: contents(path) for path in (reference / "results/runs").iterdir() if _is_run(path)}
    succeed("export", "method=none", "n=20", "out=some.mixbench.zip", folder=reference)
    begun = time.monotonic()
    while kills.total() < wanted and not settings.out_of_time:
        folder = settings.scratch / "store"
        folder.mkdir()
        shutil.copy(reference / "some.mixbench.zip", folder)
        report.add(_round(folder, kills, wanted, rng, settings))
        found, trained_twice, left = _finish(folder, runs)
        report.add(found)
        rounds, twice, clutter = rounds + 1, twice + trained_twice, clutter + left
        shutil.rmtree(folder)
    report.figures = {"kills": kills.total(), "by SIGTERM or SIGINT": kills.total() - kills[signal.SIGKILL]}
    report.figures |= {"runs": rounds * len(runs), "trained twice": twice, "files before clean": clutter}
    report.count_kinds(*KINDS)
    report.figures["seconds"] = round(time.monotonic() - begun)
    return report


def _is_run(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _round(folder: Path, kills: Counter, wanted: int, rng: random.Random, settings: Settings) -> list[Finding]:
    """Start and kill processes until the sweep is finished or all kills are used."""
    lives: list[Life | None] = [None] * PROCESSES
    findings: list[Finding] = []
    done = False
    while not done and kills.total() < wanted and not settings.out_of_time:
        for place, life in enumerate(lives):
            if life is None:
                lives[place] = _born(folder, place, rng)
                continue
            ended = _look(life, kills)
            if ended is not None:
                lives[place] = None
                findings += _judged(life, ended)
                done |= ended.words[0] == "sweep" and ended.status == 0
        time.sleep(0.005)
    for life in lives:
        if life is not None:
            life.child.signal(signal.SIGKILL)
            life.child.reap()
    return findings


def _born(folder: Path, place: int, rng: random.Random) -> Life:
    words = SWEEP if place < SWEEPING else rng.choice(OTHERS)
    low, high = LIVES
    seconds = low * (high / low) ** rng.random()
    by = rng.choices((signal.SIGKILL, signal.SIGTERM, signal.SIGINT), (1 - 2 * ASKED, ASKED, ASKED))[0]
    child = start(words, folder, program=_counting, limit=600)
    return Life(child, time.monotonic() + seconds, by)


def _look(life: Life, kills: Counter) -> Ended | None:
    """Send the signal when it is due. Returns the end of the process, or None if it is still running."""
    now = time.monotonic()
    if not life.child.running():
        return life.child.reap()
    if life.asked is not None and now > life.asked + OBEYS:
        life.child.signal(signal.SIGABRT)
        life.child.running(2)
        life.child.signal(signal.SIGKILL)
        return life.child.reap(hung=True)
    if life.asked is None and now > life.until:
        kills[life.by] += 1
        life.child.signal(life.by)
        if life.by == signal.SIGKILL:
            return life.child.reap()
        life.asked = now
    return None


def _judged(life: Life, ended: Ended) -> list[Finding]:
    allowed = set(ENDS.get(ended.words[0], (0, 1, 130)))
    if life.until <= time.monotonic() and life.by == signal.SIGKILL:
        allowed.add(128 + signal.SIGKILL)
    if life.asked is not None and life.by == signal.SIGTERM:
        allowed.add(128 + signal.SIGTERM)  # it came before or after mixbench handles the signal
    owner = "output" if life.asked is not None else "store"
    how = f"{' '.join(ended.words[:1])} among {PROCESSES} processes, {signal.Signals(life.by).name} after its time"
    return judge(ended, owner, tuple(allowed), how)


def _counting(words: Sequence[str]) -> int:
    """In the child: run the command, and write a line to a file for each run that it finishes."""
    if words[0] == "sweep":
        for name in ("replace", "rename"):
            setattr(os, name, partial(_moved, getattr(os, name), Path.cwd() / FINISHED))
    return main(words)


def _moved(real, log: Path, source, target, **options) -> None:
    real(source, target, **options)
    if Path(target).name == "metrics.json":
        with open(log, "a") as file:
            file.write(f"{Path(target).parent.name}\n")


def _finish(folder: Path, wanted: dict[str, dict[str, str]]) -> tuple[list[Finding], int, int]:
    """Run the last sweep and compare.

    Returns the findings, the number of runs that were trained twice, and the number of files that clean deleted.
    """
    told = "the sweep that finishes what the kills left"
    child = start(SWEEP, folder, program=_counting, limit=600)
    findings = judge(child.finish(), "store", (0,), told)
    runs = folder / "results/runs"
    clutter = sum(len(differences(files, contents(runs / name))[1]) for name, files in wanted.items())
    clutter += sum(path.name not in wanted and path.name not in (".locks", "schema.json") for path in runs.iterdir())
    child = start(("clean", "--yes"), folder)
    findings += judge(child.finish(), "store", (0,), f"clean --yes after {told}")
    for name, files in wanted.items():
        missing, more, other = differences(files, contents(runs / name))
        kinds = (("lost", missing), ("left over", more), ("differs", other))
        findings += [Finding(kind, "store", told, f"{name}: {', '.join(paths)}") for kind, paths in kinds if paths]
    strange = [path.name for path in runs.iterdir() if path.name not in {*wanted, ".locks", "schema.json"}]
    findings += [Finding("left over", "store", told, name) for name in strange]
    log = folder / FINISHED
    trained = Counter(log.read_text().split()) if log.exists() else Counter()
    return findings, sum(count - 1 for count in trained.values()), clutter
