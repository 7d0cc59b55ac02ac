"""What several commands need: reading their words, writing a table or a report, and telling of problems."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mixbench.core.errors import one_line

if TYPE_CHECKING:
    from mixbench.analysis.select import Selection


def wants_help(words: Sequence[str]) -> bool:
    return "-h" in words or "--help" in words


def config_dir_of(words: list[str]) -> tuple[str | None, list[str]]:
    """Take --config-dir FOLDER out of the words; other flags of commands that train nothing are their last words."""
    from mixbench.cli.flags import YES, read

    flags = read(words, known=("--config-dir", "-cd", YES, "--help", "-h"))
    return flags.config_dir, flags.overrides + ["--help"] * flags.help + [YES] * flags.yes


def select_runs(words: list[str]) -> "Selection":
    from mixbench.cli.words import select
    from mixbench.config.compose import Composer

    config_dir, words = config_dir_of(words)
    with Composer(config_dir, stored=True) as composer:
        return select(composer, words)


def write_table(chosen: "Selection") -> int:
    from mixbench.analysis import table

    if len(chosen.frame) or chosen.study:  # a study's empty cells are worth showing
        print(table.markdown(chosen, table.build(chosen)))
    if not len(chosen.frame):
        return nothing_stored(chosen)
    for path in table.write(chosen):
        print(path)
    return 0


def write_report(chosen: "Selection") -> int:
    from mixbench.analysis import report
    from mixbench.analysis.compare import compare

    if not len(chosen.frame):
        return nothing_stored(chosen)
    settings = compare(chosen.frame, chosen.rule)
    print("\n".join(report.advice(chosen, settings)))
    for path in report.write(chosen, settings):
        print(path)
    return 0


def nothing_stored(chosen: "Selection") -> int:
    say(f"no run of this selection is stored in {source_of(chosen)}{f': {chosen.why}' if chosen.why else ''}")
    return 1


def source_of(chosen: "Selection") -> str:
    """Where the runs are from, in words: a folder ends in a slash, an archive of records does not."""
    return f"{chosen.source}{'' if chosen.source.is_file() else '/'}"


def warn(chosen: "Selection") -> None:
    for problem in chosen.problems:
        say(f"warning: {problem}")


def say(line: str) -> None:
    print(one_line(line), file=sys.stderr, flush=True)
