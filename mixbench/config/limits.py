"""The limit on the number of runs of one command or call, which catches mistakes. No Hydra."""

import math

from mixbench.core.errors import UserError

LIMIT = 10_000  # runs of one command or call; more are usually a mistake


def check_count(number: int, limit: int | None, remedy: str = "--yes goes on") -> None:
    """Raise UserError if a caller asks for more than `limit` runs.

    number: number of combinations.
    limit: largest number; None: the caller confirmed that any number is intended.
    remedy: how to confirm it.
    """
    if limit is not None and number > limit:
        many = f"{number:,}" if number < 10**15 else f"about 10^{math.log10(number):.0f}"
        raise UserError(f"these are {many} combinations, more than the limit of {limit:,}; {remedy}")
