"""Races travel with their runs: an archive of them says what the results folder says, and an import adds its record."""

import json
import shutil
import zipfile

import pytest

import mixbench as mb

COMMAND = "method=none,data-mix,cutmix"


@pytest.fixture
def raced(mixbench, made_up, words, tmp_path):
    """A race that was exported to race.zip; returns its verdicts and its records."""
    made_up.means, made_up.sd = {"cutmix": 56.0, "data-mix": 49.0}, 1.0
    assert mixbench("decide", *words, COMMAND, "budget=6rounds").status == 0
    assert mixbench("export", "out=race.zip").status == 0
    records = {path.name: path.read_bytes() for path in (tmp_path / "results/races").glob("*.json")}
    assert len(records) == 1
    return mb.recommend(mb.load_runs("results")), records


def changed(tmp_path, change):
    """race.zip with a change of its manifest."""
    with zipfile.ZipFile(tmp_path / "race.zip") as old, zipfile.ZipFile(tmp_path / "changed.zip", "w") as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename == "manifest.json":
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
            new.writestr(member, content)
    return "changed.zip"


def test_an_archive_and_its_import_say_what_the_race_said(mixbench, raced, tmp_path):
    verdicts, records = raced
    same(mb.recommend(mb.load_runs("race.zip")), verdicts)
    assert mixbench("import", "race.zip", "results_dir=other").status == 0
    same(mb.recommend(mb.load_runs("other")), verdicts)
    assert {path.name: path.read_bytes() for path in (tmp_path / "other/races").glob("*.json")} == records
    low = mb.compare(mb.load_runs("other"))["low"]
    shutil.rmtree(tmp_path / "other/races")
    assert (mb.compare(mb.load_runs("other"))["low"] != low).any()  # the intervals of a fixed number of runs


def test_the_same_race_gives_the_same_bytes_again(mixbench, raced, tmp_path):
    assert mixbench("import", "race.zip", "results_dir=other").status == 0
    assert mixbench("export", "out=again.zip", "results_dir=other").status == 0
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "race.zip").read_bytes()


def test_an_import_adds_methods_to_the_race_here(mixbench, raced, made_up, words, tmp_path):
    """Every method ever tried at a setting stays in the family, wherever it was tried."""
    assert mixbench("decide", *words, "method=none,label-mix", "budget=3rounds", "results_dir=other").status == 0
    assert mixbench("import", "race.zip", "results_dir=other").status == 0
    (path,) = (tmp_path / "other/races").glob("*.json")
    entries = json.loads(path.read_text())["entries"]
    assert {entry["name"] for entry in entries} == {"none", "label-mix", "data-mix", "cutmix"}
    assert json.loads(path.read_text())["rounds"] == json.loads(next(iter(raced[1].values())))["rounds"]


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["races"][0].update(setting="../../escaped"),
        lambda manifest: manifest["races"][0].update(entries=[]),
        lambda manifest: manifest["races"][0].pop("first"),
        lambda manifest: manifest.update(races=[3]),
    ],
)
def test_a_damaged_record_is_told_and_the_runs_are_imported(mixbench, raced, tmp_path, change):
    archive = changed(tmp_path, change)
    before = {path.name for path in tmp_path.iterdir()}
    call = mixbench("import", archive, "results_dir=other")
    assert call.status == 1
    assert len(call.err.splitlines()) == 1
    assert len(mb.load_runs("other")) == len(mb.load_runs("results"))
    assert not list((tmp_path / "other").glob("races/*.json"))
    assert {path.name for path in tmp_path.iterdir()} - before == {"other"}
    with pytest.raises(mb.UserError, match="race"):
        mb.recommend(mb.load_runs(archive))


def test_a_race_of_other_subsets_is_not_joined(mixbench, raced, made_up, words, tmp_path):
    assert mixbench("decide", *words, COMMAND, "budget=3rounds", "seed=40", "results_dir=other").status == 0
    (path,) = (tmp_path / "other/races").glob("*.json")
    before = path.read_bytes()
    assert mixbench("import", "race.zip", "results_dir=other").status == 1
    assert path.read_bytes() == before


def same(one, other):
    assert one.to_dict("records") == other.to_dict("records")
