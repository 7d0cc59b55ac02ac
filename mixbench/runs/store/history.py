"""Reads the histories of many runs together, which is faster than parsing each file. No torch."""

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mixbench.runs.store import reading
from mixbench.runs.store.metrics_schema import LARGEST
from mixbench.runs.store.reading import Place
from mixbench.training.metrics import OLDER

COLUMNS = ["step", "train_loss", "eval_loss", "eval_accuracy"]


def read(places: Sequence[Place]) -> tuple[pd.DataFrame, list[str]]:
    """Read the history.csv of runs.

    places: the runs.
    Returns a frame with the columns `run` (position in places), step, train_loss, eval_loss and eval_accuracy, and one
        line for each file that cannot be used. Older runs call the last two test_loss and test_accuracy in the file.
    """
    bodies: dict[bytes, list[tuple[int, bytes]]] = {}
    problems = []
    for i, place in enumerate(places):
        try:
            header, _, body = reading.read_bytes(place, "history.csv").partition(b"\n")
        except (OSError, ValueError) as error:
            problems.append(_problem(place, error))
            continue
        bodies.setdefault(header, []).append((i, body))
    frames = []
    for header, of_runs in bodies.items():
        try:
            frames.append(_parse(header, of_runs))
        except ValueError:  # at least one file is damaged, so parse each file alone
            for i, body in of_runs:
                try:
                    frames.append(_parse(header, [(i, body)]))
                except ValueError as error:
                    problems.append(_problem(places[i], error))
    empty = pd.DataFrame(columns=["run", *COLUMNS])
    return (pd.concat(frames, ignore_index=True) if frames else empty), problems


def _parse(header: bytes, of_runs: Sequence[tuple[int, bytes]]) -> pd.DataFrame:
    """Parse files with the same header. Raises ValueError if one is not a table of numbers with all of COLUMNS."""
    counts = [body.count(b"\n") for _, body in of_runs]
    # A line that was cut off would be joined with the next run's first line, and pandas accepts too long lines.
    commas = [body.count(b",") for _, body in of_runs]
    whole = all(body.endswith(b"\n") for _, body in of_runs)
    if not whole or commas != [count * header.count(b",") for count in counts]:
        raise ValueError("it has no line, or a line that is cut off or too long")
    names = (OLDER.get(name, name) for name in header.decode("utf-8").rstrip("\r").split(","))
    text = ",".join(names).encode() + b"\n" + b"".join(body for _, body in of_runs)
    frame = pd.read_csv(io.BytesIO(text), usecols=COLUMNS, low_memory=False).loc[:, COLUMNS]
    if len(frame) != sum(counts) or not all((frame[key].astype(float).abs() <= LARGEST).all() for key in COLUMNS):
        raise ValueError("it is not a table of finite numbers that a plot can show")
    frame.insert(0, "run", np.repeat([i for i, _ in of_runs], counts))
    return frame


def _problem(place: Place, error: Exception) -> str:
    return f"{place}/history.csv: left out of the loss curves ({error})"
