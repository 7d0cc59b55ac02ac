"""Templates of own files: where they go, under which names, and what is refused."""

import keyword
from importlib.resources import files
from pathlib import Path

import pytest

from mixbench.config.folder import REMEMBERED
from mixbench.config.new_files import DEFAULT_FOLDER, KINDS, new_files
from mixbench.config.options import names
from mixbench.core.errors import CannotWrite, UserError
from mixbench.core.groups import GROUPS, OF_FUNCTIONS


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(REMEMBERED, raising=False)
    return tmp_path


def test_every_group_has_a_template_and_no_template_is_left_over():
    assert set(KINDS) == set(GROUPS)
    there = {file.name for file in (files("mixbench.config") / "templates").iterdir()} - {"__pycache__"}
    assert there == {f"{kind}.yaml" for kind in KINDS} | {f"{kind}.py" for kind in OF_FUNCTIONS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_bear_the_name_alone(here, kind):
    written = new_files(kind, "Blue-two_3")
    endings = {"yaml", "py"} if kind in OF_FUNCTIONS else {"yaml"}
    assert {path.as_posix() for path in written.paths} == {f"{DEFAULT_FOLDER}/{kind}/Blue-two_3.{e}" for e in endings}
    for path in written.paths:
        placeholder = KINDS[kind].placeholder
        content = path.read_text()
        assert not {placeholder, placeholder.replace("-", "_"), "NAME", "OWN"} & set(content.split())
        assert "Blue-two_3" in content or path.suffix == ".py"
    assert "Blue-two_3" in names(kind, DEFAULT_FOLDER)
    assert all("NAME" not in command and "OWN" not in command for command in written.commands)


def test_a_word_of_python_names_no_function(here):
    assert keyword.iskeyword("class")
    new_files("method", "class")
    assert "def class_(" in (here / DEFAULT_FOLDER / "method/class.py").read_text()
    assert "class.py:class_" in (here / DEFAULT_FOLDER / "method/class.yaml").read_text()


def test_the_folder_is_the_flag_s_then_the_remembered_then_the_default(here, monkeypatch):
    assert new_files("train", "a").paths == [Path("my_configs/train/a.yaml")]
    monkeypatch.setenv(REMEMBERED, "remembered")
    remembered = new_files("train", "a")
    assert remembered.paths == [Path("remembered/train/a.yaml")]
    assert not any("--config-dir" in command for command in remembered.commands)
    given = new_files("train", "a", "given, too")
    assert given.paths == [Path("given, too/train/a.yaml")]
    assert all("--config-dir 'given, too'" in command for command in given.commands)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("method", ""),
        ("method", "a b"),
        ("method", "1"),
        ("method", "é"),
        ("method", "../a"),
        ("method", "a/b"),
        ("method", "a.yaml"),
        ("method", "-a"),
        ("method", "a" * 61),
        ("method", "null"),
        ("study", "True"),
        ("study", "on"),
        ("study", "yes"),
        ("train", "nan"),
        ("method", "cutmix"),
        ("method", "mixup"),
        ("study", "demo"),
        ("model", "wrn"),
        ("method", "torch"),
        ("loss", "random"),
    ],
)
def test_names_that_do_not_do(here, kind, name):
    with pytest.raises(UserError) as refused:
        new_files(kind, name)
    assert name in str(refused.value)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("kind", ["methd", "confg", "../method"])
def test_kinds_that_there_are_not(here, kind):
    with pytest.raises(UserError, match="choices: augment, dataset, loss, method, model, study, train"):
        new_files(kind, "mine")
    assert list(here.iterdir()) == []


def test_a_name_of_a_module_may_name_what_has_no_code(here):
    assert new_files("study", "random").paths


@pytest.mark.parametrize("there", ["mine.yaml", "mine.py"])
def test_no_file_is_replaced(here, contents, there):
    (here / "my_configs/method").mkdir(parents=True)
    (here / "my_configs/method" / there).write_text("precious")
    before = contents(here)
    with pytest.raises(UserError, match="there already"):
        new_files("method", "mine")
    assert contents(here) == before


@pytest.mark.parametrize("taken", ["my_configs", "my_configs/method"])
def test_a_folder_that_is_a_file(here, contents, taken):
    (here / taken).parent.mkdir(exist_ok=True)
    (here / taken).write_text("a file")
    before = contents(here)
    with pytest.raises(UserError, match="cannot be written"):
        new_files("method", "mine")
    assert contents(here) == before


def test_a_write_that_fails_leaves_nothing(here, monkeypatch):
    def full(*_):
        raise CannotWrite(28, "No space left on device", "disk")

    monkeypatch.setattr("mixbench.core.files.os.replace", full)
    with pytest.raises(CannotWrite):
        new_files("method", "mine")
    assert list(here.iterdir()) == []
