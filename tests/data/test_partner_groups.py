"""Partners by group (patient, part, video): from a table's column to the batch, and what data without groups say."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.data.images import split
from mixbench.data.sources.load import load_for
from mixbench.training.engine import Engine

SMALL = ("model.width=2", "model.depth=10", "device=cpu", "train.steps=3", "train.batch_size=16", "progress=off")


def table(root, groups=6):
    """A table of 60 pictures of two classes; every third one is the first's patient, and so on."""
    rng = np.random.default_rng(0)
    with open(root / "scans.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "group"])
        for k in range(60):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(root / f"{k}.png")
            rows.writerow([f"{k}.png", "ab"[k % 2], f"patient {k % groups // 2}"])
    return ("dataset=csv", f"dataset.path={root / 'scans.csv'}", "dataset.size=8", "n=30", "eval=stratified", *SMALL)


def loaded(words):
    with Composer() as composer:
        cfg = job(composer.compose(words)).cfg
    dataset = load_for(cfg, print)
    return cfg, dataset


@pytest.mark.parametrize(("partners", "alike"), [("same-group", True), ("other-group", False)])
def test_the_engine_mixes_images_of_these_groups(tmp_path, partners, alike):
    words = table(tmp_path, groups=16)
    cfg, dataset = loaded([*words, "method=cutmix", f"method.partners={partners}", f"results_dir={tmp_path}/r"])
    images = split(dataset, cfg)
    engine = Engine(cfg, images, torch.device("cpu"), torch.float32)
    drawn = engine.plans(0, 3)
    name = next(name for name in drawn if name.endswith("partner"))
    for index, partner in zip(drawn["index"].numpy(), drawn[name].numpy(), strict=True):
        group = dataset.groups[images.indices[index]]
        assert ((group[partner] == group) == alike).all()


@pytest.mark.parametrize(
    "method",
    [
        ("method=mixup", "method.partners=same-group"),
        ("method=mixture", "method.parts.cutmix.partners=other-group"),
    ],
)
def test_data_without_groups_are_told_before_anything_is_written(mixbench, tmp_path, method):
    call = mixbench("run", "dataset=digits", "n=20", *SMALL, *method)
    assert call.status == 2
    assert len(call.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_other_groups_are_other_data(tmp_path):
    """Runs on the same pictures with other groups are not taken for these."""
    sums = []
    for name, groups in (("few", 4), ("many", 20)):
        (tmp_path / name).mkdir()
        words = table(tmp_path / name, groups)
        sums.append(loaded([*words, f"results_dir={tmp_path}/r"])[1].train_sha256)
    assert sums[0] != sums[1]
