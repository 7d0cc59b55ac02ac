"""`mixbench generate`: banks from the command line, runs that use them, and mistakes in one line."""

import json
import re

import numpy as np
import pytest

from mixbench import data
from mixbench.cli.commands.generate import KEYS
from mixbench.cli.help import GENERATE_HELP
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.generation.filters import Filters
from mixbench.runs.banks import methods_with_banks

FEW = ("filters=[mosaic,autumn]", "fractals=2", "progress=off")


def manifest(folder):
    return json.loads((folder / "bank.json").read_text())


def test_without_n_a_bank_has_all_training_images_in_the_default_folder(mixbench, tmp_path):
    call = mixbench("generate", "dataset=digits", *FEW)
    assert (call.status, call.err) == (0, "")
    folder = tmp_path / "data/banks/digits-filters"
    recipe = manifest(folder)["recipe"]
    digits = data.load("digits", "", None, say=print)
    assert (recipe["images"], recipe["train_sha256"]) == (1297, digits.train_sha256)
    assert np.load(folder / "indices.npy").tolist() == list(range(1297))
    made = np.concatenate([np.load(path) for path in sorted(folder.glob("variants-*.npy"))])
    by_hand = Filters(("mosaic", "autumn")).make(digits.train_images[-5:], np.arange(5), 0)
    assert np.array_equal(made[-5:], by_hand)
    (following,) = re.findall(r"^Next: mixbench (.*)$", call.out, re.MULTILINE)
    with Composer() as composer:
        made = job(composer.compose(following.split()[1:]))
    assert made.identity["method.bank"] == manifest(folder)["sha256"][:12]


def test_with_n_a_bank_has_the_images_of_that_run_and_of_smaller_ones(mixbench, tiny, tmp_path):
    of_subset = ("dataset=digits", "subset=balanced", "subset_seed=3")
    assert mixbench("generate", *of_subset, "n=20", "bank=my bank", *FEW).status == 0
    with Composer() as composer:
        cfg = job(composer.compose([*of_subset, "n=20"])).cfg
    expected = data.split(data.load("digits", "", None, say=print), cfg).indices
    assert np.array_equal(np.load(tmp_path / "my bank/indices.npy"), expected)
    run = (*tiny, "train.steps=2", "progress=off", "method=filter-mix", "method.bank=my bank", "subset_seed=3")
    assert mixbench("run", *run, "n=10").status == 0
    refused = mixbench("run", *run, "n=21")
    assert refused.status == 2
    assert "lacks 1 of 21" in refused.err


def test_runs_of_equal_banks_are_one_run_and_know_where_their_images_come_from(mixbench, tiny, tmp_path):
    for folder, fractals in (("first", 2), ("second", 2), ("third", 3)):
        words = ("dataset=digits", "n=20", "subset=balanced", *FEW, f"fractals={fractals}", f"bank={folder}")
        assert mixbench("generate", *words).status == 0
    run = (*tiny, "train.steps=2", "progress=off", "method=filter-mix")
    for folder in ("first", "second", "third"):
        assert mixbench("run", *run, f"method.bank={folder}").status == 0
    folders = sorted((tmp_path / "results/runs").glob("digits-*"))
    assert len(folders) == 2
    stored = {json.loads((folder / "provenance.json").read_text())["banks"]["method"]["sha256"] for folder in folders}
    assert stored == {manifest(tmp_path / folder)["sha256"] for folder in ("first", "third")}
    call = mixbench("table", "dataset=digits", "rows=method.bank")
    assert all(checksum[:12] in call.out for checksum in stored)
    assert mixbench("export", "dataset=digits", "out=runs.zip").status == 0
    assert mixbench("import", "runs.zip", "results_dir=other").status == 0


def test_a_mixture_has_a_bank_for_each_part_that_needs_one(mixbench, tiny, tmp_path):
    assert mixbench("generate", "dataset=digits", "n=20", "subset=balanced", *FEW, "bank=bank").status == 0
    words = ("method=mixture", "method.methods=[filter-mix,cutmix]", "train.steps=2", "progress=off")
    missing = mixbench("run", *tiny, *words)
    assert missing.status == 2
    assert "method.parts.filter-mix.bank" in missing.err
    assert mixbench("run", *tiny, *words, "method.parts.filter-mix.bank=bank").status == 0
    with Composer() as composer:
        made = job(composer.compose([*tiny, *words, "method.parts.filter-mix.bank=bank"]))
    assert list(methods_with_banks(made.cfg.method)) == ["method.parts.filter-mix"]
    assert made.identity["method.parts.filter-mix.bank"] == manifest(tmp_path / "bank")["sha256"][:12]


OWN = """\
import torch
from mixbench.mixing import Mixed, method

@method(needs=("generated",))
def replaced(images, targets, *, generated):
    return Mixed(generated.variants(torch.full((len(images),), 0.5)), targets)
"""
NEEDLESS = """\
from mixbench.mixing import Mixed, method

@method()
def needless(images, targets):
    return Mixed(images, targets)
"""


def test_a_users_own_method_can_have_a_bank_of_any_backend(mixbench, tiny, tmp_path):
    (tmp_path / "mine/method").mkdir(parents=True)
    (tmp_path / "mine/method/replaced.py").write_text(OWN)
    (tmp_path / "mine/method/replaced.yaml").write_text("function: replaced.py:replaced\n")
    assert mixbench("generate", "dataset=digits", "n=20", "subset=balanced", *FEW, "bank=bank").status == 0
    run = ("run", *tiny, "train.steps=2", "progress=off", "method=replaced", "--config-dir", "mine")
    assert mixbench(*run).status == 2
    assert mixbench(*run, "method.bank=bank").status == 0
    (tmp_path / "mine/method/needless.py").write_text(NEEDLESS)
    (tmp_path / "mine/method/needless.yaml").write_text("function: needless.py:needless\nbank: bank\n")
    refused = mixbench("run", *tiny, "method=needless", "--config-dir", "mine")
    assert refused.status == 2
    assert "method.bank" in refused.err


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(mixbench, tmp_path, monkeypatch):
    real = Filters.make

    def slow(self, images, indices, seed):
        if indices[0] > 0:
            raise KeyboardInterrupt
        return real(self, images, indices, seed)

    words = ("generate", "dataset=digits", *FEW, "bank=bank")
    with monkeypatch.context() as patch:
        patch.setattr(Filters, "make", slow)
        call = mixbench(*words)
    assert (call.status, call.out) == (130, "")
    assert "same command" in call.err
    refused = mixbench("run", "dataset=digits", "method=filter-mix", "method.bank=bank")
    assert refused.status == 2
    assert "not complete" in refused.err
    assert mixbench(*words).status == 0
    assert mixbench(*words[:-1], "bank=other").status == 0
    assert manifest(tmp_path / "bank") == manifest(tmp_path / "other")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dataset=digits", "backend=filter"], ["'filter'", "did you mean filters?"]),
        (["dataset=digits", "filters=[pencl]"], ["'pencl'", "did you mean pencil?"]),
        (["dataset=digits", "filters=pencil"], ["filters=pencil", "list"]),
        (["dataset=digits", "prompts=[snowy]"], ["prompts", "backend=filters"]),
        (["dataset=digits", "backend=diffusers"], ["pipeline=FOLDER"]),
        (["dataset=digits", "backend=diffusers", "filters=[pencil]"], ["filters", "backend=diffusers"]),
        (["dataset=digits", "fractals=0"], ["fractals=0"]),
        (["dataset=digits", "fractals=many"], ["fractals=many"]),
        (["dataset=digits", "subset=random"], ["subset", "without n"]),
        (["dataset=digits", "n=5000"], ["n=5000", "1297"]),
        (["dataset=digits", "n=5,6"], ["n=5,6"]),
        (["dataset=digits", "method=cutmix"], ["'method'"]),
        (["dataset=digts"], ["'digts'", "did you mean digits?"]),
        (["dataset=npz", "dataset.path=none.npz"], ["none.npz"]),
        (["dataset=digits", "bank=taken"], ["bank=taken"]),
        (["digits"], ["digits"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_told_in_one_line_and_nothing_is_written(mixbench, tmp_path, contents, words, told):
    (tmp_path / "taken").write_text("a file, no folder")
    before = contents(tmp_path)
    call = mixbench("generate", *words)
    assert (call.status, call.out) == (2, "")
    assert call.err.count("\n") == 1
    assert all(part in call.err for part in told), call.err
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("bank", "told"),
    [(None, "mixbench generate dataset=digits backend=filters"), ("nowhere", "there is no bank")],
)
def test_a_run_without_its_bank_is_refused_in_one_line_before_anything_is_written(mixbench, tmp_path, bank, told):
    words = [] if bank is None else [f"method.bank={bank}"]
    call = mixbench("run", "dataset=digits", "n=20", "method=filter-mix", *words)
    assert (call.status, call.out) == (2, "")
    assert call.err.count("\n") == 1
    assert told in call.err
    assert list(tmp_path.iterdir()) == []


def test_keys_of_help_are_those_of_the_command():
    shown = set(re.findall(r"^  ([a-z_]+)=|, ([a-z_]+)=", GENERATE_HELP, re.MULTILINE))
    assert {one or other for one, other in shown} >= set(KEYS)


def test_the_gallery_shows_the_way_from_the_image_to_the_result(mixbench, tmp_path):
    assert mixbench("generate", "dataset=photos", "n=6", "subset=random", *FEW, "bank=bank").status == 0
    words = (
        "gallery",
        "dataset=photos",
        "n=6",
        "method=filter-mix",
        "method.bank=bank",
        "out=pictures",
        "model.width=2",
    )
    assert mixbench(*words).status == 0
    text = (tmp_path / "pictures/filter-mix.svg").read_text()
    assert all(f">{name}</text>" in text for name in ("image", "variant", "hybrid", "fractal", "result"))
    assert "negatives" not in text
    assert mixbench("gallery", "dataset=photos", "n=6", "method=filter-mix", "out=without", "model.width=2").status == 0
    assert "negatives" in (tmp_path / "without/filter-mix.svg").read_text()
