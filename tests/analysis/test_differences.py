"""Runs of several settings in one line of a plot are reported, with all keys that differ. Made-up identities."""

import functools
import re
from pathlib import Path

import pytest

from mixbench.analysis import differences, table
from mixbench.analysis.frame import run_frame
from mixbench.analysis.select import Selection
from mixbench.config.compose import Composer
from mixbench.config.identity import job


@functools.cache
def identity(method, *words):
    with Composer() as composer:
        return job(composer.compose([f"method={method}", "dataset=digits", "train.steps=20", *words])).identity


def build(*identities, columns="method"):
    found = [{"id": str(i), "identity": one, "final_accuracy": 50.0} for i, one in enumerate(identities)]
    frame = run_frame(found)
    nowhere = Path("nowhere")
    chosen = Selection(frame, "n", columns, "final", nowhere, "", nowhere, nowhere)
    return frame, table.build(chosen)


def of_n(method, **keys):
    """One identity for each n; each further key, such as train_steps for train.steps, has a value for each of them."""
    names = [re.sub("^(train|model|method)_", r"\1.", key) for key in keys]
    return [identity(method) | dict(zip(names, values, strict=True)) for values in zip(*keys.values(), strict=True)]


def test_a_line_that_joins_networks_and_steps_names_both():
    runs = of_n("none", n=[15, 20, 45], model_width=[2, 16, 2], train_steps=[20, 100, 20], train_eval_every=[1, 5, 1])
    frame, built = build(*runs)
    assert built.row_keys == ["n"]
    (warning,) = differences.joined(frame, built)
    assert "model.width (2, 16)" in warning
    assert "train.steps (20, 100)" in warning
    assert "eval_every" not in warning  # it is the default for these steps


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({}, ()),
        ({"seed": [0, 1, 2], "subset_seed": [3, 4, 5]}, ()),
        ({"train_steps": [40_000, 117_000, 117_000], "train_eval_every": [390, 390, 390]}, ()),  # the protocol
        ({"train_steps": [2, 15, 31], "train_eval_every": [1, 1, 1]}, ()),  # 10 epochs of batches of 128
        ({"train_steps": [20, 20, 40], "train_eval_every": [1, 1, 2]}, ("train.steps",)),
        ({"train_warmup": [0, 0, 5]}, ("train.warmup",)),
        ({"augment": ["flip_crop", "flip_crop", "none"]}, ("augment",)),
    ],
)
def test_what_may_differ_along_a_line(keys, named):
    frame, built = build(*of_n("none", n=[30, 200, 400], **keys), *of_n("mixup", n=[30, 200, 400], **keys))
    warnings = differences.joined(frame, built)
    assert len(warnings) == bool(named)
    assert [key for key in frame if any(f" {key} (" in warning for warning in warnings)] == list(named)


def test_the_settings_of_methods_differ_between_methods_only():
    runs = [*of_n("mixup", n=[20, 50]), *of_n("cutmix", n=[20, 50])]
    assert differences.joined(*build(*runs)) == []
    (warning,) = differences.joined(*build(*of_n("mixup", n=[20, 50], method_alpha=[0.2, 1]), *runs[2:]))
    assert "method.alpha (0.2, 1)" in warning


def test_methods_of_one_row_that_were_trained_differently():
    runs = [identity("none"), identity("mixup") | {"model.width": 3}]
    (warning,) = differences.joined(*build(*runs))
    assert "model.width" in warning
    assert "method.alpha" not in warning


def test_rows_that_are_separated_name_all_keys_that_differ():
    runs = [*of_n("none", n=[20, 20, 50], model_width=[2, 16, 16], train_steps=[20, 100, 100])]
    frame, built = build(*runs)
    assert built.row_keys == ["n", "model.width"]
    assert differences.joined(frame, built) == []
    assert differences.together(frame, built) == ["train.steps"]


def test_options_of_a_network_that_has_its_own_rows_are_no_further_differences():
    frame, built = build(identity("none"), identity("none", "model=vit"))
    assert built.row_keys == ["n", "model"]
    assert differences.together(frame, built) == []
