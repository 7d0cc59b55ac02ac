"""Find, checksum and load a user's own functions: FILE.py:FUNCTION or PACKAGE.MODULE:FUNCTION. No torch."""

import ast
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import Any

from mixbench.core.errors import UserError, unknown
from mixbench.core.groups import GROUPS

DIGITS = 12  # hexadecimal digits of a SHA-256 that represent the code in a run's identity
FORMS = "must be FILE.py:FUNCTION or PACKAGE.MODULE:FUNCTION"

# Keys are (file, checksum). A file is executed once per process, and its executed state is kept if the file is edited.
_loaded: dict[tuple[str, str], ModuleType] = {}
_sums: dict[tuple[str, str], dict[str, str]] = {}


def located(reference: Any, folder: Path, key: str) -> str:
    """Return the reference with the absolute path of its file.

    reference: the value in a YAML file.
    folder: the folder of that YAML file.
    key: the key of the value, for messages.
    Raises UserError if the reference has neither of the two forms.
    """
    if not isinstance(reference, str) or not all(part.strip() for part in reference.rpartition(":")):
        raise UserError(f"{key}={reference}: {FORMS}, as in halves.py:halves")
    where, _, name = reference.rpartition(":")
    if not name.isidentifier() or not (_is_file(where) or all(map(str.isidentifier, where.split(".")))):
        raise UserError(f"{key}={reference}: {FORMS}, as in halves.py:halves")
    return f"{os.path.abspath(folder / Path(where).expanduser())}:{name}" if _is_file(where) else reference


def short(reference: str) -> str:
    """Return a short name: the function's name for a function in a file, the full reference for one in a module.

    reference: FILE.py:FUNCTION or PACKAGE.MODULE:FUNCTION.
    """
    where, _, name = reference.rpartition(":")
    return name if _is_file(where) else reference


def reference_for_messages(reference: str) -> str:
    """Return the reference for messages, with a path relative to the current folder if the file is inside it.

    reference: FILE.py:FUNCTION or PACKAGE.MODULE:FUNCTION.
    """
    where, _, name = reference.rpartition(":")
    if _is_file(where):
        near = os.path.relpath(where)
        where = where if near.startswith("..") else near
    return f"{where}:{name}"


def checksums(reference: str) -> dict[str, str]:
    """Return file -> SHA-256 of the code that the reference executes.

    For a file, these are the file and the files of its folder that it imports; for a module, its source file. For a
    module without a source file, the result is package -> version. It is empty if there is no such file or module.

    reference: FILE.py:FUNCTION with an absolute path, or PACKAGE.MODULE:FUNCTION.
    """
    where, _, _ = reference.rpartition(":")
    try:
        files = _with_siblings(Path(where)) if _is_file(where) else _source(where)
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    except OSError:
        return {}
    except ModuleNotFoundError:
        return _version(where)


def code(reference: str) -> str | None:
    """Return the checksum that represents the function's code in a run's identity.

    For one file it is the first digits of its SHA-256; for several files, of a SHA-256 over all of theirs. It is None
    if there is no such file or module.

    reference: as for `checksums`.
    """
    found = list(checksums(reference).values())
    if not found:
        return None
    whole = found[0] if len(found) == 1 else "\n".join(sorted(found))
    return whole[:DIGITS] if _hexadecimal(whole) else hashlib.sha256(whole.encode()).hexdigest()[:DIGITS]


def load(reference: str, expected: str | None = None) -> Callable:
    """Load the function that the reference names.

    reference: as for `checksums`.
    expected: the checksum that the code must have, as from `code`. None: any code.
    Raises UserError if there is no such file, module or function, if executing the file fails, or if the file has
        changed.
    """
    where, _, name = reference.rpartition(":")
    module = _module_of_file(reference, where, expected) if _is_file(where) else _module(reference, where)
    function = getattr(module, name, None)
    if not callable(function):
        own = {key: value for key, value in vars(module).items() if callable(value) and not key.startswith("_")}
        choices = [key for key, value in own.items() if getattr(value, "__module__", None) == module.__name__]
        raise unknown(f"function in {reference_for_messages(reference).rpartition(':')[0]}", name, choices)
    return function


def offered(group: str) -> dict[str, EntryPoint]:
    """Return name -> entry point of the functions that installed packages offer for a config group.

    group: config group, such as method.
    Raises UserError if two packages offer different functions under one name.
    """
    name = GROUPS[group].entry_points
    return _offered(name, tuple(sys.path)) if name else {}


def entry_reference(entry: EntryPoint) -> str:
    """Return the reference PACKAGE.MODULE:FUNCTION of an entry point.

    entry: the entry point of an installed package.
    """
    return f"{entry.module}:{entry.attr}"


def provenance(functions: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return key -> description of each of the user's own functions in a configuration, with full SHA-256 of each file.

    functions: (key, configuration at that key) of all functions that a configuration names, mixbench's own included.
    """
    found: dict[str, Any] = {}
    for key, cfg in functions:
        if is_own(cfg):
            where, _, name = cfg["function"].rpartition(":")
            function = f"{Path(where).name}:{name}" if _is_file(where) else cfg["function"]
            sums = _sums.get((where, cfg["code"])) or checksums(cfg["function"])
            found[key] = {"function": function, "code": cfg["code"], "files": sums}
    return found


def is_own(cfg: Mapping[str, Any]) -> bool:
    """Whether a group's configuration names a user's own function instead of one of mixbench's.

    cfg: configuration of the group.
    """
    return cfg.get("function") is not None


def reason(error: BaseException) -> str:
    """Return an exception raised by a user's code as one line.

    error: what importing or calling the code raised.
    """
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


@lru_cache(maxsize=16)
def _offered(entry_group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Return name -> entry point of an entry point group. path: sys.path, so that a change of it is noticed."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=entry_group):
        other = found.setdefault(entry.name, entry)
        if other.value != entry.value:
            raise UserError(
                f"two installed packages offer {entry_group} {entry.name}: {other.value} and {entry.value}; remove one"
            )
    return found


def _is_file(where: str) -> bool:
    return where.endswith(".py")


def _hexadecimal(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _with_siblings(path: Path) -> dict[str, Path]:
    """Return name -> path of a file and of the files of its folder that it imports, directly or indirectly."""
    found, waiting = {path.name: path}, [path]
    while waiting:
        for name in _imported(waiting.pop()):
            package = path.parent / name
            below = sorted(package.rglob("*.py")) if (package / "__init__.py").is_file() else []
            for file in below or [path.parent / f"{name}.py"]:
                key = file.relative_to(path.parent).as_posix()
                if key not in found and file.is_file():
                    found[key] = file
                    waiting.append(file)
    return found


def _imported(path: Path) -> set[str]:
    """Return the top-level names of the modules that a file imports; none if the file is not valid Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names


def _source(module: str) -> dict[str, Path]:
    """Return name -> path of a module's source. Raises ModuleNotFoundError if there is no such module or no source."""
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # raised by a parent package, which find_spec executes
        raise ModuleNotFoundError(module) from error
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise ModuleNotFoundError(module)
    return {Path(spec.origin).name: Path(spec.origin)}


def _version(module: str) -> dict[str, str]:
    """Return distribution -> version for the distributions that a module belongs to."""
    try:
        if importlib.util.find_spec(module) is None:
            return {}
        return {name: version(name) for name in packages_distributions().get(module.partition(".")[0], ())}
    except (ImportError, PackageNotFoundError, ValueError):
        return {}


def _module(reference: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise UserError(
                f"function={reference}: no module {error.name!r}; install its package, or name a file, as in FILE.py:"
                f"{reference.rpartition(':')[2]}"
            ) from error
        raise UserError(f"function={reference}: importing it fails ({reason(error)})") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"function={reference}: importing it fails ({reason(error)})") from error


def _module_of_file(reference: str, where: str, expected: str | None) -> ModuleType:
    if expected is not None and (where, expected) in _loaded:
        return _loaded[where, expected]
    path, shown = Path(where), reference_for_messages(reference).rpartition(":")[0]
    if not path.is_file():
        raise UserError(f"{shown}: no such file; write function: FILE.py:FUNCTION, with FILE relative to the YAML file")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UserError(f"{shown}: cannot be read ({error.strerror or error})") from error
    checksum = code(reference) or ""
    if expected is not None and checksum != expected:
        raise UserError(f"{shown}: was edited after the command started; run the command again")
    if (where, checksum) not in _loaded:
        _loaded[where, checksum] = _executed(path, source, shown, checksum)
        _sums[where, checksum] = checksums(reference)
    return _loaded[where, checksum]


def _executed(path: Path, source: bytes, shown: str, checksum: str) -> ModuleType:
    """Execute a file, with its folder importable, and return its module. Raises UserError if it fails."""
    unique = hashlib.sha256(f"{path}\n{checksum}".encode()).hexdigest()[:DIGITS]
    name = f"mixbench_own_{unique}_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    before, no_bytecode = set(sys.modules), sys.dont_write_bytecode
    sys.modules[name] = module  # dataclasses and pickle look here
    sys.path.insert(0, str(path.parent))
    sys.dont_write_bytecode = True  # the folder belongs to the user, so nothing is written there
    importlib.invalidate_caches()
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
    except SyntaxError as error:
        sys.modules.pop(name, None)
        where = shown if error.filename in (None, str(path)) else error.filename  # or an imported file of the folder
        line = f", line {error.lineno}" if error.lineno else ""
        raise UserError(f"{where}{line}: is not valid Python ({error.msg})") from error
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise UserError(f"{shown}{_line(error, path)}: executing it fails ({reason(error)})") from error
    finally:
        sys.dont_write_bytecode = no_bytecode
        sys.path.remove(str(path.parent))
        for other in set(sys.modules) - before - {name}:  # another folder may have different files of the same names
            file = getattr(sys.modules[other], "__file__", None)
            if file and Path(file).is_relative_to(path.parent):
                del sys.modules[other]
    return module


def _line(error: BaseException, path: Path) -> str:
    """Return the line of the file that raised the error, such as `, line 3`."""
    lines, frame = [], error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == str(path):
            lines.append(frame.tb_lineno)
        frame = frame.tb_next
    return f", line {lines[-1]}" if lines else ""
