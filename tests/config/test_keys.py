"""What help says of keys: every key has a sentence, from the comment in its YAML file, which names every choice."""

import inspect
from typing import Literal, get_args, get_origin

import pytest
from omegaconf import OmegaConf

from mixbench.augment import AUGMENTS
from mixbench.config import validate
from mixbench.config.compose import Composer
from mixbench.config.keys import comments_of, keys_of_group, keys_of_run
from mixbench.config.overrides import parse
from mixbench.core.groups import FIXED_KEYS, GROUPS, OF_FUNCTIONS
from mixbench.core.registry import options_of
from mixbench.data.sources.load import SOURCES
from mixbench.mixing import METHODS
from mixbench.models import MODELS
from mixbench.training.losses import LOSSES

TABLES = {"method": METHODS, "augment": AUGMENTS, "model": MODELS, "loss": LOSSES}
SHOWN = [group for group in GROUPS if group != "study"]
CHOICES = {
    "subset": validate.SUBSETS,
    "eval": validate.EVALS,
    "precision": validate.PRECISIONS,
    "train.schedule": validate.SCHEDULES,
    "train.optimizer": validate.OPTIMIZERS,
    "train.protocol": validate.PROTOCOLS,
    "dataset.source": SOURCES,
}


@pytest.fixture(scope="module")
def composer():
    with Composer() as composer:
        yield composer


def every_option():
    with Composer() as composer:
        return [(group, option) for group in SHOWN for option in composer.options(group)]


def flat(node, at):
    """Key -> value of all that a composed group holds, those of a mixture's methods included."""
    for key, value in node.items():
        if key == "parts":
            for name, part in value.items():
                yield from flat(part, f"{at}.parts.{name}")
        else:
            yield f"{at}.{key}", value


def test_every_key_of_a_run_has_its_default_and_a_sentence(composer):
    cfg = OmegaConf.to_container(composer.compose([]), resolve=True)
    keys = keys_of_run(composer)
    assert {key.name: parse([f"{key.name}={key.default}"])[0].value() for key in keys} == {
        name: value for name, value in cfg.items() if name not in GROUPS
    }
    assert all(key.text for key in keys)


def fixed_in(name, fixed):
    """Whether a word of a key is fixed, such as cost in method.cost.saliency.gradient."""
    return not set(name.split(".")).isdisjoint(fixed)


@pytest.mark.parametrize(("group", "option"), every_option(), ids=lambda value: value)
def test_every_key_of_a_group_has_its_default_and_a_sentence(composer, group, option):
    node = OmegaConf.to_container(composer.compose([f"{group}={option}"]), resolve=True)[group]
    fixed = FIXED_KEYS if group in OF_FUNCTIONS else ()
    settable = {name: value for name, value in flat(node, group) if not fixed_in(name, fixed)}
    if group == "dataset":  # keys of picture files and tables
        others = {"size", "fit", "path_column", "label_column", "split_column", "group_column"}
        used = {"folder": {"size", "fit"}, "csv": others, "medmnist": {"size"}}.get(option, set())
        settable = {name: value for name, value in settable.items() if name.split(".")[1] not in others - used}
    keys = keys_of_group(composer, group, option)
    assert {key.name: parse([f"{key.name}={key.default}"])[0].value() for key in keys} == settable
    assert all(key.text for key in keys), keys
    assert all(len(f"{key.name}={key.text}") < 110 for key in keys)


def test_sentences_name_every_choice(composer):
    said = {key.name: key.text for key in keys_of_run(composer)}
    for group in SHOWN:
        for option in composer.options(group):
            of_option = {key.name: key.text for key in keys_of_group(composer, group, option)}
            for name, choices in [*CHOICES.items(), *literals(group, option)]:
                text = of_option.get(name, said.get(name, "") if "." not in name else None)
                if text is not None:
                    assert all(str(choice) in text for choice in choices), (group, option, name, text)


def literals(group, option):
    """The keys of an option that take one of a few values, by the signature of what it names."""
    function = TABLES.get(group, {}).get(option)
    known = {} if function is None else {name: p.annotation for name, p in options_of(inspect.unwrap(function)).items()}
    return [(f"{group}.{name}", get_args(kind)) for name, kind in known.items() if get_origin(kind) is Literal]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("alpha: 1.0 # one. Two", "one"),
        ("alpha: 1.0 # as Zhang et al. 2018 have it. Two", "as Zhang et al. 2018 have it"),
        ("alpha: 1.0 # one.", "one"),
        ("alpha: 1.0", None),
        ("alpha: 'a # b'", None),
        ("alpha: 'a # b' # one", "one"),
        ("alpha: [ # one\n  a, b] # two", "one"),
        ("alpha:\n  - a # no", None),
        ("alpha: # one\n  - a # no", "one"),
        ("other: 1 # one", None),
        ("alpha: [", None),
    ],
)
def test_the_first_sentence_behind_a_key_is_its_help(tmp_path, line, sentence):
    (tmp_path / "method").mkdir()
    (tmp_path / "method/mine.yaml").write_text(f"# Mine\nname: mine\n{line}\n")
    assert comments_of("method", "mine", str(tmp_path)).get("alpha") == sentence


def test_a_file_that_is_its_own_default_ends(tmp_path):
    (tmp_path / "method").mkdir()
    (tmp_path / "method/mine.yaml").write_text("defaults: [mine, _self_]\nalpha: 1 # one\n")
    assert comments_of("method", "mine", str(tmp_path)) == {"alpha": "one"}
