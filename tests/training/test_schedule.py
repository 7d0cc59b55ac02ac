"""The learning rate of every update, against torch's own schedulers."""

import math
from fractions import Fraction

import pytest
import torch
from made_runs import STEPS, folder_of, history
from torch.optim import lr_scheduler

from mixbench.config.schema import TrainConfig
from mixbench.training.engine import Engine
from mixbench.training.schedule import learning_rate


def torch_rates(schedule, lr, steps, warmup, milestones=(Fraction(1, 3), Fraction(2, 3)), gamma=0.1):
    """What torch's own schedulers give, update for update."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    reached = [math.ceil(share * steps) - warmup for share in milestones]
    after = {
        "constant": lambda: lr_scheduler.LambdaLR(optimizer, lambda _: 1.0),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps - warmup),
        "step": lambda: lr_scheduler.MultiStepLR(optimizer, reached, gamma),
    }[schedule]
    if warmup:
        rising = lr_scheduler.LinearLR(optimizer, start_factor=1 / warmup, total_iters=warmup - 1)
        scheduler = lr_scheduler.SequentialLR(optimizer, [rising, after()], milestones=[warmup])
    else:
        scheduler = after()
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize("steps", [STEPS, 15, 100])
@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize("schedule", ["step", "cosine", "constant"])
def test_learning_rate_is_that_of_torchs_schedulers(schedule, warmup, steps):
    cfg = TrainConfig(schedule=schedule, lr=0.3, steps=steps, warmup=warmup)
    ours = [learning_rate(cfg, k) for k in range(steps)]
    assert ours == pytest.approx(torch_rates(schedule, 0.3, steps, warmup), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("steps", [20, 97, 100, 1000])
@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize(("milestones", "gamma"), [("0.5 0.75", 0.1), ("0.3 0.6 0.8", 0.2), ("0.29 0.57 0.58", 0.5)])
def test_milestones_are_torchs(milestones, gamma, warmup, steps):
    """Reckoned in fractions: 0.29 · 100 and 0.57 · 100 are not whole in floating point."""
    shares = milestones.split()
    cfg = TrainConfig(lr=0.3, steps=steps, warmup=warmup, schedule="step", gamma=gamma)
    cfg.milestones = [float(share) for share in shares]
    ours = [learning_rate(cfg, k) for k in range(steps)]
    theirs = torch_rates("step", 0.3, steps, warmup, [Fraction(share) for share in shares], gamma)
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_every_update_is_made_at_its_rate(mixbench, tiny, monkeypatch):
    used, make = [], Engine.__init__

    def watched(engine, *arguments):
        make(engine, *arguments)
        engine.optimizer.register_step_pre_hook(lambda optimizer, *_: used.append(optimizer.param_groups[0]["lr"]))

    monkeypatch.setattr(Engine, "__init__", watched)
    assert mixbench("run", *tiny, "train.schedule=cosine", "train.warmup=3", "train.lr=0.2").status == 0
    rates = torch_rates("cosine", 0.2, STEPS, 3)
    assert used == pytest.approx(rates, rel=1e-6, abs=1e-12)
    rows = history(folder_of("results"))
    assert [float(row["lr"]) for row in rows] == pytest.approx([rates[k - 1] for k in (4, 8, 12, 14)], rel=1e-6)
