"""Records of studies: written by `record`, read by the commands where there are no own runs."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mixbench.cli import record
from mixbench.cli import words as cli_words
from mixbench.config.compose import Composer
from mixbench.runs.store import reading

STORE = Path(__file__).parents[1] / "fixtures" / "store"
RUN = "digits-n20-none-s0-60107ed3fa"


@pytest.fixture
def results(tmp_path):
    """The made-up runs of study demo, 15 of 36, with the files that records need."""
    shutil.copytree(STORE, tmp_path / "results")
    for folder in (tmp_path / "results/runs").glob("digits-*"):
        (folder / "provenance.json").write_text("{}")
        (folder / "config.yaml").write_text("dataset: {name: digits, path: /my/machine.npz, root: /my/data}")
    return tmp_path / "results"


@pytest.fixture
def published(results):
    """The folder of the records of study demo, made from all runs; there are no own runs any more."""
    assert record.record(["demo", f"results_dir={results}"]) == 0
    shutil.rmtree(results / "runs")
    return results / "published/demo"


def select(results, *words):
    with Composer() as composer:
        return cli_words.select(composer, [*words, f"results_dir={results}"])


def names(path):
    with zipfile.ZipFile(path) as opened:
        return opened.namelist()


def test_a_study_without_own_runs_is_drawn_from_its_records(published, results):
    chosen = select(results, "demo")
    assert chosen.source == published / "runs.zip"
    assert len(chosen.frame) == 15
    assert len(select(results, "dataset=digits").frame) == 0, "read only by the study's name"
    assert len(select(results, "demo", "n=20").frame) == 9


def test_own_runs_are_never_mixed_with_records(published, results):
    shutil.copytree(STORE / "runs" / RUN, results / "runs" / RUN)
    assert len(select(results, "demo").frame) == 1


def test_records_beside_the_results_come_before_those_of_the_package(published, results, tmp_path):
    assert len(select(tmp_path / "elsewhere", "demo").frame) == 36
    assert len(select(results, "demo").frame) == 15


@pytest.mark.parametrize("command", ["table", "plot", "report", "export"])
def test_commands_write_from_records_what_they_write_from_the_runs(command, results, mixbench, tmp_path):
    record.record(["demo", f"results_dir={results}"])
    out = "out=one.zip" if command == "export" else "out=one"
    assert mixbench(command, "demo", out, *["predictions=false"] * (command == "export")).status == 0
    shutil.rmtree(results / "runs")
    assert mixbench(command, "demo", out.replace("one", "two")).status == 0
    if command == "export":
        assert Path("one.zip").read_bytes() == Path("two.zip").read_bytes()
        return
    first, second = (sorted(path.name for path in Path(folder).iterdir()) for folder in ("one", "two"))
    assert first == second
    for name in set(first) - {"accuracy.md", "report.md", "report.html"}:  # which say where the runs are
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


def test_status_tells_of_records_until_there_are_own_runs(published, results, mixbench, counts):
    lines = mixbench("status", "demo").out.splitlines()
    assert counts(lines[0]) == {"missing": 36}
    assert str(published.relative_to(results.parent) / "runs.zip") in lines[-1]
    assert "15 of 36" in lines[-1]
    shutil.copytree(STORE / "runs" / RUN, results / "runs" / RUN)
    assert "runs.zip" not in mixbench("status", "demo").out


def test_a_record_has_no_logits_and_says_which_images_are_recognised(results):
    folder = results / "runs" / RUN
    logits = np.random.default_rng(0).normal(size=(77, 10)).astype(np.float16)
    labels = np.arange(77, dtype=np.int32) % 10
    np.savez(folder / "predictions.npz", logits=logits, labels=labels)
    record.record(["demo", f"results_dir={results}"])
    path = results / "published/demo/runs.zip"
    of_run = {name.split("/")[1] for name in names(path) if name.startswith(RUN)}
    assert of_run == {*record.RECORDED, "correct.json"}
    assert sum(name.endswith("correct.json") for name in names(path)) == 1  # the other runs have no logits
    page = (results / "published/demo/README.md").read_text()
    assert "1 of" not in page.split("## The runs")[0]
    assert "`correct.json` of 1 " in page
    (place,) = [place for place in reading.attach(path).places() if place.name == RUN]
    assert "/my/" not in reading.read_text(place, "config.yaml")


def test_recording_twice_gives_the_same_bytes(results, contents):
    record.record(["demo", f"results_dir={results}"])
    first = contents(results / "published")
    record.record(["demo", f"results_dir={results}"])
    assert contents(results / "published") == first


def test_a_page_is_written_again_from_the_records_alone(published, results, contents):
    """There are no runs any more, and the archive is not changed."""
    whole = contents(published)
    for path in (published / "README.md", *published.glob("*.png")):
        path.unlink()
    assert set(contents(published)) == {"runs.zip"}
    assert record.main(["--page", "demo", f"results_dir={results}"]) == 0
    assert contents(published) == whole


@pytest.mark.parametrize("words", [["--page", "demo"], ["--page", "demo", "n=20"], ["--page"]])
def test_a_page_without_records_is_one_line_and_changes_nothing(results, capsys, contents, words):
    """The records of the package are of other runs, and lie elsewhere."""
    before = contents(results)
    assert record.main([*words, f"results_dir={results}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(results) == before


def test_a_list_of_replaced_labels_is_recorded_where_it_is_small(results):
    first, second, *_ = sorted((results / "runs").glob("digits-*"))
    for folder, lines in ((first, 10), (second, record.SMALL)):
        (folder / "label_noise.csv").write_text("index,true,given\n" + "1,2,3\n" * lines)
    record.record(["demo", f"results_dir={results}"])
    found = [name for name in names(results / "published/demo/runs.zip") if name.endswith("label_noise.csv")]
    assert found == [f"{first.name}/label_noise.csv"]


def test_the_page_has_what_to_use_the_numbers_and_what_somebody_wrote(results):
    place = results / "published/demo"
    place.mkdir(parents=True)
    (place / "notes.md").write_text("Made on a *train*.\n")
    (place / "accuracy.png").write_text("of an older page")
    record.record(["demo", f"results_dir={results}"])
    text = (place / "README.md").read_text()
    assert "Made on a *train*." in text
    assert (place / "notes.md").read_text() == "Made on a *train*.\n"
    pictures = {path.name for path in place.glob("*.png")}
    assert 1 <= len(pictures) <= 2
    assert all(f"]({name})" in text for name in pictures)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    by_name = {(row[0], row[1]): row[2:] for row in rows[2:]}
    # label-mix 70, 72, 77 and none 60, 62, 64 at n = 20, as tests/fixtures/store has them
    assert by_name["20", "none"][0].startswith("62.00 ± 2.00")
    assert by_name["20", "mixup (label-mix)"][:2] == ["73.00 ± 3.61 (3)", "+11.00"]
    assert max(len(line) for line in text.splitlines() if line.startswith("|")) <= 84


def test_records_are_not_lost_to_fewer_runs(results, capsys, contents, mixbench):
    record.record(["demo", f"results_dir={results}"])
    shutil.rmtree(results / "runs" / RUN)
    before = contents(results)
    capsys.readouterr()
    assert record.main(["demo", f"results_dir={results}"]) == 2
    told = capsys.readouterr().err
    assert RUN in told
    assert told.count("\n") == 1
    assert contents(results) == before
    assert mixbench("import", str(results / "published/demo/runs.zip")).status == 0
    assert record.main(["demo", f"results_dir={results}"]) == 0


@pytest.mark.parametrize("lost", [f"runs/{RUN}/config.yaml", f"runs/{RUN}/provenance.json", "runs"])
def test_runs_that_cannot_be_recorded_are_one_line_and_change_nothing(results, capsys, contents, lost):
    if lost == "runs":
        shutil.rmtree(results / lost)
    else:
        (results / lost).unlink()
    before = contents(results)
    capsys.readouterr()
    assert record.main(["demo", f"results_dir={results}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(results) == before


def test_a_run_whose_name_is_not_of_its_settings_is_not_recorded(results, capsys):
    """A further seed's settings under this run's name."""
    path = results / "runs" / RUN / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["identity"]["seed"] = 7
    path.write_text(json.dumps(metrics))
    assert record.main(["demo", f"results_dir={results}"]) == 2
    assert RUN in capsys.readouterr().err
    assert not (results / "published").exists()


def test_damaged_records_are_one_line(published, results, mixbench):
    path = published / "runs.zip"
    path.write_bytes(path.read_bytes()[:-50])
    for command in ("table", "plot", "report", "export", "status"):
        call = mixbench(command, "demo")
        assert call.status == 2
        assert "published/demo/runs.zip" in call.err
        assert call.err.count("\n") == 1
