"""Any damage to a run's folder leaves every reader whole: the folder is named, the good runs beside it are shown."""

import contextlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mixbench.cli.main import main
from mixbench.runs.store.predictions import read_predictions
from mixbench.runs.store.store import SCHEMA, printable, scan

STORE = Path(__file__).parents[2] / "fixtures" / "store" / "runs"
GOOD = ("digits-n20-none-s0-60107ed3fa", "digits-n50-label-mix-s0-9f2a246abb")
BAD = "digits-n20-label-mix-s1-4bc9067536"
METRICS = json.loads((STORE / BAD / "metrics.json").read_text())
BESIDE = ("provenance.json", "config.yaml", "predictions.npz", "failed.json")
READERS = (["table"], ["status"])
FUZZ = settings(
    derandomize=True,
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([0, -5, 10**18, 10**400, 1e308, 5e-324, "", "3", "$\\frac$", "\ud800", "a\nb", "a|b"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)


@pytest.fixture
def results(tmp_path):
    """Two good runs, and one to be damaged."""
    for name in (*GOOD, BAD):
        shutil.copytree(STORE / name, tmp_path / "results/runs" / name)
    return tmp_path / "results"


def read(words, results):
    """Exit status, output and errors of a command; what would be a traceback is raised."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*words, f"results_dir={results}"])
    for stream in (out, err):
        stream.flush()
    return status, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()


def told(line):
    """How many folders a line on several is about."""
    more = re.search(r" and (\d+) more: left out", line)
    return int(more[1]) + 3 if more else line.partition(": left out")[0].count(", ") + 1


def check(results, readers=READERS, always=True):
    """Every reader ends well, shows the good runs, and names what holds a metrics.json and is not shown.

    always: call the readers also where the damaged run is left out, so that they do not come to see it.
    """
    found, problems = scan(results / "runs")
    names = {metrics["id"] for metrics in found}
    assert {*GOOD} <= names
    left_out = [
        entry
        for entry in os.listdir(results / "runs")
        if os.path.lexists(results / "runs" / entry / "metrics.json") and entry not in names
    ]
    shared = [line for line in problems if line.endswith(("(not a run)", "mixbench status)"))]
    assert len(problems) - len(shared) == len(left_out)
    others = [
        name
        for name in set(os.listdir(results / "runs")) - {*names, *left_out}
        if os.path.isdir(results / "runs" / name) and name[0] != "." and not name.endswith((".force", ".replaced"))
    ]
    assert sum(map(told, shared)) == len(others)
    for words in readers if always or BAD in names else ():
        status, out, err = read(words, results)
        assert status == 0, err
        assert "Traceback" not in out + err
        # Beside what is left out: a history that is no table, and pictures of the table as it was before.
        besides = ("history.csv: left out", "belong to an older table")
        lines = [line for line in err.splitlines() if not any(words in line for words in besides)]
        if words[0] != "status":
            about_runs = [line for line in lines if "These runs also differ" not in line]
            assert about_runs == [f"warning: {problem}" for problem in problems]
            for name in left_out:
                assert any(printable(name) in line for line in lines)
        if words[0] == "table":
            listed = (results / "selection/runs.csv").read_text()
            assert all(name in listed for name in names)
    return names


def damage(results, metrics):
    folder = results / "runs" / BAD
    (folder / "metrics.json").write_text(json.dumps(metrics))


@FUZZ
@given(st.sampled_from([key for key in METRICS if key != "identity"]), values)
@example("final_accuracy", True)
@example("final_accuracy", 1e308)
@example("best_accuracy", 10**400)
@example("id", [BAD])
@example("schema", SCHEMA + 1)
@example("schema", SCHEMA - 1)
@example("seconds", None)
@example("nll", [0.5])
@example("device", "\ud800")
@example("device", {"name": "cpu"})
@example("peak_memory_bytes", 10**400)
@example("per_class_accuracy", [[1]])
@example("identity", 3)
def test_any_value_of_a_metric(results, key, value):
    damage(results, METRICS | {key: value})
    check(results, [["table"]], always=False)


@FUZZ
@given(st.sampled_from(sorted(METRICS["identity"])) | st.text(max_size=4), values)
@example("n", True)
@example("n", -5)
@example("n", 20.0)
@example("n", 10**400)
@example("method", 3)
@example("method", ["none"])
@example("seed", [0, 1])
@example("seed", None)
@example("seed", 2**64)
@example("dataset", "")
@example("dataset", "$\\frac$ $")
@example("method.p", {"a": 1})
@example("method.p", [[1]])
@example("method.p", float("inf"))
@example("eval", ["test"])
@example("id", "another")
@example("cell", "another")
@example("folder", 3)
@example("variant", 3)
@example("final_accuracy", "high")
@example("\ud800", 1)
def test_any_value_of_a_setting(results, key, value):
    damage(results, METRICS | {"identity": METRICS["identity"] | {key: value}})
    rows = f"rows={key}" if key in METRICS["identity"] else "rows=seed"
    check(results, [["table", rows, "columns=method.p"]], always=False)


@FUZZ
@given(st.sets(st.sampled_from(sorted(METRICS["identity"]) + sorted(METRICS))))
def test_any_missing_keys(results, keys):
    identity = {key: value for key, value in METRICS["identity"].items() if key not in keys}
    damage(results, {key: value for key, value in (METRICS | {"identity": identity}).items() if key not in keys})
    check(results, [["table"]], always=False)


@settings(FUZZ, max_examples=100)
@given(values)
@example([])
@example({})
def test_any_json_in_place_of_the_metrics(results, value):
    damage(results, value)
    assert BAD not in check(results, always=False)


TEXTS = {
    "empty": b"",
    "deep": b"[" * 100_000,
    "long number": b'{"schema": 1' + b"0" * 5000 + b"}",
    "infinite": json.dumps(METRICS).replace("60.0", "1e999").encode(),
    "binary": bytes(range(256)),
    "UTF-16": json.dumps(METRICS).encode("utf-16"),
    "Latin-1": json.dumps(METRICS | {"device": "é"}, ensure_ascii=False).encode("latin-1"),
    "byte order mark": b"\xef\xbb\xbf" + json.dumps(METRICS).encode(),
}


@pytest.mark.parametrize("text", TEXTS)
def test_any_bytes_in_place_of_the_metrics(results, text):
    (results / "runs" / BAD / "metrics.json").write_bytes(TEXTS[text])
    assert BAD not in check(results) or text == "infinite"


def garble(content, seed):
    """Cut off (seed 0), or with some bytes changed."""
    rng = random.Random(seed)
    content = bytearray(content)
    if seed == 0:
        return content[: rng.randrange(len(content))]
    for _ in range(rng.choice([1, 30])):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return content


@pytest.mark.parametrize("seed", range(3))
def test_files_that_are_cut_or_garbled(results, seed):
    folder = results / "runs" / BAD
    for file in BESIDE:
        (folder / file).write_bytes(random.Random(seed).randbytes(300))
    assert BAD in check(results)
    (folder / "history.csv").write_bytes(garble((folder / "history.csv").read_bytes(), seed))
    assert BAD in check(results, [["plot"]])
    (folder / "metrics.json").write_bytes(garble((folder / "metrics.json").read_bytes(), seed))
    check(results)


def test_predictions_that_are_cut_or_garbled(tmp_path):
    """They are what was kept, or none."""
    rng = np.random.default_rng(0)
    kept = {"logits": rng.normal(size=(50, 10)).astype(np.float16), "labels": np.arange(50) % 10}
    np.savez_compressed(tmp_path / "predictions.npz", **kept)
    whole, intact = (tmp_path / "predictions.npz").read_bytes(), 0
    for seed in range(300):
        (tmp_path / "predictions.npz").write_bytes(garble(whole, seed))
        found = read_predictions(tmp_path)
        intact += found is not None
        assert found is None or all((a == b).all() for a, b in zip(found, kept.values(), strict=True))
    assert 0 < intact < 100


def test_files_that_are_gone(results):
    (results / "runs" / BAD / "history.csv").unlink()
    assert BAD in check(results, [["plot"]])
    (results / "runs" / BAD / "metrics.json").unlink()
    assert BAD not in check(results)


HISTORIES = {
    "text": "step,train_loss,test_loss\n1,low,high\n",
    "text for a step": "step,train_loss,test_loss\nfirst,1,2\n",
    "infinite": "step,train_loss,test_loss\n1,inf,-inf\n2,nan,1e308\n",
    "no rows": "step,train_loss,test_loss\n",
    "no column": "step,train_loss\n1,2\n",
    "more cells than columns": "step,train_loss,test_loss\n1,2,3\n1,2,3,4,5\n",
    "NUL": "step,train_loss,test_loss\n1,2,\0\n",
    "quote": 'step,train_loss,test_loss\n1,2,"3\n',
    "huge step": f"step,train_loss,test_loss\n{10**400},2,3\n",
    "negative": "step,train_loss,test_loss\n-1,-2,-3\n",
    "true": "step,train_loss,test_loss\nTrue,True,False\n",
}


@pytest.mark.parametrize("apart", [True, False], ids=["in panels of their own", "in one panel"])
def test_histories_that_are_none(results, apart):
    for number, (name, text) in enumerate(HISTORIES.items()):
        identity = METRICS["identity"] | {"seed": number} | ({"n": 100 + number} if apart else {})
        folder = results / "runs" / name.replace(" ", "-")
        folder.mkdir()
        (folder / "metrics.json").write_text(json.dumps(METRICS | {"id": folder.name, "identity": identity}))
        (folder / "history.csv").write_text(text)
    assert len(check(results, [["plot"]])) == 3 + len(HISTORIES)


def litter(runs):
    """What may lie beside runs: each is shown by no reader, and stumbled over by none."""
    (runs / "photos").mkdir()
    (runs / "photos/cat.png").write_bytes(b"\x89PNG")
    (runs / "digits-n20-none-s5-0123456789").write_text("a file in place of a folder")
    (runs / "digits-n20-none-s6-0123456789").symlink_to("gone")
    (runs / "round").symlink_to("round")
    (runs / "digits-n20-none-s7-0123456789").mkdir()
    (runs / "digits-n20-none-s7-0123456789/.metrics.json.123").write_text("{")
    (runs / "digits-n20-none-s8-0123456789").mkdir()
    (runs / "digits-n20-none-s8-0123456789/metrics.json").symlink_to("metrics.json")
    (runs / "metrics-is-a-folder/metrics.json").mkdir(parents=True)
    for name in (b"digits-\xff-n20-none-s0-0123456789", b"two\nlines", b"\x1b[31mred"):
        folder = Path(os.fsdecode(os.fsencode(runs) + b"/" + name))
        folder.mkdir()
        (folder / "metrics.json").write_text(json.dumps(METRICS | {"id": folder.name}))
    (runs / "failed").mkdir()
    (runs / "failed/failed.json").write_text(json.dumps({"error": "\ud800\n\x1b", "traceback": []}))
    (runs / ".incoming/digits-n20-none-s9-0123456789").mkdir(parents=True)


def test_foreign_folders(results):
    litter(results / "runs")
    (results / "runs" / BAD / "metrics.json").write_text("")
    names = check(results, [*READERS, ["plot"], ["report"]])
    assert names == {*GOOD}
    _, out, _ = read(["status"], results)
    assert "digits-\\udcff-n20" in out
    assert "failed       failed  (\\ud800\\n\\x1b)" in out
    assert read(["clean"], results)[0] == 0


AS_NOBODY = """
import os, sys
import matplotlib
from mixbench.analysis import plot, table
from mixbench.runs.store import cleanup
from mixbench.cli.main import main
from mixbench.config import method_aliases
method_aliases.aliases()  # what it imports may be unreadable to nobody
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
if not os.access(matplotlib.matplotlib_fname(), os.R_OK):
    sys.exit(77)
for words in (["table"], ["plot"], ["status"]):
    status = main([*words, f"results_dir={sys.argv[1]}", *[f"out={sys.argv[2]}"] * (words != ["status"])])
    print("exit", words[0], status)
"""


@pytest.fixture
def anyones():
    """A folder that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def test_folders_that_may_not_be_read(results, anyones):
    shutil.copytree(results, anyones / "results")
    runs = anyones / "results/runs"
    (runs / "photos").mkdir()
    for path in (runs / BAD, runs / "photos"):
        path.chmod(0)

    def call():
        words = [sys.executable, "-c", AS_NOBODY, str(anyones / "results"), str(anyones / "out")]
        environment = os.environ | {"MPLCONFIGDIR": str(anyones / "mpl")}
        ended = subprocess.run(words, capture_output=True, text=True, cwd=anyones, env=environment)
        if ended.returncode == 77:
            pytest.skip("another user may not read this Python")
        assert ended.returncode == 0, ended.stderr
        return ended

    ended = call()
    assert [line for line in ended.stdout.splitlines() if line.startswith("exit")] == [
        "exit table 0",
        "exit plot 0",
        "exit status 0",
    ]
    assert f"{runs / BAD}: left out (" in ended.stderr
    assert f"damaged      {BAD}" in ended.stdout
    runs.chmod(0)
    ended = call()
    assert ended.stdout.split() == [
        "exit",
        "table",
        "2",
        "exit",
        "plot",
        "2",
        "exit",
        "status",
        "2",
    ]
    assert ended.stderr.count("Permission denied") == ended.stderr.count("\n") == 3
    runs.chmod(0o700)
    (runs / BAD).chmod(0o700)
