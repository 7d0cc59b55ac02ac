"""The methods, by their names in configurations."""

from collections.abc import Callable

from mixbench.mixing.attentivemix import attentivemix
from mixbench.mixing.contract import Mixed
from mixbench.mixing.features import manifold
from mixbench.mixing.generated import diffusemix, filter_mix
from mixbench.mixing.guidedmix import guidedmix
from mixbench.mixing.linear import data_mix, label_mix, label_only, mixup_io, none
from mixbench.mixing.masks import fmix, smoothmix
from mixbench.mixing.puzzlemix import puzzlemix
from mixbench.mixing.regions import cutmix, cutout, gridmix, random_erasing, resizemix
from mixbench.mixing.regularised import regmixup
from mixbench.mixing.saliency import saliencymix
from mixbench.mixing.snapmix import snapmix
from mixbench.mixing.transformers import mixpro, smmix, tokenmix, transmix

METHODS: dict[str, Callable[..., Mixed]] = {
    "none": none,
    "label-mix": label_mix,
    "data-mix": data_mix,
    "mixup-io": mixup_io,
    "label-only": label_only,
    "regmixup": regmixup,
    "cutmix": cutmix,
    "cutout": cutout,
    "random-erasing": random_erasing,
    "resizemix": resizemix,
    "gridmix": gridmix,
    "smoothmix": smoothmix,
    "saliencymix": saliencymix,
    "fmix": fmix,
    "manifold": manifold,
    "transmix": transmix,
    "mixpro": mixpro,
    "smmix": smmix,
    "tokenmix": tokenmix,
    "guidedmix": guidedmix,
    "puzzlemix": puzzlemix,
    "attentivemix": attentivemix,
    "snapmix": snapmix,
    "diffusemix": diffusemix,
    "filter-mix": filter_mix,
}
