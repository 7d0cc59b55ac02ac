"""ResNet with basic blocks for small images (He et al. 2016, "Deep Residual Learning", section 3.3 and table 1).

The stem is a 3x3 convolution with stride 1, without max pooling, as in the code of Cutout and SaliencyMix. The stem in
the paper would reduce 32x32 pixels to 8x8 before the first stage.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from mixbench.models.pointwise import Pointwise
from mixbench.models.residual import ResidualNetwork

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class BasicBlock(nn.Module):
    """Two times 3x3 convolution and BN, with ReLU between them and after the sum with the shortcut.

    The shortcut is a 1x1 convolution and BN if the block changes the shape, else the input.

    channels_in: input channels.
    channels: output channels.
    stride: stride of the first convolution, in pixels.
    """

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = None
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(Pointwise(channels_in, channels, stride), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features, [B, channels, ⌈H / stride⌉, ⌈W / stride⌉], after the last ReLU.

        x: float [B, channels_in, H, W].
        """
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if self.shortcut is None else self.shortcut(x)), inplace=True)


class ResNet(ResidualNetwork):
    """ResNet: images float [B, channels, H, W], H and W at least 8, to logits [B, classes].

    It has four stages with 1, 2, 4 and 8 times `width` channels. Each stage but the first halves the image. Weights are
    initialised by torch's defaults, not as in the paper (He et al. 2015), because the CIFAR codes whose numbers it is
    compared with do so too.

    channels: channels of the images.
    classes: number of classes.
    depth: number of layers in the network's name.
    width: channels of the first stage.
    Source: He et al. 2016, "Deep Residual Learning", section 3.3 and table 1.
    """

    LAYERS = ("stage1", "stage2", "stage3", "stage4")

    def __init__(self, channels: int, classes: int, *, depth: Literal[18, 34] = 18, width: int = 64):
        convolution = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        stem = nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        super().__init__(stem, BasicBlock, BLOCKS[depth], [width, 2 * width, 4 * width, 8 * width], classes)
