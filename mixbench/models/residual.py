"""What the residual networks share: a stem, blocks in stages, global average pooling, a linear classifier."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from torch import Tensor, nn


class ResidualNetwork(nn.Module):
    """Stages of equal blocks, each stage but the first halving the image; logits [B, classes]."""

    LAYERS: ClassVar[tuple[str, ...]]  # the stages by name, known without building the network

    def __init__(
        self,
        stem: nn.Sequential,
        block: Callable[[int, int, int], nn.Module],
        counts: Sequence[int],
        widths: Sequence[int],
        classes: int,
        last: Iterable[nn.Module] = (),
    ):
        """stem: begins with a convolution. block(channels in, channels out, stride): one of `counts[i]` in stage i.

        widths: channels of each stage. last: what stands between the last block and the pooling.
        """
        super().__init__()
        first = stem[0]
        if not isinstance(first, nn.Conv2d):
            raise TypeError("stem: must begin with a convolution")
        self.stem = stem
        blocks = []
        self.layers: list[str | None] = []  # after each block the name of the stage that ends there
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
        """at: what the layers in LAYERS hand on in place of their features."""
        out = self.stem(x)
        for block, layer in zip(self.blocks, self.layers, strict=True):
            out = block(out)
            if at is not None and layer is not None:
                out = at(layer, out)
        return self.classifier(self.last(out).mean(dim=(2, 3)))
