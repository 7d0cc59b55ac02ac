"""Wrong files in the store: each must be reported, and none may stop the other runs."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from hostile.calls import call
from hostile.findings import Finding, judge
from hostile.stores import TINY

LIMIT = 30  # seconds after which a call counts as hanging; these calls take one or two
# {run} is the folder of a finished run, {open} that of a run with a checkpoint, {new} that of a run of SWEEP.
STORE = ("results", "results/runs", "results/runs/schema.json", "results/runs/.locks", "results/selection")
OF_RUN = (
    "{run}",
    "{run}/metrics.json",
    "{run}/history.csv",
    "{run}/predictions.npz",
    "{run}/provenance.json",
    "{run}/config.yaml",
    "{new}",
    "results/runs/.locks/{newid}",
    "{open}/checkpoint.pt",
    "{open}/history.csv",
    "{open}/provenance.json",
    "{open}/failed.json",
    "{open}/.history.csv.999999",
    "results/runs/.incoming",
    "results/runs/.schema.json.999999",
)
COMMANDS = ("sweep", "table", "status", "report", "export", "clean")
SWEEP = ("sweep", *TINY, "train.steps=8", "method=none", "seed=0,21,22")


def _replace(fill: Callable[[Path], object]) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        fill(path)

    return put


def _torch(value: object) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        import torch

        torch.save(value, path)

    return save


def _other_shapes(path: Path) -> None:
    import torch

    state = {"model": {"stem.weight": torch.zeros(3)}, "optimizer": {}, "progress": {"step": 3}}
    torch.save(state, path)


KINDS = {
    "a file": _replace(lambda path: path.write_text("something\n")),
    "an empty file": _replace(lambda path: path.write_bytes(b"")),
    "bytes": _replace(lambda path: path.write_bytes(bytes(range(256)) * 9)),
    "a folder": _replace(lambda path: (path / "inner").mkdir(parents=True)),
    "a FIFO": _replace(os.mkfifo),
    "a dangling link": _replace(lambda path: path.symlink_to("gone")),
    "a link to itself": _replace(lambda path: path.symlink_to(path.name)),
    "a link to /dev/zero": _replace(lambda path: path.symlink_to("/dev/zero")),
    "half a JSON": _replace(lambda path: path.write_text('{"schema": 1, ')),
    "a JSON list": _replace(lambda path: path.write_text("[1, 2]")),
    "a deep JSON": _replace(lambda path: path.write_text("[" * 100_000)),
    "a JSON of 60 MB": _replace(lambda path: path.write_text(json.dumps({"x": "y" * 60_000_000}))),
    "an empty checkpoint": _replace(_torch({})),
    "a checkpoint that is a list": _replace(_torch([1, 2])),
    "a checkpoint of other shapes": _replace(_other_shapes),
}
ANYWHERE = tuple(KINDS)[:8]


def cases() -> list[tuple[str, str, str]]:
    """Return (kind of file, path, command) for each case."""
    found = []
    for where in (*STORE, *OF_RUN):
        kinds = list(ANYWHERE)
        if where.endswith(".json"):
            kinds += [kind for kind in KINDS if "JSON" in kind]
        if where.endswith(".pt"):
            kinds += [kind for kind in KINDS if "checkpoint" in kind]
        found += [(kind, where, command) for kind in kinds for command in COMMANDS]
    return found


def check(folder: Path, what: str, where: str, command: str) -> list[Finding]:
    """Replace a file by another kind of file and call a command.

    folder: a copy of the prepared store.
    what: kind of the new file, a key of KINDS.
    where: path to replace.
    command: the command.
    """
    runs = folder / "results/runs"
    finished = next(path for path in sorted(runs.glob("digits-*-none-s0-*")))
    names = _names(folder)
    opened = runs / names[0]
    opened.mkdir()
    shutil.copy(finished / "provenance.json", opened)
    shutil.copy(finished / "history.csv", opened)
    _torch({})(opened / "checkpoint.pt")
    path = where.format(run=finished, new=runs / names[1], open=opened, newid=names[1])
    KINDS[what](folder / path)
    words = SWEEP if command == "sweep" else (command, "--yes") if command == "clean" else (command,)
    ended = call(words, folder, limit=LIMIT)
    told = f"{ended.command} ({what} in place of {where})"
    findings = judge(ended, "store", (0, 1, 2), told)
    if command == "sweep" and not findings and where in OF_RUN:
        findings += _others_trained(runs, names, ended.status, told)
    return findings


def _names(folder: Path) -> list[str]:
    """Return the ids of the sweep's runs with seeds 21 and 22."""
    from mixbench.config.compose import Composer
    from mixbench.config.identity import job

    words = [word for word in SWEEP[1:] if not word.startswith("seed=")]
    with Composer() as composer:
        return [job(composer.compose([*words, f"seed={seed}"])).id for seed in (21, 22)]


def _others_trained(runs: Path, names: list[str], status: int, told: str) -> list[Finding]:
    """Return a finding if other runs than the damaged one are missing, or if the exit status does not show it."""
    trained = [name for name in names if _is_file(runs / name / "metrics.json")]
    if status == 2 or len(trained) < len(names) - 1 or (status == 0 and len(trained) < len(names)):
        detail = f"exit status {status}, {len(trained)} of {len(names)} runs are finished"
        return [Finding("lost", "store", told, detail)]
    return []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
