"""Find the stored runs on a user's own data by the path of the data. No torch."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mixbench import data
from mixbench.config.validate import name_of_path
from mixbench.core.errors import UserError
from mixbench.data.sources.pictures.reading import Settings
from mixbench.runs.own_data import source_of
from mixbench.runs.store import store
from mixbench.runs.store.store import Store


def stored_names(
    path: str, results_dir: str, columns: Mapping[str, str | None] | None = None, named: str | None = None
) -> list[str]:
    """Return the names under which runs on own data are stored, as the data are now: one for each size of the pictures.

    path: the folder, table or archive.
    results_dir: folder of the results.
    columns: of a table, as its runs were given: `path`, `label`, `split` and `group` -> name of the column.
    named: dataset.name that the runs were given; None: they were given none.
    Raises UserError if no run is stored, or only runs on the data as they were earlier.
    """
    source, name = source_of(path), named or name_of_path(path)
    columns = {what: column for what, column in (columns or {}).items() if column is not None}
    if columns and source != "csv":
        raise UserError(f"dataset.{min(columns)}_column=…: only tables have columns, and {path} is none; leave it out")
    sums: dict[tuple, str] = {}
    now, earlier = set(), set()
    results = Store(results_dir)
    for run_id in results.ids():
        if not run_id.startswith(f"{name}-"):  # an id begins with the name of the data set
            continue
        try:
            metrics = store.read_metrics(results.folder(run_id))
        except (OSError, ValueError):  # unfinished or damaged
            continue
        identity = metrics["identity"]
        stored, size, fit = identity["dataset"], identity.get("dataset.size"), identity.get("dataset.fit")
        if stored != name and not stored.startswith(f"{name}-"):
            continue
        if (size is None) != (source == "npz"):
            continue
        if (size, fit) not in sums:
            settings = Settings(columns=columns, cache=Path(results_dir) / "cache")
            settings = settings if size is None else replace(settings, size=size, fit=fit)
            loaded = data.load(
                str(source), "", path, lambda line: None, part=None, settings=settings, keep=lambda write: None
            )
            sums[size, fit] = loaded.train_sha256
        (now if metrics.get("train_sha256") == sums[size, fit] else earlier).add(stored)
    if now:
        return sorted(now)
    if earlier:
        table = (
            "; if they were trained with dataset.label_column=… or another column, add it" if source == "csv" else ""
        )
        raise UserError(
            f"{path}: the runs in {results_dir} are on other data of this name, or on these before a change{table}; "
            f"mixbench decide {path} trains on them as they are, and dataset={sorted(earlier)[0]} shows the stored runs"
        )
    raise UserError(f"{path}: no run on these data is in {results_dir}; train some with mixbench decide {path}")
