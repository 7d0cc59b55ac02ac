"""The key `cost` of the files of methods and losses: the rows that a step trains for each image of its batch."""

from collections.abc import Mapping
from typing import Any

from mixbench.core.errors import UserError


def cost_of(node: Mapping[str, Any]) -> float:
    """Return the rows that a step trains for each image of its batch. A file without the key `cost` costs 1.

    node: configuration of a method, a part of a mixture or a loss. Its `cost` is a number, or option -> value of that
        option -> number if the cost depends on an option.
    """
    value = node.get("cost", 1)
    if isinstance(value, Mapping):
        ((option, by_value),) = value.items()
        value = by_value.get(node[option], 1)
    return float(value)


def check_cost(node: Mapping[str, Any], at: str) -> None:
    """Check the key `cost`.

    node: as for `cost_of`.
    at: the key of the node in the configuration.
    Raises UserError if the cost is not a number of at least 1, or depends on something that is not an option.
    """
    value = node.get("cost", 1)
    numbers: list[Any] = [value]
    if isinstance(value, Mapping):
        if len(value) != 1 or not all(isinstance(one, Mapping) and name in node for name, one in value.items()):
            raise UserError(f"{at}.cost: must be a number, or one option of the file with a number for each value")
        numbers = [number for one in value.values() for number in one.values()]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float) or not number >= 1:
            raise UserError(f"{at}.cost={number}: must be a number of rows for each image, 1 or more")
