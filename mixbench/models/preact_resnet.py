"""Pre-activation ResNet of basic blocks for small images (He et al. 2016, "Identity Mappings").

Two networks are published as PreActResNet18. kuangliu/pytorch-cifar has a convolution alone as stem, and a block whose
shape stays adds its input. facebookresearch/mixup-cifar10 and ecs-vlc/FMix have BN + ReLU after the stem, and such a
block adds its input after the block's first BN + ReLU: there the shortcut is an empty nn.Sequential that is applied to
the activated input. None of the three has BN + ReLU before the pooling. `stem` and `shortcut` say which is meant.
"""

from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from mixbench.models.pointwise import Pointwise
from mixbench.models.residual import ResidualNetwork

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class PreActBlock(nn.Module):
    """BN, ReLU, 3x3 convolution, twice; the shortcut leaves after the first ReLU where it needs a convolution.

    activated: it leaves there in every block, not only where it needs a convolution.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, activated: bool = False):
        super().__init__()
        self.activated = activated
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shortcut = None
        if stride != 1 or channels_in != channels:
            self.shortcut = Pointwise(channels_in, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x), inplace=True)
        shortcut = out if self.activated else x
        if self.shortcut is not None:
            shortcut = self.shortcut(out)
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out), inplace=True))
        return out + shortcut


class PreActResNet(ResidualNetwork):
    """Four stages of 1, 2, 4 and 8 times `width` channels, each but the first halving the image; logits [B, classes].

    Input: float [B, channels, H, W], H and W at least 8. Weights start as torch's layers do, as in mixup-cifar10.
    stem: "plain", a convolution; "bn", BN + ReLU after it. shortcut: what a block whose shape stays adds to its result:
    "plain", its input x; "activated", relu(bn1(x)). plain and plain is kuangliu/pytorch-cifar's PreActResNet18, bn and
    activated that of mixup-cifar10 and FMix.
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
        shortcut: Literal["plain", "activated"] = "plain",
    ):
        first = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=False))
        if stem == "bn":
            first.extend([nn.BatchNorm2d(width), nn.ReLU()])
        block = partial(PreActBlock, activated=shortcut == "activated")
        super().__init__(first, block, BLOCKS[depth], [width, 2 * width, 4 * width, 8 * width], classes)
