"""Which code made a stored run: what run, sweep, table and report say of it, and what a resumed run remembers."""

import json
from pathlib import Path

import pytest

from mixbench.analysis import table
from mixbench.cli.words import select
from mixbench.config.compose import Composer
from mixbench.core import numerics
from mixbench.training import loop
from mixbench.training.engine import Engine

LAST_CHECKSUM, EARLIER_CHECKSUM = "597a910118ed", "0123456789ab"
OTHER = numerics.VERSIONS | {"mixing": numerics.VERSIONS["mixing"] + 1}


def folder(seed=0):
    (found,) = Path("results/runs").glob(f"digits-*-s{seed}-*")
    return found


def rewrite(path, versions, **others):
    """Let a record say that code of these versions made it."""
    record = json.loads(path.read_text())
    del record["numerics"]
    path.write_text(json.dumps(record | ({"numerics": versions} if versions else {}) | others))


@pytest.fixture
def made(mixbench, tiny, monkeypatch):
    """Train two seeds; nothing can be trained after that."""
    assert mixbench("sweep", *tiny, "seed=0,1").status == 0
    monkeypatch.setattr(Engine, "step", None)
    return lambda *words: mixbench("sweep", *tiny, "seed=0,1", *words)


def test_a_record_of_equal_numerics_is_of_this_code(made):
    rewrite(folder() / "metrics.json", dict(numerics.VERSIONS), mixbench="9.9", git_commit="another")
    call = made()
    assert (call.status, call.err) == (0, "")
    assert "other code" not in call.out


@pytest.mark.parametrize(
    ("versions", "checksum", "other"),
    [
        (OTHER, None, True),
        (None, EARLIER_CHECKSUM, True),
        (None, LAST_CHECKSUM, False),
        (None, None, True),
    ],
)
def test_a_run_made_by_other_code_is_kept_and_told(made, mixbench, tiny, versions, checksum, other):
    rewrite(folder() / "metrics.json", versions, code_sha256=checksum)
    before = (folder() / "metrics.json").read_bytes()
    call = made()
    assert call.status == 0
    assert ("by other code" in call.out) == other
    alone = mixbench("run", *tiny, "seed=0").out
    assert ("force=true" in alone) == other
    assert (folder() / "metrics.json").read_bytes() == before


@pytest.mark.parametrize(("versions", "checksum", "other"), [(OTHER, None, True), (None, LAST_CHECKSUM, False)])
def test_a_table_says_that_its_runs_are_of_several_codes(made, versions, checksum, other):
    rewrite(folder() / "metrics.json", versions, code_sha256=checksum)
    with Composer() as composer:
        chosen = select(composer, ["dataset=digits"])
    assert chosen.frame["numerics"].nunique() == 1 + other
    text = table.markdown(chosen, table.build(chosen))
    assert all(code in text for code in chosen.frame["numerics"]) == other


def test_a_report_names_the_code_of_each_run(made, mixbench):
    rewrite(folder() / "provenance.json", None, code_sha256=EARLIER_CHECKSUM)
    assert mixbench("report", "dataset=digits").status == 0
    (text,) = Path("results").glob("*/report.md")
    origin = text.read_text().split("## Provenance")[1]
    assert EARLIER_CHECKSUM in origin
    assert numerics.name({"numerics": numerics.VERSIONS}) in origin


@pytest.mark.parametrize(
    ("versions", "checksum", "told"),
    [(OTHER, None, OTHER), (None, EARLIER_CHECKSUM, None), (None, LAST_CHECKSUM, "same")],
)
def test_a_resumed_run_remembers_the_code_of_its_earlier_part(mixbench, tiny, monkeypatch, versions, checksum, told):
    def interrupted(cfg, k, original=loop.learning_rate):
        if k == 8:
            raise KeyboardInterrupt
        return original(cfg, k)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "learning_rate", interrupted)
        assert mixbench("run", *tiny).status == 130
    rewrite(folder() / "provenance.json", versions, code_sha256=checksum)
    assert mixbench("run", *tiny).status == 0
    parts = json.loads((folder() / "provenance.json").read_text())["earlier_parts"]
    assert [part["numerics"] for part in parts] == ([] if told == "same" else [told])
    assert [part.get("code_sha256") for part in parts] == ([] if told == "same" else [None if told else checksum])
