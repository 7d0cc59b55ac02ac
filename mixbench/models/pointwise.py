"""The 1x1 convolution of a shortcut, which avoids a memory error in torch's strided convolution."""

from torch import Tensor, nn
from torch.nn import functional as F

# The CPU library of torch (oneDNN) works in blocks of 8 (AVX2) or 16 channels (AVX-512). The backward pass of its 1x1
# convolution with a stride writes beyond a buffer if the input has fewer channels than a block. The result can be a
# crash, a wrong gradient of the weights, or nothing visible. See docs/upstream/torch-strided-conv-segfault.md.
BLOCK = 16


class Pointwise(nn.Conv2d):
    """1x1 convolution without bias, at every `stride`-th row and column, with the weights of nn.Conv2d.

    With fewer than BLOCK input channels it first selects the pixels and then convolves them with stride 1, which does
    not need the buffer. With more channels it uses torch's strided convolution, which is faster.

    channels_in: input channels.
    channels: output channels.
    stride: distance between the pixels used, in pixels.
    """

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution, [B, channels, ⌈H / stride⌉, ⌈W / stride⌉].

        x: float [B, channels_in, H, W].
        """
        rows, columns = self.stride
        if self.in_channels < BLOCK and (rows, columns) != (1, 1):
            return F.conv2d(x[..., ::rows, ::columns], self.weight)
        return super().forward(x)
