"""The methods that mix regions or masks as modules that make their own draws (see `modules.py`)."""

from typing import Literal

from mixbench.mixing import masks, regions
from mixbench.mixing.drawing import Generator
from mixbench.mixing.mixer import PairMixer, Partners
from mixbench.mixing.saliency import saliencymix


class CutMix(PairMixer):
    """`cutmix`: a box of the partner is pasted in; labels are weighted by area.

    num_classes: K; needed if labels are integers.
    alpha, beta: λ ~ Beta(alpha, beta). beta=None means the value of alpha; alpha=0 means no mixing.
    p: probability of mixing a batch.
    per_sample: draw λ and the box for each image instead of once for the batch.
    larger_own: replace λ by the larger one of λ and 1 - λ.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    correct_lambda: True: weight labels by the true area after clipping. False: by the drawn λ.
    min_side, max_side: bounds of the box's height and width, as shares of the image's; None: they follow from λ.
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Yun et al. 2019, section 3 and Algorithm A1.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        larger_own: bool = False,
        partners: Partners = "any",
        correct_lambda: bool = True,
        min_side: float | None = None,
        max_side: float | None = None,
        generator: Generator | None = None,
    ):
        values = {
            "alpha": alpha,
            "beta": beta,
            "p": p,
            "per_sample": per_sample,
            "larger_own": larger_own,
            "partners": partners,
        }
        options = {"correct_lambda": correct_lambda, "min_side": min_side, "max_side": max_side}
        super().__init__(regions.cutmix, num_classes, generator, **values, **options)


class Cutout(PairMixer):
    """`cutout`: a square hole filled with the mean colour.

    num_classes: K; needed if labels are integers.
    p: probability of applying it to a batch.
    per_sample: draw the hole's place for each image instead of once for the batch.
    length: side of the hole, as a share of the image's shorter side.
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: DeVries and Taylor 2017.
    """

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
    """`random_erasing`: a rectangle of random area and shape is filled with the mean colour.

    num_classes: K; needed if labels are integers.
    p: probability of erasing.
    per_sample: draw the rectangle, and whether to erase, for each image instead of once for the batch.
    min_area, max_area: bounds of the area, as shares of the image's area.
    min_ratio, max_ratio: bounds of the ratio of height to width.
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Zhong et al. 2020, Algorithm 1.
    """

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
    """`resizemix`: the whole partner is made smaller and pasted in.

    num_classes: K; needed if labels are integers.
    p: probability of mixing a batch.
    per_sample: draw the size and place for each image instead of once for the batch.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    min_scale, max_scale: bounds of the scale, as shares of the image's sides.
    interpolation: "bilinear", with antialiasing; "nearest", as in the paper's code.
    position: "uniform": all places that fit are equally likely. "shifted": as in the paper's code (see `resizemix`).
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Qin et al. 2020, section 3.2.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        p: float = 1.0,
        per_sample: bool = False,
        partners: Partners = "any",
        min_scale: float = 0.1,
        max_scale: float = 0.8,
        interpolation: Literal["bilinear", "nearest"] = "bilinear",
        position: Literal["uniform", "shifted"] = "uniform",
        generator: Generator | None = None,
    ):
        options = {"min_scale": min_scale, "max_scale": max_scale, "interpolation": interpolation, "position": position}
        super().__init__(
            regions.resizemix, num_classes, generator, p=p, per_sample=per_sample, partners=partners, **options
        )


class GridMix(PairMixer):
    """`gridmix`: each cell of a grid comes from the image or its partner.

    num_classes: K; needed if labels are integers.
    alpha, beta: λ ~ Beta(alpha, beta). beta=None means the value of alpha; alpha=0 means no mixing.
    p: probability of mixing a batch.
    per_sample: draw λ and the cells for each image instead of once for the batch.
    larger_own: replace λ by the larger one of λ and 1 - λ.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    grid: cells along a side.
    correct_lambda: True: weight labels by the true area. False: by the drawn λ.
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Baek et al. 2021, section 3.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        larger_own: bool = False,
        partners: Partners = "any",
        grid: int = 4,
        correct_lambda: bool = True,
        generator: Generator | None = None,
    ):
        values = {
            "alpha": alpha,
            "beta": beta,
            "p": p,
            "per_sample": per_sample,
            "larger_own": larger_own,
            "partners": partners,
        }
        super().__init__(regions.gridmix, num_classes, generator, **values, grid=grid, correct_lambda=correct_lambda)


class SmoothMix(PairMixer):
    """`smoothmix`: a soft disc of the partner is blended in.

    num_classes: K; needed if labels are integers.
    p: probability of mixing a batch.
    per_sample: draw the disc for each image instead of once for the batch.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    min_sigma, max_sigma: bounds of the disc's σ, as shares of the image's shorter side.
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Lee et al. 2020, section 3.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        p: float = 1.0,
        per_sample: bool = False,
        partners: Partners = "any",
        min_sigma: float = 0.25,
        max_sigma: float = 0.5,
        generator: Generator | None = None,
    ):
        bounds = {"min_sigma": min_sigma, "max_sigma": max_sigma}
        super().__init__(
            masks.smoothmix, num_classes, generator, p=p, per_sample=per_sample, partners=partners, **bounds
        )


class SaliencyMix(PairMixer):
    """`saliencymix`: CutMix with the box around the partner's most salient pixel.

    num_classes: K; needed if labels are integers.
    alpha, beta: λ ~ Beta(alpha, beta). beta=None means the value of alpha; alpha=0 means no mixing.
    p: probability of mixing a batch.
    per_sample: draw λ for each image instead of once for the batch.
    larger_own: replace λ by the larger one of λ and 1 - λ.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    saliency: "official": one partner decides for the whole batch, as in the published code. "per-image": each image's
        own partner decides, as in the paper.
    correct_lambda: True: weight labels by the true area after clipping. False: by the drawn λ.
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Uddin et al. 2021, section 3.2.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        larger_own: bool = False,
        partners: Partners = "any",
        saliency: Literal["official", "per-image"] = "official",
        correct_lambda: bool = True,
        generator: Generator | None = None,
    ):
        values = {
            "alpha": alpha,
            "beta": beta,
            "p": p,
            "per_sample": per_sample,
            "larger_own": larger_own,
            "partners": partners,
        }
        options = {"saliency": saliency, "correct_lambda": correct_lambda}
        super().__init__(saliencymix, num_classes, generator, **values, **options)


class FMix(PairMixer):
    """`fmix`: masks from random low-frequency fields.

    num_classes: K; needed if labels are integers.
    alpha, beta: λ ~ Beta(alpha, beta). beta=None means the value of alpha; alpha=0 means no mixing.
    p: probability of mixing a batch.
    per_sample: draw λ and the mask for each image instead of once for the batch.
    larger_own: replace λ by the larger one of λ and 1 - λ.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    decay_power: the amplitude of the field falls with frequency to this power.
    spectrum: "complex", as in the paper; "published" or "interleaved", as in versions of its code (see `fmix`).
    correct_lambda: True: weight labels by the true share of pixels. False: by the drawn λ, as in the paper's code.
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Harris et al. 2020, section 4.1.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 1.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        larger_own: bool = False,
        partners: Partners = "any",
        decay_power: float = 3.0,
        spectrum: Literal["complex", "published", "interleaved"] = "complex",
        correct_lambda: bool = False,
        generator: Generator | None = None,
    ):
        values = {
            "alpha": alpha,
            "beta": beta,
            "p": p,
            "per_sample": per_sample,
            "larger_own": larger_own,
            "partners": partners,
        }
        options = {"decay_power": decay_power, "spectrum": spectrum, "correct_lambda": correct_lambda}
        super().__init__(masks.fmix, num_classes, generator, **values, **options)
