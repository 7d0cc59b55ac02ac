"""Values that are legal and absurd, and all that Hydra's grammar reads: one line and exit 2, never a traceback."""

import contextlib
import io
import os
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mixbench.cli.main import main
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.validate import LARGEST
from mixbench.core.errors import UserError

BEYOND = [
    "train.epochs=inf",
    "train.epochs=nan",
    "train.epochs=1e300",
    "train.lr=inf",
    "train.lr=nan",
    "train.weight_decay=inf",
    "train.momentum=nan",
    "train.gamma=nan",
    "train.milestones=[nan,0.5]",
    "train.steps=1" + "0" * 21,
    "train.lr=1" + "0" * 400,
    "train.steps=1" + "0" * 5000,
    f"train.batch_size={2**63}",
    f"train.eval_every={2**63}",
    f"train.eval_every={2 * 10**9}",
    f"train.checkpoint_every={2**63}",
    f"train.warmup={2**63}",
    f"n={2**63}",
    f"n=-{2**63}",
    "dataset.mean=[nan]",
    "dataset.holdout=inf",
    f"dataset.pad={10**21}",
    "protect=[nan]",
    f"protect=[{2**70}]",
    "loss.label_smoothing=nan",
    f"model.width={10**10}",
    f"seed={2**64}",
]


@pytest.fixture(scope="module")
def composer():
    with Composer() as composer:
        yield composer


@pytest.mark.parametrize("override", BEYOND, ids=lambda text: text[:40])
def test_a_number_without_end_or_beyond_all_use_is_refused(composer, override):
    key = override.partition("=")[0]
    with pytest.raises(UserError) as error:
        job(composer.compose(["dataset=digits", *(["train.steps=2"] if "epochs" not in key else []), override]))
    assert key in str(error.value)


def test_what_is_of_use_is_taken(composer):
    made = job(composer.compose(["dataset=digits", f"train.steps={LARGEST}", f"seed={2**64 - 1}", "train.lr=1e-30"]))
    assert (made.cfg.train.steps, made.cfg.seed, made.cfg.train.lr) == (LARGEST, 2**64 - 1, 1e-30)


@pytest.mark.parametrize(
    "word", ["protect=" + "a" * 10_000, "method=" + "b" * 10_000, "n=" + "c," * 5000, "d" * 10_000]
)
def test_a_long_value_is_cut_and_its_key_is_not(mixbench, word):
    call = mixbench("run", "dataset=digits", "method=mixup", word)
    assert call.status == 2
    assert call.err.count("\n") == 1
    assert len(call.err) < 2500
    assert word.partition("=")[0][:100] in call.err


# What overrides are built of: keys that there are and keys that there are not, and all that the grammar knows.
KEYS = [
    "n", "seed", "subset", "protect", "device", "results_dir", "force", "eval", "dataset", "method", "augment", "model",
    "train", "loss", "study", "scale", "rows", "rule", "out", "dataset.path", "dataset.name", "dataset.mean",
    "dataset.classes", "method.alpha", "method.p", "method.name", "method.parts", "method.parts.cutmix.p",
    "method.methods", "model.width", "train.steps", "train.epochs", "train.lr", "train.milestones", "study.grids",
    "study.rows", "hydra.run.dir", "hydra/launcher", "loss@x", "a..b", ".", "", "n.x", "+n", "~n", "++n", "$n", "ключ",
]  # fmt: skip
ATOMS = [
    "", "0", "1", "-1", "3.5", "1e400", "nan", "-inf", "true", "null", "none", "mixup", "mixture", "digits", "npz",
    "demo", "small-data", "cpu", "x", "~/x.npz", "a b", "a,b", "'a", "'q'", '"d"', "\\", "${seed}", "${n}", "${",
    "${nope}", "${oc.env:NOPE}", "${oc.env:HOME}", "${method.alpha}", "é", "😀", "\x00", "\x1b[31m", "\udcff", ";", "=",
    "(", "[", "{a:1}", "[1,[2]]", "[]", "{}", "{1:2}", "9" * 30, "x" * 300, "%s", "{0}", "*", "@", "1_000", "0x10",
]  # fmt: skip
WRAPS = [
    "{}", "[{}]", "{},{}", "glob({})", "tag(t,{})", "sort({},2)", "shuffle({},1)", "choice({})", "choice({},{})",
    "range({},3)", "range(0,{},1)", "interval(0,{})", "int({})", "str({})", "bool({})", "float({})", "{{a:{}}}",
    "str([{}])", "int(range(0,{}))", "'{}'", " {} ", "{};", "nope({})", "glob(*,exclude={})", "[glob({})]",
]  # fmt: skip
atoms = st.sampled_from(ATOMS)
value = st.builds(lambda wrap, a, b: wrap.replace("{{", "{").replace("}}", "}").replace("{}", a, 1).replace("{}", b),
                  st.sampled_from(WRAPS), atoms, atoms)  # fmt: skip
override = st.builds("{}{}{}".format, st.sampled_from(KEYS), st.sampled_from(["=", "=", "=", "=", "", "=="]), value)
COMMANDS = ["run", "sweep", "table", "report", "gallery", "list", "status", "study", "study demo", "table demo"]
FLAGS = {
    "run": ["--dry-run", "--cfg job", "--help", "--multirun --dry-run", "--cfg job --resolve"],
    "sweep": ["--dry-run", "--cfg job", "--help"],
    "study": ["--dry-run", "--cfg job", "--help"],
    "gallery": ["--help"],
}


def run_quietly(words):
    """Exit status and what was printed; whatever is no UserError comes through."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    return status, out.getvalue(), err.getvalue()


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@settings(
    max_examples=int(os.environ.get("FUZZ", "60")),
    deadline=None,
    derandomize="FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(st.sampled_from(COMMANDS), st.lists(override, min_size=1, max_size=3), st.integers(0, 9))
@example("run", ["protect=glob(*)"], 0)
@example("run", ["loss=; x"], 2)
@example("run", ["seed=${seed}"], 0)
@example("run", ["seed=${nope}"], 0)
@example("run", ["method=${x}"], 0)
@example("run", ["protect=" + "[" * 3000], 0)
@example("sweep", ["method=glob(*)"], 0)
@example("sweep", ["n=shuffle(1,2)"], 0)
@example("sweep", ["n=range(5,1)"], 0)
@example("sweep", ["n=range(0,inf)"], 0)
@example("sweep", ["n=range(0,3,0)"], 0)
@example("table", ["n=glob(*)"], 0)
@example("status", ["n=glob(*)"], 0)
@example("study demo", ["method=glob(*)"], 0)
@example("study demo", ["rows=nope"], 0)
def test_no_override_is_a_traceback(empty, command, words, flag):
    first, *name = command.split()
    flags = FLAGS.get(first, [""])
    said = flags[flag % len(flags)].split()
    if first == "gallery" or "results_dir" in str(words):
        said = ["--help"]
    status, _, err = run_quietly([first, *name, *said, *words])
    assert status in (0, 1, 2), (status, err)
    if status == 2 and err:
        assert re.fullmatch(r"(warning: .*\n)*mixbench: .*\n", err), err
    assert not list(empty.glob("results/runs/*"))
