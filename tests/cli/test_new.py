"""`mixbench new`: what it writes works as it stands, with the commands that it prints."""

import json
import shlex

import pytest

from mixbench.config.folder import REMEMBERED
from mixbench.config.new_files import KINDS
from mixbench.core.groups import OF_FUNCTIONS


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.delenv(REMEMBERED, raising=False)


def commands(out):
    """The commands that a call told to type next."""
    return [shlex.split(line)[1:] for line in out.partition("Next:")[2].splitlines() if line.strip()]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "study"])
def test_what_is_written_works_at_once(mixbench, tmp_path, kind):
    call = mixbench("new", kind, "first-try")
    assert (call.status, call.err) == (0, "")
    for path in (tmp_path / "my_configs" / kind).iterdir():
        assert f"my_configs/{kind}/{path.name}\n" in call.out
    called = [words[0] for words in commands(call.out)]
    assert called[-1] == "run"
    for words in commands(call.out):
        done = mixbench(*words)
        assert (done.status, "cannot be run" in done.out) == (0, False), (words, done.err)
        assert "warning" not in done.out + done.err
    (metrics,) = (json.loads(path.read_text()) for path in tmp_path.glob("results/runs/*/metrics.json"))
    if kind in (*OF_FUNCTIONS, "dataset"):
        assert metrics["identity"][kind] == "first-try"
    else:
        assert metrics["identity"]["train.schedule"] == "cosine"


def test_a_config_is_a_file_of_training_settings(mixbench, tmp_path):
    assert mixbench("new", "config", "mine").status == 0
    assert mixbench("new", "train", "mine", "--config-dir", "other").status == 0
    written = (tmp_path / "my_configs/train/mine.yaml").read_bytes()
    assert written == (tmp_path / "other/train/mine.yaml").read_bytes()


def test_every_key_of_the_templates_has_a_line_of_help(mixbench):
    for kind in KINDS:
        assert mixbench("new", kind, "mine").status == 0
        if kind == "study":
            continue
        shown = mixbench("run", "--help", f"{kind}=mine", "--config-dir", "my_configs")
        assert shown.status == 0, shown.err
        keys = [line for line in shown.out.splitlines() if line.startswith(f"  {kind}.")]
        assert keys
        assert all(len(line.split()) > 1 for line in keys), keys


def test_a_study_is_planned_trained_and_reported(mixbench, tmp_path):
    planned, trained, reported = commands(mixbench("new", "study", "first-try").out)
    assert mixbench(*planned).out.startswith("18 runs")
    assert list(tmp_path.glob("results*")) == []
    smoke = ["scale=smoke", "device=cpu"]
    done = mixbench(*trained, *smoke)
    assert (done.status, done.err) == (0, "")
    reports = mixbench(*reported, *smoke)
    assert reports.status == 0, reports.err
    assert len(list(tmp_path.glob("results/runs/digits-n20-label-mix-s0-*/metrics.json"))) == 1
    assert "mixup (label-mix)" in (tmp_path / "results/first-try,scale=smoke/report.md").read_text()


def test_the_remembered_folder_is_made_and_then_found(mixbench, tmp_path, monkeypatch):
    monkeypatch.setenv(REMEMBERED, "remembered")
    call = mixbench("new", "method", "first-try")
    assert call.status == 0, call.err
    assert (tmp_path / "remembered/method/first-try.py").exists()
    check = commands(call.out)[0]
    assert check == ["check", "first-try"]
    assert mixbench(*check).out == "first-try: ok\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["methd", "mine"], ["'methd'", "did you mean method?", "choices: augment, dataset"]),
        (["method"], ["method", "name"]),
        (["method", "a", "b"], ["method a b", "kind"]),
        (["method", "cutmix"], ["cutmix", "my-cutmix"]),
        (["method", "1st"], ["'1st'", "letter first"]),
        (["method", "mine", "--config-dir"], ["--config-dir", "value"]),
        (["method", "mine", "--dry-run"], ["--dry-run"]),
        (["method", "mine", "--config-dir=taken"], ["taken", "cannot be written"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_one_line_and_nothing_is_written(mixbench, tmp_path, contents, words, told):
    (tmp_path / "taken").write_text("a file, no folder")
    before = contents(tmp_path)
    call = mixbench("new", *words)
    assert (call.status, call.out) == (2, "")
    assert call.err.count("\n") == 1
    assert all(part in call.err for part in told), call.err
    assert contents(tmp_path) == before


def test_without_words_it_shows_its_help(mixbench):
    call = mixbench("new")
    assert (call.status, call.out) == (2, mixbench("new", "--help").out)
    assert all(f"\n  {kind} " in call.out for kind in KINDS)
