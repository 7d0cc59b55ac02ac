"""A stored run as the teacher of another: found by folder or id, part of the identity by its weights, checked."""

import json
import shutil

import pytest

from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.core.errors import UserError


@pytest.fixture
def taught(mixbench, tiny, tmp_path):
    """The call `mixbench run` of a small run with a method and a teacher, and the id of a finished run with weights."""
    words = [word for word in tiny if not word.startswith("model.")]
    words += ["model=wrn", "model.widen=1", "model.depth=10"]  # with features of 2x2 for the digits
    assert mixbench("run", *words, "save_model=true", "method=none").status == 0
    (folder,) = (path for path in (tmp_path / "results/runs").iterdir() if path.is_dir() and path.name[0] != ".")
    return lambda *more: mixbench("run", *words, "method=attentivemix", *more), folder


def runs_of(tmp_path, method):
    return sorted(path for path in (tmp_path / "results/runs").iterdir() if f"-{method}-" in path.name)


def test_a_run_teaches_by_its_id_and_by_its_folder_and_is_the_same_run(taught, tmp_path):
    run, folder = taught
    assert run("method.teacher=current").status == 0
    assert run(f"method.teacher={folder.name}").status == 0
    by_id = run(f"method.teacher={folder}")  # the same run: already finished
    assert by_id.status == 0
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert run("method.teacher=elsewhere").status == 0
    current, by_folder = sorted(
        runs_of(tmp_path, "attentivemix"),
        key=lambda path: json.loads((path / "metrics.json").read_text())["identity"]["method.teacher"] != "current",
    )
    made = json.loads((by_folder / "provenance.json").read_text())
    assert made["teacher"]["run"] == folder.name
    identity = json.loads((by_folder / "metrics.json").read_text())["identity"]
    assert made["teacher"]["sha256"].startswith(identity["method.teacher"])
    assert "teacher" not in json.loads((current / "provenance.json").read_text())
    histories = [(path / "history.csv").read_text().splitlines()[1].split(",")[3] for path in (current, by_folder)]
    assert histories[0] != histories[1]


def test_a_teacher_without_the_maps_that_the_method_needs_is_refused_before_anything_is_written(
    mixbench, tiny, tmp_path
):
    words = [word for word in tiny if not word.startswith("model.")]
    small = ["model=vit", "model.dim=8", "model.depth=1", "model.heads=2"]
    assert mixbench("run", *words, *small, "save_model=true", "method=none").status == 0
    (folder,) = runs_of(tmp_path, "none")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for more in ([], ["method.p=0.1"]):  # the first batches may not be mixed
        call = mixbench("run", *words, "model.width=2", "method=attentivemix", f"method.teacher={folder.name}", *more)
        assert (call.status, len(call.err.strip().splitlines())) == (2, 1)
        assert "activation" in call.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    words += ["model.width=2", "train.steps=1", "train.eval_every=1"]
    assert mixbench("run", *words, "method=tokenmix", f"method.teacher={folder.name}").status == 0


def test_other_weights_are_another_run_and_the_parts_of_a_mixture_share_their_teacher(taught, tmp_path):
    _, folder = taught
    with Composer() as composer:

        def made(*words):
            return job(composer.compose(["dataset=digits", "n=20", *words]))

        one = made("method=tokenmix", f"method.teacher={folder}")
        (folder / "weights.pt").write_bytes((folder / "weights.pt").read_bytes() + b"\0")
        other = made("method=tokenmix", f"method.teacher={folder}")
        assert one.id != other.id
        parts = ["method=mixture", "method.methods=[attentivemix,tokenmix]"]
        part = "method.parts.tokenmix.teacher"
        with pytest.raises(UserError, match="one teacher"):
            made(*parts, f"{part}={folder}")
        both = made(*parts, f"{part}={folder}", f"method.parts.attentivemix.teacher={folder}")
        assert both.identity[part] == other.identity["method.teacher"]


def test_a_teacher_that_cannot_teach_is_refused_in_one_line_and_nothing_is_written(taught, tmp_path):
    run, folder = taught
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for words in (
        ["method.teacher=nothing-here"],
        ["method.teacher=7"],
        ["method=cutmix", f"method.teacher={folder}"],
    ):
        call = run(*words)
        assert call.status == 2
        assert len(call.err.strip().splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    (folder / "weights.pt").unlink()
    call = run(f"method.teacher={folder}")
    assert (call.status, "save_model=true" in call.err) == (2, True)
    (folder / "weights.pt").write_bytes(b"no weights")
    assert run(f"method.teacher={folder}").status == 2
    assert runs_of(tmp_path, "attentivemix") == []
