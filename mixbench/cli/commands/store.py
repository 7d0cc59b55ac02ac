"""The commands on stored runs: clean, export and import. Each imports only what it needs, so that it starts fast."""

import contextlib
import sys
from pathlib import Path

from mixbench.cli.commands.shared import (
    no_runs,
    say,
    select_runs,
    source_of,
    wants_help,
    warn,
)
from mixbench.cli.help import CLEAN_HELP, EXPORT_HELP, IMPORT_HELP
from mixbench.core.errors import UserError, printable


def clean(words: list[str]) -> int:
    """mixbench clean: delete failed and interrupted runs, and left-over files."""
    if wants_help(words):
        print(CLEAN_HELP, end="")
        return 0
    from mixbench.cli.words import read_selection
    from mixbench.core import memory
    from mixbench.runs.store.cleanup import delete_all, find_left_overs
    from mixbench.runs.store.store import Store

    name, filters, options = read_selection([word for word in words if word != "--yes"])
    if name is not None or filters:
        raise UserError(f"{name or filters[0]}: clean takes only results_dir=FOLDER and --yes")
    results = Store(options.results_dir)
    results.repair()
    left_overs = find_left_overs(results)
    if not left_overs:
        print(f"{results.runs}/: nothing to delete")
        return 0
    for one in left_overs:
        print(printable(f"{one.path}  ({one.why}, {memory.size(one.bytes)})"))
    if "--yes" not in words and not _agreed(len(left_overs)):
        return 0
    deleted = delete_all(results, left_overs)
    print(f"deleted {deleted.count:,}")
    if deleted.refused:
        one, error = deleted.refused[0]
        more = f"; neither could {len(deleted.refused) - 1:,} more" if len(deleted.refused) > 1 else ""
        print(printable(f"mixbench: {one.path}: could not be deleted ({error.strerror}){more}"), file=sys.stderr)
    return 1 if deleted.refused else 0


def export(words: list[str]) -> int:
    """mixbench export: pack finished runs into one file."""
    if wants_help(words):
        print(EXPORT_HELP, end="")
        return 0
    from mixbench.analysis.raced import records_of
    from mixbench.cli.words import archive_name, read_export
    from mixbench.core import memory
    from mixbench.runs.store import archive

    words, out, files = read_export(words)
    chosen = select_runs(words)
    path = Path(out or archive_name(chosen))
    packed = archive.pack(chosen.frame["folder"], path, files, races=records_of(chosen.frame))
    chosen.problems += packed.left_out
    if packed.runs:
        runs = "run" if packed.runs == 1 else "runs"
        print(f"{path}: {packed.runs:,} {runs} from {source_of(chosen)}, {memory.size(path.stat().st_size)}")
    warn(chosen)
    return 0 if packed.runs else no_runs(chosen)


def import_command(words: list[str]) -> int:
    """mixbench import: copy the runs of archives into the store."""
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
        counts = ", ".join(f"{count:,} {what}" for what, count in imported.counts.items())
        print(f"{imported.path}: {counts or 'no runs'}; {Path(results_dir) / 'runs'}/")
        for problem in imported.problems:
            print(printable(f"{imported.path}: {problem}"), file=sys.stderr)
            status = 1
    return status


def _agreed(count: int) -> bool:
    """Ask the user whether to delete. Without a terminal, or with another answer than yes, nothing is deleted."""
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        print("nothing was deleted; mixbench clean --yes deletes these")
        return False
    with contextlib.suppress(EOFError):
        if input(f"Delete these {count:,}? [y/N] ").strip().lower() in ("y", "yes"):
            return True
    print("nothing was deleted")
    return False
