"""The report: one page that needs nothing else, the same in HTML and Markdown, with the numbers of the runs."""

import contextlib
import datetime
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

from mixbench import stats
from mixbench.analysis import select
from mixbench.analysis.report.evaluation import MOST_CLASSES
from mixbench.cli.main import main
from mixbench.config.compose import Composer
from mixbench.training import metrics

STORE = Path(__file__).parents[1] / "fixtures" / "store"
SECTIONS = [
    "What to use",
    "Accuracy",
    "Gains over no mixing",
    "Equivalent data",
    "Over all settings",
    "Loss curves",
    "Classes",
    "Calibration",
    "Training cost",
    "Provenance",
]


@pytest.fixture
def results(tmp_path):
    shutil.copytree(STORE, tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def report(results, capsys):
    """Call `mixbench report WORDS`; its page and its Markdown."""

    def report(*words):
        assert main(["report", *words, f"results_dir={results}"]) == 0
        written = [Path(line) for line in capsys.readouterr().out.splitlines() if line.startswith(str(results))]
        assert all(path.is_file() for path in written)
        return Page(written[0].read_text()), written[1].read_text()

    return report


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The page and the Markdown of `mixbench report demo`, written once, for tests that only read them."""
    results = tmp_path_factory.mktemp("demo") / "results"
    shutil.copytree(STORE, results)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["report", "demo", f"results_dir={results}"]) == 0
    written = [Path(line) for line in out.getvalue().splitlines() if line.startswith(str(results))]
    return Page(written[0].read_text()), written[1].read_text()


def change(folder, **entries):
    path = folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


class Page(HTMLParser):
    """What of a page a test asks for: its tags, its tables, its headings and its text."""

    def __init__(self, text):
        super().__init__()
        self.source, self.tags, self.tables, self.headings, self.text = text, [], [], [], ""
        self.open = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if {"td", "th"} & {*self.open}:
            self.tables[-1][-1][-1] += data
        elif self.open and self.open[-1] == "h2":
            self.headings.append(data)
        elif not {"style", "script"} & {*self.open}:
            self.text += data

    def table(self, *headers):
        """The lines of the table that begins with these headers, as dicts."""
        (found,) = (t for t in self.tables if t[0][: len(headers)] == list(headers))
        return [dict(zip(found[0], line, strict=True)) for line in found[1:]]


def markdown_tables(text):
    """The tables of a Markdown text as lists of lines of cells."""
    tables, lines = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            lines.append([cell.strip().removeprefix("**").removesuffix("**") for cell in line.strip("|").split("|")])
        elif lines:
            tables.append([lines[0], *lines[2:]])
            lines = []
    return tables


def test_one_file_that_needs_no_other(demo):
    page, _ = demo
    assert not {"link", "img", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "data", "action"):
                assert value.startswith("#"), f"<{tag} {name}={value}>"
    assert not re.search(r"@import|url\((?!#)", page.source)
    assert page.source.startswith("<!doctype html>")
    assert 'name="viewport"' in page.source


def test_ids_are_unique_and_every_reference_has_its_target(demo):
    page, _ = demo
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    wanted = re.findall(r'(?:href="#|url\(#)([^")]+)', page.source)
    assert set(wanted) <= set(ids)


def test_the_recommendation_comes_first_and_the_sections_are_in_order(demo):
    page, text = demo
    assert page.headings == SECTIONS
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert page.text.index("Use mixup") < page.text.index("mean ± standard deviation")


def test_markdown_says_the_same(demo):
    page, text = demo
    assert markdown_tables(text) == page.tables
    flat = " ".join(page.text.split())
    for line in text.splitlines():
        if line and not line.startswith(("|", "#", "!", "- ")):
            assert " ".join(line.removeprefix("  - ").split()) in flat


def test_markdowns_pictures_are_there(report, results):
    _, text = report("demo")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert "gains.png" in pictures
    assert all((results / "demo" / name).is_file() for name in pictures)


def test_every_chart_is_in_the_page_and_says_what_it_is(demo):
    page, _ = demo
    charts = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(charts) == 3  # accuracy, gains, losses
    assert all(chart["role"] == "img" and len(chart["aria-label"]) > 20 for chart in charts)


def test_charts_take_the_pages_colours(demo):
    """Black text on a dark page would not be seen."""
    page, _ = demo
    charts = "".join(re.findall(r"<svg.*?</svg>", page.source, re.DOTALL))
    assert "#1b1e21" not in charts.lower()
    assert "#ffffff" not in charts.lower()  # a panel with a white ground would be a lamp on it
    assert "var(--ink)" in charts
    used = set(re.findall(r"var\(--(\w+)\)", charts))
    defined = {"light": "", "dark": ""}
    for media, rules in re.findall(r"(@media [^{]*\{\s*)?:root \{([^}]*)\}", page.source):
        defined["dark" if "dark" in media else "light"] += rules * ("print" not in media)
    for rules in defined.values():
        assert {name for name in used if f"--{name}:" not in rules} == set()


def test_the_accuracy_table_is_the_tables(report, results, capsys):
    page, _ = report("demo")
    assert main(["table", "demo", f"results_dir={results}"]) == 0
    assert markdown_tables(capsys.readouterr().out)[0] in page.tables


def test_gains_are_those_of_the_runs(demo):
    """Accuracies at n = 20 with seeds 0 to 2, from tests/fixtures/store."""
    none, data_mix, label_mix = [60, 62, 64], [58, 61, 64], [70, 72, 77]
    table = stats.PairedTable(np.transpose([none, data_mix, label_mix]), [[(0, seed)] for seed in range(3)], [3, 3], "")
    gains = dict(zip(("data-mix", "mixup (label-mix)"), stats.compare(table).gains, strict=True))
    page, _ = demo
    rows = {row["method"]: row for row in page.table("setting", "method", "gain") if row["setting"] == "n = 20"}
    assert (rows["mixup (label-mix)"]["gain"], rows["mixup (label-mix)"]["pairs"]) == ("+11.00", "3")
    for name, gain in gains.items():
        assert float(rows[name]["p"]) == pytest.approx(gain.p, rel=0.03)
        assert [float(end) for end in rows[name]["95 % interval"].split(" to ")] == pytest.approx(
            gain.interval, abs=0.05
        )
    assert [rows[name]["may be best"] for name in gains] == ["no", "yes"]


def test_classes_are_named_and_the_hardest_is_followed(report, results):
    names = list("abcdefghij")
    for i, folder in enumerate(sorted((results / "runs").glob("digits-n20-*"))):
        recall = [50.0 + k for k in range(10)]
        recall[3] = 20.0 if "-none-" in folder.name else 35.0 + 3 * (i % 3)
        recall[7] = 30.0
        change(folder, per_class_accuracy=recall)
        (folder / "config.yaml").write_text(yaml.safe_dump({"dataset": {"classes": names}}))
    page, _ = report("demo", "n=20")
    rows = {row["method"]: row for row in page.table("setting", "method", *names)}
    assert rows["none"]["d"] == "20.0"
    assert rows["mixup (label-mix)"]["a"] == "50.0"
    worst = {row["method"]: row for row in page.table("setting", "method", "hardest class of none")}
    assert worst["mixup (label-mix)"]["hardest class of none"] == "d"
    assert worst["mixup (label-mix)"]["own hardest class"] == "h"
    mean = np.mean([35.0, 38.0, 41.0])
    assert worst["mixup (label-mix)"]["change"] == f"{mean - 20:+.1f}"


def test_of_many_classes_the_hardest_are_shown(report, results):
    for folder in (results / "runs").glob("digits-n20-*"):
        change(folder, per_class_accuracy=[float(99 - k) for k in range(100)])
    page, _ = report("demo", "n=20")
    (headers,) = (table[0] for table in page.tables if table[0][:3] == ["setting", "method", "class 80"])
    assert headers[2:] == [f"class {k}" for k in range(80, 100)]
    assert len(headers) == 2 + MOST_CLASSES
    assert "hardest" in page.text


def test_a_class_without_images_has_no_recall(report, results):
    for folder in (results / "runs").glob("digits-n20-*"):
        change(folder, per_class_accuracy=[None, 60.0, 70.0])
    page, _ = report("demo", "n=20")
    assert page.table("setting", "method", "class 1")[0]["class 2"] == "70.0"


def test_calibration_of_older_runs_comes_from_their_predictions(report, results):
    rng = np.random.default_rng(0)
    of_runs = []
    for folder in sorted((results / "runs").glob("digits-n20-none-*")):
        logits = (4 * rng.normal(size=(200, 10))).astype(np.float16)
        labels = np.where(rng.random(200) < 0.7, logits.argmax(axis=1), rng.integers(10, size=200)).astype(np.int32)
        np.savez_compressed(folder / "predictions.npz", logits=logits, labels=labels)
        of_runs.append(metrics.calibration(logits, labels))
    page, _ = report("demo", "n=20")
    rows = {row["method"]: row for row in page.table("setting", "method", "NLL")}
    assert rows["none"]["T"] == f"{np.mean([run['temperature'] for run in of_runs]):.2f}"
    assert rows["none"]["ECE after"] == f"{100 * np.mean([run['scaled_ece'] for run in of_runs]):.1f}"
    assert rows["mixup (label-mix)"]["T"] == "–", "no predictions are kept of these"
    assert rows["mixup (label-mix)"]["NLL"] == "1.00"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", None])
def test_damaged_predictions_are_as_none(report, results, content):
    for folder in (results / "runs").glob("digits-n20-none-*"):
        if content is None:
            np.savez(folder / "predictions.npz", logits=np.zeros(3), labels=np.zeros(3))
        else:
            (folder / "predictions.npz").write_bytes(content)
    page, _ = report("demo", "n=20")
    assert list(page.table("setting", "method", "NLL")[0]) == ["setting", "method", "NLL", "ECE"]
    assert "predictions" in page.text  # what is missing


@pytest.mark.parametrize(("images", "few", "scaled"), [(60, True, False), (100, True, True), (200, False, True)])
def test_the_number_of_evaluation_images_and_whether_they_are_few(report, results, images, few, scaled):
    """Half of the images fit the temperature; fewer than 50 are too few for that."""
    rng = np.random.default_rng(0)
    folders = sorted((results / "runs").glob("digits-n20-*"))
    for folder in folders[:1]:  # one run tells it for all that are evaluated on the same images
        logits = (4 * rng.normal(size=(images, 10))).astype(np.float16)
        np.savez_compressed(folder / "predictions.npz", logits=logits, labels=rng.integers(10, size=images))
    for folder in folders:
        change(folder, temperature=1.5, unscaled_nll=2.0, unscaled_ece=0.2, scaled_nll=1.25, scaled_ece=0.05)
    page, text = report("demo", "n=20")
    assert f"on {images} " in page.text
    expected = 100 * (0.8 * 0.2 / images) ** 0.5  # the standard deviation of a share
    assert (f"{expected:.1f} percentage points" in page.text) == (f"{expected:.1f} percentage points" in text) == few
    assert all(("T" in row) == scaled for row in page.table("setting", "method", "NLL"))


def test_stored_calibration_is_taken_as_it_is(report, results):
    for folder in (results / "runs").glob("digits-n20-*"):
        change(folder, temperature=1.5, unscaled_nll=2.0, unscaled_ece=0.2, scaled_nll=1.25, scaled_ece=0.05)
    page, _ = report("demo", "n=20")
    row = page.table("setting", "method", "NLL")[0]
    assert [row[key] for key in ("T", "NLL before", "NLL after", "ECE before", "ECE after")] == [
        "1.50",
        "2.00",
        "1.25",
        "20.0",
        "5.0",
    ]


def test_cost_is_beside_the_baselines(report, results):
    for folder in (results / "runs").glob("digits-n20-*"):
        slow = "label-mix" in folder.name
        change(folder, steps_per_second=10.0 if slow else 20.0, seconds=15.0 if slow else 7.5, other_load=0.01)
    page, _ = report("demo", "n=20")
    rows = {row["method"]: row for row in page.table("setting", "method", "runs")}
    assert rows["none"]["ms per step"] == "50.0"
    assert rows["mixup (label-mix)"]["against none"] == "+100 %"
    assert rows["mixup (label-mix)"]["seconds per run"] == "15"


@pytest.mark.parametrize("load", [None, 0.4])
def test_times_beside_other_work_are_left_out(report, results, load):
    for folder in (results / "runs").glob("digits-n20-*"):
        busy = "label-mix" in folder.name
        change(folder, steps_per_second=10.0 if busy else 20.0, other_load=load if busy else 0.01)
    page, _ = report("demo", "n=20")
    rows = {row["method"]: row for row in page.table("setting", "method", "runs")}
    assert [rows["mixup (label-mix)"][key] for key in ("seconds per run", "ms per step", "against none")] == ["–"] * 3
    assert rows["none"]["ms per step"] == "50.0"


def test_a_method_is_not_timed_against_a_baseline_beside_other_work(report, results):
    for folder in (results / "runs").glob("digits-n20-*"):
        change(folder, steps_per_second=20.0, other_load=0.5 if "none" in folder.name else 0.0)
    page, _ = report("demo", "n=20")
    rows = {row["method"]: row for row in page.table("setting", "method", "runs")}
    assert (rows["mixup (label-mix)"]["ms per step"], rows["mixup (label-mix)"]["against none"]) == ("50.0", "–")


def test_runs_that_never_said_how_busy_the_machine_was_have_no_times(report, results):
    page, _ = report("demo", "n=20")
    columns = page.table("setting", "method", "runs")[0]
    assert "ms per step" not in columns
    assert columns["memory (GiB)"] == "0.0"


def test_provenance_lists_what_runs_share_and_what_not(report, results):
    for i, folder in enumerate(sorted((results / "runs").glob("digits-n20-*"))):
        origin = {
            "device": "a card",
            "libraries": {"torch": f"2.{11 + (i == 0)}"},
            "data_sha256": "f" * 64,
            "threads": 2,
        }
        (folder / "provenance.json").write_text(json.dumps(origin))
    page, _ = report("demo", "n=20")
    section = page.source[page.source.index('id="provenance"') :]
    shared = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", section))
    assert shared["device"] == "a card"
    assert [value for key, value in shared.items() if "SHA-256" in key] == ["f" * 12]
    assert "libraries" not in shared
    runs = page.table("run", "accuracy")
    assert len(runs) == 9
    assert sorted(row["libraries"] for row in runs) == ["torch 2.11"] * 8 + ["torch 2.12"]
    assert {row["seed"] for row in runs} == {"0", "1", "2"}


def test_unreadable_provenance_is_counted(report, results, numbers):
    folders = sorted((results / "runs").glob("digits-n20-*"))
    for folder in folders[:4]:
        (folder / "provenance.json").write_text('{"device": "a card"}')
    (folders[4] / "provenance.json").write_text("{broken")
    _, text = report("demo", "n=20")
    (line,) = [line for line in text.splitlines() if "provenance.json" in line]
    assert numbers(line.replace(str(results), ""))[-2:] == [9, 5]


def test_a_title_is_text_not_markup(report, results, tmp_path):
    (tmp_path / "mine/study").mkdir(parents=True)
    (tmp_path / "mine/study/tagged.yaml").write_text(
        "# @package _global_\n# tagged\ndefaults:\n  - demo\n  - _self_\n"
        "study: {name: tagged, title: a <b>bold</b> & more}\n"
    )
    page, _ = report("tagged", "--config-dir", str(tmp_path / "mine"))
    assert ("b", {}) not in page.tags
    assert "a <b>bold</b> & more" in page.text


def test_published_numbers_stand_in_the_report(report, results):
    donor = next((results / "runs").glob("digits-n20-none-s0-*"))
    with Composer() as composer:
        job = select.study.plan(composer, "small-data", ["n=100", "method=none"]).jobs[0]
    folder = shutil.copytree(donor, results / "runs" / job.id)
    change(folder, id=job.id, identity=job.identity)
    page, _ = report("small-data")
    rows = next(table for table in page.tables if table[0][:2] == ["n", "none"])
    assert rows[0][:3] == ["n", "none", "published"]
    assert rows[1][0] == "100"
    assert rows[1][2] == "26.79"
    assert "technical blog, 2018" in page.text


def test_runs_without_a_baseline_have_a_report_too(report):
    page, _ = report("method=label-mix")
    assert "method=none" in page.text  # what is missing
    assert "Gains over no mixing" in page.headings
    assert not [table for table in page.tables if "gain" in table[0]]


def test_without_a_run_nothing_is_written(results, capsys, tmp_path):
    shutil.rmtree(results / "runs")
    before = sorted(tmp_path.rglob("*"))
    assert main(["report", "small-data", f"results_dir={results}"]) == 1
    told = capsys.readouterr().err
    assert str(results / "runs") in told
    assert told.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_broken_run_beside_is_told_and_left_out(results, capsys):
    broken = next((results / "runs").glob("digits-n20-none-s0-*"))
    (broken / "metrics.json").write_text("{")
    assert main(["report", "demo", f"results_dir={results}"]) == 0
    assert broken.name in capsys.readouterr().err
    assert "digits-n20-none-s0" not in (results / "demo" / "report.md").read_text()


def test_the_best_mean_of_each_setting_is_bold(demo):
    page, text = demo
    accuracy = page.source[page.source.index('id="accuracy"') : page.source.index('id="gains-over-no-mixing"')]
    bold = re.findall(r"<strong>([\d.]+)", accuracy)
    assert bold == ["73.00", "91.00"]  # n = 20 and 50, from tests/fixtures/store
    assert re.findall(r"\*\*([\d.]+) ±[^|]*\*\*", text) == bold


def test_the_page_says_when_and_how_it_was_made(demo):
    page, text = demo
    for told in (page.text, text):
        assert datetime.date.today().isoformat() in told
        assert "mixbench report demo" in told
