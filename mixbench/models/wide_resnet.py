"""Wide ResNet of basic blocks for small images, without dropout (Zagoruyko and Komodakis 2016, section 2, table 1)."""

from typing import Literal

from torch import nn

from mixbench.models.preact_resnet import PreActBlock
from mixbench.models.residual import ResidualNetwork


class WideResNet(ResidualNetwork):
    """WRN-depth-widen: images float [B, channels, H, W], H and W at least 4, to logits [B, classes].

    It has a stem with 16 channels and three stages with 16, 32 and 64 times `widen` channels.
    Weights are initialised as in the paper's code and in that of GEM (Brigato et al. 2022), which tuned learning rate
    and weight decay with them: convolutions are normal with variance 2 / (kernel area x channels out) (He et al. 2015),
    and the classifier's bias is 0. Torch's default has a sixth of that variance; before batch normalisation, smaller
    weights take larger steps.

    channels: channels of the images.
    classes: number of classes.
    depth: number of convolutions without those of shortcuts, plus the classifier: 4 + 6 times the blocks of a stage.
    widen: factor of the channels.
    Source: Zagoruyko and Komodakis 2016, section 2, table 1.
    """

    LAYERS = ("stage1", "stage2", "stage3")

    def __init__(self, channels: int, classes: int, *, depth: Literal[10, 16, 22, 28, 40] = 16, widen: int = 8):
        widths = [16 * widen, 32 * widen, 64 * widen]
        stem = nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1, bias=False))
        last = [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
        super().__init__(stem, PreActBlock, [(depth - 4) // 6] * 3, widths, classes, last)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.classifier.bias)
