"""`mixbench audit`, its short form before training, and its section of the report."""

import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from mixbench.config.compose import Composer
from mixbench.config.jobs import job_of
from mixbench.data import load_for
from mixbench.data.audit import audit
from mixbench.runs import audits

RUN = ("n=12", "subset=random", "model.width=2", "model.depth=10", "train.steps=2", "train.batch_size=8", "device=cpu")
STRANGE = "<b>x&y.png"


def pixels(count, seed=0):
    rng = np.random.Generator(np.random.Philox(seed))
    coarse = rng.integers(0, 256, (count, 5, 5, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((16, 16), Image.Resampling.BICUBIC)) for one in coarse])


def archive(path, copies=3, **left_out):
    """30 training and 20 test images, of which these many are training images too."""
    images = pixels(50)
    images[30 : 30 + copies] = images[:copies]
    labels = np.arange(50) % 2
    arrays = {
        "train_images": images[:30],
        "train_labels": labels[:30],
        "test_images": images[30:],
        "test_labels": labels[30:],
    }
    np.savez(path, **{key: array for key, array in arrays.items() if key not in left_out})


def folder(root):
    """20 pictures of two classes; one of them occurs twice, under a strange name."""
    for name, seed in (("cat", 1), ("dog", 2)):
        (root / name).mkdir(parents=True)
        for k, one in enumerate(pixels(10, seed)):
            Image.fromarray(one).save(root / name / f"{k}.png")
    (root / "cat" / STRANGE).write_bytes((root / "cat/3.png").read_bytes())


@pytest.fixture
def made(monkeypatch):
    """The audits that are made instead of read, one entry each."""
    calls = []
    monkeypatch.setattr(audits, "audit", lambda *given: calls.append(given) or audit(*given))
    return calls


def test_an_archive_is_audited_once_for_the_same_images(mixbench, tmp_path, made, numbers):
    archive(tmp_path / "my.npz")
    call = mixbench("audit", "my.npz", "dataset.name=my")
    assert (call.status, call.err) == (0, "")
    problem = next(line for line in call.out.splitlines() if line.startswith("problem"))
    assert numbers(problem)[:2] == [3, 20]
    assert mixbench("audit", "dataset=npz", "dataset.path=my.npz", "dataset.name=my").out == call.out
    assert len(made) == 1
    archive(tmp_path / "my.npz", copies=5)
    assert mixbench("audit", "my.npz", "dataset.name=my").out != call.out
    (tmp_path / "results/audits/my.json").write_text('{"schema": 1, "audits": {"test": 3}}')  # damaged
    assert mixbench("audit", "my.npz", "dataset.name=my").status == 0
    assert len(made) == 3
    assert mixbench("audit", "my.npz", "dataset.name=my", "eval=stratified").status == 0
    assert set(json.loads((tmp_path / "results/audits/my.json").read_text())["audits"]) == {"test", "stratified"}


def test_data_without_test_images_are_audited_as_stratified(mixbench, tmp_path):
    archive(tmp_path / "my.npz", test_images=None, test_labels=None)
    folder(tmp_path / "pictures")
    (tmp_path / "table.csv").write_text(
        "path,label\n" + "".join(f"pictures/{c}/{k}.png,{c}\n" for c in ("cat", "dog") for k in range(10))
    )
    for path, name in (("my.npz", "my"), ("pictures/", "pictures-16px"), ("table.csv", "table-16px")):
        words = [] if path == "my.npz" else ["dataset.size=16"]
        call = mixbench("audit", path, *words)
        assert call.status == 0, call.err
        (kept,) = (tmp_path / "results/audits").glob(f"{name}-*.json")  # the name ends in a checksum of the data
        assert set(audits.read("results", kept.stem)) == {"stratified"}


@pytest.mark.parametrize(
    "words",
    [
        "nowhere",
        "nowhere/",
        "some.txt",
        "my.npz other.npz",
        "my.npz n=5",
        "my.npz dataset=folder",
        "my.npz eval=test,stratified",
        "my.npz dataset.sizes=3",
        "below-zero.npz",
        "--yes my.npz",
        "my.npz results_dir=some.txt",
    ],
)
def test_mistakes(mixbench, tmp_path, contents, words):
    archive(tmp_path / "my.npz")
    np.savez(tmp_path / "below-zero.npz", train_images=pixels(10), train_labels=np.arange(10) % 2 - 1)
    (tmp_path / "some.txt").write_text("text")
    before = contents(tmp_path)
    call = mixbench("audit", *words.split())
    assert (call.status, call.out) == (2, "")
    assert len(call.err.splitlines()) == 1
    assert contents(tmp_path) == before


def of_words(*words):
    """The configuration of a run and its data."""
    with Composer() as composer:
        cfg = job_of(composer, words).cfg
    return load_for(cfg, print), cfg


def test_problems_are_told_in_few_lines(tmp_path, monkeypatch, made):
    monkeypatch.chdir(tmp_path)
    archive(tmp_path / "my.npz")
    dataset, cfg = of_words("dataset=npz", "dataset.path=my.npz")
    lines = audits.problems(dataset, cfg)
    assert 2 <= len(lines) <= audits.LINES
    assert "3 of 20" in lines[0]
    monkeypatch.setattr(audits, "LINES", 2)
    assert len(audits.problems(dataset, cfg)) == 2
    assert len(made) == 1
    assert audits.problems(*of_words("dataset=digits")) == []
    (tmp_path / "file").write_text("no folder")
    cfg.results_dir = "file"
    assert audits.problems(dataset, cfg) == []


def test_problems_are_shown_before_training_once_a_call(mixbench, tmp_path):
    archive(tmp_path / "my.npz")
    words = ("sweep", "method=none,mixup", "dataset=npz", "dataset.path=my.npz", *RUN)
    call = mixbench(*words)
    assert call.status == 0
    assert call.err.count("3 of 20 test pictures") == 1
    assert "test pictures" not in mixbench(*words).err  # nothing trains


@pytest.mark.slow
def test_a_race_shows_problems_once_for_all_rounds(mixbench, tmp_path):
    archive(tmp_path / "my.npz")
    call = mixbench("decide", "method=none,mixup", "dataset=npz", "dataset.path=my.npz", "budget=3rounds", *RUN)
    assert call.status == 0, call.err
    assert call.err.count("3 of 20 test pictures") == 1


def test_a_report_shows_the_audit_and_archives_do_not_have_it(mixbench, tmp_path):
    folder(tmp_path / "mine")
    words = ("dataset=folder", "dataset.path=mine", "dataset.size=16", "eval=stratified", *RUN)
    assert mixbench("run", "method=none", *words).status == 0

    def report():
        assert mixbench("report", "dataset=mine-16px", "out=page").status == 0
        return (tmp_path / "page/report.html").read_text(), (tmp_path / "page/report.md").read_text()

    page, text = report()
    shown = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)" alt="([^"]+)">', page)
    file = tmp_path / "results/audits/mine-16px.json"
    value = json.loads(file.read_text())
    stored = value["audits"]["stratified"]["pairs"]
    assert [jpeg for jpeg, _ in shown] == [jpeg for pair in stored for jpeg in pair["thumbnails"]]
    assert len(shown) == 2
    assert "<b>" not in page
    assert "&lt;b&gt;x&amp;y.png" in page
    assert "base64" not in text
    assert mixbench("export", "dataset=mine-16px", "out=runs.zip").status == 0
    with zipfile.ZipFile(tmp_path / "runs.zip") as packed:
        assert not any("audit" in name for name in packed.namelist())
        assert not any(stored[0]["thumbnails"][0].encode() in packed.read(name) for name in packed.namelist())

    value["audits"]["stratified"]["train_sha256"] = "0" * 64
    file.write_text(json.dumps(value))
    page, _ = report()
    assert "other pictures" in page
    assert "<img" not in page
    file.unlink()
    assert "Your pictures" not in report()[0]


@pytest.mark.slow
def test_a_page_of_published_records_has_no_audit(mixbench, tmp_path):
    archive(tmp_path / "digits.npz")
    assert mixbench("audit", "digits.npz", "dataset.name=digits").status == 0
    assert mixbench("report", "demo", "out=page").status == 0
    assert "<img" not in (tmp_path / "page/report.html").read_text()
