"""Runs and sweeps: skip, resume, force, failures, kills, Ctrl-C, two processes; and what a run folder holds."""

import csv
import errno
import hashlib
import io
import json
import math
import os
import signal
import threading
import time
from contextlib import contextmanager, redirect_stdout
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import processes
import pytest
import torch
from omegaconf import OmegaConf
from processes import ended
from torch.optim import lr_scheduler

from mixbench import data, models
from mixbench.cli.main import main
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.schema import TrainConfig
from mixbench.core import numerics
from mixbench.mixing import METHODS
from mixbench.runs import run as run_module
from mixbench.runs.store.store import Store
from mixbench.training import engine, loop
from mixbench.training import metrics as stored_metrics
from mixbench.training.loop import Engine

NAMES = {"config.yaml", "provenance.json", "history.csv", "predictions.npz", "metrics.json"}
STEPS = 14  # of the tiny run
TIMES = (
    "seconds",
    "steps_per_second",
    "peak_memory_bytes",
    "other_load",
)  # what may differ between two trainings of one run
PATIENCE = 120  # seconds until a process that should have ended counts as hanging


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


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny):
    """The folder of a tiny run that nothing disturbed, by precision."""
    results = tmp_path_factory.mktemp("whole")
    for precision in ("fp32", "bf16"):
        assert main(["run", *tiny, f"precision={precision}", f"results_dir={results / precision}"]) == 0
    return {precision: folder_of(results / precision) for precision in ("fp32", "bf16")}


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


# What happens in processes of their own


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(step):
    loop.learning_rate = before_update(step, die)


def die_writing(name):
    """Die when a file of that name is written and not yet renamed."""
    replace = os.replace

    def dying(source, target):
        if Path(target).name == name:
            die()
        replace(source, target)

    os.replace = dying


def wait_for(path, text=""):
    """Until the file is there and holds the text."""
    end = time.monotonic() + PATIENCE
    while not (Path(path).exists() and text in Path(path).read_text()):
        assert time.monotonic() < end, f"{path} never held {text!r}"
        time.sleep(0.02)


def meet_another(step, then):
    """At `step`, wait until the other process has seen that this one trains; then do `then`."""

    def meet():
        Path("training").touch()
        wait_for("second.log", "another process trains it")
        then()

    loop.learning_rate = before_update(step, meet)


def nothing():
    pass


def never_train():
    Engine.step = untrainable


def start(words, folder, log="log", sabotage=None):
    with open(folder / log, "a") as file:
        return processes.start(words, folder, streams={1: file, 2: file}, before=sabotage)


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
    model = models.build(config.model, 1, 10)
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
    for method in METHODS:
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


# Label noise


def labels_seen(monkeypatch):
    """What the engines of later runs in this process hold: [(labels, protected)]."""
    seen, init = [], Engine.__init__

    def spy(self, cfg, split, *more):
        init(self, cfg, split, *more)
        seen.append((self.labels.tolist(), self.plan.protected))

    monkeypatch.setattr(Engine, "__init__", spy)
    return seen


def noise_of(folder):
    with open(folder / "label_noise.csv", newline="") as file:
        return [{key: int(value) for key, value in row.items()} for row in csv.DictReader(file)]


def test_a_run_with_label_noise_keeps_what_training_saw(mixbench, tiny, monkeypatch):
    seen = labels_seen(monkeypatch)
    assert mixbench("run", *tiny, "dataset.label_noise=0.5", "subset_seed=1").status == 0
    folder = folder_of("results")
    assert {path.name for path in folder.iterdir()} == NAMES | {"label_noise.csv"}
    with Composer() as composer:
        made = job(composer.compose([*tiny, "dataset.label_noise=0.5", "subset_seed=1"]))
    digits = data.load("digits", "", None, say=print)
    split = run_module.prepare(made, digits)
    rows = noise_of(folder)
    assert [row["index"] for row in rows] == sorted(split.indices[split.replaced].tolist())
    assert [row["true"] for row in rows] == [digits.train_labels[row["index"]] for row in rows]
    given = {row["index"]: row["given"] for row in rows}
    trained = [given.get(i, digits.train_labels[i]) for i in split.indices.tolist()]
    assert seen[0] == (trained, None)

    source = json.loads((folder / "provenance.json").read_text())
    wrong = sum(row["true"] != row["given"] for row in rows)
    digest = hashlib.sha256(np.array(trained, dtype="<i8").tobytes()).hexdigest()
    expected = {"rate": 0.5, "replaced": len(rows), "wrong": wrong, "train_labels_sha256": digest}
    assert source["label_noise"] == expected
    assert 0 < wrong < 20
    assert source["class_counts"] == [2] * 10
    assert metrics(folder)["identity"]["dataset.label_noise"] == 0.5


def test_learning_wrong_labels_by_heart_shows_in_the_training_accuracies(mixbench, tiny, monkeypatch):
    def by_heart(cfg, images, *more):
        outcome = loop.train(cfg, images, *more)
        outcome.train_logits = np.eye(10)[images.train_labels]
        return outcome

    monkeypatch.setattr(run_module, "train", by_heart)
    assert mixbench("run", *tiny, "dataset.label_noise=0.5").status == 0
    folder = folder_of("results")
    wrong = json.loads((folder / "provenance.json").read_text())["label_noise"]["wrong"]
    assert metrics(folder)["clean_train_accuracy"] == 100
    assert metrics(folder)["true_train_accuracy"] == 100 * (20 - wrong) / 20
    call = mixbench("table", "dataset=digits")
    assert call.status == 0
    with open("results/selection,dataset=digits/runs.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["true_train_accuracy"]) == 100 * (20 - wrong) / 20


def test_noise_that_replaced_no_label_leaves_a_list_without_rows(mixbench, tiny):
    assert mixbench("run", *tiny, "dataset.label_noise=1e-9").status == 0
    folder = folder_of("results")
    assert (folder / "label_noise.csv").read_text() == "index,true,given\n"
    assert json.loads((folder / "provenance.json").read_text())["label_noise"]["replaced"] == 0


def test_without_noise_nothing_is_said_of_it(whole):
    folder = whole["fp32"]
    assert "true_train_accuracy" not in metrics(folder)
    assert "label_noise" not in json.loads((folder / "provenance.json").read_text())


def test_noise_is_the_same_for_all_methods_and_seeds(mixbench, tiny, monkeypatch):
    seen = labels_seen(monkeypatch)
    words = [*tiny, "dataset.label_noise=0.5", "subset=head"]
    assert mixbench("sweep", *words, "method=none,mixup", "seed=0,1").status == 0
    assert mixbench("run", *words, "subset_seed=1").status == 0
    labels = [tuple(labels) for labels, _ in seen]
    assert len(labels) == 5
    assert len(set(labels[:4])) == 1
    assert labels[4] != labels[0]
    texts = [path.read_text() for path in Path("results/runs").glob("*/label_noise.csv")]
    assert sorted(map(texts.count, texts)) == [1, 4, 4, 4, 4]


def test_a_resumed_run_has_the_same_noise(mixbench, tiny):
    words = [*tiny, "dataset.label_noise=0.5", "method=mixup"]
    with at_step(7, interrupt):
        assert mixbench("run", *words).status == 130
    folder = folder_of("results")
    before = (folder / "label_noise.csv").read_bytes()
    assert mixbench("run", *words).status == 0
    assert (folder / "label_noise.csv").read_bytes() == before
    assert mixbench("run", *words, "results_dir=whole").status == 0
    assert_same_run(folder, folder_of("whole"))


# Protected classes


def test_protected_classes_reach_the_plan_of_every_run(mixbench, tiny, monkeypatch):
    seen = labels_seen(monkeypatch)
    assert mixbench("sweep", *tiny, "method=mixup", "protect=[],['3',0],[0,3],[7]").status == 0
    assert len(seen) == 3
    for (labels, protected), classes in zip(seen, ([], [0, 3], [7]), strict=True):
        assert (protected is None) == (not classes)
        assert protected is None or protected.tolist() == [label in classes for label in labels]
    assert mixbench("run", *tiny, "method=mixup", "protect=3").status == 0
    assert seen[-1][1].sum() == 2
    found = {str(metrics(folder)["identity"]["protect"]) for folder in Path("results/runs").glob("digits-*")}
    assert found == {"[]", "[0, 3]", "[7]", "[3]"}
    call = mixbench("table", "dataset=digits", "rows=protect", "columns=n")
    assert all(f"| {shown} |" in " ".join(call.out.split()) for shown in found)


def test_the_baseline_is_shared_by_runs_that_protect_classes(mixbench, tiny):
    assert mixbench("run", *tiny).status == 0
    assert "finished before" in mixbench("run", *tiny, "protect=[3]").out


# The learning rate


def torch_rates(schedule, lr, steps, warmup, milestones=(Fraction(1, 3), Fraction(2, 3)), gamma=0.1):
    """What torch's own schedulers give, update for update."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    reached = [math.ceil(share * steps) - warmup for share in milestones]
    after = {
        "constant": lambda: lr_scheduler.LambdaLR(optimizer, lambda _: 1.0),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - warmup),
        "step": lambda: lr_scheduler.MultiStepLR(optimizer, reached, gamma),
    }[schedule]
    if warmup:
        rising = lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
        scheduler = lr_scheduler.SequentialLR(optimizer, [rising, after()], milestones=[warmup])
    else:
        scheduler = after()
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("steps", [STEPS, 15, 100])
@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize("schedule", ["step", "cosine", "constant"])
def test_learning_rate_is_that_of_torchs_schedulers(schedule, warmup, steps):
    cfg = TrainConfig(schedule=schedule, lr=0.3, steps=steps, warmup=warmup)
    ours = [loop.learning_rate(cfg, k) for k in range(steps)]
    assert ours == pytest.approx(torch_rates(schedule, 0.3, steps, warmup), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("steps", [20, 97, 100, 1000])
@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize(("milestones", "gamma"), [("0.5 0.75", 0.1), ("0.3 0.6 0.8", 0.2), ("0.29 0.57 0.58", 0.5)])
def test_milestones_are_torchs(milestones, gamma, warmup, steps):
    """Reckoned in fractions: 0.29 · 100 and 0.57 · 100 are not whole in floating point."""
    shares = milestones.split()
    cfg = TrainConfig(lr=0.3, steps=steps, warmup=warmup, schedule="step", gamma=gamma)
    cfg.milestones = [float(share) for share in shares]
    ours = [loop.learning_rate(cfg, k) for k in range(steps)]
    theirs = torch_rates("step", 0.3, steps, warmup, [Fraction(share) for share in shares], gamma)
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_every_update_is_made_at_its_rate(mixbench, tiny, monkeypatch):
    used, make = [], Engine.__init__

    def watched(engine, *arguments):
        make(engine, *arguments)
        engine.optimizer.register_step_pre_hook(lambda optimizer, *_: used.append(optimizer.param_groups[0]["lr"]))

    monkeypatch.setattr(Engine, "__init__", watched)
    assert mixbench("run", *tiny, "train.schedule=cosine", "train.warmup=3", "train.lr=0.2").status == 0
    rates = torch_rates("cosine", 0.2, STEPS, 3)
    assert used == pytest.approx(rates, rel=1e-6, abs=1e-12)
    rows = history(folder_of("results"))
    assert [float(row["lr"]) for row in rows] == pytest.approx([rates[k - 1] for k in (4, 8, 12, 14)], rel=1e-6)


# Skip and force


def test_a_finished_run_is_skipped_and_not_touched(mixbench, tiny, contents, monkeypatch):
    assert mixbench("run", *tiny).status == 0
    before = contents(Path("results/runs"))
    monkeypatch.setattr(Engine, "step", untrainable)
    call = mixbench("run", *tiny)
    assert (call.status, call.err) == (0, "")
    assert "finished before" in call.out
    assert "other code" not in call.out
    # What does not bear on the outcome makes no other run of it.
    assert "finished before" in mixbench("run", *tiny, "train.checkpoint_every=5", "progress=off", "device=auto").out
    assert contents(Path("results/runs")) == before


def old_run(results="results"):
    """Mark the finished run, so that it can be told from one trained again."""
    folder = folder_of(results)
    path = folder / "metrics.json"
    path.write_text(json.dumps(metrics(folder) | {"seconds": -1.0}))
    return folder


def test_force_trains_beside_the_run_and_swaps_at_the_end(mixbench, tiny, contents, whole):
    assert mixbench("run", *tiny).status == 0
    old = old_run()
    before, seen = contents(old), []

    def look():
        assert contents(old) == before
        assert "results/runs/: 1 running\n" in mixbench_out("status")
        assert folder_of("results", f"{old.name}?*").is_dir()
        seen.append(True)

    def mixbench_out(*words):
        with redirect_stdout(io.StringIO()) as printed:
            main(words)
        return printed.getvalue().splitlines(keepends=True)[0]

    with at_step(9, look):
        call = mixbench("run", *tiny, "force=true")
    assert (call.status, seen) == (0, [True])
    assert "finished before" not in call.out
    assert metrics(folder_of("results"))["seconds"] > 0
    assert {path.name for path in old.iterdir()} == NAMES
    assert_same_run(old, whole["fp32"])


def test_force_that_fails_leaves_the_old_run_and_says_where_to_look(mixbench, tiny, contents):
    assert mixbench("run", *tiny).status == 0
    old = old_run()
    before = contents(old)

    def fail():
        raise RuntimeError("injected")

    with at_step(9, fail):
        call = mixbench("run", *tiny, "force=true")
    assert call.status == 1
    assert contents(old) == before
    record = Path(call.err.rpartition("(see ")[2].rstrip().rstrip(")"))
    assert "injected" in json.loads(record.read_text())["error"]


def test_force_that_was_interrupted_resumes(mixbench, tiny, contents, whole):
    assert mixbench("run", *tiny).status == 0
    old = old_run()
    before = contents(old)
    with at_step(9, interrupt):
        assert mixbench("run", *tiny, "force=true").status == 130
    assert contents(old) == before
    assert "finished before" in mixbench("run", *tiny).out
    with at_step(9, untrainable):  # the tenth update was made before
        assert mixbench("run", *tiny, "force=true").status == 0
    assert metrics(folder_of("results"))["seconds"] > 0
    assert_same_run(old, whole["fp32"])


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("renames", [0, 1])
@pytest.mark.parametrize("then", ["run", "force", "clean", "sweep"])
def test_a_crash_in_the_swap_loses_nothing(mixbench, tiny, monkeypatch, whole, renames, then):
    """The new run is finished; the crash comes before one of the two renames that put it in the old one's place."""
    assert mixbench("run", *tiny).status == 0
    old, done, rename = old_run(), [], Path.rename

    def crashing(path, target):
        if len(done) == renames:
            raise Crash
        done.append(path)
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crashing)
        with pytest.raises(Crash):
            mixbench("run", *tiny, "force=true")
    assert len(done) == renames
    if then == "clean":
        assert mixbench("clean", "--yes").status == 0
    elif then == "sweep":
        assert mixbench("sweep", *tiny, "seed=0,1").status == 0
    if then != "force":
        monkeypatch.setattr(Engine, "step", untrainable)
    call = mixbench("run", *tiny, f"force={str(then == 'force').lower()}")
    assert call.status == 0
    assert {path.name for path in old.iterdir()} == NAMES
    if then != "clean":  # which may take either of the two, but not both
        assert metrics(old)["seconds"] > 0
    assert_same_run(folder_of("results", f"{old.name}*"), whole["fp32"])


# Failures


def failing(function, call, error):
    """The function, but that its call number `call` (from 1) fails."""
    calls = []

    def wrapped(*arguments, **options):
        calls.append(None)
        if len(calls) == call:
            raise error
        return function(*arguments, **options)

    return wrapped


@pytest.mark.parametrize(
    ("place", "name", "call"),
    [
        (Engine, "step", STEPS + 6),
        (Engine, "logits", 5 + 2),
        (Engine, "__init__", 2),
        (torch, "save", 4 + 2),
        (stored_metrics, "of_logits", 2),
        (np, "savez_compressed", 2),
    ],
    ids=["training", "evaluation", "building", "checkpoint", "measuring", "writing"],
)
def test_a_failure_is_recorded_and_the_sweep_goes_on_and_the_next_call_tries_again(
    mixbench, tiny, monkeypatch, whole, numbers, place, name, call
):
    words = [*tiny, "seed=1,0,2"]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, failing(getattr(place, name), call, OSError(errno.ENOSPC, "injected")))
        swept = mixbench("sweep", *words)
    assert swept.status == 1
    assert numbers(swept.out.splitlines()[-1]) == [2, 3]  # finished, of all
    folder = folder_of("results", "digits-*-s0-*")
    assert f"failed: {folder.name}" in swept.err
    assert "injected" in swept.err
    assert "Traceback" not in swept.err
    record = json.loads((folder / "failed.json").read_text())
    assert "injected" in record["error"]
    assert record["traceback"].startswith("Traceback (most recent call last):")
    assert "in wrapped" in record["traceback"]
    assert not (folder / "metrics.json").exists()
    assert f"failed       {folder.name}" in mixbench("status").out

    again = mixbench("sweep", *words)
    assert again.status == 0
    assert numbers(again.out.splitlines()[0]) == [3, 2]  # runs, and those that are finished already
    assert {path.name for path in folder.iterdir()} == NAMES
    assert_same_run(folder, whole["fp32"])


@pytest.mark.parametrize("cause", ["train.lr=1e20", "dataset.std=[1e-60]"])
def test_a_loss_that_is_not_finite_fails_the_run_and_names_the_step(mixbench, tiny, monkeypatch, cause):
    losses, step = [], Engine.step

    def spy(engine, *arguments):
        loss = step(engine, *arguments)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(Engine, "step", spy)
    call = mixbench("run", *tiny, cause)
    bad = next(k for k, loss in enumerate(losses, start=1) if not math.isfinite(loss))
    assert call.status == 1
    assert call.err.startswith("failed: digits-n20-none-s0-")
    assert f"the loss is {losses[bad - 1]} at step {bad};" in call.err
    assert call.err.count("\n") == 1
    folder = folder_of("results")
    assert f"at step {bad};" in json.loads((folder / "failed.json").read_text())["error"]
    assert not (folder / "metrics.json").exists()
    assert mixbench("run", *tiny, cause).status == 1  # tried again


def test_a_sweep_goes_on_after_a_loss_that_is_not_finite(mixbench, tiny, numbers):
    call = mixbench("sweep", *tiny, "train.lr=1e20,0.1")
    assert call.status == 1
    assert numbers(call.out.splitlines()[-1]) == [1, 2]  # finished, of all
    assert call.err.count("failed: ") == 1
    assert "at step" in call.err
    assert mixbench("table").status == 0


def test_weights_that_are_not_finite_after_the_last_step_fail_the_run(mixbench, tiny, numbers):
    """The loss of a step is that of the weights before its update: the last update has none to betray it."""
    call = mixbench("sweep", *tiny, "train.steps=1", "train.lr=1e20,0.1")
    assert call.status == 1
    assert numbers(call.out.splitlines()[-1]) == [1, 2]  # finished, of all
    assert "at step 1;" in call.err or "after step 1" in call.err
    assert len(list(Path("results/runs").glob("*/metrics.json"))) == 1
    assert len(list(Path("results/runs").glob("*/failed.json"))) == 1


# Kill and resume


@pytest.mark.parametrize(
    ("precision", "deaths"),
    [
        (
            "fp32",
            [  # how the process dies, and the step of the checkpoint that it leaves
                (partial(die_at_step, 1), None),
                (partial(die_at_step, 4), 3),
                (partial(die_at_step, 8), 6),
                (partial(die_writing, "checkpoint.pt"), 6),
                (partial(die_at_step, 13), 12),
                (partial(die_writing, "predictions.npz"), 12),
                (partial(die_writing, "metrics.json"), 12),
            ],
        ),
        (
            "bf16",
            [(partial(die_at_step, 5), 3), (partial(die_at_step, 11), 9), (partial(die_writing, "history.csv"), 9)],
        ),
    ],
)
def test_a_run_killed_and_started_again_is_the_run_that_was_never_killed(
    mixbench, tiny, tmp_path, whole, precision, deaths
):
    words = ["run", *tiny, f"precision={precision}"]
    for sabotage, step in deaths:
        assert ended(start(words, tmp_path, sabotage=sabotage)) == -signal.SIGKILL, Path("log").read_text()
        folder = folder_of("results")
        assert not (folder / "metrics.json").exists()
        checkpoint = folder / "checkpoint.pt"
        assert checkpoint.exists() == (step is not None)
        if step is not None:
            assert torch.load(checkpoint, weights_only=True)["progress"]["step"] == step
    assert "1 interrupted" in mixbench("status").out
    assert mixbench(*words).status == 0
    assert_same_run(folder, whole[precision])
    assert mixbench("clean", "--yes").status == 0  # half-written files of the dead
    assert {path.name for path in folder.iterdir()} == NAMES


def test_a_kill_between_commit_and_cleaning_up_leaves_a_finished_run(mixbench, tiny, monkeypatch, whole):
    unlink = Path.unlink

    def crashing(path, missing_ok=False):
        if path.name == "checkpoint.pt":
            raise Crash
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", crashing)
        with pytest.raises(Crash):
            mixbench("run", *tiny)
    folder = folder_of("results")
    assert {path.name for path in folder.iterdir()} == NAMES | {"checkpoint.pt"}
    assert "finished before" in mixbench("run", *tiny).out
    assert mixbench("clean", "--yes").status == 0
    assert {path.name for path in folder.iterdir()} == NAMES
    assert_same_run(folder, whole["fp32"])


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("owned",)


@pytest.mark.parametrize("state", ["pickle", "cut"])
def test_a_checkpoint_that_cannot_be_trusted_or_read_is_not_used(mixbench, tiny, whole, state):
    with at_step(6, interrupt):
        assert mixbench("run", *tiny).status == 130
    checkpoint = folder_of("results") / "checkpoint.pt"
    if state == "pickle":
        torch.save({"progress": Evil()}, checkpoint)
    else:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-500])
    call = mixbench("sweep", *tiny, "seed=0,1")
    assert not Path("owned").exists()
    assert call.status in (0, 1)
    assert (folder_of("results", "digits-*-s1-*") / "metrics.json").exists()
    assert mixbench("clean", "--yes").status == 0
    assert mixbench("run", *tiny).status == 0
    assert_same_run(folder_of("results", "digits-*-s0-*"), whole["fp32"])


# Ctrl-C


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_keeps_what_is_finished_and_the_same_command_resumes(mixbench, tiny, whole, numbers, times):
    words = ["sweep", *tiny, "seed=1,0,2"]
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    updates = []

    def second_run():
        updates.append(None)
        if len(updates) == 2:
            interrupt(times)

    with at_step(7, second_run):
        call = mixbench(*words)
    assert call.status == 130
    assert numbers(call.err.splitlines()[-1]) == [1, 3]  # finished, of all
    assert "Traceback" not in call.err
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    folder = folder_of("results", "digits-*-s0-*")
    # Once: at the end of the step. Twice: at once, back to the last checkpoint.
    assert torch.load(folder / "checkpoint.pt", weights_only=True)["progress"]["step"] == {1: 8, 2: 6}[times]
    assert not list(Path("results/runs").glob("digits-*-s2-*"))
    call = mixbench(*words)
    assert call.status == 0
    assert numbers(call.out.splitlines()[0]) == [3, 1]  # runs, and those that are finished already
    assert_same_run(folder, whole["fp32"])


def test_ctrl_c_in_the_last_step_keeps_the_run(mixbench, tiny, numbers):
    with at_step(STEPS - 1, interrupt):
        call = mixbench("sweep", *tiny, "seed=0,1")
    assert call.status == 130
    assert (folder_of("results") / "metrics.json").exists()
    assert numbers(call.err.splitlines()[-1]) == [1, 2]  # finished, of all


def test_ctrl_c_ends_the_program_with_130(tmp_path, tiny):
    """The program itself, with its own streams and signal handlers."""
    words = [*tiny, "train.steps=100000", "train.eval_every=1", "train.checkpoint_every=1"]
    process = start(["run", *words], tmp_path)
    end = time.monotonic() + PATIENCE
    while not list(tmp_path.glob("results/runs/*/checkpoint.pt")) and process.is_alive():
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    assert ended(process) == 130
    told = (tmp_path / "log").read_text()
    assert "Traceback" not in told
    assert "0 of 1 runs are finished" in told


def test_ctrl_c_ends_waiting_for_another_process(mixbench, tiny, tmp_path, monkeypatch):
    """One Ctrl-C is enough where no step is being made."""
    with Composer() as composer:
        run_id = job(composer.compose(list(tiny))).id
    taken, waiting, release = threading.Event(), threading.Event(), threading.Event()
    signals, attempts, lock = [], [], Store.lock

    def other():
        with lock(Store(tmp_path / "results"), run_id):
            taken.set()
            release.wait(PATIENCE)

    def watched(*arguments, **options):
        attempts.append(None)
        if len(attempts) == 2:  # the first attempt found that the run is taken
            waiting.set()
        return lock(*arguments, **options)

    def press():
        waiting.wait(PATIENCE)
        for _ in range(2):
            time.sleep(0.2)
            signals.append(None)
            os.kill(os.getpid(), signal.SIGINT)
            if release.wait(3):
                return

    monkeypatch.setattr(Store, "lock", watched)
    holder = threading.Thread(target=other)
    holder.start()
    assert taken.wait(PATIENCE)
    presser = threading.Thread(target=press)
    presser.start()
    call = mixbench("run", *tiny)
    release.set()
    presser.join()
    holder.join()
    assert call.status == 130
    assert len(signals) == 1


# Two processes


@pytest.mark.parametrize("end", ["is done", "dies"])
def test_two_processes_on_one_run(mixbench, tiny, tmp_path, whole, end):
    """One trains; the other waits and picks the run up at the end, or where the first one died."""
    words = ["run", *tiny]
    first = start(words, tmp_path, "first.log", partial(meet_another, 7, nothing if end == "is done" else die))
    wait_for(tmp_path / "training")
    assert "running" in mixbench("status").out
    assert "nothing to drop" in mixbench("clean", "--yes").out
    second = start(words, tmp_path, "second.log", never_train if end == "is done" else None)
    codes = ended(first), ended(second)
    told = Path("second.log").read_text()
    assert codes == (0 if end == "is done" else -signal.SIGKILL, 0), told
    assert ("finished before" in told) == (end == "is done")
    assert "finished before" not in Path("first.log").read_text()
    folder = folder_of("results")
    assert {path.name for path in folder.iterdir()} == NAMES
    assert_same_run(folder, whole["fp32"])
