"""A run's identity: ids that never change, settings that mean the same thing, values that are refused."""

import re

import pytest

from mixbench.config.compose import Composer
from mixbench.config.identity import NEUTRAL, cell_hash, completed, job, run_id
from mixbench.config.validate import small_data_steps
from mixbench.core.baseline import METHOD as NONE
from mixbench.core.errors import UserError


@pytest.fixture(scope="module")
def composer():
    with Composer() as composer:
        yield composer


@pytest.fixture
def make(composer):
    return lambda *overrides: job(composer.compose(overrides))


# Stored results are found by these names: a change here orphans every run that anyone has kept.
FROZEN = {
    (): "cifar10-n500-none-s0-5098e9bcc8",
    ("method=mixup", "n=100"): "cifar10-n100-label-mix-s0-4e77af8850",
    ("method=data-mix", "n=250", "seed=3", "train.steps=10"): "cifar10-n250-data-mix-s3-fa6b7f653e",
    (
        "method=cutmix",
        "method.alpha=0.5",
        "method.p=0.5",
        "n=1000",
        "model.stem=bn",
    ): "cifar10-n1000-cutmix-s0-04a7e1ffab",
    ("method=cutout", "dataset=digits", "subset=balanced", "subset_seed=1", "n=50"): "digits-n50-cutout-s0-12ecc781de",
    (
        "dataset=npz",
        "dataset.path=some/where/mine.npz",
        "eval=holdout",
        "train.epochs=2",
    ): "mine-n500-none-s0-cde07803bd",
    ("study=demo", "n=20"): "digits-n20-none-s0-60107ed3fa",
    ("study=cifar10-cpu", "subset=head", "method=label-mix", "n=100", "seed=2"): "cifar10-n100-label-mix-s2-e5abedb3e8",
    (
        "method=mixup-cutmix",
        "method.parts.cutmix.alpha=0.3",
        "n=50",
        "dataset=digits",
    ): "digits-n50-mixture-s0-af9a472110",
    (
        "method=mixture",
        "method.methods=[fmix,cutout,label-mix]",
        "method.probabilities=[0.5,0.25,0.25]",
    ): "cifar10-n500-mixture-s0-4ff65ae1c3",
    (
        "method=manifold",
        "method.layers=[input,layer1]",
        "model=resnet18",
        "model.width=16",
    ): "cifar10-n500-manifold-s0-e3b84ca751",
    (
        "method=saliencymix",
        "model=wrn",
        "train=gem",
        "augment.padding=reflect",
        "subset=disjoint",
    ): "cifar10-n500-saliencymix-s0-052a375c97",
    (
        "method=gridmix",
        "augment=randaugment",
        "loss=bce",
        "loss.label_smoothing=0.1",
        "eval=stratified",
    ): "cifar10-n500-gridmix-s0-24bee5e69b",
    (
        "dataset=cifar100",
        "protect=[apple,3]",
        "method=resizemix",
        "dataset.label_noise=0.25",
        "train.milestones=[0.5,0.75]",
    ): "cifar100-n500-resizemix-s0-9138ee2ab2",
}


@pytest.mark.parametrize("overrides", list(FROZEN))
def test_frozen_ids(make, overrides):
    assert make(*overrides).id == FROZEN[overrides]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["method=mixup"], ["method=label-mix"]),
        (["method=label-mix", "method.alpha=1"], ["method=label-mix", "method.alpha=1.0", "method.beta=1"]),
        (["method=label-mix", "method.alpha=0"], ["method=none"]),
        (["method=data-mix", "method.alpha=0", "method.beta=0"], ["method=none"]),
        (["n=1000"], ["n=1000", "train.epochs=100"]),
        (["n=500"], ["n=500", "train.steps=117000", "train.eval_every=390"]),
        (["device=cpu"], ["device=cuda:7"]),
        (["results_dir=a", "force=true", "save_model=true"], ["train.checkpoint_every=7", "dataset.root=b"]),
        (["subset=head", "subset_seed=5"], ["subset=head"]),
        (["dataset=npz", "dataset.path=a/x.npz"], ["dataset=npz", "dataset.path=b/y.npz", "dataset.name=x"]),
        (["dataset.label_noise=0", "loss.label_smoothing=0", "protect=[]"], ["protect=null"]),
        (["dataset.classes=null"], ["dataset.classes=[some,other,names]"]),
        (["method=mixup", "protect=[cat,dog]"], ["method=mixup", "protect=[5,3,'dog',3]"]),
        (["method=mixup", "protect=cat"], ["method=mixup", "protect=[3]"]),
        (["method=mixup", "protect=3", "dataset=digits"], ["method=mixup", "protect=['3']", "dataset=digits"]),
        (["method=mixup", "protect=[b]", "dataset.classes=[a,b]"], ["method=mixup", "protect=[1]"]),
        (["method=none", "protect=[cat]"], ["method=none"]),
        (["method=mixup", "method.alpha=0", "protect=[cat]"], ["method=none"]),
    ],
)
def test_the_same_run(make, one, other):
    assert make(*one).id == make(*other).id


@pytest.mark.parametrize(
    "change",
    [
        "n=501",
        "subset=random",
        "subset=disjoint",
        "seed=1",
        "eval=holdout",
        "precision=fp32",
        "dataset.pad=3",
        "augment=none",
        "dataset.mean=[0.5,0.5,0.5]",
        "method=cutout",
        "method.p=0.5",
        "method.correct_lambda=false",
        "method.off_after=0.9",
        "method.larger_own=true",
        "method.partners=other-class",
        ["method.min_side=0.2", "method.max_side=0.8"],
        "model.width=32",
        "model.depth=34",
        "model.stem=bn",
        "model=resnet18",
        "model=wrn",
        "train.steps=5",
        "train.batch_size=64",
        "train.lr=0.05",
        "train.momentum=0.8",
        "train.weight_decay=0",
        "train.nesterov=true",
        "train.schedule=cosine",
        "train.milestones=[0.5,0.75]",
        "train.gamma=0.2",
        "train.warmup=5",
        "train.eval_every=7",
        "dataset.label_noise=0.2",
        "protect=[cat]",
        "loss.label_smoothing=0.1",
        "loss=kl",
        "loss=bce",
    ],
)
def test_another_run(make, change):
    base = ["method=cutmix"]
    changes = [change] if isinstance(change, str) else change
    assert make(*base, *changes).id != make(*base).id


def test_another_version_of_a_method_is_another_run(make):
    identity = make("method=cutmix").identity
    assert run_id(identity | {"method.version": identity["method.version"] + 1}) != run_id(identity)


def test_a_neutral_value_stays_out_of_the_hash(make):
    identity = make("n=100").identity
    for key in identity.keys() & NEUTRAL.keys():
        assert identity[key] == NEUTRAL[key]
        older = {k: value for k, value in identity.items() if k != key}  # of a run before there was the key
        assert run_id(older) == run_id(identity)
        assert completed(older) == completed(identity)


def test_a_neutral_value_of_a_mixture_s_part_stays_out_of_the_hash(make):
    identity = make("method=mixture").identity
    added = {key for key in identity if key.endswith((".off_after", ".partners", ".min_side"))}
    assert "method.parts.cutmix.min_side" in added
    older = {key: value for key, value in identity.items() if key not in added}
    assert run_id(older) == run_id(identity)
    assert completed(older) == completed(identity) == identity
    other = make("method=mixture", "method.parts.cutmix.partners=same-class").identity
    assert run_id(other) != run_id(identity)


def test_the_seed_of_the_subset_decides_noise_also_at_the_head(make):
    noisy = ["dataset.label_noise=0.2", "n=100"]
    ids = {make(*noisy, f"subset_seed={seed}").id for seed in (0, 1)}
    assert len(ids | {make("n=100").id}) == 3
    one, other = (make(*noisy, f"subset_seed={seed}").identity for seed in (0, 1))
    assert cell_hash(one) == cell_hash(other)


def test_protect_becomes_class_numbers(make):
    assert make("method=mixup", "protect=[truck,cat,0,airplane]").identity["protect"] == [0, 3, 9]
    assert make("method=mixup", "dataset=cifar100", "protect=[worm,apple]").identity["protect"] == [0, 99]
    assert make("method=none", "protect=[cat]").identity["protect"] == []


def test_a_cell_is_all_but_the_seeds(make):
    random = ["subset=random", "n=100"]
    assert cell_hash(make(*random, "seed=1", "subset_seed=2").identity) == cell_hash(make(*random).identity)
    assert cell_hash(make(*random, "method=mixup").identity) != cell_hash(make(*random).identity)


def test_alpha_zero_is_the_method_none(composer, make):
    assert dict(make("method=none").cfg.method) == NONE
    assert make("method=cutmix", "method.alpha=0").identity["method"] == "none"


@pytest.mark.parametrize(
    ("n", "steps"),
    [
        (1, 40_000),
        (100, 40_000),
        (101, 117_000),
        (250, 117_000),
        (500, 117_000),
        (999, 117_000),
        (1000, 781),
        (5000, 3906),
        (10_000, 7812),
        (20_000, 15_625),
        (50_000, 39_062),
    ],
)
def test_steps_of_the_small_data_protocol(make, n, steps):
    assert small_data_steps(n) == steps
    assert make(f"n={n}").cfg.train.steps == steps


@pytest.mark.parametrize(("steps", "every"), [(117_000, 390), (7800, 390), (7799, 389), (200, 10), (19, 1), (1, 1)])
def test_evaluations_are_every_390_steps_but_at_least_20(make, steps, every):
    assert make(f"train.steps={steps}").cfg.train.eval_every == every


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["method=label-mix", "method.alpha=-1"], "method.alpha=-1"),
        (["method=label-mix", "method.beta=-0.5"], "method.beta=-0.5"),
        (["method=label-mix", "method.beta=0"], "method.alpha=1 method.beta=0"),
        (["method=data-mix", "method.alpha=0"], "method.alpha=0 method.beta=1"),
        (["method=label-mix", "method.alpha=much"], "must be a number"),
        (["method=label-mix", "method.alpha=inf"], "finite"),
        (["method=cutmix", "method.p=1.5"], "probability"),
        (["method=cutmix", "method.per_sample=2"], "true or false"),
        (["method=cutmix", "method.larger_own=2"], "true or false"),
        (["method=cutmix", "method.off_after=1.5"], "method.off_after=1.5: must be a share of the steps"),
        (["method=cutmix", "method.off_after=-0.5"], "method.off_after=-0.5"),
        (["method=cutmix", "method.partners=same-clas"], "did you mean same-class?"),
        (["train.steps=5", "train.epochs=5"], "train.steps=5 and train.epochs=5"),
        (["train.protocol=null"], "train.steps=NUMBER"),
        (["train.protocol=smal-data"], "did you mean small-data?"),
        (["train.nesterov=true", "train.momentum=0"], "train.momentum"),
        (["dataset=npz"], "dataset.path"),
        (["dataset=npz", "dataset.path=x.npz", "dataset.name=a/b"], "names folders"),
        (["dataset.mean=null"], "dataset.mean and dataset.std"),
        (["dataset.std=[1,0,1]"], "dataset.std"),
        (["dataset.label_noise=1.5"], "dataset.label_noise=1.5: must be a share"),
        (["dataset.label_noise=-0.1"], "dataset.label_noise=-0.1"),
        (["dataset.label_noise=nan"], "dataset.label_noise=nan"),
        (["dataset.classes=[a,b,a]"], "all differ"),
        (["protect=[catt]"], "unknown class in protect 'catt' (did you mean cat?); choices: airplane"),
        (["protect=[true]"], "protect: True "),
        (["protect=[1.0]"], "protect: 1.0 "),
        (["protect=[-1]"], "protect: -1 "),
        (["protect=[null]"], "protect: None "),
        (["protect=[[1]]"], "protect=[0,2]"),
        (["dataset=npz", "dataset.path=x.npz", "protect=[cat]"], "dataset.classes=[a,b]"),
        (["method=mixup", "method.alpha=0", "protect=[catt]"], "did you mean cat?"),
        (["train.milestones=[]"], "train.milestones=[]: must be increasing numbers between 0 and 1"),
        (["train.milestones=[0.5,0.5]"], "train.milestones=[0.5, 0.5]"),
        (["train.milestones=[0,0.5]"], "train.milestones=[0.0, 0.5]"),
        (["train.milestones=[0.5,1]"], "train.milestones=[0.5, 1.0]"),
        (["train.milestones=[0.5,nan]"], "train.milestones=nan"),
        (["train.gamma=0"], "train.gamma=0.0: must be above 0 and at most 1"),
        (["train.gamma=nan"], "train.gamma=nan"),
        (["train.schedule=cosine", "train.gamma=0.2"], "train.schedule=cosine; use train.schedule=step"),
        (["train.schedule=constant", "train.milestones=[0.5]"], "train.schedule=constant; use train.schedule=step"),
        (["loss.label_smoothing=1"], "loss.label_smoothing=1: must be from 0 to below 1"),
        (["loss.label_smoothing=-0.1"], "loss.label_smoothing=-0.1"),
        (["loss.label_smoothing=some"], "loss.label_smoothing=some: must be a number"),
        (["loss=bce", "loss.label_smoothing=true"], "loss.label_smoothing=True: must be a number"),
    ],
)
def test_refused_values(make, overrides, told):
    with pytest.raises(UserError, match=re.escape(told)) as error:
        make(*overrides)
    assert "\n" not in str(error.value)


def test_a_key_added_later_is_completed_only_in_runs_that_could_have_it(composer):
    of_standard, of_three = (
        job(composer.compose([f"augment={name}"])).identity for name in ("standard", "three-augment")
    )
    older = {key: value for key, value in of_standard.items() if key != "augment.padding"}
    assert completed(older) == of_standard
    assert completed(of_three) == of_three
