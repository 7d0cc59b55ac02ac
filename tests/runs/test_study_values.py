"""The values of a study's YAML arrive in the runs' configurations and identities as they are written there."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from mixbench.config.assignments import Assignment, key_of, option_of, value_of
from mixbench.config.compose import Composer
from mixbench.config.overrides import parse, text
from mixbench.core.errors import UserError
from mixbench.runs import study
from mixbench.runs.store import metrics_schema

STRANGE = [
    "a,b",
    "it's",
    'say "it"',
    "1e5",
    "1.0",
    "12",
    "null",
    "true",
    "",
    " a ",
    "[1,2]",
    "{a: b}",
    "a=b",
    "~x",
    "+n",
    "range(1,3)",
    "glob(*)",
    "choice(1,2)",
    "a\\b",
    "a\\",
    "é, ü",
    "(x)",
    "#no",
    "%d",
    "a:b",
    "@a",
]
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(STRANGE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=6,
)


def write(grid, name="mine", scales=None, **others):
    """A study in the folder own, as YAML."""
    folder = Path("own/study")
    folder.mkdir(parents=True, exist_ok=True)
    of_study = {"name": name, "title": "Mine", "grids": [grid]} | ({"scales": scales} if scales else {})
    content = {"defaults": [{"override /dataset": "digits"}], **others, "study": of_study}
    (folder / f"{name}.yaml").write_text(f"# @package _global_\n{json.dumps(content)}\n")  # which is YAML too


def planned(*words, name="mine"):
    with Composer("own") as composer:
        return study.plan(composer, name, words).jobs


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("written", STRANGE)
def test_a_text_is_that_text(written):
    names = [written, "other"]
    write({"method": "none", "n": 20, "dataset.classes": [names]})
    (made,) = planned()
    assert made.cfg.dataset.classes == names


@pytest.mark.parametrize("written", ["a,b.npz", "it's.npz", "1e5", "~ x", "null"])
def test_a_path_is_one_path(written):
    write({"method": "none", "n": 20, "dataset.root": [written]})
    (made,) = planned()
    assert made.cfg.dataset.root == written


def test_a_list_is_several_values_and_a_list_in_it_one():
    write(
        {"method": "mixup", "n": 20, "protect": [["1", "3"], [], [2], 4]},
        **{"dataset": {"classes": list("0123456789")}},
    )
    assert [made.identity["protect"] for made in planned()] == [[1, 3], [], [2], [4]]


def test_dictionaries_are_values_of_a_functions_keys(mixbench):
    parts = [{"cutmix": {"alpha": 0.3}}, {"cutmix": {"p": 0.5}, "label-mix": {"alpha": 2}}]
    write({"method": "mixup-cutmix", "n": 20, "method.parts": parts})
    one, other = (made.identity for made in planned())
    assert one["method.parts.cutmix.alpha"] == 0.3
    assert (other["method.parts.cutmix.p"], other["method.parts.label-mix.alpha"]) == (0.5, 2)
    assert one["method.parts.label-mix.alpha"] != 2


def test_lists_of_lists_reach_the_configuration_and_can_be_stored():
    with Composer() as composer:
        cfg = composer.compose([Assignment("method", "cutmix"), Assignment("protect", [[1, 2], ["a,b"]])])
    assert OmegaConf.to_container(cfg)["protect"] == [[1, 2], ["a,b"]]
    identity = {"dataset": "digits", "n": 1, "method": "own", "seed": 0}
    metrics_schema.check_identity(identity | {"method.pairs": [[1, 2], [3, "a,b"]]})
    with pytest.raises(ValueError, match="pairs"):
        metrics_schema.check_identity(identity | {"method.pairs": [[1, {}]]})


def test_values_of_a_scale_are_values_too():
    write({"method": "none", "n": 20}, scales={"smoke": {"dataset.classes": [["a,b", "null"]], "n": [30]}})
    (made,) = planned("scale=smoke")
    assert (made.cfg.dataset.classes, made.cfg.n) == (["a,b", "null"], 30)
    with Composer("own") as composer:
        cfg = composer.compose(study.words_of_run(composer, ["study=mine", "scale=smoke"]))
    assert (cfg.dataset.classes, cfg.n) == (["a,b", "null"], 30)


def test_values_that_are_set_together_stay_together():
    write({"method": "none", "n,dataset.classes": [[20, ["a,b", "1e5"]], [30, ["it's"]]]})
    assert [(m.cfg.n, m.cfg.dataset.classes) for m in planned()] == [(20, ["a,b", "1e5"]), (30, ["it's"])]
    assert [m.cfg.n for m in planned("n=30")] == [30]


def test_stored_identity(mixbench):
    """To the end: what a finished run stores, and that the same study finds it."""
    small = {"model.width": 2, "model.depth": 10, "train.steps": 2, "train.batch_size": 8, "subset": "balanced"}
    names = ["zero, or 0", "it's", "1e5", "null", "true", "", "a=b", "[1]", "~", "{a: b}"]
    grid = {"method": "mixup", "protect": [["zero, or 0", "it's"]], "n": [20], "device": "cpu", **small}
    write(grid, dataset={"classes": names})
    call = mixbench("study", "mine", "--config-dir", "own")
    assert call.status == 0, call.err
    (stored,) = Path("results/runs").glob("*/metrics.json")
    assert json.loads(stored.read_text())["identity"]["protect"] == [0, 1]
    assert OmegaConf.load(stored.with_name("config.yaml")).dataset.classes == names
    assert "finished" in mixbench("status", "mine", "--config-dir", "own").out


@pytest.mark.parametrize(
    "grid", [{"n": {"a": 1}}, {"train": {"steps": 4}}, {"n": [[20, 30]]}, {"method": ["cutmix,none"]}]
)
def test_a_value_that_its_key_cannot_have_is_told(grid):
    write({"method": "none", **grid})
    with pytest.raises(UserError) as error:
        planned()
    assert "\n" not in str(error.value)


# Assignments


@settings(deadline=None, derandomize=True, max_examples=150)
@given(values)
def test_as_a_text_hydra_reads_the_same_value(value):
    found = value_of(str(Assignment("method.alpha", value)))
    assert repr(found) == repr(value)


@pytest.mark.parametrize("value", [1, 1.0, True, "1", None, "null", [1], [1.0], {"a": 1}, {"a": "1"}])
def test_assignments_are_equal_where_kind_and_value_are(value):
    others = [1, 1.0, True, "1", None, "null", [1], [1.0], {"a": 1}, {"a": "1"}]
    equal = [other for other in others if Assignment("k", other) == Assignment("k", value)]
    assert [repr(one) for one in equal] == [repr(value)]
    assert len({Assignment("k", value), Assignment("k", value), Assignment("j", value), "k=1"}) == 3


def test_words_of_a_command_stay_text():
    assert (key_of("n=20"), option_of("method='a b'"), value_of("n=1e1")) == ("n", "'a b'", 10.0)
    assert [o.value() for o in parse([f"k={text(value)}" for value in STRANGE])] == STRANGE


def test_hydra_shows_the_configuration_with_these_values(mixbench):
    names = ["a,b", "it's", "1e5", "null"]
    write({"method": "none", "n": 20, "dataset.classes": [names]}, scales={"smoke": {"dataset.classes": [names[::-1]]}})
    shown = mixbench("study", "mine", "--cfg", "job", "--config-dir", "own")
    assert shown.status == 0, shown.err
    assert OmegaConf.create(shown.out).dataset.classes == names
    of_run = mixbench("run", "study=mine", "scale=smoke", "--cfg", "job", "--config-dir", "own")
    assert OmegaConf.create(of_run.out).dataset.classes == names[::-1]
