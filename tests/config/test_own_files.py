"""A user's own YAML files: whatever is wrong with one is told in one line before anything trains; further methods."""

import json
import shutil
from pathlib import Path

import pytest

from mixbench.analysis import notes, table
from mixbench.cli import words as cli_words
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.runs.study import plan

STORE = Path(__file__).parents[1] / "fixtures" / "store"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
ALL = {
    "scalar": "just a word",
    "number": "3",
    "list": "- a\n- b\n",
    "binary": bytes(range(256)),
    "utf-16": "name: x".encode("utf-16"),
    "broken": "a: [1\n",
    "alias bomb": BOMB,
    "inside itself": "a: &a [*a]\n",
    "deep": "a: " + "[" * 5000 + "]" * 5000,
    "two documents": "a: 1\n---\nb: 2\n",
    "tag": "a: !!python/object/apply:os.system ['true']\n",
    "control": "a: \x07\n",
    "huge": "# " + "x" * 2_000_000,
    "its own default": "defaults: [mine]\n",
}  # fmt: skip


def own(group, content, name="mine"):
    path = Path("own", group, f"{name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ["--config-dir", "own"]


def refused(call, tmp_path):
    assert call.status == 2, call
    assert call.err.startswith("mixbench: ")
    assert call.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


@pytest.mark.parametrize("content", ALL.values(), ids=ALL)
@pytest.mark.parametrize("group", ["study", "method", "augment", "model", "dataset", "train", "loss"])
def test_a_file_that_is_none_is_told(mixbench, tmp_path, group, content):
    flags = own(group, content)
    base = ["dataset=digits"] if group != "dataset" else []
    refused(mixbench("run", *base, f"{group}=mine", "--dry-run", *flags), tmp_path)


@pytest.mark.parametrize("content", ["", "# nothing\n", *ALL.values()], ids=["empty", "comment", *ALL])
def test_a_study_that_is_none_is_told(mixbench, tmp_path, content):
    flags = own("study", content)
    refused(mixbench("study", "mine", *flags), tmp_path)
    refused(mixbench("table", "mine", *flags), tmp_path)


@pytest.mark.parametrize("group", ["method", "augment", "model", "loss"])
@pytest.mark.parametrize("content", ["", "name: [1]\n", "name: null\n", "version: 1\n", "name: {a: b}\n"])
def test_a_file_that_names_no_function_is_told(mixbench, tmp_path, group, content):
    refused(mixbench("run", "dataset=digits", f"{group}=mine", *own(group, content)), tmp_path)


def test_what_a_default_names_is_looked_at_too(mixbench, tmp_path):
    own("method", BOMB, "bomb")
    refused(mixbench("run", "dataset=digits", "method=mine", *own("method", "defaults: [bomb]\n")), tmp_path)


def test_a_pipe_is_no_file(mixbench, tmp_path):
    import os

    flags = own("method", "", "other")
    os.mkfifo("own/method/mine.yaml")
    refused(mixbench("run", "dataset=digits", "method=mine", *flags), tmp_path)


STUDY = """\
# @package _global_
defaults:
  - override /dataset: digits
{more}
study:
  name: mine
  title: Mine
  published_rule: final
  {changed}
"""
GRIDS = "grids: [{method: [none, mixup], n: 20}]"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (f"{GRIDS}\n  published: 3", "published"),
        (f"{GRIDS}\n  published: [3]", "published"),
        (f"{GRIDS}\n  published: {{n: 20}}", "published"),
        (f"{GRIDS}\n  published: [[20, 3]]", "published"),
        (f"{GRIDS}\n  published: [{{n: 20, none: high}}]", "none: high"),
        (f"{GRIDS}\n  published: [{{n: 20, none: [1, 2, 3]}}]", "none: [1, 2, 3]"),
        (f"{GRIDS}\n  published: [{{n: 20, none: .nan}}]", "none: nan"),
        (f"{GRIDS}\n  published: [{{n: 20, none: 951}}]", "none: 951"),
        (f"{GRIDS}\n  published: [{{n: 20, none: null}}]", "none: None"),
        (f"{GRIDS}\n  published: [{{n: 20, mixupp: 95}}]", "'mixupp' (did you mean mixup?)"),
        (f"{GRIDS}\n  published: [{{nn: 20, none: 95}}]", "'nn'"),
        (f"{GRIDS}\n  published: [{{n: {{a: b}}, none: 95}}]", "must be a value"),
        (f"{GRIDS}\n  published: [{{n: 20, none: 95, rule: bset}}]", "did you mean best?"),
        (f"{GRIDS}\n  rows: nn", "'nn' (did you mean n?)"),
        (f"{GRIDS}\n  columns: methods", "'methods' (did you mean method?)"),
        (f"{GRIDS}\n  columns: variant", "'variant'"),
        (f"{GRIDS}\n  colour: red", "'study.colour'"),
        (f"{GRIDS}\n  titel: red", "'study.titel' (did you mean study.title?)"),
        (f"{GRIDS}\n  scales: {{cpu: 3}}", "scales"),
        (f"{GRIDS}\n  scales: {{cpu: {{n: {{a: b}}}}}}", "n: {'a': 'b'}"),
        ("grids: 3", "grids"),
        ("grids: {n: 20}", "grids"),
        ("grids: [3]", "grids"),
        ("grids: [{n: []}]", "n: []"),
        ("grids: [{n: {a: b}}]", "n: {'a': 'b'}"),
        ("grids: [{method: [none, cutmixx]}]", "'cutmixx' (did you mean cutmix?)"),
        ("grids: [{variant: [a], n: 20}]", "variant"),
        ("grids: [{'n,seed': [1, 2]}]", "n,seed"),
        ("grids: [{n: 20, 3: 4}]", ""),
        ("grids: [{n: twenty}]", "n=twenty"),
        ("grids: [{train.lr: .inf}]", "train.lr"),
    ],
)
def test_a_study_that_does_not_fit_together_is_told(mixbench, tmp_path, changed, told):
    flags = own("study", STUDY.format(more="", changed=changed))
    call = mixbench("study", "mine", *flags)
    refused(call, tmp_path)
    assert told in call.err


def test_a_key_beside_the_study_that_is_none_is_named(mixbench, tmp_path):
    call = mixbench("study", "mine", *own("study", STUDY.format(more="sed: 3", changed=GRIDS)))
    refused(call, tmp_path)
    assert "'sed'" in call.err
    assert "seed?" in call.err


@pytest.mark.parametrize("word", ["rows=nn", "columns=methods"])
def test_rows_of_the_command_are_checked_before_it_trains(mixbench, tmp_path, word):
    call = mixbench("study", "demo", "scale=smoke", word)
    assert call.status == 2
    assert word.partition("=")[2] in call.err
    assert list(tmp_path.iterdir()) == []


def test_texts_of_a_study_need_no_quoting(mixbench):
    changed = "grids: [{method: none, n: 20, dataset.name: 'a+b', dataset.root: 'my (old) data, é'}]"
    call = mixbench("study", "mine", "--dry-run", *own("study", STUDY.format(more="", changed=changed)))
    assert call.status == 0, call.err


def test_list_marks_what_cannot_be_run(mixbench):
    own("method", "# Mine: a good one\ndefaults: [cutmix]\nalpha: 2\n", "good")
    own("method", "# Mine: no such function\nname: nothing\nversion: 1\n", "nothing")
    own("method", "a: [1\n", "broken")
    own("method", "defaults: [cutmix]\nalfa: 1\n", "slip")
    flags = own("method", bytes(range(256)), "binary")
    call = mixbench("list", "methods", *flags)
    assert call.status == 0
    lines = {line.split()[0]: line for line in call.out.splitlines()}
    assert "cannot be run" not in lines["good"]
    assert "a good one" in lines["good"]
    for name in ("nothing", "broken", "slip", "binary"):
        assert "cannot be run" in lines[name], lines[name]
        assert mixbench("run", "dataset=digits", f"method={name}", *flags).status == 2
    assert "cannot be run" not in lines["cutmix"]


def test_list_marks_studies_too(mixbench):
    own("study", STUDY.format(more="", changed=GRIDS), "good")
    flags = own("study", STUDY.format(more="", changed=f"{GRIDS}\n  rows: nn"), "bad")
    lines = {line.split()[0]: line for line in mixbench("list", "studies", *flags).out.splitlines()}
    assert "cannot be run" in lines["bad"]
    assert "cannot be run" not in lines["good"]


# Further methods


@pytest.fixture
def results(tmp_path):
    shutil.copytree(STORE, tmp_path / "results")
    return tmp_path / "results"


def add(results, *words, accuracy=77.0):
    """A finished run of `mixbench run WORDS`, with what another has measured."""
    with Composer() as composer:
        made = job(composer.compose(words))
    metrics = json.loads(next(STORE.glob("runs/*/metrics.json")).read_text())
    metrics |= {"id": made.id, "identity": made.identity, "final_accuracy": accuracy}
    (results / "runs" / made.id).mkdir()
    (results / "runs" / made.id / "metrics.json").write_text(json.dumps(metrics))
    return made.id


def select(*words):
    with Composer() as composer:
        return cli_words.select(composer, words)


def test_a_further_method_runs_at_the_studys_other_settings():
    with Composer() as composer:
        made = plan(composer, "demo", ["method=none,mixup,cutmix", "n=20"])
        alone = plan(composer, "small-data", ["method=cutmix"])
        as_a_run = job(composer.compose(["study=small-data", "method=cutmix", "n=500"]))
    assert {j.identity["method"] for j in made.jobs} == {"none", "label-mix", "cutmix"}
    assert made.further == ["cutmix"]
    assert made.changes == []
    rest = [{k: v for k, v in j.identity.items() if not k.startswith("method")} for j in made.jobs]
    assert all(rest.count(identity) == 3 for identity in rest)
    assert sorted(j.identity["n"] for j in alone.jobs) == [100, 250, 500, 1000, 5000, 10000, 20000, 50000]
    assert as_a_run.id in {j.id for j in alone.jobs}


def test_a_further_method_takes_nothing_of_the_studys_methods():
    with Composer() as composer:
        made = plan(composer, "noaug-vs-aug", ["method=resizemix", "seed=0"])
        noise = plan(composer, "label-noise", ["method=cutmix"])
        variants = plan(composer, "alpha-sweep", ["method=label-mix,cutmix", "n=100", "seed=0"])
        given = plan(composer, "demo", ["method=none,cutmix", "method.alpha=0.5", "n=20"])
        default = composer.compose(["method=cutmix"]).method
    assert [(j.identity["augment"], j.identity["method.p"]) for j in made.jobs] == [("standard", 1), ("none", 1)]
    assert [j.identity["dataset.label_noise"] for j in noise.jobs] == [0.2, 0.5, 0.8]
    assert {j.identity["method.alpha"] for j in noise.jobs} == {default.alpha}
    assert set(variants.variants.values()) == {"label-mix", "cutmix"}
    assert {(j.identity["method"], j.identity.get("method.alpha")) for j in given.jobs} == {
        ("none", None),
        ("cutmix", 0.5),
    }


def test_stored_runs_of_further_methods_are_shown_and_marked(results, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = select("demo")
    assert before.study.further == []
    mine = add(results, "study=demo", "method=cutmix", "n=20")
    add(results, "study=demo", "method=cutmix", "n=20", "method.alpha=0.3")  # not as the study would run it
    add(results, "study=demo", "method=cutmix", "n=20", "model.width=3")  # not the study's network
    after = select("demo")
    assert set(after.frame["id"]) - set(before.frame["id"]) == {mine}
    assert after.study.further == ["cutmix"]
    assert len(after.jobs) == len(before.jobs)  # what is not asked for is not missed
    built = table.build(after)
    assert built.columns == ["none", "cutmix", "data-mix", "label-mix"]
    assert "cutmix" in " ".join(notes.above(after, built))
    assert set(select("demo", "method=none,label-mix").frame["method"]) == {"none", "label-mix"}
    assert set(select("demo", "method=cutmix").frame["id"]) == {mine}


def test_published_numbers_stay_with_the_sources_methods(results, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    add(results, "study=small-data", "n=500")
    add(results, "study=small-data", "method=cutmix", "n=500")
    chosen = select("small-data", "method=none,cutmix")
    built = table.build(chosen)
    assert {column for _, column in built.published} == {"none"}
    assert "not in the source" in " ".join(notes.above(chosen, built))


def test_a_further_method_trains_and_is_tabled(mixbench, tmp_path):
    call = mixbench("study", "demo", "scale=smoke", "method=cutmix", "device=cpu", "model.width=16")
    assert call.status == 0, call.err
    assert len(list(tmp_path.glob("results/runs/*-cutmix-*/metrics.json"))) == 1
    assert "cutmix" in call.out
