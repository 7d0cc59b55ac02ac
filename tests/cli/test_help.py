"""Help of every command, also for whoever got a word wrong; the version."""

import re

import pytest

import mixbench as package
from mixbench.cli.commands import COMMANDS
from mixbench.cli.key_help import TITLES
from mixbench.config.compose import Composer
from mixbench.config.keys import keys_of_group, keys_of_run

COLUMNS = 120  # without a terminal


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_of_every_command_shows_usage_and_examples(mixbench, tmp_path, command, flag):
    call = mixbench(*command.split(), flag)
    assert (call.status, call.err) == (0, "")
    usage, _, examples = call.out.partition("Example")
    assert f"\n  mixbench {command}" in usage
    assert f"\n  mixbench {command}" in examples
    assert max(map(len, call.out.splitlines())) <= COLUMNS
    assert list(tmp_path.iterdir()) == []


def test_every_command_is_in_the_help_once(mixbench):
    shown = mixbench().out
    assert shown == mixbench("--help").out
    listed = shown.partition("Examples")[0]
    assert sorted(re.findall(r"^  mixbench (\S+)", listed, re.MULTILINE)) == sorted(COMMANDS)


def test_version(mixbench):
    assert mixbench("--version").out == f"mixbench {package.__version__}\n"


@pytest.mark.parametrize("word", ["method.layers=[input]", "loss=; x", "no=such", "n=ten"])
def test_help_helps_whoever_got_a_word_wrong(mixbench, word):
    call = mixbench("run", "--help", word)
    assert (call.status, call.err) == (0, "")
    assert call.out == mixbench("run", "--help").out


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_help_shows_every_key_with_its_default_and_nothing_of_hydra(mixbench, command):
    call = mixbench(command, "--help")
    assert "hydra" not in call.out.lower()
    shown = dict(re.findall(r"^  ([a-z0-9_.]+)=(\S+)  +\S", call.out, re.MULTILINE))
    with Composer() as composer:
        keys = keys_of_run(composer)
        for group in TITLES:
            assert shown[group] == composer.default(group)
            keys += keys_of_group(composer, group, composer.default(group))
    assert len(keys) > 40
    for key in keys:
        assert same(shown[key.name], key.default), key
    assert {name.split(".")[0] for name in shown} == {key.name.split(".")[0] for key in keys} | set(TITLES)


def same(shown, default):
    """Whether help shows the default, or the beginning of one that is long."""
    return shown == default or (len(default) > 20 and shown.endswith("…") and default.startswith(shown[:-1]))


def choices():
    with Composer() as composer:
        return [(group, option) for group in TITLES for option in composer.options(group)]


@pytest.mark.parametrize(("group", "option"), choices(), ids=lambda value: value)
def test_help_of_a_choice_shows_its_keys_alone(mixbench, group, option):
    call = mixbench("run", "--help", f"{group}={option}")
    assert (call.status, call.err) == (0, "")
    shown = dict(re.findall(r"^  ([\w.-]+)=(\S+)(?=  +\S|$)", call.out, re.MULTILINE))
    with Composer() as composer:
        keys = keys_of_group(composer, group, option)
    assert {*shown} == {group, *(key.name for key in keys)}
    assert shown[group] == option
    assert all(same(shown[key.name], key.default) for key in keys)
    (example,) = re.findall(r"^  mixbench (run .*)$", call.out, re.MULTILINE)
    if option not in ("npz", "folder", "csv"):  # these need files
        assert mixbench(*example.split()).status == 0


def test_help_of_several_choices_and_of_a_group(mixbench):
    call = mixbench("run", "--help", "method=cutmix", "model=wrn")
    assert all(key in call.out for key in ("method.correct_lambda=true", "model.widen=8"))
    assert "train.lr=" not in call.out
    assert "train.lr=0.1" in mixbench("run", "--help", "train").out


def test_help_of_a_choice_that_there_is_not(mixbench):
    call = mixbench("run", "--help", "method=cutmx")
    assert (call.status, call.out) == (2, "")
    assert "did you mean cutmix?" in call.err


def test_help_shows_the_keys_of_own_files(mixbench, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")  # no line is wrapped
    assert mixbench("new", "method", "mine").status == 0
    folder = tmp_path / "my_configs/method"
    (folder / "mine.yaml").write_text("# Mine: mine\nfunction: mine.py:mine\n")
    (folder / "low.yaml").write_text("# Low\ndefaults: [cutmix]\nalpha: 0.3\np: 0.5 # half. The rest is left\n")
    shown = mixbench("run", "--help", "method=mine", "--config-dir", "my_configs").out
    assert re.search(r"^  method\.height=0\.5  +\S", shown, re.MULTILINE)
    assert re.search(r"^  method\.per_sample=false  +\S", shown, re.MULTILINE)
    shown = mixbench("run", "--help", "method=low", "--config-dir", "my_configs").out
    with Composer() as composer:
        of_cutmix = {key.name: key.text for key in keys_of_group(composer, "method", "cutmix")}
    assert re.search(rf"^  method\.alpha=0\.3  +{re.escape(of_cutmix['method.alpha'])}$", shown, re.MULTILINE)
    assert re.search(r"^  method\.p=0\.5  +half$", shown, re.MULTILINE)
