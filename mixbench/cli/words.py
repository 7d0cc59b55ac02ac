"""Reads the words of commands on stored runs: a study's name, KEY=VALUE filters, and options of the command."""

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mixbench.analysis.select import Options, Selection, of_filters, of_study
from mixbench.cli.flags import YES
from mixbench.config.compose import Composer
from mixbench.config.limits import LIMIT
from mixbench.config.overrides import home
from mixbench.core.errors import UserError, did_you_mean, unknown
from mixbench.core.pictures import COLUMNS
from mixbench.runs.own_data import SUFFIXES, source_of
from mixbench.runs.own_runs import stored_names
from mixbench.runs.store.archive import FILES
from mixbench.runs.store.reading import PREDICTIONS, WEIGHTS
from mixbench.training.rules import RULES

SHOWN = ("rows", "columns", "rule")  # options of tables
PLACES = ("results_dir", "out")  # options that are paths
LONGEST_NAME = 100  # characters of an archive's default name


def read_selection(words: Sequence[str]) -> tuple[str | None, list[str], Options]:
    """Separate a study's name, filters or overrides, and options.

    words: words of the command.
    Returns the name of a study or the path of data, or None, the filters and the options.
    Raises UserError for a second name and an unknown rule.
    """
    name, settings = name_and_settings([word for word in words if word != YES])
    options, filters = Options(limit=None if YES in words else LIMIT), []
    for word in settings:
        key, _, value = word.partition("=")
        if key in (*SHOWN, *PLACES):
            options = replace(options, **{key: home(value) if key in PLACES else value})
        else:
            filters.append(word)
    if options.rule is not None and options.rule not in RULES:
        raise unknown("rule", options.rule, RULES)
    return name, filters, options


def name_and_settings(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Separate the name of a study, or the path of data, from KEY=VALUE texts.

    A path can have an equals sign: before it is a slash, as in `./a=b`, or the path exists and has a slash.

    words: a name or path, KEY=VALUE texts, or both.
    Returns the name or path, or None, and the texts. Raises UserError for a second name or path.
    """

    def is_name(word: str) -> bool:
        key, equals, _ = word.partition("=")
        return not equals or "/" in key or ("/" in word and Path(word).expanduser().exists())

    names = [word for word in words if is_name(word)]
    if len(names) > 1:
        raise UserError(f"{' '.join(names)}: are several names or paths; name one")
    return (names[0] if names else None), [word for word in words if not is_name(word)]


def is_data(composer: Composer, name: str, say: Callable[[str], None]) -> bool:
    """Whether the name that a command got is the path of data, rather than the name of a study.

    composer: knows the studies.
    name: a word of the command.
    say: called with a line if it could be either.
    Raises UserError if it is neither.
    """
    studies, own = composer.options("study"), composer.own_folder
    if name in studies and own is not None and Path(name).resolve() == own.resolve():
        return False  # the folder of --config-dir, which has the study
    if source_of(name) is None:
        if name in studies:
            return False
        here = [entry.name for entry in sorted(Path().iterdir()) if entry.is_dir() or entry.suffix in SUFFIXES]
        near = did_you_mean(name, [*(entry for entry in here if not entry.startswith(".")), *studies])
        raise UserError(
            f"{name!r} is neither a study nor a folder or file here{near}; correct the path, or choose a study: "
            f"{', '.join(sorted(studies))}"
        )
    if name in studies:
        say(f"{name}: the data here are meant, not the study of this name; for the study, rename them or go elsewhere")
    return True


def select(composer: Composer, words: Sequence[str], say: Callable[[str], None] = lambda line: None) -> Selection:
    """Return the stored runs that the words select.

    composer: reads the study and resolves names of methods.
    words: a study's name or a path of own data, KEY=VALUE filters and options of tables. Beside the path of a table,
        the columns that its runs were given.
    say: called with a line if a word could be a study or data.
    Raises UserError for an unknown word.
    """
    name, filters, options = read_selection(words)
    if name is None:
        return of_filters(composer, filters, options)
    if not is_data(composer, name, say):
        return of_study(composer, name, filters, options)
    of_table = {f"dataset.{column}_column": column for column in COLUMNS}
    columns, named, others = {}, None, []
    for word in filters:
        key, _, value = word.partition("=")
        if key in of_table:
            columns[of_table[key]] = value
        elif key == "dataset.name":
            named = value
        else:
            others.append(word)
    names = ",".join(stored_names(name, options.results_dir, columns, named))
    return of_filters(composer, [f"dataset={names}", *others], options)


def read_export(words: Sequence[str]) -> tuple[list[str], str | None, list[str]]:
    """Separate the words that select runs from the options of export.

    words: words of the command.
    Returns the words that select runs, the archive's path, or None, and the files of a run to pack.
    Raises UserError for an option of tables, and for a value that is neither true nor false.
    """
    options: dict[str, str | None] = {"out": None, "predictions": "true", "weights": "false"}
    rest = []
    for word in words:
        key, equals, value = word.partition("=")
        if key in SHOWN:
            raise UserError(f"{word}: is an option of tables; export takes {', '.join(options)} and results_dir")
        if equals and key in options:
            options[key] = value
        else:
            rest.append(word)
    for key in ("predictions", "weights"):
        if options[key] not in ("true", "false"):
            raise UserError(f"{key}={options[key]}: must be true or false")
    files: list[str] = list(FILES)
    if options["predictions"] == "true":
        files.append(PREDICTIONS)
    if options["weights"] == "true":
        files.append(WEIGHTS)
    return rest, options["out"], files


def archive_name(selection: Selection) -> str:
    """Return the default name of an archive. It follows from the selection and is safe in every shell.

    selection: the runs to pack.
    """
    of_filters = selection.out.name.removeprefix("selection")
    name = selection.out.name if selection.study else f"runs{of_filters}"
    if selection.out.parent != Path(Options.results_dir):
        name = f"{name},results_dir={selection.out.parent}"
    plain = re.sub(r"[^A-Za-z0-9._+=,-]", "_", name)
    if plain != name or len(plain) > LONGEST_NAME:
        plain = f"{plain[:LONGEST_NAME]}-{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"
    return f"{plain}.mixbench.zip"


def read_import(words: Sequence[str]) -> tuple[list[Path], str]:
    """Separate the archives from the results_dir in the words of import.

    words: words of the command. The name of an archive can have an equals sign.
    Returns the archives, and the folder of the results.
    Raises UserError if no archive is named.
    """
    paths = [Path(word) for word in words if not word.startswith("results_dir=")]
    folders = [word.removeprefix("results_dir=") for word in words if word.startswith("results_dir=")]
    if not paths:
        raise UserError("import needs at least one archive, as in mixbench import demo.mixbench.zip")
    return paths, (folders or [Options.results_dir])[-1]
