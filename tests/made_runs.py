"""The folders that runs leave, compared; and what can happen to a run at a step."""

import csv
import json
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import processes
import pytest

from mixbench.training import loop

NAMES = {"config.yaml", "provenance.json", "history.csv", "predictions.npz", "metrics.json"}


STEPS = 14  # of the tiny run


TIMES = (
    "seconds",
    "steps_per_second",
    "peak_memory_bytes",
    "other_load",
)  # what may differ between two trainings of one run


def folder_of(results, pattern="*"):
    """The only run folder."""
    (folder,) = (path for path in (Path(results) / "runs").glob(pattern) if path.is_dir() and path.name != ".locks")
    return folder


def history(folder):
    """The rows of history.csv as they are written, but for the seconds."""
    with open(folder / "history.csv", newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def assert_same_run(first, second):
    """Two trainings of one run agree bit for bit in all but the time that they took."""
    assert history(first) == history(second)
    with np.load(first / "predictions.npz") as a, np.load(second / "predictions.npz") as b:
        assert set(a) == set(b) == {"logits", "labels"}
        for key in a:
            assert a[key].dtype == b[key].dtype
            assert np.array_equal(a[key], b[key])
    without_times = [{k: v for k, v in metrics(folder).items() if k not in TIMES} for folder in (first, second)]
    assert without_times[0] == without_times[1]
    assert (first / "config.yaml").read_bytes() == (second / "config.yaml").read_bytes()
    sources = [json.loads((folder / "provenance.json").read_text()) for folder in (first, second)]
    for source in sources:
        del source["git_commit"]  # someone may commit while the tests run
    assert sources[0] == sources[1]


@contextmanager
def at_step(step, happens):
    """Let something happen before update `step` + 1 of each run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "learning_rate", before_update(step, happens))
        yield


def before_update(step, happens, original=loop.learning_rate):
    def learning_rate(cfg, k):
        if k == step:
            happens()
        return original(cfg, k)

    return learning_rate


def interrupt(times=1):
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)


def untrainable(*_):
    raise AssertionError("this must not train")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def start(words, folder, log="log", sabotage=None):
    with open(folder / log, "a") as file:
        return processes.start(words, folder, streams={1: file, 2: file}, before=sabotage)


class Crash(BaseException):
    """The process ends here."""
