"""The axis that loss curves share: round numbers, and limits that one diverged run does not move."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixbench.analysis.charts import loss_axis


@given(st.floats(-4, 6), st.floats(0.13, 9))
def test_every_loss_axis_gets_a_few_numbers(low, decades):
    bottom, top = 10**low, 10 ** (low + decades)
    ticks = loss_axis.log_ticks(bottom, top)
    assert 2 <= len(ticks) <= 8
    assert all(bottom <= tick <= top for tick in ticks)
    assert len({f"{tick:g}" for tick in ticks}) == len(ticks)
    if top / bottom > 1e4:  # several decades: the same factor between all ticks
        steps = np.diff(np.log10(ticks))
        assert steps == pytest.approx(np.full(len(steps), steps[0]))


def of_losses(*values):
    """A line of a chart: one loss at each step."""
    ends = [("train_loss", end) for end in ("mean", "min", "max")]
    return pd.DataFrame({key: list(values) for key in ends})


def test_one_outlier_does_not_flatten_the_other_losses():
    usual = [of_losses(2.0, 1.0, 0.001) for _ in range(9)]
    assert loss_axis.limits(usual) == (0.001, 2.0)
    assert loss_axis.cut_off(usual) == []
    low, high = loss_axis.limits([*usual, of_losses(10_000.0, 1.0, 0.5)])
    assert (low, high) == (0.001, 200.0)
    assert len(loss_axis.cut_off([*usual, of_losses(10_000.0, 1.0, 0.5)])) == 1
    assert loss_axis.limits([of_losses(500.0, 400.0, 300.0)])[1] == 500.0
