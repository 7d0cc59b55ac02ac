"""The gallery: pictures of what methods do to images of a data set (`mixbench gallery`)."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from mixbench import data
from mixbench.analysis.charts.style import STYLE, rendered
from mixbench.analysis.display import label
from mixbench.analysis.gallery.samples import Picture, Samples
from mixbench.config.compose import Composer
from mixbench.config.identity import Job, job
from mixbench.config.jobs import job_of
from mixbench.config.method_aliases import with_alias
from mixbench.config.options import describe
from mixbench.config.overrides import expand, parse
from mixbench.core import files
from mixbench.core.errors import UserError
from mixbench.mixing.runner import METHOD_NAMES, build_method
from mixbench.runs.banks import NEED, with_banks
from mixbench.training.validate import check_functions

# Defaults of a gallery: a few images that need no download, without augmentation.
DEFAULTS = {"dataset": "photos", "augment": "none", "n": "32", "subset": "random"}
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)
MORE_LAMBDAS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
HEADING = 0.2  # height of each further line of a heading, in inches
ROW = 1.28  # height of a row of pictures with their captions, in inches
SWEPT = ("method", "augment")  # groups that rows can differ in; all rows show the same images
NOT_SHOWN = ("p", "methods")  # settings that a sample sets itself, or that a note shows


def draw(composer: Composer, overrides: Sequence[str], out: Path | None, say: Callable[[str], None]) -> list[Path]:
    """Draw the methods in the overrides, or all methods.

    composer: composes the jobs.
    overrides: KEY=VALUE texts; only the method, the augmentation and their keys can have several values.
    out: folder for the pictures; None: results/gallery/<dataset>.
    say: called with a line before anything that takes long, such as a download.
    Returns the paths of the files. Raises UserError for a mistake in the overrides, and CannotWrite.
    """
    parsed = parse(overrides)
    for override in parsed:
        if override.is_sweep_override() and override.key_or_group.split(".")[0] not in SWEPT:
            raise UserError(
                f"{override.input_line}: all rows show the same images, so only {' and '.join(SWEPT)} and their keys "
                "can have several values; give one value"
            )
    given = {override.key_or_group for override in parsed}
    base = [f"{key}={value}" for key, value in DEFAULTS.items() if key not in given]
    made = _jobs(composer, [*base, *overrides], every="method" not in given)
    jobs = [one for one, _ in made]
    first = jobs[0]
    for one in jobs:
        if one.cfg.protect:
            raise UserError(
                f"protect={one.cfg.protect}: has no effect in a gallery, where all images are mixed; leave it out"
            )
        check_functions(one.cfg)
    dataset = data.load_for(first.cfg, say, evaluated=False)
    augments = sorted({one.cfg.augment.name for one in jobs})
    samples = []
    for one, words in made:
        if "n" not in given:
            one.cfg.n = min(one.cfg.n, len(dataset.train_images))
        images = with_banks(data.split(dataset, one.cfg, evaluated=False), one, stand_ins=True)
        sample = Samples(one, images)
        sample.note = ", ".join([*_note(sample), *_changed(composer, one, words), *_augmented(one, jobs)])
        samples.append(sample)
    stem = samples[0].name if len(samples) == 1 else "methods"
    if augments != [DEFAULTS["augment"]]:
        stem += f"-{'-'.join(augments)}"
    folder = out or Path(first.cfg.results_dir) / "gallery" / first.cfg.dataset.name
    files.check_writable(folder, "out")
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure = _at_length(samples[0]) if len(samples) == 1 else _overview(samples)
        drawn = rendered(figure, folder / stem)
    return files.write_all(drawn)


def _jobs(composer: Composer, overrides: Sequence[str], every: bool) -> list[tuple[Job, list[str]]]:
    """Return the job of each row with its overrides, without duplicates. every: whether to draw all methods."""
    options = [[f"method={option}"] for option in composer.options("method")] if every else [[]]
    combinations = [words for option in options for words in expand([*overrides, *option])]
    made = [(job_of(composer, words), words) for words in combinations]
    if every:
        order = {name: i for i, name in enumerate(METHOD_NAMES)}
        made.sort(key=lambda row: order.get(row[0].cfg.method.name, len(order)))
    return list({row[0].id: row for row in made}.values())


def _overview(samples: Sequence[Samples]) -> Figure:
    """Draw a row for each method: methods with a λ in columns of λ, the others with random draws.

    The methods with a λ are on the left. If they are many more than the others, the last of them continue on the right.
    """
    by_lambda = [sample for sample in samples if sample.has_lambda]
    by_draw = [sample for sample in samples if not sample.has_lambda]
    moved = max(0, (len(by_lambda) - len(by_draw) - 1) // 2) if by_draw else 0  # 1: the row before them stays empty
    left, further = by_lambda[: len(by_lambda) - moved], by_lambda[len(by_lambda) - moved :]
    sides = [side for side in ([left], [by_draw, further]) if side[0]]
    rows = max(sum(map(len, side)) + len(side[1:]) * bool(further) for side in sides)
    figure = Figure(figsize=((1.4 + 1.02 * len(LAMBDAS)) * len(sides), 1.5 + ROW * rows))
    top, body = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.2, 0.3 + ROW * rows])[:, 0]
    about = "Images that a network sees in training, and the label weights that it learns"
    _originals(top, samples[0], textwrap.fill(about, 100 if len(sides) > 1 else 45))
    for part, side in zip(body.subfigures(1, len(sides), squeeze=False)[0], sides, strict=True):
        grid = _grid(part, rows, len(LAMBDAS))
        _rows(grid, side[0])
        if side[1:] and further:
            _rows(grid[len(side[0]) + 1 :], further)
    return figure


def _rows(grid: np.ndarray, samples: Sequence[Samples]) -> None:
    """Draw a row for each method, with headings above the first. Either all have a λ or none."""
    headings = [f"λ = {lam:g}" if samples[0].has_lambda else f"draw {k + 1}" for k, lam in enumerate(LAMBDAS)]
    for axes, heading in zip(grid[0], headings, strict=True):
        axes.set_title(heading, fontsize=9)
    for row, sample in zip(grid, samples, strict=False):
        for k, (axes, lam) in enumerate(zip(row, LAMBDAS, strict=True)):
            picture = sample.picture(lam=lam) if sample.has_lambda else sample.picture(draw=k)
            _show(axes, picture.image, sample.caption(picture))
        _name_row(row[0], with_alias(sample.name), sample.note)


def _at_length(sample: Samples) -> Figure:
    """Draw one method in detail: its stages and several λ if it has them, then random draws, with masks below."""
    columns = range(len(MORE_LAMBDAS))
    blocks: list[tuple[str, list[list[Picture]]]] = []
    if sample.has_lambda:
        blocks.append(("by λ, the share of the first image", [[sample.picture(lam=lam) for lam in MORE_LAMBDAS]]))
    drawn = [[sample.picture(pair, draw=2 * k + pair) for k in columns] for pair in range(len(sample.index) // 2)]
    blocks.append((_draws_heading(sample), drawn))
    stages = [sample.picture(pair, draw=pair).stages for pair in range(len(sample.index) // 2)]
    shown = [one for one in stages if one]
    heights = [
        1.2,
        *([0.6 + ROW * len(shown)] if shown else []),
        *(0.6 + HEADING * heading.count("\n") + 2 * ROW * len(rows) for heading, rows in blocks),
    ]
    figure = Figure(figsize=(1.0 + 1.02 * len(columns), sum(heights)))
    top, *parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0].tolist()
    about = describe("method").get(sample.name, "")
    lines = [with_alias(sample.name), *textwrap.wrap(sample.note, 62), *textwrap.wrap(about, 62)]
    _originals(top, sample, "\n".join(lines))
    if shown:
        _stages(parts.pop(0), shown, heights.pop(1))
    for i, (part, (heading, rows)) in enumerate(zip(parts, blocks, strict=True)):
        _head(part, heading, heights[i + 1])
        headed = sample.has_lambda and i == 0
        grid = _grid(
            part, 2 * len(rows), len(columns), left=0.8, top=(0.55 if headed else 0.35) + HEADING * heading.count("\n")
        )
        _with_masks(grid, rows, sample)
        if headed:
            for axes, lam in zip(grid[0], MORE_LAMBDAS, strict=True):
                axes.set_title(f"λ = {lam:g}", fontsize=9)
    return figure


def _with_masks(grid: np.ndarray, rows: Sequence[Sequence[Picture]], sample: Samples) -> None:
    """Draw rows of pictures, each with a row of its masks below. grid: axes, two rows for each row of pictures."""
    for j, row in enumerate(rows):
        for axes, below, picture in zip(grid[2 * j], grid[2 * j + 1], row, strict=True):
            _show(axes, picture.image, sample.caption(picture))
            if picture.own is not None:
                _show(below, picture.own, "", cmap="gray", vmin=0, vmax=1)
            below.set_axis_on()
            below.set(xticks=[], yticks=[])
            below.spines[:].set(visible=True, color="#999999", linewidth=0.6)
        known = any(picture.own is not None for picture in row)
        _name_row(grid[2 * j + 1][0], "", "white: the first image" if known else "the method has no mask")


def _head(part: SubFigure, heading: str, height: float) -> None:
    """Write a heading at the top of a part of a figure. height: of the part, in inches."""
    part.text(0.5, 1 - 0.05 / height, heading, fontsize=10, fontweight="bold", ha="center", va="top")


def _stages(part: SubFigure, rows: Sequence[Mapping[str, np.ndarray]], height: float) -> None:
    """Draw the images on the way from the image to the result, a row for each image. height: of the part, in inches."""
    _head(part, "from the image to the result", height)
    grid = _grid(part, len(rows), len(rows[0]), left=0.8, top=0.55)
    for axes, name in zip(grid[0], rows[0], strict=True):
        axes.set_title(name, fontsize=9)
    for row, stages in zip(grid, rows, strict=True):
        for axes, image in zip(row, stages.values(), strict=True):
            _show(axes, image, "")


def _originals(part: SubFigure, sample: Samples, about: str) -> None:
    """Draw the image and its partner, with a text beside them."""
    width = part.bbox.width / part.figure.dpi
    for picture, name, left in zip(sample.originals(), ("image", "partner"), (0.5, 1.5), strict=True):
        axes = part.add_axes((left / width, 0.25, 0.85 / width, 0.6))
        axes.set_axis_off()
        axes.set_title(name, fontsize=9, pad=3)
        _show(axes, picture.image, sample.caption(picture))
    part.text(2.7 / width, 0.55, about, fontsize=10, va="center")


def _grid(part: SubFigure, rows: int, columns: int, left: float = 1.3, top: float = 0.3) -> np.ndarray:
    """Return axes for pictures, without frames. left, top: inches kept free for names."""
    width, height = part.bbox.width / part.figure.dpi, part.bbox.height / part.figure.dpi
    margins = {"left": left / width, "right": 1 - 0.08 / width, "top": 1 - top / height, "bottom": 0.3 / height}
    grid = part.subplots(rows, columns, squeeze=False, gridspec_kw=margins | {"wspace": 0.08, "hspace": 0.38})
    for axes in grid.flat:
        axes.set_axis_off()
    return grid


def _show(axes: Axes, image: np.ndarray, caption: str, **how: Any) -> None:
    if image.ndim == 3 and image.shape[2] == 1:
        image, how = image[..., 0], {"cmap": "gray", "vmin": 0, "vmax": 1}
    axes.imshow(image, interpolation="nearest", **how)
    look = {"transform": axes.transAxes, "linespacing": 1.1}
    axes.text(0.5, -0.04, caption, ha="center", va="top", fontsize=7, **look)


def _name_row(axes: Axes, name: str, note: str) -> None:
    place = {"transform": axes.transAxes, "ha": "right"}
    named = textwrap.fill(name, 15, break_long_words=False, break_on_hyphens=False)
    axes.text(-0.08, 0.52, named, va="bottom", fontsize=9, fontweight="bold", **place)
    wrapped = textwrap.fill(note, 14, break_long_words=False, break_on_hyphens=False)
    axes.text(-0.08, 0.5, wrapped, va="top", fontsize=7, color="#555555", **place)


def _note(sample: Samples) -> list[str]:
    """Return notes that a reader needs to understand a row."""
    cfg = sample.cfg
    singles = build_method(cfg.method).singles().values()
    note = []
    if "parts" in cfg.method:
        note.append(" or ".join(map(with_alias, cfg.method.methods)))
    elif any(single.function.layers for single in singles):
        note.append("at the input; features are mixed the same way")
    if sample.asks_network:
        note.append("with an untrained network")
    if any(NEED in single.function.needs and single.function.bank is None for single in singles):
        note.append("no bank: negatives as variants")
    return note


def _changed(composer: Composer, one: Job, words: Sequence[str]) -> list[str]:
    """Return the settings that differ from the method's defaults, by an override or by a user's YAML file."""
    method = one.cfg.method
    plain = [f"method={method.name}" if word.startswith("method=") else word for word in words]
    plain = [word for word in plain if not word.startswith("method.")]
    if "parts" in method:
        plain.append(f"method.methods=[{','.join(method.methods)}]")
    own = job(composer.compose(plain)).identity
    settings = {key: value for key, value in one.identity.items() if key.startswith("method.")}
    changed = {key.removeprefix("method."): value for key, value in settings.items() if own.get(key) != value}
    not_shown = {*NOT_SHOWN, *(single.function.layers for single in build_method(method).singles().values())}
    return [_setting(key, value) for key, value in changed.items() if key not in not_shown]


def _augmented(one: Job, jobs: Sequence[Job]) -> list[str]:
    """Return the settings in which the row's augmentation differs from that of other rows."""
    names = {other.cfg.augment.name for other in jobs}
    same = [other.identity for other in jobs if other.cfg.augment.name == one.cfg.augment.name]
    options = {key: value for key, value in one.identity.items() if key.startswith("augment.")}
    differing = {"augment": one.cfg.augment.name} if len(names) > 1 else {}
    differing |= {key: value for key, value in options.items() if any(other[key] != value for other in same)}
    return [_setting(key, value) for key, value in differing.items()]


def _setting(key: str, value: Any) -> str:
    return f"{key}={str(value).lower() if isinstance(value, bool) else label(value)}"


def _draws_heading(sample: Samples) -> str:
    """Return the heading of the pictures with random draws."""
    method = sample.cfg.method
    lines = ["random draws as in training, each picture from another batch"]
    if "alpha" in method and sample.has_lambda:
        lines[0] += f": λ ~ Beta({method.alpha:g}, {method.beta:g})"
    if sample.mixed_share < 1:
        what = "an image" if sample.mixes_apart else "a batch"
        lines.append(f"a run mixes {what} with probability {sample.mixed_share:g}; only mixed images are shown")
    return "\n".join(lines)
