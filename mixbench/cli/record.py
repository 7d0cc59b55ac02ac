"""Publish finished runs of a study as its records: python -m mixbench.cli.record STUDY [KEY=VALUE …]. No torch."""

import sys
from collections.abc import Sequence
from pathlib import Path

from mixbench.analysis import select
from mixbench.analysis.compare import compare
from mixbench.analysis.report import summary
from mixbench.analysis.select import KEPT, OWN, Selection
from mixbench.cli.main import status_of
from mixbench.cli.words import read_selection
from mixbench.config.compose import Composer
from mixbench.core.errors import UserError
from mixbench.runs.store import archive, reading, records

# The rest of a run's folder, logits and weights, is too large to keep under version control.
RECORDED = ("config.yaml", "provenance.json", "history.csv", "metrics.json")
# So is the list of replaced labels, from about 8,000 on; provenance.json has its counts and the checksum in any case.
RECORDED_IF_SMALL, SMALL = "label_noise.csv", 100_000  # bytes


def record(words: Sequence[str]) -> int:
    """Pack the runs into <results_dir>/published/<study>/runs.zip, and write the page beside it from that. Returns 0.

    Raises UserError where a run lacks a file, and where records would be lost that are not among the runs.
    """
    name, overrides, options = read_selection(words)
    if name is None:
        raise UserError("name a study")
    with Composer() as composer:
        own = select.of_study(composer, name, overrides, options, sources=(OWN,))
        path = records.path(Path(options.results_dir), own.name)
        _check(own, path)
        packed = archive.pack(own.frame["folder"], path, [*RECORDED, RECORDED_IF_SMALL], {RECORDED_IF_SMALL: SMALL})
        kept = select.of_study(composer, name, overrides, options, sources=(KEPT,))
    print(f"{path}: {packed.runs} runs, {packed.correct} of them with which images they recognise")
    for written in summary.write(kept, compare(kept.frame, kept.rule)):
        print(written)
    return 0


def _check(own: Selection, path: Path) -> None:
    """Raises UserError where the runs cannot take the place of the records at `path`."""
    places = own.frame["folder"].tolist()
    if not places:
        raise UserError(f"no run of study {own.name} is stored in {own.source}/; mixbench study {own.name} trains them")
    for place in places:
        try:
            archive.check(place)
        except (OSError, ValueError) as error:
            raise UserError(f"{place}: cannot be recorded ({error})") from error
        missing = [file for file in RECORDED if not reading.has(place, file)]
        if missing:
            raise UserError(f"{place}: cannot be recorded (it has no {missing[0]})")
    if path.exists():
        with reading.open_archive(path) as there:
            lost = sorted(set(there.runs) - {place.name for place in places})
        if lost:
            more = f" and {len(lost) - 1} more" * (len(lost) > 1)
            raise UserError(
                f"{path}: holds {lost[0]}{more}, which {own.source}/ has not; to keep them, mixbench import {path} "
                "first; else remove that file"
            )


def main(words: Sequence[str]) -> int:
    """Record what the words name. Returns the exit status, as the commands do."""
    return status_of(lambda: record(words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
