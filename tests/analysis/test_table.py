"""Tables and plots from a small checked-in store of made-up runs (tests/fixtures/store)."""

import csv
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from mixbench import stats
from mixbench.analysis import notes, plot, table
from mixbench.analysis.charts import accuracy, losses, style
from mixbench.cli import words as cli_words
from mixbench.cli.main import main
from mixbench.config.compose import Composer
from mixbench.core import files
from mixbench.core.errors import UserError
from mixbench.runs import study
from mixbench.runs.published import Published
from mixbench.training.rules import RULES

STORE = Path(__file__).parents[1] / "fixtures" / "store"


@pytest.fixture
def results(tmp_path):
    shutil.copytree(STORE, tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def select(results):
    def select(*words):
        with Composer() as composer:
            return cli_words.select(composer, [*words, f"results_dir={results}"])

    return select


def seeds(*values):
    """Runs of one subset, in the order of their seeds."""
    return {(None, seed): value for seed, value in enumerate(values)}


@pytest.mark.parametrize(
    ("values", "expected", "text"),
    [
        # t for 2 degrees of freedom is 4.3027: 2 / sqrt(3) * 4.3027 = 4.97
        ([60.0, 62.0, 64.0], 3, "62.00 ± 2.00 (3) [57.0, 67.0]"),
        ([60.0, 62.0, 64.0, 66.0], 3, "63.00 ± 2.58 (4) [58.9, 67.1]"),
        ([86.0, 88.0], 3, "87.00 ± 1.41 (2 of 3) [74.3, 99.7]"),
        ([85.0], 3, "85.00 (1 of 3)"),
        ([], 3, "– (0 of 3)"),
        ([], None, "–"),
        ([85.0], None, "85.00 (1)"),
    ],
)
def test_cell_text(values, expected, text):
    assert table.cell_text(stats.summarise(seeds(*values)), expected) == text


def test_an_interval_over_seeds_is_marked_where_others_are_over_subsets():
    assert table.cell_text(stats.summarise(seeds(60.0, 62.0, 64.0)), None, mixed=True).endswith("67.0]†")
    of_subsets = stats.summarise({(0, 0): 60.0, (1, 0): 62.0, (2, 0): 64.0})
    assert table.cell_text(of_subsets, None, mixed=True).endswith("67.0]")


def test_accuracy_table_of_a_study(select, results):
    chosen = select("demo", "n=20,50")
    paths = table.write(chosen)
    assert [path.relative_to(results).as_posix() for path in paths] == [
        "demo,n=20,50/accuracy.csv",
        "demo,n=20,50/accuracy.md",
        "demo,n=20,50/runs.csv",
    ]
    methods = ("none", "data-mix", "label-mix")  # in the CSV file by their own names
    rows = [line.split("|")[1:-1] for line in paths[1].read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells[0] == ["n", "none", "data-mix", "mixup (label-mix)"]
    assert cells[2] == [
        "20",
        "62.00 ± 2.00 (3) [57.0, 67.0]",
        "61.00 ± 3.00 (3) [53.5, 68.5]",
        "73.00 ± 3.61 (3) [64.0, 82.0]",
    ]
    assert cells[3] == [
        "50",
        "87.00 ± 1.41 (2 of 3) [74.3, 99.7]",
        "85.00 (1 of 3)",
        "91.00 ± 1.00 (3) [88.5, 93.5]",
    ]
    with open(paths[0], newline="") as file:
        first = next(csv.DictReader(file))
    assert list(first) == ["n", *(f"{m}_{of}" for m in methods for of in ("mean", "sd", "runs", "low", "high"))]
    assert {k: v for k, v in first.items() if k.startswith("none")} | {"n": first["n"]} == {
        "n": "20",
        "none_mean": "62.0",
        "none_sd": "2.0",
        "none_runs": "3",
        "none_low": first["none_low"],
        "none_high": first["none_high"],
    }
    half = 2.0 / 3**0.5 * 4.302652729911275  # Student's t for 2 degrees of freedom, 97.5 %, from a printed table
    assert float(first["none_low"]) == pytest.approx(62 - half)
    assert float(first["none_high"]) == pytest.approx(62 + half)


def test_runs_csv_has_a_row_for_each_run(select):
    runs = pd.read_csv(table.write(select("demo"))[2])
    assert len(runs) == 15
    assert {"id", "n", "method", "seed", "method.alpha", "final_accuracy", "resolved_precision"} <= set(runs.columns)
    assert not {"folder", "cell"} & set(runs.columns)


def test_a_missing_row_of_a_study_is_shown(select):
    text = table.markdown(chosen := select("demo"), table.build(chosen))
    assert text.count("– (0 of 3)") == 6  # n = 100 and 300, three methods


@pytest.mark.parametrize(("rule", "value"), [("final", "62.00"), ("best", "63.00"), ("median10", "57.50")])
def test_the_rule_is_applied_and_named(select, rule, value):
    chosen = select("demo", f"rule={rule}")
    text = table.markdown(chosen, table.build(chosen))
    assert f" {value} ± 2.00 (3) [" in text
    assert RULES[rule].meaning in text


def test_published_numbers_stand_beside_ours(select):
    chosen = select("small-data")
    built = table.build(chosen)
    text = table.markdown(chosen, built)
    assert len(built.published) == 24
    assert built.published[(500,), "data-mix"] == Published(58.59)
    assert "best test accuracy" in text
    assert "technical blog, 2018" in text
    assert "| – (0 of 1) |       58.59 |" in text


def test_another_rule_than_the_published_one_is_said(select, results):
    chosen = select("small-data", "rule=final")
    published = table.build(chosen)
    same = select("small-data", "rule=best")
    below, of_same = notes.below(chosen, published), notes.below(same, table.build(same))
    (added,) = set(below) - set(of_same)
    assert "published" in added


def test_further_seeds_of_a_study_count_and_named_seeds_choose(select, results):
    with Composer() as composer:
        extra = study.plan(composer, "demo", ["n=20", "method=none", "seed=7"]).jobs[0]
    donor = next((results / "runs").glob("digits-n20-none-s0-*"))
    folder = shutil.copytree(donor, results / "runs" / extra.id)
    metrics = json.loads((folder / "metrics.json").read_text()) | {"id": extra.id, "identity": extra.identity}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert len(select("demo").frame) == 16
    assert set(select("demo", "seed=7").frame["seed"]) == {7}


def test_filters_choose_by_any_key(select):
    assert len(select().frame) == 15
    assert len(select("method=mixup,data-mix", "n=20").frame) == 6  # mixup is stored as label-mix
    assert len(select("method.alpha=1").frame) == 6
    assert len(select("dataset=cifar10").frame) == 0
    with pytest.raises(UserError, match=r"'method\.alhpa'.*method\.alpha\?"):
        select("method.alhpa=1")
    with pytest.raises(UserError, match="unknown key 'nn'"):
        select("dataset=cifar10", "nn=3")
    with pytest.raises(UserError, match="unknown rule 'bset'"):
        select("rule=bset")


def test_rows_and_columns_by_any_two_keys(select):
    built = table.build(select("method=label-mix", "rows=method.alpha", "columns=n"))
    assert (built.rows, built.columns) == ([(1,)], [20, 50])
    assert built.cell((1,), 50).mean == 91.0
    with pytest.raises(UserError, match="unknown key 'metod'"):
        table.build(select("rows=metod"))


def test_rows_by_a_key_that_repetitions_differ_in(select):
    built = table.build(select("n=20", "rows=seed"))
    assert built.rows == [(0,), (1,), (2,)]
    assert [built.cell(row, "none").mean for row in built.rows] == [60.0, 62.0, 64.0]
    assert table.build(select("demo", "n=20", "rows=seed")).expected[(1,), "none"] == 1


def test_runs_without_a_key_share_one_row(select):
    built = table.build(select("n=20", "rows=method.alpha"))
    assert built.rows == [(1,), (2,), (None,)]
    assert built.cell((None,), "none").count == 3
    text = table.markdown(chosen := select("n=20", "rows=method.alpha", "columns=n"), table.build(chosen))
    assert text.count("|              – |") == 1


def test_experiments_are_never_averaged_over(select, results):
    for folder in sorted((results / "runs").glob("digits-n20-*")):
        other = shutil.copytree(folder, folder.with_name(folder.name.replace("-s", "-wide-s")))
        metrics = json.loads((other / "metrics.json").read_text())
        metrics["identity"] |= {"model.width": 64, "train.lr": 0.2}
        (other / "metrics.json").write_text(json.dumps(metrics | {"id": other.name}))
    chosen = select("n=20")
    built = table.build(chosen)
    assert len(built.row_keys) == 2  # width and rate move together: one of them tells the rows apart
    assert [built.cell(row, "none").count for row in built.rows] == [3, 3]
    assert any(built.row_keys[1] in note for note in notes.below(chosen, built))


def test_mixed_precisions_and_code_are_said(select, results):
    metrics = next((results / "runs").glob("*none-s0*")) / "metrics.json"
    metrics.write_text(
        metrics.read_text().replace('"precision": "fp32"', '"precision": "bf16"').replace("0123", "9999")
    )
    text = table.markdown(chosen := select("demo"), table.build(chosen))
    first = text.split("\n\n")[1]  # below the title
    assert "bf16" in first
    assert "fp32" in first
    made_by = set(chosen.frame["numerics"].dropna())
    assert len(made_by) == 2
    assert all(code in text for code in made_by)


def test_an_overridden_study_is_kept_apart(select, results):
    chosen = select("demo", "model.width=8", "n=20")
    assert len(chosen.frame) == 0
    assert chosen.out == results / "demo,model.width=8,n=20"
    _, below_title = table.markdown(chosen, table.build(chosen)).split("\n\n", 1)
    assert "model.width=8" in below_title


@pytest.mark.parametrize("change", ["model.width=16", "dataset=cifar100", "subset=balanced", "eval=holdout"])
def test_published_numbers_stand_beside_their_own_protocol_alone(select, change):
    chosen = select("small-data", change)
    built = table.build(chosen)
    assert built.published == {}
    _, *below_title = table.markdown(chosen, built).split("\n\n")
    (changed,) = [text for text in below_title if change in text]
    assert "Published" in changed  # that there are such numbers, which are not shown


def test_figures_of_an_earlier_selection_go(select, results):
    (results / "demo").mkdir()
    stale = results / "demo" / "accuracy-to-10000.png"
    stale.write_text("from a larger study")
    plot.write(select("demo"))
    assert not stale.exists()


def test_pictures_beside_a_newer_table_are_reported(results, capsys):
    """They stay, since somebody may keep them; that they show other numbers is said, but not after a new report."""
    words = ["demo", "n=20", f"results_dir={results}"]
    assert main(["table", *words]) == main(["report", *words]) == main(["table", *words]) == 0
    assert capsys.readouterr().err == ""
    shutil.rmtree(next((results / "runs").glob("digits-n20-label-mix-s2-*")))
    assert main(["table", *words]) == 0
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "accuracy.png" in told
    assert (results / "demo,n=20/accuracy.png").is_file()
    assert main(["report", *words]) == main(["table", *words]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["table", "plot"])
def test_an_output_that_cannot_be_written_is_a_mistake(command, results, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main([command, "demo", f"results_dir={results}", f"out={tmp_path}/file"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_runs_of_before_a_key_are_not_told_apart_by_it(select, results):
    """The stored runs have neither label noise nor smoothing nor protected classes in their identities."""
    with Composer() as composer:
        new = study.plan(composer, "demo", ["n=20", "method=label-mix", "method.alpha=0.4", "seed=0"]).jobs[0]
    donor = next((results / "runs").glob("digits-n20-label-mix-s0-*"))
    folder = shutil.copytree(donor, results / "runs" / new.id)
    metrics = json.loads((folder / "metrics.json").read_text()) | {"id": new.id, "identity": new.identity}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    built = table.build(select("method=label-mix", "n=20"))
    assert built.row_keys == ["n", "method.alpha"]
    assert len(select("dataset.label_noise=0", "method=label-mix", "n=20").frame) == 4


def test_plots_are_drawn_as_png_and_svg(select, results):
    paths = plot.write(select("demo"))
    assert {path.name for path in paths} == {
        f"{name}.{kind}" for name in ("accuracy", "accuracy-log", "gains", "loss") for kind in ("png", "svg")
    }
    for path in paths:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
        else:
            text = "".join(ElementTree.parse(path).getroot().itertext())
            assert "mixup (label-mix)" in text
            assert "digits" in text or path.name.startswith(("loss", "gains"))


def test_the_same_runs_give_the_same_files(select):
    first = {path: path.read_bytes() for path in plot.write(select("demo"))}
    assert {path: path.read_bytes() for path in plot.write(select("demo"))} == first


def test_accuracy_plot_shows_means_and_intervals(select):
    chosen = select("demo", "n=20,50")
    axes = accuracy.accuracy(chosen, table.build(chosen)).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["none"].get_xdata()) == pytest.approx([20, 50], abs=0.5)  # moved sideways by a hair
    assert list(lines["none"].get_ydata()) == [62.0, 87.0]
    assert to_hex(lines["mixup (label-mix)"].get_color()) == style.COLOURS["label-mix"].lower()
    bars = [path.vertices for path in axes.collections[list(lines).index("none")].get_paths()]
    of_20 = stats.summarise({(0, seed): accuracy for seed, accuracy in enumerate((60.0, 62.0, 64.0))}).interval
    assert tuple(bars[0][:, 1]) == pytest.approx(of_20)
    assert bars[0][:, 0] == pytest.approx(lines["none"].get_xdata()[0])
    (legend,) = axes.figure.legends
    bars_are = legend.get_title().get_text()
    assert "95 %" in bars_are
    assert "seeds" in bars_are
    assert "subsets" not in bars_are


def test_an_interval_of_two_runs_does_not_squeeze_the_picture(select):
    """Two seeds at n = 50 have an interval of 25 points, of no more than some is shown."""
    chosen = select("demo", "n=20,50")
    low, high = accuracy.accuracy(chosen, table.build(chosen)).axes[0].get_ylim()
    assert 40 < low < 61
    assert 91 < high < 110


def test_published_numbers_are_drawn_and_small_n_apart(select, results):
    chosen = select("small-data", "results_dir=nowhere")
    axes = accuracy.accuracy(chosen, table.build(chosen), log=True).axes[0]
    assert {tuple(line.get_ydata()) for line in axes.lines} >= {
        (26.79, 36.34, 44.60, 47.83, 79.52, 85.47, 90.81, 95.00),
    }
    assert axes.get_xscale() == "log"
    near = accuracy.accuracy(chosen, table.build(chosen), limit=plot.SMALL).axes[0]
    assert max(x for line in near.lines for x in line.get_xdata()) == 10_000


def test_loss_curves_have_a_panel_for_each_cell(select):
    chosen = select("demo", "n=20,50")
    figure = losses.loss_curves(chosen, table.build(chosen))
    assert len(figure.axes) == 6
    train, test = figure.axes[0].lines
    assert list(train.get_xdata()) == list(range(15, 151, 15))
    assert train.get_ydata()[0] == pytest.approx(2.01)  # mean of 2.00, 2.01 and 2.02
    assert test.get_ydata()[0] == pytest.approx(2.51)


def test_a_history_that_cannot_be_read_is_left_out(select, results):
    broken = next((results / "runs").glob("*none-s0*")) / "history.csv"
    broken.write_text("nonsense\n")
    chosen = select("demo")
    assert plot.write(chosen)
    assert any(str(broken) in problem for problem in chosen.problems)


def test_a_method_keeps_its_colour():
    assert style.colours(["mine", "none"])["none"] == style.colours(["none", "cutmix"])["none"] == style.INK
    assert len(set(style.colours(["a", "b", *style.COLOURS]).values())) == 2 + len(style.COLOURS)


@pytest.mark.parametrize("command", ["table", "plot"])
@pytest.mark.parametrize("words", [["small-data"], ["dataset=cifar10"], []])
def test_commands_without_runs_exit_with_1_and_write_nothing(command, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([command, *words]) == 1
    out = capsys.readouterr()
    assert "stored" in out.out + out.err
    assert list(tmp_path.iterdir()) == []


def test_damaged_folders_are_reported_and_left_out(results, capsys, numbers):
    runs = results / "runs"
    (runs / "digits-half").mkdir()
    (runs / "digits-damaged").mkdir()
    (runs / "digits-damaged" / "metrics.json").write_text('{"schema": 1, "id": ')
    (runs / "digits-older").mkdir()
    files.write_json(runs / "digits-older" / "metrics.json", {"schema": 0})
    assert main(["table", "demo", f"results_dir={results}"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 3
    reasons = {}
    for name in ("digits-damaged", "digits-older", "digits-half"):
        (reasons[name],) = [line.partition(f"runs/{name}: ")[2] for line in told if f"runs/{name}: " in line]
    assert "schema" in reasons["digits-older"]
    assert numbers(reasons["digits-older"]) == [0, 1]  # the stored one and the one that this version reads
    assert len(set(reasons.values())) == 3
    assert all(reasons.values())
