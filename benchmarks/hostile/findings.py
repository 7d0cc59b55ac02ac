"""What a campaign found wrong, its figures, and how both are printed, stored and shown in the documentation."""

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
TOLD = 25  # findings that are printed
# The part of the program that a traceback's last frame lies in -> whose it is; the first that fits.
OWNERS = (
    ("pictures", r"mixbench/(charts|report|gallery|plot|sample)"),
    ("store", r"mixbench/(store|files|locks|merge|archive|cleanup|status|record|checkpoint)"),
    ("data", r"mixbench/data"),
    ("output", r"mixbench/(cli|progress|train|run|sweep)"),
    ("input", r"mixbench/"),
)


@dataclass(frozen=True)
class Finding:
    """Something wrong. kind: traceback, crash, hang, memory, status, lines, written, lost, differs or left over.

    owner: the part of the program that should look at it. command: what shows it. detail: what was seen.
    """

    kind: str
    owner: str
    command: str
    detail: str

    @property
    def signature(self) -> tuple[str, str]:
        """Equal for findings that look like one bug."""
        return self.kind, re.sub(r"\d+", "0", self.detail.strip().splitlines()[-1] if self.detail.strip() else "")[:80]


@dataclass
class Report:
    """A campaign's figures, in the order in which they are shown, and its findings."""

    campaign: str
    figures: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        self.findings += findings

    def count_kinds(self, *kinds: str) -> None:
        """Put the number of findings of each kind among the figures; those of other kinds are `other`."""
        found = Counter(finding.kind for finding in self.findings)
        self.figures |= {kind: found.pop(kind, 0) for kind in kinds}
        self.figures["other"] = found.total()

    def line(self) -> str:
        return f"{self.campaign}: " + ", ".join(f"{name} {_shown(value)}" for name, value in self.figures.items())

    def details(self) -> list[str]:
        """One of each signature, grouped by owner."""
        first: dict[tuple, Finding] = {}
        for finding in self.findings:
            first.setdefault((finding.owner, *finding.signature), finding)
        counts = Counter((finding.owner, *finding.signature) for finding in self.findings)
        lines = []
        for key in sorted(first)[:TOLD]:
            one = first[key]
            last = one.detail.strip().splitlines()[-1:] or [""]
            lines += [f"  [{one.owner}] {one.kind} ({counts[key]}): {_cut(one.command)}", f"      {_cut(last[0])}"]
        return [*lines, f"  and {len(first) - TOLD} more"] if len(first) > TOLD else lines

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
    """What is wrong with any call, whatever was asked: a hang, a crash, a traceback, an unknown exit status."""
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
    """Whose code the innermost frame of a stack lies in that is mixbench's."""
    frames = re.findall(r'File "([^"]*/mixbench/[^"]*)"', stack)
    if not frames:
        return default
    # faulthandler prints the innermost frame first, a traceback last
    frame = frames[0] if "most recent call first" in stack else frames[-1]
    if default in ("output", "store"):  # the campaign knows better than the frame what was wrong
        return default
    return next((owner for owner, pattern in OWNERS if re.search(pattern, frame)), default)


def error_lines(err: str) -> list[str]:
    """The lines of stderr that are no warnings; Python's own warnings quote the line of code below."""
    lines, quoted = [], False
    for line in err.splitlines():
        if WARNING.match(line):
            quoted = "Warning: " in line
        elif not (quoted and line.startswith("  ")):
            lines.append(line)
            quoted = False
    return lines


def table(stored: Sequence[dict[str, Any]]) -> str:
    """The figures of campaigns as a Markdown table, for the documentation."""
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
