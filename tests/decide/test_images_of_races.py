"""The part of the test images in a race: in real runs, and where some runs lack their predictions."""

from pathlib import Path

import numpy as np
import pytest

import mixbench as mb
from mixbench.analysis.compare import compare
from mixbench.analysis.correct import read_or_none
from mixbench.analysis.raced import races_of, replay
from mixbench.stats.rounds import Rounds
from mixbench.stats.sequential import judge


def intervals(read, folder="results"):
    (stored,) = races_of(mb.load_runs(folder)).values()
    found = replay(stored, "final", read)
    return found, found.standing.high[1] - found.standing.low[1]


def test_a_real_race_holds_for_other_test_images(mixbench, words):
    changed = ("n=", "train.steps=", "train.eval_every=")
    words = [word for word in words if not word.startswith(changed)]
    more = ("n=100", "train.steps=40", "train.eval_every=20", "method=none,fmix", "budget=4rounds", "margin=0.1")
    call = mixbench("decide", *words, *more)
    assert call.status == 0
    runs = mb.load_runs("results")
    (setting,) = compare(runs, "final")
    assert setting.images_known
    (gain,) = [gain for _, gain in setting.gains]
    assert gain.image_sd > 0
    _, wide = intervals(read_or_none)
    without, narrow = intervals(lambda place: None)
    assert np.isnan(without.standing.image_sd[1])
    # Not always wider: the degrees of freedom grow with the part of the images, and there are few rounds.
    assert wide != pytest.approx(narrow)
    assert gain.interval[1] - gain.interval[0] == pytest.approx(wide)
    (verdict,) = mb.recommend(runs)["verdict"]
    assert "8 runs" in verdict

    next(Path("results/runs").glob("*fmix*/predictions.npz")).unlink()
    found, _ = intervals(read_or_none)
    assert found.with_images == 7
    assert np.isfinite(found.standing.image_sd[1]), "the part of the images is estimated from the other runs"
    (said,) = mb.recommend(mb.load_runs("results"))["verdict"]
    assert " 7 " in said.replace(verdict, "")


def played(rounds, lacking=()):
    """Accuracies and correct images of three methods that differ image by image."""
    rng = np.random.default_rng(5)
    taste = rng.random((3, 200))
    correct = rng.random((rounds, 3, 200)) < taste
    stored = np.ones((rounds, 3), bool)
    for place in lacking:
        stored[place] = False
    return 100 * correct.mean(2), correct, stored


@pytest.mark.parametrize("lacking", [[(2, 1)], [(0, 0), (3, 2)]])
def test_runs_without_predictions_are_those_of_a_race_of_the_others(lacking):
    """The image part of a pair, against that of the rounds in which both are stored."""
    accuracies, correct, stored = played(7, lacking)
    some = judge(accuracies, correct=correct, stored=stored)
    for m in (1, 2):
        rounds = stored[:, 0] & stored[:, m]
        part = judge(accuracies[rounds], correct=correct[rounds]).image_sd[m]
        assert some.image_sd[m] == pytest.approx(part)
    assert some.gain == pytest.approx(judge(accuracies).gain)
    assert (some.high - some.low)[1:] == pytest.approx(
        (judge(accuracies, correct=correct).high - some.low)[1:], rel=0.3
    )


def test_a_method_without_predictions_has_the_largest_part_of_the_others():
    accuracies, correct, stored = played(6, [(r, 2) for r in range(6)])
    standing = judge(accuracies, correct=correct, stored=stored)
    assert standing.image_sd[2] == pytest.approx(standing.image_sd[1])
    assert standing.image_sd[1] == pytest.approx(judge(accuracies[:, :2], correct=correct[:, :2]).image_sd[1])


def test_all_predictions_are_as_without_a_list():
    accuracies, correct, stored = played(5)
    one, other = judge(accuracies, correct=correct), judge(accuracies, correct=correct, stored=stored)
    assert one.low == pytest.approx(other.low)
    assert one.image_sd[1:] == pytest.approx(other.image_sd[1:])


def test_rounds_give_what_is_stored():
    accuracies, correct, stored = played(3, [(1, 1)])
    rounds = Rounds(3, margin=0.1)
    while rounds.round < 3:
        for method, round_ in rounds.missing:
            rounds.add(
                method, round_, accuracies[round_, method], correct[round_, method] if stored[round_, method] else None
            )
        rounds.judge()
    assert rounds.with_images == 8
    assert rounds.standing.image_sd[1] == pytest.approx(
        judge(accuracies, margin=0.1, correct=correct, stored=stored).image_sd[1]
    )
