"""What each group of the configuration offers, read off its YAML files. No torch, no Hydra."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def names(group: str, config_dir: str | None = None) -> list[str]:
    """The options of a group, the user's own folder's included."""
    return list(describe(group, config_dir))


def describe(group: str, config_dir: str | None = None) -> dict[str, str]:
    """name -> the first comment of its YAML file, which says what it is."""
    folders = [files("mixbench.configs") / group, *([Path(config_dir) / group] if config_dir else [])]
    found: dict[str, str] = {}
    for folder in folders:
        if folder.is_dir():
            for file in sorted(folder.iterdir(), key=lambda file: file.name):
                if file.name.endswith(".yaml"):
                    found.setdefault(file.name.removesuffix(".yaml"), _first_comment(_text(file)))
    return found


def _text(file: Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _first_comment(text: str) -> str:
    comments = (line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    return next((comment for comment in comments if comment and not comment.startswith("@")), "")
