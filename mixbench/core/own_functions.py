"""A user's own functions: found by FILE.py:FUNCTION or PACKAGE.MODULE:FUNCTION, checksummed and loaded. No torch."""

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

DIGITS = 12  # hexadecimal, of a SHA-256: what a run's identity holds of the code
FORMS = "must be FILE.py:FUNCTION or PACKAGE.MODULE:FUNCTION"

# By file and checksum: a file is executed once in a process, and what was executed stays known when it is edited.
_loaded: dict[tuple[str, str], ModuleType] = {}
_sums: dict[tuple[str, str], dict[str, str]] = {}


def located(reference: Any, folder: Path, key: str) -> str:
    """The reference with the absolute path of its file.

    reference: what a YAML file says. folder: of that YAML file. key: where it stands, for errors.
    Raises UserError where it is neither of FORMS.
    """
    if not isinstance(reference, str) or not all(part.strip() for part in reference.rpartition(":")):
        raise UserError(f"{key}={reference}: {FORMS}, as in halves.py:halves")
    where, _, name = reference.rpartition(":")
    if not name.isidentifier() or not (_is_file(where) or all(map(str.isidentifier, where.split(".")))):
        raise UserError(f"{key}={reference}: {FORMS}, as in halves.py:halves")
    return f"{os.path.abspath(folder / Path(where).expanduser())}:{name}" if _is_file(where) else reference


def short(reference: str) -> str:
    """The reference without where a file lies: the function's name alone; of a module's the whole."""
    where, _, name = reference.rpartition(":")
    return name if _is_file(where) else reference


def told(reference: str) -> str:
    """The reference as messages show it: a path relative to the current folder where it lies below."""
    where, _, name = reference.rpartition(":")
    if _is_file(where):
        near = os.path.relpath(where)
        where = where if near.startswith("..") else near
    return f"{where}:{name}"


def checksums(reference: str) -> dict[str, str]:
    """File -> SHA-256 of what the reference executes: the file and what it imports of its folder, or a module's source.

    Of a module without a source file: the package -> its version. Empty where there is no such file or module.
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
    """The checksum that stands for the function's code in a run's identity; None where there is no such file or module.

    Of one file the first digits of its SHA-256, of several those of the SHA-256 over all of them.
    """
    found = list(checksums(reference).values())
    if not found:
        return None
    whole = found[0] if len(found) == 1 else "\n".join(sorted(found))
    return whole[:DIGITS] if _hexadecimal(whole) else hashlib.sha256(whole.encode()).hexdigest()[:DIGITS]


def load(reference: str, expected: str | None = None) -> Callable:
    """The function that the reference names.

    expected: the checksum of the code that is wanted, as from `code`; None takes what is there.
    Raises UserError where there is no such file, module or function, where executing the file fails, and where the
    file holds other code by now.
    """
    where, _, name = reference.rpartition(":")
    module = _module_of_file(reference, where, expected) if _is_file(where) else _module(reference, where)
    function = getattr(module, name, None)
    if not callable(function):
        own = {key: value for key, value in vars(module).items() if callable(value) and not key.startswith("_")}
        choices = [key for key, value in own.items() if getattr(value, "__module__", None) == module.__name__]
        raise unknown(f"function in {told(reference).rpartition(':')[0]}", name, choices)
    return function


def offered(group: str) -> dict[str, EntryPoint]:
    """Name -> the entry point of an installed package that offers a function for a config group.

    Raises UserError where two packages offer different functions under one name.
    """
    name = GROUPS[group].entry_points
    return _offered(name, tuple(sys.path)) if name else {}


def entry_reference(entry: EntryPoint) -> str:
    """PACKAGE.MODULE:FUNCTION of an entry point."""
    return f"{entry.module}:{entry.attr}"


def provenance(functions: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Key -> the own function at that key of a configuration, with the full SHA-256 of each file; empty without any.

    functions: (key, what stands there) of what a configuration names, mixbench's functions included.
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
    """Whether a group's configuration names a user's own function, not one of mixbench's tables."""
    return cfg.get("function") is not None


def reason(error: BaseException) -> str:
    """An exception of a user's code on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


@lru_cache(maxsize=16)
def _offered(entry_group: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """path: sys.path, on which installed packages are found."""
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
    """Name -> path of the file and of those in its folder that it imports, directly or through one another."""
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
    """The first names of the modules that a file imports; none where it is not Python."""
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
    """Raises ModuleNotFoundError where there is no such module, or it has no source file."""
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # of the packages above it, which are executed
        raise ModuleNotFoundError(module) from error
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise ModuleNotFoundError(module)
    return {Path(spec.origin).name: Path(spec.origin)}


def _version(module: str) -> dict[str, str]:
    """The distribution that a module belongs to -> its version."""
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
    path, shown = Path(where), told(reference).rpartition(":")[0]
    if not path.is_file():
        raise UserError(f"{shown}: no such file; function is FILE.py:FUNCTION, the file relative to its YAML file")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UserError(f"{shown}: cannot be read ({error.strerror or error})") from error
    there = code(reference) or ""
    if expected is not None and there != expected:
        raise UserError(f"{shown}: was edited after the command began; give the command again")
    if (where, there) not in _loaded:
        _loaded[where, there] = _executed(path, source, shown, there)
        _sums[where, there] = checksums(reference)
    return _loaded[where, there]


def _executed(path: Path, source: bytes, shown: str, checksum: str) -> ModuleType:
    """The module of a file, executed with its folder importable. Raises UserError where that fails."""
    unique = hashlib.sha256(f"{path}\n{checksum}".encode()).hexdigest()[:DIGITS]
    name = f"mixbench_own_{unique}_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    before, no_bytecode = set(sys.modules), sys.dont_write_bytecode
    sys.modules[name] = module  # where dataclasses and pickle look
    sys.path.insert(0, str(path.parent))
    sys.dont_write_bytecode = True  # the folder is the user's: nothing is written there
    importlib.invalidate_caches()
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
    except SyntaxError as error:
        sys.modules.pop(name, None)
        where = shown if error.filename in (None, str(path)) else error.filename  # or a sibling's
        line = f", line {error.lineno}" if error.lineno else ""
        raise UserError(f"{where}{line}: is not Python ({error.msg})") from error
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        raise UserError(f"{shown}{_line(error, path)}: executing it fails ({reason(error)})") from error
    finally:
        sys.dont_write_bytecode = no_bytecode
        sys.path.remove(str(path.parent))
        for other in set(sys.modules) - before - {name}:  # siblings: another folder may have others of their names
            file = getattr(sys.modules[other], "__file__", None)
            if file and Path(file).is_relative_to(path.parent):
                del sys.modules[other]
    return module


def _line(error: BaseException, path: Path) -> str:
    """Such as `, line 3`: where in the file the error came up."""
    lines, frame = [], error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == str(path):
            lines.append(frame.tb_lineno)
        frame = frame.tb_next
    return f", line {lines[-1]}" if lines else ""
