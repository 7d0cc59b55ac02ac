"""The Python API: the same runs and numbers as the command line's, tables that a notebook can go on with."""

import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mixbench as mb
from mixbench import stats

ROOT = Path(__file__).parents[2]
STORE = ROOT / "tests/fixtures/store"
# A run of half a second.
TINY = {
    "dataset": "digits",
    "n": 20,
    "subset": "balanced",
    "device": "cpu",
    "precision": "fp32",
    "model.width": 2,
    "model.depth": 10,
    "train.steps": 14,
    "train.batch_size": 8,
    "train.eval_every": 4,
}


def words(settings):
    return [f"{key}={value}" for key, value in settings.items()]


def own_process(script, *arguments, cwd):
    ended = subprocess.run([sys.executable, "-c", script, *arguments], cwd=cwd, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_run_is_that_of_the_command_line(mixbench, tmp_path):
    made = mb.run(method="mixup", results_dir=tmp_path / "api", **TINY)
    assert mixbench("run", "method=mixup", *words(TINY), "results_dir=cli").status == 0
    (folder,) = (tmp_path / "cli/runs").glob("digits-*")
    assert (made.id, made.folder) == (folder.name, tmp_path / "api/runs" / folder.name)
    theirs = json.loads((folder / "metrics.json").read_text())
    assert made.metrics["final_accuracy"] == theirs["final_accuracy"]
    assert made.metrics["identity"] == theirs["identity"]
    of_both = [pd.read_csv(path / "history.csv").drop(columns="seconds") for path in (made.folder, folder)]
    pd.testing.assert_frame_equal(*of_both)


def test_what_a_run_gives(tmp_path):
    made = mb.run(results_dir=tmp_path, **TINY)
    history = made.history()
    assert history["step"].tolist() == [4, 8, 12, 14]
    assert history["eval_accuracy"].iloc[-1] == made.metrics["final_accuracy"]
    logits, labels = made.predictions()
    assert logits.shape == (len(labels), 10)
    accuracy = 100 * float(np.mean(logits.argmax(axis=1) == labels))
    assert accuracy == pytest.approx(made.metrics["final_accuracy"])
    (made.folder / "predictions.npz").write_bytes(b"PK damaged")
    with pytest.raises(ValueError, match=r"predictions\.npz"):
        made.predictions()
    (made.folder / "predictions.npz").unlink()
    with pytest.raises(FileNotFoundError):
        made.predictions()


def test_a_finished_run_is_found(tmp_path, capsys):
    first = mb.run(results_dir=tmp_path, **TINY)
    written = (first.folder / "metrics.json").stat().st_mtime_ns
    again = mb.run(results_dir=tmp_path, **TINY)
    assert again == first
    assert (again.folder / "metrics.json").stat().st_mtime_ns == written
    assert capsys.readouterr() == ("", "")


def test_a_sweep_is_every_combination_that_makes_sense(tmp_path):
    grid = TINY | {"method": ["none", "cutmix"], "method.alpha": (0.5, 1), "seed": range(2), "n": np.array([20])}
    frame = mb.sweep(grid, results_dir=tmp_path)
    assert sorted(zip(frame["method"], frame["method.alpha"].fillna(-1), frame["seed"], strict=True)) == [
        ("cutmix", 0.5, 0),
        ("cutmix", 0.5, 1),
        ("cutmix", 1, 0),
        ("cutmix", 1, 1),
        ("none", -1, 0),  # without alpha, once for each seed
        ("none", -1, 1),
    ]
    stored = mb.load_runs(tmp_path)
    assert set(stored["id"]) == set(frame["id"])
    assert len(stored) == 6


def test_values_that_are_lists_stand_in_a_list(tmp_path):
    grid = TINY | {"method": "manifold", "method.layers": [["input", "stage1"]]}
    frame = mb.sweep(grid, results_dir=tmp_path)
    (layers,) = frame["method.layers"]
    assert layers == "['input', 'stage1']"


def test_a_study_makes_its_runs(tmp_path):
    frame = mb.study("demo", scale="smoke", device="cpu", method=["none", "label-mix"], results_dir=tmp_path)
    assert sorted(frame["method"]) == ["label-mix", "none"]
    assert set(frame["id"]) == {path.name for path in (tmp_path / "runs").glob("digits-*")}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "mixxup"}, "mixup"),
        ({"n": 0}, "n=0"),
        ({"m": 3}, "m"),
        ({"model.width": None}, "model.width"),
        ({"method": object()}, "method"),
        ({"n": [20, 50]}, "n"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path, settings, said):
    with pytest.raises(mb.UserError, match=re.escape(said)) as raised:
        mb.run(results_dir=tmp_path / "r", **TINY | settings)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (None, "None"),
        ([("n", 20)], "n"),
        ({1: 20}, "1"),
        ({"n": []}, "n"),
        ({"results_dir": "r"}, "results_dir"),
        ({"n": {"a": 1}}, "n"),
        ({"seed": range(10_001)}, "10,001"),
        ({"n": pd.Series([20, "x"])}, "n"),
    ],
)
def test_grids_that_are_none_are_told(tmp_path, grid, said):
    with pytest.raises(mb.UserError, match=re.escape(said)) as raised:
        mb.sweep(TINY | grid if isinstance(grid, dict) else grid, results_dir=tmp_path / "r")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "r").exists()


def test_values_may_come_in_any_kind_of_list(tmp_path):
    several = [np.array(20), np.array([20]), pd.Series([20]), {20: None}.keys(), (n for n in [20]), {20}]
    made = [mb.sweep(TINY | {"n": values}, results_dir=tmp_path)["id"].tolist() for values in several]
    assert made == [made[0]] * len(several)


def test_a_single_run_takes_a_studys_scale(mixbench, tmp_path):
    settings = {"device": "cpu", "model.width": 2, "train.steps": 5, "study": "demo", "scale": "smoke"}
    made = mb.run(results_dir=tmp_path / "api", **settings)
    assert mixbench("run", *words(settings), "results_dir=cli").status == 0
    assert [path.name for path in (tmp_path / "cli/runs").glob("digits-*")] == [made.id]


def test_progress_is_shown_on_standard_error(tmp_path, capsys):
    mb.run(results_dir=tmp_path, progress="on", **TINY)
    out, err = capsys.readouterr()
    assert out == ""
    assert "accuracy" in err


def test_the_folder_of_own_files_is_remembered(tmp_path, monkeypatch):
    (tmp_path / "own/method").mkdir(parents=True)
    (tmp_path / "own/method/mild.yaml").write_text("defaults: [cutmix]\nalpha: 0.2\n")
    named = mb.run(method="mild", config_dir=tmp_path / "own", results_dir=tmp_path / "r", **TINY)
    monkeypatch.setenv("MIXBENCH_CONFIG_DIR", str(tmp_path / "own"))
    assert mb.run(method="mild", results_dir=tmp_path / "r", **TINY) == named
    assert mb.load_runs(tmp_path / "r")["method"].tolist() == ["mild"]
    for folder in (tmp_path / "nowhere", tmp_path / "own/method/mild.yaml"):
        with pytest.raises(mb.UserError, match=re.escape(str(folder))):
            mb.run(config_dir=folder, results_dir=tmp_path / "r", **TINY)


def test_a_failed_run_is_an_error_and_the_others_stay(tmp_path):
    with pytest.raises(mb.RunFailed, match="step 2"):
        mb.sweep(TINY | {"train.lr": [0.1, 1e30], "train.steps": 5}, results_dir=tmp_path)
    with pytest.warns(UserWarning, match="not finished"):
        assert len(mb.load_runs(tmp_path)) == 1


def test_loading_and_comparing_need_neither_torch_nor_hydra(tmp_path):
    shutil.copytree(STORE, tmp_path / "r")
    script = """
import sys
import mixbench as mb
assert not {"pandas", "numpy"} & set(sys.modules), "import mixbench"
runs = mb.load_runs("r")
mb.compare(runs), mb.recommend(runs)
print(len(runs))
heavy = {"torch", "torchvision", "hydra", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    assert int(own_process(script, cwd=tmp_path)) == 15


def test_loaded_runs_have_columns_that_know_missing_values(tmp_path):
    shutil.copytree(STORE, tmp_path / "r")
    runs = mb.load_runs(tmp_path / "r")
    assert str(runs["n"].dtype) == "Int64"
    assert str(runs["final_accuracy"].dtype) == "Float64"
    assert runs.loc[runs["method"] == "none", "method.alpha"].isna().all()
    assert all(Path(folder).is_dir() for folder in runs["folder"])


def test_records_of_a_study_are_loaded_by_its_name():
    runs = mb.load_runs(ROOT / "results", study="demo")
    assert len(runs) == 36
    with pytest.raises(mb.UserError, match="demo"):
        mb.load_runs(ROOT / "results", study="dmo")
    with pytest.raises(mb.UserError):
        mb.load_runs(ROOT / "no-such-folder")


def test_damaged_runs_are_left_out_with_a_warning(tmp_path):
    shutil.copytree(STORE, tmp_path / "r")
    first = sorted((tmp_path / "r/runs").glob("digits-*"))[0]
    (first / "metrics.json").write_text("{")
    with pytest.warns(UserWarning, match=first.name):
        assert len(mb.load_runs(tmp_path / "r")) == 14


def test_gains_are_those_of_the_statistics():
    """Paired by subset, or with one subset by seed; all methods of a setting together."""
    runs = mb.load_runs(ROOT / "results", study="demo")
    compared = mb.compare(runs)
    assert len(compared) > 2
    for n, of_n in compared.groupby("n"):
        values = {}
        for method, of_method in runs[runs["n"] == n].groupby("method"):
            keys = zip(of_method["subset_seed"], of_method["seed"], strict=True)
            values[method] = dict(zip(keys, of_method["final_accuracy"], strict=True))
        table = stats.paired_table(values["none"], [values[method] for method in of_n["method"]])
        differences = table.values[:, 1:] - table.values[:, :1]
        assert of_n["gain"].tolist() == pytest.approx(differences.mean(axis=0))
        without_images = [gain.interval for gain in stats.compare(table).gains]
        for row, (low, high) in zip(of_n.itertuples(), without_images, strict=True):
            # The records store which images each run classifies: their choice counts too. Intervals are simulated.
            assert row.high - row.low > 0.9 * (high - low)
            assert (row.low <= 0 <= row.high) == (row.p_adjusted >= 0.05)


def test_runs_of_different_settings_are_never_joined():
    """Every setting is compared as it would be alone, and its description tells it from the others."""
    runs = mb.load_runs(ROOT / "results", study="demo")
    slower = runs.assign(**{"train.lr": 0.05, "cell": runs["cell"] + "-slower"})
    slower["final_accuracy"] -= 10 * (slower["method"] == "label-mix")
    alone = mb.compare(runs).set_index(["n", "method"])
    both = mb.compare(pd.concat([runs, slower], ignore_index=True)).set_index(["n", "method"])
    assert len(both) == 2 * len(alone)
    for key, row in alone.iterrows():
        of_key = both.loc[[key]]
        changed = 10 * (key[1] == "label-mix")
        assert sorted(of_key["gain"]) == pytest.approx(sorted([row["gain"] - changed, row["gain"]]))
        assert of_key["setting"].nunique() == 2


def test_any_method_can_be_the_baseline():
    runs = mb.load_runs(ROOT / "results", study="demo")
    forth, back = mb.compare(runs), mb.compare(runs, baseline="label-mix")
    one = forth[forth["method"] == "label-mix"].set_index("n")["gain"]
    other = back[back["method"] == "none"].set_index("n")["gain"]
    assert (one + other).abs().max() < 1e-9
    verdicts = mb.recommend(runs, baseline="label-mix")["verdict"]
    assert verdicts.str.contains("label-mix").all()


def test_a_recommendation_is_a_row_a_setting_and_that_of_the_command_line(mixbench, tmp_path):
    shutil.copytree(STORE, tmp_path / "results")
    verdicts = mb.recommend(mb.load_runs("results"))
    told = mixbench("report").out
    assert len(verdicts) > 1
    for row in verdicts.itertuples():
        assert f"{row.setting}: {row.verdict}" in told


@pytest.mark.parametrize("change", [{"rule": "last"}, {"baseline": "nothing"}])
def test_words_that_compare_does_not_know(change):
    runs = mb.load_runs(ROOT / "results", study="demo")
    with pytest.raises(mb.UserError, match=next(iter(change.values()))):
        mb.compare(runs, **change)


def test_an_alias_is_the_baseline_that_it_stands_for():
    runs = mb.load_runs(ROOT / "results", study="demo")
    pd.testing.assert_frame_equal(mb.compare(runs, baseline="mixup"), mb.compare(runs, baseline="label-mix"))


def test_columns_that_are_needed_are_named():
    runs = mb.load_runs(ROOT / "results", study="demo")
    with pytest.raises(mb.UserError, match="subset_seed"):
        mb.compare(runs.drop(columns="subset_seed"))


def test_other_tables_are_refused():
    with pytest.raises(mb.UserError, match="cell"):
        mb.compare(pd.DataFrame({"n": [1]}))


def test_no_runs_give_no_rows(tmp_path):
    (tmp_path / "runs").mkdir()
    runs = mb.load_runs(tmp_path)
    assert len(runs) == len(mb.compare(runs)) == len(mb.recommend(runs)) == 0


def test_signatures_are_real_and_what_is_promised_is_there():
    for name in mb.__all__:
        assert hasattr(mb, name), name
        assert name in dir(mb)
    for function in (mb.run, mb.sweep, mb.study, mb.load_runs, mb.compare, mb.recommend):
        signature = inspect.signature(function, follow_wrapped=False)
        assert not hasattr(function, "__signature__")
        assert "config_dir" in signature.parameters or "rule" in signature.parameters or "study" in signature.parameters
        for parameter in signature.parameters:
            assert re.search(rf"\b{parameter}\b", function.__doc__), (function, parameter)
    with pytest.raises(AttributeError):
        mb.nothing  # noqa: B018


def test_a_folder_called_mixbench_does_not_pass_for_the_package(tmp_path):
    """As beside a fresh clone, whose folder has no __init__.py."""
    (tmp_path / "mixbench/docs").mkdir(parents=True)
    assert "mixbench/api.py" in own_process("import mixbench; print(mixbench.run.__code__.co_filename)", cwd=tmp_path)


@pytest.mark.parametrize("results_dir", [None, 3, "", "."])
def test_results_go_into_a_folder_that_is_one(tmp_path, monkeypatch, results_dir):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mb.UserError, match="results_dir"):
        mb.run(results_dir=results_dir, **TINY)
    with pytest.raises(mb.UserError, match="results_dir"):
        mb.load_runs(results_dir)
    assert list(tmp_path.iterdir()) == []


def test_what_one_should_know_before_training_is_a_warning(tmp_path, mixbench):
    settings = TINY | {"subset": "head"}
    assert "warning" in mixbench("run", *words(settings)).err
    with pytest.warns(UserWarning, match="subset"):
        mb.run(results_dir=tmp_path / "api", **settings)
