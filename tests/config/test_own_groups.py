"""Own methods, augments, losses and models in a folder beside the package: every command, right and wrong input."""

import json
import shutil

import pytest

from mixbench.config.compose import Composer
from mixbench.config.identity import job

HALVES = """\
from mixbench.mixing import Mixed, method


@method(draws=("partner",))
def halves(images, targets, *, partner, left: float = 0.5):
    if left > 1:
        raise ValueError("left is above 1")
    mixed = images.clone()
    cut = round(left * images.shape[3])
    mixed[..., cut:] = images[partner][..., cut:]
    return Mixed(mixed, left * targets + (1 - left) * targets[partner])
"""
DARKER = "def darker(images, *, uniforms, most: float = 0.5):\n    return (images * (1 - most)).byte()\n"
SQUARE = "def square(logits, targets, *, scale: float = 1.0):\n    return scale * (logits - targets).square().mean()\n"
SMALL = """\
from torch import nn


class Small(nn.Module):
    def __init__(self, channels, classes, *, width: int = 3):
        super().__init__()
        self.first, self.last = nn.Conv2d(channels, width, 3), nn.Linear(width, classes)

    def forward(self, x):
        return self.last(self.first(x).mean(dim=(2, 3)))
"""
LAYERED = SMALL.replace("    def __init__", "    LAYERS = ('stage1',)\n\n    def __init__").replace(
    "(self, x):\n        return self.last(self.first(x)",
    "(self, x, at=None):\n        h = self.first(x)\n        return self.last((h if at is None else at('stage1', h))",
)
FILES = {
    "method/halves.py": HALVES,
    "method/halves.yaml": "# Halves: left and right\nfunction: halves.py:halves\nleft: 0.5\n",
    "augment/darker.py": DARKER,
    "augment/darker.yaml": "function: darker.py:darker\nmost: 0.5\n",
    "loss/square.py": SQUARE,
    "loss/square.yaml": "function: square.py:square\n",
    "model/small.py": SMALL,
    "model/small.yaml": "function: small.py:Small\nwidth: 3\n",
    "model/layered.py": LAYERED,
    "model/layered.yaml": "function: layered.py:Small\n",
}
OWN = ("--config-dir", "own")
CHOSEN = {"method": "halves", "augment": "darker", "loss": "square", "model": "small"}
STUDY = """\
# @package _global_
defaults:
  - override /dataset: digits
  - override /model: small
subset: balanced
device: cpu
precision: fp32
train: {steps: 14, batch_size: 8, eval_every: 4}
study:
  name: mine
  title: Mine
  grids: [{method: [none, halves], n: 20, seed: [0, 1]}]
"""


@pytest.fixture
def own(tmp_path):
    """The user's folder `own`; write(name, content) adds to it."""

    def write(name, content):
        path = tmp_path / "own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    for name, content in FILES.items():
        write(name, content)
    return write


@pytest.fixture
def words(tiny):
    """A run of half a second, without the settings of its network."""
    return [word for word in tiny if not word.startswith("model.")]


@pytest.fixture
def runs(tmp_path):
    """The stored runs: metrics, the newest last."""
    folder = tmp_path / "results" / "runs"

    def runs():
        files = sorted(folder.glob("*/metrics.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text()) for path in files]

    return runs


def refused(call, tmp_path, *told):
    assert call.status == 2, call
    assert call.err.startswith("mixbench: ")
    assert call.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["own"]
    for text in told:
        assert text in call.err


@pytest.mark.parametrize(("group", "option"), CHOSEN.items())
def test_a_function_of_each_group_trains(mixbench, own, words, tiny, runs, group, option):
    given = words if group == "model" else tiny
    assert mixbench("run", *given, f"{group}={option}", *OWN).status == 0
    (run,) = runs()
    assert run["identity"][group] == option
    assert len(run["identity"][f"{group}.code"]) == 12
    assert not any("own" in str(value) for value in run["identity"].values())


def test_all_of_them_together_and_what_provenance_says(mixbench, own, words, tmp_path, runs):
    chosen = [f"{group}={option}" for group, option in CHOSEN.items()]
    assert mixbench("run", *words, *chosen, *OWN).status == 0
    (run,) = runs()
    provenance = json.loads((tmp_path / "results/runs" / run["id"] / "provenance.json").read_text())
    noted = provenance["own_functions"]
    assert set(noted) == set(CHOSEN)
    for group, entry in noted.items():
        (whole,) = entry["files"].values()
        assert whole.startswith(run["identity"][f"{group}.code"])
        assert entry["function"] == FILES[f"{group}/{CHOSEN[group]}.yaml"].split("function: ")[1].split("\n")[0]


def test_a_shipped_run_knows_nothing_of_own_functions(mixbench, own, tiny, tmp_path, runs):
    assert mixbench("run", *tiny, "method=cutmix", *OWN).status == 0
    (run,) = runs()
    assert not any(key.endswith((".code", ".function")) for key in run["identity"])
    assert "own_functions" not in json.loads((tmp_path / "results/runs" / run["id"] / "provenance.json").read_text())
    with Composer() as composer:
        assert job(composer.compose([*tiny, "method=cutmix"])).id == run["id"]


def test_the_same_command_finds_its_run_and_an_edited_file_is_another(mixbench, own, tiny, tmp_path, runs):
    command = ("run", *tiny, "method=halves", *OWN)
    assert mixbench(*command).status == 0
    assert "finished before" in mixbench(*command).out
    shutil.move("own", "moved")
    assert "finished before" in mixbench("run", *tiny, "method=halves", "--config-dir", "moved").out
    shutil.move("moved", "own")
    own("method/halves.py", HALVES.replace("round(", "int("))
    assert mixbench(*command).status == 0
    first, second = runs()
    assert first["id"] != second["id"]
    assert {key for key in first["identity"] if first["identity"][key] != second["identity"][key]} == {"method.code"}
    assert "method.code" in mixbench("table", "method=halves").out


def test_options_are_part_of_the_run_and_need_not_be_in_the_file(mixbench, own, tiny, runs):
    own("method/halves.yaml", "function: halves.py:halves\n")
    call = mixbench("sweep", *tiny, "method=none,halves", "method.left=0.25,0.75", *OWN)
    assert call.status == 0, call.err
    assert sorted((run["identity"]["method"], run["identity"].get("method.left")) for run in runs()) == [
        ("halves", 0.25),
        ("halves", 0.75),
        ("none", None),
    ]


def test_what_the_function_computes_is_what_is_trained(mixbench, own, tiny, runs):
    own("method/halves.yaml", "function: halves.py:halves\nleft: 1.0\n")  # all of the image itself
    assert mixbench("sweep", *tiny, "method=none,halves", *OWN).status == 0
    one, other = runs()
    assert one["nll"] == other["nll"]
    assert mixbench("run", *tiny, "method=halves", "method.left=0.5", *OWN).status == 0
    assert runs()[-1]["nll"] != one["nll"]


def test_settings_reach_the_draws(mixbench, own, tiny, runs):
    content = (
        "from mixbench.mixing import label_mix\nimport inspect\n\n\n"
        "def mine(images, targets, *, partner, lam):\n"
        "    return inspect.unwrap(label_mix)(images, targets, partner=partner, lam=lam)\n"
    )
    own("method/mine.py", content)
    own("method/mine.yaml", "function: mine.py:mine\nalpha: 0.3\n")
    assert mixbench("sweep", *tiny, "method=mine,label-mix", "method.alpha=0.3,0.6", *OWN).status == 0
    by = {(run["identity"]["method"], run["identity"]["method.alpha"]): run["nll"] for run in runs()}
    assert by["mine", 0.3] == by["label-mix", 0.3] != by["label-mix", 0.6] == by["mine", 0.6]
    assert mixbench("run", *tiny, "method=mine", "method.alpha=-1", *OWN).status == 2
    assert mixbench("run", *tiny, "method=mine", "method.alpha=0", "--dry-run", *OWN).out.count("-none-") == 1


def test_a_variant_has_its_own_name(mixbench, own, tiny, runs):
    own("method/narrow.yaml", "defaults: [halves]\nleft: 0.25\n")
    assert mixbench("run", *tiny, "method=narrow", *OWN).status == 0
    (run,) = runs()
    assert (run["identity"]["method"], run["identity"]["method.left"]) == ("narrow", 0.25)


def test_a_mixture_takes_own_methods(mixbench, own, tiny, runs):
    mixture = ("method=mixture", "method.methods=[cutmix,halves]")
    assert mixbench("run", *tiny, *mixture, "method.parts.halves.left=0.25", *OWN).status == 0
    (run,) = runs()
    assert run["identity"]["method.parts.halves.left"] == 0.25
    assert len(run["identity"]["method.parts.halves.code"]) == 12
    assert mixbench("run", *tiny, *mixture, "method.parts.halves.lefft=0.25", *OWN).status == 2


def test_the_environment_remembers_the_folder_and_the_flag_goes_first(mixbench, own, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("MIXBENCH_CONFIG_DIR", "own")
    for call in (
        mixbench("run", *tiny, "method=halves"),
        mixbench("list", "methods"),
        mixbench("table", "method=halves"),
        mixbench("run", *tiny, "method=halves", "--cfg", "job"),
    ):
        assert call.status == 0, call.err
        assert "halves" in call.out
    (tmp_path / "empty").mkdir()
    call = mixbench("run", *tiny, "method=halves", "--config-dir", "empty")
    assert call.status == 2
    assert "'halves'" in call.err
    monkeypatch.setenv("MIXBENCH_CONFIG_DIR", "nowhere")
    call = mixbench("list", "methods")
    assert call.status == 2
    assert "MIXBENCH_CONFIG_DIR=nowhere" in call.err
    assert mixbench("list", "methods", *OWN).status == 0
    monkeypatch.setenv("MIXBENCH_CONFIG_DIR", "")
    assert mixbench("list", "methods").status == 0


def test_list_tells_what_cannot_be_run(mixbench, own):
    own("method/gone.yaml", "function: gone.py:gone\n")
    own("method/cutmix.yaml", "function: halves.py:halves\n")
    own("model/broken.py", "def broken(channels): ...\n")
    own("model/broken.yaml", "function: broken.py:broken\n")
    lines = {line.split()[0]: line for line in mixbench("list", "methods", *OWN).out.splitlines()}
    assert "Halves: left and right" in lines["halves"]
    assert "cannot be run" in lines["gone"]
    assert "cannot be run" in lines["cutmix"]
    assert "cannot be run" not in lines["mixup"]
    lines = {line.split()[0]: line for line in mixbench("list", "models", *OWN).out.splitlines()}
    assert "cannot be run" in lines["broken"]
    assert "cannot be run" not in lines["small"]


def test_cfg_shows_options_that_are_in_no_file(mixbench, own, tiny):
    own("method/halves.yaml", "function: halves.py:halves\n")
    call = mixbench("run", *tiny, "method=halves", "method.left=0.25", "--cfg", "job", *OWN)
    assert call.status == 0, call.err
    assert "left: 0.25" in call.out


def test_the_gallery_draws_own_methods(mixbench, own, tmp_path):
    call = mixbench("gallery", "method=halves", "augment=darker", *OWN, "out=pictures")
    assert call.status == 0, call.err
    assert sorted(path.suffix for path in (tmp_path / "pictures").iterdir()) == [".png", ".svg"]


def test_a_study_of_own_functions_and_its_stored_runs_without_the_files(mixbench, own, words, tmp_path):
    own("study/mine.yaml", STUDY)
    assert mixbench("study", "mine", *OWN).status == 0
    with_files = mixbench("table", "mine", *OWN)
    assert "halves" in with_files.out
    for path in [*tmp_path.glob("own/*/*.py")]:
        path.unlink()
    assert mixbench("table", "mine", *OWN) == with_files
    for command in ("plot", "report", "export"):
        call = mixbench(command, "mine", *OWN)
        assert call.status == 0, call.err
    assert "4 finished" in mixbench("status", "mine", *OWN).out
    assert mixbench("table", "method=halves", *OWN).status == 0
    call = mixbench("study", "mine", *OWN)
    assert call.status == 2
    assert "small.py" in call.err
    shutil.rmtree(tmp_path / "own")
    for command in ("table", "plot", "report", "export", "status"):
        call = mixbench(command, "method=halves")
        assert call.status == 0, call.err
        assert command == "plot" or "halves" in call.out


def test_a_file_that_cannot_be_executed_hinders_no_reading(mixbench, own, tiny):
    assert mixbench("run", *tiny, "method=halves", *OWN).status == 0
    own("method/halves.py", "raise RuntimeError\n")
    assert mixbench("table", "method=halves", *OWN).status == 0


def test_runs_move_between_machines_with_other_folders(mixbench, own, tiny, tmp_path):
    assert mixbench("run", *tiny, "method=halves", *OWN).status == 0
    assert mixbench("export", "method=halves", "out=runs.zip").status == 0
    assert mixbench("import", "runs.zip", "results_dir=other").status == 0
    (config,) = (tmp_path / "other").rglob("config.yaml")
    assert str(tmp_path) not in config.read_text()
    call = mixbench("import", "runs.zip")  # where the run has the path of this machine
    assert call.status == 0, call.err


@pytest.mark.parametrize("model", ["small", "layered"])
def test_layers_of_own_networks(mixbench, own, words, tmp_path, model):
    call = mixbench("run", *words, f"model={model}", "method=manifold", "method.layers=[input,stage1]", *OWN)
    if model == "layered":
        assert call.status == 0, call.err
    else:
        refused(call, tmp_path, "stage1", "small", "input")


def test_a_network_without_layers_is_mixed_at_its_input(mixbench, own, words):
    call = mixbench("run", *words, "model=small", "method=manifold", "method.layers=[input]", *OWN)
    assert call.status == 0, call.err
    assert mixbench("run", *words, "model=small", "method=mixup", "train.batch_size=1", *OWN).status == 0


WRONG = {
    "no file": ({"method/halves.py": None}, [], ["own/method/halves.py"]),
    "not Python": ({"method/halves.py": "def halves(:\n"}, [], ["own/method/halves.py", "line 1"]),
    "fails when executed": ({"method/halves.py": "1 / 0\n"}, [], ["halves.py", "ZeroDivisionError"]),
    "no such function": ({"method/halves.yaml": "function: halves.py:halfs\n"}, [], ["halfs", "did you mean halves?"]),
    "no reference": ({"method/halves.yaml": "function: halves\n"}, [], ["halves", "FILE.py:FUNCTION"]),
    "a number": ({"method/halves.yaml": "function: 3\n"}, [], ["function=3", "FILE.py:FUNCTION"]),
    "no module": ({"method/halves.yaml": "function: no_such:f\n"}, [], ["no_such"]),
    "by position": ({"method/halves.py": HALVES.replace("*, ", "")}, [], ["partner", "keyword-only"]),
    "unknown option": ({}, ["method.leftt=0.2"], ["method.leftt", "did you mean method.left?"]),
    "unknown option in the file": (
        {"method/halves.yaml": "function: halves.py:halves\nlefft: 1\n"},
        [],
        ["method.lefft", "method.left"],
    ),
    "missing option": (
        {"method/halves.py": HALVES.replace(" = 0.5", ""), "method/halves.yaml": "function: halves.py:halves\n"},
        [],
        ["method.left"],
    ),
    "wrong type": ({}, ["method.left=half"], ["method.left=half", "float"]),
    "value at fault": ({}, ["method.left=1.5"], ["halves.py:halves", "left is above 1"]),
    "setting of no draw": ({}, ["method.alpha=0.2"], ["method.alpha"]),
    "returns nothing": ({"method/halves.py": "def halves(images, targets): ...\n"}, ["~"], ["halves"]),
    "returns other shapes": (
        {"method/halves.py": HALVES.replace("Mixed(mixed,", "Mixed(mixed[..., 1:],")},
        [],
        ["halves.py:halves", "[5, 1, 8, 7]"],
    ),
    "returns fewer rows": (
        {"method/halves.py": HALVES.replace("return Mixed(mixed, ", "return Mixed(mixed[:3], targets[:3]) #")},
        [],
        ["halves.py:halves", "[3, 1, 8, 8]", "[5, 1, 8, 8]"],
    ),
    "targets that do not sum to 1": (
        {"method/halves.py": HALVES.replace("left * targets +", "0 * targets +")},
        [],
        ["halves.py:halves", "targets", "sum"],
    ),
    "shipped name": ({"method/cutmix.yaml": "function: halves.py:halves\n"}, ["method=cutmix"], ["cutmix", "rename"]),
    "shipped name inherited": (
        {"method/halves.yaml": "defaults: [cutmix]\nfunction: halves.py:halves\n"},
        [],
        ["cutmix"],
    ),
    "another name": ({"method/halves.yaml": "name: other\nfunction: halves.py:halves\n"}, [], ["name=other"]),
    "checksum given": ({"method/halves.yaml": "function: halves.py:halves\ncode: abc\n"}, [], ["code=abc"]),
    "function overridden": ({}, ["method.function=other.py:f"], ["method.function=other.py:f"]),
    "augment floats": (
        {"augment/darker.py": DARKER.replace(".byte()", "")},
        ["augment=darker"],
        ["darker.py:darker", "uint8", "float32"],
    ),
    "augment draws λ": (
        {"augment/darker.py": DARKER.replace("uniforms", "lam")},
        ["augment=darker"],
        ["lam", "uniforms"],
    ),
    "augment pad": ({"augment/darker.yaml": "function: darker.py:darker\npad: x\n",
                     "augment/darker.py": DARKER.replace("most", "pad")}, ["augment=darker"], ["augment.pad=x"]),
    "loss of each image": ({"loss/square.py": SQUARE.replace(".mean()", "")}, ["loss=square"], ["square.py", "[5, 7]"]),
    "loss without gradient": ({"loss/square.py": SQUARE.replace(".mean()", ".mean().detach()")}, ["loss=square"],
                              ["square.py", "gradient"]),
    "network for other images": ({"model/small.py": SMALL.replace("(channels, width, 3)", "(channels, width, 30)")},
                                 ["model=small"], ["small.py", "1x8x8"]),
    "network of other logits": ({"model/small.py": SMALL.replace("(width, classes)", "(width, 3)")}, ["model=small"],
                                ["small.py", "[1, 10]"]),
    "network that is none": ({"model/small.py": "def Small(channels, classes, *, width): return 3\n"}, ["model=small"],
                             ["small.py", "int"]),
    "network that fails": ({"model/small.py": SMALL.replace("nn.Linear(width", "nn.Linear(width / 0")}, ["model=small"],
                           ["small.py", "ZeroDivisionError"]),
    "layers that are none": ({"model/layered.py": LAYERED.replace("('stage1',)", "3")}, ["model=layered"],
                             ["layered.py", "LAYERS=3"]),
}  # fmt: skip


@pytest.mark.parametrize(("files", "more", "told"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_in_one_line_and_nothing_is_written(
    mixbench, own, tiny, words, tmp_path, files, more, told
):
    for name, content in files.items():
        if content is None:
            (tmp_path / "own" / name).unlink()
        else:
            own(name, content)
    if more == ["~"]:
        more = []
        own("method/halves.yaml", "function: halves.py:halves\n")
    given = words if any(word.startswith("model=") for word in more) else tiny
    refused(mixbench("run", *given, "method=halves", *more, *OWN), tmp_path, *told)
    dry = mixbench("run", *given, "method=halves", *more, *OWN, "--dry-run")
    assert dry.status == (0 if more == ["model=small"] else 2)  # a dry run builds no network


@pytest.mark.parametrize("group", CHOSEN)
def test_a_name_of_mixbench_is_refused_in_each_group(mixbench, own, tiny, words, tmp_path, group):
    shipped = {"method": "cutmix", "augment": "flip", "loss": "kl", "model": "wrn"}[group]
    own(f"{group}/{shipped}.yaml", FILES[f"{group}/{CHOSEN[group]}.yaml"])
    given = words if group == "model" else tiny
    refused(mixbench("run", *given, f"{group}={shipped}", *OWN), tmp_path, f"{shipped}.yaml")
