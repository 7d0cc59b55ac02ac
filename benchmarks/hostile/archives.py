"""Damaged and malicious archives: of runs for `import`, and of images for `run dataset=npz`.

Each must be refused with exit status 1 or 2 and, for images, in one line, without much memory and without writing
anything outside of the results folder. The few correct archives must be accepted.
"""

import hashlib
import io
import json
import os
import random
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hostile.calls import Ended, call
from hostile.findings import Finding, Report, error_lines, judge
from hostile.lanes import Settings, each
from hostile.stores import TINY, succeed

MEMORY = 3 * 2**29  # most memory in addition to that at the start, 1.5 GB
BLOCK = 2**20  # bytes of zeros that a zip bomb repeats
BOMB = 11 * 2**30  # size of a zip bomb after unpacking, in bytes
KINDS = ("traceback", "crash", "hang", "memory", "status", "lines", "written")
RUN = ("run", *TINY[1:], "dataset=npz", "train.steps=2")
GARBLED = 40  # number of archives with random changed bytes


@dataclass(frozen=True)
class Case:
    """An archive and a command that reads it.

    name: description of the archive.
    make: makes the archive in a folder.
    words: words of the command.
    allowed: expected exit statuses.
    owner: part of the program to look at.
    memory: most bytes in addition to the memory at the start.
    """

    name: str
    make: Callable[[Path, Path], Any]
    words: tuple[str, ...]
    allowed: tuple[int, ...]
    owner: str
    memory: int = MEMORY


def campaign(settings: Settings) -> Report:
    """Try all archives, or `count` random ones."""
    report = Report("archives")
    prepared = settings.scratch / "prepared"
    prepared.mkdir()
    succeed("sweep", *TINY, "method=none", "seed=0,1", folder=prepared, limit=300)
    succeed("export", "out=runs.zip", folder=prepared)
    all_cases = cases()
    names = [case.name for case in all_cases]
    if settings.count is not None:
        names = random.Random(settings.seed).sample(names, min(settings.count, len(names)))
    else:
        names += [f"garbled {kind} {settings.seed + k}" for k in range(GARBLED) for kind in ("runs", "images")]
    made, peak = 0, 0
    for result in each(partial(_try, settings.scratch), names, settings):
        if result is not None:
            made += 1
            peak = max(peak, result[0])
            report.add(result[1])
    report.figures = {"archives": made, "most memory over the start, MB": round(peak / 2**20)}
    report.count_kinds(*KINDS)
    return report


def cases() -> list[Case]:
    """Return all cases except those with random changes."""
    return [*_of_runs(), *_of_images()]


def _case(name: str) -> Case:
    if name.startswith("garbled"):
        _, kind, seed = name.split()
        if kind == "runs":
            return Case(name, partial(_garbled, "runs.zip", int(seed)), ("import", "x.zip"), (0, 1, 2), "store")
        return Case(name, partial(_garbled_images, int(seed)), (*RUN, "dataset.path=x.npz"), (0, 2), "data")
    return next(case for case in cases() if case.name == name)


def _try(scratch: Path, name: str) -> tuple[int, list[Finding]]:
    case = _case(name)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="archive-") as made:
        outer = Path(made)
        folder = outer / "folder"
        folder.mkdir()
        case.make(folder, scratch / "prepared")
        before = _cheap(outer)
        ended = call(case.words, folder, memory=case.memory)
        findings = _check(case, ended)
        if not findings:
            after = _cheap(outer)
            inside = "folder/results" if ended.status != 2 else "\0"
            changed = [
                path
                for path in sorted(before.keys() | after.keys())
                if before.get(path) != after.get(path) and not path.startswith(inside)
            ]
            if changed:
                findings = [Finding("written", case.owner, _told(case), ", ".join(changed[:5]))]
        if not findings and case.words[0] == "import" and (folder / "results/runs").exists():
            ended = call(("table",), folder)
            findings = judge(ended, "store", (0, 1), f"{_told(case)}; then table")
        return ended.peak, findings


def _cheap(folder: Path) -> dict[str, Any]:
    """Return path -> a value that shows changes, without reading the files."""
    return {
        str(path.relative_to(folder)): "folder" if path.is_dir() and not path.is_symlink() else path.lstat().st_mtime_ns
        for path in folder.rglob("*")
    }


def _told(case: Case) -> str:
    return f"mixbench {case.words[0]} of an archive: {case.name}"


def _check(case: Case, ended: Ended) -> list[Finding]:
    found = judge(ended, case.owner, case.allowed, _told(case))
    if found:
        return found
    if ended.peak > case.memory:
        return [Finding("memory", case.owner, _told(case), f"{ended.peak / 2**20:.0f} MB over the start")]
    lines = error_lines(ended.err)
    if ended.status == 2 and len(lines) != 1:
        return [Finding("lines", case.owner, _told(case), f"{len(lines)} lines on stderr: {lines[:3]}")]
    return []


# Archives of runs


def _of_runs() -> list[Case]:
    def case(name: str, make: Callable, *allowed: int, words: Sequence[str] = ("import", "x.zip"), **more: Any) -> Case:
        return Case(f"runs: {name}", make, tuple(words), allowed, "store", **more)

    def edited(change: Callable, **zipping: Any) -> Callable:
        return partial(_edited, change, zipping)

    run = "{run}"  # replaced by the name of the first run in the archive
    found = [
        case("as exported", edited(lambda files, manifest: None), 0),
        case("none there", lambda folder, prepared: None, 2),
        case("a folder", lambda folder, prepared: (folder / "x.zip").mkdir(), 2),
        case("a FIFO", lambda folder, prepared: os.mkfifo(folder / "x.zip"), 1, 2),
        case("a dangling link", lambda folder, prepared: (folder / "x.zip").symlink_to("gone"), 2),
        case("a link to itself", lambda folder, prepared: (folder / "x.zip").symlink_to("x.zip"), 2),
        case("empty file", lambda folder, prepared: (folder / "x.zip").write_bytes(b""), 2),
        case("text", lambda folder, prepared: (folder / "x.zip").write_text("hello"), 2),
        case("/dev/zero", lambda folder, prepared: None, 2, words=("import", "/dev/zero")),
        case("half of it", partial(_cut, 0.5), 2),
        case("all but the last byte", partial(_cut, -1), 2),
        case("a byte before it", partial(_prefixed, b"x"), 0, 1, 2),
        case("no manifest", edited(lambda files, manifest: files.pop("manifest.json")), 2),
        case("another schema", edited(lambda files, manifest: manifest.update(schema=2)), 2),
        case("schema of a thousand digits", edited(lambda files, manifest: manifest.update(schema=10**1000)), 2),
        case("manifest of no runs", edited(lambda files, manifest: manifest.update(runs={})), 0, 1, 2),
        case("manifest with a list of runs", edited(lambda files, manifest: manifest.update(runs=[1])), 2),
        case("manifest that is a list", edited(_manifest_bytes(b"[]")), 2),
        case("manifest nested deep", edited(_manifest_bytes(b"[" * 10**6)), 2),
        case("manifest of bytes", edited(_manifest_bytes(bytes(range(256)))), 2),
        case("manifest without files", edited(_each_run(lambda files: files.clear())), 1),
        case("files that are no table", edited(lambda f, m: m["runs"].update({r: 3 for r in m["runs"]})), 1),
        case("sizes that are text", edited(_each_file(lambda facts: facts.update(bytes="many"))), 1),
        case("sizes that are negative", edited(_each_file(lambda facts: facts.update(bytes=-1))), 1),
        case("checksums that do not match", edited(_each_file(lambda facts: facts.update(sha256="0" * 64))), 1),
        case("checksums that are numbers", edited(_each_file(lambda facts: facts.update(sha256=5))), 1),
        case(
            "a file more than the manifest names", edited(lambda files, m: files.update({f"{run}/more.txt": b"x"})), 1
        ),
        case("a file of no run", edited(_honest("{run}/evil.sh", b"#!/bin/sh\n")), 1),
        case("a run that leads out", edited(_honest("../../evil/metrics.json", b"{}")), 1),
        case("a run of an absolute path", edited(_honest("/tmp/evil-run/metrics.json", b"{}")), 1),
        case("a file that leads out", edited(_honest("{run}/../../evil", b"{}")), 1),
        case("a run with a backslash", edited(_honest("..\\evil/metrics.json", b"{}")), 1),
        case("a run of control characters", edited(_honest("a\x1b[31m\nb/metrics.json", b"{}")), 1),
        case("a run of an enormous name", edited(_honest(f"{'x' * 5000}/metrics.json", b"{}")), 1),
        case("a run named as the locks", edited(_honest(".locks/metrics.json", b"{}")), 1),
        case("a run named as the incoming", edited(_honest(".incoming/metrics.json", b"{}")), 1),
        case("a run of another name", edited(_renamed), 1),
        case("metrics that are empty", edited(_honest("{run}/metrics.json", b"{}")), 1),
        case("metrics that are a number", edited(_honest("{run}/metrics.json", b"5")), 1),
        case("metrics nested deep", edited(_honest("{run}/metrics.json", b"[" * 10**5)), 1),
        case("metrics with a run's name that leads out", edited(_metrics(id="../../evil")), 1),
        case("metrics of another schema", edited(_metrics(schema=99)), 1),
        case("metrics with infinite accuracy", edited(_metrics(final_accuracy=float("inf"))), 1),
        case("metrics with an accuracy of 10^400", edited(_metrics(final_accuracy=10**400)), 1),
        case("no metrics", edited(_without("metrics.json")), 1),
        case("no history", edited(_without("history.csv")), 0, 1),
        case("a history of bytes", edited(_honest("{run}/history.csv", bytes(range(256)))), 0, 1),
        case("predictions of bytes", edited(_honest("{run}/predictions.npz", bytes(range(256)))), 0, 1),
        case("links", edited(lambda files, manifest: None, links=True), 1),
        case("a link to a file outside", edited(_honest("{run}/history.csv", b"/etc/passwd"), links=True), 1),
        case("every member twice", edited(lambda files, manifest: None, twice=True), 0, 1),
        case("encrypted", partial(_flagged, 1), 1, 2),
        case("an unknown compression", partial(_compression, 99), 1, 2),
        case("100,000 members", edited(lambda files, m: files.update({f"x/{k}": b"" for k in range(100_000)})), 1),
        case(
            "a run of 10,000 files",
            edited(_each_run(lambda files: files.update({f"f{k}": {} for k in range(10_000)}))),
            1,
        ),
        case("a bomb of a history", partial(_bomb_of_runs, "history.csv", 2**30), 1),
        case("a bomb of predictions", partial(_bomb_of_runs, "predictions.npz", 2**30), 1),
        case("a bomb of a manifest", partial(_bomb_of_runs, "manifest.json", 2**30), 2),
        case("a bomb of metrics below the limit", partial(_bomb_of_runs, "metrics.json", 2**26 - 1), 1),
    ]
    return found


def _edited(change: Callable, zipping: dict[str, Any], folder: Path, prepared: Path) -> None:
    """Pack the runs again after change(files, manifest). `{run}` in a member's name means the first run."""
    with zipfile.ZipFile(prepared / "runs.zip") as opened:
        files = {info.filename: opened.read(info) for info in opened.infolist()}
    manifest = json.loads(files["manifest.json"])
    run = next(iter(manifest["runs"]))
    change(files, manifest)
    if "manifest.json" in files and files["manifest.json"] is not None and not isinstance(manifest, bytes):
        files["manifest.json"] = manifest.pop("raw", None) or json.dumps(manifest).replace("{run}", run).encode()
    with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            info = zipfile.ZipInfo(name.replace("{run}", run))
            link = zipping.get("links") and name.endswith("history.csv")
            info.external_attr = (stat.S_IFLNK if link else stat.S_IFREG) << 16 | 0o644 << 16
            packed.writestr(info, content)
            if zipping.get("twice"):
                import warnings

                with warnings.catch_warnings(action="ignore"):
                    packed.writestr(info, content)


def _manifest_bytes(raw: bytes) -> Callable:
    return lambda files, manifest: manifest.update(raw=raw)


def _each_run(change: Callable) -> Callable:
    return lambda files, manifest: [change(of_run) for of_run in manifest["runs"].values()]


def _each_file(change: Callable) -> Callable:
    return _each_run(lambda of_run: [change(facts) for facts in of_run.values()])


def _honest(name: str, content: bytes) -> Callable:
    """Add or change a file together with its size and checksum in the manifest."""

    def change(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        run = next(iter(manifest["runs"]))
        path = name.replace("{run}", run)
        folder, _, file = path.rpartition("/")
        if folder.startswith(f"{run}/"):  # {run}/../..: a file of the run, by its name
            folder, file = run, path.removeprefix(f"{run}/")
        files[path] = content
        facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest["runs"].setdefault(folder, {})[file] = facts

    return change


def _metrics(**changed: Any) -> Callable:
    def change(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        run = next(iter(manifest["runs"]))
        metrics = json.loads(files[f"{run}/metrics.json"]) | changed
        _honest("{run}/metrics.json", json.dumps(metrics).encode())(files, manifest)

    return change


def _without(file: str) -> Callable:
    def change(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
        for run, named in manifest["runs"].items():
            files.pop(f"{run}/{file}", None)
            named.pop(file, None)

    return change


def _renamed(files: dict[str, bytes], manifest: dict[str, Any]) -> None:
    run = next(iter(manifest["runs"]))
    other = f"{run[:-10]}0123456789"
    for name in [name for name in files if name.startswith(f"{run}/")]:
        files[name.replace(run, other)] = files.pop(name)
    manifest["runs"][other] = manifest["runs"].pop(run)


def _cut(share: float, folder: Path, prepared: Path) -> None:
    whole = (prepared / "runs.zip").read_bytes()
    (folder / "x.zip").write_bytes(whole[: int(len(whole) * share) if share > 0 else int(share)])


def _prefixed(before: bytes, folder: Path, prepared: Path) -> None:
    (folder / "x.zip").write_bytes(before + (prepared / "runs.zip").read_bytes())


def _flagged(flag: int, folder: Path, prepared: Path) -> None:
    """Set a flag of every member, in both places of a zip file."""
    _patched(folder, prepared, {b"PK\x03\x04": 6, b"PK\x01\x02": 8}, flag)


def _compression(kind: int, folder: Path, prepared: Path) -> None:
    _patched(folder, prepared, {b"PK\x03\x04": 8, b"PK\x01\x02": 10}, kind)


def _patched(folder: Path, prepared: Path, places: dict[bytes, int], value: int) -> None:
    data = bytearray((prepared / "runs.zip").read_bytes())
    for mark, offset in places.items():
        at = data.find(mark)
        while at >= 0:
            struct.pack_into("<H", data, at + offset, value)
            at = data.find(mark, at + 4)
    (folder / "x.zip").write_bytes(data)


def _garbled(name: str, seed: int, folder: Path, prepared: Path) -> None:
    (folder / "x.zip").write_bytes(_garble((prepared / name).read_bytes(), seed))


def _garble(data: bytes, seed: int) -> bytes:
    rng = random.Random(seed)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 5, 50))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed[: rng.randrange(len(changed))] if rng.random() < 0.2 else changed)


def _bomb_of_runs(file: str, size: int, folder: Path, prepared: Path) -> None:
    """Make an archive with a member that unpacks to `size` bytes of zeros, as the manifest states."""
    content, checksum = zeros(size), hashlib.sha256()
    for _ in range(size // BLOCK):
        checksum.update(bytes(BLOCK))
    checksum.update(bytes(size % BLOCK))
    with zipfile.ZipFile(prepared / "runs.zip") as opened:
        files = {info.filename: opened.read(info) for info in opened.infolist()}
    manifest = json.loads(files["manifest.json"])
    run = next(iter(manifest["runs"]))
    name = file if file == "manifest.json" else f"{run}/{file}"
    if file != "manifest.json":
        manifest["runs"][run][file] = {"bytes": size, "sha256": checksum.hexdigest()}
    files.pop(name)
    packed = [(member, data, None) for member, data in files.items()]
    packed = [(m, json.dumps(manifest).encode() if m == "manifest.json" else d, s) for m, d, s in packed]
    write_zip(folder / "x.zip", [*packed, (name, content, (size, zeros_crc(b"", size)))])


# Archives of images


def _of_images() -> list[Case]:
    words = (*RUN, "dataset.path=x.npz")

    def case(name: str, make: Callable, *allowed: int, words: tuple[str, ...] = words, **more: Any) -> Case:
        return Case(f"images: {name}", make, words, allowed, "data", **more)

    def arrays(**changed: Any) -> Callable:
        return partial(_arrays, changed)

    uneven = np.empty(4, dtype=object)
    uneven[:] = [np.zeros((8 + k, 8), np.uint8) for k in range(4)]
    other = (*RUN, "dataset.path=elsewhere/x.npz")
    huge = (10**9, 32, 32, 3)
    return [
        case("sound", arrays(), 0),
        case("with an array more", arrays(more=np.arange(3)), 0),
        case("none there", lambda folder, prepared: None, 2),
        case("a folder", lambda folder, prepared: (folder / "x.npz").mkdir(), 2),
        case("a FIFO", lambda folder, prepared: os.mkfifo(folder / "x.npz"), 2),
        case("a dangling link", lambda folder, prepared: (folder / "x.npz").symlink_to("gone"), 2),
        case("a link to itself", lambda folder, prepared: (folder / "x.npz").symlink_to("x.npz"), 2),
        case("/dev/zero", lambda folder, prepared: None, 2, words=(*RUN, "dataset.path=/dev/zero", "dataset.name=z")),
        case("/proc/self/mem", lambda f, p: None, 2, words=(*RUN, "dataset.path=/proc/self/mem", "dataset.name=z")),
        case("below a file", lambda f, p: (f / "elsewhere").write_text(""), 2, words=other),
        case("empty file", lambda folder, prepared: (folder / "x.npz").write_bytes(b""), 2),
        case("text", lambda folder, prepared: (folder / "x.npz").write_text("hello"), 2),
        case("one array, .npy", lambda f, p: _npy(f / "x.npz", np.zeros((4, 8, 8), np.uint8)), 2),
        case("no members", lambda folder, prepared: write_zip(folder / "x.npz", []), 2),
        *[case(f"no {key}", arrays(**{key: None}), 2) for key in ("train_images", "train_labels")],
        *[case(f"no {key}", arrays(**{key: None}), 2) for key in ("test_images", "test_labels")],
        case("labels of text", arrays(train_labels=np.array(["a"] * 60)), 2),
        case("labels that are real", arrays(train_labels=np.arange(60) / 2), 2),
        case("labels that are complex", arrays(train_labels=np.arange(60) * 1j), 2),
        case("labels that are true or false", arrays(train_labels=np.arange(60) % 2 == 0), 0, 2),
        case("labels that are dates", arrays(train_labels=np.arange(60).astype("datetime64[s]")), 2),
        case("labels that are records", arrays(train_labels=np.zeros(60, [("a", "i4")])), 2),
        case("labels from 1", arrays(train_labels=1 + np.arange(60) % 3, test_labels=1 + np.arange(30) % 3), 0, 2),
        case("negative labels", arrays(train_labels=np.arange(60) % 3 - 1), 2),
        case("labels up to 2^63", arrays(train_labels=np.full(60, 2**63, np.uint64)), 2),
        case("labels up to 99,999", arrays(train_labels=np.arange(60) % 3 * 49_999), 0, 1, 2),
        case("a test label that training lacks", arrays(test_labels=np.full(30, 7)), 2),
        case("one class", arrays(train_labels=np.zeros(60, int), test_labels=np.zeros(30, int)), 0, 2),
        case("one-hot labels", arrays(train_labels=np.eye(60, dtype=int)), 2),
        case("fewer labels than images", arrays(train_labels=np.arange(59) % 3), 2),
        case("no images", arrays(train_images=np.zeros((0, 8, 8), np.uint8), train_labels=np.zeros(0, int)), 2),
        case("no test images", arrays(test_images=np.zeros((0, 8, 8), np.uint8), test_labels=np.zeros(0, int)), 2),
        case("images of no size", arrays(train_images=np.zeros((60, 0, 0), np.uint8)), 2),
        case("images of one pixel", arrays(train_images=np.zeros((60, 1, 1), np.uint8)), 2),
        case("flat images", arrays(train_images=np.zeros((60, 64), np.uint8)), 2),
        case("images of four channels", arrays(train_images=np.zeros((60, 8, 8, 4), np.uint8)), 2),
        case("images of channels first", arrays(train_images=np.zeros((60, 3, 8, 8), np.uint8)), 2),
        case("images of five axes", arrays(train_images=np.zeros((60, 1, 8, 8, 1), np.uint8)), 2),
        case("images that are real", arrays(train_images=np.zeros((60, 8, 8), np.float32)), 2),
        case("images that are int8", arrays(train_images=np.zeros((60, 8, 8), np.int8)), 2),
        case("images of big-endian uint16", arrays(train_images=np.zeros((60, 8, 8), ">u2")), 2),
        case("images in Fortran's order", arrays(train_images=np.asfortranarray(np.zeros((60, 8, 8), np.uint8))), 0),
        case("test images of another size", arrays(test_images=np.zeros((30, 9, 9), np.uint8)), 2),
        case("images of different sizes", arrays(train_images=uneven, train_labels=np.arange(4) % 3), 2),
        case("objects that run code", arrays(train_images=_Evil.array()), 2),
        case("a scalar", arrays(train_images=np.uint8(3)), 2),
        case("images black", arrays(train_images=np.zeros((60, 8, 8), np.uint8)), 0, 1),
        case("images narrow", arrays(**_sized(8, 500)), 0, 2),
        case("a header of more than there is", partial(_false_header, huge, b"\0" * 1000), 2),
        case("a header of 2^62 images", partial(_false_header, (2**62, 8, 8), b"\0" * 1000), 2),
        case("a header of negative images", partial(_false_header, (-5, 8, 8), b"\0" * 1000), 2),
        case("a header of one image less", partial(_false_header, (59, 8, 8), b"\0" * 60 * 64), 2),
        case("a header that is code", partial(_raw_header, b"__import__('os').system('touch evil')\n"), 2),
        case("a header of a megabyte", partial(_raw_header, b"{" + b" " * 60_000 + b"}\n"), 2),
        case("a header nested deep", partial(_raw_header, b"(" * 9000 + b")" * 9000 + b"\n"), 2),
        case("an array of an unknown version", partial(_member, b"\x93NUMPY\x09\x00"), 2),
        case("an array that is text", partial(_member, b"hello"), 2),
        case("an array that is empty", partial(_member, b""), 2),
        case("a bomb of 11 GB", partial(_bomb_of_images, (BOMB // 3072, 32, 32, 3), BOMB), 2),
        case("a bomb of labels", partial(_bomb_of_labels, BOMB // 8, BOMB), 2),
        case("a bomb below a small header", partial(_bomb_of_images, (60, 8, 8), BOMB), 0, 2),
        case("encrypted", partial(_npz_patched, {b"PK\x03\x04": 6, b"PK\x01\x02": 8}, 1), 2),
        case("an unknown compression", partial(_npz_patched, {b"PK\x03\x04": 8, b"PK\x01\x02": 10}, 99), 2),
        case("members that lead out", partial(_renamed_member, "../train_images.npy"), 2),
        case("half of it", _half, 2),
    ]


class _Evil:
    """An object that makes a folder named evil when it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("evil",))

    @staticmethod
    def array() -> np.ndarray:
        found = np.empty(60, dtype=object)
        found[:] = [_Evil() for _ in range(60)]
        return found


def _sound() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {}
    for part, count in (("train", 60), ("test", 30)):
        found[f"{part}_images"] = rng.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        found[f"{part}_labels"] = np.arange(count) % 3
    return found


def _sized(height: int, width: int) -> dict[str, np.ndarray]:
    return {f"{part}_images": np.zeros((n, height, width), np.uint8) for part, n in (("train", 60), ("test", 30))}


def _arrays(changed: dict[str, Any], folder: Path, prepared: Path) -> None:
    found = {key: value for key, value in (_sound() | changed).items() if value is not None}
    np.savez(folder / "x.npz", **found)


def _npy(path: Path, array: np.ndarray) -> None:
    with open(path, "wb") as file:
        np.save(file, array)


def _bytes(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _header(shape: tuple[int, ...], kind: str) -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    return _with_length(f"{text:<117}\n".encode())


def _with_length(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(header), 65535)) + header[:65535]


def _member(content: bytes, folder: Path, prepared: Path) -> None:
    """Make an archive that is correct except for the bytes of its training images."""
    others = {key: value for key, value in _sound().items() if key != "train_images"}
    members = [(f"{key}.npy", _bytes(value), None) for key, value in others.items()]
    write_zip(folder / "x.npz", [("train_images.npy", content, None), *members])


def _false_header(shape: tuple[int, ...], content: bytes, folder: Path, prepared: Path) -> None:
    _member(_header(shape, "|u1") + content, folder, prepared)


def _raw_header(header: bytes, folder: Path, prepared: Path) -> None:
    _member(_with_length(header) + b"\0" * 1000, folder, prepared)


def _renamed_member(name: str, folder: Path, prepared: Path) -> None:
    write_zip(folder / "x.npz", [(name, _bytes(_sound()["train_images"]), None)])


def _half(folder: Path, prepared: Path) -> None:
    _arrays({}, folder, prepared)
    data = (folder / "x.npz").read_bytes()
    (folder / "x.npz").write_bytes(data[: len(data) // 2])


def _garbled_images(seed: int, folder: Path, prepared: Path) -> None:
    _arrays({}, folder, prepared)
    (folder / "x.npz").write_bytes(_garble((folder / "x.npz").read_bytes(), seed))


def _npz_patched(places: dict[bytes, int], value: int, folder: Path, prepared: Path) -> None:
    _arrays({}, folder, prepared)
    shutil.move(folder / "x.npz", folder / "runs.zip")
    _patched(folder, folder, places, value)
    (folder / "x.zip").rename(folder / "x.npz")


def _bomb_of_images(shape: tuple[int, ...], size: int, folder: Path, prepared: Path) -> None:
    _bomb(folder, "train_images", _header(shape, "|u1"), size)


def _bomb_of_labels(count: int, size: int, folder: Path, prepared: Path) -> None:
    _bomb(folder, "train_labels", _header((count,), "<i8"), size)


def _bomb(folder: Path, key: str, header: bytes, size: int) -> None:
    others = [(f"{name}.npy", _bytes(value), None) for name, value in _sound().items() if name != key]
    size -= size % BLOCK
    facts = (len(header) + size, zeros_crc(header, size))
    write_zip(folder / "x.npz", [(f"{key}.npy", zeros(size, header), facts), *others])


# Zip files written directly, so that their content need not be made first


def zeros(size: int, before: bytes = b"") -> bytes:
    """Return `before` and `size` bytes of zeros, compressed, by repeating one compressed block."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    found = [packer.compress(before) + packer.flush(zlib.Z_FULL_FLUSH)]
    block = zlib.compressobj(9, zlib.DEFLATED, -15)
    found.append((block.compress(bytes(BLOCK)) + block.flush(zlib.Z_FULL_FLUSH)) * (size // BLOCK))
    last = zlib.compressobj(9, zlib.DEFLATED, -15)
    found.append(last.compress(bytes(size % BLOCK)) + last.flush(zlib.Z_FINISH))
    return b"".join(found)


def zeros_crc(before: bytes, size: int) -> int:
    """Return the CRC-32 of `before` and `size` bytes of zeros, by repeated squaring of the step for one zero bit."""
    value = zlib.crc32(before) ^ 0xFFFFFFFF
    step = [0xEDB88320, *(1 << k for k in range(31))]  # column k: the value of bit k after one zero bit
    bits = 8 * size
    while bits:
        if bits & 1:
            value = _times(step, value)
        step = [_times(step, column) for column in step]
        bits >>= 1
    return value ^ 0xFFFFFFFF


def _times(columns: Sequence[int], value: int) -> int:
    found = 0
    for k in range(32):
        if value >> k & 1:
            found ^= columns[k]
    return found


def write_zip(path: Path, members: Sequence[tuple[str, bytes, tuple[int, int] | None]]) -> None:
    """Write a zip file.

    path: its path.
    members: (name, content, None), or (name, compressed content, (size, CRC-32) after unpacking).
    """
    directory, body = [], io.BytesIO()
    for name, content, facts in members:
        data, (size, crc) = content, facts or (len(content), zlib.crc32(content))
        large = size >= 2**32
        extra = struct.pack("<HHQQ", 1, 16, size, len(data)) if large else b""
        sizes = (0xFFFFFFFF, 0xFFFFFFFF) if large else (len(data), size)
        common = struct.pack(
            "<HHHHHLLLHH", 45, 0, 8 if facts else 0, 0, 33, crc, *sizes, len(name.encode()), len(extra)
        )
        directory.append(
            b"PK\x01\x02" + struct.pack("<H", 45) + common + struct.pack("<HHHLL", 0, 0, 0, 0, body.tell())
            + name.encode() + extra
        )  # fmt: skip
        body.write(b"PK\x03\x04" + common + name.encode() + extra + data)
    start, listed = body.tell(), b"".join(directory)
    end = struct.pack("<HHHHLLH", 0, 0, len(members), len(members), len(listed), start, 0)
    path.write_bytes(body.getvalue() + listed + b"PK\x05\x06" + end)
