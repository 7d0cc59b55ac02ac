"""Random command lines: none may crash, hang or end in a traceback; a refused one prints one line and writes nothing.

The words come from grammar.py. Each line is called in a copy of a small folder with a store of two runs, an archive of
images, an archive of runs and a folder of own configurations. If a line fails, words are removed as long as it still
fails, so that the shortest line is reported.
"""

import random
import shlex
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from hostile.calls import Ended, call
from hostile.findings import Finding, Report, error_lines, judge
from hostile.grammar import line
from hostile.lanes import Settings, each
from hostile.stores import TINY, contents, copy, succeed

LINES = 1000
LONGEST = 2000  # most characters of an error's line: a value of 10,000 is cut, a list of all keys is not
SHRINKS = 40  # most calls to find the shortest line that fails
KINDS = ("traceback", "crash", "hang", "memory", "status", "lines", "control", "long", "written")


def campaign(settings: Settings) -> Report:
    """Call random command lines."""
    report = Report("fuzz")
    prepared = settings.scratch / "prepared"
    prepare(prepared)
    rng = random.Random(settings.seed)
    lines = [line(rng) for _ in range(settings.count or LINES)]
    refused = made = 0
    seen: dict[tuple, Finding] = {}
    for result in each(partial(_try, settings.scratch), lines, settings):
        if result is None:
            continue
        status, findings = result
        made += 1
        refused += status == 2
        report.add(findings)
    for finding in report.findings:
        if finding.signature not in seen and not settings.out_of_time:
            seen[finding.signature] = _shortest(settings.scratch, finding)
    report.findings = [_like(finding, seen) for finding in report.findings]
    report.figures = {"command lines": made, "refused": refused}
    report.count_kinds(*KINDS)
    return report


def prepare(folder: Path) -> None:
    """Make the folder of the command lines: a store, archives, configurations, and some unusual files."""
    folder.mkdir(parents=True)
    succeed("sweep", *TINY, "method=none,mixup", folder=folder, limit=300)
    succeed("export", folder=folder)
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 60), ("test", 30)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        arrays[f"{part}_labels"] = np.arange(count) % 3
    np.savez_compressed(folder / "my.npz", **arrays)
    for group in ("method", "study", "dataset"):
        (folder / "my_configs" / group).mkdir(parents=True)
    (folder / "my_configs/study/mine.yaml").write_text(
        "# @package _global_\n# mine\ndefaults:\n  - override /dataset: digits\ntrain:\n  steps: 2\nstudy:\n"
        "  name: mine\n  title: Mine\n  grids:\n    - method: [none]\n      n: [20]\n      seed: [0]\n"
    )
    (folder / "my_configs/study/scalar.yaml").write_text("5\n")
    (folder / "my_configs/study/binary.yaml").write_bytes(bytes(range(256)))
    (folder / "my_configs/study/none.yaml").write_text("# @package _global_\nstudy:\n  name: none\n  titel: x\n")
    (folder / "my_configs/method/broken.yaml").write_text("name: [\n")
    (folder / "my_configs/dataset/latin.yaml").write_bytes("name: é\n".encode("latin-1"))
    (folder / "file.txt").write_text("nothing\n")
    (folder / "empty").mkdir()
    (folder / "two words.npz").write_bytes((folder / "my.npz").read_bytes())


def _try(scratch: Path, words: tuple[str, ...]) -> tuple[int, list[Finding]]:
    with tempfile.TemporaryDirectory(dir=scratch, prefix="line-") as name:
        folder = copy(scratch / "prepared", Path(name) / "folder")
        before = contents(folder)
        ended = call(words, folder)
        return ended.status, check(ended, before, folder)


def check(ended: Ended, before: dict[str, str], folder: Path) -> list[Finding]:
    """Return what is wrong with a command line.

    ended: its end.
    before: contents of the folder before it.
    folder: the folder.
    """
    found = judge(ended, "input")
    if found:
        return found
    findings = []
    told = [("lines", f"{len(lines)} lines on stderr: {lines[:3]}")] if (lines := _too_many(ended)) else []
    shown = ended.err + ended.out
    if any(not c.isprintable() and c not in "\n\t\r" for c in shown):
        odd = next(repr(c) for c in shown if not c.isprintable() and c not in "\n\t\r")
        told.append(("control", f"{odd} is printed unescaped"))
    if ended.status == 2 and any(len(text) > LONGEST for text in error_lines(ended.err)):
        told.append(("long", f"a line of {max(map(len, error_lines(ended.err)))} characters"))
    if ended.status == 2 and (after := contents(folder)) != before:
        changed = sorted({path for path in before.keys() | after.keys() if before.get(path) != after.get(path)})
        told.append(("written", ", ".join(changed[:5])))
    findings += [Finding(kind, "input", ended.command, detail) for kind, detail in told]
    return findings


def _too_many(ended: Ended) -> list[str]:
    """Return the lines of stderr if a refusal does not have exactly one; help on stdout is allowed too."""
    lines = error_lines(ended.err)
    if ended.status != 2 or len(lines) == 1 or (not lines and ended.out.strip()):
        return []
    return lines or ["(none)"]


def _shortest(scratch: Path, finding: Finding) -> Finding:
    """Return the same finding with as few words as possible."""
    words, calls, best, place = tuple(shlex.split(finding.command)[1:]), 0, finding, 0
    if finding.kind == "hang":
        return finding
    while place < len(words) and calls < SHRINKS:
        fewer = words[:place] + words[place + 1 :]
        _, found = _try(scratch, fewer)
        calls += 1
        same = [one for one in found if one.signature == finding.signature]
        if same:
            words, best = fewer, same[0]
        else:
            place += 1
    return best


def _like(finding: Finding, seen: dict[tuple, Finding]) -> Finding:
    """Return the finding with the shortest command for the first of each signature; the others are unchanged."""
    first = seen.pop(finding.signature, None)
    return first or finding
