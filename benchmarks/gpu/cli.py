"""Packs files here, runs on a machine with a GPU in short commands, and unpacks the results here.

scripts/gpu pack --tiles FOLDER     here: pack what the machine needs into gpu/pack (at most 64 MB with the checkout)
scripts/gpu [--minutes 8.5]         there: run the next steps until the time is over; call it again for the rest
scripts/gpu smoke | bench | study   there: run only these steps
scripts/gpu unpack FILE...          here: keep the returned archive of runs and steps.json for the next pack
scripts/gpu --device cpu --quick    a rehearsal in minutes on this machine, with synthetic images
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu import bare, page, plan
from benchmarks.gpu.steps import FAILED, Deadline, Launcher, Records, run

CHECKOUT = Path(__file__).resolve().parents[2]
RESERVE = 40  # seconds at the end of a call, for the archive and the page
RUNS, STEPS, PAGE = "runs.mixbench.zip", "steps.json", "page.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 if something failed, 2 for a mistake in the command."""
    parser = argparse.ArgumentParser(
        prog="scripts/gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what", nargs="?", choices=("next", "smoke", "bench", "study", "pack", "unpack"), default="next"
    )
    parser.add_argument("files", nargs="*", type=Path, help="the returned files, for unpack")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu")
    parser.add_argument("--minutes", type=float, default=8.5, help="most minutes of this call")
    parser.add_argument("--quick", action="store_true", help="a rehearsal: few steps, small networks, synthetic images")
    parser.add_argument("--again", action="store_true", help="run finished steps again")
    parser.add_argument("--jobs", type=int, default=1, help="number of runs of the study at the same time")
    parser.add_argument("--tiles", type=Path, default=_folder("MIXBENCH_TILES"), help="folder with CIFAR-10 as tiles")
    parser.add_argument(
        "--npz", type=Path, help="or an archive with training images 0-19,999 and test images 40,000-49,999"
    )
    parser.add_argument("--cifar10", type=Path, help="or the folder of torchvision's CIFAR-10, with its test images")
    parser.add_argument("--folder", type=Path, default=CHECKOUT / "gpu", help="folder of all files; git ignores gpu/")
    options = parser.parse_args(argv)
    if options.files and options.what != "unpack":
        parser.error(f"{options.what} takes no files")
    if not 0 < options.minutes < 60 or options.jobs < 1:
        parser.error("--minutes must be above 0 and below 60, --jobs at least 1")
    options.folder = options.folder.resolve()
    try:
        if options.what == "pack":
            return pack(options)
        if options.what == "unpack":
            return unpack(options)
        return Call(options).run()
    except Mistake as error:
        print(f"scripts/gpu: {error}", file=sys.stderr)
        return 2


class Mistake(Exception):
    """A mistake in the command."""


def _folder(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None


def _say(text: str) -> None:
    print(text, flush=True)


# On the machine with the GPU


class Call:
    """One call on the machine with the GPU: the steps until the deadline, then the archive and the page."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.pack = options.folder / "pack"
        self.work = options.folder / ("quick" if options.quick else "work")
        self.site, self.results = self.work / "site", self.work / "results"
        kept = CHECKOUT / "results/gpu"
        self.out = Path(os.environ.get("OUT") or (kept / "quick" if options.quick else kept)).resolve()
        self.environment: dict[str, str] = {}

    def run(self) -> int:
        options = self.options
        deadline = Deadline(60 * options.minutes - RESERVE)
        added = bare.prepare(self.site, CHECKOUT, self.pack / "wheels")
        self.environment = bare.environment(self.site)
        _say(f"packed wheels in use: {', '.join(added) or 'none, because all packages are installed'}")
        machine = self._machine()
        records = Records(self.work / "steps", machine)
        _say(f"{machine['device']}, torch {machine['torch']}, Python {machine['python']}, {machine['cores']} cores")
        self._restore()
        study = self._study()
        steps = plan.steps(options.device, options.quick, study)
        chosen = [step for step in steps if options.what in ("next", step.name.partition("-")[0])]
        if options.again:
            for step in chosen:
                (records.folder / f"{step.name}.json").unlink(missing_ok=True)
        before = len(page.runs_of(self.results))
        if before or any(records.read(step.name) for step in steps):
            _say(f"resuming: {before} runs of the study are finished; finished steps are not repeated")
        launcher = Launcher(self.work / "logs", self.environment)
        run(chosen, records, deadline, launcher, _say)
        for step in chosen:
            figures, record = launcher.figures(step), records.read(step.name)
            if record is not None and figures is not None:
                records.write(step.name, record | {"figures": figures})
        now = len(page.runs_of(self.results))
        _say(f"{now - before} runs were trained in this call; {now} are finished in all")
        todo = [step.name for step in steps if not records.ended(step.name)]
        self._write(machine, [found for step in steps if (found := records.read(step.name))], study, todo)
        _say(f"steps left: {', '.join(todo)}; the same command continues" if todo else "all steps are done")
        failed = [step.name for step in chosen if (records.read(step.name) or {}).get("status") == FAILED]
        if failed:
            _say(f"failed: {', '.join(failed)}; --again repeats them")
        return 1 if failed else 0

    def _python(self, *words: str | Path, quiet: bool = True) -> subprocess.CompletedProcess:
        self.work.mkdir(parents=True, exist_ok=True)
        output = subprocess.PIPE if quiet else None
        return subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=self.work,
            env=self.environment,
            stdout=output,
            stderr=output,
            text=True,
        )

    def _machine(self) -> dict[str, Any]:
        asked = self._python("-m", "benchmarks.gpu.machine", self.options.device)
        if asked.returncode:
            raise Mistake(f"{asked.stderr.strip().splitlines()[-1]} (a rehearsal: --device cpu --quick)")
        return json.loads(asked.stdout)

    def _restore(self) -> None:
        """Copy the packed runs and steps of earlier calls, if that was not done yet."""
        if self.options.quick:
            return
        for source in sorted((self.pack / "steps").glob("*.json")):
            target = self.work / "steps" / source.name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        for archive in sorted((self.pack / "runs").glob("*.zip")):
            taken = self.work / f"taken-{archive.stat().st_size}-{archive.name}"
            if not taken.exists():
                if self._python(
                    "-m", "mixbench", "import", archive, f"results_dir={self.results}", quiet=False
                ).returncode:
                    raise Mistake(f"{archive}: was not imported completely")
                taken.touch()

    def _study(self) -> plan.Study:
        """Return the study with its images: those given, otherwise packed tiles, with --quick synthetic ones."""
        options = self.options
        if options.cifar10:
            name, data = "small-data", (f"dataset.root={_there(options.cifar10)}",)
        elif options.npz:
            name, data = "small-data-tiles", (f"dataset.path={_there(options.npz)}",)
        else:
            manifest, archive = self._decoded()
            name, data = "small-data-tiles", (f"dataset.path={archive}", f"dataset.name={manifest['name']}")
        return plan.study(data, name, self.results, options.device, options.quick, options.jobs)

    def _decoded(self) -> tuple[dict[str, Any], Path]:
        """Return the content of tiles.json, and the archive made from the tiles."""
        tiles = self.work / "tiles" if self.options.quick else self.pack / "tiles"
        if self.options.quick and not (tiles / "tiles.json").exists():
            made = self._python(
                "-c",
                "import sys; from benchmarks.gpu import tiles; from pathlib import Path; "
                "tiles.stand_in(Path(sys.argv[1]))",
                tiles,
            )
            if made.returncode:
                raise Mistake(made.stderr.strip().splitlines()[-1])
        if not (tiles / "tiles.json").exists():
            raise Mistake(
                f"{tiles}: has no images; pack them with scripts/gpu pack --tiles FOLDER, or give --npz FILE or "
                "--cifar10 FOLDER"
            )
        manifest = json.loads((tiles / "tiles.json").read_text())
        archive = self.work / "data" / f"{manifest['name']}.npz"
        if not archive.exists():
            made = self._python("-m", "benchmarks.gpu.tiles", tiles, archive)
            if made.returncode:
                raise Mistake(made.stderr.strip().splitlines()[-1])
            _say(made.stdout.strip())
        return manifest, archive

    def _write(self, machine: dict, records: Sequence[dict], study: plan.Study, todo: Sequence[str]) -> None:
        """Write the archive of runs, the records, the page and its pictures into the output folder."""
        from benchmarks.gpu.pack import RETURN_LIMIT

        self.out.mkdir(parents=True, exist_ok=True)
        runs = page.runs_of(self.results, plan.ORDER)
        shown, pictures = "", []
        if runs:
            for more in ("predictions=true", "predictions=false"):
                archive = self.out / RUNS
                done = self._python("-m", "mixbench", "export", f"results_dir={self.results}", f"out={archive}", more)
                if done.returncode:
                    raise Mistake(f"the runs in {self.results} were not packed: {done.stderr.strip()}")
                if archive.stat().st_size <= RETURN_LIMIT:
                    break
            drawn = self.work / "drawn"
            table = self._python(*study.show("table", drawn))
            shown = (drawn / "accuracy.md").read_text() if not table.returncode else table.stderr
            self._python(*study.show("plot", drawn))
            for name in ("accuracy-log.png", "accuracy.png", "loss.png"):
                if (drawn / name).exists() and len(pictures) < 2:
                    shutil.copyfile(drawn / name, self.out / name)
                    pictures.append(name)
        (self.out / STEPS).write_text(json.dumps(list(records), indent=1) + "\n")
        text = page.markdown(machine, records, runs, shown, todo, pictures, self.options.jobs)
        (self.out / PAGE).write_text(text)
        for name in (*[RUNS] * bool(runs), STEPS, PAGE, *pictures):
            size = (self.out / name).stat().st_size
            _say(f"{self.out / name}: {size / 1e6:.2f} MB" + " (TOO LARGE TO RETURN)" * (size > RETURN_LIMIT))


def _there(path: Path) -> Path:
    if not path.exists():
        raise Mistake(f"{path}: no such file or folder")
    return path.resolve()


# Here


def pack(options: argparse.Namespace) -> int:
    """Fill gpu/pack again: tiles, wheels, and results that were returned earlier. Returns the exit status."""
    from benchmarks.gpu import pack

    folder, kept = options.folder / "pack", options.folder / "wheels"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        kept.mkdir(parents=True, exist_ok=True)
        names = pack.lacking(CHECKOUT)
        pack.fetch(names, kept, pack.pip())
        (folder / "wheels").mkdir(parents=True)
        for wheel in sorted(kept.glob("*.whl")):
            if bare.distribution(wheel) in names:
                shutil.copyfile(wheel, folder / "wheels" / wheel.name)
        _say(f"wheels: {', '.join(sorted(path.name for path in (folder / 'wheels').iterdir()))}")
        if options.tiles:
            manifest = pack.copy_tiles(options.tiles, folder / "tiles")
            _say(f"tiles: {manifest['name']}; the SHA-256 of the pixels is correct")
        else:
            _say("tiles: none; give --tiles FOLDER, or later, on the other machine, --npz FILE or --cifar10 FOLDER")
        _pack_results(options.folder / "results", folder)
        parts = {"checkout": pack.travelling(CHECKOUT), **pack.sizes(folder)}
        _say(pack.check_size(parts))
        shown = folder.relative_to(CHECKOUT) if folder.is_relative_to(CHECKOUT) else folder
        _say(f"copy {shown} to the other machine with the checkout")
    except pack.PackError as error:
        raise Mistake(str(error)) from error
    return 0


def _pack_results(results: Path, folder: Path) -> None:
    """Pack the returned runs, without their logits, and the records of the steps."""
    if (results / "runs").is_dir():
        (folder / "runs").mkdir()
        words = ["export", f"results_dir={results}", f"out={folder / 'runs' / RUNS}", "predictions=false"]
        _mixbench(words)
    if (results / "steps").is_dir():
        shutil.copytree(results / "steps", folder / "steps")


def unpack(options: argparse.Namespace) -> int:
    """Copy returned files into gpu/results, from which the next pack takes them. Returns the exit status."""
    results = options.folder / "results"
    if not options.files:
        raise Mistake(f"unpack needs the returned files, such as {RUNS} and {STEPS}")
    status = 0
    for file in map(_there, options.files):
        if file.suffix == ".zip":
            status |= _mixbench(["import", str(file), f"results_dir={results}"])
        elif file.name == STEPS:
            for record in json.loads(file.read_text()):
                records = Records(results / "steps", record["machine"])
                records.write(record["step"], {k: v for k, v in record.items() if k not in ("step", "machine")})
            _say(f"{file}: stored in {results / 'steps'}")
        else:
            _say(f"{file}: not imported; it is for reading")
    return status


def _mixbench(words: Sequence[str]) -> int:
    return subprocess.run([sys.executable, "-m", "mixbench", *words], cwd=CHECKOUT, check=False).returncode
