"""The learning rate of each update."""

import math

from mixbench.config.schema import TrainConfig


def learning_rate(train: TrainConfig, step: int) -> float:
    """The rate of update `step`, 0 … steps - 1: linear warm-up, then constant, cosine to 0, or steps."""
    if step < train.warmup:
        return train.lr * (step + 1) / train.warmup
    if train.schedule == "cosine":
        return train.lr * 0.5 * (1 + math.cos(math.pi * (step - train.warmup) / (steps_of(train) - train.warmup)))
    if train.schedule == "step":
        return train.lr * train.gamma ** _passed(train, step)
    return train.lr


def _passed(train: TrainConfig, step: int) -> int:
    """How many milestones update `step` has reached; without a list, how many thirds are over."""
    if train.milestones is None:
        return 3 * step // steps_of(train)
    # The quotient, not the product: both it and a written 0.07 are the nearest float, but 0.07 · 100 is above 7.
    return sum(step / steps_of(train) >= milestone for milestone in train.milestones)


def steps_of(train: TrainConfig) -> int:
    """How many updates a run takes. Raises ValueError where epochs have not become steps yet."""
    if train.steps is None:
        raise ValueError("train.steps: must be set, as config.identity.job does")
    return train.steps
