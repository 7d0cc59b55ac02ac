"""`mixbench check`: whether methods keep the contract, in words."""

import pytest

from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.method_aliases import with_alias
from mixbench.mixing import METHODS, Mixed, method


@method(draws=("partner", "lam"))
def leaking(images, targets, *, partner, lam, factor: float = 0.9):
    return Mixed(images, factor * targets)


@pytest.fixture
def own(monkeypatch, tmp_path):
    """A folder with a method that makes a mistake."""
    monkeypatch.setitem(METHODS, "leaking", leaking)
    (tmp_path / "mine/method").mkdir(parents=True)
    draws = "alpha: 1.0\nbeta: null\np: 1.0\nper_sample: false\n"
    (tmp_path / "mine/method/leaking.yaml").write_text(f"name: leaking\nversion: 1\n{draws}factor: 0.9\n")
    (tmp_path / "mine/method/whole.yaml").write_text("defaults: [leaking]\nfactor: 1.0\n")
    (tmp_path / "mine/method/misspelt.yaml").write_text("defaults: [leaking]\nfactr: 1.0\n")


def test_every_method_of_the_package_is_ok(mixbench):
    call = mixbench("check", "--all")
    assert (call.status, call.err) == (0, "")
    with Composer() as composer:
        names = dict.fromkeys(map(with_alias, composer.options("method")))
    assert call.out.splitlines() == [f"{name}: ok" for name in names]
    assert "mixup (label-mix)" in names


def test_an_alias_is_named_with_its_method(mixbench):
    assert mixbench("check", "mixup").out == "mixup (label-mix): ok\n"


def test_a_draw_that_is_never_used_is_a_warning(mixbench, monkeypatch, tmp_path):
    @method(draws=("partner", "place"))
    def idle(images, targets, *, partner, place):
        return Mixed(images[partner], targets[partner])

    monkeypatch.setitem(METHODS, "idle", idle)
    (tmp_path / "mine/method").mkdir(parents=True)
    (tmp_path / "mine/method/idle.yaml").write_text("name: idle\nversion: 1\nper_sample: false\n")
    call = mixbench("check", "idle", "--config-dir", "mine")
    assert (call.status, call.err) == (0, "")
    ok, warning = call.out.splitlines()
    assert ok == "idle: ok"
    assert warning.startswith("warning: idle: ")
    assert "place" in warning
    assert "partner" not in warning


def test_a_cost_that_is_not_what_the_method_trains_is_a_warning(mixbench, tmp_path):
    (tmp_path / "mine/method").mkdir(parents=True)
    (tmp_path / "mine/method/twice.py").write_text(
        "import torch\nfrom mixbench.mixing import Mixed, method\n\n\n@method(needs=('input_gradient',))\n"
        "def twice(images, targets, *, input_gradient):\n"
        "    assert input_gradient.values.shape == images.shape\n"  # it is computed when it is read
        "    return Mixed(torch.cat([images, images]), torch.cat([targets, targets]))\n"
    )
    for name, more in (("twice", ""), ("told", "cost: 3\nbudget: steps\n")):
        (tmp_path / f"mine/method/{name}.yaml").write_text(f"function: twice.py:twice\n{more}")
    call = mixbench("check", "twice", "told", "--config-dir", "mine")
    assert (call.status, call.err) == (0, "")
    first, warning, last = call.out.splitlines()
    assert (first, last) == ("twice: ok", "told: ok")
    assert "cost: 3" in warning
    with Composer(str(tmp_path / "mine")) as composer:
        words = ["method=told", "method.budget=rows", "train.steps=300"]
        made = job(composer.compose(words))
    assert (made.cfg.train.steps, made.identity["train.steps"]) == (100, 300)


def test_a_mistake_is_told_in_words_and_ends_with_1(own, mixbench):
    call = mixbench("check", "--config-dir", "mine", "cutmix", "leaking", "whole", "misspelt")
    assert call.status == 1
    lines = call.out.splitlines()
    assert lines[0] == "cutmix: ok"
    leaking = [line for line in lines if line.startswith("leaking: ")]
    assert any({"targets", "sum"} <= set(line.split()) for line in leaking)
    assert "whole: ok" in lines
    (misspelt,) = [line for line in lines if line.startswith("misspelt: ")]
    assert "factr" in misspelt


@pytest.mark.parametrize("words", [[], ["cutmix", "--all"]])
def test_what_to_check_is_named_or_all(mixbench, words):
    call = mixbench("check", *words)
    assert call.status == 2
    assert "mixbench check --all" in call.out


def test_an_unknown_method_is_told_with_the_nearest(mixbench):
    call = mixbench("check", "cutmx")
    assert (call.status, call.out) == (2, "")
    assert "'cutmx'" in call.err
    assert "cutmix?" in call.err
    assert call.err.count("\n") == 1


def test_a_file_that_cannot_be_composed_hinders_no_other(own, mixbench, tmp_path):
    (tmp_path / "mine/method/broken.yaml").write_text("name: [\n")
    (tmp_path / "mine/method/aimless.yaml").write_text("function: 3\n")
    call = mixbench("check", "--all", "--config-dir", "mine")
    assert call.status == 1, call.err
    told = [line.partition(": ") for line in call.out.splitlines() if not line.startswith("warning: ")]
    with Composer("mine") as composer:
        assert {name for name, _, _ in told} == {*map(with_alias, composer.options("method"))}
    assert {name for name, _, text in told if text != "ok"} == {"aimless", "broken", "leaking", "misspelt"}
    (broken,) = [text for name, _, text in told if name == "broken"]
    assert "broken.yaml" in broken


@pytest.mark.parametrize("word", ["method.alpha=3", "method=cutmix", "n=50"])
def test_keys_are_refused_by_name(mixbench, word):
    call = mixbench("check", "cutmix", word)
    assert (call.status, call.out) == (2, "")
    assert f"{word}: " in call.err
    assert "method=method" not in call.err
    assert call.err.count("\n") == 1
