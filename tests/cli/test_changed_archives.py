"""Runs on one name of a data set are runs on the same images."""

from pathlib import Path

import numpy as np
from cli_inputs import NPZ, archive


def test_other_images_under_the_name_of_stored_ones_are_refused(mixbench, tmp_path, contents):
    archive("my.npz")
    words = [*NPZ.split(), "device=cpu"]
    assert mixbench(*words).status == 0
    archive("my.npz", train_labels=np.arange(12)[::-1] % 3)
    before = contents(tmp_path)
    for more in ([], ["force=true"], ["n=5"]):
        call = mixbench(*words, *more)
        assert call.status == 2
        assert call.err.startswith("mixbench: ")
        assert "dataset.name=my:" in call.err
        assert call.err.count("\n") == 1
        assert contents(tmp_path) == before
    assert mixbench(*words, "dataset.name=other").status == 0


def test_a_sweep_over_archives_of_one_name_is_refused(mixbench, tmp_path):
    for folder, labels in (("a", np.arange(12) % 3), ("b", np.arange(12)[::-1] % 3)):
        Path(folder).mkdir()
        archive(f"{folder}/my.npz", train_labels=labels)
    words = ["dataset=npz", "dataset.path=a/my.npz,b/my.npz", "n=4", "model.width=2", "train.steps=2", "device=cpu"]
    call = mixbench("sweep", *words)
    assert call.status == 2
    assert call.err.startswith("mixbench: ")
    assert "dataset.name=my:" in call.err
    assert not (tmp_path / "results").exists()


def test_a_resumed_run_never_mixes_two_data_sets(mixbench, contents, monkeypatch, tmp_path):
    """A run that was interrupted is stored, too: with other images it is refused or trained anew."""
    words = [*NPZ.split(), "device=cpu", "train.steps=6", "train.eval_every=1", "train.checkpoint_every=2"]
    archive("my.npz", train_labels=np.arange(12)[::-1] % 3)
    assert mixbench(*words, "results_dir=anew").status == 0
    archive("my.npz")
    with monkeypatch.context() as patch:
        patch.setattr("mixbench.training.loop.learning_rate", interrupt_at(3))
        assert mixbench(*words).status == 130
    archive("my.npz", train_labels=np.arange(12)[::-1] % 3)
    call = mixbench(*words)
    if call.status == 0:
        histories = [next(Path(top).glob("runs/my-*/history.csv")).read_text() for top in ("anew", "results")]
        first, second = ([line.rpartition(",")[0] for line in history.splitlines()] for history in histories)
        assert first == second
    else:
        assert call.status == 2
        assert "my" in call.err


def interrupt_at(step):
    def learning_rate(train, k):
        if k == step:
            raise KeyboardInterrupt
        return train.lr

    return learning_rate


def test_an_archive_that_changed_is_refused_also_under_another_evaluation(mixbench):
    words = [*NPZ.split(), "device=cpu"]
    archive("my.npz")
    assert mixbench(*words, "eval=holdout", "dataset.holdout=3").status == 0
    archive("my.npz", train_labels=np.arange(12)[::-1] % 3)
    call = mixbench(*words, "eval=test")
    assert call.status == 2
    assert "dataset.name=my" in call.err
