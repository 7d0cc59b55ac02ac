"""The commands that look after stored runs: clean, export and import. Each imports what it needs, no more."""

import contextlib
import sys
from pathlib import Path

from mixbench.cli.commands.shared import (
    nothing_stored,
    say,
    select_runs,
    source_of,
    wants_help,
    warn,
)
from mixbench.cli.help import CLEAN_HELP, EXPORT_HELP, IMPORT_HELP
from mixbench.core.errors import UserError, printable


def clean(words: list[str]) -> int:
    """mixbench clean: drop what is not finished."""
    if wants_help(words):
        print(CLEAN_HELP, end="")
        return 0
    from mixbench.cli.words import read_selection
    from mixbench.core import memory
    from mixbench.runs.store.cleanup import drop_all, to_drop
    from mixbench.runs.store.store import Store

    name, filters, options = read_selection([word for word in words if word != "--yes"])
    if name is not None or filters:
        raise UserError(f"{name or filters[0]}: clean takes results_dir=FOLDER and --yes alone")
    results = Store(options.results_dir)
    results.repair()
    drops = to_drop(results)
    if not drops:
        print(f"{results.runs}/: nothing to drop")
        return 0
    for drop in drops:
        print(printable(f"{drop.path}  ({drop.why}, {memory.size(drop.bytes)})"))
    if "--yes" not in words and not _agreed(len(drops)):
        return 0
    dropped = drop_all(results, drops)
    print(f"dropped {dropped.count}")
    if dropped.refused:
        drop, error = dropped.refused[0]
        more = f", nor can {len(dropped.refused) - 1} more" if len(dropped.refused) > 1 else ""
        print(printable(f"mixbench: {drop.path}: cannot be dropped ({error.strerror}){more}"), file=sys.stderr)
    return 1 if dropped.refused else 0


def export(words: list[str]) -> int:
    """mixbench export: finished runs in one file."""
    if wants_help(words):
        print(EXPORT_HELP, end="")
        return 0
    from mixbench.cli.words import archive_name, read_export
    from mixbench.core import memory
    from mixbench.runs.store import archive

    words, out, files = read_export(words)
    chosen = select_runs(words)
    path = Path(out or archive_name(chosen))
    packed = archive.pack(chosen.frame["folder"], path, files)
    chosen.problems += packed.left_out
    if packed.runs:
        runs = "run" if packed.runs == 1 else "runs"
        print(f"{path}: {packed.runs} {runs} from {source_of(chosen)}, {memory.size(path.stat().st_size)}")
    warn(chosen)
    return 0 if packed.runs else nothing_stored(chosen)


def import_command(words: list[str]) -> int:
    """mixbench import: the runs of such files into the store."""
    if wants_help(words) or not words:
        print(IMPORT_HELP, end="")
        return 0 if words else 2
    from mixbench.cli.flags import read
    from mixbench.cli.words import read_import
    from mixbench.runs.store.importing import import_runs

    paths, results_dir = read_import(read(words, known=("--help", "-h")).overrides)
    status = 0
    for imported in import_runs(paths, results_dir, say):
        for note in imported.notes:
            print(note)
        counts = ", ".join(f"{count} {what}" for what, count in imported.counts.items())
        print(f"{imported.path}: {counts or 'no runs'}; {Path(results_dir) / 'runs'}/")
        for problem in imported.problems:
            print(printable(f"{imported.path}: {problem}"), file=sys.stderr)
            status = 1
    return status


def _agreed(count: int) -> bool:
    """The user's answer; without a terminal there is none. Says that nothing is dropped."""
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        print("nothing dropped; mixbench clean --yes drops these")
        return False
    with contextlib.suppress(EOFError):
        if input(f"drop these {count}? [y/N] ").strip().lower() in ("y", "yes"):
            return True
    print("nothing dropped")
    return False
