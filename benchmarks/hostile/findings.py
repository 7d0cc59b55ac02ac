"""The findings and figures of a campaign, and how they are printed, stored and shown in the documentation."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hostile.calls import Ended

TRACEBACK = "Traceback (most recent call last)"
WARNING = re.compile(r"^(warning: |.*: \w*Warning: )")
PRINTED = 25  # most findings that are printed
# Part of the program -> pattern of the path of a traceback's last frame; the first match counts.
OWNERS = (
    ("pictures", r"mixbench/(charts|report|gallery|plot|sample)"),
    ("store", r"mixbench/(store|files|locks|merge|archive|cleanup|status|record|checkpoint)"),
    ("data", r"mixbench/data"),
    ("output", r"mixbench/(cli|progress|train|run|sweep)"),
    ("input", r"mixbench/"),
)


@dataclass(frozen=True)
class Finding:
    """Something that was wrong.

    kind: traceback, crash, hang, memory, status, lines, written, lost, differs or left over.
    owner: the part of the program to look at.
    command: command that shows it.
    detail: what was seen.
    """

    kind: str
    owner: str
    command: str
    detail: str

    @property
    def signature(self) -> tuple[str, str]:
        """A key that is the same for findings that look like one bug."""
        return self.kind, re.sub(r"\d+", "0", self.detail.strip().splitlines()[-1] if self.detail.strip() else "")[:80]


@dataclass
class Report:
    """The result of a campaign.

    campaign: its name.
    figures: name -> figure, in the order in which they are shown.
    findings: everything that was wrong.
    """

    campaign: str
    figures: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        self.findings += findings

    def count_kinds(self, *kinds: str) -> None:
        """Add the number of findings of each kind to the figures; those of other kinds count as `other`."""
        found = Counter(finding.kind for finding in self.findings)
        self.figures |= {kind: found.pop(kind, 0) for kind in kinds}
        self.figures["other"] = found.total()

    def line(self) -> str:
        return f"{self.campaign}: " + ", ".join(f"{name} {_shown(value)}" for name, value in self.figures.items())

    def details(self) -> list[str]:
        """Return lines on one finding of each signature, grouped by owner."""
        first: dict[tuple, Finding] = {}
        for finding in self.findings:
            first.setdefault((finding.owner, *finding.signature), finding)
        counts = Counter((finding.owner, *finding.signature) for finding in self.findings)
        lines = []
        for key in sorted(first)[:PRINTED]:
            one = first[key]
            last = one.detail.strip().splitlines()[-1:] or [""]
            lines += [f"  [{one.owner}] {one.kind} ({counts[key]}): {_cut(one.command)}", f"      {_cut(last[0])}"]
        return [*lines, f"  and {len(first) - PRINTED} more"] if len(first) > PRINTED else lines

    def write(self, folder: Path, about: dict[str, Any]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.campaign}.json"
        stored = {"campaign": self.campaign, **about, "figures": self.figures}
        stored["findings"] = [asdict(finding) for finding in self.findings]
        path.write_text(json.dumps(stored, indent=1) + "\n")
        return path


def judge(
    ended: Ended, owner: str, allowed: Sequence[int] = (0, 1, 2, 130), command: str | None = None
) -> list[Finding]:
    """Return what is wrong with a call of any command: a hang, a crash, a traceback, or an unexpected exit status.

    ended: the end of the call.
    owner: part of the program to look at, if the stack does not show it.
    allowed: expected exit statuses.
    command: text for the findings; None: the command itself.
    """
    command = command or ended.command
    told = f"{ended.out[-2000:]}\n{ended.err[-4000:]}"
    if ended.hung:
        return [Finding("hang", owner_of(ended.stack, owner), command, f"{ended.stack}\n{ended.seconds:.0f} s")]
    if ended.greedy:
        detail = f"{ended.stack}\n{ended.peak / 2**20:.0f} MB"
        return [Finding("memory", owner_of(ended.stack, owner), command, detail)]
    if TRACEBACK in ended.err or TRACEBACK in ended.out or "Exception ignored" in ended.err:
        return [Finding("traceback", owner_of(told, owner), command, told.strip())]
    if ended.status not in allowed:
        if ended.status > 128:
            return [
                Finding("crash", owner_of(ended.stack, owner), command, f"{ended.stack}\nsignal {ended.status - 128}")
            ]
        return [Finding("status", owner, command, f"{ended.err.strip()[-500:]}\nexit status {ended.status}")]
    return []


def owner_of(stack: str, default: str) -> str:
    """Return the part of mixbench that has the innermost frame of a stack; default if there is none."""
    frames = re.findall(r'File "([^"]*/mixbench/[^"]*)"', stack)
    if not frames:
        return default
    # faulthandler prints the innermost frame first, a traceback last
    frame = frames[0] if "most recent call first" in stack else frames[-1]
    if default in ("output", "store"):  # here the campaign knows the part better than the stack
        return default
    return next((owner for owner, pattern in OWNERS if re.search(pattern, frame)), default)


def error_lines(err: str) -> list[str]:
    """Return the lines of stderr that are not warnings. Python's warnings are followed by a line of code."""
    lines, quoted = [], False
    for line in err.splitlines():
        if WARNING.match(line):
            quoted = "Warning: " in line
        elif not (quoted and line.startswith("  ")):
            lines.append(line)
            quoted = False
    return lines


def table(stored: Sequence[dict[str, Any]]) -> str:
    """Return the figures of campaigns as a Markdown table for the documentation."""
    rows = ["| campaign | figures | machine |", "|---|---|---|"]
    for one in stored:
        figures = ", ".join(f"{name} {_shown(value)}" for name, value in one["figures"].items())
        rows.append(f"| {one['campaign']} (seed {one['seed']}) | {figures} | {one['cpu']}, {one['date']} |")
    return "\n".join(rows)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _cut(text: str) -> str:
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= 300 else f"{text[:200]} … {text[-80:]}"
