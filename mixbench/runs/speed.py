"""Which keys decide how fast a run trains: for times that are measured, and for those of stored runs. No torch."""

from collections.abc import Callable, Mapping
from typing import Any

OF_NETWORK = ("dataset", "dataset.size", "dataset.holdout", "eval", "precision", "train.batch_size")
OF_STEP = ("method", "loss", "train.optimizer")


def same_network(identity: Mapping[str, Any]) -> tuple:
    """Return what runs share that train the same network on data of the same kind.

    identity: key -> value of everything that decides the outcome of a run.
    """
    return _chosen(identity, OF_NETWORK, "model")


def same_step(identity: Mapping[str, Any]) -> tuple:
    """Return what runs share whose steps take equally long, and whose evaluations do.

    identity: key -> value of everything that decides the outcome of a run.
    """
    return (*same_network(identity), *_chosen(identity, OF_STEP, "augment"))


def same_run(identity: Mapping[str, Any]) -> tuple:
    """Return what runs share whose steps take equally long and that are evaluated equally often.

    identity: key -> value of everything that decides the outcome of a run.
    """
    return (*same_step(identity), identity["train.eval_every"])


# From the strictest.
SIMILARITIES: tuple[Callable[[Mapping[str, Any]], tuple], ...] = (same_run, same_step, same_network)


def _chosen(identity: Mapping[str, Any], keys: tuple[str, ...], group: str) -> tuple:
    """Return the values of keys and of all keys of a group."""
    of_group = sorted(key for key in identity if key.partition(".")[0] == group)
    return tuple((key, str(identity.get(key))) for key in (*keys, *of_group))
