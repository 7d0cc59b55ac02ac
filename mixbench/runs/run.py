"""One run: skip it if it is finished, else train or resume it, and write its files or record the failure."""

import contextlib
import errno
import os
import signal
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import Timeout
from omegaconf import DictConfig

from mixbench import models
from mixbench.config import mixture
from mixbench.config.identity import Job
from mixbench.core import files, numerics, own_functions
from mixbench.data import Dataset, Split, split
from mixbench.runs import machine_load, provenance, teachers
from mixbench.runs.banks import with_banks
from mixbench.runs.commit import commit, csv_text, replaced_labels
from mixbench.runs.observer import Observer
from mixbench.runs.store import store
from mixbench.runs.store.store import FORCE, Store
from mixbench.runs.time_left import TimeLeft
from mixbench.training import step_memory
from mixbench.training.device import (
    PRECISION_NAMES,
    choose_device,
    choose_precision,
    device_name,
    use_precision,
)
from mixbench.training.loop import NotFinite, Reporter, Stopped, train
from mixbench.training.validate import check_functions


@dataclass(frozen=True)
class Result:
    """The result of a job.

    job: the job.
    status: `trained`, `finished` (before this call), `failed` or `busy` (another process trains it).
    metrics: content of metrics.json; None: the run is not finished.
    note: a remark for the user.
    record: file with details of a failure; None: there is none.
    """

    job: Job
    status: str
    metrics: dict[str, Any] | None = None
    note: str = ""
    record: Path | None = None


class StopRequest:
    """A request to stop: by Ctrl-C, by SIGTERM, or by SIGHUP because the terminal was closed.

    It is true once a stop is requested.
    A second Ctrl-C or SIGTERM stops immediately, without waiting for the end of the step. A second SIGHUP does not,
    because the shell and the kernel each send one.

    observer: its `stopping` is called at the first request.
    """

    def __init__(self, observer: Observer | None = None):
        self.signal: int | None = None
        self._observer = observer or Observer()

    def __bool__(self) -> bool:
        return self.signal is not None

    @contextlib.contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """A context in which signals become requests to stop. The earlier handlers are restored afterwards."""

        def on_signal(number: int, frame: Any) -> None:
            if self.signal is None:
                self.signal = number
                self._observer.stopping()
            elif number in (signal.SIGINT, signal.SIGTERM):
                raise KeyboardInterrupt

        numbers = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # ignored under nohup
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def prepare(job: Job, dataset: Dataset) -> Split:
    """Check a job against its data and return its images. Writes nothing.

    job: the run. If its configuration has no names of classes, it gets those of the data set.
    dataset: its data set.
    Raises UserError if it cannot be run.
    """
    check_functions(job.cfg)
    if job.cfg.dataset.classes is None and dataset.class_names is not None:
        job.cfg.dataset.classes = list(dataset.class_names)
    device = choose_device(job.cfg.device)
    height, width, channels = dataset.train_images.shape[1:]
    models.check_size(job.cfg.model, height, width)
    teachers.check(job, dataset)
    step_memory.check_memory(job.cfg, height, width, channels, dataset.num_classes, device)
    models.check_batch(job.cfg.model, job.cfg.train.batch_size, height, width)
    return with_banks(split(dataset, job.cfg), job)


def find(job: Job, results: Store) -> Result | None:
    """Return the result of a job that is stored already; None if it must be trained.

    The result is `finished`, or `failed` if the stored run has an unknown format or cannot be read.

    job: the run.
    results: the store of the runs.
    """
    folder = results.folder(job.id)
    try:
        found = store.read_metrics(folder)
    except store.OtherSchema as error:  # a person must decide
        note = f"metrics.json cannot be used ({error}); move the folder away, or replace it with force=true"
        return Result(job, "failed", note=note, record=folder / "metrics.json")
    except (FileNotFoundError, ValueError):  # missing or damaged
        return None
    except OSError as error:  # it cannot be read, and could not be replaced after training
        return Result(job, "failed", note=_describe(error))
    other = numerics.difference(found)
    return Result(
        job, "finished", found, f"made by other code ({other}); train it again with force=true" if other else ""
    )


def execute(
    job: Job,
    images: Split,
    results: Store,
    stop: StopRequest,
    label: str,
    force: bool = False,
    wait: float = 0,
    left: TimeLeft | None = None,
    observer: Observer | None = None,
) -> Result:
    """Train one run, or return the stored one. A failure is recorded and returned, not raised.

    job: the run.
    images: its images, from `prepare`.
    results: the store of the run.
    stop: the request to stop.
    label: label of the run among the runs of this call.
    force: train the run even if it is finished.
    wait: seconds to wait for another process that trains the run.
    left: the time left for all runs of this call; None: there is only one run.
    observer: observer of the runs; None: no observer.
    Raises KeyboardInterrupt if `stop` requests it.
    """
    try:
        with results.lock(job.id, wait):
            folder = results.folder(job.id)
            _check_place(folder)
            results.put_in_place(job.id)
            found = find(job, results)
            if found is not None and not force:
                return found
            folder = results.folder(job.id if found is None else f"{job.id}{FORCE}")
            _check_place(folder)
            folder.mkdir(exist_ok=True)
            result = _train(_Attempt(job, images, folder, stop, label, left, observer or Observer()))
            if result.status == "trained":
                results.put_in_place(job.id)
            return result
    except Timeout:
        return Result(job, "busy")
    except OSError as error:  # the lock or the folder of the run cannot be used
        return Result(job, "failed", note=_describe(error))


def _check_place(folder: Path) -> None:
    """Raise OSError if a run could not be stored after training, for example because its folder is a file."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder; move it away", str(folder))
    metrics_file = folder / "metrics.json"
    if metrics_file.is_dir() and not metrics_file.is_symlink():  # a file can replace anything but a folder
        raise IsADirectoryError(errno.EISDIR, "is a folder; move it away", str(metrics_file))


def _describe(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


@dataclass(frozen=True)
class _Attempt:
    """The arguments of one attempt to train a run."""

    job: Job
    images: Split
    folder: Path
    stop: StopRequest
    label: str
    left: TimeLeft | None
    observer: Observer


def _train(attempt: _Attempt) -> Result:
    job, folder = attempt.job, attempt.folder
    try:
        return Result(job, "trained", _train_and_commit(attempt))
    except Stopped:
        raise KeyboardInterrupt from None
    except Exception as error:  # after any error the sweep continues, and the next call tries the run again
        reason = str(error) if isinstance(error, NotFinite) else f"{type(error).__name__}: {error}"
        record: Path | None = folder / "failed.json"
        try:
            files.write_json(record, {"error": reason, "traceback": traceback.format_exc()})
        except OSError:  # for example a full disk, which can be the failure itself
            record = None
        return Result(job, "failed", note=reason.splitlines()[0], record=record)


def _train_and_commit(attempt: _Attempt) -> dict[str, Any]:
    job, images, folder = attempt.job, attempt.images, attempt.folder
    cfg = job.cfg
    device = choose_device(cfg.device)
    dtype = choose_precision(cfg.precision, device)
    use_precision(dtype)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    source = provenance.collect(images, device_name(device), PRECISION_NAMES[dtype], torch.get_num_threads())
    of_run = {"id": job.id, "dataset": job.identity["dataset"], "eval": job.identity["eval"], "identity": job.identity}
    own = own_functions.provenance(mixture.functions(cfg))
    source |= {"own_functions": own} if own else {}
    source |= teachers.provenance(job)
    source = of_run | source | {"earlier_parts": _earlier_parts(folder, source)}
    files.write_json(folder / "provenance.json", source)  # before training: it names the images of a checkpoint
    if images.label_noise > 0:
        files.write_text(folder / "label_noise.csv", csv_text(replaced_labels(images), ("index", "true", "given")))
    advice = _advice(cfg) if device.type == "cpu" else None
    progress = attempt.observer.run(attempt.label, job, advice, attempt.left)

    def on_step(k: int, loss: torch.Tensor) -> bool:
        # Reading the loss on a GPU would wait for the GPU.
        progress.step(k, loss.item() if device.type == "cpu" else None)
        return bool(attempt.stop)

    def on_row(history: list[dict[str, float]]) -> None:
        progress.row(history[-1])
        files.write_text(folder / "history.csv", csv_text(history))

    def on_warning(line: str) -> None:
        progress.warn(line)

    resumed = (folder / "checkpoint.pt").exists()
    before = machine_load.read_counters()
    reporter = Reporter(on_step, on_row, on_warning)
    try:
        given = teachers.providers(job, images)
        outcome = train(cfg, images, device, dtype, folder / "checkpoint.pt", _save, reporter, given)
        # For a resumed run, the load during its earlier parts is not known.
        others = None if resumed else machine_load.load_by_others(before, machine_load.read_counters())
        return commit(job, images, outcome, folder, source, others)
    finally:
        progress.close()


def _save(path: Path, state: dict[str, Any]) -> None:
    files.write(path, lambda file: torch.save(state, file))


def _advice(cfg: DictConfig) -> str:
    narrower = "model.widen=1" if "widen" in cfg.model else "model.width=16"
    return (
        f"to train faster, use fewer steps (train.steps={min(1000, cfg.train.steps)}), a narrower network ({narrower}) "
        "or a GPU (device=cuda); the progress so far is kept and can be resumed"
    )


def _earlier_parts(folder: Path, source: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the code, libraries and device of earlier parts of a resumed run, if they differ from the current ones."""
    if not (folder / "checkpoint.pt").exists():
        return []
    try:
        before = files.read_json(folder / "provenance.json")
    except (OSError, ValueError):
        return []
    part = {key: before.get(key) for key in ("libraries", "device", "precision", "threads")}
    part["numerics"] = numerics.declared(before)
    changed = any(source[key] != value for key, value in part.items())
    if part["numerics"] is None:
        part["code_sha256"] = before.get("code_sha256")
    return [*before.get("earlier_parts", []), *([part] if changed else [])]
