"""Templates of a user's own files, which work as they stand: `mixbench new KIND NAME` writes them. No torch."""

import importlib.util
import keyword
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path

import yaml

from mixbench.config.folder import REMEMBERED
from mixbench.config.options import shipped
from mixbench.config.overrides import text
from mixbench.core import files, own_functions
from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import GROUPS

DEFAULT_FOLDER = "my_configs"
LONGEST_NAME = 60  # letters: a name stands in names of folders, beside others
TINY = "dataset=digits n=20 subset=balanced model.width=4 model.depth=10 train.steps=20 device=cpu"


@dataclass(frozen=True)
class Kind:
    """A kind of template: a config group.

    what: it is, in words.
    placeholder: the name that the template has in place of the user's.
    commands: what to type next, with NAME for the name and OWN for --config-dir.
    """

    what: str
    placeholder: str
    commands: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "study": Kind(
        "runs to compare: which methods, how many images, how often",
        "my-study",
        ("study NAME OWN --dry-run", "study NAME OWN", "report NAME OWN"),
    ),
    "method": Kind(
        "a mixing method: a Python function and its options",
        "my-method",
        ("check NAME OWN", "gallery method=NAME OWN", f"run method=NAME OWN {TINY}"),
    ),
    "train": Kind(
        "how to train: steps, batch size, learning rate and so on",
        "my-training",
        ("run --help train=NAME OWN", f"run train=NAME OWN {TINY}"),
    ),
    "dataset": Kind(
        "images: an .npz archive of yours, or settings of a shipped data set",
        "my-data",
        ("run --help dataset=NAME OWN", f"run OWN {TINY.replace('digits', 'NAME')}"),
    ),
    "augment": Kind(
        "an augmentation that keeps labels: a Python function and its options",
        "my-augment",
        ("list augments OWN", "gallery method=none augment=NAME OWN", f"run augment=NAME OWN {TINY}"),
    ),
    "model": Kind(
        "a network: a Python class and its options",
        "my-model",
        (
            "list models OWN",
            "run model=NAME OWN dataset=digits n=20 subset=balanced train.steps=20 device=cpu",
        ),
    ),
    "loss": Kind(
        "a loss: a Python function and its options",
        "my-loss",
        ("list losses OWN", f"run loss=NAME OWN {TINY}"),
    ),
}


@dataclass(frozen=True)
class Written:
    """What was written, and what to type next: command lines."""

    paths: list[Path]
    commands: list[str]


ALSO_CALLED = {"config": "train"}  # kind -> the group whose files it means


def new_files(kind: str, name: str, folder: str | None = None) -> Written:
    """Write the template of a kind under a name.

    kind: one of KINDS, or `config`, which is a file of training settings (train).
    name: letters, digits, _ and -, a letter first.
    folder: of the user's own files, which is made where it is not there; None: the one that MIXBENCH_CONFIG_DIR
        names, else my_configs.
    Raises UserError for a kind or name that does not do, and where a file of the name is there; CannotWrite. Nothing
    is written then.
    """
    kind = ALSO_CALLED.get(kind, kind)
    if kind not in KINDS:
        raise unknown("kind", kind, KINDS)
    _check_name(kind, name)
    remembered = os.environ.get(REMEMBERED)
    place = Path(os.path.expanduser(folder or remembered or DEFAULT_FOLDER))
    contents = {place / kind / file: content for file, content in _contents(kind, name).items()}
    _check_place(place, kind, name)
    own = "" if folder is None and remembered else f"--config-dir {shlex.quote(str(place))}"
    words = {"NAME": name, "OWN": own}
    commands = [f"mixbench {re.sub('NAME|OWN', lambda found: words[found[0]], c)}" for c in KINDS[kind].commands]
    return Written(files.write_all(contents), [" ".join(command.split()) for command in commands])


def _contents(kind: str, name: str) -> dict[str, str]:
    """File -> its text, with the user's name in place of the template's."""
    found = {}
    placeholder = KINDS[kind].placeholder
    forms = {
        placeholder: name,
        _identifier(placeholder): _identifier(name),
        _class_name(placeholder): _class_name(name),
    }
    for ending in ("yaml", "py"):
        template = resources("mixbench.config") / "templates" / f"{kind}.{ending}"
        if template.is_file():
            content = template.read_text(encoding="utf-8")
            found[f"{name}.{ending}"] = re.sub("|".join(forms), lambda place: forms[place[0]], content)
    return found


def _identifier(name: str) -> str:
    """The name as one of Python's."""
    plain = name.replace("-", "_")
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def _class_name(name: str) -> str:
    """MyModel of my-model."""
    return "".join(part[:1].upper() + part[1:] for part in re.split("[-_]", name))


def _check_name(kind: str, name: str) -> None:
    """Raises UserError for a name that a file, a folder or the command line could not have."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) or len(name) > LONGEST_NAME:
        raise UserError(
            f"{name!r} cannot name a {kind}: take up to {LONGEST_NAME} letters, digits, _ and -, a letter first, as in "
            f"mixbench new {kind} {KINDS[kind].placeholder}"
        )
    if text(name) != name or yaml.safe_load(name) != name:
        raise UserError(
            f"{name!r} cannot name a {kind}: YAML or the command line does not read it as text; take another "
            f"name, as in mixbench new {kind} {KINDS[kind].placeholder}"
        )
    if _has_code(kind) and _is_module(name):
        raise UserError(
            f"{name!r} cannot name a {kind}: {name}.py would hide the Python module {name}; take another name, "
            f"as in mixbench new {kind} my-{name}"
        )
    if name in shipped(kind) or name in own_functions.offered(kind):
        whose = "comes with mixbench" if name in shipped(kind) else "is one of an installed package"
        raise UserError(f"{kind}={name} {whose}; give yours another name, as in mixbench new {kind} my-{name}")


def _has_code(kind: str) -> bool:
    return bool(GROUPS[kind].batch)


def _is_module(name: str) -> bool:
    """Whether `import name` finds a module, of Python or of an installed package."""
    if not name.isidentifier():
        return False
    found = importlib.util.find_spec(name)
    return found is not None and found.origin is not None


def _check_place(place: Path, kind: str, name: str) -> None:
    """Raises UserError where a file of the name is there, or where no file can be written."""
    for ending in ("yaml", "py"):
        path = place / kind / f"{name}.{ending}"
        if os.path.lexists(path):
            raise UserError(f"{path}: is there already and stays as it is; give another name, or move it away")
    files.check_writable(place / kind, "--config-dir")
