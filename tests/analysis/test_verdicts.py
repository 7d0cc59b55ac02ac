"""The first section of a report: the right word for each setting, with numbers, and without terms of statistics."""

import itertools
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mixbench import stats
from mixbench.analysis.report.blocks import Verdict
from mixbench.analysis.report.verdicts import verdicts
from mixbench.analysis.setting import Experiment, Setting
from mixbench.stats.equivalents import Equivalent

SECONDS = 40.0  # of a run


def setting(**accuracies):
    """The setting of these methods: the accuracies of seeds 0, 1, …"""
    runs = {name: {(0, seed): value for seed, value in enumerate(values)} for name, values in accuracies.items()}
    made = [Experiment(name, name, [0], of_one, stats.summarise(of_one)) for name, of_one in runs.items()]
    none = next((one for one in made if one.name == "none"), None)
    methods = [one for one in made if one is not none]
    found = Setting("n = 20", 20, none, methods)
    if none:
        comparison = stats.compare(stats.paired_table(none.runs, [method.runs for method in methods]))
        found.baseline_may_be_best = comparison.baseline_may_be_best
        for method, gain in zip(methods, comparison.gains, strict=True):
            method.gain = gain
    return found


def told(found):
    """The verdict on a setting."""
    frame = pd.DataFrame({"seconds": [SECONDS], "resolved_precision": ["fp32"]})
    section = verdicts(SimpleNamespace(frame=frame, on="test"), [found])
    (verdict,) = (block for block in section.blocks if isinstance(block, Verdict))
    return verdict


NONE = [60.0, 62.0, 64.0]
CASES = {
    "use": {"none": NONE, "cutmix": [70.0, 72.5, 74.0], "fmix": [61.0, 62.0, 65.0]},
    "avoid": {"none": NONE, "cutmix": [50.0, 52.5, 54.0]},
    "nothing": {"none": NONE, "cutmix": [60.1, 62.0, 64.0], "fmix": [60.0, 62.1, 63.9]},
    "undecided": {"none": NONE, "cutmix": [64.0, 61.0, 69.0]},
    "unknown": {"cutmix": [60.0, 61.0]},
}


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_of_setting_has_its_word_and_needs_no_statistics(kind):
    verdict = told(setting(**CASES[kind]))
    assert verdict.kind == kind
    said = " ".join([verdict.word, verdict.line, *verdict.notes])
    for term in ("significan", "interval", "confidence", "p =", "p <", "adjusted", "hypothes", "seeds of one subset"):
        assert term not in said
    assert len(verdict.word) + len(verdict.line) < 120


def test_a_method_to_use_comes_with_its_gain_its_range_and_its_images(numbers):
    found = setting(**CASES["use"])
    found.methods[0].equivalent = Equivalent(967.0, None, 20, 5000)
    verdict = told(found)
    gain = found.methods[0].gain
    assert "cutmix" in verdict.word
    assert numbers(verdict.line) == pytest.approx([gain.mean, *gain.interval, 967], abs=0.051)


def test_what_is_worse_is_named_beside_a_method_to_use():
    verdict = told(setting(none=NONE, cutmix=[70.0, 72.5, 74.0], fmix=[50.0, 52.5, 54.0]))
    assert "cutmix" in verdict.word
    assert any("fmix" in note and "Avoid" in note for note in verdict.notes)


@pytest.mark.parametrize("seeds", [3, 6])
def test_the_price_of_knowing_more_is_that_of_two_methods(seeds, numbers):
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 3, (2, seeds))
    noise -= noise.mean(axis=1, keepdims=True)
    found = setting(none=(60 + noise[0]).tolist(), cutmix=(62 + noise[1]).tolist())
    (gain,) = (gain for _, gain in found.gains)
    enough = next(n for n in itertools.count(seeds + 1) if stats.power(gain.expected, gain.sd, n, 1) >= stats.POWER)
    (cost,) = (note for note in told(found).notes if "To know more" in note)
    more, runs = numbers(cost)[:2]
    assert more == enough - seeds
    assert runs == 2 * more
    time, unit = re.search(r"([\d.]+) (min|h)", cost).groups()
    assert float(time) * {"min": 60, "h": 3600}[unit] == pytest.approx(runs * SECONDS, rel=0.05)


def test_one_pair_of_runs_asks_for_more():
    verdict = told(setting(none=[60.0], cutmix=[65.0]))
    assert verdict.kind == "undecided"
    assert any("two more runs" in note for note in verdict.notes)
    assert "(" not in verdict.line  # no range
