"""Mistakes in the words of mixbench tune: one line with the value, and nothing is written."""

import sys

import pytest

TINY = ["dataset=digits", "n=50", "subset=balanced", "device=cpu", "precision=fp32", "model.width=2", "model.depth=10"]
TINY += ["train.steps=3", "train.batch_size=8"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("method=mixup", "nothing to tune"),
        ("method=mixup method.alpha=8..1", "method.alpha=8..1"),
        ("method=mixup method.alpha=1..x", "LOW..HIGH"),
        ("method=mixup method.alhpa=1..8", "did you mean method.alpha?"),
        ("method=mixup method.alpha=-1..8", "method.alpha"),
        ("method=mixup method.p=0..2", "method.p=2"),
        ("method=mixup method.per_sample=0..1", "method.per_sample"),
        ("method=mixup train.warmup=0.5..2", "train.warmup=0.5"),
        ("method=mixup train.warmup=0..2.5", "whole numbers"),
        ("method=mixup train.schedule=cosine,stepp", "stepp"),
        ("method=mixup train.lr=0.1..1 train.lr=0.1", "train.lr"),
        ("method=mixup n=20,50 train.lr=0.1..1", "n=20,50"),
        ("method=mixup seed=0..9 train.lr=0.1..1", "seed=0..9"),
        ("method=mixup train.checkpoint_every=1..9", "train.checkpoint_every"),
        ("method=mixup,label-mix train.lr=0.1..1", "method=mixup,label-mix"),
        ("method=mixup augment=standard,none augment.pad=1..2", "augment"),
        ("method=mixup train.lr=0.1..1 eval=validation", "eval=validation"),
        ("method=mixup train.lr=0.1..1 n=10", "n=10"),
        ("method=mixup train.lr=0.1..1 trials=0", "trials=0"),
        ("method=mixup train.lr=0.1..1 confirm=-1", "confirm=-1"),
        ("method=mixup train.lr=0.1..1 validation=45", "dataset.holdout=45"),
        ("method=mixup train.lr=0.1..1 trials=100000", "--yes"),
        ("method=mixup train.lr=0.1..1 --multirun", "--multirun"),
        ("method=mixup train.lr=0.1..1 subset=disjoint confirm=30", "subset_seed"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(mixbench, tmp_path, words, named):
    call = mixbench("tune", *TINY, *words.split())
    assert call.status == 2
    assert len(call.err.splitlines()) == 1
    assert named in call.err
    assert list(tmp_path.iterdir()) == []


def test_without_optuna_one_line_says_what_to_install(mixbench, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    call = mixbench("tune", *TINY, "train.lr=0.1..1")
    assert call.status == 2
    assert "mixbench[tune]" in call.err
    assert list(tmp_path.iterdir()) == []
