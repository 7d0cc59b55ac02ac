"""Which of a run's accuracies a table shows, and what the images are called that it was evaluated on. No torch."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Rule:
    """Which accuracy of a run is meant: its key in metrics.json, and what to tell a reader, in a word and in full."""

    key: str
    short: str
    meaning: str


RULES = {
    "final": Rule("final_accuracy", "final", "final accuracy: after the last step"),
    "median10": Rule("median10_accuracy", "median of last 10", "median of the last 10 evaluations (Zhang et al. 2018)"),
    "best": Rule(
        "best_accuracy",
        "best on test",
        "best test accuracy over the run: optimistic, since the test images choose the step",
    ),
}

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
