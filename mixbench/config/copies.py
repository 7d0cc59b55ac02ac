"""Copies of configurations. No torch, no Hydra."""

import pickle

from omegaconf import DictConfig


def copied(cfg: DictConfig) -> DictConfig:
    """Return a copy of a whole configuration. It shares nothing with the original.

    pickle takes a third of the time of copy.deepcopy, and a study copies the configuration of each run.

    cfg: the configuration, not a part of one: a part would bring the whole.
    """
    return pickle.loads(pickle.dumps(cfg, pickle.HIGHEST_PROTOCOL))
