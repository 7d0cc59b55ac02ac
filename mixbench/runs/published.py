"""The published numbers of a study's source, which tables show beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixbench.config.schema import StudyConfig
from mixbench.runs.study_file import RULE


@dataclass(frozen=True)
class Published:
    """A published accuracy.

    accuracy: in percent.
    sd: its standard deviation in percentage points; None if the source has none.
    """

    accuracy: float
    sd: float | None = None

    def __str__(self) -> str:
        return f"{self.accuracy:.2f}" + (f" ± {self.sd:.2f}" if self.sd is not None else "")


def published_number(study: StudyConfig, identity: Mapping[str, Any], rule: str) -> Published | None:
    """Return the published number for runs with an identity; None if the source has none.

    study: the study.
    identity: identity of the runs.
    rule: the wanted accuracy rule. If the source has no numbers for it, the study's published_rule is used.
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
    """Return the accuracy rule of the published numbers that are shown beside ours; None if the source states none.

    study: the study.
    rule: the accuracy rule of our numbers.
    """
    return rule if any(row.get(RULE) == rule for row in study.published) else study.published_rule


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
