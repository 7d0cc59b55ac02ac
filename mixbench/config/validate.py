"""Check a composed configuration and fill in missing values. No torch."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mixbench.config import budget, mixture, teacher
from mixbench.config.copies import copied
from mixbench.core import baseline, draw_settings
from mixbench.core.banks import BANK
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import OF_FUNCTIONS
from mixbench.core.pictures import COLUMNS, CROP, FITS, MEDMNIST_PLAIN_SIZE, MEDMNIST_SIZES, OF_PICTURES
from mixbench.core.registry import non_negative

SUBSETS = ("head", "random", "balanced", "disjoint")
EVALS = ("test", "val", "holdout", "stratified", "validation")
PRECISIONS = ("auto", "fp32", "bf16")
SCHEDULES = ("step", "cosine", "constant")
OF_STEP = {"milestones": None, "gamma": 0.1}  # keys of `train` used only by schedule=step, with their defaults
OPTIMIZERS = ("sgd", "adamw")
OF_ADAMW = {"beta2": 0.999}  # keys of `train` used only by optimizer=adamw, with their defaults
PROTOCOLS = ("small-data",)
LARGEST = 10**9  # largest number of steps, images, pixels …; protects code that allocates memory by such a number
SEEDS = ("seed", "subset_seed")
REFERENCE = "${"  # how a reference to another key begins


def validate(cfg: DictConfig) -> DictConfig:
    """Return a checked copy in which steps and eval_every are numbers, aliases are replaced and classes are numbers.

    cfg: the composed configuration, which is not changed.
    Raises UserError if a value is out of range.
    """
    cfg = copied(cfg)
    try:
        values = _resolved(cfg)
        missing = sorted(OmegaConf.missing_keys(cfg)) if MISSING in str(values) else []
    except OmegaConfBaseException as error:
        raise UserError(f"{f'{error.full_key}: ' if error.full_key else ''}{str(error).splitlines()[0]}") from error
    except (
        RecursionError,
        ValueError,
        TypeError,
    ) as error:  # ${…} that refers to itself, or to something that does not fit
        raise UserError(f"a reference ${{…}} cannot be resolved ({type(error).__name__})") from error
    if missing:
        raise UserError(f"{missing[0]} is not set; set {missing[0]}=VALUE")
    _check_values({key: value for key, value in values.items() if key != "study"})
    for key in ("dataset.path", "dataset.root", "results_dir"):
        OmegaConf.update(cfg, key, _home(OmegaConf.select(cfg, key)))
    for group in OF_FUNCTIONS:
        _require(isinstance(cfg[group].get("name"), str), f"{group}.name", cfg[group].get("name"), "a name")
    _check_top(cfg)
    _validate_dataset(cfg)
    cfg.method = _validated_method(cfg.method, "method")
    budget.check(cfg)
    teacher.locate(cfg.method, cfg.results_dir)
    _validate_protect(cfg)
    _validate_loss(cfg.loss)
    _validate_train(cfg)
    return cfg


def _resolved(cfg: DictConfig) -> dict[str, Any]:
    """Replace the references in a configuration by their values, in place, and return all values as plain data.

    OmegaConf resolves value by value, which takes longer than all else here. So only groups with a reference are given
    to it.
    """
    values = cast(dict[str, Any], OmegaConf.to_container(cfg))
    for key, value in values.items():
        if REFERENCE in str(value):
            if isinstance(value, str):
                OmegaConf.resolve(cfg)
                return cast(dict[str, Any], OmegaConf.to_container(cfg))
            OmegaConf.resolve(cfg[key])
            values[key] = OmegaConf.to_container(cfg[key])
    return values


def _check_values(value: Any, key: str = "") -> None:
    """Raise UserError for a number that is not finite, and for a whole number above LARGEST, except seeds.

    value: a configuration, or a part of it.
    key: the key of the part.
    """
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _check_values(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            _check_values(inner, key)
    elif isinstance(value, float):
        _require(math.isfinite(value), key, value, "a finite number")
    elif isinstance(value, int) and key not in SEEDS:
        _require(abs(value) <= LARGEST, key, value, f"at most {LARGEST:,}, the limit for whole numbers")


def _home(path: str | None) -> str | None:
    return None if path is None else os.path.expanduser(path)


def small_data_steps(n: int) -> int:
    """Return the number of updates for n images in the small-data report: its iteration runs, or 100 epochs of 128.

    n: number of training images.
    """
    if n <= 100:
        return 40_000
    if n < 1000:
        return 117_000
    return 100 * n // 128


def default_eval_every(steps: int) -> int:
    """Return the number of steps between evaluations, if the configuration does not set it.

    steps: number of training steps.
    """
    return max(1, min(390, steps // 20))


def _choice(key: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise unknown(key, value, choices)


def _require(fits: bool, key: str, value: Any, needed: str) -> None:
    if not fits:
        raise UserError(f"{key}={value}: must be {needed}")


def _check_top(cfg: DictConfig) -> None:
    _require(cfg.n >= 1, "n", cfg.n, "at least 1")
    for key in SEEDS:
        _require(0 <= cfg[key] < 2**64, key, cfg[key], "0 or more, and below 2^64")  # it is half of a Philox key
    _validate_split_seed(cfg)
    _choice("subset", cfg.subset, SUBSETS)
    _choice("eval", cfg.eval, EVALS)
    _choice("precision", cfg.precision, PRECISIONS)
    _choice("progress", cfg.progress, ("auto", "on", "off"))
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", cfg.device):
        meant = "cuda" if "gpu" in str(cfg.device).lower() else cfg.device
        raise unknown("device", cfg.device, ["auto", "cpu", "cuda", "cuda:0", "cuda:1"], meant=meant)


def _validate_split_seed(cfg: DictConfig) -> None:
    if cfg.split_seed is None:
        return
    _require(0 <= cfg.split_seed < 2**64, "split_seed", cfg.split_seed, "0 or more, and below 2^64")
    if cfg.eval != "stratified":
        raise UserError(f"split_seed={cfg.split_seed}: only eval=stratified uses it, not eval={cfg.eval}; leave it out")


def _validate_dataset(cfg: DictConfig) -> None:
    dataset = cfg.dataset
    if dataset.source == "npz" and not dataset.path:
        raise UserError("dataset=npz needs dataset.path=ARCHIVE.npz, an archive with train_images and train_labels")
    if dataset.source in OF_PICTURES:
        _validate_pictures(dataset)
    elif dataset.source == "medmnist":
        _validate_medmnist(dataset)
    elif dataset.size is not None or dataset.fit is not None:
        raise UserError(
            "dataset.size and dataset.fit: are for picture files (dataset=folder and csv) and medmnist, not for "
            f"dataset.source={dataset.source}"
        )
    if dataset.source != "csv":
        for column in (f"{column}_column" for column in COLUMNS):
            if dataset[column] is not None:
                raise UserError(f"dataset.{column}={dataset[column]}: only tables have columns; use dataset=csv")
    if dataset.name is None:
        dataset.name = name_of_path(dataset.path)
        if dataset.source in OF_PICTURES:  # pictures of another size are other images
            dataset.name += f"-{dataset.size}px" + ("" if dataset.fit == CROP else f"-{dataset.fit}")
    _require(
        re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", dataset.name) is not None,
        "dataset.name",
        dataset.name,
        "of letters, digits and . _ + - only, because it names folders; set dataset.name",
    )
    _require(dataset.pad >= 0, "dataset.pad", dataset.pad, "0 or more")
    held = dataset.holdout
    whole = 0 < held < 1 or (held >= 1 and float(held).is_integer())  # false for inf and nan
    _require(whole, "dataset.holdout", held, "a share above 0 and below 1, or a whole number of images")
    if cfg.eval == "stratified" and cfg.subset == "disjoint" and cfg.split_seed is None:
        raise UserError(
            "subset=disjoint eval=stratified: each subset_seed holds out different images, so the subsets would share "
            "images; set split_seed=0, or use eval=holdout or eval=test, or subset=balanced"
        )
    for key in ("mean", "std"):
        if (dataset.mean is None) != (dataset.std is None):
            raise UserError("dataset.mean and dataset.std must be set together: set both, or both to null")
        if dataset[key] is not None:
            _require(len(dataset[key]) in (1, 3), f"dataset.{key}", dataset[key], "one number for each channel")
    if dataset.std is not None:
        _require(min(dataset.std) > 0, "dataset.std", dataset.std, "above 0")
    _require(0 <= dataset.label_noise <= 1, "dataset.label_noise", dataset.label_noise, "a share, from 0 to 1")
    names = list(dataset.classes or [])
    _require(len(set(names)) == len(names), "dataset.classes", names, "names that all differ")


def _validate_pictures(dataset: DictConfig) -> None:
    if not dataset.path:
        what = {"folder": "FOLDER, which has a folder for each class", "csv": "TABLE.csv, a table of paths and labels"}
        raise UserError(f"dataset={dataset.source} needs dataset.path={what[dataset.source]}")
    size = dataset.size
    _require(size is not None and 8 <= size <= 1024, "dataset.size", size, "from 8 to 1024 pixels")
    _choice("dataset.fit", dataset.fit, FITS)


def _validate_medmnist(dataset: DictConfig) -> None:
    """Check the settings of a MedMNIST set. Its name gets its size, as the names of MedMNIST's archives have it."""
    if dataset.path is not None:
        raise UserError(
            f"dataset.path={dataset.path}: dataset=medmnist finds its archive in dataset.root; use dataset=npz for this"
        )
    if dataset.name is None:
        raise UserError("dataset=medmnist needs dataset.name, a set of MedMNIST, such as dataset.name=pathmnist")
    if dataset.size not in MEDMNIST_SIZES or dataset.fit is not None:
        raise UserError(
            f"dataset.size={dataset.size} dataset.fit={dataset.fit}: MedMNIST has the sizes "
            f"{', '.join(map(str, MEDMNIST_SIZES))}, and dataset.fit is for picture files"
        )
    suffix = f"_{dataset.size}"
    if dataset.size != MEDMNIST_PLAIN_SIZE and not dataset.name.endswith(suffix):
        dataset.name += suffix


def name_of_path(path: str) -> str:
    """Return the name of a file or folder, with - in place of characters that names of runs cannot have.

    path: the path, as the user gives it.
    """
    last = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    if last in ("", ".", ".."):
        last = os.path.basename(os.path.abspath(os.path.expanduser(path))) or "pictures"
    name = re.sub(r"\.(npz|csv|tsv)$", "", last)
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).lstrip("._+-")


def _validated_method(method: DictConfig, at: str) -> DictConfig | dict[str, Any]:
    """Check the settings of a method's draws. beta=null becomes alpha; alpha = beta = 0 becomes the baseline.

    at: the key of `method` in the configuration.
    """
    given = {key: method[key] for key in draw_settings.DEFAULTS if key in method}
    settings = draw_settings.checked(given, f"{at}.")
    for key, value in settings.items():
        OmegaConf.update(method, key, value, force_add=True)  # beta is missing in some of the users' own files
    if isinstance(method.get(BANK), str):
        method[BANK] = _home(method[BANK])
    if mixture.is_mixture(method):
        mixture.check_and_sort(method, at)
        parts = {name: _validated_method(part, f"{at}.parts.{name}") for name, part in method.parts.items()}
        if all(part["name"] == baseline.BASELINE for part in parts.values()):
            return baseline.METHOD
        method.parts = parts
    return baseline.METHOD if draw_settings.mix_nothing(settings) else method


def _validate_protect(cfg: DictConfig) -> None:
    """Turn class names into sorted numbers. The baseline mixes nothing, so its identity has none of them."""
    given = [] if cfg.protect is None else cfg.protect if OmegaConf.is_list(cfg.protect) else [cfg.protect]
    cfg.protect = sorted({_class_number(value, cfg.dataset.classes) for value in given})


def _class_number(value: Any, names: Sequence[str] | None) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if not isinstance(value, str):
        raise UserError(f"protect: {value} is not a class; use names, or numbers from 0, as in protect=[0,2]")
    if names is None:
        raise UserError(
            f"protect: {value!r} is not a known class, because dataset.classes is null; use numbers, or set "
            "dataset.classes=[a,b] to the names in the order of the labels"
        )
    if value not in names:
        raise unknown("class in protect", value, names)
    return list(names).index(value)


def _validate_loss(loss: DictConfig) -> None:
    if "label_smoothing" in loss:
        key, value = "loss.label_smoothing", loss.label_smoothing
        loss.label_smoothing = non_negative(key, value)
        _require(value < 1, key, value, "from 0 to below 1")


def _check_schedule(train: DictConfig) -> None:
    _choice("train.schedule", train.schedule, SCHEDULES)
    if train.milestones is not None:
        between = [0, *train.milestones, 1]
        fits = len(between) > 2 and all(one < next for one, next in pairwise(between))
        _require(fits, "train.milestones", train.milestones, "increasing numbers between 0 and 1, as in [0.5,0.75]")
    _require(0 < train.gamma <= 1, "train.gamma", train.gamma, "above 0 and at most 1")
    for key, default in OF_STEP.items():
        if train.schedule != "step" and train[key] != default:
            raise UserError(
                f"train.{key}={train[key]}: has no effect with train.schedule={train.schedule}; use train.schedule=step"
            )


def _check_optimizer(train: DictConfig) -> None:
    _choice("train.optimizer", train.optimizer, OPTIMIZERS)
    _require(train.lr > 0, "train.lr", train.lr, "above 0")
    _require(0 <= train.momentum < 1, "train.momentum", train.momentum, "from 0 to below 1")
    _require(0 <= train.beta2 < 1, "train.beta2", train.beta2, "from 0 to below 1")
    _require(train.weight_decay >= 0, "train.weight_decay", train.weight_decay, "0 or more")
    if train.clip_norm is not None:
        _require(train.clip_norm > 0, "train.clip_norm", train.clip_norm, "above 0, or null for no limit")
    if train.nesterov and train.optimizer != "sgd":
        raise UserError(
            f"train.nesterov=true: has no effect with train.optimizer={train.optimizer}; set train.nesterov=false"
        )
    if train.nesterov and train.momentum == 0:
        raise UserError("train.nesterov=true needs train.momentum above 0")
    if train.beta2 != OF_ADAMW["beta2"] and train.optimizer != "adamw":
        raise UserError(
            f"train.beta2={train.beta2}: has no effect with train.optimizer={train.optimizer}; use "
            "train.optimizer=adamw"
        )


def _validate_train(cfg: DictConfig) -> None:
    train = cfg.train
    _check_schedule(train)
    _check_optimizer(train)
    _require(train.batch_size >= 1, "train.batch_size", train.batch_size, "at least 1")
    if train.steps is not None and train.epochs is not None:
        raise UserError(
            f"train.steps={train.steps} and train.epochs={train.epochs:g} cannot both be set; set only one "
            "(train.steps=null uses the epochs)"
        )
    if train.epochs is not None:
        steps = int(min(train.epochs * cfg.n, 2.0 * LARGEST * train.batch_size) // train.batch_size)
        _require(
            train.epochs > 0 and steps <= LARGEST,
            "train.epochs",
            train.epochs,
            f"above 0, and at most {LARGEST:,} steps",
        )
        train.steps = max(1, steps)
    elif train.steps is None:
        if train.protocol is None:
            raise UserError("the length of training is not set; set train.steps=NUMBER or train.epochs=NUMBER")
        _choice("train.protocol", train.protocol, PROTOCOLS)
        train.steps = small_data_steps(cfg.n)
    _require(train.steps >= 1, "train.steps", train.steps, "at least 1")
    train.epochs = None
    _require(
        0 <= train.warmup < train.steps, "train.warmup", train.warmup, f"from 0 to below train.steps={train.steps}"
    )
    if train.eval_every is None:
        train.eval_every = default_eval_every(train.steps)
    _require(train.eval_every >= 1, "train.eval_every", train.eval_every, "at least 1")
    _require(train.checkpoint_every >= 1, "train.checkpoint_every", train.checkpoint_every, "at least 1")
