"""Pre-activation ResNet of basic blocks for small images (He et al. 2016, "Identity Mappings").

Two networks are published as PreActResNet18: with BN + ReLU after the stem (mixup-cifar10, FMix) and without (most
other codes). Neither has BN + ReLU before the pooling. `stem` says which is meant.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
STEMS = ("plain", "bn")


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


class PreActResNet(nn.Module):
    """Four stages of 1, 2, 4 and 8 times `width` channels, each but the first halving the image; logits [B, classes].

    Input: float [B, channels, H, W], H and W at least 8. depth: 10, 18 or 34.
    """

    def __init__(self, channels: int, classes: int, depth: int = 18, width: int = 64, stem: str = "plain"):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1, bias=False))
        if stem == "bn":
            self.stem.extend([nn.BatchNorm2d(width), nn.ReLU()])
        blocks = []
        self.layers: list[str | None] = []  # after each block the name of the stage that ends there
        channels_in = width
        for stage, count in enumerate(BLOCKS[depth]):
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(PreActBlock(channels_in, width * 2**stage, stride))
                channels_in = width * 2**stage
                self.layers.append(f"stage{stage + 1}" if block == count - 1 else None)
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels_in, classes)

    def forward(self, x: Tensor, at: Callable[[str, Tensor], Tensor] | None = None) -> Tensor:
        """at: what the layers stage1 to stage4 hand on in place of their features."""
        out = self.stem(x)
        for block, layer in zip(self.blocks, self.layers, strict=True):
            out = block(out)
            if at is not None and layer is not None:
                out = at(layer, out)
        return self.classifier(out.mean(dim=(2, 3)))
