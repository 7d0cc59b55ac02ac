"""Safe file access: reads only regular files of a limited size, writes a file completely or not at all. No torch."""

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

LARGEST_TEXT = 2**26  # bytes; limit for a history or another text that is read completely
LARGEST_JSON = 2**23  # bytes; takes up to 30 times as much in memory. Metrics of 100,000 classes need a quarter of it
LARGEST_YAML = 2**20  # characters; PyYAML reads about 100 kB per second
# The disk is full, broken or read-only. This is not the user's mistake, and writing another file would fail too.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}
# Files left behind if the process is killed while it writes: `.NAME.PROCESS.RANDOM.mixbench`, formerly `.NAME.PROCESS`.
TEMPORARY = re.compile(
    r"\..*\.(?P<process>\d+)\.[0-9a-f]{8}\.mixbench|\..+\.(?:csv|html|json|md|npz|png|pt|svg|yaml|zip)\.(?P<old>\d+)"
)


# Reading


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    path: the file.
    Raises OSError, and ValueError for anything that is not a regular file: a FIFO could block forever.
    """
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
    """Read a file.

    path: the file.
    most: largest size in bytes.
    Raises OSError, and ValueError if it is not a regular file or is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError(f"{os.path.basename(path)} has {size:,} bytes; at most {most:,} are read")
        return file.read()


def read_text(path: Path, most: int = LARGEST_TEXT) -> str:
    """Read a UTF-8 text file.

    path: the file.
    most: largest size in bytes.
    Raises the errors of read_bytes, and ValueError if the text is not UTF-8.
    """
    return read_bytes(path, most).decode("utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    path: the file.
    Raises OSError, and ValueError if the file does not hold a JSON object.
    """
    return parse_json(read_text(path, LARGEST_JSON), path.name)


def parse_json(text: str, name: str) -> dict[str, Any]:
    """Parse a text that holds a JSON object.

    text: the content of a file.
    name: the name of its file, for messages.
    Raises ValueError if the text does not hold a JSON object.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{name} is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not a JSON object")
    return value


class _WithoutAliases(yaml.SafeLoader):
    """Rejects aliases: a few lines of them can expand to billions of values. mixbench never writes any."""

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases")
        return super().compose_node(parent, index)


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML text that mixbench wrote.

    text: the content of a file, without aliases.
    Raises ValueError if it is not YAML or is too large.
    """
    if len(text) > LARGEST_YAML:
        raise ValueError("it is too large")
    try:
        return yaml.load(text, _WithoutAliases)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError("it is not valid YAML") from error


# Writing


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError in the body into CannotWrite.

    path: the file or folder that the message names.
    """
    try:
        yield
    except CannotWrite:
        raise
    except OSError as error:
        raise CannotWrite(error.errno, error.strerror or str(error), str(path)) from error


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object to a file, completely or not at all.

    path: the file to write.
    value: without NaN and infinity.
    Raises CannotWrite, and ValueError for NaN and infinity.
    """
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text to a file in UTF-8, completely or not at all.

    path: the file to write.
    text: its content.
    Raises CannotWrite.
    """
    write(path, lambda file: file.write(text.encode()))


def write(path: Path, fill: Callable[[BinaryIO], Any]) -> None:
    """Write a file completely or not at all.

    A temporary file in the same folder is filled, flushed to the disk and then renamed.
    path: the file to write.
    fill: writes the content to an open binary file.
    Raises CannotWrite, and whatever `fill` raises.
    """
    with _temporary(path, fill) as temporary, writing(path):
        os.replace(temporary, path)


def write_all(contents: Mapping[Path, str | bytes], without: Iterable[Path] = ()) -> list[Path]:
    """Write files that belong together, and create their folders.

    All contents are on the disk before the first file gets its name. If one cannot be written, all old files stay.
    contents: path -> content of the file.
    without: files to delete once the new ones are in place.
    Returns the paths that were written.
    Raises CannotWrite.
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
    """A file that remembers why writing to it failed; torch raises its own error, which hides the reason."""

    failure: OSError | None = None
    given_up = False

    def write(self, data: Any) -> int:
        if self.given_up:  # closing the buffer would write the rest of its content
            return len(data)
        try:
            return os.write(self.fileno(), data)
        except OSError as error:
            self.failure = error
            raise


@contextmanager
def _temporary(path: Path, fill: Callable[[BinaryIO], Any]) -> Iterator[Path]:
    """Yield a filled temporary file in the folder of `path`, flushed to the disk. It is removed unless renamed."""
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
        if target.failure is not None:  # `fill` ignored the failed write
            with writing(path):
                raise target.failure


@contextmanager
def folder_for(path: Path) -> Iterator[None]:
    """Create the folder of a file and its parents. Folders created here are removed again if the body fails.

    path: the file that the body writes.
    Raises CannotWrite if a folder cannot be created.
    """
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
            with contextlib.suppress(OSError):  # other files may have been added in the meantime
                folder.rmdir()
        raise


def check_writable(folder: Path, key: str) -> None:
    """Check that files can be written below a folder, which need not exist yet. Leaves nothing behind.

    folder: the folder to check.
    key: the option that names the folder, for messages.
    Raises UserError if files cannot be written there, and CannotWrite if the disk is full or broken.
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
    """Remove a file, or a folder and its contents. Of a link, only the link is removed.

    path: the file or folder. If there is none, nothing happens.
    Raises CannotWrite.
    """
    with writing(path):
        if os.path.islink(path) or not os.path.isdir(path):
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)


# Temporary files of killed processes


def writer(name: str) -> int | None:
    """Return the id of the process that made the temporary file of this name; None for any other file.

    name: name of a file, without its folder.
    """
    fits = TEMPORARY.fullmatch(name)
    return None if fits is None else int(fits["process"] or fits["old"])


def is_alive(process: int) -> bool:
    """Whether a process with this id runs on this machine; True if the system does not tell.

    process: id of the process.
    """
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # the process belongs to another user
        return True
    return True
