"""A hook of mkdocs: files outside docs/ that pages link to become part of the site, below files/.

On GitHub such a link (`../configs/study/demo.yaml`) leads to the file. A built site has no such file, so it is copied,
and the link is changed to the copy. A Markdown file becomes a page, and its own links are treated alike.
"""

import posixpath
import re
from pathlib import Path
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS, COPIES = "docs/", "files/"
LINK = re.compile(r"(?<=\]\()([^)\s#]+)")
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file that a page links to, and the files that those link to."""
    root = Path(config.config_file_path).parent
    waiting = [DOCS + file.src_uri for file in files.documentation_pages()]
    while waiting:
        page = waiting.pop()
        for target in sorted(_targets(page, (root / page).read_text(encoding="utf-8"))):
            place = _in_site(target)
            if target.startswith(DOCS) or files.get_file_from_path(place) or not (root / target).is_file():
                continue
            files.append(File.generated(config, place, abs_src_path=str(root / target)))
            if target.endswith(".md"):
                waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Change the page's links to files outside docs/ to their copies."""
    origin = _in_checkout(page.file.src_uri)
    here = posixpath.dirname(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target = _resolved(origin, link[1])
        if target is None:
            return link[1]
        place = _in_site(target)
        return posixpath.relpath(place, here or ".") if files.get_file_from_path(place) else link[1]

    parts, end = [], 0
    for code in CODE.finditer(markdown):
        parts += [LINK.sub(moved, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, LINK.sub(moved, markdown[end:])])


def _targets(page: str, markdown: str) -> set[str]:
    """The files that a page of the checkout links to, from the checkout's top."""
    resolved = (_resolved(page, link) for link in LINK.findall(CODE.sub("", markdown)))
    return {target for target in resolved if target is not None}


def _resolved(page: str, link: str) -> str | None:
    """Where a relative link leads, from the checkout's top; None for another site."""
    if re.match(r"[a-z][a-z0-9+.-]*:|/", link):
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(link.replace("\\", ""))))


def _in_site(path: str) -> str:
    return path.removeprefix(DOCS) if path.startswith(DOCS) else COPIES + path


def _in_checkout(place: str) -> str:
    return place.removeprefix(COPIES) if place.startswith(COPIES) else DOCS + place
