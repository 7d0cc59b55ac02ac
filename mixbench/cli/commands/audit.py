"""The command `audit`, which looks for problems of the user's own data."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from mixbench.cli.commands.shared import say
from mixbench.cli.help import AUDIT_HELP
from mixbench.core.errors import UserError, printable, unknown

if TYPE_CHECKING:
    from mixbench.data.audit import Finding

KEYS = ("dataset", "eval", "split_seed", "results_dir")
WIDTH = 110  # characters of a line


def audit(words: list[str]) -> int:
    """mixbench audit: print what changes the meaning of results on own data, and store it for reports."""
    from mixbench.cli.flags import CONFIG_DIR, HELP, read
    from mixbench.config.compose import Composer
    from mixbench.config.jobs import job_of
    from mixbench.core import files
    from mixbench.runs import audits, own_data
    from mixbench.runs.datasets import Datasets

    flags = read(words, known=(*CONFIG_DIR, *HELP))
    if flags.help or not flags.overrides:
        print(AUDIT_HELP, end="")
        return 0 if flags.help else 2
    path, given = read_words(flags.overrides)
    datasets = Datasets(say)
    with Composer(flags.config_dir) as composer:
        if path is not None:
            words, chosen = own_data.of_data(composer, path, given, datasets)
            of_run = [*words, *chosen, *given]
        else:
            of_run = given
            if not any(word.startswith("eval=") for word in of_run):
                of_run = [*of_run, f"eval={own_data.evaluated_on(composer, of_run, datasets)}"]
        cfg = job_of(composer, of_run).cfg
    files.check_writable(Path(cfg.results_dir), "results_dir")
    loaded = datasets.load(cfg)
    if path is not None and not any(word.startswith("dataset.name=") for word in given):
        cfg.dataset.name = own_data.name_of(loaded, cfg)
    found = audits.of_data(loaded, cfg)
    datasets.keep()
    count = len(found.problems)
    print(f"{cfg.dataset.name}: {count or 'no'} problem{'' if count == 1 else 's'}\n")
    for finding in found.findings:
        print("\n".join(_lines(finding)), end="\n\n")
    print(f"{audits.path_of(cfg)}: reports on runs with these data show this with pictures")
    return 0


def read_words(words: list[str]) -> tuple[str | None, list[str]]:
    """Separate a path and KEY=VALUE texts.

    words: a path, KEY=VALUE texts, or both.
    Returns the path, or None, and the texts. Raises UserError for a second path, several values and a key that the
    command does not have.
    """
    from mixbench.cli.words import name_and_settings
    from mixbench.config.overrides import line_of, parse

    path, settings = name_and_settings(words)
    of_run = []
    for override in parse(settings):
        key = override.key_or_group
        if not is_key(key):
            raise unknown("key of audit", key, [*KEYS, "dataset.path", "dataset.size"])
        if override.is_sweep_override():
            raise UserError(f"{line_of(override)}: has several values; give one")
        of_run.append(line_of(override))
    return path, of_run


def is_key(key: str) -> bool:
    """Whether audit has a key.

    key: such as `dataset.size`.
    """
    return key in KEYS or key.startswith("dataset.")


def _lines(finding: "Finding") -> list[str]:
    """Return a finding as lines of text: what was found, what it means, and names."""
    texts = [f"{finding.severity}: {finding.found}", finding.meaning, ", ".join(finding.names)]
    lines = []
    for k, text in enumerate(filter(None, texts)):
        lines += textwrap.wrap(
            printable(text), WIDTH, initial_indent="  " * (k > 0), subsequent_indent="  ", break_on_hyphens=False
        )
    return lines
