"""The studies that ship: what they hold, what they cost, what they are compared with, and that each of them trains."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from mixbench.analysis import table
from mixbench.cli.words import select
from mixbench.config.compose import Composer
from mixbench.config.options import names
from mixbench.core.errors import UserError
from mixbench.core.groups import GROUPS
from mixbench.runs import study
from mixbench.runs.published import published_number
from mixbench.training.rules import RULES
from mixbench.training.validate import check_functions

LABELS = ["Source", "Protocol", "Rule", "Cost", "Expect"]
ALPHAS = [0.1, 0.2, 0.5, 1, 2, 4, 8]
ACCURACIES = [rule.key for rule in RULES.values()]
STORE = Path(__file__).parents[1] / "fixtures" / "store"

# Runs of each study at each scale: methods × n × whatever else it varies × subsets × seeds.
RUNS = {
    "small-data": {"paper": 3 * 8, "cpu": 3 * 4, "smoke": 1},
    "small-data-balanced": {"paper": 3 * 4 * 3 * 3, "cpu": 3 * 2 * 3, "smoke": 1},
    "small-data-random": {"paper": 3 * 4 * 3 * 3, "cpu": 3 * 2 * 3, "smoke": 1},
    "small-data-steps": {"paper": 3 * 2 * 3, "cpu": 3 * 2, "smoke": 1},
    "alpha-sweep": {"paper": (3 * 7 + 1) * 3 * 3, "cpu": (3 * 7 + 1) * 2, "smoke": 2},
    "noaug-vs-aug": {"paper": 4 * 2 * 5, "cpu": 4 * 2, "smoke": 1},
    "label-noise": {"paper": 2 * 3, "cpu": 2 * 3, "smoke": 1},
    "very-small": {"paper": 6 * 3 * 3 * 3, "cpu": 6 * 2 * 3, "smoke": 1},
    "openmixup": {"paper": 7, "cpu": 7, "smoke": 1},
    "demo": {"cpu": 3 * 4 * 3, "paper": 3 * 4 * 3, "smoke": 1},
    "equal-cost": {"cpu": (2 + 2) * 2 * 3, "paper": (2 + 2) * 2 * 3, "smoke": 1},
    "methods-demo": {"cpu": 20 * 3 * 3, "paper": 20 * 3 * 3, "smoke": 1},
    "cifar10-cpu": {"cpu": 3 * 4 * 3, "paper": 3 * 4 * 3, "smoke": 1},
    "methods-cpu": {"cpu": 20 * 5, "paper": 20 * 5, "smoke": 1},
    "deit3-small": {"paper": 4 * 2 * 3, "cpu": 4 * 2, "smoke": 1},
    "vit-cpu": {"cpu": 6 * 3, "smoke": 1},
}
EVERY = [(name, scale) for name, scales in RUNS.items() for scale in scales]
OF_PAPERS = [name for name, scales in RUNS.items() if next(iter(scales)) == "paper"]  # whose own scale it is


@pytest.fixture(scope="module")
def plan():
    """The study of a name under overrides; each is planned once."""
    planned = {}

    def plan(*words):
        words = tuple(word for word in words if word != f"scale={next(iter(RUNS[words[0]]))}")  # its own
        if words not in planned:
            with Composer() as composer:
                planned[words] = study.plan(composer, words[0], words[1:])
        return planned[words]

    return plan


def text_of(name):
    return (files("mixbench.configs") / "study" / f"{name}.yaml").read_text(encoding="utf-8")


def header_of(name):
    """Label -> what the first comment of the study's file says under it, on one line."""
    comment = []
    for line in text_of(name).splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").strip())
    parts = re.split(rf"(?:^| )({'|'.join(LABELS)}): ", " ".join(comment))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_these_are_all_that_ship():
    assert set(names("study")) == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_header_says_source_protocol_rule_cost_and_what_to_expect(name):
    assert list(header_of(name)) == LABELS
    lines = text_of(name).splitlines()
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith(f"# {name}: ")
    assert lines[2] == "#"
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("name", RUNS)
def test_every_default_says_why(name):
    settings, _, of_study = text_of(name).partition("\nstudy:\n")
    of_cpu = re.search(r"^    cpu:\n((?:      .*\n)*)", of_study, re.MULTILINE)
    for line in [*settings.splitlines(), *(of_cpu[1].splitlines() if of_cpu else [])]:
        if re.fullmatch(r" *[\w.]+: *\S.*", line):
            assert re.search(r" # \S", line), line
    assert not re.search(r"^    smoke:$", of_study, re.MULTILINE)


@pytest.mark.parametrize(("name", "scale"), EVERY)
def test_runs_at_every_scale(plan, name, scale):
    made = plan(name, f"scale={scale}")
    assert len(made.jobs) == RUNS[name][scale]
    unlike = {str([job.cfg[group] for group in GROUPS]): job.cfg for job in made.jobs}  # the rest is n and seeds
    for cfg in unlike.values():
        check_functions(cfg)
    if scale == "smoke":
        assert {job.cfg.train.steps for job in made.jobs} == {4}
        assert {(job.identity["dataset"], job.identity["n"]) for job in made.jobs} == {("digits", 20)}
    if scale != "paper":
        assert max(job.cfg.model.get("width", 16 * job.cfg.model.get("widen", 0)) for job in made.jobs) <= 16
    if scale == "cpu" and name in OF_PAPERS:
        assert {job.identity["eval"] for job in made.jobs} == {"test"}
        assert max(job.cfg.train.steps for job in made.jobs) <= 5000


@pytest.mark.parametrize("name", RUNS)
def test_the_scales_are_those_of_the_table(plan, name):
    settings = plan(name).settings
    assert {settings.scale, *settings.scales} == set(RUNS[name])


@pytest.mark.parametrize("name", OF_PAPERS)
def test_header_tells_the_cost(plan, name):
    cost, jobs = header_of(name)["Cost"], plan(name).jobs
    runs, steps, million, hours, unit = re.match(
        r"(\d+) runs, ([\d.,]+)( million)? steps: ([\d.]+) (minutes|hours) (?:at|if a step takes) 1\.7 ms", cost
    ).groups()
    total = sum(job.cfg.train.steps for job in jobs)
    assert int(runs) == len(jobs)
    assert float(steps.replace(",", "")) * (1e6 if million else 1) == pytest.approx(total, rel=0.02)
    assert float(hours) * (60 if unit == "minutes" else 3600) == pytest.approx(total * 1.7e-3, rel=0.03)
    assert "one H100" in cost
    assert "not measured yet" in cost

    jobs = plan(name, "scale=cpu").jobs
    runs, minutes, unit = re.search(r"scale=cpu: (\d+) runs.*? ([\d.]+) (minutes|hours)", cost).groups()
    seconds = sum(job.cfg.train.steps for job in jobs) / 1000 * 132
    assert int(runs) == len(jobs)
    assert float(minutes) * (60 if unit == "minutes" else 3600) == pytest.approx(seconds, rel=0.05)


@pytest.mark.parametrize("name", RUNS)
def test_smoke_trains_and_its_table_says_so(mixbench, tmp_path, name):
    call = mixbench("study", name, "scale=smoke", "results_dir=out", "device=cpu")
    assert (call.status, call.err) == (0, call.err)
    finished = sorted(path.parent.name for path in (tmp_path / "out" / "runs").glob("*/metrics.json"))
    assert len(finished) == RUNS[name]["smoke"]
    written = (tmp_path / "out" / f"{name},scale=smoke" / "accuracy.md").read_text()
    (changed,) = [line for line in written.splitlines()[1:] if "scale=smoke" in line]
    assert "train.steps=4" in changed
    assert sorted(path.name for path in (tmp_path / "out" / "runs").glob("digits-*")) == finished


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["study", "small-data", "scale=cpuu"], "unknown scale of study small-data 'cpuu' (did you mean cpu?)"),
        (["study", "demo", "scale=paer"], "unknown scale of study demo 'paer' (did you mean paper?)"),
        (["table", "small-data", "scale=smok"], "(did you mean smoke?)"),
        (["run", "study=small-data", "scale=cpuu"], "(did you mean cpu?)"),
        (["run", "n=5", "scale=cpu"], "mixbench run study=NAME scale=…"),
        (["study", "label-noise", "dataset.label_noise=0.3"], "choices: 0.2, 0.5, 0.8"),
        (["study", "alpha-sweep", "method.beta=3"], "choices: 0.1, 0.2, 0.5, 1, 2, 4, 8"),
    ],
)
def test_a_mistake_is_told_and_nothing_written(mixbench, tmp_path, words, told):
    call = mixbench(*words)
    assert call.status == 2
    assert told in call.err
    assert list(tmp_path.iterdir()) == []


def test_run_takes_the_settings_of_a_scale(mixbench):
    call = mixbench("run", "--cfg", "job", "study=small-data", "scale=cpu", "method=cutmix")
    assert call.status == 0
    settings = call.out.partition("\nstudy:")[0]
    for line in ("  name: cutmix", "  width: 16", "  steps: 1000", "  eval_every: 100", "  name: cifar10"):
        assert f"{line}\n" in settings


# As their sources print them: accuracies of the report and of OpenMixup, errors of the papers.
REPORT = {
    50000: (95.00, 95.71, 96.00),
    20000: (90.81, 92.26, 93.09),
    10000: (85.47, 88.26, 88.80),
    5000: (79.52, 83.16, 82.86),
    1000: (47.83, 57.43, 53.25),
    500: (44.60, 58.59, 57.84),
    250: (36.34, 50.29, 50.08),
    100: (26.79, 31.72, 33.84),
}
THE_THREE = ("none", "data-mix", "label-mix")
TABLE_1 = {  # augment -> method -> error, sd
    "standard": {
        "none": (4.72, 0.21),
        "cutout": (3.99, 0.13),
        "cutmix": (3.78, 0.12),
        "saliencymix": (3.65, 0.10),
    },
    "none": {"none": (10.63, 0.26), "cutout": (9.31, 0.18), "cutmix": (9.44, 0.34), "saliencymix": (7.59, 0.22)},
}
CORRUPTED = {  # share -> method -> best error, last error
    0.2: {"none": (12.7, 16.6), "label-mix": (5.9, 6.4)},
    0.5: {"none": (18.8, 44.6), "label-mix": (11.3, 12.7)},
    0.8: {"none": (36.5, 73.9), "label-mix": (25.3, 30.9)},
}
OPENMIXUP = {  # method -> after 200 and 1200 epochs
    "none": (94.87, 95.59),
    "label-mix": (95.70, 96.84),
    "cutmix": (96.11, 96.56),
    "manifold": (96.04, 97.02),
    "saliencymix": (96.05, 96.18),
    "fmix": (96.17, 96.01),
    "resizemix": (96.16, 97.04),
}


def published_beside(plan, words, keys, rule):
    """The values of `keys` of each run that has a published number beside it -> accuracy, sd."""
    made, found = plan(*words), {}
    for job in made.jobs:
        number = published_number(made.settings, job.identity, rule)
        if number is not None:
            found[tuple(job.identity[key] for key in keys)] = (pytest.approx(number.accuracy, abs=1e-9), number.sd)
    return found


def test_published_numbers_of_the_report(plan):
    expected = {(n, m): (value, None) for n, row in REPORT.items() for m, value in zip(THE_THREE, row, strict=True)}
    assert published_beside(plan, ["small-data"], ["n", "method"], "best") == expected
    assert len(expected) == 24


def test_published_numbers_of_few_steps(plan):
    found = published_beside(plan, ["small-data-steps"], ["train.steps", "method"], "best")
    assert found == {(781, m): (value, None) for m, value in zip(THE_THREE, REPORT[1000], strict=True)}


def test_published_numbers_of_saliencymix(plan):
    found = published_beside(plan, ["noaug-vs-aug"], ["augment", "method"], "best")
    assert found == {(a, m): (100 - error, sd) for a, row in TABLE_1.items() for m, (error, sd) in row.items()}


@pytest.mark.parametrize(("rule", "place"), [("best", 0), ("final", 1)])
def test_published_numbers_of_label_noise(plan, rule, place):
    found = published_beside(plan, ["label-noise"], ["dataset.label_noise", "method"], rule)
    assert found == {(p, m): (100 - errors[place], None) for p, row in CORRUPTED.items() for m, errors in row.items()}


@pytest.mark.parametrize(("epochs", "place"), [(200, 0), (1200, 1)])
def test_published_numbers_of_openmixup(plan, epochs, place):
    words = ["openmixup", f"train.epochs={epochs}"]
    found = published_beside(plan, words, ["train.steps", "method"], "median10")
    assert found == {(epochs * 500, method): (row[place], None) for method, row in OPENMIXUP.items()}
    assert plan(*words).changes == [], "the longer table is the source's too"


def test_published_numbers_of_gem(plan):
    assert published_beside(plan, ["very-small"], ["n", "method"], "final") == {(500, "none"): (55.18, None)}


def test_other_studies_have_no_published_numbers(plan):
    of_sources = {"small-data", "small-data-steps", "noaug-vs-aug", "label-noise", "openmixup", "very-small"}
    assert {name for name in RUNS if plan(name).settings.published} == of_sources


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("small-data", {"subset": "head", "train.batch_size": 128, "train.lr": 0.1, "train.weight_decay": 1e-4}),
        ("small-data-balanced", {"subset": "balanced", "model.width": 64}),
        ("small-data-random", {"subset": "random", "model.width": 64}),
        (
            "noaug-vs-aug",
            {
                "model": "resnet18",
                "train.steps": 200 * 50_000 // 128,
                "train.milestones": [0.3, 0.6, 0.8],
                "train.gamma": 0.2,
                "train.weight_decay": 5e-4,
                "train.nesterov": True,
            },
        ),
        (
            "label-noise",
            {
                "model": "preact_resnet18",
                "train.steps": 200 * 50_000 // 128,
                "train.milestones": [0.5, 0.75],
                "train.gamma": 0.1,
                "train.weight_decay": 1e-4,
                "train.nesterov": False,
            },
        ),
        (
            "very-small",
            {
                "subset": "disjoint",
                "model": "wrn",
                "model.depth": 16,
                "model.widen": 8,
                "train.steps": 500 * 500 // 10,
                "train.batch_size": 10,
                "train.lr": 4.55e-3,
                "train.weight_decay": 5.29e-3,
                "train.schedule": "cosine",
                "augment.pad": 4,
                "augment.padding": "reflect",
            },
        ),
        (
            "openmixup",
            {
                "model": "resnet18",
                "train.steps": 200 * 50_000 // 100,
                "train.batch_size": 100,
                "train.lr": 0.1,
                "train.schedule": "cosine",
                "train.weight_decay": 1e-4,
            },
        ),
    ],
)
def test_protocols_are_those_of_the_sources(plan, name, identity):
    for job in plan(name).jobs:
        assert {key: job.identity[key] for key in identity} == identity


def test_label_noise_has_the_papers_alpha(plan):
    found = {(j.identity["dataset.label_noise"], j.identity.get("method.alpha")) for j in plan("label-noise").jobs}
    assert found == {(0.2, None), (0.5, None), (0.8, None), (0.2, 8), (0.5, 32), (0.8, 32)}


def test_noaug_vs_aug_mixes_half_of_the_batches(plan):
    found = {(job.identity["method"], job.identity.get("method.p")) for job in plan("noaug-vs-aug").jobs}
    assert found == {("none", None), ("cutout", 1), ("cutmix", 0.5), ("saliencymix", 0.5)}


def variant_of(made, job):
    return made.variants[study.cell_hash(job.identity)]


def test_alpha_sweep_ties_alpha_and_beta(plan):
    made = plan("alpha-sweep")
    pairs = {}
    for job in made.jobs:
        if job.identity["method"] != "none":
            pair = (job.identity["method.alpha"], job.identity["method.beta"])
            pairs.setdefault((variant_of(made, job), job.identity["method"]), set()).add(pair)
    assert {key: sorted(found) for key, found in pairs.items()} == {
        ("label-mix", "label-mix"): [(a, a) for a in ALPHAS],
        ("data-mix", "data-mix"): [(pytest.approx(a + 1), a) for a in ALPHAS],
        ("biased", "data-mix"): [(a, a) for a in ALPHAS],
    }


def test_alpha_sweep_shares_runs_with_the_report(plan):
    """The cells of the published table that are its own too are trained once."""
    shared = {job.id for job in plan("alpha-sweep").jobs} & {job.id for job in plan("small-data").jobs}
    assert len(shared) == 3 * 3  # none, Beta(1, 1) and Beta(2, 1) at three n


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (
            ["alpha-sweep", "method.beta=1", "n=100", "seed=0"],
            {"none", "label-mix 1 1", "data-mix 2 1", "data-mix 1 1"},
        ),
        (["alpha-sweep", "method.beta=1.0", "method.alpha=2", "n=100", "seed=0"], {"none", "data-mix 2 1"}),
        (["alpha-sweep", "method=data-mix", "method.alpha=4", "n=100", "seed=0"], {"data-mix 4 4"}),
        (["label-noise", "dataset.label_noise=0.2"], {"none", "label-mix 8 8"}),
        (["noaug-vs-aug", "method.p=1", "augment=none", "seed=0", "method=none,cutmix"], {"none", "cutmix 1 1"}),
    ],
)
def test_a_key_of_a_pair_chooses_among_the_pairs(plan, words, runs):
    def text(identity):
        return " ".join(str(identity[key]) for key in ("method", "method.alpha", "method.beta") if key in identity)

    assert {text(job.identity) for job in plan(*words).jobs} == runs
    assert len(plan(*words).jobs) == len(runs)


def test_values_that_no_pair_has_together_are_a_mistake(plan):
    with pytest.raises(UserError, match=r"method\.beta.*alpha-sweep.*'8'"):
        plan("alpha-sweep", "method.alpha=0.1", "method.beta=8")


def test_lists_are_values_too(plan):
    """Of keys beside the grids': a list is one value, not a choice."""
    jobs = plan("small-data", "train.milestones=[0.2,0.4]", "protect=[cat]", "n=100").jobs
    assert [job.identity["train.milestones"] for job in jobs] == [[0.2, 0.4]] * 3


@pytest.fixture
def made_up(plan, tmp_path):
    """A selection of a study whose runs are all stored, with accuracies from a function of variant and identity."""
    a_run = json.loads(next(STORE.glob("runs/*/metrics.json")).read_text())

    def made_up(accuracy, *words, asked=()):
        made = plan(*words)
        for job in made.jobs:
            folder = tmp_path / "runs" / job.id
            folder.mkdir(parents=True)
            value = accuracy(made.variants.get(study.cell_hash(job.identity)), job.identity)
            metrics = a_run | {"id": job.id, "identity": job.identity} | dict.fromkeys(ACCURACIES, value)
            (folder / "metrics.json").write_text(json.dumps(metrics))
        with Composer() as composer:
            return select(composer, [*words, *asked, f"results_dir={tmp_path}"])

    return made_up


def test_the_table_of_alpha_sweep_keeps_variants_apart(made_up):
    place = {"none": 10, "label-mix": 20, "data-mix": 30, "biased": 40}

    def accuracy(variant, identity):
        return place[variant] + identity.get("method.beta", 0) / 10 + identity["n"] / 10_000

    built = table.build(made_up(accuracy, "alpha-sweep"))
    assert built.row_keys == ["method.beta", "n"]
    assert built.columns == ["none", "biased", "data-mix", "label-mix"]
    assert built.rows == [(beta, n) for beta in [*ALPHAS, None] for n in (100, 500, 5000)]
    for (beta, n), variant in ((row, column) for row in built.rows for column in built.columns):
        cell = built.cell((beta, n), variant)
        if (beta is None) == (variant == "none"):
            assert (cell.count, built.expected[(beta, n), variant]) == (3, 3)
            assert cell.mean == pytest.approx(place[variant] + (beta or 0) / 10 + n / 10_000)
        else:
            assert cell.count == 0


def test_a_table_at_another_scale_says_so_and_shows_no_published_numbers(made_up):
    chosen = made_up(lambda variant, identity: 50.0, "small-data", "scale=cpu")
    built = table.build(chosen)
    text = table.markdown(chosen, built)
    changed = "scale=cpu (n=100,250,500,1000, model.width=16, train.steps=1000, train.eval_every=100)"
    (line,) = [line for line in text.splitlines() if changed in line]
    assert "Published" in line  # that there are such numbers, which are not shown
    assert built.published == {}
    assert chosen.out.name == "small-data,scale=cpu"


def test_a_study_made_for_a_cpu_says_so(made_up):
    chosen = made_up(lambda variant, identity: 50.0, "demo", "n=20")
    assert re.search(r"^Scale:? cpu\b", table.markdown(chosen, table.build(chosen)), re.MULTILINE)


@pytest.mark.parametrize(("rule", "shown"), [("best", "87.30"), ("final", "83.40")])
def test_the_published_number_of_the_rule_asked_for_is_shown(made_up, rule, shown):
    chosen = made_up(lambda variant, identity: 50.0, "label-noise", asked=[f"rule={rule}"])
    text = re.sub(" +", " ", table.markdown(chosen, table.build(chosen)))
    assert f"| {shown} |" in text
    assert "another rule" not in text
