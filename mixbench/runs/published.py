"""The numbers that a study's source prints, beside which ours are shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixbench.config.schema import StudyConfig
from mixbench.runs.study_file import RULE


@dataclass(frozen=True)
class Published:
    """A number that a source prints for a cell, in percent, with its standard deviation where it has one."""

    accuracy: float
    sd: float | None = None

    def __str__(self) -> str:
        return f"{self.accuracy:.2f}" + (f" ± {self.sd:.2f}" if self.sd is not None else "")


def published_number(study: StudyConfig, identity: Mapping[str, Any], rule: str) -> Published | None:
    """The number that the study's source prints for the runs of this identity; None where it has none.

    rule: the accuracy that is wanted; where the source never prints that one, it is published_rule's.
    """
    rules = {row.get(RULE, study.published_rule) for row in study.published}
    wanted = rule if rule in rules else study.published_rule
    for row in study.published:
        fits = all(identity[key] in _list(value) for key, value in row.items() if key in identity)
        if fits and row.get(RULE, study.published_rule) == wanted and identity["method"] in row:
            number = row[identity["method"]]
            return Published(*number) if isinstance(number, list) else Published(number)
    return None


def published_rule(study: StudyConfig, rule: str) -> str | None:
    """The rule of the published numbers that are shown beside ours of `rule`."""
    return rule if any(row.get(RULE) == rule for row in study.published) else study.published_rule


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
