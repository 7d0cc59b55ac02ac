"""Turn the path of a user's own data into settings that fit the data and this machine."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from mixbench import data
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.overrides import parse, quoted, values
from mixbench.core.errors import UserError
from mixbench.data.sources.parts import GIVEN, TEST
from mixbench.runs.datasets import Datasets

ALL = "all"  # the value of n that means all training images
METHODS = "none,mixup,cutmix"
LEARNING_RATE = 0.1  # of configs/train, for batches of 128 images
CHECKSUM = 6  # digits of it in a name
SAMPLE = 200  # pictures whose size is looked at
SUFFIXES = {".csv": "csv", ".tsv": "csv", ".npz": "npz"}  # of files -> how they are read


@dataclass(frozen=True)
class Machine:
    """What own data are trained with on one kind of device.

    It depends on nothing else, so that a command that was stopped resumes.

    side: pixels of a side of pictures that are at least as large.
    width: model.width.
    passes: how often each training image is seen, as long as the number of all images seen is from `least` to `most`.
    least, most: images seen in a run.
    batch, batch_below, small_batch: images in a batch, and in one where there are fewer than `batch_below` images.
    """

    side: int
    width: int
    passes: int
    least: int
    most: int
    batch: int = 128
    batch_below: int = 1000
    small_batch: int = 32


# On a CPU, a run of a few hundred images takes less than a minute, and one of thousands a few minutes.
CPU = Machine(side=32, width=16, passes=40, least=6_400, most=64_000)
CUDA = Machine(side=64, width=64, passes=200, least=100_000, most=2_000_000)


def source_of(path: str) -> str | None:
    """Return how a path is read: folder, csv or npz. None: it is no path of data.

    path: a word of a command.
    Raises UserError for a path that does not exist, and for a file of another kind.
    """
    there = Path(os.path.expanduser(path))
    if there.is_dir():
        return "folder"
    kind = SUFFIXES.get(there.suffix.lower())
    if there.exists():
        if kind is None:
            raise UserError(
                f"{path}: is a file, but no data; give a folder of class folders, a .csv or .tsv table or an .npz file"
            )
        return kind
    if kind is not None or "/" in path or os.sep in path:
        raise UserError(f"{path}: no such file or folder; correct the path")
    return None


@dataclass(frozen=True)
class Fitted:
    """The words that study own data on this machine, and what a user should know of them.

    words: KEY=VALUE texts.
    name: dataset.name of the runs.
    lines: lines on what was found and what was chosen.
    free: number of training images that are not held out.
    sizes: the values of n.
    """

    words: list[str]
    name: str
    lines: list[str]
    free: int
    sizes: list[int]


def only_all(free: int, classes: int) -> list[int]:
    """Return the number of training images that `decide` chooses: all of them.

    free: number of training images that are not held out.
    classes: number of classes.
    """
    return [free]


def of_data(composer: Composer, path: str, given: Sequence[str], datasets: Datasets) -> tuple[list[str], list[str]]:
    """Return the words that choose own data, and those that fit size and evaluation to them and to this machine.

    composer: composes configurations.
    path: a folder, table or archive.
    given: KEY=VALUE texts of the command. Their keys are not among the words.
    datasets: the data sets of the command.
    Raises UserError if the data cannot be used.
    """
    own = {override.key_or_group: override for override in parse(given)}
    if clash := {"dataset", "dataset.path"} & own.keys():
        raise UserError(f"{min(clash)}: {path} is the data set already; leave out one of them")
    source = source_of(path)
    if source is None:
        raise UserError(f"{path}: no such file or folder; correct the path")
    words = [f"dataset={source}", f"dataset.path={quoted(path)}"]
    chosen: list[str] = []
    if source != "npz":
        if "dataset.size" in own:
            side = int(values(own["dataset.size"])[-1])
        else:
            side = _side(composer, [*words, *_of_data(given)], _machine(own).side, datasets)
            chosen.append(f"dataset.size={side}")
        if "dataset.pad" not in own:
            chosen.append(f"dataset.pad={max(1, round(side / 8))}")
    if "eval" in own:
        evaluation = values(own["eval"])
    else:
        evaluation = [evaluated_on(composer, [*words, *chosen, *_of_data(given)], datasets)]
        chosen += [f"eval={kind}" for kind in evaluation if kind != TEST]
    if evaluation == ["stratified"] and "split_seed" not in own:
        chosen.append("split_seed=0")
    return words, chosen


def fitted(
    composer: Composer,
    path: str,
    given: Sequence[str],
    results_dir: str,
    datasets: Datasets,
    sizes: Callable[[int, int], list[int]] = only_all,
) -> Fitted:
    """Return the words that study own data on this machine. Keys that the user gives are left as they are.

    composer: composes configurations.
    path: a folder, table or archive.
    given: KEY=VALUE texts of the command, without results_dir.
    results_dir: folder of the results, in which decoded pictures are kept.
    datasets: the data sets of the command.
    sizes: number of training images that are not held out, number of classes -> the values of n, if none is given.
    Raises UserError if the data cannot be used.
    """
    words, chosen = of_data(composer, path, given, datasets)
    own = {override.key_or_group: override for override in parse(given)}
    machine = _machine(own)

    def choose(key: str, value: object) -> None:
        if key not in own:
            chosen.append(f"{key}={value}")

    place = f"results_dir={quoted(results_dir)}"
    of_data_alone = [*words, *chosen, *_of_data(given), place]
    numbers = [n for n in values(own["n"]) if isinstance(n, int)] if "n" in own else []
    # Pictures are decoded after this check, which needs their names alone.
    _check_sizes(path, numbers, _listed(composer, of_data_alone, datasets))
    loaded, free, cfg = _free(composer, of_data_alone, datasets)
    _check_sizes(path, numbers, free)  # without the damaged ones
    classes = len(np.unique(loaded.train_labels))
    if classes < 2:
        raise UserError(f"{path}: has one class; methods can only be compared where there are at least two")
    name = str(values(own["dataset.name"])[-1]) if "dataset.name" in own else name_of(loaded, cfg)
    choose("dataset.name", name)
    asked = [free if n == ALL else n for n in values(own["n"])] if "n" in own else sizes(free, classes)
    asked = [n for n in asked if isinstance(n, int)]
    largest = max(asked, default=free)
    choose("n", ",".join(map(str, asked)))
    choose("method", METHODS)
    choose("subset", "random")
    if not {"model", "model.width", "study"} & own.keys():
        choose("model.width", machine.width)
    if not {"train", "study"} & own.keys():
        batch = machine.batch if largest >= machine.batch_below else machine.small_batch
        choose("train.batch_size", batch)
        if batch != machine.batch and "train.batch_size" not in own:
            # In proportion to the batch. On 295 pictures of 3 classes, training with 0.1 ended at one class, with 0.025
            # it had 59 % right.
            choose("train.lr", f"{LEARNING_RATE * batch / machine.batch:g}")
        batch = int(values(own["train.batch_size"])[-1]) if "train.batch_size" in own else batch
        if "train.epochs" not in own:
            choose(
                "train.steps", max(1, round(min(max(machine.passes * largest, machine.least), machine.most) / batch))
            )
    lines = [
        f"{path}: {_described(loaded, free, cfg.eval)}",
        f"chosen for these data on this machine: {' '.join(chosen)}; to change one, add it to the command",
    ]
    return Fitted(with_all([*words, *chosen, *given], free), name, lines, free, asked)


def _machine(own: Mapping[str, Any]) -> Machine:
    from mixbench.training.device import choose_device

    device = str(values(own["device"])[-1]) if "device" in own else "auto"
    return CUDA if choose_device(device).type == "cuda" else CPU


def with_all(words: Sequence[str], free: int) -> list[str]:
    """Return words in which n=all is the number of training images.

    words: KEY=VALUE texts.
    free: number of images that can be trained on.
    """
    made = []
    for word in words:
        key, equals, value = word.partition("=")
        if key == "n":
            value = ",".join(str(free) if one.strip() == ALL else one for one in value.split(","))
        made.append(f"{key}{equals}{value}")
    return made


def asks_for_all(words: Sequence[str]) -> bool:
    """Whether a word is n=all, or n has `all` among its values.

    words: KEY=VALUE texts.
    """
    return any(
        word.partition("=")[0] == "n" and ALL in [one.strip() for one in word.partition("=")[2].split(",")]
        for word in words
    )


def resolved_all(
    composer: Composer, words: Sequence[str], datasets: Datasets, results_dir: str | None = None
) -> list[str]:
    """Return the words with n=all replaced by the number of images that can be trained on.

    composer: composes configurations.
    words: KEY=VALUE texts of a command.
    datasets: the data sets of the command.
    results_dir: folder of the results; None: the words may name it.
    Raises UserError if the words name several data sets or splits, whose numbers differ.
    """
    if not asks_for_all(words):
        return list(words)
    for override in parse([word for word in words if _is_of_data(word)]):
        if len(values(override)) > 1:
            raise UserError(f"n=all: {override.input_line} has several values, whose numbers of images can differ")
    place = [f"results_dir={quoted(results_dir)}"] if results_dir is not None else []
    return with_all(words, _free(composer, [*_of_data(words, groups=True), *place], datasets)[1])


def name_of(loaded: data.Dataset, cfg: DictConfig) -> str:
    """Return a name for own data that changes when they change: their default name and a part of their checksum.

    So runs on other pictures never count as runs on these, although the folder has the same name.

    loaded: the data set.
    cfg: the validated configuration of a run on it, with the default name.
    """
    return f"{cfg.dataset.name}-{loaded.train_sha256[:CHECKSUM]}"


def _is_of_data(word: str) -> bool:
    key = word.partition("=")[0]
    return key.partition(".")[0] == "dataset" or key in ("eval", "split_seed", "study", "results_dir")


def _of_data(words: Sequence[str], groups: bool = False) -> list[str]:
    """Return the words on data and evaluation; the choice of the data set itself only with `groups`."""
    return [word for word in words if _is_of_data(word) and (groups or word.partition("=")[0] != "dataset")]


def _free(composer: Composer, words: Sequence[str], datasets: Datasets) -> tuple[data.Dataset, int, DictConfig]:
    """Return the data set, the number of its images that can be trained on, and the configuration of a run on it."""
    cfg = job(composer.compose([*words, "n=1"])).cfg
    loaded = datasets.load(cfg)
    return loaded, int(data.available(loaded, cfg)), cfg


def _listed(composer: Composer, words: Sequence[str], datasets: Datasets) -> int:
    """Return the number of images that can be trained on if all picture files can be decoded."""
    cfg = job(composer.compose([*words, "n=1"])).cfg
    return int(data.available(datasets.labels(cfg), cfg))


def _check_sizes(path: str, sizes: Sequence[int], free: int) -> None:
    if max(sizes, default=0) > free:
        raise UserError(
            f"n={max(sizes)}: {path} has only {free:,} images to train on, besides those for evaluation; n=all takes "
            "all of them"
        )


def evaluated_on(composer: Composer, words: Sequence[str], datasets: Datasets) -> str:
    """Return the value of the key `eval` that fits data: test, or val without test images, or stratified without both.

    composer: composes configurations.
    words: KEY=VALUE texts that choose the data.
    datasets: the data sets of the command.
    Raises UserError if the data cannot be used.
    """
    for part in GIVEN:
        try:
            if datasets.labels(job(composer.compose([*words, f"eval={part}"])).cfg).given(part) is not None:
                return part
        except UserError as error:
            if f"eval={part}" not in str(error):  # what an archive without arrays of the part is refused with
                raise
    return "stratified"


def _side(composer: Composer, words: Sequence[str], most: int, datasets: Datasets) -> int:
    """Return the size to which pictures are scaled: that of a typical one, but at most `most` pixels."""
    from PIL import Image

    listing = datasets.labels(job(composer.compose(words)).cfg).listing
    assert listing is not None  # these are picture files
    sides = []
    for picture in listing.pictures[:: max(1, len(listing.pictures) // SAMPLE)]:
        try:
            with Image.open(picture.file) as opened:
                sides.append(min(opened.size))
        except Exception:  # whoever decodes it tells why
            continue
    return int(min(most, max(8, np.median(sides)))) if sides else most


def _described(loaded: data.Dataset, free: int, evaluation: str) -> str:
    total = len(loaded.train_labels)
    counts = np.bincount(loaded.train_labels, minlength=loaded.num_classes)
    names = loaded.class_names or [f"class {k}" for k in range(loaded.num_classes)]
    shown = ", ".join(f"{name} {count:,}" for name, count in zip(names[:10], counts[:10], strict=True))
    more = f" and {len(names) - 10:,} classes more" if len(names) > 10 else ""
    given = loaded.given(evaluation)
    if given is not None:
        where = f"evaluated on the {len(given.labels):,} {evaluation} images"
    else:
        together = ", whole groups of them" if loaded.groups is not None else ""
        where = f"{total - free:,} of them are held out for evaluation, the same share of every class{together}"
    return f"{total:,} training images of {loaded.num_classes:,} classes ({shown}{more}); {where}{_further(loaded)}"


def _further(loaded: data.Dataset) -> str:
    """Return what is said of the further test sets."""
    counts = [f"{name} ({len(images.labels):,})" for name, images in loaded.test_sets.items()]
    if not counts:
        return ""
    return f"; every network is also evaluated on the test set{'s' if len(counts) > 1 else ''} {', '.join(counts)}"
