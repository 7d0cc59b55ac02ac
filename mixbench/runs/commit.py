"""Write the files of a finished run."""

import contextlib
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf

from mixbench.config import budget
from mixbench.config.identity import Job
from mixbench.core import files
from mixbench.data import Split
from mixbench.runs.store import store
from mixbench.runs.store.predictions import as_bits
from mixbench.training import metrics
from mixbench.training.device import peak_memory
from mixbench.training.loop import Outcome
from mixbench.training.measured import Finished, measure

NOT_STORED = ("study", "results_dir", "force", "progress")  # keys without influence on the results of a run


def commit(
    job: Job, images: Split, outcome: Outcome, folder: Path, source: dict[str, Any], others: float | None
) -> dict[str, Any]:
    """Write the files of a finished run. The metrics are written last, because they mark the run as finished.

    job: the run.
    images: the images it was trained and evaluated on.
    outcome: the result of training.
    folder: folder of the run.
    source: content of provenance.json.
    others: share of the machine's cores used by other processes, 0 to 1. None: not known.
    Returns the content of metrics.json.
    Raises OSError if a file cannot be written.
    """
    cfg = job.cfg
    measured = {
        "schema": store.SCHEMA,
        "id": job.id,
        "identity": job.identity,
        "called": job.display_name,
        **{key: source[key] for key in ("mixbench", "numerics", "device", "precision")},
        **images.checksums,
        **measure(_finished(cfg, images, outcome, others)),
        **({"test_sets": _of_test_sets(images, outcome)} if images.test_sets else {}),
    }
    kept = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in NOT_STORED])
    files.write_text(folder / "config.yaml", OmegaConf.to_yaml(kept))
    files.write_text(folder / "history.csv", csv_text(outcome.history))
    predictions = {"logits": outcome.eval_logits.astype(np.float16), "labels": images.eval_labels.astype(np.int32)}
    files.write(folder / "predictions.npz", lambda file: np.savez_compressed(file, **predictions))
    if cfg.save_model:
        files.write(folder / "weights.pt", lambda file: torch.save(outcome.model.state_dict(), file))
    (folder / "failed.json").unlink(missing_ok=True)
    files.write_json(folder / "metrics.json", measured)
    with contextlib.suppress(OSError):  # the run is finished anyway, and `clean` removes the checkpoint
        (folder / "checkpoint.pt").unlink(
            missing_ok=True
        )  # last, because a crash before the metrics would lose the run
    return measured


def _finished(cfg: DictConfig, images: Split, outcome: Outcome, others: float | None) -> Finished:
    return Finished(
        history=outcome.history,
        eval_logits=outcome.eval_logits,
        eval_labels=images.eval_labels,
        train_logits=outcome.train_logits,
        train_labels=images.train_labels,
        true_labels=images.true_labels if images.label_noise > 0 else None,
        steps=cfg.train.steps,
        batch_size=cfg.train.batch_size,
        cost=budget.cost(cfg),
        seconds=outcome.seconds,
        peak_memory_bytes=peak_memory(next(outcome.model.parameters()).device),
        other_load=others,
    )


def _of_test_sets(images: Split, outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Return for each further test set its checksum, what is measured on it, and which images are classified right."""
    return {
        name: {
            "sha256": of_set.sha256,
            **metrics.of_test_set(outcome.test_set_logits[name], of_set.labels),
            **as_bits(outcome.test_set_logits[name].argmax(axis=1) == of_set.labels),
        }
        for name, of_set in images.test_sets.items()
    }


def replaced_labels(images: Split) -> list[dict[str, int]]:
    """Return the images whose labels were replaced by noise, sorted by their index in the training list.

    images: the images of the run.
    Returns one row for each image, with its index, its true label and the label that it was given.
    """
    columns = (images.indices, images.true_labels, images.train_labels)
    rows = zip(*(column[images.replaced].tolist() for column in columns), strict=True)
    return [{"index": index, "true": true, "given": given} for index, true, given in sorted(rows)]


def csv_text(rows: list[dict[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Write rows as CSV text.

    rows: column -> value; all rows have the same columns.
    columns: names of the columns; None: those of the first row, so there must be one.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, columns or list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
