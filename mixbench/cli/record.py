"""Keep a study's finished runs as its records: python -m mixbench.cli.record STUDY [KEY=VALUE …] (scripts/record)."""

import sys
from collections.abc import Sequence

from mixbench.analysis import report, select, table
from mixbench.analysis.compare import compare
from mixbench.analysis.select import KEPT, OWN
from mixbench.cli.main import status_of
from mixbench.cli.words import read_selection
from mixbench.config.compose import Composer
from mixbench.core import files
from mixbench.core.errors import UserError
from mixbench.runs.store.archive import portable

# The rest of a run's folder, logits and weights, is too large to keep under version control.
RECORDED = ("config.yaml", "provenance.json", "history.csv", "metrics.json")
# So is the list of replaced labels, from about 8,000 on; provenance.json has its counts and the checksum in any case.
RECORDED_IF_SMALL, SMALL = "label_noise.csv", 100_000  # bytes


def record(words: Sequence[str]) -> int:
    """Copy the runs to <results_dir>/<study>/runs and write tables, plots and the report from the copies. Returns 0."""
    name, overrides, options = read_selection(words)
    if name is None:
        raise UserError("name a study")
    with Composer() as composer:
        own = select.of_study(composer, name, overrides, options, sources=(OWN,))
        for folder in own.frame["folder"]:
            copy = own.kept / folder.name
            try:
                contents = {copy / file: files.read_bytes(folder / file) for file in RECORDED}
                noise = folder / RECORDED_IF_SMALL
                if noise.exists() and noise.stat().st_size <= SMALL:
                    contents[copy / noise.name] = files.read_bytes(noise)
            except (OSError, ValueError) as error:
                raise UserError(f"{folder}: cannot be recorded ({error})") from error
            contents[copy / "config.yaml"] = portable(contents[copy / "config.yaml"])
            files.write_all(contents)
        kept = select.of_study(composer, name, overrides, options, sources=(KEPT,))
    for path in [*table.write(kept), *report.write(kept, compare(kept.frame, kept.rule))]:
        print(path)
    return 0


def main(words: Sequence[str]) -> int:
    """Record what the words name. Returns the exit status, as the commands do."""
    return status_of(lambda: record(words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
