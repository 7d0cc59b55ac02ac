"""Output that cannot be written: the work goes on, the exit status is that of the work. Real pipes and descriptors.

Most calls are forks (tests/processes.py) whose descriptors are set as a shell sets them; some are fresh interpreters in
a real shell, which tell that both ways agree.
"""

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import processes
import pytest
import torch
from processes import CLOSED, PATIENCE

from mixbench.cli import streams
from mixbench.cli.console import Console
from mixbench.cli.main import main
from mixbench.runs.run import StopRequest
from mixbench.runs.store.store import Store

MIXBENCH = [sys.executable, "-m", "mixbench"]
NEVER_ENDING = ("train.steps=1000000", "train.eval_every=1000000", "train.checkpoint_every=1000000")
ARTEFACTS = {"config.yaml", "provenance.json", "history.csv", "predictions.npz", "metrics.json"}


def shell(redirection, words, folder, **environment):
    """Call `mixbench WORDS REDIRECTION` as bash would, in a fork; the exit status is mixbench's, also in a pipeline."""
    redirected, _, reader = redirection.partition("|")
    with ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        opened = {1: out, 2: err}
        if reader:
            read, opened[1] = (stack.enter_context(os.fdopen(end, "r+b", 0)) for end in os.pipe())
            piped = subprocess.Popen(shlex.split(reader), stdin=read, stdout=out, stderr=err)
        for word in redirected.split():
            number, sign, target = re.fullmatch(r"([012]?)([<>])(\S+)", word).groups()
            number = int(number or "<>".index(sign))
            if target == "&-":
                opened[number] = CLOSED
            elif target.startswith("&"):
                opened[number] = opened[int(target[1:])]
            else:
                opened[number] = stack.enter_context(open(target, "rb" if sign == "<" else "wb"))
        process = processes.start(words, folder, streams=opened, environment=environment)
        if reader:  # the pipe is now theirs alone
            read.close()
            opened[1].close()
        code = processes.ended(process)
        if reader:
            piped.wait(PATIENCE)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


def real_shell(redirection, words, folder, **environment):
    """The same in bash and a fresh interpreter."""
    script = f'set -o pipefail; "$@" {redirection}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ["bash", "-c", script, "bash", *MIXBENCH, *words],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        timeout=PATIENCE,
    )


def finished(folder):
    """The folders of finished runs, none of which may say that it failed."""
    runs = [path.parent for path in (Path(folder) / "results/runs").glob("*/metrics.json")]
    assert not list((Path(folder) / "results/runs").glob("*/failed.json"))
    return runs


@pytest.fixture(scope="module")
def stored(tmp_path_factory, tiny):
    """A folder with six finished runs of two methods."""
    folder = tmp_path_factory.mktemp("stored")
    words = [*tiny, "method=none,mixup", "seed=0,1,2", f"results_dir={folder / 'results'}"]
    assert main(["sweep", *words]) == 0
    return folder


@pytest.fixture
def copy(stored, tmp_path):
    shutil.copytree(stored / "results", tmp_path / "results")
    return tmp_path


# Forks and fresh interpreters


@pytest.mark.parametrize("redirection", ["", ">/dev/full", "2>&1 | head -c 1", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_fork_answers_as_a_real_shell_does(copy, redirection):
    for words in (["status"], ["tabel"]):
        done, real = (way(redirection, words, copy) for way in (shell, real_shell))
        assert (done.returncode, done.stdout, done.stderr) == (real.returncode, real.stdout, real.stderr)


# Commands that train


@pytest.mark.parametrize("redirection", ["<&- >&- 2>&-", ">&-", ">/dev/full 2>/dev/full"])
def test_a_run_is_made_whatever_becomes_of_its_output(tmp_path, tiny, redirection):
    way = real_shell if redirection == "<&- >&- 2>&-" else shell
    done = way(redirection, ["run", *tiny, "progress=on"], tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = finished(tmp_path)
    assert {path.name for path in folder.iterdir()} == ARTEFACTS
    json.loads((folder / "metrics.json").read_text())  # nothing that was printed went into a file
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_reader_that_goes_away_ends_no_run(tmp_path, tiny):
    done = shell("2>&1 | head -c 20", ["run", *tiny, "progress=on"], tmp_path)
    assert done.returncode == 0
    assert len(finished(tmp_path)) == 1
    assert done.stderr == b""


def test_a_sweep_trains_all_its_runs_for_a_reader_of_one_line(tmp_path, tiny):
    done = shell("| head -1", ["sweep", *tiny, "method=none,mixup", "seed=0,1,2"], tmp_path)
    assert done.returncode == 0
    assert len(finished(tmp_path)) == 6
    assert done.stdout.startswith(b"6 runs")
    assert done.stdout.count(b"\n") == 1
    assert done.stderr == b""


def test_a_study_is_made_whatever_becomes_of_its_output(tmp_path, tiny):
    words = ["study", "demo", *(word for word in tiny if word[:2] not in ("n=", "su")), "n=50", "seed=0"]
    done = shell(">/dev/full", words, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(finished(tmp_path)) >= 3
    assert list((tmp_path / "results").glob("demo*/report.html"))
    assert b"Traceback" not in done.stderr


def test_a_run_that_failed_is_1_also_where_no_one_reads(tmp_path, tiny):
    assert shell("2>&1 | true", ["run", *tiny, "train.lr=1e20"], tmp_path).returncode == 1
    assert list(tmp_path.glob("results/runs/*/failed.json"))


def test_a_mistake_is_2_also_where_no_one_reads(tmp_path):
    for redirection in ("2>&1 | true", "2>&-"):
        assert shell(redirection, ["run", "methd=mixup"], tmp_path).returncode == 2


def test_a_changed_store_is_changed_whatever_becomes_of_the_output(copy):
    assert shell(">/dev/full", ["export", "method=none"], copy).returncode == 0
    (archive,) = copy.glob("*.mixbench.zip")
    taken = shell(">/dev/full", ["import", str(archive), "results_dir=other"], copy)
    assert taken.returncode == 0, taken.stderr
    assert len(list(copy.glob("other/runs/*/metrics.json"))) == 3
    for folder in copy.glob("other/runs/*-s0-*"):
        (folder / "metrics.json").unlink()
    assert shell(">/dev/full", ["clean", "--yes", "results_dir=other"], copy).returncode == 0
    assert not list(copy.glob("other/runs/*-s0-*"))


# Commands whose output is what they are for


SHOWING = {
    "help": ["--help"],
    "run help": ["run", "--help"],
    "version": ["--version"],
    "configuration": ["run", "--cfg", "job", "method=fmix"],
    "dry run": ["sweep", "dataset=digits", "n=20", "seed=0,1", "train.steps=5", "--dry-run"],
    "list": ["list", "methods"],
    "table": ["table", "dataset=digits"],
    "plot": ["plot", "dataset=digits"],
    "report": ["report", "dataset=digits"],
    "status": ["status"],
}


@pytest.mark.parametrize("words", SHOWING.values(), ids=SHOWING)
def test_what_no_one_reads_is_no_failure_and_what_is_lost_is_one(copy, words):
    plain = shell("", words, copy)
    assert plain.returncode == 0, plain.stderr
    for redirection in ("2>&1 | head -c 1", ">&- 2>&-", "2>/dev/full"):
        done = shell(redirection, words, copy)
        assert done.returncode == 0, (redirection, done.stderr)
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr
        if redirection == "2>/dev/full":
            assert done.stdout == plain.stdout
    lost = shell(">/dev/full", words, copy)
    assert lost.returncode == 1
    assert lost.stderr.count(b"\n") == plain.stderr.count(b"\n") + 1
    assert lost.stderr.startswith(b"mixbench: ") or plain.stderr
    assert b"No space left on device" in lost.stderr


# Characters that the output cannot show


ENVIRONMENTS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
TEXTS = {key: SHOWING[key] for key in ("help", "list", "table", "report")}


@pytest.mark.parametrize("words", TEXTS.values(), ids=TEXTS)
def test_what_cannot_be_shown_is_replaced(copy, words):
    full = shell("", words, copy, PYTHONIOENCODING="utf-8")
    wanted = full.stdout.decode()
    for name, environment in ENVIRONMENTS.items():
        if name == "C" and words[0] != "list":
            continue  # the locale needs a fresh interpreter, and one command tells
        done = (real_shell if name == "C" else shell)("", words, copy, **environment)
        assert (full.returncode, done.returncode) == (0, 0), done.stderr
        text = done.stdout.decode("latin-1" if name == "latin" else "ascii")
        if not wanted.isascii():
            assert text != wanted or name == "latin"
        # Every line is there, with all its plain words.
        for got, line in zip(text.splitlines(), wanted.splitlines(), strict=True):
            assert {word for word in line.split() if word.isascii() and "-" not in word} <= set(got.split())


def test_a_folder_whose_name_is_no_text_is_no_failure(copy):
    folder = copy / os.fsdecode(b"caf\xe9")
    os.rename(copy / "results", folder)
    for environment in ({"PYTHONIOENCODING": "utf-8"}, {"PYTHONIOENCODING": "ascii"}):
        done = shell("", ["status", f"results_dir={folder.name}"], copy, **environment)
        assert done.returncode == 0, done.stderr
        assert b"caf\xe9/" in done.stdout  # the bytes that the file system knows it by


def test_progress_and_failures_are_shown_in_ascii(tmp_path, tiny):
    words = ["sweep", *tiny, "method=mixup", "method.alpha=0.2,0.4", "progress=on"]
    done = shell("", words, tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert len(finished(tmp_path)) == 2
    assert "=0.2" in done.stdout.decode("ascii")


# Signals


def begun(folder, running):
    """Wait until the process trains."""
    end = time.monotonic() + PATIENCE
    while not list(Path(folder).glob("results/runs/*/provenance.json")) and running():
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)


def assert_resumable(folder):
    (checkpoint,) = Path(folder).glob("results/runs/*/checkpoint.pt")
    assert torch.load(checkpoint, weights_only=True)["progress"]["step"] > 0
    assert not list(Path(folder).glob("results/runs/*/failed.json"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_writes_a_checkpoint_where_no_one_reads(tmp_path, tiny, number):
    read, write = os.pipe()
    words = ["run", *tiny, *NEVER_ENDING, "progress=on"]
    process = processes.start(words, tmp_path, streams={1: write, 2: write})
    begun(tmp_path, process.is_alive)
    os.close(write)
    os.close(read)  # whoever read is gone
    os.kill(process.pid, number)
    assert processes.ended(process) == 130
    assert_resumable(tmp_path)


def test_ctrl_c_writes_a_checkpoint_without_stderr(tmp_path, tiny):
    process = processes.start(["run", *tiny, *NEVER_ENDING], tmp_path, streams={2: CLOSED})
    begun(tmp_path, process.is_alive)
    os.kill(process.pid, signal.SIGINT)
    assert processes.ended(process) == 130
    assert_resumable(tmp_path)


def test_a_terminal_that_is_closed_stops_a_run_with_a_checkpoint(tmp_path, tiny):
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execv(sys.executable, [*MIXBENCH, "run", *tiny, *NEVER_ENDING])
    try:
        termios.tcsetwinsize(terminal, (24, 200))
        shown = b""
        while b"loss" not in shown:  # the bar, after the first steps
            assert select.select([terminal], [], [], PATIENCE)[0], shown
            shown += os.read(terminal, 4096)
        assert b"nan" not in shown
    finally:
        os.close(terminal)  # the kernel sends SIGHUP; what is written from now on is EIO
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 130
    assert_resumable(tmp_path)


def test_under_nohup_a_closed_terminal_stops_nothing_nor_does_a_broken_pipe(tmp_path, tiny):
    words = [*MIXBENCH, "run", *tiny, *NEVER_ENDING]
    process = subprocess.Popen(["nohup", *words], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begun(tmp_path, lambda: process.poll() is None)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGPIPE)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 130
    assert_resumable(tmp_path)


def test_a_second_hangup_does_not_cut_the_checkpoint_off(mixbench, tiny, monkeypatch):
    """A closed terminal sends more than one: the shell's and the kernel's."""
    from mixbench.training import loop

    original = loop.learning_rate

    def hang_up(cfg, k):
        if k == 7:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGHUP)
        return original(cfg, k)

    before = signal.getsignal(signal.SIGHUP)
    monkeypatch.setattr(loop, "learning_rate", hang_up)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert mixbench("run", *tiny).status == 130
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
    (checkpoint,) = Path("results/runs").glob("*/checkpoint.pt")
    assert torch.load(checkpoint, weights_only=True)["progress"]["step"] == 8


def print_under_fire(_):
    streams.protect()
    stop = StopRequest(Console(Store(".")))
    with stop.listening():

        def shoot():
            for _ in range(200):
                os.kill(os.getpid(), signal.SIGHUP)
                time.sleep(0.002)

        thread = threading.Thread(target=shoot)
        thread.start()
        while thread.is_alive():
            print("x" * 5000, file=sys.stderr, flush=True)
    assert stop


def test_signals_that_meet_printing_break_nothing(tmp_path):
    """A handler that prints would now and then meet a print that it interrupted (RuntimeError: reentrant call)."""
    done = processes.call([], tmp_path, program=print_under_fire)
    assert done.returncode == 0, done.stderr[-2000:].replace(b"x", b"")
