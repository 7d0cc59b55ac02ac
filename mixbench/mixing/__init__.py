"""Mixing methods: pure functions of a batch, its label weights and the decisions of the plan."""

from mixbench.mixing.features import manifold
from mixbench.mixing.library import mixture
from mixbench.mixing.linear import data_mix, label_mix, label_only, none
from mixbench.mixing.masks import fmix, smoothmix
from mixbench.mixing.regions import cutmix, cutout, gridmix, random_erasing, resizemix
from mixbench.mixing.saliency import saliencymix

mixup = label_mix  # the name that most know it by

METHODS = {
    "none": none,
    "label-mix": label_mix,
    "data-mix": data_mix,
    "label-only": label_only,
    "cutmix": cutmix,
    "cutout": cutout,
    "random-erasing": random_erasing,
    "resizemix": resizemix,
    "gridmix": gridmix,
    "smoothmix": smoothmix,
    "saliencymix": saliencymix,
    "fmix": fmix,
    "manifold": manifold,
}

__all__ = [
    "METHODS",
    "cutmix",
    "cutout",
    "data_mix",
    "fmix",
    "gridmix",
    "label_mix",
    "label_only",
    "manifold",
    "mixture",
    "mixup",
    "none",
    "random_erasing",
    "resizemix",
    "saliencymix",
    "smoothmix",
]
