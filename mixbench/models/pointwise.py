"""The 1x1 convolution of a shortcut, safe also where torch's strided one damages memory."""

from torch import Tensor, nn
from torch.nn import functional as F

# The CPU library of torch (oneDNN) works in blocks of 8 (AVX2) or 16 channels (AVX-512). The backward pass of its 1x1
# convolution with a stride writes beyond a buffer where the input has fewer channels than a block: a crash, a wrong
# gradient of the weights, or no harm, as it happens. See docs/upstream/torch-strided-conv-segfault.md.
BLOCK = 16


class Pointwise(nn.Conv2d):
    """1x1 convolution without bias, in every `stride`-th row and column; weights as those of nn.Conv2d.

    Below BLOCK input channels it takes the pixels out first and convolves them with stride 1, which needs no such
    buffer. From BLOCK channels on it is torch's own strided convolution, which is the faster one.
    """

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: float [B, channels_in, H, W]; returns [B, channels, ⌈H / stride⌉, ⌈W / stride⌉]."""
        rows, columns = self.stride
        if self.in_channels < BLOCK and (rows, columns) != (1, 1):
            return F.conv2d(x[..., ::rows, ::columns], self.weight)
        return super().forward(x)
