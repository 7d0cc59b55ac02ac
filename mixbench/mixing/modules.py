"""The methods as modules that make their own draws: for a training loop, or as the `collate_fn` of a DataLoader.

    mix = CutMix(num_classes=10, alpha=1.0)
    images, targets = mix(images, labels)                    # in a loop
    loader = DataLoader(dataset, batch_size=128, collate_fn=mix)  # of a list of (image, label) pairs

This file has the modules that blend whole images, labels or features; `region_modules.py` has those with regions or
masks.

A generator gives one number per call. Each worker of a DataLoader has a copy of it, so in workers the draws also depend
on the worker's own seed: no two workers and no two epochs draw the same.
"""

from collections.abc import Sequence

from torch import Tensor

from mixbench.mixing import features, linear
from mixbench.mixing.contract import Mixed
from mixbench.mixing.drawing import Generator
from mixbench.mixing.mixer import Mixer, PairMixer, Partners, stacked
from mixbench.mixing.regularised import regmixup


class NoMixing(PairMixer):
    """`none`: no mixing; labels become label weights.

    num_classes: K; needed if labels are integers.
    """

    spatial = False

    def __init__(self, num_classes: int | None = None):
        super().__init__(linear.none, num_classes, None)


class MixUp(PairMixer):
    """`label_mix`: images and labels are blended with the same λ.

    num_classes: K; needed if labels are integers.
    alpha, beta: λ ~ Beta(alpha, beta). beta=None means the value of alpha; alpha=0 means no mixing.
    p: probability of mixing a batch.
    per_sample: draw λ for each image instead of once for the batch.
    larger_own: replace λ by the larger one of λ and 1 - λ.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Zhang et al. 2018, section 2.
    """

    spatial = False

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
        generator: Generator | None = None,
    ):
        super().__init__(
            linear.label_mix,
            num_classes,
            generator,
            alpha=alpha,
            beta=beta,
            p=p,
            per_sample=per_sample,
            larger_own=larger_own,
            partners=partners,
        )


class DataMix(PairMixer):
    """`data_mix`: images are blended, and each image keeps its own label.

    num_classes: K; needed if labels are integers.
    alpha, beta: λ ~ Beta(alpha, beta). beta=None means the value of alpha; alpha=0 means no mixing.
    p: probability of mixing a batch.
    per_sample: draw λ for each image instead of once for the batch.
    larger_own: replace λ by the larger one of λ and 1 - λ.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: small-data report 2018, "data-mix".
    """

    spatial = False

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 2.0,
        beta: float | None = 1.0,
        p: float = 1.0,
        per_sample: bool = False,
        larger_own: bool = False,
        partners: Partners = "any",
        generator: Generator | None = None,
    ):
        super().__init__(
            linear.data_mix,
            num_classes,
            generator,
            alpha=alpha,
            beta=beta,
            p=p,
            per_sample=per_sample,
            larger_own=larger_own,
            partners=partners,
        )


class MixUpInputs(PairMixer):
    """`mixup_io`: images are blended, with the label of the image that has the larger share.

    num_classes: K; needed if labels are integers.
    alpha, beta: λ ~ Beta(alpha, beta). beta=None means the value of alpha; alpha=0 means no mixing.
    p: probability of mixing a batch.
    per_sample: draw λ for each image instead of once for the batch.
    larger_own: replace λ by the larger one of λ and 1 - λ.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Wang et al. 2023, "On the Pitfall of Mixup for Uncertainty Calibration".
    """

    spatial = False

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
        generator: Generator | None = None,
    ):
        super().__init__(
            linear.mixup_io,
            num_classes,
            generator,
            alpha=alpha,
            beta=beta,
            p=p,
            per_sample=per_sample,
            larger_own=larger_own,
            partners=partners,
        )


class LabelOnly(PairMixer):
    """`label_only`: labels are blended, images stay unchanged.

    num_classes: K; needed if labels are integers.
    alpha, beta: λ ~ Beta(alpha, beta). beta=None means the value of alpha; alpha=0 means no mixing.
    p: probability of mixing a batch.
    per_sample: draw λ for each image instead of once for the batch.
    larger_own: replace λ by the larger one of λ and 1 - λ.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    """

    spatial = False

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
        generator: Generator | None = None,
    ):
        super().__init__(
            linear.label_only,
            num_classes,
            generator,
            alpha=alpha,
            beta=beta,
            p=p,
            per_sample=per_sample,
            larger_own=larger_own,
            partners=partners,
        )


class RegMixUp(PairMixer):
    """`regmixup`: the clean batch, followed by its mixup. It returns twice as many rows as it gets.

    The mean loss over these rows is that of the published code. With another eta or with reduction="sum", the rows have
    weights; `Mixer(regmixup, num_classes, eta=…).mixed(images, labels)` returns them.

    num_classes: K; needed if labels are integers.
    alpha, beta: λ ~ Beta(alpha, beta). beta=None means the value of alpha; alpha=0 means no mixing.
    p: probability of mixing a batch.
    per_sample: draw λ for each image instead of once for the batch.
    larger_own: replace λ by the larger one of λ and 1 - λ.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Pinto et al. 2022, section 3.
    """

    spatial = False

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 20.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        larger_own: bool = False,
        partners: Partners = "any",
        generator: Generator | None = None,
    ):
        values = {"alpha": alpha, "beta": beta, "p": p, "per_sample": per_sample}
        super().__init__(regmixup, num_classes, generator, **values, larger_own=larger_own, partners=partners)


class ManifoldMixUp(Mixer):
    """`manifold`: the input or the features of a layer are blended. It cannot be a `collate_fn`.

    num_classes: K; needed if labels are integers.
    alpha, beta: λ ~ Beta(alpha, beta). beta=None means the value of alpha; alpha=0 means no mixing.
    p: probability of mixing a batch.
    per_sample: draw λ for each image instead of once for the batch.
    larger_own: replace λ by the larger one of λ and 1 - λ.
    partners: classes of which partners are drawn: "any", "same-class" or "other-class".
    layers: names of the layers that can be drawn: "input" or names of your network's layers.
    generator: a NumPy or torch generator; None: torch's global generator.
    Raises ValueError for a value out of range.
    Source: Verma et al. 2019, section 2.
    """

    spatial = False

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        alpha: float = 2.0,
        beta: float | None = None,
        p: float = 1.0,
        per_sample: bool = False,
        larger_own: bool = False,
        partners: Partners = "any",
        layers: Sequence[str] = ("input", "stage1", "stage2"),
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
        super().__init__(features.manifold, num_classes, generator, **values, layers=layers)

    def forward(self, images: Tensor, labels: Tensor | None = None, *, protected: Tensor | None = None) -> Mixed:
        """Mix a batch and return `Mixed`.

        Call `at_layer` of the result in your network's forward pass, after each layer that `layers` names:
        `h = mixed.at_layer("stage1", h)`.

        images: float [B, C, H, W].
        labels: int [B], or label weights float [B, K].
        protected: bool [B], images that are not mixed and are not partners of other images. None: no such images.
        Returns `Mixed` with images of the same shape and targets float [B, K].
        Raises ValueError if an argument does not fit.
        """
        if not isinstance(images, Tensor):
            raise ValueError(
                "ManifoldMixUp cannot be a collate_fn, because features are mixed during the forward pass; call it in "
                "the training loop with images and labels"
            )
        images, labels = stacked(images, labels)
        return self.mixed(images, labels, protected)
