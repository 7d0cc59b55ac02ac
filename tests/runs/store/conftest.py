"""A store of made-up runs, an archive of it and another store."""

import shutil

import pytest
from archive_inputs import OTHER, RUN, STORE

from mixbench.runs.store.store import Store


@pytest.fixture
def results(tmp_path):
    """The made-up runs, two of them with the files that only real runs have."""
    shutil.copytree(STORE, tmp_path / "results")
    for name in (RUN, OTHER):
        folder = tmp_path / "results/runs" / name
        for file in ("config.yaml", "provenance.json", "predictions.npz", "weights.pt", "label_noise.csv"):
            (folder / file).write_bytes(f"{file} of {name}".encode())
    return Store(tmp_path / "results")


@pytest.fixture
def packed(mixbench, results, tmp_path):
    """All of them in runs.mixbench.zip."""
    assert mixbench("export").status == 0
    return tmp_path / "runs.mixbench.zip"


@pytest.fixture
def elsewhere(tmp_path):
    return Store(tmp_path / "elsewhere")


@pytest.fixture
def bring(mixbench):
    """Call `mixbench import` into another folder."""
    return lambda *files: mixbench("import", *map(str, files or ["runs.mixbench.zip"]), "results_dir=elsewhere")
