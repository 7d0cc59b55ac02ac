"""Export and import: the same tables elsewhere, nothing finished is overwritten, no damaged or hostile run gets in."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import processes
import pytest
import yaml

from mixbench.runs.store import archive, importing, store
from mixbench.runs.store.store import INCOMING, Store

STORE = Path(__file__).parents[2] / "fixtures" / "store"
RUN = "digits-n20-none-s0-60107ed3fa"
OTHER = "digits-n20-none-s1-afcd4a2ba1"
BRING = ["import", "runs.mixbench.zip", "results_dir=elsewhere"]


@pytest.fixture
def results(tmp_path):
    """The made-up runs, two of them with the files that only real runs have."""
    shutil.copytree(STORE, tmp_path / "results")
    for name in (RUN, OTHER):
        folder = tmp_path / "results/runs" / name
        for file in ("config.yaml", "provenance.json", "predictions.npz", "weights.pt", "label_noise.csv"):
            (folder / file).write_bytes(f"{file} of {name}".encode())
    return Store(tmp_path / "results")


@pytest.fixture
def packed(mixbench, results, tmp_path):
    """All of them in runs.mixbench.zip."""
    assert mixbench("export").status == 0
    return tmp_path / "runs.mixbench.zip"


@pytest.fixture
def elsewhere(tmp_path):
    return Store(tmp_path / "elsewhere")


@pytest.fixture
def bring(mixbench):
    """Call `mixbench import` into another folder."""
    return lambda *files: mixbench("import", *map(str, files or ["runs.mixbench.zip"]), "results_dir=elsewhere")


def refused(call, name):
    """Why an import refused a run, as its line on that run says; it may have lines on others."""
    assert call.status == 1
    assert "Traceback" not in call.err
    head = f"runs.mixbench.zip: {name}: "
    (why,) = [line.removeprefix(head) for line in call.err.splitlines() if line.startswith(head)]
    return why


def members(path):
    with zipfile.ZipFile(path) as opened:
        return {info.filename: opened.read(info) for info in opened.infolist() if not info.is_dir()}


def rewrite(path, change, links=()):
    """Pack the archive anew after `change(files, manifest)`, where files is member -> bytes."""
    files = members(path)
    manifest = json.loads(files.pop("manifest.json"))
    change(files, manifest)
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in (*files.items(), ("manifest.json", json.dumps(manifest).encode())):
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK if name in links else stat.S_IFREG) << 16
            opened.writestr(info, content)


def honest(name, content):
    """Change a file, and the manifest with it."""

    def change(files, manifest):
        files[name] = content
        run, _, file = name.rpartition("/")
        manifest["runs"].setdefault(run, {})[file] = {
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    return change


def changed_metrics(results, name, **changed):
    path = results.folder(name) / "metrics.json"
    metrics = json.loads(path.read_text()) | changed
    path.write_text(json.dumps(metrics))
    return path.read_bytes()


# Packing


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
    results.runs.rename(results.root / "kept")
    (results.root / "demo").mkdir()
    (results.root / "kept").rename(results.root / "demo/runs")
    assert "15 runs" in mixbench("export", "demo").out
    assert bring("demo.mixbench.zip").status == 0
    assert len(elsewhere.ids()) == 15


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
        ("export out=mine.npz", ["out=mine.npz", "no archive of runs"]),
        ("export out=mine.npz/runs.zip", ["out=mine.npz", "cannot be written"]),
        ("export --all", ["'--all'"]),
        ("import nowhere.zip", ["nowhere.zip", "no such file"]),
        ("import mine.npz", ["mine.npz", "no archive that mixbench export made"]),
        ("import text.zip", ["text.zip", "no archive that mixbench export made"]),
        ("import cut.zip", ["cut.zip", "no archive that mixbench export made"]),
        ("import results", ["results", "no archive that mixbench export made"]),
        ("import good.zip text.zip", ["text.zip", "no archive"]),
        ("import newer.zip", ["newer.zip", "schema 2", "reads 1"]),
        ("import odd.zip", ["odd.zip", "lists no runs"]),
        ("import deep.zip", ["deep.zip", "no archive"]),
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


# Merging


def test_an_imported_study_gives_the_same_table(mixbench, results, bring, elsewhere, packed, counts, contents):
    call = bring()
    assert (call.status, call.err) == (0, "")
    assert call.out.startswith("runs.mixbench.zip: ")
    assert call.out.endswith("elsewhere/runs/\n")
    assert (counts(call.out), call.out.count("\n")) == ({"imported": 15}, 1)
    for words in (["demo"], ["dataset=digits", "rows=method", "columns=n"]):
        for folder in ("results", "elsewhere"):
            assert mixbench("table", *words, f"results_dir={folder}").status == 0
    for table in ("demo/accuracy.csv", "demo/runs.csv", "selection,dataset=digits/accuracy.csv"):
        assert (results.root / table).read_text() == (elsewhere.root / table).read_text()
    (results.folder(RUN) / "weights.pt").unlink()
    assert contents(elsewhere.folder(RUN)) == contents(results.folder(RUN))
    assert {path.name for path in elsewhere.runs.iterdir()} - {*results.ids()} == {".locks", "schema.json"}
    again = bring()
    assert (again.status, again.err) == (0, "")
    assert again.out.startswith("runs.mixbench.zip: ")
    assert (counts(again.out), again.out.count("\n")) == ({"there": 15}, 1)


def test_an_imported_run_is_found_by_the_command_that_made_it(mixbench, tiny, tmp_path):
    assert mixbench("run", *tiny).status == 0
    assert mixbench("export").status == 0
    assert mixbench("import", "runs.mixbench.zip", "results_dir=elsewhere").status == 0
    assert "(finished before)" in mixbench("run", *tiny, "results_dir=elsewhere").out


def test_several_archives_are_merged_and_missing_files_are_added(mixbench, results, bring, elsewhere, counts):
    assert mixbench("export", "n=20", "out=twenty.zip", "predictions=false").status == 0
    assert mixbench("export", "out=all.zip").status == 0
    call = bring("twenty.zip", "all.zip")
    assert (call.status, call.err) == (0, "")
    first, *added, last = call.out.splitlines()
    assert first.startswith("twenty.zip: ")
    assert last.startswith("all.zip: ")
    assert (counts(first), counts(last)) == ({"imported": 9}, {"there": 9, "imported": 6})
    assert [line for line in added if RUN in line and "predictions.npz" in line]
    assert (elsewhere.folder(RUN) / "predictions.npz").read_bytes() == f"predictions.npz of {RUN}".encode()


def test_other_results_of_a_run_are_a_conflict_and_the_rest_is_imported(
    mixbench, results, bring, elsewhere, packed, counts, numbers, contents
):
    assert bring().status == 0
    changed_metrics(elsewhere, RUN, final_accuracy=12.5, device="another device")
    changed_metrics(elsewhere, OTHER, seconds=99.0)
    history = elsewhere.folder("digits-n50-none-s0-5dc3b611c1") / "history.csv"
    history.write_text(history.read_text().replace(",1.0\n", ",1.5\n"))
    shutil.rmtree(elsewhere.folder("digits-n50-none-s1-3e6c33016b"))
    before = contents(elsewhere.runs)
    call = bring()
    assert call.status == 1
    assert counts(call.out) == {"there": 11, "imported": 1, "not": 3}
    names, reasons = zip(*(line.split(": ", 2)[1:] for line in call.err.splitlines()), strict=True)
    assert names == (RUN, OTHER, history.parent.name)
    assert all("conflict" in reason for reason in reasons)
    assert "final_accuracy" in reasons[0]
    assert numbers(reasons[0]) == [12.5, 60.0]  # what is here stands first
    assert reasons[0].index("another device") < reasons[0].index("test device")
    assert "seconds" in reasons[1]
    assert "history.csv" in reasons[2]
    after = contents(elsewhere.runs)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("file", ["checkpoint.pt", "failed.json", None])
def test_a_finished_run_takes_the_place_of_an_unfinished_one(bring, elsewhere, packed, contents, results, file):
    elsewhere.folder(RUN).mkdir(parents=True)
    if file:
        (elsewhere.folder(RUN) / file).write_text("{}")
    call = bring()
    assert (call.status, call.err) == (0, "")
    state = "failed" if file == "failed.json" else "interrupted"
    (line,) = [line for line in call.out.splitlines() if RUN in line]
    assert state in line
    assert elsewhere.state(RUN).name == "finished"
    assert not (elsewhere.folder(RUN) / "checkpoint.pt").exists()
    assert {path.name for path in elsewhere.runs.iterdir()} - {*results.ids()} == {".locks", "schema.json"}


def test_what_another_process_trains_is_passed_over(bring, elsewhere, packed, counts):
    elsewhere.folder(RUN).mkdir(parents=True)
    (elsewhere.folder(RUN) / "checkpoint.pt").write_text("…")
    with elsewhere.lock(RUN):
        call = bring()
    assert "another process" in refused(call, RUN)
    assert call.err.count("\n") == 1
    assert counts(call.out) == {"imported": 14, "not": 1}
    assert [path.name for path in elsewhere.folder(RUN).iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("text", ["{", '{"schema": 2}', "a file in place of the folder"])
def test_what_cannot_be_read_stays_for_a_person_to_decide(bring, elsewhere, packed, text):
    elsewhere.runs.mkdir(parents=True)
    if text.startswith("{"):
        elsewhere.folder(RUN).mkdir()
    path = elsewhere.folder(RUN) / ("metrics.json" if text.startswith("{") else "")
    path.write_text(text)
    call = bring()
    assert f"elsewhere/runs/{RUN} " in refused(call, RUN)  # not the one of the archive
    assert call.err.count("\n") == 1
    assert path.read_text() == text


def test_runs_on_other_images_of_the_same_name_are_not_mixed(mixbench, results, bring, elsewhere, packed):
    assert bring().status == 0
    shutil.rmtree(elsewhere.folder(RUN))
    for name in elsewhere.ids():
        changed_metrics(elsewhere, name, data_sha256="f" * 64)
    call = bring()
    why = refused(call, RUN)
    assert "'digits'" in why
    assert "elsewhere/runs/" in why  # where a run on the other images is
    assert not elsewhere.folder(RUN).exists()


# Damage and malice

METRICS = (STORE / "runs" / RUN / "metrics.json").read_bytes()


def in_archive(name, content):
    """Put other bytes into the archive, None for none, and leave the manifest."""

    def change(files, manifest):
        files[f"{RUN}/{name}"] = content
        if content is None:
            del files[f"{RUN}/{name}"]

    return change


def in_manifest(**facts):
    """Say something else of the run's files in the manifest, None for nothing."""

    def change(files, manifest):
        listed = manifest["runs"][RUN]
        for name, fact in facts.items():
            listed[name.replace("_", ".")] = fact
        manifest["runs"][RUN] = {name: fact for name, fact in listed.items() if fact is not None}

    return change


BAD = {
    "another byte": in_archive("metrics.json", METRICS.replace(b"60.0", b"99.9")),
    "a file is missing": in_archive("history.csv", None),
    "larger than said": in_archive("history.csv", b"0" * 2**22),
    "no metrics": in_manifest(metrics_json=None),
    "size is text": in_manifest(history_csv={"bytes": "1", "sha256": "0"}),
    "size is missing": in_manifest(history_csv={"sha256": "0"}),
    "a list for a size": in_manifest(history_csv=[1, 2]),
    "a list for the files": lambda files, manifest: manifest["runs"].update({RUN: ["metrics.json"]}),
    "other schema": honest(f"{RUN}/metrics.json", json.dumps({"schema": 2, "id": RUN}).encode()),
    "no JSON": honest(f"{RUN}/metrics.json", b"{"),
    "deep JSON": honest(f"{RUN}/metrics.json", b"[" * 100_000),
    "of another run": honest(f"{RUN}/metrics.json", (STORE / "runs" / OTHER / "metrics.json").read_bytes()),
    "other settings": honest(f"{RUN}/metrics.json", METRICS.replace(b'"train.lr": 0.1', b'"train.lr": 0.2')),
    "a checkpoint": honest(f"{RUN}/checkpoint.pt", b"..."),
}


@pytest.mark.parametrize("damage", BAD)
def test_a_damaged_run_is_told_and_the_others_are_imported(bring, elsewhere, packed, tmp_path, damage):
    rewrite(packed, BAD[damage])
    assert refused(bring(), RUN)
    assert len(elsewhere.ids()) == 14
    assert not elsewhere.folder(RUN).exists()
    assert not (elsewhere.runs / INCOMING).exists()
    assert {path.name for path in tmp_path.iterdir()} == {"results", "elsewhere", "runs.mixbench.zip"}


OUTSIDE = ("../evil", "/tmp/evil", "..", ".", "", "a\\..\\b", f"{RUN}/..", ".locks", "a\nb", "a\0b", "x" * 300)


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_leads_out_of_the_store(bring, elsewhere, packed, tmp_path, name):
    content = METRICS.replace(RUN.encode(), json.dumps(name)[1:-1].encode())
    rewrite(packed, honest(f"{name}/metrics.json", content))
    call = bring()
    assert call.status == 1
    assert call.err
    assert all(line.startswith("runs.mixbench.zip: ") for line in call.err.splitlines())
    assert len(elsewhere.ids()) == 15
    assert {path.name for path in tmp_path.iterdir()} == {"results", "elsewhere", "runs.mixbench.zip"}
    assert {path.name for path in elsewhere.runs.iterdir()} - {*elsewhere.ids()} == {".locks", "schema.json"}


def test_members_beside_the_manifest_and_links_are_told(bring, elsewhere, packed, tmp_path):
    def change(files, manifest):
        files |= {"../evil": b"...", "/evil": b"...", f"{RUN}/notes.txt": b"...", f"{RUN}/": b""}
        honest(f"{OTHER}/history.csv", b"/etc/passwd")(files, manifest)

    rewrite(packed, change, links=[f"{OTHER}/history.csv"])
    call = bring()
    assert call.status == 1
    told = [line.split(": ", 2)[1:] for line in call.err.splitlines()]
    assert [name for name, _ in told] == ["'../evil'", "'/evil'", f"'{RUN}/notes.txt'", OTHER]
    assert all("manifest" in why for _, why in told[:3])
    assert "history.csv" in told[3][1]
    assert "link" in told[3][1]
    assert len(elsewhere.ids()) == 14
    assert not (elsewhere.folder(RUN) / "notes.txt").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"results", "elsewhere", "runs.mixbench.zip"}


def test_a_bomb_is_not_unpacked(mixbench, results, bring, elsewhere, packed, monkeypatch):
    """Neither a text beyond any text's size, nor a member that holds more than the archive's directory says."""
    monkeypatch.setattr(archive, "TEXT_LIMIT", 2**20)
    rewrite(packed, honest(f"{RUN}/history.csv", b"0" * 2**21))
    why = refused(bring(), RUN)
    assert "history.csv" in why
    assert str(2**21) in why  # bytes that it unpacks to
    assert len(elsewhere.ids()) == 14

    with zipfile.ZipFile("runs.mixbench.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(f"{RUN}/metrics.json", b"0" * 2**19)
        facts = {"bytes": 10, "sha256": "0"}
        manifest = {"schema": 1, "runs": {RUN: {"metrics.json": facts}}}
        opened.writestr("manifest.json", json.dumps(manifest))
        opened.filelist[0].file_size = 10  # of the directory at the end
    assert refused(bring(), RUN)


@pytest.mark.parametrize("seed", range(20))
def test_no_garbled_archive_ends_in_a_traceback_or_gets_a_wrong_run_in(bring, elsewhere, packed, results, seed):
    """Bytes are replaced anywhere: what is imported is what was packed."""
    rng = random.Random(seed)
    content = bytearray(packed.read_bytes())
    for _ in range(rng.choice([1, 3, 30, 300])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    packed.write_bytes(content)
    call = bring()
    assert call.status in (0, 1, 2)
    assert "Traceback" not in call.err
    for name in elsewhere.ids():
        for file in ("metrics.json", "history.csv"):
            assert (elsewhere.folder(name) / file).read_bytes() == (results.folder(name) / file).read_bytes()


# Interruptions


def die_halfway():
    place = importing._place

    def dies(results, folder, metrics, known):
        if folder.name == OTHER:
            os.kill(os.getpid(), signal.SIGKILL)
        return place(results, folder, metrics, known)

    importing._place = dies


def test_a_killed_import_leaves_nothing_that_a_command_trips_over(mixbench, bring, elsewhere, packed, tmp_path):
    done = processes.call(BRING, tmp_path, before=die_halfway)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = elsewhere.runs / INCOMING
    assert (left / OTHER / "metrics.json").exists()
    assert OTHER not in elsewhere.ids(copies=True)
    for words in (["status"], ["table", "dataset=digits"], ["plot", "dataset=digits"]):
        call = mixbench(*words, "results_dir=elsewhere")
        assert (call.status, call.err) == (0, "")
        assert INCOMING not in call.out
    shown = mixbench("clean", "results_dir=elsewhere")
    (drop,) = [line for line in shown.out.splitlines() if f"elsewhere/runs/{INCOMING} " in line]
    assert "import" in drop.partition(INCOMING)[2]  # what left it
    assert "dropped 1" in mixbench("clean", "--yes", "results_dir=elsewhere").out
    assert not left.exists()
    left.mkdir()
    (left / "half").write_text("…")
    assert bring().status == 0  # and so does the next import
    assert not left.exists()
    assert len(elsewhere.ids()) == 15


def test_an_interrupted_import_tidies_up_and_keeps_what_is_in_place(bring, elsewhere, packed, monkeypatch):
    place = importing._place

    def interrupted(results, folder, metrics, known):
        if folder.name == OTHER:
            raise KeyboardInterrupt
        return place(results, folder, metrics, known)

    monkeypatch.setattr(importing, "_place", interrupted)
    assert bring().status == 130
    assert not (elsewhere.runs / INCOMING).exists()
    assert 0 < len(elsewhere.ids()) < 15
    monkeypatch.undo()


def test_a_full_disk_is_told_once_for_all_runs(bring, elsewhere, packed, numbers, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(store.Store, "open", lambda self: self.runs.mkdir(parents=True))
    call = bring()
    assert call.status == 1
    assert call.err.startswith("runs.mixbench.zip: ")
    assert "No space left on device" in call.err
    assert call.err.count("\n") == 1
    assert numbers(call.err) == [14]  # the others
    assert elsewhere.ids() == []


def test_imports_into_one_store_wait_for_one_another(elsewhere, packed, tmp_path):
    elsewhere.open()
    with elsewhere.lock(INCOMING):
        with open(tmp_path / "out", "w") as out, open(tmp_path / "err", "w") as err:
            waiting = processes.start(BRING, tmp_path, streams={1: out, 2: err})
        while "waiting" not in (tmp_path / "err").read_text():
            assert waiting.is_alive()
            time.sleep(0.02)
        time.sleep(0.2)
        assert elsewhere.ids() == []
    assert processes.ended(waiting) == 0
    assert (tmp_path / "err").read_text().count("\n") == 1
    assert "15 imported" in (tmp_path / "out").read_text()


def test_neither_command_imports_torch(results, tmp_path):
    script = """
import sys
from mixbench.cli.main import main
assert main(["export", "demo"]) == 0
assert main(["import", "demo.mixbench.zip", "results_dir=elsewhere"]) == 0
assert not {"torch", "torchvision"} & set(sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
