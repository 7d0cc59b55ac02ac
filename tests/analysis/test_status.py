"""status: how runs stand, of those whose keys have the given values."""

import json
import shutil
from pathlib import Path

import pytest

from mixbench.runs.store.store import Store

STORE = Path(__file__).parents[1] / "fixtures" / "store"


@pytest.fixture
def results(tmp_path):
    shutil.copytree(STORE, tmp_path / "results")
    return Store(tmp_path / "results")


def begun(results, name, identity=None):
    folder = results.folder(name)
    folder.mkdir()
    (folder / "checkpoint.pt").write_text("…")
    provenance = {"id": name, "dataset": "digits", "eval": "test"} | ({"identity": identity} if identity else {})
    (folder / "provenance.json").write_text(json.dumps(provenance))


@pytest.mark.parametrize(
    "words",
    [
        ["n=20"],
        ["n=20,50", "method=none"],
        ["method=mixup,none"],
        ["method=label-mix", "seed=0,1"],
        ["dataset=digits", "train.batch_size=32"],
        ["dataset=nothing"],
    ],
)
def test_the_same_keys_choose_the_same_runs_as_for_a_table(mixbench, results, words):
    mixbench("table", *words, "out=made")
    path = Path("made/runs.csv")
    count = path.read_text().count("\n") - 1 if path.exists() else 0
    call = mixbench("status", *words)
    assert (call.status, call.err) == (0, "")
    head = call.out.splitlines()[0]
    assert head.endswith(f": {count} finished" if count else ": no runs")
    assert all(word in head for word in words)


def test_what_did_not_finish_is_known_by_its_settings_or_by_its_name(mixbench, results, numbers):
    identity = json.loads(next(results.runs.glob("*-none-*/metrics.json")).read_text())["identity"]
    begun(results, "digits-n20-label-mix-s7-0123456789", identity | {"method": "label-mix", "n": 20, "seed": 7})
    begun(results, "digits-n20-label-mix-s8-0123456789")
    begun(results, "digits-n50-label-mix-s8-0123456789", {"method": ["no"], "n": {}})
    begun(results, "my-set-n5-data-n20-label-mix-s9-0123456789")
    (results.folder("unnamed")).mkdir()
    (results.folder("unnamed") / "failed.json").write_text("{}")
    out = mixbench("status", "method=mixup", "n=20").out
    assert ": 3 finished, 3 interrupted\n" in out
    assert "s7-" in out
    assert "s8-" in out
    assert ": 1 interrupted\n" in mixbench("status", "seed=7").out
    assert ": 1 interrupted\n" in mixbench("status", "dataset=my-set-n5-data").out
    out = mixbench("status", "method=mixup", "n=20", "subset=balanced").out
    assert "s7-" in out
    assert "s8-" not in out
    _, left_out, *_ = out.splitlines()
    assert numbers(left_out) == [3]


def test_a_run_tells_its_settings_from_its_first_moment(mixbench, tiny, monkeypatch):
    from mixbench.runs import run

    def fails(*_):
        raise RuntimeError("injected")

    monkeypatch.setattr(run, "train", fails)
    assert mixbench("run", *tiny).status == 1
    assert ": 1 failed\n" in mixbench("status", "model.width=2", "dataset=digits").out
    assert ": no runs\n" in mixbench("status", "model.width=4").out


def test_a_key_that_no_run_has_is_a_mistake(mixbench, results):
    call = mixbench("status", "methd=mixup")
    assert (call.status, call.err.count("\n")) == (2, 1)
    assert "'methd'" in call.err
    assert "method?" in call.err
