"""The settings that tuning can choose from: ranges and choices of keys. No torch."""

import math
import re
from dataclasses import dataclass
from typing import Any

from mixbench.config.assignments import Assignment
from mixbench.config.overrides import text
from mixbench.core.errors import UserError

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
RANGE = re.compile(rf"({NUMBER})\.\.({NUMBER})")
LOG_FROM = 10  # ratio of a range's ends from which its values are drawn on a logarithmic scale
DIGITS = 3  # significant digits of a suggested value: readable, and far finer than what a trial can tell apart


@dataclass(frozen=True)
class Range:
    """A range of numbers.

    key: the key, such as method.alpha.
    low, high: its ends, which belong to it.
    whole: whether only whole numbers are meant.
    """

    key: str
    low: float
    high: float
    whole: bool

    @property
    def log(self) -> bool:
        """Whether values are drawn on a logarithmic scale."""
        return self.low > 0 and self.high / self.low >= LOG_FROM

    @property
    def checked(self) -> list[Assignment]:
        """The settings to check before anything is trained: both ends."""
        return [self.setting(self.low), self.setting(self.high)]

    def setting(self, value: float) -> Assignment:
        """Return the setting for a suggested value, rounded to three digits.

        value: a number of the range.
        """
        if self.whole:
            return Assignment(self.key, round(value))
        scale = abs(value) if self.log else self.high - self.low
        decimals = DIGITS - 1 - math.floor(math.log10(scale))
        return Assignment(self.key, float(min(max(round(value, decimals), self.low), self.high)) + 0.0)  # no -0.0

    def has(self, value: Any) -> bool:
        """Whether a value of a configuration belongs to the range.

        value: the value.
        """
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high and (not self.whole or value == round(value))

    def __str__(self) -> str:
        return f"{self.key}={_number(self.low)}..{_number(self.high)}"


@dataclass(frozen=True)
class Choices:
    """Values to choose from, without an order.

    key: the key, such as train.schedule, or a config group, such as augment.
    values: the values, at least two that differ.
    """

    key: str
    values: tuple[Any, ...]

    @property
    def checked(self) -> list[Assignment]:
        """The settings to check before anything is trained: all."""
        return [Assignment(self.key, value) for value in self.values]

    @property
    def names(self) -> list[str]:
        """The values as texts."""
        return [text(value) for value in self.values]

    def setting(self, name: str) -> Assignment:
        """Return the setting for a choice.

        name: one of `names`.
        """
        return Assignment(self.key, self.values[self.names.index(name)])

    def has(self, value: Any) -> bool:
        """Whether a value of a configuration is one of the choices.

        value: the value.
        """
        return self.name_of(value) is not None

    def name_of(self, value: Any) -> str | None:
        """Return the name of the choice that equals a value of a configuration; None if none does.

        value: the value. A number equals a choice of the same size, but true is not 1.
        """
        pairs = zip(self.names, self.values, strict=True)
        return next(
            (name for name, one in pairs if isinstance(one, bool) == isinstance(value, bool) and one == value), None
        )

    def __str__(self) -> str:
        return f"{self.key}={','.join(self.names)}"


Variable = Range | Choices


def read_range(key: str, value: str) -> tuple[float, float] | None:
    """Return the ends of a range; None if the text is not meant as one.

    key: the key.
    value: what follows `KEY=` in a command.
    Raises UserError for a text with two dots that is not LOW..HIGH.
    """
    if ".." not in value:
        return None
    found = RANGE.fullmatch(value.strip())
    if found is None:
        raise UserError(f"{key}={value}: a range is LOW..HIGH with two numbers, as in method.alpha=0.05..8")
    low, high = map(float, found.groups())
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError(f"{key}={value}: the first number of a range must be the smaller one, as in {key}=0.1..1")
    return low, high


def _number(value: float) -> str:
    return f"{value:.15g}"
