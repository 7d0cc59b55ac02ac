"""What README and docs/ show as code: commands parse and compose, marked commands and all Python blocks run.

A page is played in a folder of its own, from top to bottom. A line with nothing but a path in backticks makes the block
after it that file. Python blocks share their names. Commands after `<!-- run -->` are given for real, with a tiny
network and few steps. Other commands are composed and train nothing. The slow test alone draws pictures, and trains all
repetitions and steps.
"""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from mixbench.cli.commands.audit import read_words
from mixbench.cli.commands.generate import read_options
from mixbench.mixing import Mixture, MixUp, PairMixer

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?:^(?P<mark><!-- run -->)\n)?(?:^`(?P<file>[\w./-]+)`\n\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
TRAINS, SHOWS, DRAWS = (
    ("run", "sweep", "study", "decide"),
    ("table", "status", "export", "clean"),
    ("report", "plot", "gallery"),
)
OTHERS = ("pip", "source", "eval", "export", "cd", "mkdocs")  # programs that a page may name beside ours
SMALL = (
    (r"\bmodel\.width=\d+(?= model\.depth)", "model.width=2"),
    (r"\bmodel\.width=\d+(?! model\.depth)", "model.width=2 model.depth=10"),
    (r'"model\.width": \d+', '"model.width": 2'),
)
SHORT = (
    (r"\btrain\.steps=\d+", "train.steps=4"),
    (r'"train\.steps": \d+', '"train.steps": 4'),
    (r"(?m)^  steps: \d+$", "  steps: 4"),
)
FEW = (
    (r"\b(n|seed|subset_seed)=(\d+)(?:,\d+)+", r"\1=\2"),
    (r"range\(3\)", "range(1)"),
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. file: the path that stands above it. run: whether its commands are given for real."""

    language: str
    text: str
    file: str | None
    run: bool

    @property
    def commands(self) -> list[list[str]]:
        """The command lines of a block of shell, as words, without comments."""
        if self.language != "sh" or self.file:
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


def blocks(text: str) -> list[Block]:
    return [Block(m["language"], m["text"], m["file"], m["mark"] is not None) for m in BLOCK.finditer(text)]


PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if path.parent.name != "upstream"  # reports of what crashes, for other projects
    and any(block.language in ("sh", "python") for block in blocks(path.read_text(encoding="utf-8")))
)


def of_page(page: str) -> list[Block]:
    return blocks((ROOT / page).read_text(encoding="utf-8"))


def replaced(text: str, replacements: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in replacements:
        text = re.sub(pattern, replacement, text)
    return text


def composing(words: list[str]) -> list[str]:
    """A command that checks all words of this one and trains and draws nothing."""
    command, *rest = words
    if {"--help", "--cfg", "--dry-run"} & set(rest) or command in ("list", "check", "new", *SHOWS):
        return words
    if command in TRAINS:
        return [*words, "--dry-run"] if command in ("sweep", "decide") else [*words, "--cfg", "job"]
    if command == "gallery":
        return ["sweep", *(word for word in rest if not word.startswith("out=")), "--dry-run"]
    assert command in ("report", "plot"), words
    return ["table", *rest]


class Played:
    """A page in a folder: files are written, Python is executed, commands are given."""

    def __init__(self, mixbench, folder: Path, monkeypatch, slow: bool):
        self.mixbench, self.folder, self.slow = mixbench, folder, slow
        self.names: dict[str, object] = {"__name__": "page"}
        monkeypatch.syspath_prepend(folder / "mine/method")  # where the page on extending has its module
        monkeypatch.setenv("MPLBACKEND", "agg")
        # Dry runs stand in for commands whose archives are not there.
        monkeypatch.setattr("mixbench.runs.planning.check_data", lambda jobs, results, datasets: None)
        monkeypatch.setattr("mixbench.runs.cost.measure", lambda *given, **options: None)

    def play(self, block: Block) -> None:
        executed = block.run or block.language == "python" or block.file
        text = replaced(block.text, SMALL) if executed else block.text
        if not self.slow:
            text = replaced(text, SHORT + FEW if executed else FEW)
        if block.file:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(text, "page", "exec"), self.names)  # of our own pages
        for words in Block("sh", text, block.file, block.run).commands if block.language == "sh" else []:
            self.give(words, block.run)

    def give(self, words: list[str], run: bool) -> None:
        program, *rest = words
        if program != "mixbench":
            assert not run, f"a block that is run has commands of mixbench alone: {words}"
            assert program in OTHERS or is_in_git(program, rest), words
            return
        if rest[0] == "generate" and not run:
            read_options(rest[1:])
            return
        if rest[0] == "audit" and not run:
            read_words([word for word in rest[1:] if "=" in word])
            return
        if rest[0] == "import" and not run:
            assert all(word.endswith(".zip") or word.startswith("results_dir=") for word in rest[1:]), words
            return
        if not run and rest[0] in ("decide", "report", "table") and rest[1].endswith((".npz", ".csv", "/")):
            pictures(self.folder / "photos")
            if rest[0] != "decide":  # no run on them is stored
                return
            rest = ["decide", "photos/", *(word for word in rest[2:] if not word.startswith("n="))]
        if not run or (rest[0] in DRAWS and not self.slow):
            rest = composing(rest)
        elif rest[0] == "study" and not self.slow and "--dry-run" not in rest:
            rest = [*rest, "--dry-run"]
        call = self.mixbench(*rest)
        stored = run and rest[0] != "run"
        # Without stored runs what shows them exits with 1; a mistake in what was asked is 2.
        assert call.status == 0 or (not stored and rest[0] in SHOWS and call.status == 1), (words, call.err)


def pictures(folder: Path) -> None:
    """Make a folder of own pictures that a page speaks of."""
    for name in ("cats", "dogs"):
        for k in range(10):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (16, 16), (9 * k, 99, 200)).save(folder / name / f"{k}.png")


def is_in_git(program: str, rest: list[str]) -> bool:
    """Whether a command calls a file of ours: `scripts/demo`, or `python benchmarks/hostile.py`."""
    path = rest[0] if program == "python" else program
    listed = subprocess.run(["git", "ls-files", "--error-unmatch", path], cwd=ROOT, capture_output=True, check=False)
    return listed.returncode == 0


def play(page: str, mixbench, folder: Path, monkeypatch, slow: bool) -> Played:
    played = Played(mixbench, folder, monkeypatch, slow)
    for block in of_page(page):
        if block.language in ("sh", "python") or block.file:
            played.play(block)
    return played


@pytest.mark.parametrize("page", PAGES)
def test_a_page_works_as_it_stands(page, mixbench, tmp_path, monkeypatch):
    played = play(page, mixbench, tmp_path, monkeypatch, slow=False)
    if page == "docs/extending.md":
        mix = played.names["mix"]
        assert isinstance(mix, PairMixer)
        torch.testing.assert_close(played.names["targets"].sum(dim=1), torch.ones(8))
        Mixture([mix, MixUp(10)])(torch.rand(8, 3, 32, 32), torch.arange(8))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if any(block.run for block in of_page(page))])
def test_a_page_works_with_its_pictures(page, mixbench, tmp_path, monkeypatch):
    play(page, mixbench, tmp_path, monkeypatch, slow=True)


def test_pages_are_found_and_have_what_is_run():
    assert {"docs/quickstart.md", "docs/guide.md", "docs/extending.md", "docs/api.md"} <= set(PAGES)
    ran = [words for page in PAGES for block in of_page(page) if block.run for words in block.commands]
    assert {words[1] for words in ran} >= {"run", "sweep", "study", "table", "report", "export", "import", "check"}
    written = {Path(block.file).parent.name for block in of_page("docs/extending.md") if block.file}
    assert written == {"method", "augment", "loss", "model", "dataset", "study"}


def test_blocks_are_read_with_their_marks():
    commands = "<!-- run -->\n```sh\nmixbench run a=1 \\\n    b=2 # why\n# alone\n```\n"
    first, second = blocks(f"{commands}\n`mine/x.py`\n\n```python\nx = 1\n```\n")
    assert (first.run, first.commands) == (True, [["mixbench", "run", "a=1", "b=2"]])
    assert (second.run, second.file, second.text) == (False, "mine/x.py", "x = 1\n")


@pytest.mark.parametrize(
    "command",
    [
        "mixbench run method=mixxup",
        "mixbench study no-such-study",
        "mixbench gallery method=cutmix,mixxup",
        "mixbench tabel demo",
        "scripts/no-such-script",
        "mixbench sweep n=20 seeed=0,1",
    ],
)
def test_wrong_commands_are_found(command, mixbench, tmp_path, monkeypatch):
    played = Played(mixbench, tmp_path, monkeypatch, slow=False)
    with pytest.raises(AssertionError):
        played.play(Block("sh", f"{command}\n", None, False))


def test_python_that_fails_is_found(mixbench, tmp_path, monkeypatch):
    with pytest.raises(ZeroDivisionError):
        Played(mixbench, tmp_path, monkeypatch, slow=False).play(Block("python", "1 / 0\n", None, False))
