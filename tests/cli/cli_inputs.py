"""Words, archives and YAML files that several tests of the command line hand in."""

import numpy as np

OWN_STUDY = """\
# @package _global_
# mine: my own comparison
defaults:
  - override /dataset: digits
  - override /train: small-data
subset: balanced
study:
  name: mine
  title: My own comparison
  grids:
    - method: [none, my-cutmix]
      n: 20
      seed: [0, 1]
"""


def archive(path, save=np.savez, **changed):
    """An .npz archive of 12 images of three classes, but for what is `changed`; None leaves a key out."""
    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 256, (12, 8, 8), dtype=np.uint8),
        "train_labels": np.arange(12) % 3,
        "test_images": rng.integers(0, 256, (6, 8, 8), dtype=np.uint8),
        "test_labels": np.arange(6) % 3,
    }
    save(path, **{key: value for key, value in (arrays | changed).items() if value is not None})


NPZ = "run dataset=npz dataset.path=my.npz n=4 model.width=2 train.steps=2"
