"""The mixing library: each method as a pure function of a batch and its draws, and as a module that draws by itself.

A function (`cutmix`) takes images, targets and its draws, and returns `Mixed`. A module (`CutMix`) takes images and
labels, and returns images and targets. The library needs only torch, NumPy and SciPy.
"""

from mixbench.mixing.contract import Generated, Gradient, Mixed, Outputs, method
from mixbench.mixing.features import manifold
from mixbench.mixing.generated import diffusemix, filter_mix
from mixbench.mixing.linear import data_mix, label_mix, label_only, none
from mixbench.mixing.masks import fmix, smoothmix
from mixbench.mixing.mixer import Mixer, Mixture, PairMixer
from mixbench.mixing.modules import DataMix, LabelOnly, ManifoldMixUp, MixUp, NoMixing
from mixbench.mixing.region_modules import (
    CutMix,
    Cutout,
    FMix,
    GridMix,
    RandomErasing,
    ResizeMix,
    SaliencyMix,
    SmoothMix,
)
from mixbench.mixing.regions import cutmix, cutout, gridmix, random_erasing, resizemix
from mixbench.mixing.saliency import saliencymix
from mixbench.mixing.table import METHODS
from mixbench.mixing.transformers import mixpro, smmix, tokenmix, transmix

mixup = label_mix  # the usual name of the method

__all__ = [
    "METHODS",
    "CutMix",
    "Cutout",
    "DataMix",
    "FMix",
    "Generated",
    "Gradient",
    "GridMix",
    "LabelOnly",
    "ManifoldMixUp",
    "MixUp",
    "Mixed",
    "Mixer",
    "Mixture",
    "NoMixing",
    "Outputs",
    "PairMixer",
    "RandomErasing",
    "ResizeMix",
    "SaliencyMix",
    "SmoothMix",
    "cutmix",
    "cutout",
    "data_mix",
    "diffusemix",
    "filter_mix",
    "fmix",
    "gridmix",
    "label_mix",
    "label_only",
    "manifold",
    "method",
    "mixpro",
    "mixup",
    "none",
    "random_erasing",
    "resizemix",
    "saliencymix",
    "smmix",
    "smoothmix",
    "tokenmix",
    "transmix",
]
