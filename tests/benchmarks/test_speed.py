"""The benchmark compares like with like and its report says all that was measured. Nothing here is timed."""

import json

import pytest
import torch

from benchmarks.speed import loops, main, methods, rates, report, stored
from benchmarks.speed.loops import Effort, MixbenchLoop, PlainLoop
from mixbench.augment import AUGMENTS
from mixbench.config.compose import Composer
from mixbench.core.registry import settings_of
from mixbench.mixing import METHODS
from mixbench.mixing.runner import METHOD_NAMES
from mixbench.runs.store import store

CPU = torch.device("cpu")
WIDTH = 2


def shapes(model: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def measured() -> dict:
    """What main.measure gives, from one step each; the processes that watch memory are made up.

    Without workers of a DataLoader: newer Pythons warn of forking.
    """
    work = Effort(rounds=1, warm=1, steps=1)
    memory = {"before": 500.0, "peak": 900.0, "steps": 350, "early": 880.0, "late": 889.5}
    return {
        "machine": main.machine(CPU),
        "minutes": 0.1,
        "plain": {"16": loops.beside_plain(WIDTH, CPU, work, workers=(0,))},
        "gflop": {"16": rates.step_gflop(WIDTH, CPU)},
        "matrix_rates": {"fp32": 80.0, "bf16": 40.0},
        "parts": {"16": [loops.parts(WIDTH, CPU, work, precision) for precision in ("fp32", "bf16")]},
        "memory": {"16": {kind: memory for kind in ("plain", "fp32", "bf16")}},
        "growth": memory | {"width": 16},
    }


def test_the_plain_loop_trains_the_network_that_mixbench_trains():
    plain, ours = PlainLoop(WIDTH, CPU, workers=0), MixbenchLoop(WIDTH, CPU, "fp32")
    assert shapes(plain.model) == shapes(ours.engine.model)


@pytest.mark.parametrize(("kind", "setting"), [(PlainLoop, 0), (MixbenchLoop, "auto")])
def test_a_loop_trains_for_as_many_steps_as_asked(kind, setting):
    loop = kind(WIDTH, CPU, setting)
    before = [parameter.detach().clone() for parameter in loop.model.parameters()]
    assert len(list(loop.steps(2, 3))) == 5
    assert not any(torch.equal(old, new) for old, new in zip(before, loop.model.parameters(), strict=True))


def test_the_plain_loop_sees_normalised_images_of_the_subset():
    image, label = PlainLoop(WIDTH, CPU, workers=0).dataset[0]
    assert image.shape == (3, 32, 32)
    assert image.dtype == torch.float32
    assert image.min() < 0 < image.max()
    assert label in range(10)


def test_speeds_are_compared_within_a_round():
    # The machine halves its speed in the second round: the ratio stays.
    rows = loops.relative({"plain": [0.2, 0.4, 0.2], "fp32": [0.1, 0.2, 0.1]}, "plain")
    assert [row["relative_speed"] for row in rows] == [1, 2]
    assert [row["steps_per_second"] for row in rows] == [5, 10]


def test_the_parts_of_a_step_add_up(measured):
    for row in measured["parts"]["16"]:
        milliseconds = row["milliseconds"]
        assert row["rest"] == pytest.approx(1 - milliseconds["update"] / sum(milliseconds.values()))


def test_the_report_has_a_row_for_every_loop(measured):
    first_cells = [line.split("|")[1:3] for line in report.markdown(measured).splitlines() if "|" in line]
    cells = [cell.strip() for row in first_cells for cell in row]
    default = measured["machine"]["default_precision"]
    own = {f"mixbench, {name}" + " (its default)" * (name == default) for name in ("fp32", "bf16")}
    assert {"plain, 0 workers", *own} <= set(cells)


def test_the_report_says_which_targets_were_missed(measured, numbers):
    grown = measured | {"growth": measured["growth"] | {"late": 890.5}}
    for of, reached in ((measured, True), (grown, False)):
        (of_memory,) = [one for one in report.targets(of) if "memory" in one["target"]]
        assert numbers(of_memory["target"]) == [10, 350]  # MB, steps
        assert of_memory["reached"] is reached
    assert "| missed" in report.markdown(grown).replace("  ", "")


def test_without_width_16_its_targets_are_left_out(measured):
    wide = {key: {"64": measured[key]["16"]} for key in ("plain", "gflop", "parts", "memory")}
    assert not [one for one in report.targets(measured | wide) if "width 16" in one["target"]]
    assert [one for one in report.targets(measured | wide) if "width 64" in one["target"]]
    assert "| 64 " in report.markdown(measured | wide)


@pytest.mark.parametrize("default", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("of_default", "of_other", "reached"),
    [
        ([1.0, 1.1, 1.0], [0.8, 0.9, 0.7], False),  # the slower in every round
        ([1.0, 1.1, 1.0], [0.9, 1.2, 0.9], False),  # one lucky round
        ([1.0, 1.1, 1.0], [0.98, 1.2, 0.97], True),  # behind by no more than the same loop is behind itself
        ([1.0, 1.1, 1.0], [2.0, 2.0, 2.0], True),
    ],
)
def test_a_default_precision_that_is_the_slower_misses_its_target(measured, default, of_default, of_other, reached):
    other = "bf16" if default == "fp32" else "fp32"
    seconds = {"plain, 0 workers": [3.0] * 3, default: of_default, other: of_other}
    of = measured | {
        "machine": measured["machine"] | {"default_precision": default},
        "plain": {"16": loops.relative(seconds, "plain, 0 workers")},
    }
    (found,) = (one for one in report.targets(of) if "as the other one" in one["target"])
    assert found["reached"] is reached


def test_a_steps_rate_stands_beside_the_machines(measured):
    speeds = {"plain, 0 workers": [1.0], "fp32": [0.5], "bf16": [0.25]}
    of = measured | {"plain": {"16": loops.relative(speeds, "plain, 0 workers")}, "gflop": {"16": 10.0}}
    lines = report.markdown(of).split("## Compared with the machine's limit")[1].split("##")[0].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[3:-1]] for line in lines if line.startswith("| 16 ")]
    assert cells == [["10.0", "20", "80", "25 %"], ["10.0", "40", "40", "100 %"]]


def test_the_arithmetic_of_a_step_counted_by_hand():
    """Two operations a multiplication; the backward pass has each product twice, but for the stem's input gradient."""

    def convolution(channels_in, channels, side, kernel=3):
        return 2 * channels_in * channels * kernel**2 * side**2

    forward, stem = 2 * 8 * WIDTH * 10, convolution(3, WIDTH, 32)
    before = WIDTH
    for stage, side in enumerate((32, 16, 8, 4)):
        now = WIDTH * 2**stage
        forward += convolution(before, now, side) + 3 * convolution(now, now, side)
        forward += convolution(before, now, side, kernel=1) if before != now else 0
        before = now
    assert rates.step_gflop(WIDTH, CPU) * 1e9 == 128 * (3 * forward + 2 * stem)


@pytest.mark.parametrize(
    ("fp32", "bf16", "default", "timed"),
    [
        (80.0, 5.0, "fp32", ["fp32"]),  # no instructions for bf16
        (339.0, 172.0, "fp32", ["fp32", "bf16"]),
        (339.0, 3000.0, "bf16", ["fp32", "bf16"]),
        (80.0, 5.0, "bf16", ["fp32", "bf16"]),  # a bad default shows
    ],
)
def test_a_hopeless_precision_is_not_trained_in(measured, fp32, bf16, default, timed):
    found = rates.worth_timing({"fp32": fp32, "bf16": bf16}, default)
    assert sorted(found) == sorted(timed)
    rows = [row for row in measured["plain"]["16"] if row["name"].startswith("plain") or row["name"] in found]
    of = measured | {"plain": {"16": rows}, "machine": measured["machine"] | {"default_precision": default}}
    assert len([one for one in report.targets(of) if "other one" in one["target"]]) == len(found) - 1
    assert "the machine's limit" in report.markdown(of)


def test_rates_of_matrix_products_are_measured(monkeypatch):
    monkeypatch.setitem(rates.SIDE, "cpu", 64)
    monkeypatch.setattr(rates, "SECONDS", 0.01)
    found = rates.matrix_rates(CPU)
    assert set(found) == {"fp32", "bf16"}
    assert all(0 < rate < 1e5 for rate in found.values())


def test_what_is_measured_can_be_kept_as_json(measured):
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured


def test_the_synthetic_store_can_be_read(tmp_path):
    stored.synthetic_store(tmp_path, 90)
    found, problems = store.scan(tmp_path / "runs")
    assert len(found) == 90
    assert problems == []
    assert {run["identity"]["method"] for run in found} == set(METHOD_NAMES)
    assert all(run["id"] == run["folder"].name for run in found)


def test_the_commands_of_a_store_are_called_and_judged(monkeypatch, numbers):
    called = []
    monkeypatch.setattr(stored, "synthetic_store", lambda results, runs: None)
    monkeypatch.setattr(stored.subprocess, "run", lambda words, **_: called.append(words[3]))
    rows = stored.measure(2)
    assert called == ["--help", "table", "plot", "report", "table", "plot", "report"] * 2
    slow = [row | {"seconds": 5.5, "all": [5.5]} for row in rows]
    lines = stored.markdown({"machine": main.machine(CPU), "minutes": 1.0, "commands": slow}).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| mixbench")]
    verdicts = {(row[0].split()[1], *numbers(row[0])): row[3] for row in rows}
    assert verdicts["plot", 10_000] == "missed (5 s)"
    assert verdicts["report", 10_000] == "reached (20 s)"
    assert verdicts["report", 1_000] == ""


def test_memory_of_this_process():
    assert 0 < loops.process_mb("VmRSS") <= loops.process_mb("VmHWM")


@pytest.fixture(scope="module")
def variants() -> dict:
    return methods.variants()


@pytest.fixture(scope="module")
def few(variants) -> dict:
    """What main.measure_methods gives for two of the variants of each group, from one step each."""
    chosen = {
        "method": ("method=none", "method=mixture per_sample"),
        "augment": ("augment=none", "augment=three-augment"),
    }
    with pytest.MonkeyPatch.context() as patch:
        kept = {group: {name: variants[group][name] for name in names} for group, names in chosen.items()}
        patch.setattr(methods, "variants", lambda: kept)
        patch.setattr(methods, "BATCHES", 2)
        patch.setattr(main, "effort", lambda device, width, quick: Effort(rounds=1, warm=1, steps=1))
        return main.measure_methods(CPU, [WIDTH], quick=True)


def test_every_method_and_augmentation_is_a_variant_and_its_overrides_fit(variants):
    assert {group: next(iter(rows)) for group, rows in variants.items()} == methods.BASELINES
    assert {f"method={name}" for name in METHOD_NAMES} <= set(variants["method"])
    assert {f"augment={name}" for name in AUGMENTS} == set(variants["augment"])
    # The scope that is not the default is another computation: for those that have one.
    scoped = {name for name, function in METHODS.items() if "per_sample" in settings_of(function)}
    usual = {"cutout", "random-erasing", "mixpro", "diffusemix", "filter-mix"}  # theirs is per_sample as it is
    other = {f"method={name} per_sample" for name in (scoped - usual) | {"mixture"}}
    assert other == {name for name in variants["method"] if name.endswith(" per_sample")}
    with Composer() as composer:
        for name, overrides in variants["method"].items():
            method = composer.compose(overrides).method
            assert f"method={method.name}" == name.split()[0]
            assert not name.endswith(" per_sample") or method.per_sample


def test_every_variant_is_compared_with_its_groups_baseline(few):
    measured = few["methods"][str(WIDTH)]
    for group, baseline in methods.BASELINES.items():
        assert measured[group][0]["name"] == baseline
        assert methods.above(measured[group][0]) == 0
        assert all(row["batch_ms"] > 0 for row in measured[group])
    assert methods.above({"relative_speed": 0.8}) == pytest.approx(0.25)
    assert json.loads(json.dumps(few, allow_nan=False)) == few


def test_the_report_on_methods_has_a_row_for_each(few):
    text = methods.markdown(few)
    for name in ("method=none", "method=mixture per_sample", "augment=none", "augment=three-augment"):
        row = next(line for line in text.splitlines() if line.startswith(f"| {name} "))
        assert "+0.0 %" in row or name not in methods.BASELINES.values()
    assert "reached" not in text  # targets are set for another width
    assert "missed" not in text


def test_the_targets_of_methods_are_those_of_their_width_on_a_cpu(few):
    def rows(*above):
        names = ("method=none", "method=cutmix", "method=saliencymix per-image")
        pairs = zip(names, (0, *above), strict=True)
        return [{"name": n, "steps_per_second": 1, "relative_speed": 1 / (1 + a), "batch_ms": 1} for n, a in pairs]

    def verdicts(text):
        return [line.split("|")[-2].strip() for line in text.splitlines() if line.startswith("| method=")]

    wide = few | {"methods": {str(methods.TARGET_WIDTH): {"method": rows(0.07, 0.07)}}}
    assert verdicts(methods.markdown(wide)) == ["", "missed (5 %)", "reached (10 %)"]
    on_gpu = wide | {"machine": few["machine"] | {"device_type": "cuda"}}
    assert verdicts(methods.markdown(on_gpu)) == ["", "", ""]
