"""Values of YAML files, set as they stand there; a word is such an assignment, or a text of the command. No torch.

`n=500` on the command line is read by Hydra's grammar (overrides.py). A study's values have been read by YAML already:
"a,b" is one text, "1e5" no number, [[1, 2]] a list in a list.
"""

from dataclasses import dataclass
from typing import Any

from mixbench.config.overrides import parse, text


@dataclass(frozen=True, eq=False)
class Assignment:
    """Set `key` to `value`, which is null, a truth value, a number, a text, or a list or dictionary of such.

    As a text it is an override that Hydra reads alike. Two are equal where keys, values and kinds of values are.
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
        return self.key, repr(self.value)  # 1, 1.0, true and "1" are four values


Word = str | Assignment


def key_of(word: Word) -> str:
    return word.key if isinstance(word, Assignment) else word.partition("=")[0]


def option_of(word: Word) -> Any:
    """The option that a word gives its group: of a command's text what stands there."""
    return word.value if isinstance(word, Assignment) else word.partition("=")[2]


def value_of(word: Word) -> Any:
    """The value that a word gives its key. Raises UserError for a text that Hydra does not read."""
    return word.value if isinstance(word, Assignment) else parse([word])[0].value()
