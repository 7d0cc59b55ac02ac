"""Pre-activation ResNet with basic blocks for small images (He et al. 2016, "Identity Mappings").

Two different networks are published as PreActResNet18. They differ in the stem and in the shortcut of blocks that do
not change the shape. In kuangliu/pytorch-cifar the stem is only a convolution, and such a block adds its input. In
facebookresearch/mixup-cifar10 and ecs-vlc/FMix, BN + ReLU follow the stem, and such a block adds its input after the
block's first BN + ReLU, because the shortcut is an empty nn.Sequential that is applied to the activated input. None of
the three has BN + ReLU before the pooling. The options `stem` and `shortcut` choose between them.
"""

from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from mixbench.models.pointwise import Pointwise
from mixbench.models.residual import ResidualNetwork

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class PreActBlock(nn.Module):
    """Two times BN, ReLU and 3x3 convolution, with a shortcut.

    A shortcut with a convolution starts after the first ReLU.

    channels_in: input channels.
    channels: output channels.
    stride: stride of the first convolution, in pixels.
    activated: all shortcuts start after the first ReLU, not only those with a convolution.
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
        """Return the block's features, [B, channels, ⌈H / stride⌉, ⌈W / stride⌉].

        x: float [B, channels_in, H, W], before the first BN.
        """
        out = F.relu(self.bn1(x), inplace=True)
        shortcut = out if self.activated else x
        if self.shortcut is not None:
            shortcut = self.shortcut(out)
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out), inplace=True))
        return out + shortcut


class PreActResNet(ResidualNetwork):
    """Pre-activation ResNet: images float [B, channels, H, W], H and W at least 8, to logits [B, classes].

    It has four stages with 1, 2, 4 and 8 times `width` channels. Each stage but the first halves the image. Weights are
    initialised by torch's defaults, as in mixup-cifar10.

    channels: channels of the images.
    classes: number of classes.
    depth: number of layers in the network's name.
    width: channels of the first stage.
    stem: "plain": a convolution. "bn": a convolution followed by BN + ReLU.
    shortcut: what a block that does not change the shape adds to its result. "plain": its input x. "activated":
        relu(bn1(x)). With stem and shortcut "plain" it is kuangliu/pytorch-cifar's PreActResNet18; with "bn" and
        "activated" it is that of mixup-cifar10 and FMix.
    Source: He et al. 2016, "Identity Mappings".
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
