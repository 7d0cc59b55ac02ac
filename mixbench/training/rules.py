"""The accuracy rules, which choose one of a run's accuracies, and names for the evaluation images. No torch."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Rule:
    """A rule that chooses one accuracy of a run.

    key: the accuracy's key in metrics.json.
    short: its name for readers.
    meaning: its full description for readers.
    """

    key: str
    short: str
    meaning: str


RULES = {
    "final": Rule("final_accuracy", "final", "final accuracy: after the last step"),
    "median10": Rule("median10_accuracy", "median of last 10", "median of the last 10 evaluations (Zhang et al. 2018)"),
    "best": Rule(
        "best_accuracy",
        "best on test",
        "best test accuracy over the run: optimistic, because the test images choose the step",
    ),
}

TEST, VAL, HELD_OUT, VALIDATION, MIXED = "test", "val", "held-out", "validation", "evaluation"


def images(evals: Iterable[Any]) -> str:
    """Return the name of the evaluation images, which is `evaluation` if runs differ.

    evals: values of the key `eval`.
    Returns `test`, `val`, `held-out`, `validation` or `evaluation`.
    """
    kinds = {value if value in (TEST, VAL, VALIDATION) else HELD_OUT for value in evals}
    return kinds.pop() if len(kinds) == 1 else MIXED


def rule(name: str, on: str) -> Rule:
    """Return a rule with descriptions that fit the evaluation images.

    name: name of the rule, a key of RULES.
    on: name of the evaluation images, from `images`.
    """
    if name != "best" or on == TEST:
        return RULES[name]
    short = "best evaluation" if on == MIXED else f"best on {on} images"
    meaning = f"best accuracy over the run on the {on} images: optimistic, because these images choose the step"
    return replace(RULES[name], short=short, meaning=meaning)
