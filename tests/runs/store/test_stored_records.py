"""The records that come with mixbench stay valid: their ids, their metrics, and the studies that ask for them."""

import json
from collections import Counter
from pathlib import Path

import pytest

from mixbench.config.compose import Composer
from mixbench.config.identity import completed, run_id
from mixbench.runs import study
from mixbench.runs.store import metrics_schema, reading, store

PUBLISHED = Path(__file__).parents[3] / "results/published"
LARGEST = 1_000_000  # bytes of any file under version control there
FILES = {"config.yaml", "history.csv", "metrics.json", "provenance.json"}
STUDIES = ("cifar10-cpu", "demo", "methods-cpu", "methods-demo")


@pytest.fixture(scope="module")
def stored():
    """Study -> run id -> its metrics, read from the archive without any check of them."""
    found = {}
    for path in sorted(PUBLISHED.glob("*/runs.zip")):
        places = reading.attach(path).places()
        found[path.parent.name] = {
            place.name: json.loads(reading.read_bytes(place, "metrics.json")) for place in places
        }
    return found


def test_all_records_are_looked_at(stored):
    counts = Counter({name: len(runs) for name, runs in stored.items()})
    assert counts == {"cifar10-cpu": 36, "demo": 36, "methods-cpu": 40, "methods-demo": 180}


def test_a_stored_id_is_the_name_of_the_run_and_follows_from_the_stored_identity(stored):
    for runs in stored.values():
        others = {
            name: metrics for name, metrics in runs.items() if {name, run_id(metrics["identity"])} != {metrics["id"]}
        }
        assert not others


def test_stored_metrics_are_usable(stored):
    for runs in stored.values():
        for name, metrics in runs.items():
            try:
                metrics_schema.check(metrics)
            except ValueError as error:
                pytest.fail(f"{name}: {error}")


def test_every_file_of_every_record_is_as_its_checksum_says():
    for name in STUDIES:
        found, problems = store.scan(PUBLISHED / name / "runs.zip")
        assert not problems
        for place in (m["folder"] for m in found):
            files = set(place.archive.runs[place.name])
            assert files - {"correct.json"} == FILES
            for file in files:
                assert reading.read_bytes(place, file)


def test_published_files_are_small_and_few():
    for name in STUDIES:
        files = {path.name: path.stat().st_size for path in (PUBLISHED / name).iterdir()}
        assert max(files.values()) <= LARGEST
        assert {"runs.zip", "README.md"} <= set(files)
        assert {Path(file).suffix for file in files} <= {".zip", ".md", ".png"}


@pytest.mark.parametrize("name", STUDIES)
def test_the_study_s_file_still_asks_for_the_stored_runs(stored, name):
    with Composer() as composer:
        asked = {job.id: completed(job.identity) for job in study.plan(composer, name).jobs}
    assert {run: completed(metrics["identity"]) for run, metrics in stored[name].items()} == asked
