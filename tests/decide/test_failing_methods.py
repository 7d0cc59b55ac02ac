"""A method that cannot be trained leaves its race; the others go on, and it comes back when it was mended."""

import json
from pathlib import Path

import numpy as np
import pytest

import mixbench as mb
from mixbench.stats.rounds import Rounds
from mixbench.stats.sequential import IMAGES, judge

REASON = "left the building"
RAISES = f"""
from mixbench.mixing import Mixed, method


@method()
def broken(images, targets):
    if len(images) == 8:  # a batch of the training, not of the check before it
        raise ValueError("{REASON}")
    return Mixed(images, targets)
"""
MENDED = RAISES.replace("== 8", "== 0")


pytestmark = pytest.mark.filterwarnings("ignore:.*not finished")  # what a failed run leaves in the results


def record():
    (path,) = Path("results/races").glob("*.json")
    return json.loads(path.read_text())


def gains(folder="results"):
    return mb.compare(mb.load_runs(folder)).set_index("method")


def own_method(code):
    folder = Path("own/method")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "broken.py").write_text(code)
    (folder / "broken.yaml").write_text("# Broken: a method of the test\nfunction: broken.py:broken\n")


def test_an_own_method_that_raises_leaves_the_race(mixbench, words):
    own_method(RAISES)
    command = ("decide", *words, "method=none,cutmix,broken", "--config-dir", "own")
    call = mixbench(*command, "budget=3rounds")
    assert call.status == 1
    runs = mb.load_runs("results")
    assert set(runs["method"]) == {"none", "cutmix"}
    assert len(runs) == 6, "the others went on for all rounds"
    assert [REASON in why for why in record()["failed"].values()] == [True]
    (verdict,) = mb.recommend(runs)["verdict"]
    assert "broken" in verdict
    assert REASON in verdict
    (page,) = Path("results").glob("decide*/report.html")
    assert REASON in page.read_text()

    own_method(MENDED)
    assert mixbench(*command, "budget=3rounds").status == 0
    assert len(record()["failed"]) == 1, "it was tried, so the family still counts it"
    runs = mb.load_runs("results")
    assert sorted(runs["method"]) == ["broken"] * 3 + ["cutmix"] * 3 + ["none"] * 3
    assert REASON not in mb.recommend(runs)["verdict"][0]


def test_a_run_that_fails_once_is_tried_again(mixbench, made_up, words, monkeypatch):
    made_up.failing, train, calls = {"fmix"}, made_up.run_jobs, []

    def fails_once(jobs, *others):
        calls.append(len(jobs))
        made_up.failing = {"fmix"} if len(calls) == 1 else set()
        return train(jobs, *others)

    monkeypatch.setattr("mixbench.decide.race.run_jobs", fails_once)
    assert mixbench("decide", *words, "method=none,cutmix,fmix", "budget=3rounds").status == 0
    assert calls[:2] == [3, 1]
    assert not record()["failed"]
    assert len(mb.load_runs("results")) == 9


def test_the_others_are_compared_as_without_it_and_it_counts(mixbench, made_up, words):
    """Against a race of the others among one more method that was tried."""
    made_up.sd, made_up.failing = 3.0, {"fmix"}
    assert mixbench("decide", *words, "method=none,cutmix,data-mix,fmix", "budget=5rounds").status == 1
    frame = mb.load_runs("results").pivot_table(index="seed", columns="method", values="final_accuracy")
    bare = judge(frame[["none", "cutmix", "data-mix"]].to_numpy(float), family=4)
    found = gains()
    for m, method in enumerate(("cutmix", "data-mix"), 1):
        assert tuple(found.loc[method, ["gain", "low", "high"]]) == pytest.approx(
            (bare.gain[m], bare.low[m], bare.high[m])
        )


def test_what_a_method_that_failed_later_had_shown_is_forgotten(mixbench, made_up, words, monkeypatch):
    """It is much better than all others, which leave; when it fails, they are raced from their first round."""
    made_up.means, made_up.sd = {"cutmix": 60.0, "data-mix": 51.5}, 0.8
    train = made_up.run_jobs

    def fails_later(jobs, *others):
        made_up.failing = {"cutmix"} if any(job.identity["seed"] >= 2 for job in jobs) else set()
        return train(jobs, *others)

    monkeypatch.setattr("mixbench.decide.race.run_jobs", fails_later)
    call = mixbench("decide", *words, "method=none,cutmix,data-mix", "budget=8rounds")
    assert call.status == 1
    runs = mb.load_runs("results")
    assert (runs["method"] == "cutmix").sum() == 2
    for method in ("none", "data-mix"):
        assert (runs["method"] == method).sum() >= 3
    again = mb.recommend(runs)["verdict"][0]
    assert "Use cutmix" not in again
    assert "made to fail" in again
    before = len(made_up.trained)
    made_up.failing = {"cutmix"}
    mixbench("decide", *words, "method=none,data-mix", "budget=8rounds")
    assert len(made_up.trained) == before, "a command that does not name it leaves it out, and has all its runs"


def test_without_the_baseline_nothing_is_compared(mixbench, made_up, words):
    made_up.failing = {"none"}
    assert mixbench("decide", *words, "method=none,cutmix,fmix", "budget=5rounds").status == 1
    assert {job.identity["seed"] for job in made_up.jobs} == {0}


def test_with_no_method_left_nothing_is_said(mixbench, made_up, words):
    made_up.failing = {"fmix"}
    call = mixbench("decide", *words, "method=none,fmix", "budget=5rounds")
    assert call.status == 1
    assert len(made_up.trained) == 1
    (verdict,) = mb.recommend(mb.load_runs("results"))["verdict"]
    assert "Do not bother" not in verdict


def test_a_method_is_left_out_before_the_race_only():
    rounds = Rounds(3)
    rounds.leave_out(2)
    assert [method for method, _ in rounds.missing] == [0, 1]
    for method, round_ in rounds.missing:
        rounds.add(method, round_, float(method), None)
    rounds.judge()
    with pytest.raises(ValueError, match="method 1"):
        rounds.leave_out(1)


def test_too_few_images_end_a_race_without_one_of_its_methods_too():
    rng = np.random.default_rng(0)
    right = rng.random((2, 60)) < 0.5
    correct = np.array([right ^ (rng.random((2, 60)) < 0.02) for _ in range(30)])
    correct = np.concatenate([correct, np.zeros((30, 1, 60), bool)], axis=1)
    accuracies = 100 * correct.mean(2)
    accuracies[:, 2] = np.nan
    without = judge(accuracies, correct=correct, left_out=(2,))
    assert without.ended == judge(accuracies[:, :2], correct=correct[:, :2], family=3).ended == IMAGES
