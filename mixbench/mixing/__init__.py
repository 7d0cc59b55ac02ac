"""Mixing methods: pure functions of a batch, its label weights and the decisions of the plan."""

from mixbench.mixing.linear import data_mix, label_mix, label_only, none
from mixbench.mixing.regions import cutmix, cutout

METHODS = {
    "none": none,
    "label-mix": label_mix,
    "data-mix": data_mix,
    "label-only": label_only,
    "cutmix": cutmix,
    "cutout": cutout,
}

__all__ = ["METHODS", "cutmix", "cutout", "data_mix", "label_mix", "label_only", "none"]
