"""Help of every command, also for whoever got a word wrong; the version."""

import pytest

import mixbench as package
from mixbench.cli.commands import COMMANDS


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_of_every_command_shows_examples(mixbench, tmp_path, command, flag):
    call = mixbench(*command.split(), flag)
    assert (call.status, call.err) == (0, "")
    _, _, examples = call.out.partition("Example")
    assert f"\n  mixbench {command}" in examples or "\n  mixbench run" in examples
    assert list(tmp_path.iterdir()) == []


def test_every_command_is_in_the_help(mixbench):
    shown = mixbench().out
    assert all(f"\n  mixbench {command} " in shown for command in COMMANDS)


def test_version(mixbench):
    assert mixbench("--version").out == f"mixbench {package.__version__}\n"


@pytest.mark.parametrize("word", ["method.layers=[input]", "loss=; x", "no=such", "n=ten"])
def test_help_helps_whoever_got_a_word_wrong(mixbench, word):
    call = mixbench("run", "--help", word)
    assert (call.status, call.err) == (0, "")
    assert "mixbench" in call.out


def test_help_of_hydra_itself_needs_no_keys_of_ours(mixbench):
    call = mixbench("run", "method=none", "--hydra-help")
    assert (call.status, call.err) == (0, "")
    assert "--cfg" in call.out
