"""The config groups: what each is called, and what mixbench itself knows about its options.

All other lists of groups follow from GROUPS. The options of a group are the YAML files in configs/<group>.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Group:
    """A config group.

    listed: what `mixbench list` calls its options; None: it does not list them.

    Of a group whose files name a function:
    own_keys: the keys of a file that are not options of its function.
    defaults: own key -> its value where a user's own file leaves it out.
    optional_keys: further keys that are not options of a function, in some of the files.
    batch: what the function is called with, by position.
    entry_points: the entry points by which an installed package offers functions.
    """

    listed: str | None = None
    own_keys: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    optional_keys: tuple[str, ...] = ()
    batch: tuple[str, ...] = ()
    entry_points: str | None = None

    @property
    def kept_keys(self) -> tuple[str, ...]:
        """All keys that a user's own function does not get: its options cannot have these names."""
        return (*self.own_keys, *self.optional_keys, *OWN_FUNCTION_KEYS)


OWN_FUNCTION_KEYS = ("function", "code")  # of a file that names a user's own function: where it is, its checksum
GROUPS = {
    "dataset": Group(listed="datasets"),
    "method": Group(
        listed="methods",
        own_keys=("name", "version"),
        optional_keys=("parts",),
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
        batch=("logits", "targets"),
        entry_points="mixbench.losses",
    ),
    "study": Group(listed="studies"),
}
OF_FUNCTIONS = tuple(name for name, group in GROUPS.items() if group.batch)  # their files name a function or network
FIXED_KEYS = ("name", "version", *OWN_FUNCTION_KEYS)  # set by an option's file; users choose another option instead
