"""Every key of a run, for help: its default, and what the comment beside it in its YAML file says. No torch."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml
from omegaconf import OmegaConf

from mixbench.config.compose import CONFIG_MODULE, CONFIG_NAME, Composer
from mixbench.config.options import shipped, yaml_text
from mixbench.config.overrides import text
from mixbench.core import draw_settings
from mixbench.core.groups import FIXED_KEYS, GROUPS, OF_FUNCTIONS
from mixbench.core.own_functions import is_own
from mixbench.core.own_signatures import Own
from mixbench.core.registry import plain
from mixbench.core.yaml_text import Loader

# The end of a comment's first sentence, which says what the key is; the others say where its default comes from.
SENTENCE_END = re.compile(r"(?<!\bal)(?<!\be\.g)(?<!\bi\.e)\.\s+")


@dataclass(frozen=True)
class Key:
    """A key that a command can set.

    name: as in method.alpha.
    default: as a command would set it.
    text: one sentence on what it is; empty where its YAML file has no comment.
    """

    name: str
    default: str
    text: str


def keys_of_run(composer: Composer) -> list[Key]:
    """Return the keys without a dot, such as n and seed, in the order of run.yaml.

    composer: composes the default configuration.
    """
    comments = _comments(files(CONFIG_MODULE).joinpath(f"{CONFIG_NAME}.yaml").read_text(encoding="utf-8"))
    cfg = composer.compose([])
    return [Key(str(key), text(_value(cfg, key)), comments.get(str(key), "")) for key in cfg if key not in GROUPS]


def keys_of_group(composer: Composer, group: str, option: str, config_dir: str | None = None) -> list[Key]:
    """Return the keys of an option of a group that a command can set, in the order of its YAML file.

    Keys that only the option's file can set (name, version) are left out.

    composer: with the same config_dir.
    group: config group, such as method.
    option: option of the group, such as cutmix.
    config_dir: the user's own folder; None: no such folder.
    Raises UserError for an unknown option.
    """
    words = [] if option == composer.default(group) else [f"{group}={option}"]  # the defaults are composed already
    node = composer.compose(words)[group]
    comments = comments_of(group, option, config_dir)
    if is_own(node):
        comments = _of_group(group) | comments
    found = list(_keys(group, group, node, comments, config_dir))
    if is_own(node):
        found += _with_defaults(group, node)
    return found


def _of_group(group: str) -> dict[str, str]:
    """Return key -> comment in a shipped file, for the keys that all options of a group share."""
    found: dict[str, str] = {}
    for option in sorted(shipped(group)):
        comments = comments_of(group, option)
        found = {key: comments[key] for key in GROUPS[group].defaults if key in comments} | found
    return found


def comments_of(group: str, option: str, config_dir: str | None = None) -> dict[str, str]:
    """Return key -> first sentence of its comment, in an option's YAML file or in the file that has the inherited key.

    group: config group, such as method.
    option: option of the group, such as cutmix.
    config_dir: the user's own folder; None: no such folder.
    """
    content = yaml_text(group, option, config_dir)
    found: dict[str, str] = {}
    for other in _inherited(content):
        if other != option:
            found |= comments_of(group, other, config_dir)
    return found | _comments(content)


def _keys(
    group: str, at: str, node: Mapping[Any, Any], comments: Mapping[str, str], config_dir: str | None
) -> Iterator[Key]:
    """at: where the node stands in the configuration."""
    fixed = FIXED_KEYS if group in OF_FUNCTIONS else ()
    for key in node:
        if key == "parts" and group == "method":
            for name, part in node[key].items():
                yield from _keys(group, f"{at}.parts.{name}", part, comments_of(group, name, config_dir), config_dir)
        elif key not in fixed and not (group == "dataset" and node[key] is None and str(key) not in comments):
            # A data set lists only the keys that it uses; others have theirs, which are null here.
            yield Key(f"{at}.{key}", text(_value(node, key)), comments.get(str(key), ""))


def _with_defaults(group: str, node: Mapping[Any, Any]) -> Iterator[Key]:
    """The keys that a user's own function takes and its YAML file leaves out."""
    own = Own(group, node)
    for name, parameter in own.known.items():
        if name not in node and parameter.default is not parameter.empty:
            default = plain(parameter.default)
            shown = text(list(default) if isinstance(default, tuple) else default)
            yield Key(f"{group}.{name}", shown, f"option of {own.label}")
    for name, default in draw_settings.DEFAULTS.items():
        if name in own.wanted and name not in node:
            yield Key(f"{group}.{name}", text(default), "setting of the draws, as of the other methods")


def _value(node: Mapping[Any, Any], key: Any) -> Any:
    value = node[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _inherited(content: str) -> list[str]:
    """The files of the same group that a file's defaults list names."""
    try:
        listed = yaml.load(content, Loader)["defaults"]
    except (yaml.YAMLError, TypeError, KeyError):
        return []
    return [one for one in listed if isinstance(one, str) and one != "_self_"] if isinstance(listed, list) else []


def _comments(content: str) -> dict[str, str]:
    """Return key -> first sentence of the comment on its line, for the keys at the top level of a YAML file."""
    try:
        root = yaml.compose(content, Loader=Loader)
    except yaml.YAMLError:
        return {}
    if not isinstance(root, yaml.MappingNode):
        return {}
    lines, found = content.splitlines(), {}
    for key, value in root.value:
        line = lines[key.start_mark.line]
        ends_there = value.end_mark.line == key.start_mark.line
        start = value.end_mark.column if ends_there else key.end_mark.column  # a text may hold a # itself
        comment = line[start:].partition(" #")[2].strip()
        if comment:
            found[str(key.value)] = SENTENCE_END.split(comment)[0].removesuffix(".")
    return found
