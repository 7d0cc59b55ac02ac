"""The command `generate`, which makes a bank of generated images for methods that need one."""

import dataclasses
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixbench.cli.commands.shared import say
from mixbench.cli.help import GENERATE_HELP
from mixbench.core.errors import UserError, unknown

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mixbench.generation.making import Backend, Wanted

# Keys of a run that choose images, and how the work is done.
OF_RUN = ("dataset", "n", "subset", "subset_seed", "eval", "seed", "device", "progress")
OF_SUBSET = ("subset", "subset_seed", "eval")  # they choose nothing without n
BACKENDS = ("filters", "diffusers")
LINE_EVERY = 30  # seconds between lines where there is no bar


@dataclass(frozen=True)
class Options:
    """The options of the command.

    backend: what makes the variants, from BACKENDS.
    bank: folder of the bank; None: a folder in dataset.root.
    fractals: number of fractals.
    filters: names of filters; None: all.
    pipeline: folder or hub name of the diffusion model.
    prompts: prompts for the diffusion model; None: the published ones.
    steps, guidance, image_guidance, side: see generation.diffusion.Settings.
    """

    backend: str = "filters"
    bank: str | None = None
    fractals: int = 64
    filters: list[str] | None = None
    pipeline: str | None = None
    prompts: list[str] | None = None
    steps: int = 100
    guidance: float = 4.0
    image_guidance: float = 1.5
    side: int = 512


KEYS = tuple(field.name for field in dataclasses.fields(Options))
ONLY_OF = {
    "filters": ("filters",),
    "diffusers": ("pipeline", "prompts", "steps", "guidance", "image_guidance", "side"),
}


def generate(words: list[str]) -> int:
    """mixbench generate: make a bank of variants of training images, and fractals."""
    from mixbench.cli.flags import CONFIG_DIR, HELP, read
    from mixbench.config.compose import Composer
    from mixbench.config.jobs import job_of

    flags = read(words, known=(*CONFIG_DIR, *HELP))
    if flags.help or not flags.overrides:
        print(GENERATE_HELP, end="")
        return 0 if flags.help else 2
    options, of_run = read_options(flags.overrides)
    with Composer(flags.config_dir) as composer:
        cfg = job_of(composer, of_run).cfg
    has_n = any(word.startswith("n=") for word in of_run)
    folder = Path(options.bank or Path(cfg.dataset.root) / "banks" / f"{cfg.dataset.name}-{options.backend}")
    wanted = _wanted(cfg, options, has_n)
    backend = _backend(options, cfg.device)
    status = _make(folder, wanted, backend, cfg.progress)
    if status == 0:
        of_data = [word for word in of_run if not word.startswith(("seed=", "device=", "progress="))]
        for name in _methods(backend.name):
            print(f"Next: {shlex.join(['mixbench', 'run', f'method={name}', f'method.bank={folder}', *of_data])}")
    return status


def read_options(words: Sequence[str]) -> tuple[Options, list[str]]:
    """Separate the command's own options from the keys of a run.

    words: KEY=VALUE texts.
    Returns the options, and the KEY=VALUE texts of a run. Raises UserError for any other key or value.
    """
    from mixbench.config.overrides import line_of, parse
    from mixbench.core.registry import check_kind

    found: dict[str, Any] = {}
    of_run = []
    for override in parse(words):
        key = override.key_or_group
        if override.is_sweep_override():
            raise UserError(f"{line_of(override)}: has several values; give one")
        if key in KEYS:
            check_kind(key, override.value(), Options.__annotations__[key])
            found[key] = override.value()
        elif key in OF_RUN or key.startswith("dataset."):
            of_run.append(line_of(override))
        else:
            raise unknown("key of generate", key, [*KEYS, *OF_RUN])
    options = Options(**found)
    if options.backend not in BACKENDS:
        raise unknown("backend", options.backend, BACKENDS)
    for backend, keys in ONLY_OF.items():
        for key in keys:
            if key in found and backend != options.backend:
                raise UserError(f"{key}={found[key]}: has no effect with backend={options.backend}; leave it out")
    for key, least in (("fractals", 1), ("steps", 1), ("side", 8)):
        if getattr(options, key) < least:
            raise UserError(f"{key}={getattr(options, key)}: must be at least {least}")
    given = {word.partition("=")[0] for word in of_run}
    if "n" not in given and (idle := [key for key in OF_SUBSET if key in given]):
        raise UserError(f"{idle[0]}: has no effect without n, which takes all training images; set n too")
    return options, of_run


def _wanted(cfg: "DictConfig", options: Options, has_n: bool) -> "Wanted":
    """Return the images of the bank: all training images or, with n, the subset of a run."""
    import numpy as np

    from mixbench import data
    from mixbench.generation.making import Wanted

    dataset = data.load_for(cfg, say, evaluated=False)
    indices = np.arange(len(dataset.train_images))
    if has_n:
        indices = data.split(dataset, cfg, evaluated=False).indices
    images = dataset.train_images[indices]
    return Wanted(cfg.dataset.name, dataset.train_sha256, images, indices, cfg.seed, options.fractals)


def _backend(options: Options, device: str) -> "Backend":
    if options.backend == "filters":
        from mixbench.generation.filters import FILTERS, Filters

        return Filters(options.filters or list(FILTERS))
    from mixbench.generation.diffusion import PROMPTS, Diffusion, Settings
    from mixbench.training.device import choose_device

    if not options.pipeline:
        raise UserError("backend=diffusers needs pipeline=FOLDER, a model that diffusers can load, or its hub name")
    of_model = {key: getattr(options, key) for key in ("steps", "guidance", "image_guidance", "side")}
    prompts = options.prompts or PROMPTS
    return Diffusion(Settings(options.pipeline, prompts, device=str(choose_device(device)), **of_model))


def _make(folder: Path, wanted: "Wanted", backend: "Backend", progress: str) -> int:
    from mixbench.generation.making import make_bank

    try:
        with _shown(f"{wanted.dataset}, {backend.name}", len(wanted.images), progress) as advance:
            made = make_bank(folder, wanted, backend, advance)
    except KeyboardInterrupt:
        say(f"interrupted: finished files are kept in {folder}/; give the same command again to go on")
        return 130
    count = len(wanted.images)
    if made.before == count:
        say(f"{folder}/ was complete before")
    elif made.before:
        say(f"{made.before:,} of {count:,} images were made before")
    variants = len(backend.variants)
    print(f"{count * variants:,} variants of {count:,} images, {variants} each, and {wanted.fractals} fractals")
    print(f"{folder}/")
    return 0


def _methods(backend: str) -> list[str]:
    """Return the methods that are made for the banks of a backend."""
    from mixbench.core.registry import declaration_of
    from mixbench.mixing import METHODS

    return [name for name, function in METHODS.items() if backend in declaration_of(function).backends]


@contextmanager
def _shown(label: str, images: int, setting: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that shows that some more images are done, as a bar or as lines."""
    from tqdm import tqdm

    from mixbench.cli.progress import wants_bar

    if wants_bar(setting):
        with tqdm(total=images, desc=label, unit="image", leave=False, dynamic_ncols=True) as bar:

            def update(number: int) -> None:
                bar.update(number)

            yield update
        return
    done, last = 0, time.monotonic()

    def advance(number: int) -> None:
        nonlocal done, last
        done += number
        if setting != "off" and time.monotonic() - last >= LINE_EVERY:
            last = time.monotonic()
            print(f"{label}: {done:,} of {images:,} images", file=sys.stderr, flush=True)

    yield advance
