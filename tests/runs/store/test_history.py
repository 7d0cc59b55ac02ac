"""The histories of many runs, read together as pandas reads each alone; damaged ones are told and left out."""

import numpy as np
import pandas as pd
import pytest

from mixbench.runs.store import history

HEADER = "step,epoch,lr,train_loss,eval_loss,eval_accuracy,seconds"
OLDER = "test_accuracy,step,test_loss,train_loss"
GOOD = "10,1.5,0.1,2.25,2.5,11.5,0.5\n20,3.0,0.1,1.75,2.0,22.5,1.0\n"

# Each is damaged in a way of its own; none may be taken for a history.
DAMAGED = {
    "empty file": "",
    "header alone": f"{HEADER}\n",
    "header cut off": HEADER[:20],
    "no header": GOOD,
    "another table": "a,b\n1,2\n",
    "a column missing": "step,train_loss,eval_loss\n1,2.0,3.0\n",
    "last line cut in a number": f"{HEADER}\n{GOOD}30,4.5,0.1,1.5,1.7",
    "last line cut in its last number": f"{HEADER}\n{GOOD}30,4.5,0.1,1.5,1.75,33.5,1",
    "last line without its end": f"{HEADER}\n{GOOD}30,4.5,0.1,1.5,1.75,33.5,1.5",
    "only line without its end": f"{HEADER}\n10,1.5,0.1,2.25,2.5,11.5,0.5",
    "a line cut off, then another": f"{HEADER}\n10,1.5,0.1,2.25\n{GOOD}",
    "two lines in one": f"{HEADER}\n10,1.5,0.1,2.25,2.5,11.5,0.520,3.0,0.1,1.75,2.0,22.5,1.0\n",
    "blank line": f"{HEADER}\n\n{GOOD}",
    "blank line, and the last without its end": f"{HEADER}\n\n{GOOD[:-1]}",
    "text for a number": f"{HEADER}\n{GOOD}30,4.5,0.1,much,1.75,33.5,1.5\n",
    "quotation mark": f'{HEADER}\n10,1.5,0.1,"2.25,2.5,11.5,0.5\n20,3.0,0.1,1.75,2.0,22.5,1.0\n',
    "no number": f"{HEADER}\n{GOOD}30,4.5,0.1,,1.75,33.5,1.5\n",
    "nan": f"{HEADER}\n{GOOD}30,4.5,0.1,nan,1.75,33.5,1.5\n",
    "inf": f"{HEADER}\n{GOOD}30,4.5,0.1,1.5,inf,33.5,1.5\n",
    "-inf": f"{HEADER}\n{GOOD}30,4.5,0.1,1.5,-inf,33.5,1.5\n",
    "no text at all": b"\xff\xfe\x00" * 40,
    "zeros": b"\0" * 400,
}


@pytest.fixture
def folders(tmp_path):
    """Write texts, or bytes, as the histories of run folders."""

    def folders(*texts):
        made = []
        for i, text in enumerate(texts):
            folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}-{i}"
            folder.mkdir()
            (folder / "history.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
            made.append(folder)
        return made

    return folders


def written(seed, header=HEADER):
    """A history of made-up numbers, of a length of its own."""
    draw = np.random.Generator(np.random.PCG64(seed))
    count = int(draw.integers(1, 30))
    frame = pd.DataFrame({key: draw.uniform(0, 100, count) for key in header.split(",")})
    frame["step"] = 15 * np.arange(1, count + 1)
    return frame.to_csv(index=False, lineterminator="\n")


def alone(folder):
    older = {"test_loss": "eval_loss", "test_accuracy": "eval_accuracy"}
    return pd.read_csv(folder / "history.csv").rename(columns=older)[history.COLUMNS]


def of_run(rows, i):
    return rows[rows["run"] == i][history.COLUMNS].reset_index(drop=True)


def test_many_histories_are_what_pandas_reads_one_by_one(folders):
    made = folders(*[written(seed, OLDER if seed % 3 == 0 else HEADER) for seed in range(60)])
    rows, problems = history.read(made)
    assert problems == []
    assert list(rows.columns) == ["run", *history.COLUMNS]
    for i, folder in enumerate(made):
        pd.testing.assert_frame_equal(of_run(rows, i), alone(folder))
    assert len(rows) == sum(len(alone(folder)) for folder in made)


def test_no_folders_have_no_rows():
    rows, problems = history.read([])
    assert (len(rows), list(rows.columns), problems) == (0, ["run", *history.COLUMNS], [])


def test_lines_may_end_as_on_windows(folders):
    made = folders(f"{HEADER}\n{GOOD}", f"{HEADER}\n{GOOD}".replace("\n", "\r\n"))
    rows, problems = history.read(made)
    assert problems == []
    pd.testing.assert_frame_equal(of_run(rows, 0), of_run(rows, 1))


@pytest.mark.parametrize("what", DAMAGED)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_damaged_history_is_told_and_the_others_stay_as_they_are(what, place, folders):
    texts = [written(1), written(2)]
    texts.insert(place, DAMAGED[what])
    made = folders(*texts)
    rows, problems = history.read(made)
    assert len(problems) == 1
    assert problems[0].startswith(f"{made[place] / 'history.csv'}: ")
    assert "\n" not in problems[0]
    assert sorted(set(rows["run"])) == [i for i in range(3) if i != place]
    for i in set(rows["run"]):
        pd.testing.assert_frame_equal(of_run(rows, i), alone(made[i]), check_dtype=False)


def test_all_kinds_of_damage_at_once(folders):
    """Errors of two files must not make up for each other, such as a row too many and one too few."""
    texts = [text for damaged in DAMAGED.values() for text in (damaged, f"{HEADER}\n{GOOD}")]
    made = folders(*texts)
    rows, problems = history.read(made)
    assert len(problems) == len(DAMAGED)
    assert sorted(set(rows["run"])) == list(range(1, len(texts), 2))
    for i in range(1, len(texts), 2):
        pd.testing.assert_frame_equal(of_run(rows, i), alone(made[i]), check_dtype=False)


def test_a_missing_history_is_told(folders, tmp_path):
    made = folders(written(1), written(2))
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd" / "history.csv").mkdir(parents=True)
    rows, problems = history.read([tmp_path / "gone", made[0], tmp_path / "empty", made[1], tmp_path / "odd"])
    assert [line.split(":")[0] for line in problems] == [
        str(tmp_path / name / "history.csv") for name in ("gone", "empty", "odd")
    ]
    assert not any("\n" in line for line in problems)
    pd.testing.assert_frame_equal(of_run(rows, 1), alone(made[0]))
    pd.testing.assert_frame_equal(of_run(rows, 3), alone(made[1]))


def test_a_bad_word_far_down_a_large_store_makes_no_warning(folders):
    """pandas reads large tables in pieces, and warns where their types differ; warnings are errors here."""
    body = "".join(f"{step},1.0,0.1,2.0,3.0,40.0,5.0\n" for step in range(1, 12_001))
    good, bad = folders(f"{HEADER}\n{body}", f"{HEADER}\n{GOOD}x,4.5,0.1,1.5,1.75,33.5,1.5\n")
    rows, problems = history.read([good] * 12 + [bad])
    assert len(problems) == 1
    assert len(rows) == 12 * 12_000
    assert rows["step"].sum() == 12 * sum(range(12_001))
