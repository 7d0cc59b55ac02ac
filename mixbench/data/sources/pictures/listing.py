"""Find the pictures of a data set and their labels, without opening them."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mixbench.core.errors import UserError
from mixbench.data.sources.parts import TRAIN, part_of
from mixbench.data.sources.pictures.decoding import SUFFIXES

MOST_CLASSES = 10_000  # a folder with more is not a folder of classes
LAYOUT = "a folder for each class with its pictures in it, or train and test folders that hold such class folders"


@dataclass(frozen=True)
class Picture:
    """A picture of the data set.

    file: path of the file.
    name: the path within the data set, by which messages and reports name it.
    label: number of its class.
    part: `train`, `val`, `test` or `test-NAME`.
    group: what pictures have in common that must not be in both training and evaluation; None: nothing.
    """

    file: Path
    name: str
    label: int
    part: str
    group: str | None = None


@dataclass(frozen=True)
class Listing:
    """The pictures of a data set.

    pictures: in the order of the data set.
    classes: names of the classes, in the order of the labels.
    skipped: names of files that are left out, with the reason.
    """

    pictures: list[Picture]
    classes: list[str]
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def has(self, part: str) -> bool:
        """Whether there is a picture of a part.

        part: as of a picture.
        """
        return any(picture.part == part for picture in self.pictures)


def list_folder(path: str) -> Listing:
    """List the pictures of a folder of class folders, or of train, val and test folders that hold class folders.

    Test folders can have names of their own, such as test-siteB.

    Each class folder may have folders of its own. Hidden files and folders are left out, and so are files whose suffix
    is not that of a picture. Links that lead out of the folder are skipped, and no folder that is a link is entered.

    The order of the pictures is random, but fixed by their names, so that a new picture changes the order of no others.

    path: the folder, as the user gives it.
    Raises UserError if it is not such a folder.
    """
    root = Path(os.path.expanduser(path))
    if not root.is_dir():
        what = "is a file, must be a folder" if root.is_file() else "no such folder"
        remedy = "; for an archive use dataset=npz, for a table of paths dataset=csv" if root.is_file() else ""
        raise UserError(f"dataset.path={path}: {what}{remedy or '; correct the path'}")
    folders = _folders(path, root)
    parts = _parts(path, folders)
    found = []
    skipped = _loose(root, root)
    if not parts:
        classes = [folder.name for folder in folders]
        for folder in folders:
            found += [(file, folder.name, TRAIN) for file in _files(root, folder, skipped)]
    else:
        inside = {part: _folders(path, folder) for part, folder in parts.items()}
        for folder in parts.values():
            skipped += _loose(root, folder)
        classes = sorted({folder.name for folder in inside[TRAIN]})
        for part, its_folders in inside.items():
            for folder in its_folders:
                if folder.name not in classes:
                    raise UserError(
                        f"dataset.path={path}: {folder.parent.name}/{_shown(folder.name)} has no training pictures, "
                        f"because there is no {parts[TRAIN].name}/{_shown(folder.name)}; add that folder or remove "
                        "this one"
                    )
                found += [(file, folder.name, part) for file in _files(root, folder, skipped)]
    if not any(part == TRAIN for _, _, part in found):
        raise UserError(f"dataset.path={path}: has no pictures in class folders; it must be {LAYOUT}")
    empty = sorted(set(classes) - {name for _, name, part in found if part == TRAIN})
    if empty:
        skipped += [(name, "a class folder without pictures") for name in empty]
        classes = [name for name in classes if name not in empty]
    number = {name: k for k, name in enumerate(sorted(classes))}
    pictures = [Picture(file, _name(root, file), number[name], part) for file, name, part in found if name in number]
    pictures.sort(key=lambda picture: (hashlib.sha256(os.fsencode(picture.name)).digest(), picture.name))
    return Listing(pictures, sorted(classes), skipped)


def _folders(path: str, root: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name. Raises UserError if there are none, or it cannot be read."""
    try:
        with os.scandir(root) as entries:
            there = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"dataset.path={path}: cannot be read ({error.strerror})") from error
    folders = sorted(Path(entry.path) for entry in there if entry.is_dir(follow_symlinks=False))
    if not folders:
        files = sum(Path(entry.name).suffix.lower() in SUFFIXES for entry in there)
        what = f"has {files:,} pictures, but no class folders" if files else "has no class folders"
        table = "; if a table has their labels, use dataset=csv" if files else ""
        raise UserError(f"dataset.path={path}: {what}; it must be {LAYOUT}{table}")
    if len(folders) > MOST_CLASSES:
        raise UserError(f"dataset.path={path}: has {len(folders):,} folders; it must be {LAYOUT}")
    return folders


def _loose(root: Path, folder: Path) -> list[tuple[str, str]]:
    """Return the pictures beside the class folders, which have no label, with the reason why they are left out."""
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if not e.name.startswith(".") and not e.is_dir())
    loose = [name for name in names if Path(name).suffix.lower() in SUFFIXES]
    return [(_name(root, folder / name), "in no class folder") for name in loose]


def _parts(path: str, folders: Sequence[Path]) -> dict[str, Path]:
    """Return part -> folder if the folders are train, val and test folders; otherwise nothing.

    Raises UserError if two of them are the same part.
    """
    named = [(part_of(folder.name), folder) for folder in folders]
    parts = {part: folder for part, folder in named if part is not None}
    if TRAIN not in parts or any(part is None for part, _ in named):
        return {}
    for part, folder in named:
        if part is not None and parts[part] != folder:
            raise UserError(
                f"dataset.path={path}: {_shown(folder.name)} and {_shown(parts[part].name)} are both the part {part}; "
                "rename one"
            )
    return parts


def _files(root: Path, folder: Path, skipped: list[tuple[str, str]]) -> Iterator[Path]:
    """Yield the pictures below a class folder, and add what is left out to `skipped`."""
    inside = root.resolve()
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in list(folders):
            if Path(parent, name).is_symlink():
                folders.remove(name)
                skipped.append((_name(root, Path(parent, name)), "a link to a folder"))
        for name in sorted(names):
            file = Path(parent, name)
            if name.startswith(".") or file.suffix.lower() not in SUFFIXES:
                if not name.startswith("."):
                    skipped.append((_name(root, file), f"{file.suffix or 'no suffix'} is not the suffix of a picture"))
            elif file.is_symlink() and not file.resolve().is_relative_to(inside):
                skipped.append((_name(root, file), "a link that leads out of the folder"))
            elif not file.is_file():
                skipped.append((_name(root, file), "not a file"))
            else:
                yield file


def _name(root: Path, file: Path) -> str:
    """Return the path within the data set. Bytes that are no UTF-8 are written as \\xNN, so that it can be stored."""
    return os.fsencode(file.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def _shown(name: str) -> str:
    """Return a name without line breaks and other characters that could disturb a message."""
    return name if name.isprintable() else repr(name)
