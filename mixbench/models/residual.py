"""The base class of residual networks: a stem, blocks in stages, global average pooling and a linear classifier."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn


class ResidualNetwork(nn.Module):
    """Stages of equal blocks: images float [B, C, H, W] to logits [B, classes].

    Each stage but the first halves the image.

    stem: modules before the blocks; the first is a convolution.
    block: takes (channels in, channels out, stride) and returns a block.
    counts: number of blocks in each stage.
    widths: channels of each stage.
    classes: number of classes.
    last: modules between the last block and the pooling.
    Raises TypeError if the stem does not begin with a convolution.
    """

    LAYERS: ClassVar[tuple[str, ...]]  # names of the stages, known without building the network
    ATTENTION: ClassVar[str] = "last"  # the layer whose features `attention` reads: the input of the pooling

    def __init__(
        self,
        stem: nn.Sequential,
        block: Callable[[int, int, int], nn.Module],
        counts: Sequence[int],
        widths: Sequence[int],
        classes: int,
        last: Iterable[nn.Module] = (),
    ):
        super().__init__()
        first = stem[0]
        if not isinstance(first, nn.Conv2d):
            raise TypeError("stem: must begin with a convolution")
        self.stem = stem
        blocks = []
        self.layers: list[str | None] = []  # for each block, the name of the stage that ends after it
        channels_in = first.out_channels
        for layer, count, width in zip(self.LAYERS, counts, widths, strict=True):
            for i in range(count):
                stride = 2 if layer != self.LAYERS[0] and i == 0 else 1
                blocks.append(block(channels_in, width, stride))
                channels_in = width
                self.layers.append(layer if i == count - 1 else None)
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Sequential(*last)
        self.classifier = nn.Linear(channels_in, classes)

    def forward(self, x: Tensor, at: Callable[[str, Tensor], Tensor] | None = None) -> Tensor:
        """Return logits float [B, classes].

        x: images float [B, C, H, W].
        at: called with the name and the features of each layer in LAYERS and of ATTENTION. The network continues with
            the features that it returns. None: features are not changed.
        """
        out = self.stem(x)
        for block, layer in zip(self.blocks, self.layers, strict=True):
            out = block(out)
            if at is not None and layer is not None:
                out = at(layer, out)
        out = self.last(out)
        if at is not None:
            out = at(self.ATTENTION, out)
        return self.classifier(out.mean(dim=(2, 3)))

    def attention(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return class activation maps, which show where the evidence for the given labels is.

        features: [B, C, h, w] of the layer ATTENTION.
        targets: float [B, classes], weights of the labels whose evidence is wanted.
        Returns float [B, 1, h, w], 0 or more. Each map sums to 1; it is uniform if there is no evidence.
        Source: Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", section 2.
        """
        evidence = self._evidence(features, targets).clamp(min=0)
        evidence = evidence.to(torch.promote_types(features.dtype, torch.float32))
        total = evidence.sum(dim=(2, 3), keepdim=True)
        uniform = 1 / (features.shape[2] * features.shape[3])
        return torch.where(total > 0, evidence / total.clamp(min=torch.finfo(evidence.dtype).tiny), uniform)

    def class_activation(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return class activation maps of the features after ReLU, with the classifier's bias.

        Where the network has ReLU before the pooling, the mean of a map is the logit.

        features: [B, C, h, w] of the layer ATTENTION.
        targets: float [B, classes], weights of the labels whose evidence is wanted.
        Returns float [B, 1, h, w], of any sign.
        Source: SnapMix, Huang et al. 2021, section 3; github.com/Shaoli-Huang/SnapMix, utils/mixmethod.py.
        """
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        evidence = self._evidence(features.relu(), targets)
        bias = targets.to(evidence.dtype) @ self.classifier.bias.detach().to(evidence.dtype)
        return evidence + bias.view(-1, 1, 1, 1)

    def activation(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the mean of the features over their channels, float [B, 1, h, w].

        features: [B, C, h, w] of the layer ATTENTION.
        targets: not used, since these maps do not depend on labels.
        """
        return features.to(torch.promote_types(features.dtype, torch.float32)).mean(dim=1, keepdim=True)

    def _evidence(self, features: Tensor, targets: Tensor) -> Tensor:
        """Return the features [B, C, h, w] weighted by the classifier's weights of the labels, [B, 1, h, w]."""
        weights = targets.to(features.dtype) @ self.classifier.weight.detach().to(features.dtype)
        return (features * weights[:, :, None, None]).sum(dim=1, keepdim=True)
