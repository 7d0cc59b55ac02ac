"""Completion on the Tab key."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mixbench.cli.commands import COMMANDS

SCRIPT = Path(sys.executable).with_name("mixbench")


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("mixbench ", {*COMMANDS}, {"demo"}),
        ("mixbench st", {"study", "status"}, {"run"}),
        ("mixbench run meth", {"method="}, {"seed="}),
        ("mixbench run n=4 method=cut", {"method=cutmix", "method=cutout"}, {"method=none"}),
        ("mixbench run train.war", {"train.warmup="}, {"train.steps="}),
        ("mixbench sweep method=none dataset=dig", {"dataset=digits"}, {"dataset=npz"}),
        ("mixbench study sm", {"small-data"}, {"demo"}),
        ("mixbench study demo n", {"n="}, {"demo"}),
        ("mixbench table demo ru", {"rule="}, {"rows="}),
        ("mixbench plot ", {"demo", "rows="}, {"run"}),
        ("mixbench audit ", {"dataset=", "dataset.", "eval=", "results_dir="}, {"n=", "model=", "model."}),
        ("mixbench audit dataset=folder dataset.s", {"dataset.size="}, {"dataset.path="}),
        ("mixbench list m", {"methods", "models"}, {"datasets"}),
        ("mixbench new m", {"method", "model"}, {"methods", "study"}),
        ("mixbench check cut", {"cutmix", "cutout"}, {"fmix"}),
        ("mixbench report demo ru", {"rule="}, {"rows="}),
        ("mixbench run method=cutmix method.", {"method.alpha=", "method.correct_lambda="}, {"method.name="}),
        ("mixbench run method=gridmix method.g", {"method.grid="}, {"method.alpha="}),
        ("mixbench run mo", {"model=", "model."}, {"method="}),
        ("mixbench run --no-such-flag me", set(), {"method="}),
    ],
)
def test_completion(mixbench, monkeypatch, tmp_path, line, offered, not_offered):
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    call = mixbench("-sc", "query=bash")
    assert (call.status, call.err) == (0, "")
    found = set(call.out.split())
    assert offered <= found
    assert not found & not_offered
    assert list(tmp_path.iterdir()) == []


# What the line editor of each shell does on the Tab key: set the variables and call the registered function.
PRESS_TAB = {
    "bash": """
        eval "$(mixbench -sc install=bash)"
        complete -p mixbench >&2
        COMP_LINE="mixbench run method=cutm" COMP_POINT=24 COMP_CWORD=2
        _mixbench
        echo "${COMPREPLY[@]}"
    """,
    "zsh": """
        autoload -Uz compinit && compinit -u
        eval "$(mixbench -sc install=zsh)"
        echo $_comps[mixbench] mixbench >&2
        compadd() { echo "${@[4,-1]}" }
        words=(mixbench run method=cutm) CURRENT=3
        _mixbench
    """,
}


@pytest.mark.parametrize(("shell", "function"), [("bash", "_mixbench"), ("zsh", "_mixbench")])
def test_a_real_shell_completes(tmp_path, shell, function):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    if not SCRIPT.exists():
        pytest.skip("mixbench is not installed beside this Python")
    environment = os.environ | {"PATH": f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    flags = ["--norc", "--noprofile"] if shell == "bash" else ["-f"]
    ended = subprocess.run(
        [shell, *flags, "-c", PRESS_TAB[shell]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert f"{function} mixbench" in ended.stderr, ended.stderr
    assert ended.stdout == "method=cutmix\n"
