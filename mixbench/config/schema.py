"""The types of all keys of a configuration. No torch, no Hydra."""

from dataclasses import dataclass, field
from typing import Any, TypeVar

from omegaconf import MISSING, DictConfig, OmegaConf

Part = TypeVar("Part")


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
    rule: str = "final"  # which accuracy the tables show: rules.RULES
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


def typed(cfg: DictConfig, kind: type[Part]) -> Part:
    """A part of a configuration as its dataclass, whose attributes are plain: quick to read, and of known types.

    Raises OmegaConfBaseException where a value is missing, TypeError for a part of another kind.
    """
    found = OmegaConf.to_object(cfg)
    if not isinstance(found, kind):
        raise TypeError(f"{type(found).__name__}: must be a {kind.__name__}")
    return found
