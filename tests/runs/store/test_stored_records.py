"""The records that come with mixbench stay valid: their ids, their metrics, and the studies that ask for them."""

import json
from collections import Counter
from pathlib import Path

import pytest

from mixbench.config.compose import Composer
from mixbench.config.identity import completed, run_id
from mixbench.runs import study
from mixbench.runs.store import metrics_schema

RESULTS = Path(__file__).parents[3] / "results"
# Records of one study lie together; a user's own runs, in results/runs, are not among them.
FILES = sorted({*RESULTS.glob("*/runs/*/metrics.json"), *RESULTS.glob("published/*/runs/*/metrics.json")})
RECORDED = Counter(file.parents[2].name for file in FILES)


@pytest.fixture(scope="module")
def stored():
    """Folder -> the metrics in it."""
    return {file.parent: json.loads(file.read_text(encoding="utf-8")) for file in FILES}


def test_all_records_are_looked_at():
    assert Counter({"cifar10-cpu": 36, "demo": 36, "methods-cpu": 28, "methods-demo": 126}) <= RECORDED


def test_a_stored_id_is_the_name_of_the_folder_and_follows_from_the_stored_identity(stored):
    ids = {folder: (folder.name, run_id(metrics["identity"])) for folder, metrics in stored.items()}
    others = {folder: names for folder, names in ids.items() if {*names} != {stored[folder]["id"]}}
    assert not others


def test_stored_metrics_are_usable(stored):
    for folder, metrics in stored.items():
        try:
            metrics_schema.check(metrics)
        except ValueError as error:
            pytest.fail(f"{folder}: {error}")


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_the_study_s_file_still_asks_for_the_stored_runs(stored, name):
    with Composer() as composer:
        asked = {job.id: completed(job.identity) for job in study.plan(composer, name).jobs}
    kept = {folder.name: completed(m["identity"]) for folder, m in stored.items() if folder.parents[1].name == name}
    assert kept == asked
