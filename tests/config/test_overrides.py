"""The words of a command: paths as they stand, flags anywhere, what a message and a selection name."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from mixbench.config.compose import Composer
from mixbench.config.overrides import parse, values

STORE = Path(__file__).parents[1] / "fixtures" / "store"
NAMES = [
    "my.npz", "a b.npz", "a, b.npz", "a,b.npz", "it's.npz", 'say "x".npz', "a=b.npz", "$home.npz", "a$b.npz",
    "x (1).npz", "é.npz", "写真.npz", "[1].npz", "{a}.npz", "a;b.npz", "#1.npz", "100%.npz", "null.npz", "-.npz",
    "a\\b.npz", " a.npz", "1e3", "true", "007", "1_000", "a:b.npz", "~x.npz", "choice(a).npz", "glob(*)", "*.npz",
]  # fmt: skip


def archive(path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 8, 8), dtype=np.uint8)
    with open(path, "wb") as file:  # by hand, since NumPy adds .npz to a name
        np.savez(
            file, train_images=images, train_labels=np.arange(12) % 3, test_images=images, test_labels=np.arange(12) % 3
        )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["dataset.path", "dataset.root", "results_dir", "out"])
@pytest.mark.parametrize("folder", ["", "sub (dir), x/"])
def test_a_path_that_is_there_is_taken_as_it_stands(here, key, name, folder):
    path = f"{folder}{name}"
    if folder:
        Path(folder).mkdir()
    Path(path).touch()
    (override,) = parse([f"{key}={path}"])
    assert values(override) == [path]
    (again,) = parse([override.input_line])
    assert values(again) == [path]


@pytest.mark.parametrize("name", ["x (1).npz", "é.npz", "a=b.npz", "it's.npz", "写真.npz", "a;b.npz", "007"])
def test_a_path_that_is_not_there_is_taken_too(here, name):
    (override,) = parse([f"results_dir={name}"])
    assert values(override) == [name]


@pytest.mark.parametrize(
    ("text", "there", "found"),
    [
        ("a.npz,b.npz", ["a.npz", "b.npz"], ["a.npz", "b.npz"]),
        ("a.npz,b.npz", [], ["a.npz", "b.npz"]),
        ("a.npz,b.npz", ["a.npz,b.npz"], ["a.npz,b.npz"]),
        ("a.npz,b.npz", ["a.npz,b.npz", "a.npz", "b.npz"], ["a.npz,b.npz"]),
        ("é.npz,x (1).npz", ["é.npz", "x (1).npz"], ["é.npz", "x (1).npz"]),
        ("é.npz,x (1).npz", [], ["é.npz,x (1).npz"]),
        ("'a,b.npz'", [], ["a,b.npz"]),
        ("'a,b.npz',c.npz", ["a,b.npz", "c.npz"], ["a,b.npz", "c.npz"]),
    ],
)
def test_a_comma_parts_paths_unless_a_file_has_it(here, text, there, found):
    for name in there:
        Path(name).touch()
    (override,) = parse([f"dataset.path={text}"])
    assert values(override) == found


def test_home_is_the_users(here, monkeypatch):
    home = here / "my home"
    monkeypatch.setenv("HOME", str(home))
    home.mkdir()
    (override,) = parse(["dataset.path=~/my.npz"])
    assert values(override) == [f"{home}/my.npz"]
    for name in ("a.npz", "b.npz"):
        (home / name).touch()
    for key in ("method.bank", "method.teacher", "method.parts.some-method.bank", "method.parts.some-method.teacher"):
        (override,) = parse([f"{key}=~/my (1), é"])
        assert values(override) == [f"{home}/my (1), é"]
    (override,) = parse(["dataset.path=~/a.npz,~/b.npz"])
    assert values(override) == [f"{home}/{name}" for name in ("a.npz", "b.npz")]


def test_words_that_are_no_paths_keep_hydras_meaning():
    for text, value in (
        ("n=500", 500),
        ("dataset.path=null", None),
        ("method=[a,b]", ["a", "b"]),
        ("results_dir=a", "a"),
    ):
        (override,) = parse([text])
        assert override.value() == value


def test_paths_of_all_kinds_serve_a_run_and_its_readers(mixbench, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    archive(tmp_path / "home" / "my (1), é.npz")
    own = tmp_path / "my configs, (old)" / "method"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# Mine\ndefaults: [cutmix]\nalpha: 3\n")
    words = [
        "--config-dir", "my configs, (old)", "run", "dataset=npz", "dataset.path=~/my (1), é.npz", "dataset.name=mine",
        "results_dir=my results, (new)", "n=4", "subset=balanced", "model.width=16", "model.depth=10", "train.steps=2",
        "train.batch_size=4", "device=cpu", "precision=fp32", "method=mine",
    ]  # fmt: skip
    assert "name: mine" in mixbench(*words, "--cfg", "job").out
    call = mixbench(*words)
    assert call.status == 0, call.err
    assert list((tmp_path / "my results, (new)" / "runs").glob("mine-n4-cutmix-*/metrics.json"))
    call = mixbench("table", "dataset=mine", "results_dir=my results, (new)", "out=~/tables (1)")
    assert call.status == 0, call.err
    assert (tmp_path / "home" / "tables (1)" / "accuracy.csv").exists()


@pytest.mark.parametrize("flag", [["--config-dir", "own"], ["--config-dir=own"], ["-cd", "own"]])
def test_the_folder_of_own_files_may_stand_before_the_command(mixbench, tmp_path, flag):
    (tmp_path / "own" / "method").mkdir(parents=True)
    (tmp_path / "own" / "method" / "mine.yaml").write_text("# Mine: my own\ndefaults: [cutmix]\n")
    assert "mine" in mixbench(*flag, "list", "methods").out
    assert mixbench(*flag, "run", "method=mine", "--cfg", "job").status == 0
    assert mixbench(*flag).status == 2
    assert mixbench(*flag, "runn").status == 2


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("label_noise=0.2", "dataset.label_noise"),
        ("label_nois=0.2", "dataset.label_noise"),
        ("steps=3", "train.steps"),
        ("epochs=3", "train.epochs"),
        ("batch_sise=8", "train.batch_size"),
        ("width=8", "model.width"),
        ("path=x.npz", "dataset.path"),
        ("holdout=0.1", "dataset.holdout"),
        ("alpha=1", "method.alpha"),
        ("dataset.label_nose=0.2", "dataset.label_noise"),
        ("sed=3", "seed"),
        ("subset_sed=3", "subset_seed"),
    ],
)
@pytest.mark.parametrize("command", [["run"], ["sweep"], ["study", "demo"]])
def test_a_key_without_its_group_is_suggested_with_it(mixbench, command, word, meant):
    method = [] if command[0] == "study" else ["method=mixup"]
    if command[0] == "study" and word == "alpha=1":
        return  # of the study's methods the first has no α
    call = mixbench(*command, *method, word, "--dry-run")
    assert call.status == 2
    assert f"did you mean {meant}?" in call.err


# What a selection says of the store


@pytest.fixture
def results(here):
    shutil.copytree(STORE, here / "results")
    return here / "results"


def damage(results, name):
    (results / "runs" / name).mkdir()
    (results / "runs" / name / "metrics.json").write_text("{")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dataset=digits"], {"digits-n20-none-s9-0123456789", "digits-n50-cutmix-s0-0123456789"}),
        (["dataset=digits", "n=50"], {"digits-n50-cutmix-s0-0123456789"}),
        (["method=cutmix", "dataset=digits,my"], {"digits-n50-cutmix-s0-0123456789"}),
        (["seed=9"], {"digits-n20-none-s9-0123456789", "my-set-n5-n20-none-s9-0123456789"}),
        (["subset=balanced"], None),  # which a name does not tell: all may be meant
        (["demo"], {"digits-n20-none-s9-0123456789"}),
        ([], None),
    ],
)
def test_warnings_are_of_folders_that_may_belong(mixbench, results, words, told):
    every = {"digits-n20-none-s9-0123456789", "my-set-n5-n20-none-s9-0123456789", "digits-n50-cutmix-s0-0123456789"}
    for name in every:
        damage(results, name)
    (results / "runs" / "my-n7-none-s0-0123456789").mkdir()  # begun, and another data set
    call = mixbench("table", *words)
    assert {name for name in every if name in call.err} == (every if told is None else told)
    assert ("my-n7-none" in call.err) == (told is None)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["dataset=npz"], ["dataset", "digits", "dataset.name"]),
        (["dataset=digits", "n=7"], ["n", "20", "50"]),
        (["method=cutmix"], ["method", "none", "label-mix", "data-mix"]),
        (["n=50", "method=data-mix", "seed=2"], ["no run has all"]),
    ],
)
@pytest.mark.parametrize("command", ["table", "report", "plot"])
def test_a_selection_of_nothing_names_what_is_stored(mixbench, results, command, words, named):
    before = sorted(os.listdir(results))
    call = mixbench(command, *words)
    assert call.status == 1
    assert call.err.count("\n") == 1
    for text in named:
        assert text in call.err
    assert sorted(os.listdir(results)) == before


def test_class_names_can_be_given_to_readers(mixbench, results):
    digits = "zero,one,two,three,four,five,six,seven,eight,nine"
    for words in (["demo"], ["dataset=digits"]):
        assert mixbench("table", *words, f"dataset.classes=[{digits}]").status == 0
        call = mixbench("report", *words, f"dataset.classes=[{digits}]", "out=page")
        assert call.status == 0, call.err
        assert "seven" in Path("page/report.md").read_text()
        plain = mixbench("report", *words, "out=page")
        assert plain.status == 0
        assert "seven" not in Path("page/report.md").read_text()
        few = mixbench("table", *words, "dataset.classes=[a,b]")
        assert few.status == 2
        assert "2 names" in few.err
        assert few.err.count("\n") == 1
    assert mixbench("table", "dataset=digits", "dataset.classes=[a,a]").status == 2
    assert not Path("results/selection,dataset=digits,dataset.classes=[zero]").exists()


def test_own_defaults_of_a_data_set_know_the_home_folder(mixbench, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with Composer() as composer:
        text = composer.compose(["dataset=npz"]).dataset
    (tmp_path / "own" / "dataset").mkdir(parents=True)
    own = yaml.safe_load(json.dumps({"defaults": ["npz"], "path": "~/mine.npz"}))
    (tmp_path / "own" / "dataset" / "mine.yaml").write_text(yaml.safe_dump(own))
    archive(tmp_path / "mine.npz")
    assert text.path is None
    words = ["dataset=mine", "n=3", "model.width=16", "train.steps=2", "--config-dir", "own"]
    assert mixbench("run", *words, "--dry-run").status == 0
    assert mixbench("run", *words, "device=cpu", "train.batch_size=4", "model.depth=10").status == 0
