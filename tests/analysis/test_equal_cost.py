"""Runs at equal steps and at equal rows: one setting in a comparison, and a note on what they cost."""

import pandas as pd
import pytest

from mixbench.analysis.compare import compare
from mixbench.analysis.frame import run_frame
from mixbench.analysis.notes import costs
from mixbench.config import budget
from mixbench.config.compose import Composer
from mixbench.config.identity import job

WORDS = ("dataset=digits", "n=20", "subset=balanced", "train.steps=100", "train.batch_size=10")


def made(*words, accuracy):
    """What runs of three seeds store; only what the comparison and the note read."""
    with Composer() as composer:
        jobs = [job(composer.compose([*WORDS, *words, f"seed={seed}"])) for seed in range(3)]
    found = []
    for one in jobs:
        steps, batch = one.cfg.train.steps, one.cfg.train.batch_size
        found.append(
            {
                "id": one.id,
                "identity": one.identity,
                "mixbench": "1",
                "numerics": {},
                "final_accuracy": accuracy + one.identity["seed"],
                "steps": steps,
                "images_seen": steps * batch,
                "rows_trained": round(steps * batch * budget.cost(one.cfg)),
            }
        )
    return found


@pytest.fixture(scope="module")
def frame():
    runs = made("method=none", accuracy=60.0)
    runs += made("method=regmixup", accuracy=70.0) + made("method=regmixup", "method.budget=rows", accuracy=65.0)
    return run_frame(runs)


def test_both_budgets_are_compared_with_the_same_baseline(frame):
    (setting,) = compare(frame, "final")
    gains = {one.name: one.gain.mean for one in setting.methods}
    assert len(gains) == 2
    assert sorted(gains.values()) == pytest.approx([5, 10])
    assert {"steps", "rows"} == {word for name in gains for word in ("steps", "rows") if word in name}


def test_equal_rows_are_equal(frame):
    rows = frame.set_index(["method", "method.budget"])["rows_trained"]
    assert set(rows["regmixup", "rows"]) == {1000}
    assert set(rows["regmixup", "steps"]) == {2000}


def test_the_note_says_which_runs_trained_for_longer(frame):
    (both,) = costs(frame)
    assert "regmixup 2" in both
    (longer,) = costs(frame[frame["method.budget"] != "rows"])
    (equal,) = costs(frame[frame["method.budget"] != "steps"])
    assert len({both, longer, equal}) == 3
    assert costs(frame[frame["method"] == "none"]) == []
    older = pd.DataFrame(frame.drop(columns=["rows_trained"])).assign(rows_trained=None)
    assert costs(older) == []
