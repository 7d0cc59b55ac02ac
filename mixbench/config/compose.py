"""The configuration, composed from YAML files and overrides by Hydra. No torch."""

import contextlib
import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mixbench.config import mixture, own_files, own_groups
from mixbench.config.assignments import Assignment, Word
from mixbench.config.compose_errors import UNFIT, has, of_file, unfit_value, unknown_key
from mixbench.config.folder import given_folder
from mixbench.config.hydra_globals import separate
from mixbench.config.overrides import PATHS, line_of, parse, quoted, told
from mixbench.config.schema import Config
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import FIXED_KEYS, GROUPS, OF_FUNCTIONS
from mixbench.core.own_functions import is_own, short

CONFIG_MODULE = "mixbench.configs"
CONFIG_NAME = "run"
# What every Composer without a user's own files composes alike: chosen options -> configuration, group -> its options.
_OF_PACKAGE: tuple[dict[tuple[str, ...], DictConfig], dict[str, list[str]]] = ({}, {})

ConfigStore.instance().store(name="mixbench_schema", node=Config)  # a name that other applications do not have
SHOWN_NAME = r"[\w.+-]+"  # names of options that fit into any table and plot


class Composer:
    """Composes run configurations; a context manager, since Hydra keeps its state in a global.

    config_dir: a folder of the user's own YAML files, laid out as configs/ is; searched after the package's own.
    stored: only stored runs are read, for which the files of own functions need not be there.
    """

    def __init__(self, config_dir: str | None = None, stored: bool = False):
        folder = None if config_dir is None else Path(given_folder(config_dir))
        self._own, self._stored = folder, stored
        self._search = searched([folder.resolve()] if folder else [])
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._options: dict[str, list[str]] = {}

    def __enter__(self) -> "Composer":
        with contextlib.ExitStack() as stack:
            stack.enter_context(separate())
            initialize_config_module(CONFIG_MODULE, version_base="1.3", job_name="mixbench")
            offered = stack.enter_context(own_groups.offered_folder(self._names))
            self._entered = stack.pop_all()
        if offered is not None:
            self._search = searched([*([self._own.resolve()] if self._own else []), offered])
        if not self._search:  # a user's own files may change while a notebook runs; the package's do not
            self._composed, self._options = _OF_PACKAGE
        return self

    def __exit__(self, *exc) -> None:
        self._entered.close()

    def compose(self, words: Sequence[Word]) -> DictConfig:
        """The configuration under these words, of which the later ones win. Raises UserError, naming what does not fit.

        Hydra composes each choice of group options once (0.1 s); the values are then set on a copy, which gives what
        composing anew would give at a tenth of the time: a study is hundreds of jobs.
        """
        assigned = [self._assignment(word) for word in words]
        chosen = tuple(line for line, one in assigned if one.key in GROUPS)
        cfg = copy.deepcopy(self._with_options(chosen))
        for line, one in assigned:
            if one.key in GROUPS:
                continue
            of_part = mixture.sets_part(cfg, one.key)
            added = not of_part and not has(cfg, one.key)
            if added and not self._takes(cfg, one.key):
                raise unknown_key(cfg, one.key)
            _check_of_file(cfg, line, one)
            try:
                OmegaConf.update(cfg, one.key, one.value, merge=True, force_add=of_part or added)
            except UNFIT as error:
                raise unfit_value(line, one.key, error) from error
        if mixture.is_mixture(cfg.method):
            mixture.complete(cfg.method, self.options("method"), self._method, self._stored)
        return cfg

    def _method(self, option: str) -> DictConfig:
        """The group `method` of an option's file."""
        return self._with_options((f"method={option}",)).method

    def _with_options(self, chosen: tuple[str, ...]) -> DictConfig:
        if chosen not in self._composed:
            if self._own is not None:
                own_files.check(self._own, chosen)
            try:
                cfg = hydra_compose(CONFIG_NAME, [*self._search, *chosen])
                own = [group for group in OF_FUNCTIONS if own_groups.names_function(group, cfg[group])]
                options = self._choices(chosen) if own else {}
            except UNFIT as error:
                raise of_file(" ".join(chosen), error) from error
            for group in own:
                own_groups.complete(cfg, group, options[group], self._own, self._stored)
            self._composed[chosen] = cfg
        return self._composed[chosen]

    def _choices(self, chosen: tuple[str, ...]) -> dict[str, str]:
        """Group -> the option of it that Hydra loads under these choices, those of a study's defaults included."""
        cfg = hydra_compose(CONFIG_NAME, [*self._search, *chosen], return_hydra_config=True)
        return cast(dict[str, str], OmegaConf.to_container(cfg.hydra.runtime.choices))  # of one level, of texts

    def _takes(self, cfg: DictConfig, key: str) -> bool:
        """Whether a user's own function takes a key that its file leaves to its default."""
        group, _, name = key.partition(".")
        return group in OF_FUNCTIONS and own_groups.takes(group, cfg[group], name, self._stored)

    def options(self, group: str) -> list[str]:
        """The names that a group offers, the user's own included."""
        if group not in self._options:
            self._options[group] = self._names(group)
        return self._options[group]

    def default(self, group: str) -> str:
        """The option of a group that is chosen where nothing else is said."""
        return self._choices(())[group]

    def _names(self, group: str) -> list[str]:
        """The names that a group offers under the search path as it is."""
        loader = GlobalHydra.instance().config_loader()
        return sorted(set(loader.get_group_options(group, overrides=self._search, config_name=CONFIG_NAME)))

    def has(self, group: str, option: str, key: str) -> bool:
        """Whether an option of a group has a key, such as method.alpha; one that is not there has all."""
        if option not in self.options(group):
            return True
        cfg = self._with_options((f"{group}={option}",))
        return has(cfg, key) or mixture.sets_part(cfg, key) or self._takes(cfg, key)

    def method_name(self, option: str) -> str:
        """The method that an option stands for: its own name, or for an alias another's."""
        return self.compose([f"method={option}"]).method.name if option in self.options("method") else option

    def display_name(self, option: str | None, name: str) -> str:
        """What tables call a method that was chosen as `option` and whose own name is `name`.

        The option where its file sets something else than the file of the method's own name, as a user's
        my-cutmix.yaml with another alpha does; otherwise the method's name.
        """
        if option is None or option == name or not re.fullmatch(SHOWN_NAME, option):
            return name
        known = self.options("method")
        if option not in known or name not in known:
            return name
        return name if self._method(option) == self._method(name) else option

    def _assignment(self, word: Word) -> tuple[str, Assignment]:
        """A word as Hydra reads it, and what it sets. Raises UserError where it is none of one run's."""
        if isinstance(word, Assignment):
            line, one = str(word), word
        else:
            (override,) = parse([word])
            _check_override(override)
            line, one = line_of(override), Assignment(override.key_or_group, override.value())
        if one.key.split(".")[0].split("/")[0] == "hydra":
            raise UserError(f"{line}: mixbench runs its jobs itself; Hydra's own settings have no effect here")
        if one.key in GROUPS:
            options = self.options(one.key)
            if one.value not in options and not (one.key == "study" and one.value is None):
                raise unknown(one.key, one.value, options)
        return line, one


def _check_override(override: Override) -> None:
    """Raises UserError for an override that does not give a key one value."""
    key, text = override.key_or_group, line_of(override)
    if override.type != OverrideType.CHANGE or override.package:
        raise UserError(f"{text}: every key exists already and none can be removed; write key=value")
    if override.is_sweep_override() and key in PATHS:
        raise UserError(
            f"{text}: there is no such file, and several paths make several runs; correct it, or use mixbench sweep"
        )
    if override.is_sweep_override():
        raise UserError(f"{text}: several values make several runs; use mixbench sweep (or run --multirun)")


def searched(folders: Sequence[Path]) -> list[str]:
    """The override by which Hydra looks into these folders after the package's own."""
    paths = ",".join(quoted(f"file://{folder}") for folder in folders)
    return [f"hydra.searchpath=[{paths}]"] if folders else []


def yaml_of(cfg: DictConfig, package: str | None = None, resolve: bool = False) -> str:
    """A configuration, or a part of it, as YAML.

    package: the part, such as method; None: the whole.
    resolve: with references such as ${dataset.pad} replaced by their values.
    Raises UserError where there is no such part, or where a reference leads nowhere.
    """
    parts = [group for group in GROUPS if isinstance(cfg.get(group), DictConfig)]
    if package is not None and package not in parts:
        raise unknown("package", package, parts)
    try:
        if resolve:
            OmegaConf.resolve(cfg)
        return OmegaConf.to_yaml(cfg if package is None else cfg[package])
    except UNFIT as error:
        raise UserError(f"the configuration cannot be shown ({told(error)})") from error


def without_paths(text: str) -> str:
    """A run's config.yaml without where its images lay, which is of one machine and decides nothing.

    Another text, of a damaged run, stays as it is.
    """
    try:
        cfg = cast(DictConfig, OmegaConf.create(text))  # a text may hold a list; that fails below
        cfg.dataset.path, cfg.dataset.root = None, "data"
        for _, node in mixture.functions(cfg):
            if isinstance(node, DictConfig) and is_own(node) and "code" in node:
                node.function = short(node.function)
        return OmegaConf.to_yaml(cfg)
    except (OmegaConfBaseException, yaml.YAMLError, AttributeError, TypeError, ValueError):
        return text


def _check_of_file(cfg: DictConfig, line: str, one: Assignment) -> None:
    """Raises UserError where a word makes an option of a group another than its file says it is."""
    group, _, key = one.key.rpartition(".")
    if group in OF_FUNCTIONS and key in FIXED_KEYS and one.value != cfg[group][key]:
        raise UserError(f"{line}: is set by the file that {group}=NAME chooses; write {group}=NAME")
