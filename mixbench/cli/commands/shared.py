"""Functions for several commands: they read words, write tables and reports, and print problems."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mixbench.core import files
from mixbench.core.errors import one_line

if TYPE_CHECKING:
    from mixbench.analysis.select import Options, Selection


def wants_help(words: Sequence[str]) -> bool:
    """Whether the words ask for help.

    words: words after the command.
    """
    return "-h" in words or "--help" in words


def config_dir_of(words: list[str]) -> tuple[str | None, list[str]]:
    """Separate --config-dir from the words of a command.

    words: words after the command.
    Returns the folder, or None, and the other words. --help and --yes, if given, become the last words.
    Raises UserError for a flag that the command does not have.
    """
    from mixbench.cli.flags import YES, read

    flags = read(words, known=("--config-dir", "-cd", YES, "--help", "-h"))
    return flags.config_dir, flags.overrides + ["--help"] * flags.help + [YES] * flags.yes


def check_out(options: "Options") -> None:
    """Raise UserError, before anything is trained, if the command names a folder that cannot be written to.

    options: where the command writes.
    """
    if options.out is not None:
        files.check_writable(Path(options.out), "out")


def with_out(options: "Options", command: str, name: str, given: Sequence[str]) -> "Options":
    """Return options with a folder for what a command writes about own data, which is named after what was given.

    options: where the command writes; a folder that it names stays.
    command: name of the command.
    name: name of the data.
    given: KEY=VALUE texts of the command. Those that were chosen for the data would only make the name long.
    """
    from mixbench.analysis.select import folder_name
    from mixbench.runs.races import lasting

    if options.out is not None:
        return options
    return replace(options, out=str(Path(options.results_dir, folder_name(command, [name, *lasting(given)]))))


def select_runs(words: list[str]) -> "Selection":
    """Return the stored runs that the words of a command select.

    words: words after the command.
    Raises UserError for an unknown word.
    """
    from mixbench.cli.words import select
    from mixbench.config.compose import Composer

    config_dir, words = config_dir_of(words)
    with Composer(config_dir, stored=True) as composer:
        return select(composer, words, say)


def select_compared(words: list[str]) -> "Selection":
    """Return the stored runs that a table, plot or report compares.

    Runs that only chose settings (eval=validation) are left out, unless the words name a value of eval.

    words: words after the command.
    Raises UserError for an unknown word.
    """
    from mixbench.training.rules import VALIDATION

    chosen = select_runs(words)
    if chosen.study or not len(chosen.frame) or any(word.startswith("eval=") for word in words):
        return chosen
    compared = [value != VALIDATION for value in chosen.frame["eval"]]
    if count := compared.count(False):
        left_out = (
            f"{count:,} runs with eval={VALIDATION}, which choose settings, are left out; eval={VALIDATION} shows them"
        )
        chosen.frame = chosen.frame.loc[compared]
        chosen.problems.append(left_out)
        chosen.why = "" if len(chosen.frame) else left_out
    return chosen


def write_all(chosen: "Selection", command: str) -> None:
    """Print the table of a selection, its recommendations and the path of its report, and write them with all charts.

    chosen: the selected runs. If there are none, nothing is written.
    command: the command, which the report shows.
    """
    from mixbench.analysis import report, table
    from mixbench.analysis.compare import compare

    if not len(chosen.frame):
        return
    print(table.markdown(chosen, table.build(chosen)))
    table.write(chosen)
    settings = compare(chosen.frame, chosen.rule)
    print("\n".join(report.advice(chosen, settings)))
    report.write(chosen, settings, command)
    warn(chosen)
    print(f"report: {chosen.out / 'report.html'} (the table and all charts as files are beside it)")


def write_table(chosen: "Selection") -> int:
    """Print and write the table of a selection.

    chosen: the selected runs. If there are none, nothing is written.
    Returns the exit status.
    """
    from mixbench.analysis import table

    if len(chosen.frame) or chosen.study:  # an empty table of a study shows which runs are missing
        print(table.markdown(chosen, table.build(chosen)))
    if not len(chosen.frame):
        return no_runs(chosen)
    for path in table.write(chosen):
        print(path)
    return 0


def write_report(chosen: "Selection", command: str) -> int:
    """Print the recommendations for a selection and write its report.

    chosen: the selected runs. If there are none, nothing is written.
    command: the command, which the report shows.
    Returns the exit status.
    """
    from mixbench.analysis import report
    from mixbench.analysis.compare import compare

    if not len(chosen.frame):
        return no_runs(chosen)
    settings = compare(chosen.frame, chosen.rule)
    print("\n".join(report.advice(chosen, settings)))
    for path in report.write(chosen, settings, command):
        print(path)
    return 0


def no_runs(chosen: "Selection") -> int:
    """Print that no run of a selection is stored.

    chosen: a selection without runs.
    Returns the exit status 1.
    """
    say(f"no run of this selection is stored in {source_of(chosen)}{f' ({chosen.why})' if chosen.why else ''}")
    return 1


def source_of(chosen: "Selection") -> str:
    """Return the path that the runs come from; a folder ends in a slash.

    chosen: the selected runs.
    """
    return f"{chosen.source}{'' if chosen.source.is_file() else '/'}"


def warn(chosen: "Selection") -> None:
    """Print where published records come from, and as warnings what limits a selection, one line each.

    chosen: the selected runs.
    """
    from mixbench.analysis import differences, table

    if chosen.source.is_file():
        say(f"these are published records ({chosen.source}); {chosen.own_runs}/ has no run of {chosen.name}")
    joined = differences.joined(chosen.frame, table.build(chosen)) if len(chosen.frame) else []
    for problem in [*chosen.problems, *joined]:
        say(f"warning: {problem}")


def say(line: str) -> None:
    """Print one line to standard error.

    line: the text. Long words are shortened, and characters that a terminal cannot print are escaped.
    """
    print(one_line(line), file=sys.stderr, flush=True)
