"""The groups of the configuration: what each is called, and which of its keys mean the same in every option.

Every list of groups in the program follows from this one. A group's options are the YAML files in configs/<group>.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """A group of the configuration.

    own_keys: of a group whose files name a function, the keys that are not that function's: which function it is, its
    version, and what happens before it is called. Empty for a group of settings. listed: what `mixbench list` calls its
    options; None where it does not list them.
    """

    own_keys: tuple[str, ...] = ()
    listed: str | None = None


GROUPS = {
    "dataset": Group(listed="datasets"),
    "method": Group(own_keys=("name", "version"), listed="methods"),
    "augment": Group(own_keys=("name",), listed="augments"),
    "model": Group(own_keys=("name",), listed="models"),
    "train": Group(),
    "loss": Group(own_keys=("name", "label_smoothing"), listed="losses"),
    "study": Group(listed="studies"),
}
OF_FUNCTIONS = tuple(name for name, group in GROUPS.items() if group.own_keys)  # their files name a function or network
OWN_FUNCTION_KEYS = ("function", "code")  # of an option that names a user's own function: where it is, its checksum
FIXED_KEYS = ("name", "version", *OWN_FUNCTION_KEYS)  # set by an option's file; users choose another option instead
