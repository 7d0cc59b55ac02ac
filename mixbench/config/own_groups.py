"""Config groups whose YAML file names a user's own function: its name, file and checksum, and its keys."""

import contextlib
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import yaml
from omegaconf import DictConfig, OmegaConf

from mixbench.config import options
from mixbench.core import own_functions
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import GROUPS, OF_FUNCTIONS
from mixbench.core.own_functions import is_own
from mixbench.core.own_signatures import Own

FOLDER_NAME = r"[A-Za-z0-9][A-Za-z0-9._+-]*"  # valid in the name of a run's folder


@contextlib.contextmanager
def offered_folder(known: Callable[[str], Collection[str]]) -> Iterator[Path | None]:
    """Yield a temporary folder with a YAML file for each function of an installed package that has no YAML file yet.

    known: takes a group and returns its options.
    Yields None if no file is needed. The folder is removed at the end.
    Raises UserError if two packages offer different functions under one name.
    """
    nodes = [
        (group, entry)
        for group in OF_FUNCTIONS
        if (entries := own_functions.offered(group))
        for entry in entries.values()
        if entry.name not in known(group)
    ]
    if not nodes:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="mixbench-") as folder:
        for group, entry in nodes:
            path = Path(folder) / group / f"{entry.name}.yaml"
            path.parent.mkdir(exist_ok=True)
            node = {"name": entry.name, "function": own_functions.entry_reference(entry)}
            path.write_text(yaml.safe_dump(node), encoding="utf-8")
        yield Path(folder)


def names_function(group: str, node: DictConfig) -> bool:
    """Whether a composed group names a user's own function, by its key `function` or by the name of an entry point.

    group: the config group.
    node: the composed configuration of the group.
    """
    return is_own(node) or _entry_point(group, node) is not None


def fill_in_function(cfg: DictConfig, group: str, option: str, folder: Path | None, stored: bool) -> None:
    """Set the keys name, function (with an absolute path) and code (the checksum) of a group with an own function.

    cfg: the configuration, which is changed.
    group: the config group.
    option: the chosen option of the group.
    folder: folder of the user's YAML files.
    stored: only stored runs are read, so the function's file may be missing; `code` is None then.
    Raises UserError if the keys do not fit.
    """
    node, entry = cfg[group], _entry_point(group, cfg[group])
    name = node.get("name", option)
    if "code" in node:
        raise UserError(f"{group}={option}: code={node.code}: mixbench computes this checksum; leave it out")
    if not isinstance(name, str) or not re.fullmatch(FOLDER_NAME, name):
        raise UserError(
            f"{group}={option}: name={name}: must have only letters, digits and . _ + -, because it names folders; "
            "rename the file"
        )
    if name in options.shipped(group):
        raise UserError(
            f"{group}={option}: name={name}: mixbench has its own option of this name; leave name out and rename the "
            "file"
        )
    if is_own(node) and name != option and entry is None:
        raise UserError(f"{group}={option}: name={name}: must be {option}, the name of the file; leave name out")
    reference = node.function if entry is None or is_own(node) else own_functions.entry_reference(entry)
    reference = own_functions.located(reference, (folder or Path()) / group, f"{group}={option}: function")
    code = own_functions.code(reference)
    if code is None and not stored:
        own_functions.load(reference)  # says what is missing
        raise UserError(
            f"{group}={option}: function={reference}: its module has no source file and no package version, so a "
            "change of its code would not be noticed; name a function in a file, FILE.py:FUNCTION"
        )
    missing = {key: value for key, value in GROUPS[group].defaults.items() if key not in node}
    for key, value in {"name": name, "function": reference, "code": code, **missing}.items():
        OmegaConf.update(cfg, f"{group}.{key}", value, force_add=True)


def takes(group: str, node: Mapping, key: str, stored: bool = False) -> bool:
    """Whether a user's own function has an option or setting for a key that is not in its YAML file.

    group: the config group.
    node: its configuration.
    key: the key, without the group.
    stored: as for `fill_in_function`; if the function cannot be loaded then, the answer is True.
    Raises UserError if the function cannot be loaded.
    """
    if not is_own(node):
        return False
    try:
        return key in Own(group, node).takes()
    except UserError:
        if stored:
            return True
        raise


def unknown_key(group: str, node: Mapping, key: str, parent: str) -> UserError:
    """Return the error for a key that neither the YAML file nor the function has.

    group: the config group.
    node: its configuration, which names a user's own function.
    key: the unknown key, without its parent.
    parent: the key of the group in the whole configuration.
    """
    own = Own(group, node)
    choices = {*own.takes(), *GROUPS[group].defaults}
    return unknown(f"key of {own.label}", f"{parent}.{key}", [f"{parent}.{choice}" for choice in choices])


def _entry_point(group: str, node: DictConfig) -> EntryPoint | None:
    """Return the entry point with the group's `name`; None for a name of mixbench's own."""
    name = node.get("name")
    if not isinstance(name, str) or name in options.shipped(group):
        return None
    return own_functions.offered(group).get(name)
