"""Users' text in Markdown, HTML and pictures is text: no cell more, no tag, no link, no formula comes of it."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mixbench.analysis import plot, report, table
from mixbench.analysis.compare import compare
from mixbench.cli.words import select
from mixbench.config.compose import Composer
from mixbench.core import markdown

STORE = Path(__file__).parents[1] / "fixtures" / "store"
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
PLAIN = {"text", "text_special", "softbreak"}
# Pieces of which hostile text is made, and what one meets in earnest.
PIECES = [
    *"\\`*_|[]()<>#$~&!-+=:;.1 \n\t\"'/a",
    "<script>alert(1)</script>",
    "[x](http://y)",
    "![x](y.png)",
    "[x]: y",
    "**b**",
    "__b__",
    "~~s~~",
    "&lt;",
    "&#60;",
    "```",
    "---",
    "1. ",
    "$x_{1}$",
    "train_loss",
    "<!-- c -->",
    "\x1b[31m",
    "\x00",
    "\u2028",
    "\u202e",
    "|---|",
]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
NASTY = "a|b *c* _d_ `e` <script>alert(1)</script> [x](http://y) ![p](q) $z$ \\| &lt;\n# h\n\n| 1 | 2 |"


def words(text):
    """As it is to be seen: white space is one blank, what cannot be printed is written out."""
    return " ".join(text.split())


def tokens(text):
    """All tokens of a Markdown text, those inside paragraphs and cells too."""
    return [inner for token in PARSER.parse(text) for inner in (token, *(token.children or ()))]


def kinds(text):
    return {token.type for token in tokens(text)}


def seen(token):
    return "".join(child.content for child in token.children)


@given(
    st.lists(HOSTILE, min_size=3, max_size=3),
    st.lists(st.lists(HOSTILE, min_size=3, max_size=3), min_size=1, max_size=3),
)
def test_a_table_has_its_cells_and_they_say_what_they_were_given(headers, lines):
    parsed = tokens(markdown.table(headers, lines))
    cells = [token for token in parsed if token.type == "inline"]
    assert [token.type for token in parsed].count("table_open") == 1
    assert len(cells) == 3 * (1 + len(lines))
    for token, text in zip(cells, [text for line in [headers, *lines] for text in line], strict=True):
        assert {child.type for child in token.children} <= PLAIN
        assert seen(token) == _printable(text)


def _printable(text):
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words(text))


@given(HOSTILE)
def test_a_paragraph_is_one_paragraph_of_plain_text(text):
    parsed = PARSER.parse(f"before\n\n{markdown.paragraph(text)}\n\nafter")
    inline = [token for token in parsed if token.type == "inline"]
    wanted = [text for text in ("before", _printable(text), "after") if text]
    assert {token.type for token in parsed} == {"paragraph_open", "inline", "paragraph_close"}
    assert [seen(token) for token in inline] == wanted
    assert {child.type for token in inline for child in token.children} <= PLAIN


@given(HOSTILE)
def test_a_heading_is_one_heading(text):
    parsed = PARSER.parse(markdown.heading(2, text))
    assert [token.type for token in parsed] == ["heading_open", "inline", "heading_close"]
    assert seen(parsed[1]) == _printable(text)


def test_what_begins_nothing_stays_as_it_is():
    for text in ("62.00 ± 2.00 (3) [57.0, 67.0]†", "p < 0.05, >20,000", "-0.41", "train_loss=1e-4", "a & b", "50 %"):
        assert markdown.escaped(text) == text


@pytest.fixture
def hostile(tmp_path):
    """A selection of stored runs with nasty names of classes, title, notes and devices."""
    shutil.copytree(STORE, tmp_path / "results")
    for folder in (tmp_path / "results/runs").glob("digits-n20-*"):
        (folder / "config.yaml").write_text(
            yaml.safe_dump({"dataset": {"classes": [f"{NASTY} {k}" for k in range(10)]}})
        )
        (folder / "provenance.json").write_text(json.dumps({"device": NASTY, "platform": "a|b <i>"}))
        stored = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps(stored | {"device": "GPU <b>|*x* _y_", "mixbench": "`1`|"}))
    with Composer() as composer:
        chosen = select(composer, ["demo", f"results_dir={tmp_path}/results", f"out={tmp_path}/out"])
    settings = replace(chosen.study.settings, title=NASTY, note=NASTY, protocol=f"- {NASTY}")
    return replace(chosen, title=NASTY, study=replace(chosen.study, settings=settings))


def test_a_report_of_hostile_text_is_plain(hostile, tmp_path):
    report.write(hostile, compare(hostile.frame, hostile.rule))
    text = (tmp_path / "out/report.md").read_text(encoding="utf-8")
    assert not kinds(text) & {"html_block", "html_inline", "link_open", "em_open", "code_inline", "fence", "s_open"}
    pictures = [token.attrs["src"] for token in tokens(text) if token.type == "image"]
    assert pictures
    assert all((tmp_path / "out" / name).is_file() for name in pictures)
    assert _ragged(text) == []
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    scripts = re.findall("<script[^>]*>", page)
    assert scripts == ['<script type="application/json">', "<script>"]  # the page's own
    assert page.count("</script") == 2
    assert "<b>" not in page
    assert "alert(1)" in page


def test_a_table_of_hostile_text_is_plain(hostile, tmp_path):
    table.write(hostile)
    text = (tmp_path / "out/accuracy.md").read_text(encoding="utf-8")
    structure = {
        "html_block",
        "html_inline",
        "link_open",
        "em_open",
        "strong_open",
        "code_inline",
        "image",
        "list_item_open",
    }
    assert not kinds(text) & structure
    assert _ragged(text) == []
    (title,) = [
        after for before, after in zip(tokens(text), tokens(text)[1:], strict=False) if before.type == "heading_open"
    ]
    assert seen(title) == words(NASTY)


def _ragged(text):
    """Rows of tables with more or fewer cells than their heads."""
    ragged, counts = [], []
    for token in tokens(text):
        if token.type == "table_open":
            counts = []
        elif token.type == "tr_open":
            counts.append(0)
        elif token.type in ("td_open", "th_open"):
            counts[-1] += 1
        elif token.type == "table_close" and len(set(counts)) > 1:
            ragged.append(counts)
    return ragged


def test_pictures_of_hostile_text_are_drawn(hostile):
    paths = plot.write(hostile)
    assert any("alert(1)" in path.read_text(encoding="utf-8") for path in paths if path.suffix == ".svg")
    assert not any("<script" in path.read_text(encoding="utf-8") for path in paths if path.suffix == ".svg")
