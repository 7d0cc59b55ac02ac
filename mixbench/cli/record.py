"""Publishes the finished runs of a study as its records: python -m mixbench.cli.record [--page] STUDY. No torch."""

import sys
from collections.abc import Sequence
from pathlib import Path

from mixbench.analysis import select
from mixbench.analysis.compare import compare
from mixbench.analysis.raced import records_of
from mixbench.analysis.report import summary
from mixbench.analysis.select import OWN, RECORDS, Selection
from mixbench.cli.main import status_of
from mixbench.cli.words import read_selection
from mixbench.config.compose import Composer
from mixbench.core.errors import UserError
from mixbench.runs.store import archive, reading, records

PAGE_FLAG = "--page"  # only write the page again, from the records
# Logits and weights are too large for version control.
RECORDED = ("config.yaml", "provenance.json", "history.csv", "metrics.json")
# A list of more than about 8,000 replaced labels is too large too. provenance.json always has its counts and checksum.
RECORDED_IF_SMALL, SMALL = "label_noise.csv", 100_000  # bytes


def record(words: Sequence[str]) -> int:
    """Pack a study's runs into <results_dir>/published/<study>/runs.zip, and write the page beside it from the archive.

    words: name of a study, KEY=VALUE texts, and --page to write only the page, from an archive that exists.
    Returns the exit status 0. Raises UserError if a run lacks a file, if records would be lost that are not among the
    runs, and, with --page, if there are no records.
    """
    name, overrides, options = read_selection([word for word in words if word != PAGE_FLAG])
    if name is None:
        raise UserError("no study is named; name one, as in scripts/record demo")
    with Composer() as composer:
        if PAGE_FLAG not in words:
            own = select.of_study(composer, name, overrides, options, sources=(OWN,))
            path = records.path(Path(options.results_dir), own.name)
            _check(own, path)
            largest, of_races = {RECORDED_IF_SMALL: SMALL}, records_of(own.frame)
            packed = archive.pack(own.frame["folder"], path, [*RECORDED, RECORDED_IF_SMALL], largest, of_races)
            print(f"{path}: {packed.runs:,} runs; {packed.correct:,} of them have logits or correct.json")
        published = select.of_study(composer, name, overrides, options, sources=(RECORDS,))
    path = records.path(Path(options.results_dir), published.name)
    if published.source != path or not len(published.frame):
        raise UserError(f"{path}: has no records of this study; scripts/record {published.name} makes them from runs")
    for written in summary.write(published, compare(published.frame, published.rule)):
        print(written)
    return 0


def _check(own: Selection, path: Path) -> None:
    """Raise UserError if the runs cannot replace the records at `path`."""
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
                f"{path}: has {lost[0]}{more}, which {own.source}/ does not have; to keep them, run mixbench import "
                f"{path} first; otherwise remove that file"
            )


def main(words: Sequence[str]) -> int:
    """Run the command and return its exit status.

    words: as for `record`.
    """
    return status_of(lambda: record(words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
