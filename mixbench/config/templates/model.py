"""A network of your own. The YAML file beside this one names it. Draw its weights with torch, as torch's layers do."""

from torch import nn


class MyModel(nn.Module):
    """Two convolutions and a linear classifier.

    channels: of the images. classes: how many. width: everything behind the star is an option.
    """

    LAYERS = ("first",)  # layers whose features a method may mix (manifold); without any, leave LAYERS and `at` out

    def __init__(self, channels: int, classes: int, *, width: int = 16):
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 3, padding=1, stride=2)
        self.last = nn.Linear(2 * width, classes)

    def forward(self, x, at=None):
        """Return the logits of images, float [B, classes].

        x: float [B, C, H, W], normalised images.
        at: (name, features) -> features to go on with; None: go on with the layer's own features.
        """
        out = self.first(x).relu()
        if at is not None:
            out = at("first", out)
        out = self.second(out).relu()
        return self.last(out.mean(dim=(2, 3)))
