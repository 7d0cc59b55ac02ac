"""Second names of methods: mixup is label-mix. Output shows both names together. No torch."""

from collections.abc import Mapping
from functools import cache

import yaml

from mixbench.config.options import shipped, yaml_text
from mixbench.core.yaml_text import Loader


@cache
def aliases() -> Mapping[str, str]:
    """Return alias -> method. An alias is a shipped file of the group `method` with only a defaults list."""
    return {name: content["defaults"][0] for name, content in _contents().items() if set(content) == {"defaults"}}


def with_alias(name: str) -> str:
    """A method's name as readers see it: `mixup (label-mix)` of either; of any other name the name itself.

    An alias of a mixture is one choice of its methods, and no name for the others: `mixup-cutmix (mixture)` is shown
    for the alias alone.

    name: name or alias of a method.
    """
    if name in aliases():
        return f"{name} ({aliases()[name]})"
    return _whole_names().get(name, name)


@cache
def _whole_names() -> dict[str, str]:
    contents = _contents()
    return {method: f"{alias} ({method})" for alias, method in aliases().items() if "parts" not in contents[method]}


@cache
def _contents() -> dict[str, dict]:
    return {name: yaml.load(yaml_text("method", name), Loader) for name in sorted(shipped("method"))}
