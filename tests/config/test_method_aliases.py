"""Methods by both of their names: mixup (label-mix)."""

import pytest

from mixbench.config.compose import Composer
from mixbench.config.jobs import job_of
from mixbench.config.labels import labels
from mixbench.config.method_aliases import aliases, with_alias


def test_aliases_compose_to_what_they_stand_for():
    assert {"mixup": "label-mix", "mixup-cutmix": "mixture"}.items() <= aliases().items()
    with Composer() as composer:
        for alias, method in aliases().items():
            assert composer.compose([f"method={alias}"]) == composer.compose([f"method={method}"])
        others = set(composer.options("method")) - set(aliases())
        assert all(composer.compose([f"method={name}"]).method.name == name for name in others)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("mixup", "mixup (label-mix)"),
        ("label-mix", "mixup (label-mix)"),
        ("mixup-cutmix", "mixup-cutmix (mixture)"),
        ("mixture", "mixture"),  # of any methods: mixup-cutmix is one choice of them
        ("cutmix", "cutmix"),
        ("my-cutmix", "my-cutmix"),
    ],
)
def test_names_as_readers_see_them(name, shown):
    assert with_alias(name) == shown


@pytest.mark.parametrize(
    ("option", "label"),
    [
        ("mixup", "mixup (label-mix)"),
        ("label-mix", "mixup (label-mix)"),
        ("mixup-cutmix", "mixup-cutmix (mixture)"),
        ("mixture", "mixture"),
        ("other-name", "other-name (cutmix)"),
        ("low", "low"),  # with settings of its own it is no other name
    ],
)
def test_a_run_is_called_as_the_command_named_it_and_by_its_method(tmp_path, option, label):
    (tmp_path / "method").mkdir()
    (tmp_path / "method/other-name.yaml").write_text("defaults: [cutmix]\n")
    (tmp_path / "method/low.yaml").write_text("defaults: [cutmix]\nalpha: 0.3\n")
    with Composer(str(tmp_path)) as composer:
        job = job_of(composer, [f"method={option}", "dataset=digits", "n=20"])
    assert labels([job]) == {job.id: f"{label} n=20 seed=0"}
    assert " " not in job.id
