"""How many runs a caller may ask for before it counts as a slip. No Hydra."""

import math

from mixbench.core.errors import UserError

LIMIT = 10_000  # runs of one command or call: more are a slip more often than a wish


def check_count(number: int, limit: int | None, remedy: str = "--yes goes on") -> None:
    """Raises UserError where a caller asks for more than `limit` runs.

    number: of combinations.
    limit: None: the caller has said that any number is meant.
    remedy: how that is said.
    """
    if limit is not None and number > limit:
        many = f"{number:,}" if number < 10**15 else f"about 10^{math.log10(number):.0f}"
        raise UserError(f"these are {many} combinations, and more than {limit:,} are taken for a slip; {remedy}")
