"""The audit of a data set: everything that is looked for, in the words of a reader."""

import io
from collections.abc import Sequence, Sized

import numpy as np
from PIL import Image

from mixbench.data.audit import precision
from mixbench.data.audit.counted import Counted
from mixbench.data.audit.duplicates import find_duplicates
from mixbench.data.audit.files import of_files
from mixbench.data.audit.findings import FACT, MOST_PAIRS, NAMED, NOTICE, PROBLEM, SEVERITIES, Audit, Finding, Pair
from mixbench.data.audit.seen import Evaluation, Found, Seen
from mixbench.data.sources.load import Dataset

UNEVEN = 10  # times as many images as in the smallest class, from which on accuracy says little about small classes
THUMBNAIL, QUALITY = 96, 80  # most pixels of a side; of JPEG


def audit(dataset: Dataset, evaluation: Evaluation, fit: str | None = None, near: bool = True) -> Audit:
    """Look for what changes the meaning of results on a data set.

    dataset: the images, with test images if runs are evaluated on them.
    evaluation: the images that runs are evaluated on.
    fit: how picture files were made square (`decoding.decode`); None: the images are of another source.
    near: whether near duplicates are looked for, which takes time with the square of the number of images.
    """
    seen = Seen.of(dataset, evaluation)
    found = find_duplicates(seen.images, near)
    counted = Counted(found, seen.labels, seen.evaluated, seen.groups)
    both, within = counted.in_both(), counted.within(test=False)
    within_test, other_label = counted.within(test=True), counted.other_label()
    findings = [
        *_across(seen, both),
        *_in_training(seen, within, counted),
        *_in_evaluation(seen, within_test),
        *_other_label(seen, other_label),
        *_no_duplicates(seen, [*both, *within, *within_test], near and found.complete),
        *_plain(seen, found.plain),
        *_classes(seen),
        *_too_few(seen),
        *of_files(dataset, evaluation.kind, fit),
    ]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Audit(findings, _pairs(seen, [*both, *other_label, *within, *within_test]))


def _across(seen: Seen, found: Sequence[Found]) -> list[Finding]:
    if not found:
        return []
    total, training = int(seen.evaluated.sum()), int((~seen.evaluated).sum())
    return [
        Finding(
            "duplicates across",
            PROBLEM,
            f"{_of(len(found), total, f'{seen.part} pictures')} {_have(found)} a duplicate among the training "
            f"pictures ({_how(found)})",
            f"Networks can memorise them, so accuracies can be up to {_points(len(found), total)} too high, and "
            "methods that memorise less look worse than they are. A run with n images has each of these duplicates "
            f"with probability n / {training:,}. Remove the duplicates from one of the two sides.",
            seen.named(found),
        )
    ]


def _in_training(seen: Seen, found: Sequence[Found], counted: Counted) -> list[Finding]:
    if not found:
        return []
    count = int((~seen.evaluated).sum())
    what = f"{_of(len(found), count, 'training pictures')} repeat{'s' if len(found) == 1 else ''} an earlier one"
    repeated = "Each counts twice in training, and a subset of n pictures has fewer than n different ones."
    share, names = seen.evaluation.share, seen.named(found)
    if share is None:
        found_text = f"{what} ({_how(found)})"
        return [Finding("duplicates in training", NOTICE, found_text, f"{repeated} Remove the duplicates.", names)]
    split, held = counted.expected_split(share), round(share * count)
    if split < 0.05:
        meaning = f"The groups keep them on one side of the split. {repeated}"
        return [Finding("duplicates in training", NOTICE, f"{what} ({_how(found)})", meaning, names)]
    return [
        Finding(
            "duplicates in training",
            PROBLEM,
            f"{what} ({_how(found)}); eval=stratified splits them: about {split:.1f} of {held:,} evaluation pictures "
            "have a duplicate that can be trained on",
            f"Networks can memorise them, so accuracies can be up to about {_points(split, held)} too high. Remove "
            "the duplicates, or list the pictures in a table with a column of groups (dataset=csv, "
            "dataset.group_column): pictures of one group stay on one side.",
            names,
        )
    ]


def _in_evaluation(seen: Seen, found: Sequence[Found]) -> list[Finding]:
    if not found:
        return []
    total = int(seen.evaluated.sum())
    return [
        Finding(
            "duplicates in evaluation",
            NOTICE,
            f"{_of(len(found), total, f'{seen.part} pictures')} repeat{'s' if len(found) == 1 else ''} an earlier one "
            f"({_how(found)})",
            f"They count twice in every accuracy, which is as exact as one of about {total - len(found):,} pictures.",
            seen.named(found),
        )
    ]


def _other_label(seen: Seen, found: Sequence[Found]) -> list[Finding]:
    if not found:
        return []
    names = [
        f"{seen.names[one]} ({seen.classes[seen.labels[one]]}) = {seen.names[other]} "
        f"({seen.classes[seen.labels[other]]})"
        for one, other, _ in found[:NAMED]
    ]
    return [
        Finding(
            "labels that contradict",
            PROBLEM,
            f"{len(found):,} picture{'s have' if len(found) > 1 else ' has'} another label than a duplicate "
            f"({_how(found)})",
            "One of the two labels is wrong, or the classes overlap. No method can be right on both. Look at them and "
            "correct the labels.",
            names,
        )
    ]


def _no_duplicates(seen: Seen, found: Sequence[Found], complete: bool) -> list[Finding]:
    if not complete:
        what = (
            "the search for near duplicates is not complete, because there are too many pictures or too many duplicates"
        )
        return [Finding("search", NOTICE, what, "There may be more of them. Equal pictures are all found.")]
    if found:
        return []
    return [Finding("duplicates", FACT, f"no duplicates among {len(seen.labels):,} pictures")]


def _plain(seen: Seen, plain: np.ndarray) -> list[Finding]:
    if not plain.any():
        return []
    at = np.flatnonzero(plain)
    return [
        Finding(
            "plain pictures",
            NOTICE,
            f"{_of(len(at), len(plain), 'pictures')} {_have(at)} hardly more than one colour",
            "Nothing can be learned from them. They are often scans of empty pages or failed exports. They were not "
            "compared with each other.",
            [seen.names[k] for k in at[:NAMED]],
        )
    ]


def _classes(seen: Seen) -> list[Finding]:
    number = len(seen.classes)
    training = np.bincount(seen.labels[~seen.evaluated], minlength=number)
    tested = np.bincount(seen.labels[seen.evaluated], minlength=number)
    apart = bool(seen.evaluated.any())
    counts = [
        f"{name} {of_training:,}" + (f" + {of_test:,} {seen.part}" if apart else "")
        for name, of_training, of_test in zip(seen.classes, training, tested, strict=True)
    ]
    shown = ", ".join(counts[:10]) + (f" and {number - 10:,} more classes" if number > 10 else "")
    findings = [Finding("classes", FACT, f"{number:,} class{'es' if number > 1 else ''}: {shown}")]
    if (training > 0).sum() == 1:
        findings.append(
            Finding(
                "one class",
                PROBLEM,
                f"all training pictures are of one class, {seen.classes[int(training.argmax())]}",
                "Every network reaches 100 % on it, so no methods can be compared. Give each class a folder or label "
                "of its own.",
            )
        )
    if apart and (lacking := np.flatnonzero((training > 0) & (tested == 0))).size:
        findings.append(
            Finding(
                "classes missing",
                PROBLEM,
                f"{_of(len(lacking), number, 'classes')} {'has' if len(lacking) == 1 else 'have'} no {seen.part} "
                "picture",
                "Accuracies say nothing about them. Add pictures, or use eval=stratified, which takes evaluation "
                "pictures of each class from the training list.",
                [seen.classes[k] for k in lacking[:NAMED]],
            )
        )
    if (unused := np.flatnonzero(training == 0)).size:
        findings.append(
            Finding(
                "classes missing",
                PROBLEM,
                f"{_of(len(unused), number, 'class numbers')} {'has' if len(unused) == 1 else 'have'} no training "
                "picture",
                "The network has an output for them that is never right. Number the labels 0, 1, 2 … without gaps.",
                [seen.classes[k] for k in unused[:NAMED]],
            )
        )
    there = training[training > 0]
    if there.max() >= UNEVEN * there.min():
        largest, smallest = int(training.argmax()), int(np.flatnonzero(training == there.min())[0])
        findings.append(
            Finding(
                "uneven classes",
                NOTICE,
                f"{seen.classes[largest]} has {there.max():,} training pictures and {seen.classes[smallest]} only "
                f"{there.min():,}",
                "An accuracy mostly says how large classes are recognised. Look at the recall of each class in the "
                "report; subset=balanced trains on equally many pictures of each class.",
            )
        )
    return findings


def _too_few(seen: Seen) -> list[Finding]:
    evaluation = seen.evaluation
    if evaluation.kind == "validation":
        return []
    total = len(seen.labels)
    each = int(seen.evaluated.sum()) if evaluation.share is None else round(evaluation.share * total)
    if not each:
        return []
    in_all = each if evaluation.share is None else total  # other subset_seeds draw other images
    one, many = precision.difference_sd(each, precision.ONE_RUN), precision.difference_sd(in_all, precision.MANY_RUNS)
    seen_difference = precision.SEEN * many
    too_few = seen_difference > precision.WANTED
    what = f"{each:,} evaluation pictures" + (" for each subset_seed" if evaluation.share is not None else "")
    limit = (
        f"differences below about {seen_difference:.1f} points cannot be told from chance, however many runs there are"
        if too_few
        else f"they can show a difference of {max(seen_difference, 0.1):.1f} points if there are enough runs"
    )
    needed = (
        f" About {precision.images_needed():,} pictures would show {precision.WANTED:g} points."
        if too_few and evaluation.share is None
        else ""
    )
    return [
        Finding(
            "evaluation pictures",
            PROBLEM if too_few else FACT,
            f"{what}: {limit}",
            f"At an accuracy near {100 * precision.ACCURACY:.0f} %, the choice of these pictures gives the difference "
            f"of two methods a standard deviation of about {one:.1f} points if each is trained once, and of "
            f"{many:.1f} points in the mean of many runs. Intervals in reports include it.{needed}",
        )
    ]


def _pairs(seen: Seen, found: Sequence[Found]) -> list[Pair]:
    chosen = list(dict.fromkeys(found))[:MOST_PAIRS]
    return [
        Pair(
            (seen.names[one], seen.names[other]),
            (seen.place(one), seen.place(other)),
            exact,
            (_thumbnail(seen.images[one]), _thumbnail(seen.images[other])),
        )
        for one, other, exact in chosen
    ]


def _thumbnail(pixels: np.ndarray) -> bytes:
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _of(count: int, total: int, what: str) -> str:
    return f"{count:,} of {total:,} {what}"


def _have(found: Sized) -> str:
    return "has" if len(found) == 1 else "have"


def _how(found: Sequence[Found]) -> str:
    """Return how many duplicates are equal and how many nearly so."""
    equal = sum(exact for *_, exact in found)
    near = len(found) - equal
    return " and ".join([f"{equal:,} with equal pixels"] * bool(equal) + [f"{near:,} nearly equal"] * bool(near))


def _points(count: float, total: int) -> str:
    points = 100 * count / total
    return f"{points:.1f} points" if points >= 0.1 else "0.1 points"
