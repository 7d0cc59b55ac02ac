"""scripts/gpu: what travels, what runs in which order and until when, what comes back."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT))  # benchmarks/ is no part of the package

from benchmarks.gpu import bare, cli, pack, page, plan, smoke, steps, tiles  # noqa: E402

CALLS = ("smoke", "bench-16", "bench-64", "bench-methods", "study")


# What travels


def test_the_wheels_are_those_that_mixbench_needs_and_torch_does_not_bring():
    assert pack.lacking(CHECKOUT) == ["antlr4-python3-runtime", "hydra-core", "omegaconf", "pyyaml", "tabulate"]


def test_what_a_packed_wheel_needs_is_packed_too(tmp_path):
    needs = {"mine": ["below", "torch"], "below": ["deep"], "torch": ["numpy"]}
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["Mine>=1", "numpy"]\n')
    assert pack.lacking(tmp_path, lambda name: needs.get(name, [])) == ["below", "deep", "mine"]


def test_what_travels_is_counted_and_too_much_is_refused(tmp_path):
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles/a.webp").write_bytes(bytes(700))
    (tmp_path / "tiles/b.webp").write_bytes(bytes(200))
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels/a.whl").write_bytes(bytes(50))
    counted = pack.sizes(tmp_path)
    assert counted == {"tiles": 900, "wheels": 50}
    pack.check_size({"checkout": 50, **counted}, limit=1000)
    with pytest.raises(pack.PackError, match="too large"):
        pack.check_size({"checkout": 51, **counted}, limit=1000)


def test_the_working_tree_is_counted_without_what_git_ignores(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("/gpu/\n")
    (tmp_path / "gpu").mkdir()
    (tmp_path / "gpu/large").write_bytes(bytes(10_000))
    (tmp_path / "new ünd.py").write_bytes(bytes(100))
    assert pack.travelling(tmp_path) == 100 + len("/gpu/\n")


# Tiles


def test_tiles_come_back_pixel_by_pixel_in_their_order(tmp_path):
    told = tiles.stand_in(tmp_path)
    archive = tmp_path / "out/stand-in.npz"
    assert tiles.unpack(tmp_path, archive) == told
    with np.load(archive) as made:
        sheet = np.asarray(tiles.Image.open(tmp_path / "train-00.webp").convert("RGB"))
        assert made["train_images"].shape == made["test_images"].shape == (1000, 32, 32, 3)
        for k in (0, 1, 40, 999):  # image k is tile k of the sheet, row by row
            row, column = divmod(k, 40)
            np.testing.assert_array_equal(
                made["train_images"][k], sheet[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
            )
        labels = np.load(tmp_path / "labels.npz")["train_labels"]
        np.testing.assert_array_equal(made["test_labels"], labels[1000:2000])


def test_a_damaged_sheet_is_told_and_leaves_no_archive(tmp_path):
    tiles.stand_in(tmp_path)
    shutil.copyfile(tmp_path / "train-01.webp", tmp_path / "train-00.webp")
    with pytest.raises(tiles.Damaged, match="train_images"):
        tiles.unpack(tmp_path, tmp_path / "out/a.npz")
    assert not list(tmp_path.rglob("*a.npz"))


def test_tiles_that_are_not_cifar10_are_not_packed_as_cifar10(tmp_path):
    tiles.stand_in(tmp_path)
    for number in (*tiles.CIFAR10["train"], *tiles.CIFAR10["test"]):
        if number > 1:
            shutil.copyfile(tmp_path / "train-00.webp", tmp_path / tiles.sheet_name(number))
    np.savez(tmp_path / "labels.npz", train_labels=np.zeros(50_000, np.uint8))
    with pytest.raises(pack.PackError, match="CIFAR-10"):
        pack.copy_tiles(tmp_path, tmp_path / "copied")


# The bare machine


def test_a_folder_holds_mixbench_with_its_configs_and_the_wheels_that_are_lacking(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name in ("new_thing", "known"):
        with zipfile.ZipFile(wheels / f"{name}-1.0-py3-none-any.whl", "w") as made:
            made.writestr(f"{name}.py", "value = 1\n")
            made.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    site = tmp_path / "site"
    assert bare.prepare(site, CHECKOUT, wheels, has=lambda name: name == "known") == ["new-thing"]
    script = (
        "import new_thing, mixbench, mixbench.configs as c, benchmarks.gpu; from importlib.metadata import version; "
        "print(mixbench.__file__, c.__path__[0], benchmarks.gpu.__file__, version('new-thing'), sep='\\n')"
    )
    environment = bare.environment(site, {**os.environ, "PYTHONPATH": str(CHECKOUT)})
    (tmp_path / "mixbench").mkdir()  # what lies where it runs is not what is imported
    # -S: a bare machine has no editable installation of mixbench, whose finder may come first.
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    package, configs, gpu, version = done.stdout.split()
    assert (package, configs) == (str(site / "mixbench/__init__.py"), str(site / "mixbench/configs"))
    assert (gpu, version) == (str(site / "benchmarks/gpu/__init__.py"), "1.0")
    assert not (site / "known.py").exists()


# Order and deadline


def test_the_study_trains_the_cells_of_few_steps_first(tmp_path):
    from mixbench.cli.flags import read
    from mixbench.config.compose import Composer
    from mixbench.config.identity import job
    from mixbench.config.overrides import expand

    words = plan.study(("dataset.path=/a.npz",), "small-data-tiles", tmp_path, "cuda", quick=False).train()
    flags = read(words[3:])
    with Composer(flags.config_dir) as composer:
        jobs = [job(composer.compose(one)) for one in expand(flags.overrides)]
        table = composer.compose(["study=small-data"])
    cells = [(one.cfg.n, one.cfg.method.name) for one in jobs]
    sizes = (1_000, 5_000, 10_000, 20_000, 100, 250, 500)
    assert cells == [(n, method) for n in sizes for method in ("none", "data-mix", "label-mix")]
    # The images apart these are the runs of study=small-data.
    assert {one.identity["dataset"] for one in jobs} == {"cifar10-20k"}
    assert list(jobs[0].cfg.dataset.mean) == list(table.dataset.mean)
    assert (jobs[0].cfg.dataset.pad, jobs[0].cfg.dataset.flip) == (table.dataset.pad, table.dataset.flip)
    assert {one.cfg.n: one.cfg.train.steps for one in jobs}[500] == 117_000


def test_the_table_shows_the_published_numbers_beside_ours(mixbench, tmp_path):
    words = plan.study(("dataset.path=/a.npz",), "small-data-tiles", tmp_path, "cuda", quick=False)
    shown = mixbench(*words.show("table", tmp_path / "out")[2:]).out
    row = next(line for line in shown.splitlines() if line.startswith("|") and line.split("|")[1].strip() == "250")
    assert [cell.strip() for cell in row.split("|")[2:8]] == [
        "– (0 of 1)",
        "36.34",
        "– (0 of 1)",
        "50.29",
        "– (0 of 1)",
        "50.08",
    ]


class Machine:
    """A clock, and steps that take known times on it; the study goes on where it was stopped."""

    def __init__(self, minutes):
        self.now, self.minutes, self.launched = 0.0, dict(minutes), []

    def launch(self, step, seconds):
        self.launched.append(step.name)
        needed = 60 * self.minutes[step.name]
        taken = min(needed, seconds)
        self.now += taken
        if step.resumes:
            self.minutes[step.name] -= taken / 60
        late = needed > seconds
        return steps.Ended(130 if late else 0, "", taken, late)

    def call(self, todo, records, minutes=8.0):
        self.launched = []
        left = steps.run(todo, records, steps.Deadline(60 * minutes, lambda: self.now), self.launch, lambda text: None)
        return self.launched, [step.name for step in left]


@pytest.fixture
def todo(tmp_path):
    return plan.steps("cuda", False, plan.study((), "small-data-tiles", tmp_path, "cuda", quick=False))


def test_calls_of_eight_minutes_come_to_the_end_without_repeating_what_is_done(todo, tmp_path):
    machine = Machine({"smoke": 1, "bench-16": 3, "bench-64": 4, "bench-methods": 3, "study": 14})
    records, began = steps.Records(tmp_path, {"device": "a"}), []
    for _ in range(10):
        launched, left = machine.call(todo, records)
        began.append(launched)
        if not left:
            break
        assert machine.now <= 60 * 8 * len(began)
    # bench-64 needs about 5 minutes, so it does not begin where 4 are left; the study begins with whatever is left.
    assert began == [["smoke", "bench-16"], ["bench-64"], ["bench-methods", "study"], ["study"], ["study"]]
    assert machine.call(todo, records) == ([], [])
    assert records.read("study")["attempts"] == 3
    assert records.read("study")["seconds"] == pytest.approx(14 * 60)


def test_a_step_that_fits_no_call_is_given_up_and_the_next_begins(todo, tmp_path):
    machine = Machine({"smoke": 1, "bench-16": 30, "bench-64": 1, "bench-methods": 1, "study": 1})
    records = steps.Records(tmp_path, {"device": "a"})
    calls = [machine.call(todo, records)[0] for _ in range(3)]
    assert calls == [["smoke", "bench-16"], ["bench-16"], ["bench-64", "bench-methods", "study"]]
    assert records.read("bench-16")["status"] == steps.FAILED


def test_what_another_machine_or_code_did_is_done_again(todo, tmp_path):
    minutes = dict.fromkeys(CALLS, 0.5)
    for machine in ({"device": "a", "code_sha256": "1"}, {"device": "a", "code_sha256": "2"}, {"device": "b"}):
        assert Machine(minutes).call(todo, steps.Records(tmp_path, machine))[0] == list(CALLS)
        assert Machine(minutes).call(todo, steps.Records(tmp_path, machine))[0] == []


def test_a_step_that_fails_does_not_keep_the_others(todo, tmp_path):
    records = steps.Records(tmp_path, {})
    launch = lambda step, seconds: steps.Ended(1 if step.name == "smoke" else 0, "", 1.0)  # noqa: E731
    assert steps.run(todo, records, steps.Deadline(480), launch, lambda text: None) == []
    assert records.read("smoke")["status"] == steps.FAILED
    assert records.read("study")["status"] == steps.FINISHED


def test_a_process_is_stopped_at_its_deadline_and_told_apart_from_one_that_ended(tmp_path):
    launcher = steps.Launcher(tmp_path, os.environ)
    late = launcher(steps.Step("slow", ["-c", "import time; time.sleep(600)"], 1), 1.0)
    assert late.late
    assert late.code != 0
    assert late.seconds < 1 + steps.GRACE
    step = steps.Step("fast", ["-c", "import json; print(7); json.dump([1], open('f.json', 'w'))"], 1, figures="f.json")
    fast = launcher(step, 60)
    assert (fast.late, fast.code, fast.text) == (False, 0, "7\n")
    assert launcher.figures(step) == [1]


# Correctness


@pytest.fixture(scope="module")
def photographs():
    torch.set_num_threads(1)
    return smoke.photographs()


@pytest.mark.parametrize("words", [["method=fmix"], ["method=manifold"], ["augment=three-augment"]])
def test_two_executions_differ_by_float64s_rounding_alone(words, photographs):
    found = smoke.compare(words, photographs, smoke.sides(torch.device("cpu")), steps=4)
    assert 0 < max(found["loss"], found["logits"]) < 1e-12  # not trivially equal
    assert found["pixels"] == 0


def test_pixels_rounded_to_float32_on_one_side_are_over_the_bound(photographs, monkeypatch):
    both = smoke.sides(torch.device("cpu"))
    normalise, engines = smoke.Engine.normalise, []

    def rough(self, images):  # of the second engine alone, images are rounded to float32
        engines.append(self) if self not in engines else None
        exact = normalise(self, images)
        return exact.float().double() if engines.index(self) == 1 else exact

    monkeypatch.setattr(smoke.Engine, "normalise", rough)
    rounded = smoke.compare(["method=label-mix"], photographs, both)
    assert not smoke.judged("method=label-mix", rounded)["ok"]


def test_pixels_that_differ_are_counted_and_only_moving_augmentations_may_have_none():
    row = {"loss": 0.0, "logits": 0.0, "pixels": 5e-4, "pixels_by": 1}
    assert smoke.judged("augment=color-jitter", row)["ok"]
    assert not smoke.judged("augment=color-jitter", row | {"pixels": 2e-3})["ok"]
    for name in ("augment=standard", "method=cutmix"):
        assert not smoke.judged(name, row)["ok"]
    assert not smoke.judged("method=cutmix", row | {"pixels": 0, "logits": float("inf")})["ok"]


def test_every_method_and_augmentation_is_compared():
    from mixbench.augment import AUGMENTS
    from mixbench.mixing.runner import METHOD_NAMES

    compared = smoke.variants()
    assert {f"method={name}" for name in METHOD_NAMES} | {f"augment={name}" for name in AUGMENTS} == set(compared)


# The whole path


def gpu(folder, out, *words):
    environment = {**os.environ, "OUT": str(out)}
    command = [CHECKOUT / "scripts/gpu", *words, "--device", "cpu", "--quick", "--folder", folder]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
def test_the_study_is_rehearsed_and_the_second_call_trains_nothing(numbers, tmp_path):
    def trained(stdout):
        """How many runs the call trained, and how many are finished with them."""
        (line,) = [line for line in stdout.splitlines() if "trained" in line]
        return numbers(line)[-2:]

    first = gpu(tmp_path / "gpu", tmp_path / "out", "study")
    assert first.returncode == 0, first.stdout + first.stderr
    assert trained(first.stdout) == [6, 6]
    held = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"page.md", "steps.json", "runs.mixbench.zip"} <= held
    assert len(held) <= pack.RETURN_FILES
    text = (tmp_path / "out/page.md").read_text()
    assert all(f"| {n} | {method} |" in text for n in (50, 100, 200) for method in ("none", "label-mix"))
    # The same again finds everything done.
    folders = sorted((tmp_path / "gpu/quick/results/runs").glob("stand-in-*/metrics.json"))
    times = [path.stat().st_mtime_ns for path in folders]
    second = gpu(tmp_path / "gpu", tmp_path / "out", "study")
    assert second.returncode == 0
    assert "resuming: 6 runs" in second.stdout
    assert trained(second.stdout) == [0, 6]
    assert [path.stat().st_mtime_ns for path in folders] == times
    # What came back goes into the store from which the next pack takes it.
    assert (
        cli.main(
            [
                "unpack",
                str(tmp_path / "out/runs.mixbench.zip"),
                str(tmp_path / "out/steps.json"),
                "--folder",
                str(tmp_path / "home"),
            ]
        )
        == 0
    )
    assert len(page.runs_of(tmp_path / "home/results")) == 6
    assert json.loads((tmp_path / "home/results/steps/study.json").read_text())["status"] == "finished"


def test_without_the_device_or_images_nothing_is_begun(tmp_path, capsys):
    environment = {**os.environ, "OUT": str(tmp_path / "out"), "CUDA_VISIBLE_DEVICES": ""}
    words = [str(CHECKOUT / "scripts/gpu"), "--folder", str(tmp_path / "gpu")]
    for more, told in (([], "device=cuda"), (["--device", "cpu"], "--tiles")):
        done = subprocess.run([*words, *more], capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 2
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
