"""Links and pictures of every Markdown file lead to what is under version control, and the site of docs/ is complete.

What the pages say of methods is that of the configuration files and of the measured records.
"""

import posixpath
import re
import subprocess
import sys
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|<(?:img|a)\b[^>]*?\b(?:src|href)=\"([^\"]+)\"")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [name for name in listed.stdout.split("\0") if name]


def targets(text: str) -> list[str]:
    """Where the text's links and pictures lead, code left out."""
    return [inline or html for inline, html in LINK.findall(CODE.sub("", text))]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings that GitHub and mkdocs agree on, for headings that are there once."""
    made = []
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", re.sub(r"(?ms)^```.*?^```$", "", text), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
        github, mkdocs = plain.replace(" ", "-"), re.sub(r"[-\s]+", "-", plain.encode("ascii", "ignore").decode())
        made.append(github if github == mkdocs else "")
    return {anchor for anchor in made if anchor and made.count(anchor) == 1}


def dead(page: str, text: str, files: set[str], anchors_of: dict[str, set[str]]) -> list[str]:
    """The relative targets of a page that are neither one of the files nor a folder with one in it.

    anchors_of: page -> its anchors; a target with another anchor is dead too.
    """
    folders = {str(folder) for file in files for folder in PurePosixPath(file).parents}
    missing = []
    for target in targets(text):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z][a-z0-9+.-]*:", path):  # another site
            continue
        # In README a backslash keeps Markdown from reading __init__ as bold.
        within = unquote(path.replace("\\", ""))
        resolved = posixpath.normpath(posixpath.join(posixpath.dirname(page), within)) if path else page
        there = resolved in files or resolved in folders
        if not there or (anchor and anchor not in anchors_of.get(resolved, ())):
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
    texts = {page: (ROOT / page).read_text(encoding="utf-8") for page in pages}
    of_pages = {page: anchors(text) for page, text in texts.items()}
    found = {page: dead(page, text, files, of_pages) for page, text in texts.items()}
    assert {page: links for page, links in found.items() if links} == {}


def test_dead_links_are_found():
    text = (
        "[a](b.md) ![p](pics/one.png) [out](https://x.y/z) [top](#head) [part](b.md#part) `[code](no.md)` "
        '[gone](gone.md) [up](../README.md) <img src="lost.png">\n```\n[in a block](nowhere.md)\n```\n[dir](pics)'
    )
    files = {"docs/page.md", "docs/b.md", "docs/pics/one.png", "README.md"}
    of_pages = {"docs/page.md": anchors("# Head\n"), "docs/b.md": anchors("## Part\n## Twice\n## Twice\n")}
    assert dead("docs/page.md", text, files, of_pages) == ["gone.md", "lost.png"]
    assert dead("docs/page.md", "[a](b.md#twice) [b](#heads) [c](b.md#part)", files, of_pages) == [
        "b.md#twice",
        "#heads",
    ]


def test_the_site_shows_every_page(files):
    """In its navigation, or linked from a page: measured records and reports for other projects."""
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    shown, waiting = [], list(site["nav"])
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, str):
            shown.append(entry)
        else:
            waiting += [part for value in entry.values() for part in (value if isinstance(value, list) else [value])]
    pages = {name.removeprefix("docs/") for name in files if name.startswith("docs/") and name.endswith(".md")}
    aside = {page for page in pages for pattern in site["not_in_nav"].split() if fnmatch(f"/{page}", pattern)}
    assert len(set(shown)) == len(shown)
    assert set(shown) == pages - aside
    linked = {
        posixpath.normpath(posixpath.join(posixpath.dirname(name), target.partition("#")[0]))
        for name in files
        if name.endswith(".md") and (ROOT / name).exists()
        for target in targets((ROOT / name).read_text(encoding="utf-8"))
    }
    assert {f"docs/{page}" for page in aside} <= linked


class Loaded(HTMLParser):
    """What a page loads from elsewhere when it is opened; links that a reader follows are not loaded."""

    def __init__(self):
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        of_tag = dict(attrs)
        if tag == "a" or of_tag.get("rel") == "canonical":
            return
        address = of_tag.get("src") or of_tag.get("href") or ""
        if re.match(r"(https?:)?//", address):
            self.addresses.append(address)


def test_the_site_is_built_without_warnings_and_needs_no_network(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    for page in ("index.html", "methods/linear.html", "files/configs/study/small-data.yaml"):
        assert (tmp_path / "site" / page).is_file()
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert loaded.addresses == [], page


# The pages of methods: method -> what its section says, from its heading to the next.
SECTIONS = {
    name: text
    for page in sorted((ROOT / "docs/methods").glob("*.md"))
    for name, text in re.findall(r"(?ms)^## ([a-z-]+)\n(.*?)(?=^## |\Z)", page.read_text(encoding="utf-8"))
}
METHODS = {
    name: {key: value for key, value in settings.items() if key not in ("name", "version", "cost")}
    for path in sorted((ROOT / "configs/method").glob("*.yaml"))
    for settings in [yaml.safe_load(path.read_text(encoding="utf-8"))]
    if (name := settings.get("name"))  # an alias has none
}


def test_every_method_has_a_section():
    assert set(SECTIONS) == set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_keys_and_defaults_are_those_of_the_configuration(method):
    rows = re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", SECTIONS[method], re.MULTILINE)
    assert {key: yaml.safe_load(default) for key, default in rows} == METHODS[method]
    assert len(rows) == len(METHODS[method])


def _cost(method):
    """Return a page's sentence on a method's cost without brackets, and the record's change and batch time."""
    record = (ROOT / "docs/performance/cpu-methods.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| method={method} +\| +([\d.]+) \| +([+-][\d.]+) % \| +([\d.]+) \|", record, re.MULTILINE)
    said = " ".join(re.search(r"\*\*Measured cost:\*\*(.*?)(?=\n- )", SECTIONS[method], re.DOTALL)[1].split())
    if not rows:
        return said, None, None
    return re.sub(r"\([^)]*\)", "", said), float(rows[0][1]), float(rows[0][2])


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"none"}))
def test_costs_are_those_of_the_record(method):
    said, change, batch = _cost(method)
    if change is None:
        assert said.startswith("not measured")
        return
    assert [float(number) for number in re.findall(r"\d+\.\d+", said)] == [batch, abs(change)]


def test_pages_have_one_word_for_longer_steps_and_another_for_shorter_ones():
    signs = {}
    for method in set(METHODS) - {"none"}:
        said, change, _ = _cost(method)
        if change is not None:
            signs.setdefault(re.search(r"% (\w+)", said)[1], set()).add(change < 0)
    assert sorted(map(sorted, signs.values())) == [[False], [True]]


def test_pictures_are_small():
    for path in (ROOT / "docs/images").glob("*.png"):
        assert path.stat().st_size < 300_000 or path.name == "methods.png", path


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_verdicts_that_a_page_quotes_are_those_of_the_records(page):
    """What stands in a quotation is a line of a published page, which is made from the stored runs."""
    published = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "results/published").glob("*/README.md"))
    quotes = re.findall(r"(?:^> .*\n)+", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    verdicts = [
        " ".join(quote.replace("\n> ", " ").removeprefix("> ").split()) for quote in quotes if "**n = " in quote
    ]
    assert verdicts
    for verdict in verdicts:
        assert verdict in published
