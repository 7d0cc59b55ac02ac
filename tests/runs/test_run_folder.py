"""What a run leaves in its folder, and which runs are the same."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from made_runs import NAMES, STEPS, folder_of, history, metrics
from omegaconf import OmegaConf

from mixbench import data, models
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core import numerics
from mixbench.core.registry import declaration_of
from mixbench.mixing import METHODS
from mixbench.runs import run as run_module
from mixbench.training import engine
from mixbench.training.engine import Engine

# The folder of a run


def test_a_run_leaves_one_folder(mixbench, tiny, tmp_path):
    call = mixbench("run", *tiny)
    assert (call.status, call.err) == (0, "")
    folder = folder_of("results")
    assert {path.name for path in folder.iterdir()} == NAMES
    assert f"{folder}/\n" in call.out
    found = metrics(folder)
    assert folder.name == found["id"]
    assert folder.name.startswith("digits-n20-none-s0-")
    assert {key: found["identity"][key] for key in ("dataset", "n", "method", "seed", "train.steps")} == {
        "dataset": "digits",
        "n": 20,
        "method": "none",
        "seed": 0,
        "train.steps": STEPS,
    }
    rows = history(folder)
    assert [row["step"] for row in rows] == ["4", "8", "12", "14"]
    assert [float(row["epoch"]) for row in rows] == [step * 8 / 20 for step in (4, 8, 12, 14)]
    accuracies = [float(row["eval_accuracy"]) for row in rows]
    assert found["final_accuracy"] == accuracies[-1]
    assert found["best_accuracy"] == max(accuracies)
    assert found["median10_accuracy"] == np.median(accuracies)
    assert found["images_seen"] == STEPS * 8
    assert found["seconds"] > 0
    with np.load(folder / "predictions.npz") as predictions:
        logits, labels = predictions["logits"], predictions["labels"]
    assert logits.dtype == np.float16
    assert logits.shape == (500, 10)
    assert found["final_accuracy"] == pytest.approx(100 * (logits.argmax(axis=1) == labels).mean(), abs=0.41)
    source = json.loads((folder / "provenance.json").read_text())
    assert source["precision"] == "fp32"
    assert source["threads"] == 1
    assert source["numerics"] == found["numerics"] == numerics.VERSIONS
    assert source["class_counts"] == [2] * 10
    assert torch.__version__.startswith(source["libraries"]["torch"])


def test_metrics_json_is_written_last_and_by_rename(mixbench, tiny, monkeypatch):
    renamed, replace = [], os.replace

    def spy(source, target):
        assert Path(source).parent == Path(target).parent
        if Path(target).name == "metrics.json":
            there = {path.name for path in Path(target).parent.iterdir()} - {Path(source).name}
            assert there == NAMES - {"metrics.json"} | {"weights.pt", "checkpoint.pt"}
            json.loads(Path(source).read_text())  # whole before it gets its name
        renamed.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "replace", spy)
    assert mixbench("run", *tiny, "save_model=true").status == 0
    assert renamed[-1] == "metrics.json"
    assert renamed.count("metrics.json") == 1
    assert set(renamed) >= NAMES


def test_saved_weights_reproduce_the_stored_logits(mixbench, tiny):
    assert mixbench("run", *tiny, "save_model=true", "train.lr=0.01").status == 0
    folder = folder_of("results")
    config = OmegaConf.load(folder / "config.yaml")
    model = models.build_network(config.model, 1, 10)
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    digits = data.load("digits", "", None, say=print)
    images = (digits.test_images / 255 - config.dataset.mean[0]) / config.dataset.std[0]
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor(images, dtype=torch.float32).permute(0, 3, 1, 2)).numpy()
    with np.load(folder / "predictions.npz") as predictions:
        assert np.array_equal(predictions["labels"], digits.test_labels)
        assert np.allclose(predictions["logits"], logits, rtol=2**-10, atol=1e-4)
        assert np.ptp(logits, axis=0).min() > 0.01  # else any weights would do


def test_the_configuration_of_a_run_gives_its_id_again(mixbench, tiny):
    words = ["method=cutmix", "method.alpha=0.7", "train.schedule=cosine", "train.warmup=2", "seed=3", "eval=holdout"]
    words += ["protect=['7',2]", "dataset.label_noise=0.1", "loss.label_smoothing=0.1"]
    assert mixbench("run", *tiny, *words).status == 0
    folder = folder_of("results")
    stored = OmegaConf.load(folder / "config.yaml")
    with Composer() as composer:
        composed = composer.compose([f"dataset={stored.dataset.source}"])
    composed.method = stored.method
    assert job(OmegaConf.merge(composed, stored)).id == folder.name
    as_overrides = [f"dataset={stored.dataset.source}", f"method={stored.method.name}"]
    for key, value in OmegaConf.to_container(stored).items():
        if isinstance(value, dict):
            as_overrides += [f"{key}.{k}={json.dumps(value[k])}" for k in value if k != "name"]
        else:
            as_overrides.append(f"{key}={json.dumps(value)}")
    assert "finished before" in mixbench("run", *as_overrides).out


def test_holdout_evaluates_on_the_end_of_the_training_list(mixbench, tiny):
    words = [*tiny, "eval=holdout", "dataset.holdout=100"]
    assert mixbench("run", *tiny).status == 0
    assert mixbench("run", *words).status == 0
    held = next(
        folder for folder in Path("results/runs").glob("digits-*") if metrics(folder)["identity"]["eval"] == "holdout"
    )
    digits = data.load("digits", "", None, say=print)
    with np.load(held / "predictions.npz") as predictions:
        assert predictions["logits"].shape == (100, 10)
        assert np.array_equal(predictions["labels"], digits.train_labels[-100:])
    assert mixbench("run", *words, "n=1198").status == 2
    with Composer() as composer:
        split = run_module.prepare(job(composer.compose([*words, "n=1197", "subset=random"])), digits)
    assert sorted(split.indices) == list(range(1197))
    assert np.array_equal(split.eval_images, digits.train_images[-100:])


def test_equal_seeds_share_initial_weights_over_methods(tiny):
    digits = data.load("digits", "", None, say=print)

    def weights(*words):
        with Composer() as composer:
            made = job(composer.compose([*tiny, *words]))
        engine = Engine(made.cfg, run_module.prepare(made, digits), torch.device("cpu"), torch.float32)
        return torch.cat([p.detach().flatten() for p in engine.model.parameters()])

    state = torch.random.get_rng_state()
    first = weights("method=none")
    assert torch.equal(torch.random.get_rng_state(), state)  # a run leaves torch's own generator alone
    torch.rand(1)
    for method in (name for name, function in METHODS.items() if "generated" not in declaration_of(function).needs):
        assert torch.equal(weights(f"method={method}", "n=50"), first)
    assert not torch.equal(weights("seed=1"), first)


# Methods in a run


@pytest.fixture
def trained(mixbench, tiny, tmp_path):
    """The history of a run of these words, each call in a store of its own."""

    def trained(*words):
        results = f"results{len(list(tmp_path.iterdir()))}"
        assert mixbench("run", *tiny, *words, f"results_dir={results}").status == 0
        return history(folder_of(results))

    return trained


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["method=manifold", "method.layers=[input]"], ["method=label-mix", "method.alpha=2"]),
        (["method=mixture", "method.methods=[fmix]"], ["method=fmix"]),
        (["method=mixture", "method.p=0"], ["method=none"]),
    ],
)
def test_two_ways_to_say_the_same_train_the_same_run(trained, one, other):
    assert trained(*one) == trained(*other)


@pytest.mark.parametrize(
    "words", [["method=manifold"], ["method=fmix", "method.per_sample=true"], ["augment=randaugment"]]
)
def test_plans_drawn_step_by_step_train_the_same_run(trained, words, monkeypatch):
    at_once = trained(*words)
    monkeypatch.setattr(engine, "PLAN_BYTES", 1)
    assert trained(*words, "device=auto") == at_once


def test_a_layer_that_is_mixed_trains_another_run(trained):
    runs = [trained("method=manifold", f"method.layers=[{name}]") for name in ("input", "stage1", "stage4")]
    assert len({str(run) for run in runs}) == 3
