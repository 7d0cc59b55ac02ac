"""The configuration: the types of its keys, and composing it from YAML files and overrides by Hydra. No torch."""

import copy
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException, OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mixbench.errors import UserError, unknown

CONFIG_MODULE = "mixbench.configs"
CONFIG_NAME = "run"
OF_THE_FILE = ("name", "version")  # what an option of a group is, not how
GROUPS = ("dataset", "method", "augment", "model", "train", "loss", "study")


@dataclass
class DatasetConfig:
    name: str | None = MISSING
    source: str = MISSING
    root: str = MISSING
    path: str | None = None
    mean: list[float] | None = None
    std: list[float] | None = None
    pad: int = MISSING
    flip: bool = MISSING
    holdout: float = MISSING
    label_noise: float = 0.0
    classes: list[str] | None = None


@dataclass
class TrainConfig:
    protocol: str | None = None
    steps: int | None = None
    epochs: float | None = None
    batch_size: int = MISSING
    lr: float = MISSING
    momentum: float = MISSING
    weight_decay: float = MISSING
    nesterov: bool = MISSING
    schedule: str = MISSING
    milestones: list[float] | None = None
    gamma: float = 0.1
    warmup: int = MISSING
    eval_every: int | None = None
    checkpoint_every: int = MISSING


@dataclass
class StudyConfig:
    """A list of grids over the keys of a run, and the published numbers that it is compared with.

    grids: key -> value or list of values; `a,b: [[1, 2], [3, 4]]` sets two keys together, `variant: NAME` names the
    runs of a grid. published: rows of numbers, each `method: accuracy` or `method: [accuracy, sd]` in percent beside
    the keys that say of which runs (each with a value, or a list of such), and `rule` where it is not published_rule.
    """

    name: str = MISSING
    title: str = MISSING
    source: str | None = None  # where the published numbers were read
    protocol: str | None = None  # how they were made, as far as the source says
    note: str | None = None  # what a reader of the tables must know
    rule: str = "final"  # which accuracy the tables show: stats.RULES
    rows: str = "n"  # the keys that its tables show
    columns: str = "method"
    published_rule: str | None = None  # which one the source prints
    scale: str = "paper"  # what the settings of the file are: study.SCALES
    scales: dict[str, dict[str, Any]] = field(default_factory=dict)  # another scale: key -> value or values in place
    grids: list[dict[str, Any]] = field(default_factory=list)
    published: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Config:
    """Every key of a run. Groups without a type are free-form: the signatures of what they name say what they take."""

    n: int = MISSING
    subset: str = MISSING
    subset_seed: int = MISSING
    seed: int = MISSING
    protect: Any = MISSING  # a list of class names or numbers, or one of them
    eval: str = MISSING
    device: str = MISSING
    precision: str = MISSING
    results_dir: str = MISSING
    force: bool = MISSING
    progress: str = MISSING
    save_model: bool = MISSING
    dataset: DatasetConfig = MISSING
    method: dict[str, Any] = MISSING
    augment: dict[str, Any] = MISSING
    model: dict[str, Any] = MISSING
    train: TrainConfig = MISSING
    loss: dict[str, Any] = MISSING
    study: StudyConfig | None = None


ConfigStore.instance().store(name="schema", node=Config)


class Composer:
    """Composes run configurations; a context manager, since Hydra keeps its state in a global.

    config_dir: a folder of the user's own YAML files, laid out as configs/ is; searched after the package's own.
    """

    def __init__(self, config_dir: str | None = None):
        if config_dir is not None and not Path(config_dir).is_dir():
            raise UserError(f"--config-dir {config_dir}: no such folder")
        self._search = [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._options: dict[str, list[str]] = {}

    def __enter__(self) -> "Composer":
        GlobalHydra.instance().clear()
        self._context = initialize_config_module(CONFIG_MODULE, version_base="1.3", job_name="mixbench")
        self._context.__enter__()
        return self

    def __exit__(self, *exc) -> None:
        self._context.__exit__(*exc)

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration under these overrides. Raises UserError, naming the override that does not fit.

        Hydra composes each choice of group options once (0.1 s) and its own routine then sets the values on a copy,
        which gives what composing anew would give at a tenth of the time: a study is hundreds of jobs.
        """
        parsed = parse(overrides)
        for override in parsed:
            self._check(override)
        chosen = tuple(o.input_line for o in parsed if o.key_or_group in GROUPS)
        values = [o for o in parsed if o.key_or_group not in GROUPS]
        cfg = copy.deepcopy(self._with_options(chosen))
        for override in values:
            of_part = f"{override.key_or_group}.".startswith("method.parts.") and "parts" in cfg.method
            if not of_part and not _has(cfg, override.key_or_group):
                raise _unknown_key(cfg, override.key_or_group)
            _check_of_file(cfg, override)
            try:
                if of_part:
                    OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=True)
                else:
                    ConfigLoaderImpl._apply_overrides_to_config([override], cfg)
            except (HydraException, OmegaConfBaseException) as error:
                raise UserError(f"{override.input_line}: {_first_line(error.__cause__ or error)}") from error
        if "parts" in cfg.method:
            self._complete_parts(cfg.method)
        return cfg

    def _complete_parts(self, method: DictConfig) -> None:
        """Give each method of a mixture, under `parts`, all the settings of its own file; an alias by its own name."""
        given, known = method.parts, self.options("method")
        if not isinstance(given, DictConfig):
            raise UserError(f"method.parts={given}: has keys, as in method.parts.cutmix.p=0.5")
        if OmegaConf.is_list(method.methods):
            for option in method.methods:
                if option not in known:
                    raise unknown("method.methods", option, known)
            own = [self._with_options((f"method={option}",)).method for option in method.methods]
            method.methods = [part.name for part in own]
            method.parts = {part.name: part for part in own}
        for name, settings in given.items():
            if name not in method.methods:
                raise unknown(
                    "key (method=mixture)", f"method.parts.{name}", [f"method.parts.{n}" for n in method.parts]
                )
            if not isinstance(settings, DictConfig):
                raise UserError(f"method.parts.{name}={settings}: has keys, as in method.parts.{name}.p=0.5")
            for key, value in settings.items():
                if key in OF_THE_FILE:
                    raise UserError(
                        f"method.parts.{name}.{key}={value}: is the method's own; name methods in method.methods"
                    )
                if key not in method.parts[name]:
                    raise _unknown_key(OmegaConf.create({"method": method}), f"method.parts.{name}.{key}")
                method.parts[name][key] = value

    def _with_options(self, chosen: tuple[str, ...]) -> DictConfig:
        if chosen not in self._composed:
            try:
                self._composed[chosen] = hydra_compose(CONFIG_NAME, [*self._search, *chosen])
            except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
                raise UserError(f"{' '.join(chosen)}: {_first_line(error)}") from error
        return self._composed[chosen]

    def options(self, group: str) -> list[str]:
        """The names that a group offers, the user's own included."""
        if group not in self._options:
            loader = GlobalHydra.instance().config_loader()
            names = loader.get_group_options(group, overrides=self._search, config_name=CONFIG_NAME)
            self._options[group] = sorted(set(names))
        return self._options[group]

    def method_name(self, option: str) -> str:
        """The method that an option stands for: its own name, or for an alias another's."""
        return self.compose([f"method={option}"]).method.name if option in self.options("method") else option

    def _check(self, override: Override) -> None:
        key, text = override.key_or_group, override.input_line
        if override.type != OverrideType.CHANGE or override.package:
            raise UserError(f"{text}: every key exists already and none can be removed; write key=value")
        if override.is_sweep_override():
            raise UserError(f"{text}: several values make several runs; use mixbench sweep (or run --multirun)")
        if key.split(".")[0].split("/")[0] == "hydra":
            raise UserError(f"{text}: mixbench runs its jobs itself; Hydra's own settings have no effect here")
        if key in GROUPS:
            options = self.options(key)
            if override.value() not in options and not (key == "study" and override.value() is None):
                raise unknown(key, override.value(), options)


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's own reading of the overrides. Raises UserError for what is not of the form key=value."""
    parser = OverridesParser.create()
    parsed = []
    for text in overrides:
        try:
            parsed += parser.parse_overrides([text])
        except OverrideParseException as error:
            raise UserError(
                f"{text!r} is not an override; write key=value, as in n=500 ({_first_line(error)})"
            ) from error
    return parsed


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of the values of a sweep, the last override turning fastest, as Hydra's sweeper orders them."""
    axes = []
    for override in parse(overrides):
        if not override.is_sweep_override():
            axes.append([override.input_line])
        elif override.is_discrete_sweep():
            key = override.get_key_element()
            axes.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            raise UserError(
                f"{override.input_line}: an interval has no end of values; list them, or use range(a,b,step)"
            )
    return [list(combination) for combination in itertools.product(*axes)]


def without_paths(text: str) -> str:
    """A run's config.yaml without where its images lay, which is of one machine and decides nothing.

    Another text, of a damaged run, stays as it is.
    """
    try:
        cfg = OmegaConf.create(text)
        cfg.dataset.path, cfg.dataset.root = None, "data"
        return OmegaConf.to_yaml(cfg)
    except (OmegaConfBaseException, yaml.YAMLError, AttributeError, TypeError, ValueError):
        return text


def _check_of_file(cfg: DictConfig, override: Override) -> None:
    """Raises UserError where an override makes an option of a group another than its file says it is."""
    group, _, key = override.key_or_group.rpartition(".")
    if group in ("method", "augment", "loss", "model") and key in OF_THE_FILE and override.value() != cfg[group][key]:
        raise UserError(f"{override.input_line}: is set by the file that {group}=NAME chooses; write {group}=NAME")


def _has(cfg: DictConfig, key: str) -> bool:
    marker = object()
    return OmegaConf.select(cfg, key, default=marker, throw_on_missing=False) is not marker


def _unknown_key(cfg: DictConfig, key: str) -> UserError:
    parent, _, last = key.rpartition(".")
    below = [f"{group}.{key}" for group in GROUPS for key in cfg.get(group) or () if key == last]
    if not parent and below:  # the name is right, its group is missing
        return UserError(f"unknown key {key!r} (did you mean {' or '.join(below)}?)")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    if not isinstance(node, DictConfig):
        return unknown("key", key, [str(k) for k in cfg])
    prefix = f"{parent}." if parent else ""
    name = f" ({parent}={node.get('name')})" if parent and "name" in node else ""
    return unknown(f"key{name}", key, [f"{prefix}{k}" for k in node])


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
