"""Checks of a user's own YAML files (--config-dir) before Hydra composes them. No torch, no Hydra."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from mixbench.config.options import shipped
from mixbench.core.errors import UserError
from mixbench.core.yaml_text import Loader

MOST_BYTES = 1_000_000  # limit for a file; a study with a thousand published rows has a tenth of it
MOST_NODES = 100_000  # limit for the values of a file after aliases are expanded; ten lines can expand to billions


def check_files(config_dir: Path, chosen: Sequence[str]) -> None:
    """Check the user's files that these choices load, and the files that their defaults name.

    config_dir: folder of the user's files.
    chosen: choices of the form `group=option`.
    Raises UserError for a file that is not text, not YAML, not a mapping of keys, or too large.
    """
    waiting = [tuple(choice.partition("=")[::2]) for choice in chosen]
    seen: set[tuple[str, str]] = set()
    while waiting:
        group, option = waiting.pop()
        path = config_dir / group / f"{option}.yaml"
        if (group, option) not in seen and path.exists():
            seen.add((group, option))
            if option in shipped(group):
                raise UserError(f"{path}: mixbench has its own {group}={option}, which takes priority; rename the file")
            content = _read_yaml(path)
            if group == "study":
                _check_lists(path, content.get("study"))
            waiting += list(_defaults(group, content))


def _read_yaml(path: Path) -> dict[str, Any]:
    """Read the keys of a YAML file. Raises UserError if it cannot be a file of a configuration."""
    if not path.is_file():
        raise UserError(f"{path}: is not a file")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: is too large; the limit is {MOST_BYTES:,} bytes")
        content = path.read_text(encoding="utf-8")
        node = yaml.compose(content, Loader=Loader)
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise UserError(f"{path}: must be keys with values, as in `name: cutmix`, not a single value or a list")
        if _size(node) > MOST_NODES:
            raise UserError(f"{path}: has too many values after aliases are expanded; the limit is {MOST_NODES:,}")
        return yaml.constructor.SafeConstructor().construct_document(node)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except RecursionError as error:
        raise UserError(f"{path}: is nested too deeply, or contains itself") from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UserError(f"{path}: is not valid YAML ({' '.join(str(error).split())})") from error


def _size(root: yaml.Node) -> int:
    """Count the values of a document after aliases are expanded. Raises RecursionError if a value contains itself."""
    known: dict[int, int] = {}

    def size(node: yaml.Node, above: frozenset[int]) -> int:
        if id(node) in above:
            raise RecursionError
        if id(node) not in known:
            inside = above | {id(node)}
            below = node.value if isinstance(node, yaml.CollectionNode) else []
            pairs = isinstance(node, yaml.MappingNode)
            parts = [part for pair in below for part in pair] if pairs else below
            known[id(node)] = 1 + sum(size(part, inside) for part in parts)
        return known[id(node)]

    return size(root, frozenset())


def _check_lists(path: Path, study: Any) -> None:
    """Raise UserError if the rows of a study are not a list of rows. OmegaConf's errors would not name the key."""
    for key in ("grids", "published"):
        rows = study.get(key) if isinstance(study, dict) else None
        if rows is not None and not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
            raise UserError(f"{path}: study.{key}: {rows}: must be a list of rows, as in [{{n: 20, none: 57.1}}]")


def _defaults(group: str, content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (group, option) of the files in a file's defaults list."""
    listed = content.get("defaults")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, str):
            yield group, entry.split("@")[0]
        elif isinstance(entry, dict):
            for key, option in entry.items():
                words = str(key).split("@")[0].split()
                if words and isinstance(option, str):
                    name = words[-1]
                    yield (name.strip("/") if name.startswith("/") else f"{group}/{name}"), option
