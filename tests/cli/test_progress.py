"""What a person sees while runs train: their names, what is known of them by now, and the time that is left."""

import re
import subprocess
import sys

import pytest

from mixbench.cli import progress
from mixbench.cli.progress import RunProgress
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.labels import labels
from mixbench.config.overrides import expand
from mixbench.runs.time_left import TimeLeft
from mixbench.training import step_memory


class Clock:
    """Time that passes when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock)
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


def train(left, clock, steps, seconds_a_step, first=1, load=0.0, write=0.0, until=None):
    """A run of so many steps; with `until` it is left in the middle."""
    left.begin(steps)
    clock.sleep(load)
    for k in range(first, (until or steps) + 1):
        clock.sleep(seconds_a_step)
        left.step(k)
    if until is None:
        clock.sleep(write)
        left.end()


# Names


def names(*words):
    with Composer() as composer:
        jobs = []
        for combination in expand(words):
            called = next((word[7:] for word in combination if word.startswith("method=")), None)
            jobs.append(job(composer.compose(combination), called))
    of = labels(jobs)
    assert len(set(of.values())) == len({made.id for made in jobs})
    return [of[made.id] for made in jobs]


def test_a_run_is_named_by_method_n_seed_and_what_is_swept():
    assert names("dataset=digits", "method=mixup", "n=50") == ["mixup (label-mix) n=50 seed=0"]
    assert names("dataset=digits", "method=label-mix", "n=50") == ["mixup (label-mix) n=50 seed=0"]
    assert names("dataset=digits", "method=mixup", "method.alpha=0.2,1", "n=50,100", "seed=0,1")[:5] == [
        "mixup (label-mix) α=0.2 n=50 seed=0",
        "mixup (label-mix) α=0.2 n=50 seed=1",
        "mixup (label-mix) α=0.2 n=100 seed=0",
        "mixup (label-mix) α=0.2 n=100 seed=1",
        "mixup (label-mix) α=1 n=50 seed=0",
    ]


def test_keys_of_every_group_tell_runs_apart():
    found = names("n=50", "dataset=digits", "train.steps=9", "model.width=4,8", "train.lr=0.1,0.05", "subset_seed=0,1")
    assert found[0] in ("none width=4 lr=0.1 n=50 seed=0", "none subset_seed=0 width=4 lr=0.1 n=50 seed=0")
    found = names("n=50", "dataset=digits", "method=mixture", "method.parts.cutmix.alpha=0.5,1")
    assert found == ["mixture cutmix.α=0.5 n=50 seed=0", "mixture cutmix.α=1 n=50 seed=0"]
    assert names("dataset=cifar10,digits", "n=100,500")[0] == "none dataset=cifar10 n=100 seed=0"  # steps go with n
    assert "augment=randaugment" in names("dataset=digits", "n=9", "augment=standard,randaugment")[1]


def test_an_alias_that_mixes_nothing_is_none():
    assert names("dataset=digits", "n=50", "method=mixup", "method.alpha=0,1") == [
        "none n=50 seed=0",
        "mixup (label-mix) n=50 seed=0",
    ]


def test_names_are_printed_and_failures_name_the_folder(mixbench, tiny, tmp_path):
    call = mixbench("sweep", *tiny, "method=mixup", "method.alpha=0.2,0.4", "train.lr=0.1,1e20")
    assert call.status == 1
    lines = call.out.splitlines()[1:-1]
    assert [line.partition(":")[0] for line in lines] == [
        "[1/4] mixup (label-mix) α=0.2 lr=0.1 n=20 seed=0",
        "[2/4] mixup (label-mix) α=0.2 lr=100000000000000000000 n=20 seed=0",
        "[3/4] mixup (label-mix) α=0.4 lr=0.1 n=20 seed=0",
        "[4/4] mixup (label-mix) α=0.4 lr=100000000000000000000 n=20 seed=0",
    ]
    failed = re.findall(r"^failed: (\S+):", call.err, re.M)
    assert len(failed) == 2
    assert all((tmp_path / "results/runs" / run_id / "failed.json").exists() for run_id in failed)


def test_one_run_is_named_with_its_folder(mixbench, tiny, tmp_path):
    name, folder = mixbench("run", *tiny, "method=mixup").out.splitlines()
    assert name.startswith("mixup (label-mix) n=20 seed=0: accuracy ")
    assert (tmp_path / folder / "metrics.json").exists()


# The time that is left


def test_without_a_rate_nothing_is_said(clock):
    left = TimeLeft(100, clock)
    assert left.of_all() is None
    left.begin(50)
    assert left.of_run() is None
    assert left.of_all() is None
    clock.sleep(5)
    left.step(1)
    assert left.of_run() is None  # no second step that would tell the speed


def test_runs_weigh_by_their_steps(clock):
    left = TimeLeft(100 + 300 + 200, clock)
    train(left, clock, 100, 0.5)
    assert left.of_all() == pytest.approx(500 * 0.5)
    train(left, clock, 300, 0.5, until=150)
    assert left.rate() == pytest.approx(2)
    assert left.of_run() == pytest.approx(150 * 0.5)
    assert left.of_all() == pytest.approx(150 * 0.5 + 200 * 0.5)


def test_a_run_goes_on_at_its_own_rate_and_the_others_at_the_average(clock):
    left = TimeLeft(100 + 100 + 100, clock)
    train(left, clock, 100, 1.0)
    train(left, clock, 100, 3.0, until=50)
    assert left.of_run() == pytest.approx(50 * 3)
    assert left.of_all() == pytest.approx(50 * 3 + 100 * (100 * 1 + 50 * 3) / 150)


def test_what_belongs_to_a_run_beside_its_steps_counts(clock):
    left = TimeLeft(3 * 10, clock)
    train(left, clock, 10, 1.0, load=5, write=5)
    assert left.of_all() == pytest.approx(2 * 20)


def test_the_first_run_alone_tells_of_the_others(clock):
    left = TimeLeft(10 + 90, clock)
    train(left, clock, 10, 1.0, until=5)
    assert left.of_all() == pytest.approx(5 + 90)


def test_a_resumed_run_counts_what_it_made_in_this_call(clock):
    left = TimeLeft(100 + 100, clock)
    train(left, clock, 100, 1.0, first=91)
    assert left.of_all() == pytest.approx(100)


def test_a_run_that_was_found_finished_says_nothing_of_the_speed(clock):
    left = TimeLeft(100 + 100 + 100, clock)
    train(left, clock, 100, 1.0)
    left.begin(100)
    clock.sleep(50)
    left.end()
    assert left.of_all() == pytest.approx(100)


def test_a_failed_run_counts_as_far_as_it_came(clock):
    left = TimeLeft(100 + 100, clock)
    train(left, clock, 100, 2.0, until=10)
    left.end()
    assert left.of_all() == pytest.approx(200)


def test_nothing_is_left_at_the_end(clock):
    left = TimeLeft(10, clock)
    train(left, clock, 10, 1.0)
    assert left.of_all() == 0


# What is shown


def shown(capsys, clock, several, accuracy=None, loss=1.25, setting="auto"):
    left = TimeLeft(100 + 100, clock) if several else None
    run = RunProgress("[1/2] none", 100, setting, left=left)
    for k in range(1, 41):
        clock.sleep(1)
        run.step(k, loss)
        if k == 20 and accuracy is not None:
            run.row({"step": k, "train_loss": 1.5, "eval_loss": 1.0, "eval_accuracy": accuracy})
    run.close()
    return capsys.readouterr().err


def test_there_is_no_accuracy_before_the_first_evaluation(capsys, clock):
    told = shown(capsys, clock, several=False)
    assert told.startswith("[1/2] none: ")
    assert told.count("\n") == 1
    assert all(word in told for word in ("step 30 ", "100", "loss 1.250", "1.00 steps/s", "1 min"))
    assert "accuracy" not in told
    assert "accuracy 45.60" in shown(capsys, clock, several=False, accuracy=45.6)


def test_there_is_no_loss_where_it_is_not_known(capsys, clock):
    """On a GPU it is read with the first evaluation."""
    told = shown(capsys, clock, several=False, loss=None)
    assert "nan" not in told
    assert "loss" not in told


@pytest.mark.parametrize("setting", ["auto", "on"])
def test_the_time_of_all_runs_is_shown(capsys, clock, setting):
    told = shown(capsys, clock, several=True, setting=setting)
    assert "nan" not in told
    assert "3 min" in told  # after 30 s: 70 s of this run, 100 s of the other
    assert "3 min" not in shown(capsys, clock, several=False, setting=setting)


def test_a_sweep_tells_what_is_left_unless_progress_is_off(mixbench, tiny):
    lines = mixbench("sweep", *tiny, "seed=0,1,2").out.splitlines()[1:-1]
    assert [" left" in line for line in lines] == [True, True, False]
    assert " left" not in mixbench("sweep", *tiny, "seed=3,4", "progress=off").out


# A batch that no memory holds


def test_a_batch_that_cannot_fit_is_refused_before_anything_is_written(mixbench, tiny, tmp_path):
    call = mixbench("run", *tiny, "train.batch_size=1000000000")
    assert call.status == 2
    assert call.err.count("\n") == 1
    assert "train.batch_size=1000000000" in call.err
    assert list(tmp_path.iterdir()) == []


def test_the_bound_is_named_and_holds(mixbench, tiny, monkeypatch):
    monkeypatch.setattr(step_memory, "_total", lambda device: 2_000_000)
    call = mixbench("run", *tiny, "train.batch_size=100000")
    assert call.status == 2
    bound = int(re.search(r"at most ([\d,]+)", call.err)[1].replace(",", ""))
    assert mixbench("run", *tiny, f"train.batch_size={bound + 1}").status == 2
    assert mixbench("run", *tiny, f"train.batch_size={bound}", "train.steps=1").status == 0


def test_a_wider_network_and_larger_images_leave_room_for_fewer(mixbench, tiny, monkeypatch):
    monkeypatch.setattr(step_memory, "_total", lambda device: 10**6)

    def bound(*words):
        call = mixbench("run", *tiny, "train.batch_size=100000", *words)
        return int(re.search(r"at most ([\d,]+)", call.err)[1].replace(",", ""))

    small = bound()
    assert bound("model.width=8") < small
    assert bound("dataset=photos") * 10 < small


@pytest.mark.parametrize("width", [10**5, 10**8, 10**9])  # the last has more weights than a 64-bit number counts
def test_a_network_that_cannot_fit_is_refused_before_anything_is_written(mixbench, tiny, tmp_path, width):
    call = mixbench("run", *tiny, f"model.width={width}")
    assert call.status == 2
    assert call.err.count("\n") == 1
    assert f"model.width={width}" in call.err
    assert list(tmp_path.iterdir()) == []


def test_looking_at_the_memory_imports_no_compiler():
    """A forward pass on the meta device would, which takes as long as importing torch."""
    model = "name: wrn\ndepth: 10\nwiden: 1\n"
    look = (
        f"from mixbench.training import step_memory as m; before = len(sys.modules); m._bytes({model!r}, 32, 32, 3, 9)"
    )
    code = f"import sys; {look}; print(len(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert int(done.stdout) < 50, done.stderr
