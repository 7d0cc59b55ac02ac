"""A user's own settings of a method keep their own name in tables, advice and pictures; ids stay the method's."""

import json

import pytest

from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.jobs import job_of

SWEEP = ("seed=0,1",)


@pytest.fixture
def own(tmp_path):
    """A folder with a variant of CutMix, one of that variant, and another name for CutMix."""
    folder = tmp_path / "mine/method"
    folder.mkdir(parents=True)
    (folder / "my-cutmix.yaml").write_text("# CutMix with small boxes\ndefaults: [cutmix]\nalpha: 0.3\n")
    (folder / "other-name.yaml").write_text("defaults: [cutmix]\n")
    return ("--config-dir", "mine")


@pytest.fixture
def stored(own, mixbench, tiny):
    """The store with runs of the variant, the method and the baseline."""
    call = mixbench("sweep", *own, *tiny, "method=none,cutmix,my-cutmix", *SWEEP)
    assert call.status == 0, call.err
    return call


def metrics(tmp_path, part):
    return [json.loads(path.read_text()) for path in sorted((tmp_path / "results/runs").glob(f"*{part}*/metrics.json"))]


def test_the_name_is_stored_and_the_id_is_the_methods(stored, tmp_path, tiny):
    with Composer() as composer:
        plain = job(composer.compose([*tiny, "method=cutmix", "method.alpha=0.3"]))
    made = {m["id"]: m["called"] for m in metrics(tmp_path, "-s0-")}
    assert made[plain.id] == "my-cutmix"
    assert sorted(made.values()) == ["cutmix", "my-cutmix", "none"]


def rows_of(call):
    return [line.split("|")[1].strip() for line in call.out.splitlines() if line.startswith("| ")][1:]


def test_a_table_calls_it_by_its_name(stored, mixbench, tmp_path):
    shown = mixbench("table", "rows=method", "columns=n")
    assert shown.status == 0
    assert rows_of(shown) == ["none", "cutmix", "my-cutmix"]
    assert "alpha" not in shown.out
    runs = (tmp_path / "results/selection/runs.csv").read_text().splitlines()
    assert sum(",my-cutmix," in line and ",cutmix," in line for line in runs) == 2, "with the method that it is of"


def test_the_report_calls_it_by_its_name(stored, mixbench, tmp_path):
    call = mixbench("report")
    assert call.status == 0
    page = (tmp_path / "results/selection/report.md").read_text()
    assert "my-cutmix" in page
    assert "alpha=0.3" not in page


@pytest.mark.parametrize(
    ("method", "rows"),
    [("my-cutmix", ["my-cutmix"]), ("cutmix", ["cutmix"]), ("other-name", ["cutmix"]), ("none,my-cutmix", None)],
)
def test_a_filter_takes_the_name_that_tables_show(own, stored, mixbench, method, rows):
    shown = mixbench("table", *own, f"method={method}", "rows=method", "columns=n")
    assert shown.status == 0, shown.err
    assert rows_of(shown) == (rows or ["none", "my-cutmix"])


def test_a_study_calls_it_by_its_name_also_where_a_run_was_made_by_another(own, mixbench, tmp_path, tiny):
    (tmp_path / "mine/study").mkdir()
    grid = "grids:\n  - {method: [none, my-cutmix], n: [20], seed: [0]}\n"
    (tmp_path / "mine/study/small.yaml").write_text(f"# Small\nname: small\ntitle: Small\n{grid}")
    rest = [word for word in tiny if not word.startswith("n=")]
    assert mixbench("run", *tiny, "method=cutmix", "method.alpha=0.3").status == 0
    call = mixbench("study", *own, "small", "rows=method", "columns=n", *rest)
    assert call.status == 0, call.err
    assert rows_of(call)[:2] == ["none", "my-cutmix"]
    assert [m["called"] for m in metrics(tmp_path, "cutmix")] == ["cutmix"]  # a finished run never changes


def test_without_the_own_file_only_the_method_is_known(stored, mixbench):
    """The filter's folder is not given: the name is that of the stored runs all the same."""
    shown = mixbench("table", "method=my-cutmix", "rows=method", "columns=n")
    assert rows_of(shown) == ["my-cutmix"]


def test_names_that_change_nothing_are_the_methods(own, tmp_path, monkeypatch, tiny):
    monkeypatch.chdir(tmp_path)
    with Composer("mine") as composer:
        shown = {
            option: job_of(composer, [*tiny, f"method={option}"]).display_name
            for option in ("cutmix", "my-cutmix", "other-name", "mixup", "mixup-cutmix", "none")
        }
        nothing = job_of(composer, [*tiny, "method=my-cutmix", "method.alpha=0"])
    assert shown == {
        "cutmix": "cutmix",
        "my-cutmix": "my-cutmix",
        "other-name": "cutmix",
        "mixup": "label-mix",
        "mixup-cutmix": "mixture",
        "none": "none",
    }
    assert (nothing.display_name, nothing.called) == ("none", "none")
