"""One run: skip it or resume it, train, commit its folder, or record the failure."""

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
from mixbench.runs import machine_load, provenance
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
    """How a job ended: trained, finished (before), failed or busy (another process has it).

    note: what is worth saying about it. record: of a failure, the file that tells more, where there is one.
    """

    job: Job
    status: str
    metrics: dict[str, Any] | None = None
    note: str = ""
    record: Path | None = None


class StopRequest:
    """Whether we were asked to stop: by Ctrl-C, by SIGTERM, or by SIGHUP, since the terminal was closed.

    A second Ctrl-C or SIGTERM does not wait for the step to end. A second SIGHUP does: shell and kernel both send one.
    """

    def __init__(self, observer: Observer | None = None):
        """observer: its `stopping` is called at the first request."""
        self.signal: int | None = None
        self._observer = observer or Observer()

    def __bool__(self) -> bool:
        return self.signal is not None

    @contextlib.contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        def on_signal(number: int, frame: Any) -> None:
            if self.signal is None:
                self.signal = number
                self._observer.stopping()
            elif number in (signal.SIGINT, signal.SIGTERM):
                raise KeyboardInterrupt

        numbers = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, on_signal) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def prepare(job: Job, dataset: Dataset) -> Split:
    """The job's images, after all checks that need more than its configuration. Raises UserError; writes nothing."""
    check_functions(job.cfg)
    device = choose_device(job.cfg.device)
    height, width, channels = dataset.train_images.shape[1:]
    step_memory.check_memory(job.cfg, height, width, channels, dataset.num_classes, device)
    models.check_batch(job.cfg.model, job.cfg.train.batch_size, height, width)
    return split(dataset, job.cfg)


def find(job: Job, results: Store) -> Result | None:
    """The job's run where it is finished already; failed where another version's stands in its place; else None."""
    folder = results.folder(job.id)
    try:
        found = store.read_metrics(folder)
    except store.OtherSchema as error:  # a person decides
        note = f"metrics.json cannot be used ({error}); move the folder away, or force=true replaces it"
        return Result(job, "failed", note=note, record=folder / "metrics.json")
    except (FileNotFoundError, ValueError):  # not there, or damaged
        return None
    except OSError as error:  # something is in its place that cannot be read, and could not be replaced after training
        return Result(job, "failed", note=_told(error))
    other = numerics.difference(found)
    return Result(job, "finished", found, f"made by other code ({other}); force=true trains it again" if other else "")


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
    """Make one run, or find it made. Other failures than a stop are recorded, not raised.

    job: what to run.
    images: its images, from `prepare`.
    results: the store that the run belongs to.
    stop: asks for a stop.
    label: the run's name among the runs of this call.
    force: train it also where it is finished.
    wait: seconds to wait for another process that has the run.
    left: counts the time of all runs of this call.
    observer: of the run.
    Raises KeyboardInterrupt where `stop` asks for it.
    """
    try:
        with results.lock(job.id, wait):
            folder = results.folder(job.id)
            _check_place(folder)
            results.put_in_place(job.id)
            found = find(job, results)
            if found is not None and not force:
                return found
            folder = results.folder(job.id + FORCE * (found is not None))
            _check_place(folder)
            folder.mkdir(exist_ok=True)
            result = _train(_Attempt(job, images, folder, stop, label, left, observer or Observer()))
            if result.status == "trained":
                results.put_in_place(job.id)
            return result
    except Timeout:
        return Result(job, "busy")
    except OSError as error:  # of the places in the store: the lock, the folder
        return Result(job, "failed", note=_told(error))


def _check_place(folder: Path) -> None:
    """Raises OSError where a run could not be stored after training: its folder is a file or a link to nothing, say."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is no folder; move it away", str(folder))
    metrics_file = folder / "metrics.json"
    if metrics_file.is_dir() and not metrics_file.is_symlink():  # all else a file can take the place of
        raise IsADirectoryError(errno.EISDIR, "is a folder; move it away", str(metrics_file))


def _told(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)


@dataclass(frozen=True)
class _Attempt:
    """A run that is to be trained, in its folder, and who stops and watches it."""

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
    except Exception as error:  # whatever it is, the sweep goes on and the next call tries again
        reason = str(error) if isinstance(error, NotFinite) else f"{type(error).__name__}: {error}"
        record: Path | None = folder / "failed.json"
        try:
            files.write_json(record, {"error": reason, "traceback": traceback.format_exc()})
        except OSError:  # a full disk, perhaps the failure itself
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
    source = of_run | source | {"earlier_parts": _earlier_parts(folder, source)}
    files.write_json(folder / "provenance.json", source)  # first: it says which images a checkpoint belongs to
    if images.label_noise > 0:
        files.write_text(folder / "label_noise.csv", csv_text(replaced_labels(images), ("index", "true", "given")))
    advice = _advice(cfg) if device.type == "cpu" else None
    progress = attempt.observer.run(attempt.label, job, advice, attempt.left)

    def on_step(k: int, loss: torch.Tensor) -> bool:
        # Reading the loss on a GPU would wait for it.
        progress.step(k, loss.item() if device.type == "cpu" else None)
        return bool(attempt.stop)

    def on_row(history: list[dict[str, float]]) -> None:
        progress.row(history[-1])
        files.write_text(folder / "history.csv", csv_text(history))

    def on_warning(line: str) -> None:
        progress.warn(line)

    resumed = (folder / "checkpoint.pt").exists()
    before = machine_load.read()
    reporter = Reporter(on_step, on_row, on_warning)
    try:
        outcome = train(cfg, images, device, dtype, folder / "checkpoint.pt", _save, reporter)
        # Of the earlier parts of a resumed run nobody knows it.
        others = None if resumed else machine_load.of_others(before, machine_load.read())
        return commit(job, images, outcome, folder, source, others)
    finally:
        progress.close()


def _save(path: Path, state: dict[str, Any]) -> None:
    files.write(path, lambda file: torch.save(state, file))


def _advice(cfg: DictConfig) -> str:
    narrower = "model.widen=1" if "widen" in cfg.model else "model.width=16"
    return (
        f"fewer steps (train.steps={min(1000, cfg.train.steps)}), a narrower network ({narrower}) or a GPU "
        "(device=cuda) take less; what is done so far is kept and resumed"
    )


def _earlier_parts(folder: Path, source: dict[str, Any]) -> list[dict[str, Any]]:
    """What the parts of a resumed run were made with, where that was not all the same."""
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
