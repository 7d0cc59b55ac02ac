"""The mixing library: each method as a pure function of a batch and its draws, and as a module that draws by itself.

A function (`cutmix`) takes images, targets and its draws, and returns `Mixed`. A module (`CutMix`) takes images and
labels, and returns images and targets. The library needs only torch, NumPy and SciPy.
"""

from mixbench.mixing.attentivemix import attentivemix
from mixbench.mixing.contract import Generated, Gradient, Mixed, Outputs, Teacher, method
from mixbench.mixing.features import manifold
from mixbench.mixing.generated import diffusemix, filter_mix
from mixbench.mixing.guidedmix import guidedmix
from mixbench.mixing.linear import data_mix, label_mix, label_only, mixup_io, none
from mixbench.mixing.masks import fmix, smoothmix
from mixbench.mixing.mixer import Mixer, Mixture, PairMixer
from mixbench.mixing.modules import DataMix, LabelOnly, ManifoldMixUp, MixUp, MixUpInputs, NoMixing, RegMixUp
from mixbench.mixing.puzzlemix import puzzlemix
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
from mixbench.mixing.regularised import regmixup
from mixbench.mixing.saliency import saliencymix
from mixbench.mixing.snapmix import snapmix
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
    "MixUpInputs",
    "Mixed",
    "Mixer",
    "Mixture",
    "NoMixing",
    "Outputs",
    "PairMixer",
    "RandomErasing",
    "RegMixUp",
    "ResizeMix",
    "SaliencyMix",
    "SmoothMix",
    "Teacher",
    "attentivemix",
    "cutmix",
    "cutout",
    "data_mix",
    "diffusemix",
    "filter_mix",
    "fmix",
    "gridmix",
    "guidedmix",
    "label_mix",
    "label_only",
    "manifold",
    "method",
    "mixpro",
    "mixup",
    "mixup_io",
    "none",
    "puzzlemix",
    "random_erasing",
    "regmixup",
    "resizemix",
    "saliencymix",
    "smmix",
    "smoothmix",
    "snapmix",
    "tokenmix",
    "transmix",
]
