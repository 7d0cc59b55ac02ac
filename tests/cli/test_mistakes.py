"""Mistakes in words, files and archives are one line and exit 2, and nothing is written."""

import json
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cli_inputs import NPZ, OWN_STUDY, archive

from mixbench.cli.commands import COMMANDS
from mixbench.core.errors import UserError
from mixbench.runs.store.store import SCHEMA


def damaged_archive(path):
    """A zip file whose directory is whole and whose compressed bytes are not."""
    archive(path, np.savez_compressed)
    content = bytearray(Path(path).read_bytes())
    with zipfile.ZipFile(path) as opened:
        member = opened.infolist()[0]
    start = member.header_offset + 30 + len(member.filename)  # of the local header's extra field, then the bytes
    extra = int.from_bytes(content[start - len(member.filename) - 2 : start - len(member.filename)], "little")
    content[start + extra] = 0xFF  # a deflate block of no known type
    Path(path).write_bytes(content)


def encrypted_archive(path):
    archive(path)
    content = bytearray(Path(path).read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1  # the flag in the directory's first entry
    Path(path).write_bytes(content)


def plain_array(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))


def files_of_schema(text):
    Path("results/runs").mkdir(parents=True)
    Path("results/runs/schema.json").write_text(text)


def user_yaml(name, text):
    path = Path("my_configs", name)
    path.parent.mkdir(parents=True)
    path.write_text(text)


DIGITS = "run dataset=digits model.width=2 train.steps=2"


# (words, what the line must hold, what is made beforehand)
MISTAKES = {
    "no such command": ("ruun", ["'ruun'", "did you mean run?", "choices: audit, check, clean, "]),
    "method": (
        f"{DIGITS} method=cutmixx",
        ["'cutmixx'", "did you mean cutmix?", "choices: attentivemix, cutmix, cutout, data-mix"],
    ),
    "dataset": ("run dataset=digit", ["'digit'", "did you mean digits?", "choices: cifar10, cifar100, csv, digits"]),
    "key": (f"{DIGITS} sed=3", ["'sed'", "did you mean seed?", "choices: "]),
    "key of a group": (f"{DIGITS} train.step=3", ["'train.step'", "did you mean train.steps?", "train.warmup"]),
    "key of a method": (
        f"{DIGITS} method=cutout method.alpha=1",
        ["'method.alpha'", "choices: method.", "method.per_sample"],
    ),
    "method without its key": ("run mixup", ["'mixup'", "method=mixup"]),
    "a graphics card": (f"{DIGITS} device=gpu", ["'gpu'", "did you mean cuda?"]),
    "protected class of the baseline": (f"{DIGITS} method=none protect=[10]", ["protect", "class 10"]),
    "key without value": (f"{DIGITS} seed", ["'seed'", "key=value"]),
    "malformed value": (f"{DIGITS} n=[1", ["'n=[1'", "key=value"]),
    "added key": (f"{DIGITS} +colour=red", ["+colour=red", "key=value"]),
    "removed key": (f"{DIGITS} ~train", ["~train", "key=value"]),
    "Hydra's key": (f"{DIGITS} hydra.run.dir=elsewhere", ["hydra.run.dir=elsewhere", "no effect"]),
    "several values without sweep": (f"{DIGITS} seed=0,1", ["seed=0,1", "mixbench sweep"]),
    "interval": (
        "sweep dataset=digits train.steps=2 train.lr=interval(0.1,1)",
        ["train.lr=interval(0.1,1)", "range(a,b,step)"],
    ),
    "study": (
        "study small-dat",
        [
            "'small-dat'",
            "did you mean small-data?",
            "alpha-sweep, cifar10-cpu, deit3-small, demo, equal-cost, label-noise, methods-cpu,",
        ],
    ),
    "study of a table": (
        "table demoo",
        ["'demoo'", "did you mean demo?", "alpha-sweep, cifar10-cpu, deit3-small, demo,"],
    ),
    "study of a plot": ("plot demoo", ["'demoo'", "did you mean demo?"]),
    "study of status": ("status demoo", ["'demoo'", "did you mean demo?"]),
    "study as a key": ("run study=demoo", ["'demoo'", "did you mean demo?"]),
    "two studies": ("table demo small-data", ["demo small-data", "name one"]),
    "key without its group": ("run label_noise=0.2", ["'label_noise'", "did you mean dataset.label_noise?"]),
    "key of a study": ("study demo sed=3", ["'sed'", "did you mean seed?"]),
    "method of a study": ("study demo method=cutmixx", ["'cutmixx'", "did you mean cutmix?"]),
    "study named twice": ("study demo study=small-data", ["study"]),
    "rule": ("table demo rule=finale", ["'finale'", "did you mean final?", "choices: best, final, median10"]),
    "list": ("list method", ["'method'", "did you mean methods?", "choices: augments, datasets"]),
    "malformed word for status": ("status seed=[1", ["seed=[1", "key=value"]),
    "word for clean": ("clean demo", ["demo", "results_dir"]),
    "flag for clean": ("clean --yess", ["--yess"]),
    "flag": (f"{DIGITS} --confg job", ["'--confg'", "did you mean --cfg?"]),
    "flag of a table": ("table demo --config-dirr x", ["'--config-dirr'", "did you mean --config-dir?"]),
    "flag without value": ("run --cfg", ["--cfg", "value"]),
    "value of a flag": (f"{DIGITS} --cfg jobb", ["jobb", "job"]),
    "package to show": (f"{DIGITS} --cfg job --package modell", ["'modell'", "did you mean model?"]),
    "package without a configuration": (f"{DIGITS} --package model", ["--package", "--cfg job"]),
    "flag of Hydra": (f"{DIGITS} --info", ["'--info'"]),
    "no number": (f"{DIGITS} n=None", ["n=None: must be a whole number"]),
    "part of an image": (f"{DIGITS} n=20.5", ["n=20.5: must be a whole number"]),
    "null of a number": (f"{DIGITS} n=null", ["n=null: must be a whole number"]),
    "no number or null": (f"{DIGITS} train.steps=few", ["train.steps=few: must be a whole number or null"]),
    "no truth value": (f"{DIGITS} dataset.flip=x", ["dataset.flip=x: must be true or false"]),
    "no list": (f"{DIGITS} dataset.mean=0.3", ["dataset.mean=0.3: must be a list of numbers", "null"]),
    "underscore for a dot": (f"{DIGITS} model_width=4", ["'model_width'", "did you mean model.width?"]),
    "underscore for a dot of another method": (f"{DIGITS} method_alpha=4", ["did you mean method.alpha?"]),
    "underscore and a slip": (f"{DIGITS} train_batchsize=4", ["did you mean train.batch_size?"]),
    "no such config folder": ("run --config-dir nowhere", ["nowhere", "no such folder"]),
    "n of 0": (f"{DIGITS} n=0", ["n=0", "at least 1"]),
    "n below 0": (f"{DIGITS} n=-3", ["n=-3", "at least 1"]),
    "n above what there is": (f"{DIGITS} n=1298", ["n=1298", "1297"]),
    "n above what the holdout leaves": (f"{DIGITS} eval=holdout n=1039", ["n=1039", "1038"]),
    "n not whole": (f"{DIGITS} n=2.5", ["n=2.5"]),
    "n not a number": (f"{DIGITS} n=many", ["n=many"]),
    "balanced with fewer images than classes": (f"{DIGITS} subset=balanced n=9", ["balanced", "n=9", "10 classes"]),
    "subset": (
        f"{DIGITS} subset=balancd",
        ["'balancd'", "did you mean balanced?", "choices: balanced, disjoint, head, random"],
    ),
    "eval": (f"{DIGITS} eval=tests", ["'tests'", "did you mean test?", "choices: holdout, stratified, test"]),
    "holdout": (f"{DIGITS} eval=holdout dataset.holdout=5000", ["dataset.holdout=5000", "1297"]),
    "precision": (f"{DIGITS} precision=fp16", ["'fp16'", "choices: auto, bf16, fp32"]),
    "seed": (f"{DIGITS} seed=-1", ["seed=-1", "0 or more"]),
    "label noise": (f"{DIGITS} dataset.label_noise=20", ["dataset.label_noise=20", "from 0 to 1"]),
    "label noise a word": (f"{DIGITS} dataset.label_noise=much", ["dataset.label_noise=much"]),
    "class to protect": (
        "run dataset=cifar10 n=4 method=mixup protect=[cat,dogg]",
        ["'dogg'", "did you mean dog?", "choices: airplane"],
    ),
    "class number to protect": (f"{DIGITS} method=mixup protect=[2,10]", ["protect", "class 10", "0 to 9"]),
    "protected share": (f"{DIGITS} method=mixup protect=[0.5]", ["protect", "0.5", "numbers from 0"]),
    "protected truth": (f"{DIGITS} method=mixup protect=true", ["protect", "True", "numbers from 0"]),
    "protect without names": (
        f"{NPZ} method=mixup protect=cat",
        ["protect", "'cat'", "dataset.classes=[a,b]"],
        lambda: archive("my.npz"),
    ),
    "protect everything": (
        f"{NPZ} method=mixup protect=[2,1,0]",
        ["protect=[0, 1, 2]", "method=none"],
        lambda: archive("my.npz"),
    ),
    "protect several in a run": (f"{DIGITS} method=mixup protect=1,2", ["protect=1,2", "mixbench sweep"]),
    "class names": (
        f"{NPZ} dataset.classes=[a,b]",
        ["dataset.classes", "2 names", "3 classes"],
        lambda: archive("my.npz"),
    ),
    "class names twice": (f"{NPZ} dataset.classes=[a,b,a]", ["dataset.classes", "all differ"]),
    "loss": (f"{DIGITS} loss=bcee", ["'bcee'", "did you mean bce?", "choices: bce, ce, decoupled, jsd, kl"]),
    "key of a loss": (f"{DIGITS} loss.sum_classes=true", ["'loss.sum_classes'", "loss.label_smoothing"]),
    "option of a loss": (f"{DIGITS} loss=bce loss.sum_classes=3", ["loss.sum_classes=3", "bool"]),
    "label smoothing": (f"{DIGITS} loss.label_smoothing=1", ["loss.label_smoothing=1", "below 1"]),
    "negative alpha": (f"{DIGITS} method=cutmix method.alpha=-0.5", ["method.alpha=-0.5", "0 or more"]),
    "negative beta": (f"{DIGITS} method=data-mix method.beta=-1", ["method.beta=-1", "0 or more"]),
    "infinite alpha": (f"{DIGITS} method=cutmix method.alpha=inf", ["method.alpha=inf", "finite"]),
    "alpha not a number": (f"{DIGITS} method=cutmix method.alpha=nan", ["method.alpha=nan"]),
    "alpha a word": (f"{DIGITS} method=cutmix method.alpha=one", ["method.alpha=one", "number"]),
    "one of alpha and beta 0": (f"{DIGITS} method=data-mix method.beta=0", ["method.beta=0", "method=none"]),
    "probability above 1": (f"{DIGITS} method=cutmix method.p=1.5", ["method.p=1.5", "from 0 to 1"]),
    "probability below 0": (f"{DIGITS} method=cutout method.p=-0.5", ["method.p=-0.5"]),
    "per_sample": (f"{DIGITS} method=cutmix method.per_sample=2", ["method.per_sample=2", "true or false"]),
    "steps and epochs": (f"{DIGITS} train.epochs=3", ["train.steps=2", "train.epochs=3"]),
    "steps": (f"{DIGITS} train.steps=0", ["train.steps=0", "at least 1"]),
    "batch size": (f"{DIGITS} train.batch_size=0", ["train.batch_size=0", "at least 1"]),
    "rate": (f"{DIGITS} train.lr=0", ["train.lr=0", "above 0"]),
    "option that is no number": (
        f"{DIGITS} method=fmix method.decay_power=nan",
        ["decay_power=nan", "a finite number"],
    ),
    "option without end": (f"{DIGITS} augment=color-jitter augment.hue=inf", ["augment.hue=inf", "a finite number"]),
    "name of another file": (f"{DIGITS} method=cutmix method.name=fmix", ["method.name=fmix", "write method=NAME"]),
    "pad beyond all images": (f"{DIGITS} augment=randaugment augment.pad=100000", ["augment.pad=100000", "to 1000"]),
    "unknown layer": (f"{DIGITS} method=manifold method.layers=[stage9]", ["method.layers 'stage9'", "stage1"]),
    "unknown choice": (
        f"{DIGITS} method=saliencymix method.saliency=perimage",
        ["did you mean per-image?", "official"],
    ),
    "schedule": (f"{DIGITS} train.schedule=cosin", ["'cosin'", "did you mean cosine?", "choices: constant, cosine"]),
    "depth": (f"{DIGITS} model.depth=19", ["'19'", "choices: 10, 18, 34"]),
    "device that is not there": (f"{DIGITS} device=cuda:99", ["device=cuda:99", "choices: cpu"]),
    "device": (f"{DIGITS} device=gpu", ["'gpu'", "choices: auto, cpu, cuda"]),
    "results_dir a file": (f"{DIGITS} results_dir=taken", ["results_dir=taken"], lambda: Path("taken").touch()),
    "results_dir in a file": (f"{DIGITS} results_dir=taken/b", ["results_dir=taken/b"], lambda: Path("taken").touch()),
    "results of another schema": (
        DIGITS,
        ["results/runs", f"schema {SCHEMA + 1}", f"schema {SCHEMA};", "results_dir"],
        partial(files_of_schema, json.dumps({"schema": SCHEMA + 1})),
    ),
    "results of no readable schema": (DIGITS, ["results/runs"], partial(files_of_schema, '{"sche')),
    "npz without path": ("run dataset=npz n=4", ["dataset.path"]),
    "npz not there": (NPZ, ["my.npz", "no such file"]),
    "npz a folder": (NPZ, ["my.npz", "folder"], lambda: Path("my.npz").mkdir()),
    "npz a text": (NPZ, ["my.npz", "archive"], lambda: Path("my.npz").write_text("images\n")),
    "npz empty": (NPZ, ["my.npz", "archive"], lambda: Path("my.npz").touch()),
    "npz an npy": (NPZ, ["my.npz", "archive"], partial(plain_array, "my.npz")),
    "npz damaged": (NPZ, ["my.npz", "archive"], partial(damaged_archive, "my.npz")),
    "npz encrypted": (NPZ, ["my.npz", "archive", "encrypted"], partial(encrypted_archive, "my.npz")),
    "npz lacks a key": (
        NPZ,
        ["my.npz", "no test_labels", "test_images and test_labels", "eval=stratified"],
        partial(archive, "my.npz", test_labels=None),
    ),
    "npz images not uint8": (
        NPZ,
        ["my.npz", "train_images is int64", "uint8"],
        partial(archive, "my.npz", train_images=np.zeros((12, 8, 8), np.int64)),
    ),
    "npz labels not integers": (
        NPZ,
        ["my.npz", "train_labels is float64", "integers"],
        partial(archive, "my.npz", train_labels=np.zeros(12)),
    ),
    "npz images of a wrong shape": (
        NPZ,
        ["my.npz", "train_images", "(12, 64)", "[N, H, W]"],
        partial(archive, "my.npz", train_images=np.zeros((12, 64), np.uint8)),
    ),
    "npz images of four channels": (
        NPZ,
        ["my.npz", "test_images", "(6, 8, 8, 4)", "C 1 or 3"],
        partial(archive, "my.npz", test_images=np.zeros((6, 8, 8, 4), np.uint8)),
    ),
    "npz images of two shapes": (
        NPZ,
        ["my.npz", "(8, 8, 1)", "(9, 9, 1)"],
        partial(archive, "my.npz", test_images=np.zeros((6, 9, 9), np.uint8)),
    ),
    "npz images too small": (
        NPZ,
        ["my.npz", "train_images", "4x4", "8x8"],
        partial(archive, "my.npz", train_images=np.zeros((12, 4, 4), np.uint8)),
    ),
    "npz labels of a wrong shape": (
        NPZ,
        ["my.npz", "train_labels", "(12, 3)"],
        partial(archive, "my.npz", train_labels=np.zeros((12, 3), int)),
    ),
    "npz lengths differ": (
        NPZ,
        ["my.npz", "12 train_images", "11 train_labels"],
        partial(archive, "my.npz", train_labels=np.zeros(11, int)),
    ),
    "npz label below 0": (
        NPZ,
        ["my.npz", "test_labels", "-1"],
        partial(archive, "my.npz", test_labels=np.array([0, 1, 2, 0, 1, -1])),
    ),
    "npz label of the test alone": (
        NPZ,
        ["my.npz", "test_labels", "3"],
        partial(archive, "my.npz", test_labels=np.array([0, 1, 2, 0, 1, 3])),
    ),
    "npz label beyond all classes": (
        NPZ,
        ["my.npz", "train_labels", str(2**60)],
        partial(archive, "my.npz", train_labels=np.array([0, 1, 2**60] * 4)),
    ),
    "npz of pickled objects": (
        NPZ,
        ["my.npz", "train_labels", "Python objects"],
        partial(archive, "my.npz", train_labels=np.array([{"label": 0}] * 12, dtype=object)),
    ),
    "npz without images": (
        NPZ,
        ["my.npz", "train_images", "empty"],
        partial(archive, "my.npz", train_images=np.zeros((0, 8, 8), np.uint8), train_labels=np.zeros(0, int)),
    ),
    "npz whose name names no folder": ("run dataset=npz dataset.path='é.npz' n=4", ["dataset.name"]),
    "normalisation of other channels": (
        f"{NPZ} dataset.mean=[0.5,0.5,0.5] dataset.std=[1,1,1]",
        ["dataset.mean", "1 channel"],
        partial(archive, "my.npz"),
    ),
    "own YAML that is none": (
        f"{DIGITS} method=broken --config-dir my_configs",
        ["broken"],
        partial(user_yaml, "method/broken.yaml", "name: cutmix\nalpha: [1\n"),
    ),
    "own method with an unknown key": (
        f"{DIGITS} method=broken --config-dir my_configs",
        ["method.alfa", "method.alpha"],
        partial(user_yaml, "method/broken.yaml", "defaults: [cutmix]\nalfa: 1\n"),
    ),
    "own method of no function": (
        f"{DIGITS} method=broken --config-dir my_configs",
        ["'cutmixx'", "did you mean cutmix?"],
        partial(user_yaml, "method/broken.yaml", "defaults: [cutmix]\nname: cutmixx\n"),
    ),
    "own study with an unknown key": (
        "study broken --config-dir my_configs",
        ["'sed'", "did you mean seed?"],
        partial(user_yaml, "study/broken.yaml", OWN_STUDY.replace("mine", "broken").replace("seed:", "sed:")),
    ),
}


@pytest.mark.parametrize(("words", "told", "prepare"), [(*row, None)[:3] for row in MISTAKES.values()], ids=MISTAKES)
def test_a_mistake_is_one_line_and_exit_2_and_nothing_is_written(mixbench, tmp_path, contents, words, told, prepare):
    if prepare is not None:
        prepare()
    before = contents(tmp_path)
    call = mixbench(*words.split())
    assert call.status == 2
    assert call.out == ""
    assert call.err.startswith("mixbench: ")
    assert call.err.count("\n") == 1
    assert call.err.endswith("\n")
    for part in told:
        assert part in call.err
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        "method=none,cutmixx",
        "n=20,1298",
        "n=20,0",
        "n=20,9 subset=balanced",
        "method=cutmix method.alpha=1,-1",
        "method=cutmix method.p=0.5,1.5",
        "train.steps=2,null train.epochs=null,1",  # the first and the last of the four fit
        "train.warmup=0,2",
        "model.depth=10,19",
        "device=cpu,cuda:99",
        "device=cuda:99,cpu",
        "eval=test,holdout dataset.holdout=5000",
        "dataset=digits,npz dataset.path=null,my.npz n=4",  # my.npz is not there
    ],
)
def test_a_sweep_with_a_mistake_in_a_later_run_trains_none(mixbench, tmp_path, words):
    call = mixbench("sweep", "dataset=digits", "model.width=2", "train.steps=2", *words.split())
    assert call.status == 2
    assert call.out == ""
    assert call.err.startswith("mixbench: ")
    assert call.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_runs_of_a_sweep_go_to_one_folder(mixbench, tiny, tmp_path):
    call = mixbench("sweep", *tiny, "results_dir=a,b")
    assert call.status == 2
    assert "results_dir=a,b" in call.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("study: {name: mine, title: Mine}", "no study.grids"),
        ("study: {name: mine, grids: [{method: none}]}", "title"),
        (
            "study: {name: mine, title: Mine, rule: lowest, grids: [{method: none}]}",
            "unknown rule of study mine 'lowest'",
        ),
        ("study: {name: mine, title: Mine, grids: [{n: 20}], published: [{n: 20, none: 1.0}]}", "published_rule"),
    ],
)
def test_a_study_that_is_no_study_is_a_mistake(mixbench, tmp_path, text, told):
    (tmp_path / "mine" / "study").mkdir(parents=True)
    (tmp_path / "mine" / "study" / "mine.yaml").write_text(f"# @package _global_\n{text}\n")
    call = mixbench("study", "mine", "--config-dir", "mine", "dataset=digits")
    assert call.status == 2
    assert told in call.err
    assert call.err.count("\n") == 1


def test_an_interrupt_that_another_error_hides_is_an_interrupt(mixbench, monkeypatch):
    """As where Ctrl-C meets OmegaConf half way, and its clean-up fails."""

    def composes(words):
        try:
            try:
                raise KeyboardInterrupt
            finally:
                None._invalidate_flags_cache()
        except AttributeError as error:
            raise UserError("dataset=digits: does not fit") from error

    monkeypatch.setitem(COMMANDS, "run", composes)
    assert mixbench("run").status == 130
