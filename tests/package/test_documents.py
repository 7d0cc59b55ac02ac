"""Every relative link and picture of every Markdown file leads to something that is under version control."""

import posixpath
import re
import subprocess
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|<(?:img|a)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [name for name in listed.stdout.split("\0") if name]


def targets(text: str) -> list[str]:
    """Where the text's links and pictures lead, code left out."""
    return [inline or html for inline, html in LINK.findall(CODE.sub("", text))]


def dead(page: str, text: str, files: set[str]) -> list[str]:
    """The relative targets of a page that are neither one of the files nor a folder with one in it."""
    folders = {str(folder) for file in files for folder in PurePosixPath(file).parents}
    missing = []
    for target in targets(text):
        path, _, _ = target.partition("#")
        if not path or re.match(r"[a-z][a-z0-9+.-]*:", path):  # within the page, or another site
            continue
        # In README a backslash keeps Markdown from reading __init__ as bold.
        resolved = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(path.replace("\\", ""))))
        if resolved not in files and resolved not in folders:
            missing.append(target)
    return missing


@pytest.fixture(scope="module")
def files() -> set[str]:
    names = set(tracked())
    if not names:
        pytest.skip("not a git checkout")
    return names


def test_every_relative_link_leads_to_a_tracked_file(files):
    pages = sorted(name for name in files if name.endswith(".md") and (ROOT / name).exists())
    assert "README.md" in pages
    found = {page: dead(page, (ROOT / page).read_text(encoding="utf-8"), files) for page in pages}
    assert {page: links for page, links in found.items() if links} == {}


def test_dead_links_are_found():
    text = (
        "[a](b.md) ![p](pics/one.png) [out](https://x.y/z) [top](#head) [part](b.md#part) `[code](no.md)` "
        '[gone](gone.md) [up](../README.md) <img src="lost.png">\n```\n[in a block](nowhere.md)\n```\n[dir](pics)'
    )
    files = {"docs/page.md", "docs/b.md", "docs/pics/one.png", "README.md"}
    assert dead("docs/page.md", text, files) == ["gone.md", "lost.png"]
