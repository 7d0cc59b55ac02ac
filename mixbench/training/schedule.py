"""The learning rate of each update."""

import math

from mixbench.config.schema import TrainConfig


def learning_rate(train: TrainConfig, step: int) -> float:
    """Return the learning rate of an update: linear warm-up, then constant, cosine to 0, or steps.

    train: the config group `train`.
    step: number of the update, 0 … steps - 1.
    """
    if step < train.warmup:
        return train.lr * (step + 1) / train.warmup
    if train.schedule == "cosine":
        return train.lr * 0.5 * (1 + math.cos(math.pi * (step - train.warmup) / (steps_of(train) - train.warmup)))
    if train.schedule == "step":
        return train.lr * train.gamma ** _passed(train, step)
    return train.lr


def _passed(train: TrainConfig, step: int) -> int:
    """Return the number of milestones passed at update `step`; without a list, the number of completed thirds."""
    if train.milestones is None:
        return 3 * step // steps_of(train)
    # Compare the quotient, not the product: 7 / 100 and the written 0.07 are the same float, but 0.07 · 100 is above 7.
    return sum(step / steps_of(train) >= milestone for milestone in train.milestones)


def steps_of(train: TrainConfig) -> int:
    """Return the number of updates of a run.

    train: the validated config group `train`.
    Raises ValueError if epochs were not converted to steps.
    """
    if train.steps is None:
        raise ValueError("train.steps: must be set, as config.identity.job does")
    return train.steps
