"""Import: no damaged or hostile run gets in."""

import hashlib
import json
import random
import stat
import zipfile

import pytest
from archive_inputs import OTHER, RUN, STORE, members, refused

from mixbench.runs.store import reading
from mixbench.runs.store.store import INCOMING


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
    monkeypatch.setattr(reading, "TEXT_LIMIT", 2**20)
    rewrite(packed, honest(f"{RUN}/history.csv", b"0" * 2**21))
    why = refused(bring(), RUN)
    assert "history.csv" in why
    assert f"{2**21:,}" in why  # bytes that it unpacks to
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
