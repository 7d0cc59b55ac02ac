"""The identity of a run: the keys that decide its outcome, and the id derived from them. No torch."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mixbench.config import budget, teacher
from mixbench.config.options import keys_in_file
from mixbench.config.validate import SEEDS, validate
from mixbench.core.banks import BANK, checksum_of_bank
from mixbench.core.baseline import BASELINE
from mixbench.core.errors import UserError
from mixbench.core.groups import GROUPS, OF_FUNCTIONS
from mixbench.core.own_functions import short
from mixbench.core.pictures import COLUMNS
from mixbench.core.registry import CURRENT

# Keys that do not change the results of a run, only where and how it is computed.
INERT = {
    "dataset.classes",
    *(f"dataset.{column}_column" for column in COLUMNS),
    "dataset.path",
    "dataset.root",
    "device",
    "progress",
    "force",
    "results_dir",
    "save_model",
    "train.checkpoint_every",
}

# For each of these keys, the value that means "as if the key did not exist". With that value the key is left out of the
# hash. Add every new key here, so that the ids of older runs do not change.
NEUTRAL: dict[str, Any] = {
    "train.warmup": 0,
    "train.milestones": None,
    "train.gamma": 0.1,
    "train.optimizer": "sgd",
    "train.beta2": 0.999,
    "train.no_decay": False,
    "train.clip_norm": None,
    "dataset.label_noise": 0,
    "dataset.size": None,
    "dataset.fit": None,
    "split_seed": None,
    "protect": [],
    "loss.label_smoothing": 0,
    "augment.padding": "zero",
    "model.shortcut": "plain",
    "method.off_after": 1,
    "method.larger_own": False,
    "method.partners": "any",
    "method.min_side": None,
    "method.max_side": None,
    "method.budget": "steps",
    "method.teacher": "current",
    "loss.budget": "steps",
    "model.drop_path": 0,
}

# Identity keys without a dot; all others are of the form group.key.
WHOLE_KEYS = (
    "dataset",
    "n",
    "subset",
    "subset_seed",
    "split_seed",
    "eval",
    "seed",
    "protect",
    "precision",
    *OF_FUNCTIONS,
)

PART = r"^method\.parts\.[^.]+\."  # prefix of the keys of a mixture's part
PART_VERSION = PART + "version"

LONGEST_ID = 255 - len(".replaced")  # bytes: the limit of file systems, minus the longest suffix of a run's folder


@dataclass(frozen=True)
class Job:
    """One run to train.

    cfg: the complete configuration: steps and eval_every are numbers, and an alias is replaced by its method.
    identity: the flat keys that decide the outcome; never paths, device or logging.
    id: the name of the run's folder, derived from the identity.
    called: the method as named in the command, which can be an alias.
    display_name: the name of the method in tables: that of a user's own file if the file has its own settings.
    """

    cfg: DictConfig
    identity: dict[str, Any]
    id: str
    called: str = ""
    display_name: str = ""

    def __str__(self) -> str:
        return self.id


def job(cfg: DictConfig, called: str | None = None, display_name: str | None = None) -> Job:
    """Check a composed configuration, fill in missing values and return the run.

    cfg: the composed configuration, which is not changed.
    called: the alias that chose the method; None: no alias.
    display_name: the name of the method in tables (Composer.display_name); None: its own name.
    Raises UserError if a value is out of range.
    """
    composed, cfg = cfg, validate(cfg)
    identity = _identity(cfg)
    cfg = budget.within_budget(cfg)  # after the identity, which has the steps that the command sets
    name = _short_enough(identity)
    method = cfg.method.name
    if method != composed.method.name:  # with α = 0 an alias mixes nothing and is the baseline
        called = display_name = None
    return Job(cfg, identity, name, called or method, display_name or method)


def with_seeds(one: Job, seeds: Mapping[str, int]) -> Job:
    """Return a run with other seeds.

    one: the run. Its configuration and identity are changed, so it must be a copy.
    seeds: keys of SEEDS with their values, from 0 to below 2^64.
    Raises UserError if a seed makes the id too long.
    """
    for key, value in seeds.items():
        one.cfg[key] = value
        if key == "seed" or _drawn_by_subset_seed(one.cfg):
            one.identity[key] = value
    return dataclasses.replace(one, id=_short_enough(one.identity))


def _short_enough(identity: Mapping[str, Any]) -> str:
    """Return the id. Raises UserError if it is too long for the name of a folder."""
    name = run_id(identity)
    if len(name.encode()) > LONGEST_ID:
        key = max(("dataset", "method"), key=lambda key: len(identity[key].encode()))
        raise UserError(
            f"{key}.name={identity[key][:40]}…: is {len(name.encode()) - LONGEST_ID} bytes too long for the name of a "
            "folder; set a shorter name"
        )
    return name


def run_id(identity: Mapping[str, Any]) -> str:
    """Return <dataset>-n<n>-<method>-s<seed>-<hash>: readable in a listing, and unique by the hash of the identity.

    identity: key -> value of everything that decides the outcome of the run.
    """
    digest = _identity_hash(identity)
    return f"{identity['dataset']}-n{identity['n']}-{identity['method']}-s{identity['seed']}-{digest}"


def _identity_hash(identity: Mapping[str, Any]) -> str:
    """Return ten hexadecimal digits of the SHA-256 of the identity without neutral values."""
    kept = {key: value for key, value in identity.items() if not _is_neutral(key, value)}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:10]


def cell_hash(identity: Mapping[str, Any]) -> str:
    """Return the hash of the identity without the seeds. Runs with the same hash repeat one experiment.

    identity: key -> value of everything that decides the outcome of a run.
    Returns ten hexadecimal digits.
    """
    return _identity_hash({key: value for key, value in identity.items() if key not in SEEDS})


def completed(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in keys that were added after the run was stored, so that they do not split its rows in a table.

    Only keys that a run with these options has are filled in.

    identity: the identity as it was stored, which is not changed.
    """
    of_groups = {key: value for key, value in NEUTRAL.items() if key.partition(".")[0] not in OF_FUNCTIONS}
    added = {key: value for key, value in of_groups.items() if key not in identity}
    for group in OF_FUNCTIONS:
        added |= _added_to_option(identity, group, str(identity.get(group)))
    for key in [key for key in identity if re.fullmatch(PART_VERSION, key)]:
        added |= _added_to_option(identity, key.removesuffix(".version"), key.split(".")[2])
    return {**identity, **added}


def _added_to_option(identity: Mapping[str, Any], at: str, option: str) -> dict[str, Any]:
    """Return the keys of NEUTRAL that an option's file has and the identity lacks, with their values.

    at: the group, or a part of a mixture, such as method.parts.cutmix.
    """
    group = at.partition(".")[0]
    known = keys_in_file(group, option) or GROUPS[group].defaults.keys()  # no file: a user's own option
    names = [key.removeprefix(f"{group}.") for key in NEUTRAL if key.startswith(f"{group}.")]
    return {
        f"{at}.{name}": NEUTRAL[f"{group}.{name}"] for name in names if name in known and f"{at}.{name}" not in identity
    }


def _is_neutral(key: str, value: Any) -> bool:
    """Whether a key has the value that means "as if the key did not exist". Keys of a mixture's parts are alike."""
    of_group = re.sub(PART, "method.", key)
    return of_group in NEUTRAL and value == NEUTRAL[of_group]


def _identity(cfg: DictConfig) -> dict[str, Any]:
    dataset, train = cfg.dataset, cfg.train
    identity = {
        "dataset": dataset.name,
        "dataset.mean": dataset.mean,
        "dataset.std": dataset.std,
        "n": cfg.n,
        "subset": cfg.subset,
        "subset_seed": cfg.subset_seed if _drawn_by_subset_seed(cfg) else None,
        "split_seed": cfg.split_seed if cfg.eval == "stratified" else None,
        "eval": cfg.eval,
        "dataset.holdout": dataset.holdout if cfg.eval not in ("test", "val") else None,
        "dataset.label_noise": dataset.label_noise,
        "dataset.size": dataset.size,
        "dataset.fit": dataset.fit,
        "seed": cfg.seed,
        "protect": [] if cfg.method.name == BASELINE else cfg.protect,
        "precision": cfg.precision,
    }
    for group in OF_FUNCTIONS:
        flat = ((key, value) for key, value in _flat(cfg[group]) if "cost" not in key.split("."))
        identity |= {group if key == "name" else f"{group}.{key}": value for key, value in flat}
    for key in [key for key in identity if key.startswith("method.")]:  # the content of a folder, not where it is
        if key.endswith(f".{teacher.KEY}") and identity[key] != CURRENT:
            identity[key] = teacher.checksum(identity[key])[: teacher.DIGITS]
        if key.endswith(f".{BANK}"):
            identity[key] = checksum_of_bank(identity[key], key)
    outcome = ("steps", "batch_size", "lr", "momentum", "weight_decay", "nesterov", "schedule", "milestones", "gamma")
    outcome += ("warmup", "optimizer", "beta2", "no_decay", "clip_norm", "eval_every")
    identity |= {f"train.{key}": train[key] for key in outcome}
    return {key: _plain(value) for key, value in identity.items()}


def _drawn_by_subset_seed(cfg: DictConfig) -> bool:
    """Whether subset_seed decides the training images, the held-out images or the wrong labels."""
    return cfg.subset != "head" or own_evaluation_images(cfg) or cfg.dataset.label_noise != 0


def own_evaluation_images(settings: Mapping[str, Any] | DictConfig) -> bool:
    """Whether each subset has evaluation images of its own.

    settings: the configuration or identity of a run, or its row in a table.
    """
    split_seed = settings.get("split_seed")
    fixed = split_seed is not None and split_seed == split_seed  # a table has NaN where there is none
    return settings["eval"] == "validation" or (settings["eval"] == "stratified" and not fixed)


def _flat(group: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a group. Nested keys become key.name; own functions are given without a folder."""
    for key, value in group.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{name}", inner) for name, inner in _flat(value))
        else:
            yield key, short(value) if key == "function" and "code" in group else value


def _plain(value: Any) -> Any:
    """Convert a value to plain JSON values, where 1.0 becomes 1."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
