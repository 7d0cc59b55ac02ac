"""Flags stand anywhere; --cfg and --info show the first run; run -m and sweep are one."""

import pytest
from omegaconf import OmegaConf


@pytest.mark.parametrize("alpha", ["method.alpha=0", "method.alpha=0 method.beta=0"])
def test_alpha_0_is_none(mixbench, tiny, alpha):
    assert mixbench("run", *tiny).status == 0
    call = mixbench("run", *tiny, "method=label-mix", *alpha.split())
    assert call.status == 0
    assert "-none-" in call.out
    assert "finished before" in call.out


@pytest.mark.parametrize(
    "words",
    [
        "run --cfg job n=4 method=cutmix",
        "run n=4 --cfg job method=cutmix",
        "run n=4 method=cutmix --cfg job",
        "run n=4 --cfg=job method=cutmix",
        "run n=4 -c job method=cutmix",
        "run --resolve n=4 --cfg job method=cutmix",
        "sweep n=4,5 --cfg job method=cutmix,mixup",
        "run n=4,5 --cfg job method=cutmix,mixup --multirun",
        "run -m n=4,5 method=cutmix,mixup --cfg job",
        "sweep n=4,5 method=cutmix,mixup -p method -c job",
        "run n=4 method=cutmix --cfg job --package method --resolve",
        "study demo n=4 --cfg job",
    ],
)
def test_flags_stand_before_or_after_overrides_and_show_the_first_run(mixbench, tmp_path, words):
    call = mixbench(*words.split())
    assert (call.status, call.err) == (0, "")
    shown = OmegaConf.create(call.out)
    part = "-p" in words
    method = shown if part else shown["method"]
    assert method["name"] == ("none" if "demo" in words else "cutmix")
    assert part or shown["n"] == 4
    assert list(tmp_path.iterdir()) == []


def test_resolve_replaces_references(mixbench):
    shown, resolved = (mixbench("run", "dataset=digits", "--cfg", "job", *more).out for more in ([], ["--resolve"]))
    assert "pad: ${dataset.pad}" in shown
    assert "${" not in resolved
    assert OmegaConf.create(resolved).augment.pad == 1


def test_what_is_shown_of_a_mixture_is_whole(mixbench):
    shown = OmegaConf.create(
        mixbench("run", "method=mixup-cutmix", "method.parts.cutmix.alpha=0.5", "--cfg", "job").out
    )
    assert (shown.method.parts["label-mix"].alpha, shown.method.parts.cutmix.alpha) == (1, 0.5)


def test_run_multirun_and_sweep_are_the_same_and_hydra_writes_nothing(mixbench, tiny, numbers, tmp_path):
    values = ["seed=0,1", "method=label-mix,mixup"]  # two names of one method: two runs
    assert mixbench("run", *tiny, *values, "-m").status == 0
    names = {"config.yaml", "provenance.json", "history.csv", "predictions.npz", "metrics.json"}
    runs = tmp_path / "results/runs"
    folders = sorted(path.name for path in runs.glob("digits-*"))
    assert [name.rpartition("-")[0] for name in folders] == [
        "digits-n20-label-mix-s0",
        "digits-n20-label-mix-s1",
    ]
    expected = {"results", "results/runs", "results/runs/schema.json", "results/runs/.locks"}
    expected |= {f"results/runs/{folder}" for folder in folders}
    expected |= {f"results/runs/{folder}/{name}" for folder in folders for name in names}
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.parent.name != ".locks"}
    assert found == expected
    for words in (["run", "--multirun"], ["run", "-m"], ["sweep"]):
        call = mixbench(*words, *tiny, *values)
        assert call.status == 0
        assert numbers(call.out.splitlines()[0]) == [2, 2]  # runs, and those that are finished already
    mixbench("run", *tiny, "--cfg", "job")
    assert {path.name for path in tmp_path.iterdir()} == {"results"}
