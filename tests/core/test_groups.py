"""Groups of the configuration: the registry, the folders of YAML files and the schema have the same ones."""

from dataclasses import fields
from importlib.resources import files

import pytest

from mixbench.config.compose import Composer
from mixbench.config.identity import WHOLE_KEYS, job
from mixbench.config.schema import Config
from mixbench.core.groups import FIXED_KEYS, GROUPS, OF_FUNCTIONS, OWN_FUNCTION_KEYS


def test_each_group_has_a_folder_and_a_place_in_the_schema():
    folders = {folder.name for folder in files("mixbench.configs").iterdir() if folder.is_dir()} - {"__pycache__"}
    assert folders == set(GROUPS)
    assert set(GROUPS) <= {field.name for field in fields(Config)}


@pytest.mark.parametrize("group", OF_FUNCTIONS)
def test_every_option_has_its_group_s_own_keys(group):
    with Composer() as composer:
        for option in composer.options(group):
            cfg = composer.compose([f"{group}={option}"])[group]
            assert set(GROUPS[group].own_keys) <= set(cfg), option
            assert isinstance(cfg.name, str)


def test_a_fixed_key_is_an_own_key_of_some_group():
    assert set(FIXED_KEYS) - {*OWN_FUNCTION_KEYS} <= {
        key for group in GROUPS.values() for key in (*group.own_keys, *group.optional_keys)
    }


def test_keys_of_an_identity_are_whole_keys_or_keys_of_a_group():
    with Composer() as composer:
        identity = job(composer.compose(["method=mixup-cutmix", "dataset=digits", "n=20"])).identity
    assert {key for key in identity if "." not in key} == set(WHOLE_KEYS)
    assert {key.split(".")[0] for key in identity if "." in key} <= set(GROUPS)
