"""Label-preserving augmentation of a batch on the device; images are uint8 [B, C, H, W] before and after.

Every function gets its random decisions from the plan and applies them to all images at once, in tensors of fixed
shapes. Nothing is drawn here, and nothing waits for the device. The result for an image does not depend on the other
images.
"""

from mixbench.augment.chains import augmix
from mixbench.augment.colour import color_jitter
from mixbench.augment.crops import flip, none, random_resized_crop, standard, vertical_flip
from mixbench.augment.policies import autoaugment, randaugment, trivialaugment
from mixbench.augment.three import three_augment
from mixbench.augment.warp import rotation

AUGMENTS = {
    "none": none,
    "flip": flip,
    "vertical-flip": vertical_flip,
    "standard": standard,
    "random-resized-crop": random_resized_crop,
    "rotation": rotation,
    "color-jitter": color_jitter,
    "randaugment": randaugment,
    "trivialaugment": trivialaugment,
    "autoaugment": autoaugment,
    "three-augment": three_augment,
    "augmix": augmix,
}

__all__ = [
    "AUGMENTS",
    "augmix",
    "autoaugment",
    "color_jitter",
    "flip",
    "none",
    "randaugment",
    "random_resized_crop",
    "rotation",
    "standard",
    "three_augment",
    "trivialaugment",
    "vertical_flip",
]
