"""The words of verdicts, and numbers and names as sentences have them. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass

from mixbench.stats import ALPHA

SMALLEST_P = 0.001
LISTED = 4  # names in a list before "and 3 others"
MARGIN = 2.0  # percentage points; a smaller gain is not worth a change of the training
USE, AVOID, NOTHING, UNDECIDED, UNKNOWN = "Use", "Avoid", "Do not bother", "Undecided", "No comparison"


@dataclass(frozen=True)
class Verdict:
    """What a setting's runs say.

    word: USE, AVOID, NOTHING, UNDECIDED or UNKNOWN.
    line: the word with what it is about, such as `Use mixup (label-mix): +4.4 percentage points over no mixing`.
    sentences: the evidence.
    """

    word: str
    line: str
    sentences: Sequence[str]

    @property
    def text(self) -> str:
        """The line and the evidence as one paragraph."""
        return " ".join([f"{self.line}.", *self.sentences])


def signed(value: float) -> str:
    """Format a number with its sign and one decimal; never -0.0.

    value: such as a gain in percentage points.
    """
    return f"{round(value, 1) + 0.0:+.1f}"


def p_text(p: float) -> str:
    """Format a p-value with two significant digits, or three if it is close to 0.05.

    p: p-value, 0 to 1.
    """
    if p < SMALLEST_P:
        return f"<{SMALLEST_P}"
    return f"{p:.3g}" if abs(p - ALPHA) < 0.1 * ALPHA else f"{p:.2g}"


def listed(names: Sequence[str], word: str) -> str:
    """Join names, such as `a, b or c`; of more than five, the first four and the number of others.

    names: the names, at least one.
    word: `and` or `or`, before the last name.
    A name that has commas itself is separated by semicolons.
    """
    comma = "; " if any("," in name for name in names) else ", "
    if len(names) > LISTED + 1:
        return f"{comma.join(names[:LISTED])} {word} {len(names) - LISTED} others"
    return names[0] if len(names) == 1 else f"{comma.join(names[:-1])} {word} {names[-1]}"
