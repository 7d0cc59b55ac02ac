"""Files: read only where they are files of a bearable size, written whole or not at all. No torch."""

import contextlib
import errno
import io
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from mixbench.core.errors import CannotWrite, UserError

LARGEST_TEXT = 2**26  # bytes of a history, or of another text that is read whole
LARGEST_JSON = 2**23  # in memory it takes up to 30 times as much; the metrics of 100,000 classes are a quarter of it
LARGEST_YAML = 2**20  # PyYAML reads some 100 kB a second
# The disk is full, broken or may only be read: nobody's mistake, and the next file fares no better.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
# What a write leaves where its process is killed: `.NAME.PROCESS.RANDOM.mixbench`, and once `.NAME.PROCESS`.
TEMPORARY = re.compile(
    r"\..*\.(?P<process>\d+)\.[0-9a-f]{8}\.mixbench|\..+\.(?:csv|html|json|md|npz|png|pt|svg|yaml|zip)\.(?P<old>\d+)"
)


# Reading


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises OSError, and ValueError where it is none: a FIFO would be waited for for ever."""
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            raise ValueError(f"{os.path.basename(path)} is not a file") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ValueError(f"{os.path.basename(path)} is not a file")
        return open(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_bytes(path: Path, most: int = LARGEST_TEXT) -> bytes:
    """Raises OSError, and ValueError where it is no file or larger than `most` bytes."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError(f"{os.path.basename(path)} has {size:,} bytes, more than any such file")
        return file.read()


def read_text(path: Path, most: int = LARGEST_TEXT) -> str:
    """As read_bytes; ValueError also where it is no UTF-8."""
    return read_bytes(path, most).decode("utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Raises OSError, and ValueError where the file is not a JSON object."""
    return parse_json(read_text(path, LARGEST_JSON), path.name)


def parse_json(text: str, name: str) -> dict[str, Any]:
    """The JSON object of a text. name: of the file that it is from. Raises ValueError where it is none."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{name} is nested too deep") from error
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not a JSON object")
    return value


class _WithoutAliases(yaml.SafeLoader):
    """A few lines of aliases stand for billions of values; no file that mixbench wrote has any."""

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases")
        return super().compose_node(parent, index)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text that mixbench wrote. Raises ValueError where it is none, or too large."""
    if len(text) > LARGEST_YAML:
        raise ValueError("it is too large")
    try:
        return yaml.load(text, _WithoutAliases)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError("it is no YAML") from error


# Writing


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise CannotWrite, which names the file or folder, in place of an OSError."""
    try:
        yield
    except CannotWrite:
        raise
    except OSError as error:
        raise CannotWrite(error.errno, error.strerror or str(error), str(path)) from error


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    write(path, lambda file: file.write(text.encode()))


def write(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    """Write a file whole or not at all: fill a temporary one beside it, flush it to the disk, rename it.

    Raises CannotWrite, and what `fill` raises.
    """
    with _temporary(path, fill) as temporary, writing(path):
        os.replace(temporary, path)


def write_all(contents: Mapping[Path, str | bytes], without: Iterable[Path] = ()) -> list[Path]:
    """Write files that belong together, with their folders: all are on the disk before the first gets its name.

    Where one cannot be written all old files stay. without: files that go when the new ones are there. Returns the
    paths that were written. Raises CannotWrite.
    """
    with contextlib.ExitStack() as stack:
        temporaries = []
        for path, content in contents.items():
            stack.enter_context(folder_for(path))
            data = content.encode() if isinstance(content, str) else content
            temporaries.append(stack.enter_context(_temporary(path, lambda file, data=data: file.write(data))))
            if path.is_dir():
                raise CannotWrite(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        for temporary, path in zip(temporaries, contents, strict=True):
            with writing(path):
                os.replace(temporary, path)
    for path in without:
        with writing(path):
            path.unlink(missing_ok=True)
    return list(contents)


class _Target(io.FileIO):
    """Keeps the reason why it could not be written: torch raises one of its own, which does not tell it."""

    failure: OSError | None = None
    given_up = False

    def write(self, data: Any) -> int:
        if self.given_up:  # closing a buffer would write the rest of it
            return len(data)
        try:
            return os.write(self.fileno(), data)
        except OSError as error:
            self.failure = error
            raise


@contextmanager
def _temporary(path: Path, fill: Callable[[BinaryIO], Any]) -> Iterator[Path]:
    """A filled file beside `path`, on the disk; the body may rename it, and else it is removed."""
    temporary = path.with_name(f".{path.name[:40]}.{os.getpid()}.{secrets.token_hex(4)}.mixbench")
    try:
        with writing(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            target = _Target(os.open(temporary, flags, 0o666), "wb")
        _fill(path, target, fill)
        yield temporary
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _fill(path: Path, target: _Target, fill: Callable[[BinaryIO], Any]) -> None:
    with contextlib.closing(io.BufferedWriter(target)) as file:
        try:
            fill(file)
            with writing(path):
                file.flush()
                os.fsync(file.fileno())
        except BaseException as error:
            target.given_up = True
            if target.failure is None or not isinstance(error, Exception):
                raise
            with writing(path):
                raise target.failure from None
        if target.failure is not None:  # `fill` went on without what could not be written
            with writing(path):
                raise target.failure


@contextmanager
def folder_for(path: Path) -> Iterator[None]:
    """Make the folder of a file, with those above it; what was made goes again where the body fails."""
    missing = [folder for folder in path.parents if not folder.is_dir()]
    made = []
    try:
        for folder in reversed(missing):
            with writing(folder):
                folder.mkdir(exist_ok=True)
            made.append(folder)
        yield
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # it may hold other files meanwhile
                folder.rmdir()
        raise


def check_writable(folder: Path, key: str) -> None:
    """Try whether files can be written below `folder`, which need not be there; leaves nothing behind.

    key: the option that names the folder. Raises UserError where it names no such place, CannotWrite where the disk is
    full or broken.
    """
    try:
        existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not existing.is_dir():
            raise NotADirectoryError(f"{existing} is not a folder")
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        if error.errno in NO_ROOM - {errno.EROFS}:
            raise CannotWrite(error.errno, error.strerror, str(folder)) from error
        raise UserError(f"{key}={folder}: cannot be written ({error.strerror or error})") from error


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; of a link the link alone. Raises CannotWrite."""
    with writing(path):
        if os.path.islink(path) or not os.path.isdir(path):
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)


# What killed processes left


def writer(name: str) -> int | None:
    """The number of the process that made the temporary file of this name; None where it is no such file."""
    fits = TEMPORARY.fullmatch(name)
    return None if fits is None else int(fits["process"] or fits["old"])


def is_alive(process: int) -> bool:
    """Whether a process of that number runs on this machine; True where the system does not tell."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True
