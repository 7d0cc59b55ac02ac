"""Composing configurations: everything fits together, and a mistake names itself."""

import inspect
import random
import re
from importlib.resources import files
from itertools import cycle, product

import pytest
from hydra import compose
from omegaconf import OmegaConf

from mixbench.augment import AUGMENTS
from mixbench.config.assignments import Assignment
from mixbench.config.compose import Composer
from mixbench.config.identity import job
from mixbench.config.jobs import job_of
from mixbench.config.options import describe, names
from mixbench.config.overrides import expand
from mixbench.core import baseline, registry
from mixbench.core.errors import UserError
from mixbench.core.groups import GROUPS
from mixbench.mixing import METHODS
from mixbench.mixing.runner import METHOD_NAMES, MIXTURE
from mixbench.models import MODELS
from mixbench.training.losses import LOSSES
from mixbench.training.validate import check_functions


@pytest.fixture(scope="module")
def composer():
    with Composer() as composer:
        yield composer


OF_CNNS = ("attentivemix", "snapmix")  # they read maps that a vision transformer does not have
PAIRS = list(product(names("method"), names("study")))
FEW_PAIRS = [*zip(names("method"), cycle(names("study"))), *zip(cycle(names("method")[::-1]), names("study"))]


@pytest.mark.parametrize(
    ("method", "dataset", "study"),
    [
        *product(names("method"), names("dataset"), [None]),
        *((method, "digits", study) for method, study in FEW_PAIRS),
        *(pytest.param(method, "digits", study, marks=pytest.mark.slow) for method, study in PAIRS),
    ],
)
def test_every_method_fits_every_dataset_and_study(composer, method, dataset, study):
    overrides = [f"method={method}", f"dataset={dataset}", *([f"study={study}"] if study else [])]
    own = {"medmnist": ["dataset.name=pathmnist"]} | {key: ["dataset.path=x"] for key in ("npz", "folder", "csv")}
    made = job(composer.compose([*overrides, *own.get(str(dataset), [])]))
    assert made.identity["method"] in METHOD_NAMES
    if method in OF_CNNS and made.cfg.model.name == "vit":
        with pytest.raises(UserError, match="preact_resnet18"):  # networks that have what the method needs
            check_functions(made.cfg)
    else:
        check_functions(made.cfg)


@pytest.mark.parametrize("seed", range(8))
def test_options_put_together_are_what_hydra_composes(seed):
    rng = random.Random(seed)
    groups = rng.sample([*GROUPS], rng.randint(2, len(GROUPS)))
    chosen = [f"{group}={rng.choice(names(group))}" for group in groups]
    with Composer() as composer:
        ours = composer.compose(chosen)
        theirs = compose("run", chosen)
        theirs.study = None
        mixture = "mixture" in theirs.method.name  # its parts are added after Hydra
        assert mixture or ours == theirs
        assert mixture or OmegaConf.to_container(ours) == OmegaConf.to_container(theirs)  # references stay references
        assert OmegaConf.is_struct(ours) == OmegaConf.is_struct(theirs)
        assert list(ours) == list(theirs)


@pytest.mark.parametrize("study", [pytest.param(one, marks=pytest.mark.slow) for one in names("study")])
def test_every_option_of_another_group_with_a_study_is_what_hydra_composes(composer, study):
    for group in (group for group in GROUPS if group != "study"):
        for option in names(group):
            theirs = compose("run", [f"study={study}", f"{group}={option}"])
            theirs.study = None
            ours = composer.compose([f"study={study}", f"{group}={option}"])
            assert "mixture" in theirs.method.name or ours == theirs, option


@pytest.mark.parametrize(
    "words",
    [
        ["study=demo", "method=cutmix", "seed=3"],
        ["study=demo", "seed=3", "seed=4", "subset_seed=18446744073709551615"],
        ["study=demo", "subset=head", "subset_seed=5"],
        ["subset=head", "subset_seed=5", "eval=stratified", "train.steps=9"],
        ["subset=head", "subset_seed=5", "dataset.label_noise=0.2", "train.steps=9"],
        ["dataset=digits", "train.steps=9", "train.batch_size=${seed}", "seed=2"],
        ["method=mixup", "method.alpha=0", Assignment("seed", 7), "train.steps=9"],
        [Assignment("seed", 7), Assignment("n", 30), Assignment("seed", 8), "train.steps=9"],
        ["method=regmixup", "method.budget=rows", "train.steps=9", "seed=1"],
    ],
)
def test_a_run_with_other_seeds_is_the_run_that_is_composed_with_them(composer, words):
    for others in ([], ["seed=11"], ["subset_seed=12"], []):
        ours, theirs = job_of(composer, [*words, *others]), job(composer.compose([*words, *others]))
        assert ours.cfg == theirs.cfg
        assert (ours.id, ours.identity, list(ours.identity)) == (theirs.id, theirs.identity, list(theirs.identity))
        ours.cfg.n, ours.identity["n"] = 1, 1  # a run is nobody else's


@pytest.mark.parametrize("word", ["seed=-1", "seed=18446744073709551616", f"seed={'9' * 5000}", "seed=1.5", "seed=x"])
def test_a_seed_that_is_none_is_refused_also_where_the_run_is_known(composer, word):
    job_of(composer, ["study=demo", "seed=3"])
    with pytest.raises(UserError, match="seed"):
        job_of(composer, ["study=demo", word])


def test_an_own_file_that_sets_another_group_is_put_together_by_hydra(tmp_path):
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "narrow.yaml").write_text(
        "# @package _global_\nloss: {name: ce, label_smoothing: 0.0}\nmodel: {width: 3}\n", encoding="utf-8"
    )
    with Composer(str(tmp_path)) as composer:
        assert composer.compose(["loss=narrow", "dataset=digits"]).model.width == 3
        assert composer.compose(["loss=ce", "dataset=digits"]).model.width == 64


@pytest.mark.parametrize("model", names("model"))
def test_the_default_layers_are_those_of_every_network(composer, model):
    check_functions(job(composer.compose([f"model={model}", "method=manifold"])).cfg)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["model.width=1.5"], "model.width=1.5: must be int"),
        (["model.width=0"], "model.width=0: must be at least 1"),
        (["model.depth=17"], "unknown model.depth '17' (did you mean 18?); choices: 10, 18, 34"),
        (["model=wrn", "model.depth=18"], "unknown model.depth '18' (did you mean 28?); choices: 10, 16, 22, 28, 40"),
        (
            ["model=wrn", "method=manifold", "method.layers=[stage4]"],
            "unknown layer (model=wrn) in method.layers 'stage4' (did you mean stage3?); choices: input, stage1",
        ),
        (
            ["model=wrn", "method=mixture", "method.methods=[none,manifold]", "method.parts.manifold.layers=[stage4]"],
            "unknown layer (model=wrn) in method.parts.manifold.layers 'stage4'",
        ),
    ],
)
def test_a_network_that_there_is_not_is_told_in_one_line(composer, overrides, told):
    with pytest.raises(UserError) as error:
        check_functions(job(composer.compose(overrides)).cfg)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("overrides", [["n=3", "method=cutmix", "method.alpha=3"], ["study=demo", "train.lr=0.2"], []])
def test_composing_in_two_parts_is_hydras_composing(composer, overrides):
    theirs = compose("run", overrides)
    if theirs.study is not None:
        assert composer.study(theirs.study.name) == theirs.study
        theirs.study = None  # what a study says of itself is no setting of a run
    assert composer.compose(overrides) == theirs


@pytest.mark.parametrize(
    ("group", "table"), [("method", METHODS), ("augment", AUGMENTS), ("model", MODELS), ("loss", LOSSES)]
)
def test_yaml_files_and_functions_agree(composer, group, table):
    named = {composer.compose([f"{group}={option}"])[group].name for option in names(group)}
    assert named - {MIXTURE} == set(table)
    for name, function in table.items():
        cfg = composer.compose([f"{group}={name}"])[group]
        keys = set(cfg) - {*GROUPS[group].own_keys, *GROUPS[group].optional_keys}
        of_needs = {*registry.declaration_of(function).keys_of_needs} - {*GROUPS[group].optional_keys}
        assert keys == set(registry.options_of(function)) | registry.settings_of(function) | of_needs, name
        for key, parameter in registry.options_of(function).items():
            if parameter.default is not inspect.Parameter.empty:
                default = parameter.default
                assert cfg[key] == (list(default) if isinstance(default, tuple) else default), f"{name}.{key}"


def test_every_yaml_default_says_where_it_comes_from():
    for group in ("dataset", "method", "augment", "model", "train", "loss"):
        for file in (files("mixbench.configs") / group).iterdir():
            lines = file.read_text(encoding="utf-8").splitlines()
            assert lines[0].startswith("# "), f"{file.name} begins with what it is"
            for line in lines[1:]:
                if line and not line.startswith(("#", "name:", "source:", "defaults:")):
                    assert re.search(r" # \S", line), f"{group}/{file.name}: {line}"


def test_studies_say_source_protocol_rule_cost_and_what_to_expect():
    for file in (files("mixbench.configs") / "study").iterdir():
        header = "\n".join(line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
        for word in ("Source:", "Protocol:", "Rule:", "Cost:", "Expect:"):
            assert word in header, f"{file.name} has no {word}"


def test_descriptions_are_the_first_comment():
    first = (files("mixbench.configs") / "study/demo.yaml").read_text(encoding="utf-8").splitlines()[1]
    assert first == f"# demo: {describe('study')['demo']}"
    assert "CutMix" in describe("method")["cutmix"]


@pytest.mark.parametrize("group", GROUPS)
def test_descriptions_do_not_repeat_the_name(group):
    assert describe(group)
    assert not [name for name, text in describe(group).items() if not text or text.startswith(f"{name}:")]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["method=cutmx"], "unknown method 'cutmx' (did you mean cutmix?); choices: attentivemix, cutmix, cutout,"),
        (["train.stps=3"], "unknown key 'train.stps' (did you mean train.steps?)"),
        (["method=cutmix", "method.lenght=3"], "(method=cutmix) 'method.lenght'"),
        (["nn=3"], "unknown key 'nn' (did you mean n?)"),
        (["n=abc"], "n=abc: "),
        (["model.widht=3"], "unknown key (model=preact_resnet18) 'model.widht' (did you mean model.width?)"),
        (["model=wrn", "model.width=3"], "unknown key (model=wrn) 'model.width' (did you mean model.widen?)"),
        (["train.milestones=0.5"], "train.milestones=0.5: "),
        (["n=1,2"], "mixbench sweep"),
        (["n"], "write key=value"),
        (["+more=3"], "write key=value"),
        (["~method"], "write key=value"),
        (["hydra.job.chdir=true"], "Hydra's own settings"),
        (["study=demos"], "unknown study 'demos' (did you mean demo?)"),
    ],
)
def test_a_mistake_is_told_in_one_line(composer, overrides, told):
    with pytest.raises(UserError) as error:
        composer.compose(overrides)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_expand_lists_all_combinations_the_last_key_fastest():
    assert expand(["n=1,2", "seed=range(0,3)", "method=none"]) == [
        [f"n={n}", f"seed={seed}", "method=none"] for n in (1, 2) for seed in (0, 1, 2)
    ]
    assert expand([]) == [[]]
    with pytest.raises(UserError, match="interval"):
        expand(["train.lr=interval(0,1)"])


def test_a_missing_config_dir_is_a_mistake():
    with pytest.raises(UserError, match="no such folder"):
        Composer("no-such-folder")


def test_the_baseline_in_place_of_a_method_that_mixes_nothing_is_its_file_s(composer):
    assert composer.compose([f"method={baseline.BASELINE}"]).method == baseline.METHOD
