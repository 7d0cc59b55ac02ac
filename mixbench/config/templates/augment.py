"""An augmentation of your own: it changes images and keeps labels. The YAML file beside this one names it."""

import torch


# A parameter called uniforms, mirror or shift is a random decision that mixbench draws from the seed and the step.
# Draw nothing yourself.
def my_augment(images, *, uniforms, most: float = 0.5):
    """Make each image darker.

    images: uint8 [B, C, H, W].
    uniforms: float64 [B, 32] in (0, 1).
    most: largest share of the brightness that is taken away. Everything behind the star that is no draw is an option.
    Returns uint8 [B, C, H, W].
    """
    share = 1 - most * uniforms[:, 0]
    return (images * share[:, None, None, None]).to(torch.uint8)
