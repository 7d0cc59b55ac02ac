"""The command line: argv -> subcommand and its words; one-line errors. Each command imports what it needs, no more."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mixbench import __version__
from mixbench.errors import UserError, unknown
from mixbench.help import CLEAN_HELP, GALLERY_HELP, HELP, LIST_HELP, STATUS_HELP, STUDY_HELP, TABLE_HELP

if TYPE_CHECKING:
    from mixbench.selection import Selection

GROUP_OF = {
    "methods": "method",
    "datasets": "dataset",
    "models": "model",
    "augments": "augment",
    "losses": "loss",
    "studies": "study",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 (a run failed), 2 (a user's mistake) or 130 (Ctrl-C)."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(words)
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"mixbench: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("mixbench: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (head, say) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if words[0] == "--version":
        print(f"mixbench {__version__}")
        return 0
    if words[0] in ("-sc", "--shell-completion"):
        from mixbench.completion import complete

        return complete(words, list(COMMANDS))
    if words[0] not in COMMANDS:
        raise unknown("command", words[0], COMMANDS)
    return COMMANDS[words[0]](words[1:])


def run(words: list[str], multirun: bool = False) -> int:
    """mixbench run: one run, or with --multirun several."""
    from mixbench.config import Composer, expand
    from mixbench.hydra_flags import read, show
    from mixbench.identity import job

    flags = read(words)
    overrides = flags.overrides
    if flags.shows:
        return show(flags, expand(overrides)[0] if multirun or flags.multirun else overrides)
    with Composer(flags.config_dir) as composer:
        combinations = expand(overrides) if multirun or flags.multirun else [overrides]
        jobs = [job(composer.compose(combination)) for combination in combinations]
    from mixbench.sweep import run_jobs

    return run_jobs(jobs, jobs[0].cfg.results_dir)


def sweep(words: list[str]) -> int:
    """mixbench sweep: one run for each combination of values."""
    return run(words, multirun=True)


def study(words: list[str]) -> int:
    """mixbench study: a study's runs, then its tables and plots."""
    from mixbench import selection
    from mixbench.config import Composer
    from mixbench.hydra_flags import read, show
    from mixbench.study import combinations, jobs

    flags = read(words)
    with Composer(flags.config_dir) as composer:
        if flags.help or not flags.overrides:
            print(STUDY_HELP.format(studies=", ".join(composer.options("study"))), end="")
            return 0 if flags.help else 2
        name, overrides, options = selection.read_words(flags.overrides)
        if name is None:
            raise unknown("study", flags.overrides[0], composer.options("study"))
        results_dir = f"results_dir={options['results_dir']}"
        if flags.shows:
            return show(flags, combinations(composer, name, overrides)[0])
        made = jobs(composer, name, [*overrides, results_dir])
        from mixbench.sweep import EXIT_INTERRUPTED, run_jobs

        status = run_jobs(made, options["results_dir"])
        if status == EXIT_INTERRUPTED:
            return status
        chosen = selection.of_study(composer, name, overrides, options, sources=(selection.OWN,))
    if len(chosen.frame):
        _write_table(chosen)
        _write_plots(chosen)
        _warn(chosen)
    return status


def table(words: list[str]) -> int:
    """mixbench table: tables of stored runs."""
    if _wants_help(words):
        print(TABLE_HELP.format(what="Tables", command="table"), end="")
        return 0
    chosen = _select(words)
    status = _write_table(chosen)
    _warn(chosen)
    return status


def plot(words: list[str]) -> int:
    """mixbench plot: plots of stored runs."""
    if _wants_help(words):
        print(TABLE_HELP.format(what="Plots", command="plot"), end="")
        return 0
    chosen = _select(words)
    status = _write_plots(chosen)
    _warn(chosen)
    return status


def gallery(words: list[str]) -> int:
    """mixbench gallery: pictures of what the methods do."""
    if _wants_help(words):
        print(GALLERY_HELP, end="")
        return 0
    from mixbench import gallery
    from mixbench.config import Composer

    config_dir, words = _config_dir(words)
    out = [word.removeprefix("out=") for word in words if word.startswith("out=")]
    with Composer(config_dir) as composer:
        overrides = [word for word in words if not word.startswith("out=")]
        for path in gallery.draw(composer, overrides, Path(out[-1]) if out else None):
            print(path)
    return 0


def list_command(words: list[str]) -> int:
    """mixbench list: what a group offers, a line each."""
    from mixbench.catalogue import describe

    config_dir, words = _config_dir(words)
    if _wants_help(words) or not words:
        print(LIST_HELP, end="")
        return 0 if words else 2
    if len(words) != 1 or words[0] not in GROUP_OF:
        raise unknown("list", " ".join(words), GROUP_OF)
    described = describe(GROUP_OF[words[0]], config_dir)
    width = max(map(len, described), default=0)
    for name, text in described.items():
        print(f"{name:{width}}  {text}")
    return 0


def status(words: list[str]) -> int:
    """mixbench status: how the runs of the store, or of a study, stand."""
    from mixbench import upkeep

    if _wants_help(words):
        print(STATUS_HELP, end="")
        return 0
    config_dir, words = _config_dir(words)
    print("\n".join(upkeep.status(words, config_dir)))
    return 0


def clean(words: list[str]) -> int:
    """mixbench clean: drop what is not finished."""
    from mixbench import upkeep

    if _wants_help(words):
        print(CLEAN_HELP, end="")
        return 0
    return upkeep.clean([word for word in words if word != "--yes"], yes="--yes" in words)


COMMANDS = {
    "run": run,
    "sweep": sweep,
    "study": study,
    "table": table,
    "plot": plot,
    "gallery": gallery,
    "list": list_command,
    "status": status,
    "clean": clean,
}


def _wants_help(words: Sequence[str]) -> bool:
    return "-h" in words or "--help" in words


def _config_dir(words: list[str]) -> tuple[str | None, list[str]]:
    """Take --config-dir FOLDER, the one flag of commands that train nothing, out of the words."""
    from mixbench.hydra_flags import read

    flags = read(words, known=("--config-dir", "-cd", "--help", "-h"))
    return flags.config_dir, flags.overrides + ["--help"] * flags.help


def _select(words: list[str]) -> "Selection":
    from mixbench.config import Composer
    from mixbench.selection import select

    config_dir, words = _config_dir(words)
    with Composer(config_dir) as composer:
        return select(composer, words)


def _write_table(chosen: "Selection") -> int:
    from mixbench import table

    if len(chosen.frame) or chosen.study:  # a study's empty cells are worth showing
        print(table.markdown(chosen, table.build(chosen)))
    if not len(chosen.frame):
        return _nothing_stored(chosen)
    for path in table.write(chosen):
        print(path)
    return 0


def _write_plots(chosen: "Selection") -> int:
    from mixbench import plot

    if not len(chosen.frame):
        return _nothing_stored(chosen)
    for path in plot.write(chosen):
        print(path)
    return 0


def _nothing_stored(chosen: "Selection") -> int:
    print(f"no run of this selection is stored in {chosen.source}/", file=sys.stderr)
    return 1


def _warn(chosen: "Selection") -> None:
    for problem in chosen.problems:
        print(f"warning: {problem}", file=sys.stderr)
