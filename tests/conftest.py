"""Shared fixtures: the command line called in a folder of its own, the smallest run that is one, what a text counts."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start: stored numbers depend on the thread count

import heavy
import pytest
import torch

from mixbench.cli.main import main


@dataclass(frozen=True)
class Call:
    """What a call of the command line left: exit status and what it printed."""

    status: int
    out: str
    err: str


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the cases that heavy.py leaves to `-m slow`."""
    for test, cases in cases_of(items).items():
        always, one_in = heavy.ALWAYS.get(test, ()), heavy.ONE_IN.get(test)
        kept = set(always or ()) if one_in is None else {name for name, _ in cases[::one_in]}
        if len(cases) > 1 and not kept <= {name for name, _ in cases}:
            raise pytest.UsageError(f"tests/heavy.py: {test} has no case {kept - {name for name, _ in cases}}")
        for name, item in cases:
            if name not in kept:
                item.add_marker(pytest.mark.slow)


def cases_of(items):
    """Return test of heavy.py -> (name, item) of its cases."""
    found = {}
    for item in items:
        name = item.nodeid.removeprefix("tests/").partition("[")[0]
        if name in heavy.ALWAYS or name in heavy.ONE_IN:
            found.setdefault(name, []).append((item.callspec.id if hasattr(item, "callspec") else "", item))
    return found


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def mixbench(tmp_path, monkeypatch, capsys) -> Callable[..., Call]:
    """Call `mixbench WORDS` in an empty folder, the test's tmp_path."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Call:
        assert Path.cwd() == tmp_path
        capsys.readouterr()
        status = main(words)
        return Call(status, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """Overrides of a run of half a second: 14 steps on the digits, with checkpoints between evaluations."""
    return (
        "dataset=digits",
        "n=20",
        "subset=balanced",
        "device=cpu",
        "precision=fp32",
        "model.width=2",
        "model.depth=10",
        "train.steps=14",
        "train.batch_size=8",
        "train.eval_every=4",
        "train.checkpoint_every=3",
    )


NUMBER = re.compile(r"(?<![\w.-])[+-]?\d+(?:,\d{3})*(?:\.\d+)?(?!\w|[.,]\d)")


@pytest.fixture(scope="session")
def numbers() -> Callable[[str], list[float]]:
    """The numbers of a text in their order, whatever words are around them; those inside a name do not count."""

    def numbers(text: str) -> list[float]:
        return [float(word.replace(",", "")) for word in NUMBER.findall(text)]

    return numbers


@pytest.fixture(scope="session")
def counts() -> Callable[[str], dict[str, int]]:
    """The words that a number stands before, such as the states of runs: word -> number."""

    def counts(text: str) -> dict[str, int]:
        found = re.findall(r"(?<![\w.,-])(\d+(?:,\d{3})*) ([a-z]+)", text)
        assert len({word for _, word in found}) == len(found), f"a word is counted twice: {text}"
        return {word: int(number.replace(",", "")) for number, word in found}

    return counts


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes | None]]:
    """Every path below a folder with its bytes; None for a folder."""

    def contents(folder: Path) -> dict[str, bytes | None]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")
        }

    return contents
