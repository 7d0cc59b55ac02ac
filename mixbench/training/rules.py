"""What the images are called that runs are evaluated on: test images, or held-out ones, which are not called test.

No torch.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mixbench.stats import RULES, Rule

TEST, HELD_OUT, MIXED = "test", "held-out", "evaluation"


def images(evals: Iterable[Any]) -> str:
    """`test`, `held-out` or, where runs are evaluated on both, `evaluation`; evals: the values of the key `eval`."""
    kinds = {TEST if value == "test" else HELD_OUT for value in evals}
    return kinds.pop() if len(kinds) == 1 else MIXED


def rule(name: str, on: str) -> Rule:
    """A rule in words that fit the images that runs are evaluated on, as `images` calls them."""
    if name != "best" or on == TEST:
        return RULES[name]
    short = "best evaluation" if on == MIXED else f"best on {on} images"
    meaning = f"best accuracy over the run on the {on} images: optimistic, since these images choose the step"
    return replace(RULES[name], short=short, meaning=meaning)
