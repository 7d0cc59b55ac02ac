"""Export: what is packed, what stays at home, what is refused."""

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml
from archive_inputs import OTHER, RUN, changed_metrics, members

from mixbench.runs.store import records


def test_where_images_lay_stays_at_home(mixbench, results, tmp_path):
    text = "n: 20\ndataset:\n  name: my\n  path: /elsewhere/my.npz\n  root: /elsewhere/data\n"
    (results.folder(RUN) / "config.yaml").write_text(text)
    (results.folder(OTHER) / "config.yaml").write_bytes(b"\xff{: no YAML")
    assert mixbench("export").status == 0
    found = members(tmp_path / "runs.mixbench.zip")
    kept = yaml.safe_load(found[f"{RUN}/config.yaml"])
    assert kept == {"n": 20, "dataset": {"name": "my", "path": None, "root": "data"}}
    assert found[f"{OTHER}/config.yaml"] == b"\xff{: no YAML"
    assert (results.folder(RUN) / "config.yaml").read_text() == text


def test_an_archive_holds_the_finished_runs_as_they_are_and_a_manifest(mixbench, results, numbers, tmp_path, contents):
    for litter in ("checkpoint.pt", "failed.json", ".metrics.json.123", "notes.txt"):
        (results.folder(RUN) / litter).write_text("…")
    unfinished = results.folder("digits-n20-none-s9-0123456789")
    unfinished.mkdir()
    (unfinished / "checkpoint.pt").write_text("…")
    before = contents(results.root)
    call = mixbench("export")
    path = tmp_path / "runs.mixbench.zip"
    assert call.status == 0
    assert call.out.startswith("runs.mixbench.zip: ")
    assert "results/runs/" in call.out
    assert (numbers(call.out), call.out.count("\n")) == ([15, round(path.stat().st_size / 1e3, 1)], 1)
    assert call.err.startswith(f"warning: results/runs/{unfinished.name}: ")
    assert "mixbench status" in call.err  # which tells more
    assert call.err.count("\n") == 1
    found = members(path)
    manifest = json.loads(found.pop("manifest.json"))
    assert (manifest["schema"], manifest["mixbench"]) == (1, "0.1.0")
    assert sorted(manifest["runs"]) == sorted({name.split("/")[0] for name in found})
    assert len(manifest["runs"]) == 15
    kept = {"metrics.json", "history.csv", "config.yaml", "provenance.json", "predictions.npz", "label_noise.csv"}
    assert {name.split("/")[1] for name in found if name.startswith(RUN)} == kept
    for name, content in found.items():
        assert content == (results.runs / name).read_bytes()
        run, file = name.split("/")
        checksum = hashlib.sha256(content).hexdigest()
        assert manifest["runs"][run][file] == {"bytes": len(content), "sha256": checksum}
    assert contents(results.root) == before
    assert {path.name for path in tmp_path.iterdir()} == {"results", "runs.mixbench.zip"}
    first = path.read_bytes()
    assert mixbench("export").status == 0  # takes the place of the old one
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("words", "name", "count"),
    [
        (["demo"], "demo.mixbench.zip", 15),
        (["demo", "n=20"], "demo,n=20.mixbench.zip", 9),
        (["method=mixup,none", "n=50"], "runs,method=mixup,none,n=50.mixbench.zip", 5),
        (["n=50", "out=new/fifty.zip"], "new/fifty.zip", 6),
    ],
)
def test_the_words_of_a_table_choose_the_runs(mixbench, results, bring, elsewhere, words, name, count):
    call = mixbench("export", *words)
    assert (call.status, call.err) == (0, "")
    assert call.out.startswith(f"{name}: {count} runs from ")
    assert bring(name).status == 0  # also where the name has an equals sign
    assert len(elsewhere.ids()) == count


def test_a_studys_records_are_packed_where_there_are_no_runs(mixbench, results, bring, elsewhere):
    assert mixbench("export", "demo", "out=results/published/demo/runs.zip").status == 0
    packed = (results.root / "published/demo/runs.zip").read_bytes()
    shutil.rmtree(results.runs)
    call = mixbench("export", "demo")
    assert call.status == 0
    assert "results/published/demo/runs.zip" in call.out
    assert Path("demo.mixbench.zip").read_bytes() == packed
    assert bring("demo.mixbench.zip").status == 0
    assert len(elsewhere.ids()) == 15


def test_a_study_without_runs_and_records_names_each_place_where_they_may_be(mixbench, results, tmp_path, monkeypatch):
    package = tmp_path / "package"
    monkeypatch.setattr(records, "_shipped", lambda: package)
    shutil.rmtree(results.runs)
    shutil.rmtree(results.root / "published", ignore_errors=True)
    call = mixbench("report", "demo")
    assert call.status == 1
    for place in (Path("results/runs"), Path("results/published/demo/runs.zip"), package / "demo/runs.zip"):
        assert str(place) in call.err


def test_predictions_may_stay_and_weights_may_come(mixbench, results, tmp_path):
    for words, expected in (
        ([], {"predictions.npz"}),
        (["predictions=false"], set()),
        (["weights=true"], {"predictions.npz", "weights.pt"}),
    ):
        assert mixbench("export", *words).status == 0
        found = {name.split("/")[-1] for name in members(tmp_path / "runs.mixbench.zip")}
        assert found & {"predictions.npz", "weights.pt"} == expected


def test_nothing_to_pack_writes_nothing(mixbench, results, tmp_path):
    for words in (["seed=7"], ["small-data"], ["results_dir=nowhere"]):
        call = mixbench("export", *words)
        assert (call.status, call.out) == (1, "")
        assert call.err.count("\n") == 1
        assert ("nowhere/" if "results_dir=nowhere" in words else "results/") in call.err
    assert {path.name for path in tmp_path.iterdir()} == {"results"}


def test_a_run_whose_name_is_not_of_its_settings_is_left_out(mixbench, results, tmp_path):
    false = results.folder("digits-n20-none-s0-0123456789")
    shutil.copytree(results.folder(RUN), false)
    changed_metrics(results, false.name, id=false.name)
    call = mixbench("export")
    assert call.status == 0
    assert "15 runs" in call.out
    assert call.err.startswith(f"warning: results/runs/{false.name}: ")
    assert "name" in call.err.partition(f"{false.name}: ")[2]
    assert call.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("export demoo", ["'demoo'", "did you mean demo?"]),
        ("export sed=1", ["'sed'", "did you mean seed?"]),
        ("export rule=best", ["rule=best", "predictions"]),
        ("export predictions=no", ["predictions=no", "true or false"]),
        ("export weights=1", ["weights=1", "true or false"]),
        ("export out=results", ["out=results", "is a folder"]),
        ("export out=mine.npz", ["out=mine.npz", "archive of runs"]),
        ("export out=mine.npz/runs.zip", ["out=mine.npz", "cannot be written"]),
        ("export --all", ["'--all'"]),
        ("import nowhere.zip", ["nowhere.zip", "no such file"]),
        ("import mine.npz", ["mine.npz", "mixbench export"]),
        ("import text.zip", ["text.zip", "mixbench export"]),
        ("import cut.zip", ["cut.zip", "mixbench export"]),
        ("import results", ["results", "mixbench export"]),
        ("import good.zip text.zip", ["text.zip", "mixbench export"]),
        ("import newer.zip", ["newer.zip", "schema 2", "schema 1"]),
        ("import odd.zip", ["odd.zip", "lists no runs"]),
        ("import deep.zip", ["deep.zip", "mixbench export"]),
        ("import good.zip results_dir=text.zip", ["results_dir=text.zip", "cannot be written"]),
        ("import results_dir=elsewhere", ["at least one archive"]),
        ("import --force good.zip", ["'--force'"]),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(mixbench, results, tmp_path, contents, words, told):
    assert mixbench("export", "out=good.zip", "n=50").status == 0
    Path("text.zip").write_text("no archive")
    Path("cut.zip").write_bytes(Path("good.zip").read_bytes()[:-100])
    for name, text in (("newer", '{"schema": 2, "runs": {}}'), ("odd", '{"schema": 1, "runs": [1]}')):
        with zipfile.ZipFile(f"{name}.zip", "w") as opened:
            opened.writestr("manifest.json", text)
    with zipfile.ZipFile("deep.zip", "w") as opened:
        opened.writestr("manifest.json", "[" * 100_000)
    with zipfile.ZipFile("mine.npz", "w") as opened:
        opened.writestr("train_images.npy", b"...")
    before = contents(tmp_path)
    call = mixbench(*words.split())
    assert (call.status, call.out) == (2, "")
    assert call.err.count("\n") == 1
    assert all(text in call.err for text in told), call.err
    assert contents(tmp_path) == before


def test_import_without_words_shows_its_help(mixbench):
    call = mixbench("import")
    assert call.status == 2
    assert re.search(r"\n  mixbench import \S+\.mixbench\.zip", call.out)  # an example
