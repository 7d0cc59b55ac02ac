"""The configuration, composed from YAML files and overrides by Hydra. No torch."""

import contextlib
import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mixbench.config import mixture, own_files, own_groups, teacher
from mixbench.config.assignments import Assignment, Word
from mixbench.config.compose_errors import UNFIT, has, of_file, unfit_value, unknown_key
from mixbench.config.copies import copied
from mixbench.config.folder import given_folder
from mixbench.config.hydra_globals import separate_hydra_state
from mixbench.config.options import keys_of_study, shipped, yaml_names
from mixbench.config.overrides import first_line, is_path, line_of, parse, quoted
from mixbench.config.schema import Config
from mixbench.core import own_functions
from mixbench.core.banks import BANK
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import FIXED_KEYS, GROUPS, OF_FUNCTIONS
from mixbench.core.own_functions import is_own, short

CONFIG_MODULE = "mixbench.configs"
CONFIG_NAME = "run"


class _Composed(NamedTuple):
    """The configuration for a choice of options.

    cfg: the configuration of a run. Its key `study` is None: a study is large, and every job copies its configuration.
    study: what the file of the chosen study says about the study: grids, scales, published numbers.
    """

    cfg: DictConfig
    study: DictConfig | None


# Shared by all Composers: options of the package -> configuration, and group -> its default option. If the user has no
# files, also group -> its options.
_COMPOSED: dict[tuple[str, ...], _Composed] = {}
_DEFAULTS: dict[str, str] = {}
_OPTIONS: dict[str, list[str]] = {}

ConfigStore.instance().store(name="mixbench_schema", node=Config)  # a name that other applications do not use
OWN_FILES = "; your own files: --config-dir FOLDER"
SHOWN_NAME = r"[\w.+-]+"  # option names that can be shown in every table and plot


class Composer:
    """Composes run configurations. It is a context manager, because Hydra keeps its state in a global variable.

    config_dir: folder of the user's own YAML files, with the layout of configs/. It is searched after the package's
        own files. None: no such folder.
    stored: only stored runs are read, so the files of own functions need not exist.
    Raises UserError if there is no such folder.
    """

    def __init__(self, config_dir: str | None = None, stored: bool = False):
        folder = None if config_dir is None else Path(given_folder(config_dir))
        self._own, self._stored = folder, stored
        self._search = _search_path_override([folder.resolve()] if folder else [])
        self._composed: dict[tuple[str, ...], _Composed] = {}
        self._options: dict[str, list[str]] = {}
        self.only_shipped = False  # whether it composes the package's own options alone; known within the context

    @property
    def own_folder(self) -> Path | None:
        """The folder of the user's own YAML files; None: there is none."""
        return self._own

    def __enter__(self) -> "Composer":
        with contextlib.ExitStack() as stack:
            stack.enter_context(separate_hydra_state())
            initialize_config_module(CONFIG_MODULE, version_base="1.3", job_name="mixbench")
            offered = stack.enter_context(own_groups.offered_folder(lambda group: yaml_names(group, self._own)))
            self._entered = stack.pop_all()
        if offered is not None:
            self._search = _search_path_override([*([self._own.resolve()] if self._own else []), offered])
        if not self._search:  # a user's own files can change while a notebook runs, the package's files cannot
            self._composed, self._options, self.only_shipped = _COMPOSED, _OPTIONS, True
        return self

    def __exit__(self, *exc) -> None:
        self._entered.close()

    def compose(self, words: Sequence[Word]) -> DictConfig:
        """Return the configuration for these words. If two words set a key, the later one wins.

        Hydra composes each choice of group options once (0.1 s). The values are then set on a copy, which gives the
        same result in a tenth of the time; a study has hundreds of jobs.

        words: assignments or KEY=VALUE texts, each with one value.
        Raises UserError, which names the key or option that does not fit.
        """
        assigned = [self._assignment(word) for word in words]
        chosen = tuple(line for line, one in assigned if one.key in GROUPS)
        cfg = copied(self._with_options(chosen))
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
            mixture.fill_in_parts(cfg.method, self.options("method"), self._method, self._stored)
        return cfg

    def study(self, option: str) -> DictConfig:
        """Return what the file of a study says about the study: grids, scales, published numbers.

        option: name of the study. It must be an option of the group `study`.
        """
        study = self._composition((f"study={option}",)).study
        assert study is not None
        return study

    def _method(self, option: str) -> DictConfig:
        """Return the config group `method` of an option."""
        return self._with_options((f"method={option}",)).method

    def _with_options(self, chosen: tuple[str, ...]) -> DictConfig:
        return self._composition(chosen).cfg

    def _composition(self, chosen: tuple[str, ...]) -> _Composed:
        if chosen not in self._composed:
            spliced = self._spliced(chosen)
            self._composed[chosen] = _Composed(spliced, None) if spliced else self._composed_by_hydra(chosen)
        return self._composed[chosen]

    def _spliced(self, chosen: tuple[str, ...]) -> DictConfig | None:
        """Return the configuration for these choices, put together from the configurations of each choice alone.

        Hydra then composes 16 methods and 5 data sets 21 times instead of 80 times. The result is None if only Hydra
        knows the answer: a study sets keys of a group that is chosen, a user's own file can set keys of any group, or a
        group is chosen twice.
        """
        options = _options_by_group(chosen)
        if len(chosen) < 2 or len(options) < len(chosen):
            return None
        start: tuple[str, ...] = ()
        if "study" in options:
            study = options.pop("study")
            if study not in shipped("study") or keys_of_study(study) & options.keys():
                return None
            start = (f"study={study}",)
        cfg, base = copied(self._with_options(start)), self._with_options(())
        for group, option in options.items():
            alone = self._with_options((f"{group}={option}",))
            if _differ_outside(group, alone, base):
                return None
            cfg[group] = copy.deepcopy(alone[group])
        return cfg

    def _composed_by_hydra(self, chosen: tuple[str, ...]) -> _Composed:
        if self._own is not None:
            own_files.check_files(self._own, chosen)
        composed = _COMPOSED if _is_shipped(chosen) else self._composed
        if chosen in composed:
            return composed[chosen]
        try:
            cfg = hydra_compose(CONFIG_NAME, [*self._search, *chosen])
            own = [group for group in OF_FUNCTIONS if own_groups.names_function(group, cfg[group])]
            options = _options_by_group(chosen)
            if not options.keys() >= set(own):  # the defaults of a file choose a user's own function
                options = self._choices(chosen)
        except UNFIT as error:
            raise of_file(" ".join(chosen), error) from error
        for group in own:
            own_groups.fill_in_function(cfg, group, options[group], self._own, self._stored)
        study = copy.deepcopy(cfg.study)
        cfg.study = None
        composed[chosen] = _Composed(cfg, study)
        return composed[chosen]

    def _choices(self, chosen: tuple[str, ...]) -> dict[str, str]:
        """Return group -> the option that Hydra loads for these choices, including those in a study's defaults."""
        cfg = hydra_compose(CONFIG_NAME, [*self._search, *chosen], return_hydra_config=True)
        return cast(dict[str, str], OmegaConf.to_container(cfg.hydra.runtime.choices))  # a flat mapping of texts

    def _takes(self, cfg: DictConfig, key: str) -> bool:
        """Whether a user's own function has an option for a key that is not in its YAML file."""
        group, _, name = key.partition(".")
        return group in OF_FUNCTIONS and own_groups.takes(group, cfg[group], name, self._stored)

    def options(self, group: str) -> list[str]:
        """Return the options of a group, including the user's own.

        group: config group, such as method.
        Returns the names in alphabetical order.
        """
        if group not in self._options:
            self._options[group] = sorted(yaml_names(group, self._own) | own_functions.offered(group).keys())
        return self._options[group]

    def default(self, group: str) -> str:
        """Return the default option of a group.

        group: config group, such as method.
        """
        if not _DEFAULTS:  # those of the package's run.yaml; a user's own files do not take part
            _DEFAULTS.update(self._choices(()))
        return _DEFAULTS[group]

    def has(self, group: str, option: str, key: str) -> bool:
        """Whether an option has a key. An option that does not exist has every key: composing it reports the mistake.

        group: config group, such as method.
        option: option of the group, such as cutmix.
        key: whole key, such as method.alpha.
        """
        if option not in self.options(group):
            return True
        cfg = self._with_options((f"{group}={option}",))
        return has(cfg, key) or mixture.sets_part(cfg, key) or self._takes(cfg, key)

    def method_name(self, option: str) -> str:
        """Return the name of the method that an option chooses. An alias chooses a method with another name.

        option: option of the group `method`, such as mixup.
        Returns `option` itself if there is no such option.
        """
        return self.compose([f"method={option}"]).method.name if option in self.options("method") else option

    def display_name(self, option: str | None, name: str) -> str:
        """Return the name of a method in tables.

        It is the option if the option's file has other settings than the file with the method's own name, such as a
        user's my-cutmix.yaml with another alpha. Otherwise it is the method's name.

        option: the option that chose the method.
        name: the method's own name.
        """
        if option is None or option == name or not re.fullmatch(SHOWN_NAME, option):
            return name
        known = self.options("method")
        if option not in known or name not in known:
            return name
        return name if self._method(option) == self._method(name) else option

    def _assignment(self, word: Word) -> tuple[str, Assignment]:
        """Return a word as Hydra reads it, and its assignment. Raises UserError if it cannot be set for a run."""
        if isinstance(word, Assignment):
            line, one = str(word), word
        else:
            (override,) = parse([word])
            _check_override(override)
            line, one = line_of(override), Assignment(override.key_or_group, override.value())
        if one.key.split(".")[0].split("/")[0] == "hydra":
            raise UserError(f"{line}: Hydra's own settings have no effect in mixbench; leave it out")
        if one.key in GROUPS:
            options = self.options(one.key)
            if one.value not in options and not (one.key == "study" and one.value is None):
                raise unknown(one.key, one.value, options, "" if self._own else OWN_FILES)
        return line, one


def _is_shipped(chosen: Sequence[str]) -> bool:
    """Whether all options (`group=option`) come with mixbench. Then no file of the user takes part."""
    return all(option in shipped(group) for group, option in (line.split("=", 1) for line in chosen))


def _differ_outside(group: str, cfg: DictConfig, base: DictConfig) -> bool:
    """Whether two configurations differ in another group. References such as ${dataset.pad} count by their text."""
    one, other = ({**cast(dict, OmegaConf.to_container(each)), group: None} for each in (cfg, base))
    return one != other


def _options_by_group(chosen: Sequence[str]) -> dict[str, str]:
    """Return group -> option for `group=option` texts; of a group that is chosen twice, the last option."""
    return dict(line.split("=", 1) for line in chosen)


def _check_override(override: Override) -> None:
    """Raise UserError for an override that does not assign one value to a key."""
    key, text = override.key_or_group, line_of(override)
    if override.type != OverrideType.CHANGE or override.package:
        raise UserError(f"{text}: keys cannot be added or removed; write key=value")
    if override.is_sweep_override() and is_path(key):
        raise UserError(
            f"{text}: there is no such file; correct the path, or use mixbench sweep to train a run for each of "
            "several paths"
        )
    if override.is_sweep_override():
        raise UserError(f"{text}: has several values; use mixbench sweep (or run --multirun) to train a run for each")


def _search_path_override(folders: Sequence[Path]) -> list[str]:
    """Return the override that makes Hydra search these folders after the package's own files."""
    paths = ",".join(quoted(f"file://{folder}") for folder in folders)
    return [f"hydra.searchpath=[{paths}]"] if folders else []


def yaml_of(cfg: DictConfig, package: str | None = None, resolve: bool = False) -> str:
    """A configuration, or a part of it, as YAML.

    cfg: the configuration; with `resolve`, its references are replaced in place.
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
        raise UserError(f"the configuration cannot be shown ({first_line(error)})") from error


def without_paths(text: str) -> str:
    """Return a run's config.yaml without the paths of its images, which belong to one machine and do not matter.

    text: content of the file.
    Returns the text unchanged if it is not the configuration of a run, as in a damaged run.
    """
    try:
        cfg = cast(DictConfig, OmegaConf.create(text))  # the result can be a list, which fails below
        cfg.dataset.path, cfg.dataset.root = None, "data"
        for _, node in mixture.functions(cfg):
            if isinstance(node, DictConfig) and is_own(node) and "code" in node:
                node.function = short(node.function)
            if isinstance(node, DictConfig) and isinstance(node.get(teacher.KEY), str):
                node[teacher.KEY] = Path(node[teacher.KEY]).name
            if isinstance(node, DictConfig) and BANK in node:
                node[BANK] = None
        return OmegaConf.to_yaml(cfg)
    except (OmegaConfBaseException, yaml.YAMLError, AttributeError, TypeError, ValueError):
        return text


def _check_of_file(cfg: DictConfig, line: str, one: Assignment) -> None:
    """Raise UserError if a word changes a key that only the file of an option can set."""
    group, _, key = one.key.rpartition(".")
    if group in OF_FUNCTIONS and key in FIXED_KEYS and one.value != cfg[group][key]:
        raise UserError(f"{line}: is set by the file that {group}=NAME chooses; write {group}=NAME")
