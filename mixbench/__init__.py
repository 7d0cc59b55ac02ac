"""mixbench: with n labelled images, which mixing augmentation helps, by how much, and how sure are we?"""

__version__ = "0.1.0"
