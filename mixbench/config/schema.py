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
    size: int | None = None
    fit: str | None = None
    columns: dict[str, str | None] | None = None


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
    optimizer: str = "sgd"
    beta2: float = 0.999
    no_decay: bool = False
    clip_norm: float | None = None
    eval_every: int | None = None
    checkpoint_every: int = MISSING


@dataclass
class StudyConfig:
    """A list of grids over the keys of a run, and the published numbers with which the runs are compared.

    grids: each maps a key to a value or a list of values. `a,b: [[1, 2], [3, 4]]` sets two keys together, and
        `variant: NAME` names the runs of a grid.
    published: rows of published numbers. Each row has `method: accuracy` or `method: [accuracy, sd]`, in percent; the
        keys of the runs it belongs to, each with a value or a list of values; and `rule` if it is not published_rule.
    """

    name: str = MISSING
    title: str = MISSING
    source: str | None = None  # source of the published numbers
    protocol: str | None = None  # how they were measured, as far as the source says
    note: str | None = None  # a note for readers of the tables
    rule: str = "final"  # accuracy rule of the tables, from rules.RULES
    rows: str = "n"  # keys of the rows and columns of its tables
    columns: str = "method"
    published_rule: str | None = None  # accuracy rule of the source
    scale: str = "paper"  # scale of the settings in the file, from study.SCALES
    scales: dict[str, dict[str, Any]] = field(default_factory=dict)  # other scale -> key -> value or values to replace
    grids: list[dict[str, Any]] = field(default_factory=list)
    published: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Config:
    """Every key of a run. Groups without a type accept any key; the signature of their function decides."""

    n: int = MISSING
    subset: str = MISSING
    subset_seed: int = MISSING
    seed: int = MISSING
    protect: Any = MISSING  # class names or numbers, as a list or a single value
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
    """Convert a part of a configuration to its dataclass, whose attributes are typed and fast to read.

    cfg: the part, such as the config group `train`.
    kind: the dataclass.
    Raises OmegaConfBaseException if a value is missing, and TypeError if the part has another type.
    """
    found = OmegaConf.to_object(cfg)
    if not isinstance(found, kind):
        raise TypeError(f"{type(found).__name__}: must be a {kind.__name__}")
    return found
