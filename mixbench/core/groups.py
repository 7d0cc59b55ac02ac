"""The config groups: their names, and what mixbench itself knows about their options.

GROUPS is the only list of groups; all others are derived from it. The options of a group are the YAML files in
configs/<group>.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Group:
    """A config group.

    listed: heading of its options in `mixbench list`. None: they are not listed.

    The other fields are for groups whose files name a function:
    own_keys: keys that every file has and that are not options of its function.
    defaults: own key -> the value used if a user's own file leaves the key out.
    optional_keys: keys that only some files have and that are not options of a function.
    batch: names of the function's positional arguments.
    entry_points: entry point group through which an installed package offers functions.
    """

    listed: str | None = None
    own_keys: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    optional_keys: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    entry_points: str | None = None

    @property
    def kept_keys(self) -> tuple[str, ...]:
        """Keys that are never passed to a user's own function, so its options cannot have these names."""
        return (*self.own_keys, *self.optional_keys, *OWN_FUNCTION_KEYS)


OF_COSTS = ("cost", "budget")  # see config/budget.py
OWN_FUNCTION_KEYS = ("function", "code")  # the location and the checksum of a user's own function
GROUPS = {
    "dataset": Group(listed="datasets"),
    "method": Group(
        listed="methods",
        own_keys=("name", "version"),
        optional_keys=("parts", *OF_COSTS),
        batch=("images", "targets"),
        entry_points="mixbench.methods",
    ),
    "augment": Group(
        listed="augments",
        own_keys=("name",),
        batch=("images",),
        entry_points="mixbench.augments",
    ),
    "model": Group(
        listed="models",
        own_keys=("name",),
        batch=("channels", "classes"),
        entry_points="mixbench.models",
    ),
    "train": Group(listed="trainings"),
    "loss": Group(
        listed="losses",
        own_keys=("name", "label_smoothing"),
        defaults={"label_smoothing": 0.0},
        optional_keys=OF_COSTS,
        batch=("logits", "targets"),
        entry_points="mixbench.losses",
    ),
    "study": Group(listed="studies"),
}
OF_FUNCTIONS = tuple(name for name, group in GROUPS.items() if group.batch)  # their files name a function or network
FIXED_KEYS = (
    "name",
    "version",
    "cost",
    *OWN_FUNCTION_KEYS,
)  # set by an option's file; users choose another option instead
