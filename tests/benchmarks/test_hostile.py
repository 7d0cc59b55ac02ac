"""Slices of the campaigns in benchmarks/hostile, and faults that each has to find."""

import json
import os
import random
import re
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from hostile import archives, events, findings, fuzz, grammar, stores  # noqa: E402
from hostile.calls import Ended  # noqa: E402
from hostile.main import BEGIN, END, write  # noqa: E402

# Forks and their limits, in a process of its own: that of the tests may have threads.
START = """
import json, os, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
from hostile.calls import CLOSED, call, load, start
load()
here = Path(sys.argv[2])
"""


def ended(status=0, out="", err="", **more):
    return Ended(("table",), status, out, err, 1.0, 0, **more)


def in_a_fork(tmp_path, code):
    """What `code` prints as JSON, in a process that has loaded mixbench as the campaigns do."""
    words = [sys.executable, "-c", START + code, str(BENCHMARKS), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# How calls end


CALLS = """
def crashes(words): os.abort()
def raises(words): raise ValueError("as planned")
def waits(words): time.sleep(60)
def prints(words): print("x" * 10); return 3
def reaches_out(words):
    import socket
    socket.create_connection(("example.org", 80))
def takes(words):
    held = bytearray(400 * 2**20); time.sleep(60)
def exits(words): sys.exit(7)
found = {}
for program in (crashes, raises, prints, reaches_out, exits):
    found[program.__name__] = call((), here, program=program)
found["waits"] = call((), here, program=waits, limit=0.5)
found["takes"] = call((), here, program=takes, memory=200 * 2**20)
found["nobody reads"] = call((), here, program=prints, streams={1: open("/dev/full", "wb")})
found["closed"] = call((), here, program=lambda words: int(sys.stdout is None), streams={1: CLOSED})
child = start((), here, program=waits)
child.running(0.3)
child.signal(2)
found["interrupted"] = child.finish()
found["table"] = call(("table",), here)
found["typo"] = call(("tabel",), here)
found["written"] = call(("run", "dataset=digits", "n=0"), here)
print(json.dumps({name: vars(one) for name, one in found.items()}))
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    found = in_a_fork(tmp_path_factory.mktemp("calls"), CALLS)
    return {name: Ended(**fields) for name, fields in found.items()}


def test_a_call_tells_how_it_ended(calls):
    statuses = {name: one.status for name, one in calls.items()}
    assert statuses["crashes"] == 128 + 6
    assert statuses["raises"] == 1
    assert "as planned" in calls["raises"].err
    assert statuses["prints"] == 3
    assert calls["prints"].out == "x" * 10 + "\n"
    assert statuses["exits"] == 7
    assert "no network" in calls["reaches_out"].err
    assert statuses["interrupted"] == 130
    assert (calls["waits"].hung, calls["takes"].greedy) == (True, True)
    assert "waits" in calls["waits"].stack
    assert statuses["closed"] == 1


def test_a_failed_flush_at_the_end_is_what_python_makes_of_it(calls):
    program = "print('x' * 10); raise SystemExit(3)"
    with open("/dev/full", "wb") as full:
        words = [sys.executable, "-E", "-c", program]  # -E: whatever PYTHONUNBUFFERED says
        real = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert calls["nobody reads"].status == real.returncode == 120
    assert ("Exception ignored" in calls["nobody reads"].err) == ("Exception ignored" in real.stderr) is True


def test_commands_in_a_fork_answer_as_they_do_elsewhere(calls):
    assert calls["table"].status == 1
    assert calls["typo"].status == calls["written"].status == 2
    assert "table" in calls["typo"].err


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (ended(), None),
        (ended(2, err="mixbench: no\n"), None),
        (ended(1, err="Traceback (most recent call last)\n"), "traceback"),
        (ended(120, err="Exception ignored in: <stdout>\n"), "traceback"),
        (ended(139), "crash"),
        (ended(3), "status"),
        (ended(134, hung=True), "hang"),
        (ended(134, greedy=True), "memory"),
    ],
)
def test_what_is_wrong_with_a_call(end, kind):
    assert [finding.kind for finding in findings.judge(end, "input")] == [kind] * (kind is not None)


def test_whose_a_traceback_is():
    frames = 'File "/x/mixbench/cli.py", line 1\n  File "/x/mixbench/charts/gains.py", line 2\n  File "/y/numpy/a.py"'
    assert findings.owner_of(frames, "input") == "pictures"
    assert findings.owner_of("no frame", "input") == "input"


# Fuzz


@pytest.mark.parametrize(
    ("end", "kinds"),
    [
        (ended(2, err="mixbench: one line\n"), []),
        (ended(2, out="usage\n"), []),
        (ended(2, err="warning: x\nmixbench: one line\n"), []),
        (ended(2, err="a.py:3: UserWarning: x\n  warn()\nmixbench: one line\n"), []),
        (ended(2, err="one\ntwo\n"), ["lines"]),
        (ended(2), ["lines"]),
        (ended(2, err="\x1b[31m\n"), ["control"]),
        (ended(2, err="x" * 5000), ["long"]),
    ],
)
def test_a_refusal_is_one_printable_line(tmp_path, end, kinds):
    assert [finding.kind for finding in fuzz.check(end, {}, tmp_path)] == kinds


def test_a_refusal_writes_nothing(tmp_path):
    before = stores.contents(tmp_path)
    (tmp_path / "data").mkdir()
    refused = ended(2, err="mixbench: no\n")
    assert [finding.kind for finding in fuzz.check(refused, before, tmp_path)] == ["written"]
    assert fuzz.check(ended(0), before, tmp_path) == []


def test_command_lines_follow_from_the_seed_and_stay_inside():
    lines = [grammar.line(random.Random(5)) for _ in range(2)]
    assert lines[0] == lines[1]
    rng = random.Random(1)
    for _ in range(3000):
        for word in grammar.line(rng):
            key, _, value = word.partition("=")
            assert "\0" not in word
            if key in grammar.WRITES_ANYWHERE:
                assert not value.startswith(("/", "~"))
                assert ".." not in value


# Stores


def test_times_and_process_numbers_do_not_make_folders_differ(tmp_path):
    for name, seconds, pid in (("a", 1.5, 17), ("b", 2.5, 4711)):
        run = tmp_path / name / "run"
        run.mkdir(parents=True)
        (run / "metrics.json").write_text(json.dumps({"final_accuracy": 5.0, "seconds": seconds}))
        (run / "history.csv").write_text(f"step,test_loss,seconds\n1,2.5,{seconds}\n")
        (run / f".history.csv.{pid}").write_text("")
    a, b = stores.contents(tmp_path / "a"), stores.contents(tmp_path / "b")
    assert stores.differences(a, b) == ([], [], [])
    (tmp_path / "b/run/history.csv").write_text("step,test_loss,seconds\n1,2.5000000001,2.5\n")
    (tmp_path / "b/run/metrics.json").unlink()
    (tmp_path / "b/run/more").mkdir()
    b = stores.contents(tmp_path / "b")
    assert stores.differences(a, b) == (["run/metrics.json"], ["run/more"], ["run/history.csv"])


# Events


def test_events_are_those_below_the_folder_in_order(tmp_path):
    code = """
from hostile.events import Events
inside, outside = here / "inside", here / "outside"
inside.mkdir(); outside.mkdir()
def program(words):
    import shutil
    seen = Events(str(inside) + os.sep)
    seen.install()
    with open(inside / "a", "wb") as file:
        file.write(b"12345678"); file.flush(); os.fsync(file.fileno())
    (outside / "b").write_text("x")
    os.replace(inside / "a", inside / "c")
    (inside / "d").mkdir()
    shutil.rmtree(inside / "d")
    (inside / "c").read_bytes()
    (inside / "c").unlink()
    print(json.dumps(seen.seen))
def killed(words):
    Events(str(inside) + os.sep, at=1).install()
    with open(inside / "half", "wb") as file:
        file.write(b"12345678")
ended = call((), here, program=program)
dead = call((), here, program=killed)
print(json.dumps([json.loads(ended.out), dead.status, (inside / "half").read_text()]))
"""
    seen, status, half = in_a_fork(tmp_path, code)
    assert seen == ["open", "write", "fsync", "replace", "mkdir", "rmdir", "unlink"]
    assert (status, half) == (137, "1234")


# Archives


def test_bombs_are_what_they_say(tmp_path):
    for size in (0, 1, 1000, 3 * 2**20 + 17):
        assert archives.zeros_crc(b"head", size) == zlib.crc32(b"head" + bytes(size))
    size = 5 * 2**20 + 3
    facts = (size + 4, archives.zeros_crc(b"head", size))
    members = [("plain", b"hello", None), ("bomb", archives.zeros(size, b"head"), facts)]
    archives.write_zip(tmp_path / "x.zip", members)
    with zipfile.ZipFile(tmp_path / "x.zip") as opened:
        assert opened.testzip() is None
        assert opened.read("plain") == b"hello"
        assert opened.read("bomb") == b"head" + bytes(size)
    assert (tmp_path / "x.zip").stat().st_size < 20_000


def test_no_two_archives_have_one_name():
    names = [case.name for case in archives.cases()]
    assert len(set(names)) == len(names) > 100


# The script


def test_figures_go_between_the_marks(numbers, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    report = findings.Report("fuzz", {"command lines": 1000, "traceback": 0, "seconds": 12.3})
    report.write(tmp_path, {"seed": 3, "cpu": "a CPU", "date": "2026-01-02"})
    write(page, tmp_path)
    write(page, tmp_path)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    (row,) = [line for line in text.splitlines() if line.startswith("| fuzz")]
    campaign, figures, made = [cell.strip() for cell in row.strip("|").split("|")]
    assert numbers(campaign) == [3]  # the seed
    assert [figure.strip(" 0123456789,") for figure in figures.split(", ")] == ["command lines", "traceback", "seconds"]
    assert numbers(figures) == [1000, 0, 12]
    assert made == "a CPU, 2026-01-02"
    assert "old" not in text
    page.write_text("no marks")
    with pytest.raises(SystemExit, match=f"{re.escape(str(page))}.*{re.escape(BEGIN)}.*{re.escape(END)}"):
        write(page, tmp_path)
    assert page.read_text() == "no marks"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the campaigns fork and look into /proc")
@pytest.mark.parametrize(
    ("name", "count"), [("kills", 15), ("events", 12), ("fuzz", 20), ("archives", 12), ("pipes", 12)]
)
def test_a_slice_of_each_campaign(tmp_path, name, count):
    words = [sys.executable, BENCHMARKS / "hostile.py", name, "--count", str(count), "--jobs", "1", "--out", tmp_path]
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    stored = json.loads((tmp_path / f"{name}.json").read_text())
    assert stored["findings"] == [], done.stderr
    assert done.returncode == 0
    tried = next(iter(stored["figures"].values()))
    assert tried >= count or name == "events"
    assert done.stdout.startswith(f"{name}: ")


def test_commands_that_write_all_have_their_events():
    written = {command.words[0] for command in events.COMMANDS} | {"record"}
    assert written >= {"run", "sweep", "study", "table", "plot", "report", "gallery", "export", "import", "clean"}
