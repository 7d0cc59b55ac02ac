"""Races whose runs are made up, so that hundreds of them take seconds: only the training is replaced."""

import json
import shutil

import numpy as np
import pytest

from mixbench.config.identity import cell_hash
from mixbench.decide import race
from mixbench.runs.run import Result
from mixbench.runs.store.store import Store
from mixbench.runs.sweep import Sweep

WORDS = ("dataset=digits", "n=20", "model.depth=10", "model.width=2", "train.batch_size=8", "train.steps=2")
OTHER = ("train.eval_every=2", "device=cpu", "progress=off")


class MadeUp:
    """Writes runs instead of training them.

    means: method -> true accuracy in percent.
    sd: standard deviation of a run.
    trained: the ids of the runs that were written, in their order.
    stop_after: number of runs after which the user stops; None: never.
    failing: methods whose runs fail.
    """

    def __init__(self, template):
        self.template, self.means, self.sd = template, {}, 1.0
        self.trained, self.jobs, self.stop_after, self.failing = [], [], None, set()

    def accuracy(self, job):
        """The accuracy of a run: a function of its method and round alone."""
        method, seed = job.identity["method"], job.identity["seed"]
        common = np.random.default_rng([seed, 1]).normal(0, 3)
        own = np.random.default_rng([seed, int(cell_hash(job.identity), 16) % 2**31]).normal(0, self.sd)
        return float(self.means.get(method, 50.0) + common + own)

    def run_jobs(self, jobs, results_dir, warnings=(), observer=None, datasets=None):
        store = Store(results_dir)
        store.open()
        sweep = Sweep(list(jobs), {}, store)
        for job in jobs:
            if self.stop_after is not None and len(self.trained) >= self.stop_after:
                return Sweep(list(jobs), sweep.results, store, interrupted=True)
            if job.identity["method"] in self.failing:
                sweep.results[job.id] = Result(job, "failed", note="made to fail")
                continue
            metrics = self.template | {
                "id": job.id,
                "identity": job.identity,
                "called": job.called,
                "final_accuracy": self.accuracy(job),
            }
            folder = store.folder(job.id)
            assert not folder.exists(), "a finished run must not be trained again"
            folder.mkdir(parents=True)
            (folder / "metrics.json").write_text(json.dumps(metrics))
            self.trained.append(job.id)
            self.jobs.append(job)
            sweep.results[job.id] = Result(job, "trained", metrics)
        return sweep


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """The metrics of a real run."""
    from mixbench.cli.main import main

    folder = tmp_path_factory.mktemp("template")
    assert main(["run", *WORDS, *OTHER, f"results_dir={folder}"]) == 0
    (path,) = folder.glob("runs/*/metrics.json")
    metrics = json.loads(path.read_text())
    shutil.rmtree(folder)
    return metrics


@pytest.fixture
def made_up(monkeypatch, template):
    """Replace training."""
    made = MadeUp(template)
    monkeypatch.setattr(race, "run_jobs", made.run_jobs)
    return made


@pytest.fixture
def words():
    """The words of a small race, without methods."""
    return (*WORDS, *OTHER)
