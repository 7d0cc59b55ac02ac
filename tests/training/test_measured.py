"""One list of what is measured: what runs store, what the schema takes and what tables show follow from it."""

import numpy as np
import pandas as pd
import pytest

from mixbench.analysis.frame import identity_keys, run_frame
from mixbench.runs.store import metrics_schema
from mixbench.training import metrics
from mixbench.training.measured import MEASURES, SCALARS, Finished, measure
from mixbench.training.rules import RULES

LOGITS = np.random.default_rng(0).normal(size=(12, 3))
LABELS = np.arange(12) % 3


def finished(**others):
    values = {
        "history": [{"eval_accuracy": 40.0}, {"eval_accuracy": 60.0}, {"eval_accuracy": 50.0}],
        "eval_logits": LOGITS,
        "eval_labels": LABELS,
        "train_logits": LOGITS,
        "train_labels": LABELS,
        "true_labels": None,
        "steps": 10,
        "batch_size": 4,
        "cost": 1.5,
        "seconds": 2.0,
        "peak_memory_bytes": 5,
        "other_load": None,
    }
    return Finished(**values | others)


def stored(**values):
    identity = {"dataset": "digits", "n": 20, "method": "none", "seed": 0}
    return {"identity": identity} | measure(finished()) | values


def test_a_run_stores_what_is_registered_in_that_order():
    noisy = measure(finished(true_labels=LABELS[::-1]))
    assert list(noisy) == list(MEASURES)
    assert list(measure(finished())) == [name for name in MEASURES if name != "true_train_accuracy"]


def test_values():
    found = measure(finished(true_labels=LABELS[::-1]))
    assert (found["final_accuracy"], found["median10_accuracy"], found["best_accuracy"]) == (50, 50, 60)
    assert (found["images_seen"], found["steps_per_second"], found["other_load"]) == (40, 5, None)
    assert found["rows_trained"] == 60
    assert found["clean_train_accuracy"] == metrics.accuracy(LOGITS, LABELS)
    assert found["true_train_accuracy"] == metrics.accuracy(LOGITS, LABELS[::-1])
    assert found["per_class_accuracy"] == metrics.per_class_accuracy(LOGITS, LABELS)
    assert found["ece"] == metrics.ece(LOGITS, LABELS)


def test_the_schema_takes_what_is_measured():
    metrics_schema.check(stored())


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("value", ["much", True, float("nan"), {}, [[1]], 1e300])
def test_the_schema_refuses_what_is_no_such_value(name, value):
    with pytest.raises(ValueError, match=name):
        metrics_schema.check(stored(**{name: value}))


@pytest.mark.parametrize("name", [name for name, one in MEASURES.items() if one.unit == "percent"])
@pytest.mark.parametrize("value", [-0.1, 100.1])
def test_a_percentage_is_from_0_to_100(name, value):
    with pytest.raises(ValueError, match=name):
        metrics_schema.check(stored(**{name: [value] if MEASURES[name].of_each_class else value}))


@pytest.mark.parametrize("name", MEASURES)
def test_only_what_every_run_has_must_be_there(name):
    without = {key: value for key, value in stored().items() if key != name}
    for metrics_of_run in (without, without | {name: None}):
        if MEASURES[name].in_every_run:
            with pytest.raises(ValueError, match=name):
                metrics_schema.check(metrics_of_run)
        else:
            metrics_schema.check(metrics_of_run)


def test_rules_are_about_accuracies_that_every_run_has():
    assert all(MEASURES[rule.key].in_every_run and MEASURES[rule.key].unit == "percent" for rule in RULES.values())


def test_temperature_scaling_gives_what_it_names():
    assert tuple(metrics.calibration(LOGITS, LABELS)) == metrics.CALIBRATION


def test_a_frame_has_a_column_for_each_value_and_rows_hold_what_was_stored():
    frame = run_frame([stored(id="a")])
    assert set(MEASURES) <= set(frame.columns)
    (row,) = frame.to_dict("records")
    for name in SCALARS:
        assert row[name] == stored().get(name) or (pd.isna(row[name]) and stored().get(name) is None)
    assert not set(MEASURES) & set(identity_keys(frame))
