"""Assignments of values to keys. A word is an assignment or a KEY=VALUE text from the command line. No torch.

Hydra's grammar reads `n=500` on the command line (overrides.py). The values of a study were already read by YAML, so
they are set without that grammar: "a,b" is one text, "1e5" is not a number, [[1, 2]] is a list in a list.
"""

from dataclasses import dataclass
from typing import Any

from mixbench.config.overrides import parse, text


@dataclass(frozen=True, eq=False)
class Assignment:
    """An assignment of a value to a key. Its text is an override that Hydra reads as the same assignment.

    Two assignments are equal if their keys, values and types of values are equal.

    key: the key, such as method.alpha.
    value: null, a boolean, a number, a text, or a list or dictionary of these.
    """

    key: str
    value: Any

    def __str__(self) -> str:
        return f"{self.key}={text(self.value)}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Assignment) and self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def _compared(self) -> tuple[str, str]:
        return self.key, repr(self.value)  # 1, 1.0, true and "1" are four different values


Word = str | Assignment


def key_of(word: Word) -> str:
    """Return the key of a word, such as method.alpha.

    word: an assignment or a KEY=VALUE text.
    """
    return word.key if isinstance(word, Assignment) else word.partition("=")[0]


def option_of(word: Word) -> Any:
    """Return the option that a word chooses for a group; from a command-line text, everything after `=`.

    word: an assignment or a KEY=VALUE text, whose key is a config group.
    """
    return word.value if isinstance(word, Assignment) else word.partition("=")[2]


def value_of(word: Word) -> Any:
    """Return the value that a word assigns.

    word: an assignment or a KEY=VALUE text.
    Raises UserError for a text that Hydra cannot read.
    """
    return word.value if isinstance(word, Assignment) else parse([word])[0].value()
