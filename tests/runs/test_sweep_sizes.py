"""How many runs a command asks for: counted before they are made, and told where several combinations are one run."""

import re
import time

import pytest

from mixbench.config.compose import Composer
from mixbench.config.overrides import LIMIT, count, expand, parse
from mixbench.core.errors import UserError
from mixbench.runs.study import plan

DIGITS = ["dataset=digits", "n=20", "model.width=2", "train.steps=2"]


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (["sweep", "seed=range(0,100000)"], "100,000"),
        (["sweep", "seed=range(0,1000000000)"], "1,000,000,000"),
        (["sweep", "train.lr=range(0.1,1,0.0000001)"], "9,000,00"),
        (["sweep", "seed=range(0,1000)", "n=range(1,1001)"], "1,000,000"),
        (["run", "--multirun", "seed=" + ",".join(map(str, range(101))), "n=range(1,101)"], "10,100"),
        (["study", "demo", "seed=range(0,1000000)"], "1,000,000"),
        (["study", "demo", "seed=range(0,1000)", "subset_seed=range(0,1000)"], "12,000,000"),
        (["table", "demo", "seed=range(0,1000000000)"], "1,000,000,000"),
        (["table", "seed=range(0,1000000000)"], "1,000,000,000"),
        (["gallery", "method.alpha=range(0,1000000000)", "method=mixup"], "1,000,000,000"),
    ],
    ids=lambda words: " ".join(words)[:50] if isinstance(words, list) else words,
)
def test_more_runs_than_anyone_wants_are_refused_at_once(mixbench, tmp_path, words, number):
    began = time.process_time()
    call = mixbench(*words)
    assert time.process_time() - began < 20  # not the minutes that making the combinations takes
    assert call.status == 2
    assert re.search(rf"\b{number}", call.err), call.err
    assert call.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_yes_goes_on(monkeypatch, mixbench):
    monkeypatch.setattr("mixbench.config.overrides.LIMIT", 2)
    words = ["sweep", *DIGITS, "seed=0,1,2", "--dry-run"]
    assert mixbench(*words).status == 2
    assert mixbench(*words, "--yes").status == 0


def test_yes_goes_on_in_a_study_and_in_what_reads_it(monkeypatch, mixbench, tmp_path):
    monkeypatch.setattr("mixbench.cli.words.LIMIT", 2)
    words = ["demo", "scale=smoke", "seed=0,1,2"]
    assert mixbench("study", *words).status == 2
    assert list(tmp_path.iterdir()) == []
    assert mixbench("study", *words, "--yes").status == 0  # trained, and then shown
    for command in ("status", "table", "report", "plot", "export"):
        assert mixbench(command, *words).status == 2
        assert mixbench(command, *words, "--yes").status == 0


@pytest.mark.parametrize(
    "text", ["a=1,2,3", "a=range(3)", "a=range(0,1,0.25)", "a=range(5,0,-2)", "a=choice(1,2)", "a=1"]
)
def test_the_count_is_that_of_the_values(text):
    (override,) = parse([text])
    assert count(override) == len(expand([text]))


def test_the_limit_is_of_all_keys_together():
    assert len(expand([f"a=range({LIMIT // 10})", "b=range(10)"])) == LIMIT
    with pytest.raises(UserError):
        expand([f"a=range({LIMIT // 10})", "b=range(11)"])


def test_a_study_of_too_many_runs_is_counted_before_they_are_made(mixbench, tmp_path):
    folder = tmp_path / "own" / "study"
    folder.mkdir(parents=True)
    values = list(range(500))
    (folder / "big.yaml").write_text(
        f"# @package _global_\nstudy: {{name: big, title: Big, grids: [{{seed: {values}, n: {values[1:]}}}]}}\n"
    )
    call = mixbench("study", "big", "--config-dir", "own", "dataset=digits")
    assert call.status == 2
    assert "249,500" in call.err


@pytest.mark.parametrize(
    ("words", "combinations", "runs", "keys"),
    [
        (["subset=head", "subset_seed=0,1"], 2, 1, ["subset_seed", "subset=head"]),
        (["subset=head,balanced", "subset_seed=0,1"], 4, 3, ["subset_seed", "subset=head"]),
        (["method=mixup,label-mix"], 2, 1, ["method"]),
        (["method=none,mixup", "method.alpha=0,1"], 3, 2, ["method"]),
        (["method=none,mixup", "protect=[1],[2]"], 4, 3, ["protect"]),
    ],
    ids=str,
)
def test_combinations_that_are_one_run_are_told(mixbench, numbers, words, combinations, runs, keys):
    call = mixbench("sweep", *DIGITS, *words, "--dry-run")
    assert call.status == 0
    (line,) = [line for line in call.err.splitlines() if line.startswith("warning: ")]
    assert numbers(line)[:2] == [combinations, runs]
    assert all(key in line for key in keys)


def test_a_study_tells_it_too(mixbench, numbers):
    call = mixbench("study", "demo", "scale=smoke", "subset=head", "subset_seed=0,1", "--dry-run")
    (line,) = [line for line in call.err.splitlines() if "subset=head" in line]
    assert numbers(line) == [2, 1]


def test_nothing_is_told_where_each_is_a_run(mixbench):
    for words in (
        ["sweep", *DIGITS, "subset=balanced", "subset_seed=0,1"],
        ["study", "demo"],
        ["study", "alpha-sweep"],
    ):
        assert "combinations" not in mixbench(*words, "--dry-run").err


@pytest.fixture(scope="module")
def ids():
    """The runs of a command line, by method and α."""

    def ids(*words):
        from mixbench.config.combinations import combine
        from mixbench.config.identity import job

        with Composer() as composer:
            jobs = [job(composer.compose(combination)) for combination in combine(composer, words)]
        return sorted((j.identity["method"], str(j.identity.get("method.alpha"))) for j in jobs)

    return ids


def test_a_methods_key_applies_to_the_methods_that_have_it(ids):
    assert ids("method=none,mixup", "method.alpha=0.2,1") == [
        ("label-mix", "0.2"),
        ("label-mix", "1"),
        ("none", "None"),
    ]
    assert ids("method.alpha=0.2", "method=none,mixup,cutmix") == [
        ("cutmix", "0.2"),
        ("label-mix", "0.2"),
        ("none", "None"),
    ]


def test_other_groups_too(mixbench):
    call = mixbench("sweep", *DIGITS[:2], "train.steps=2", "model=wrn,resnet18", "model.widen=1,2", "--dry-run")
    assert call.status == 0, call.err
    assert mixbench("sweep", *DIGITS, "loss=ce,bce", "loss.sum_classes=true", "--dry-run").status == 0


@pytest.mark.parametrize("command", [["sweep", *DIGITS, "method=none,mixup"], ["study", "demo", "method=none,mixup"]])
def test_a_key_that_no_method_has_is_a_mistake(mixbench, command):
    call = mixbench(*command, "method.alfa=1", "--dry-run")
    assert call.status == 2
    assert "method.alfa" in call.err


def test_one_method_must_have_the_key(mixbench):
    assert mixbench("run", *DIGITS, "method=none", "method.alpha=1").status == 2
    assert mixbench("sweep", *DIGITS, "method=none", "method.alpha=1,2").status == 2


def test_a_study_gives_a_methods_key_to_the_methods_that_have_it():
    with Composer() as composer:
        jobs = plan(composer, "demo", ["method.alpha=0.2,1", "n=20", "subset_seed=0", "seed=0"]).jobs
    found = sorted((j.identity["method"], str(j.identity.get("method.alpha"))) for j in jobs)
    assert found == [(m, a) for m in ("data-mix", "label-mix") for a in ("0.2", "1")] + [("none", "None")]
