"""The methods as modules that draw by themselves: for a training loop, or as the `collate_fn` of a DataLoader.

    mix = CutMix(num_classes=10, alpha=1.0)
    images, targets = mix(images, labels)                    # in a loop
    loader = DataLoader(dataset, batch_size=128, collate_fn=mix)  # of a list of (image, label) pairs

Every module has these parameters, as far as they bear on its method; the other ones are of the function of its name.

num_classes: K, needed where labels are integers.
alpha, beta: λ ~ Beta(alpha, beta); beta None means alpha, and alpha 0 that nothing is mixed.
p: probability of mixing a batch.
per_sample: draw λ, places and masks for each image, not once for the batch.
generator: of NumPy or torch, advanced by one number a call; None: torch's global one. In the workers of a DataLoader,
    each of which has a copy, what is drawn also depends on the worker's own seed: no two workers or epochs draw alike.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from mixbench.mixing import features, linear, masks, regions
from mixbench.mixing.contract import Mixed
from mixbench.mixing.drawing import Generator
from mixbench.mixing.mixer import Mixer, PairMixer, stacked
from mixbench.mixing.saliency import saliencymix


class NoMixing(PairMixer):
    """`none`: the batch as it is, with label weights for labels."""

    spatial = False

    def __init__(self, num_classes: int | None = None):
        super().__init__(linear.none, num_classes, None)


class MixUp(PairMixer):
    """`label_mix`: images and labels blended by the same λ (Zhang et al. 2018)."""

    spatial = False

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        generator: Generator | None = None,
    ):
        super().__init__(linear.label_mix, num_classes, generator, alpha=alpha, beta=beta, p=p, per_sample=per_sample)


class DataMix(PairMixer):
    """`data_mix`: images blended, the label of the first image alone (small-data report 2018)."""

    spatial = False

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 2.0,
        beta: float | None = 1.0,
        p: float = 1.0,
        per_sample: bool = False,
        generator: Generator | None = None,
    ):
        super().__init__(linear.data_mix, num_classes, generator, alpha=alpha, beta=beta, p=p, per_sample=per_sample)


class LabelOnly(PairMixer):
    """`label_only`: labels blended, images untouched."""

    spatial = False

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        generator: Generator | None = None,
    ):
        super().__init__(linear.label_only, num_classes, generator, alpha=alpha, beta=beta, p=p, per_sample=per_sample)


class ManifoldMixUp(Mixer):
    """`manifold`: the input or the features of a layer blended (Verma et al. 2019). Not for a `collate_fn`."""

    spatial = False

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 2.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        layers: Sequence[str] = ("input", "stage1", "stage2"),
        generator: Generator | None = None,
    ):
        values = {"alpha": alpha, "beta": beta, "p": p, "per_sample": per_sample}
        super().__init__(features.manifold, num_classes, generator, **values, layers=layers)

    def forward(self, images: Tensor, labels: Tensor | None = None, *, protected: Tensor | None = None) -> Mixed:
        """As `PairMixer.forward`, but all of `Mixed`.

        Call its `at_layer` in your network's forward pass, behind each layer that `layers` names:
        `h = mixed.at_layer("stage1", h)`.
        """
        if not isinstance(images, Tensor):
            raise ValueError(
                "ManifoldMixUp is no collate_fn: its Mixed mixes features while the network computes them; call it in "
                "the training loop, with images and labels"
            )
        images, labels = stacked(images, labels)
        return self.mixed(images, labels, protected)


class CutMix(PairMixer):
    """`cutmix`: a box of the partner pasted in, labels by area (Yun et al. 2019)."""

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        correct_lambda: bool = True,
        generator: Generator | None = None,
    ):
        values = {"alpha": alpha, "beta": beta, "p": p, "per_sample": per_sample}
        super().__init__(regions.cutmix, num_classes, generator, **values, correct_lambda=correct_lambda)


class Cutout(PairMixer):
    """`cutout`: a square hole of mean colour (DeVries and Taylor 2017)."""

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        p: float = 1.0,
        per_sample: bool = True,
        length: float = 0.5,
        generator: Generator | None = None,
    ):
        super().__init__(regions.cutout, num_classes, generator, p=p, per_sample=per_sample, length=length)


class RandomErasing(PairMixer):
    """`random_erasing`: a rectangle of random area and shape set to the mean colour (Zhong et al. 2020)."""

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        p: float = 0.5,
        per_sample: bool = True,
        min_area: float = 0.02,
        max_area: float = 0.33,
        min_ratio: float = 0.3,
        max_ratio: float = 3.3,
        generator: Generator | None = None,
    ):
        bounds = {"min_area": min_area, "max_area": max_area, "min_ratio": min_ratio, "max_ratio": max_ratio}
        super().__init__(regions.random_erasing, num_classes, generator, p=p, per_sample=per_sample, **bounds)


class ResizeMix(PairMixer):
    """`resizemix`: the whole partner made smaller and pasted in (Qin et al. 2020)."""

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        p: float = 1.0,
        per_sample: bool = False,
        min_scale: float = 0.1,
        max_scale: float = 0.8,
        interpolation: Literal["bilinear", "nearest"] = "bilinear",
        position: Literal["uniform", "shifted"] = "uniform",
        generator: Generator | None = None,
    ):
        options = {"min_scale": min_scale, "max_scale": max_scale, "interpolation": interpolation, "position": position}
        super().__init__(regions.resizemix, num_classes, generator, p=p, per_sample=per_sample, **options)


class GridMix(PairMixer):
    """`gridmix`: the cells of a grid come from the image or its partner (Baek et al. 2021)."""

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        grid: int = 4,
        correct_lambda: bool = True,
        generator: Generator | None = None,
    ):
        values = {"alpha": alpha, "beta": beta, "p": p, "per_sample": per_sample}
        super().__init__(regions.gridmix, num_classes, generator, **values, grid=grid, correct_lambda=correct_lambda)


class SmoothMix(PairMixer):
    """`smoothmix`: a soft disc of the partner (Lee et al. 2020)."""

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        p: float = 1.0,
        per_sample: bool = False,
        min_sigma: float = 0.25,
        max_sigma: float = 0.5,
        generator: Generator | None = None,
    ):
        bounds = {"min_sigma": min_sigma, "max_sigma": max_sigma}
        super().__init__(masks.smoothmix, num_classes, generator, p=p, per_sample=per_sample, **bounds)


class SaliencyMix(PairMixer):
    """`saliencymix`: CutMix with the box around the partner's most salient pixel (Uddin et al. 2021)."""

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        saliency: Literal["official", "per-image"] = "official",
        correct_lambda: bool = True,
        generator: Generator | None = None,
    ):
        values = {"alpha": alpha, "beta": beta, "p": p, "per_sample": per_sample}
        options = {"saliency": saliency, "correct_lambda": correct_lambda}
        super().__init__(saliencymix, num_classes, generator, **values, **options)


class FMix(PairMixer):
    """`fmix`: masks of low frequency (Harris et al. 2020)."""

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        decay_power: float = 3.0,
        spectrum: Literal["complex", "published", "interleaved"] = "complex",
        correct_lambda: bool = False,
        generator: Generator | None = None,
    ):
        values = {"alpha": alpha, "beta": beta, "p": p, "per_sample": per_sample}
        options = {"decay_power": decay_power, "spectrum": spectrum, "correct_lambda": correct_lambda}
        super().__init__(masks.fmix, num_classes, generator, **values, **options)
