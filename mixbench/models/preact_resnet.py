"""Pre-activation ResNet of basic blocks for small images (He et al. 2016, "Identity Mappings").

Two networks are published as PreActResNet18: with BN + ReLU after the stem (mixup-cifar10, FMix) and without (most
other codes). Neither has BN + ReLU before the pooling. `stem` says which is meant.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from mixbench.models.residual import ResidualNetwork

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class PreActBlock(nn.Module):
    """BN, ReLU, 3x3 convolution, twice; the shortcut leaves after the first ReLU where it needs a convolution."""

    def __init__(self, channels_in: int, channels: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shortcut = None
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x), inplace=True)
        shortcut = x if self.shortcut is None else self.shortcut(out)
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out), inplace=True))
        return out + shortcut


class PreActResNet(ResidualNetwork):
    """Four stages of 1, 2, 4 and 8 times `width` channels, each but the first halving the image; logits [B, classes].

    Input: float [B, channels, H, W], H and W at least 8. Weights start as torch's layers do, as in mixup-cifar10.
    """

    LAYERS = ("stage1", "stage2", "stage3", "stage4")

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        depth: Literal[10, 18, 34] = 18,
        width: int = 64,
        stem: Literal["plain", "bn"] = "plain",
    ):
        first = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=False))
        if stem == "bn":
            first.extend([nn.BatchNorm2d(width), nn.ReLU()])
        super().__init__(first, PreActBlock, BLOCKS[depth], [width, 2 * width, 4 * width, 8 * width], classes)
