"""The options of each config group: YAML files and functions of installed packages. No torch, no Hydra."""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from mixbench.core import own_functions


def names(group: str, config_dir: str | None = None) -> list[str]:
    """Return the options of a group, including those in the user's own folder.

    group: config group, such as method.
    config_dir: the user's own folder; None: no such folder.
    """
    return list(describe(group, config_dir))


@cache
def shipped(group: str) -> frozenset[str]:
    """Return the options of a group that come with mixbench.

    group: config group, such as method.
    Returns no names if there is no such group.
    """
    folder = files("mixbench.configs") / group
    if not folder.is_dir():
        return frozenset()
    return frozenset(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def describe(group: str, config_dir: str | None = None) -> dict[str, str]:
    """Return option -> description: the first comment of its YAML file, without the option's name.

    group: config group, such as method.
    config_dir: the user's own folder; None: no such folder.
    """
    folders = [files("mixbench.configs") / group, *([Path(config_dir) / group] if config_dir else [])]
    found: dict[str, str] = {}
    for folder in folders:
        if folder.is_dir():
            for file in sorted(folder.iterdir(), key=lambda file: file.name):
                if file.name.endswith(".yaml"):
                    name = file.name.removesuffix(".yaml")
                    found.setdefault(name, _first_comment(_text(file)).removeprefix(f"{name}: "))
    for name, entry in own_functions.offered(group).items():
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.module
        found.setdefault(name, f"{entry.value}, of the installed package {package}")
    return found


def yaml_names(group: str, config_dir: str | Path | None = None) -> set[str]:
    """Return the options of a group that have a YAML file, in the package or in the user's own folder.

    group: config group, such as method.
    config_dir: the user's own folder; None: no such folder.
    """
    own = (Path(config_dir) / group).glob("*.yaml") if config_dir else ()
    return {*shipped(group), *(file.stem for file in own)}


def yaml_text(group: str, option: str, config_dir: str | None = None) -> str:
    """Return the text of an option's YAML file; an empty text if there is no such file.

    group: config group, such as method.
    option: option of the group, such as cutmix.
    config_dir: the user's own folder, for options that are not shipped; None: no such folder.
    """
    folder = files("mixbench.configs") / group if option in shipped(group) else Path(config_dir or "") / group
    return _text(folder / f"{option}.yaml")


@cache
def keys_in_file(group: str, option: str) -> frozenset[str]:
    """Return the keys at the top level of a shipped option's YAML file; none if the option is not shipped.

    group: config group, such as method.
    option: option of the group, such as cutmix.
    """
    found = yaml.safe_load(yaml_text(group, option)) if option in shipped(group) else None
    return frozenset(found or ())


@cache
def keys_of_study(option: str) -> frozenset[str]:
    """Return the keys of a run, such as n and model, that a shipped study sets; without the options that it chooses.

    option: option of the group `study`.
    """
    found = yaml.safe_load(yaml_text("study", option))
    built_on = (one for one in found["defaults"] if isinstance(one, str) and one != "_self_")
    return frozenset(found.keys() - {"defaults", "study"}).union(*map(keys_of_study, built_on))


def _text(file: Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _first_comment(text: str) -> str:
    comments = (line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    return next((comment for comment in comments if comment and not comment.startswith("@")), "")
