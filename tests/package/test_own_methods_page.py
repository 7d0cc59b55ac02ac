"""docs/own-methods.md: its files, written as they stand there, and its commands, given as they stand there."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

from mixbench.mixing import Mixture, MixUp, PairMixer

PAGE = Path(__file__).parents[2] / "docs" / "own-methods.md"
FILE = re.compile(r"^`(mine/[^`]+)`\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def page():
    return PAGE.read_text(encoding="utf-8")


def test_the_page_works_as_it_stands(mixbench, page, tmp_path):
    files = FILE.findall(page)
    assert {Path(name).parent.name for name, _ in files} == {"method", "augment", "loss", "model"}
    for name, content in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    commands = [line for block in COMMANDS.findall(page) for line in block.splitlines()]
    assert {shlex.split(command)[1] for command in commands} >= {"list", "run", "table", "gallery"}
    for command in commands:
        program, *words = shlex.split(command)
        call = mixbench(*words)
        assert (program, call.status) == ("mixbench", 0), (command, call.err)
        assert "cannot be run" not in call.out
    identities = [json.loads(path.read_text())["identity"] for path in tmp_path.glob("results/runs/*/metrics.json")]
    assert sorted((i["method.left"], i["augment"], i["loss"], i["model"]) for i in identities) == [
        (0.25, "standard", "ce", "preact_resnet18"),
        (0.5, "darker", "focal", "small"),
        (0.5, "standard", "ce", "preact_resnet18"),
    ]
    assert list(tmp_path.glob("results/gallery/photos/halves.png"))


def test_the_method_of_the_page_as_a_module(page, tmp_path, monkeypatch):
    method = dict(FILE.findall(page))["mine/method/halves.py"]
    (tmp_path / "halves.py").write_text(method)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "halves", raising=False)
    (example,) = [block for block in PYTHON.findall(page) if "PairMixer(" in block]
    names = {}
    exec(example, names)  # of our own page
    monkeypatch.delitem(sys.modules, "halves")
    mix, images, targets = names["mix"], names["images"], names["targets"]
    assert isinstance(mix, PairMixer)
    assert (images.shape, targets.shape) == ((8, 3, 32, 32), (8, 10))
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(8))
    Mixture([mix, MixUp(10)])(images, torch.arange(8))
