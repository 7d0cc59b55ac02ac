"""`mixbench study PATH`: a learning curve on a user's own data, and the one look that a command takes at them."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.data.sources import load as load_module
from mixbench.data.sources.pictures import reading
from mixbench.runs import own_study
from mixbench.runs.store.store import Store

SMALL = ("model.width=2", "model.depth=10", "train.steps=2", "train.batch_size=8", "device=cpu", "progress=off")


@pytest.fixture
def pics(tmp_path):
    """Two classes of 20 pictures, one of which is damaged."""
    rng = np.random.default_rng(0)
    for k in range(40):
        place = tmp_path / "pics" / "ab"[k % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(place / f"{k}.png")
    (tmp_path / "pics" / "a" / "damaged.png").write_bytes(b"no")
    return "pics"


def stored():
    found = [json.loads(file.read_text()) for file in Path("results/runs").glob("*/metrics.json")]
    return {(m["identity"]["method"], m["identity"]["n"], m["identity"]["seed"]): m for m in found}


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
@pytest.mark.parametrize("free", [10, 33, 96, 295, 1_000, 54_321])
def test_sizes_go_from_few_images_of_a_class_to_all(free, classes):
    sizes = own_study.sizes(free, classes)
    assert sizes[-1] == free
    assert 1 <= len(sizes) <= 4
    assert len(sizes) == 1 or sizes[0] >= 5 * classes
    ratios = [large / small for small, large in itertools.pairwise(sizes)]
    assert all(ratio > 1.9 for ratio in ratios)  # 2 without rounding
    assert len(sizes) == 4 or free < 5 * classes * 2**3 * 1.1  # only few images leave room for fewer sizes


def test_the_runs_of_a_study_of_a_folder(mixbench, pics):
    call = mixbench("study", pics, *SMALL, "method=none,cutmix")
    assert call.status == 0
    runs = stored()
    assert set(runs) == {(m, n, s) for m in ("none", "cutmix") for n in (16, 32) for s in range(3)}
    assert all(metrics["identity"]["subset_seed"] == seed for (_, _, seed), metrics in runs.items())
    (page,) = Path("results").glob("study,*/report.html")
    assert str(page) in call.out.splitlines()[-1]
    text = (page.parent / "accuracy.csv").read_text()
    assert {line.split(",")[0] for line in text.splitlines()[1:]} == {"16", "32"}
    assert mixbench("study", pics, *SMALL, "method=none,cutmix").status == 0
    assert len(list(Path("results/runs").glob("*/metrics.json"))) == 12  # nothing was trained again
    assert mixbench("report", pics, "out=all").status == 0
    assert mixbench("table", pics, "out=all").status == 0
    assert "(3)" in Path("all/accuracy.md").read_text()
    before = {metrics["id"] for metrics in runs.values()}
    assert mixbench("decide", pics, *SMALL, "method=none,cutmix", "budget=3rounds").status == 0
    assert {metrics["id"] for metrics in stored().values()} == before  # its rounds are runs of the study


def test_smaller_subsets_are_parts_of_larger_ones_and_all_methods_share_them(mixbench, pics):
    with Composer() as composer:
        words = ["dataset=folder", f"dataset.path={pics}", "dataset.size=12", "eval=stratified", "split_seed=0"]
        words += ["subset=random", "method=none,mixup", "n=8,16,32", *SMALL]
        jobs = own_study.plan(composer, words).jobs
    dataset = data.load_for(jobs[0].cfg, lambda line: None)
    subsets = {}
    for job in jobs:
        train, _ = data.positions(dataset, job.cfg)
        subsets.setdefault((job.cfg.seed, job.cfg.n), []).append(set(train.tolist()))
    assert all(len(two) == 2 and two[0] == two[1] for two in subsets.values())
    for seed in range(3):
        assert subsets[seed, 8][0] < subsets[seed, 16][0] < subsets[seed, 32][0]
    assert subsets[0, 8][0] != subsets[1, 8][0]


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        (["seed=4,7"], {(4, 4), (7, 7)}),
        (["subset_seed=4,7"], {(4, 4), (7, 7)}),
        (["subset_seed=4,7", "seed=1"], {(4, 1), (7, 1)}),
        (["seed=range(5)"], {(k, k) for k in range(5)}),
        ([], {(0, 0), (1, 1), (2, 2)}),
    ],
)
def test_words_change_the_study(mixbench, words, seeds):
    with Composer() as composer:
        jobs = own_study.plan(composer, ["dataset=digits", "n=20,50", "method=none,fmix", "subset=random", *words]).jobs
    assert {(job.cfg.subset_seed, job.cfg.seed) for job in jobs} == seeds
    assert {(job.cfg.n, job.cfg.method.name) for job in jobs} == {(n, m) for n in (20, 50) for m in ("none", "fmix")}
    assert len(jobs) == 4 * len(seeds) == len({job.id for job in jobs})


def test_a_dry_run_shows_the_runs_and_writes_nothing(mixbench, pics, contents, tmp_path):
    before = contents(tmp_path)
    call = mixbench("study", pics, *SMALL, "n=8,32", "method=none,mixup", "--dry-run")
    assert call.status == 0
    assert sum("-n8-" in line for line in call.out.splitlines()) == 6
    assert "time not known" not in call.out
    assert contents(tmp_path) == before
    assert mixbench("study", pics, *SMALL, "--cfg", "job").status == 0
    assert contents(tmp_path) == before


def test_a_named_study_on_own_data_stays_the_named_study(mixbench, pics):
    words = ["dataset=folder", f"dataset.path={pics}", "dataset.size=12", "eval=stratified", "n=8", "scale=smoke"]
    assert mixbench("study", "demo", *words, "device=cpu").status == 0
    (metrics,) = stored().values()
    assert (metrics["identity"]["method"], metrics["identity"]["train.steps"]) == ("label-mix", 4)


@pytest.mark.parametrize("command", ["decide", "study", "audit"])
@pytest.mark.parametrize("again", [False, True], ids=["decoded", "from the cache"])
def test_a_command_looks_at_the_data_once(mixbench, pics, monkeypatch, command, again):
    given = [*SMALL, "method=none,mixup"] if command != "audit" else []
    rounds = ["budget=3rounds"] if command == "decide" else []
    if again:
        assert mixbench(command, pics, *given, *rounds).status == 0
    listed, kept = [], []
    count(monkeypatch, reading, "list_folder", listed)
    count(monkeypatch, reading, "_cached", kept)
    call = mixbench(command, pics, *given, *rounds)
    assert call.status == 0
    assert (len(listed), len(kept)) == (1, 1)
    assert call.err.count("damaged.png") == 1


def test_every_command_of_a_process_names_what_is_left_out(mixbench, pics):
    for _ in range(2):
        assert mixbench("study", pics, *SMALL, "--dry-run").err.count("damaged.png") == 1


def count(monkeypatch, module, name, calls):
    original = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *given: [calls.append(given), original(*given)][1])


def test_a_dry_run_downloads_nothing_to_measure(mixbench, monkeypatch):
    monkeypatch.setattr(load_module, "_cifar", None)
    call = mixbench("run", "n=10", *SMALL, "--dry-run")
    assert call.status == 0
    assert "time not known" not in call.out
    assert not Store("results").ids()
