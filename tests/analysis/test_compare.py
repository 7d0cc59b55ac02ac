"""Methods beside their baseline, and the recommendation in words, from stores of made-up runs."""

import functools
import itertools
import json
import re

import pytest
from scipy import stats as scipy_stats

from mixbench import stats
from mixbench.analysis.compare import compare as compare_runs
from mixbench.analysis.recommend import AVOID, NOTHING, UNDECIDED, UNKNOWN, USE, recommend, verdict
from mixbench.cli import words as cli_words
from mixbench.config.compose import Composer
from mixbench.config.identity import run_id
from mixbench.runs import study
from mixbench.runs.published import published_number
from mixbench.stats.equivalents import BELOW, BEYOND, equivalent_images

REST = {"schema": 1, "seconds": 1.0, "device": "test device", "precision": "fp32", "mixbench": "0.1.0"}
METHODS = ("none", "data-mix", "label-mix", "cutmix")


@functools.cache
def identities(name, *words):
    """Of the runs of a study under overrides."""
    with Composer() as composer:
        return [job.identity for job in study.plan(composer, name, words).jobs]


def compare(selection):
    return compare_runs(selection.frame, selection.rule)


@pytest.fixture
def add(tmp_path):
    """Store runs, with the final accuracy that a function of the identity gives; where that is None, there is none.

    words: overrides of study methods-demo. values: lists for keys of the identity, `train_steps` for train.steps.
    of: the identities to begin with, in place of the study's.
    """

    def add(accuracy, *words, methods=METHODS, of=None, **values):
        values = {key.replace("train_", "train."): of_key for key, of_key in values.items()}
        if of is None:
            composed = methods if words else METHODS  # all at once, to compose only once
            of = identities("methods-demo", f"method={','.join(composed)}", "n=50", "subset_seed=0", "seed=0", *words)
        for identity in of:
            for chosen in itertools.product(*values.values()):
                made = identity | dict(zip(values, chosen, strict=True))
                value = accuracy(made) if made["method"] in methods else None
                if value is not None:
                    name = run_id(made)
                    folder = tmp_path / "results" / "runs" / name
                    folder.mkdir(parents=True)
                    metrics = {"id": name, "identity": made, "final_accuracy": value}
                    metrics |= {"best_accuracy": value + 1, "median10_accuracy": value - 1}
                    (folder / "metrics.json").write_text(json.dumps(REST | metrics))

    return add


@pytest.fixture
def select(tmp_path):
    def select(*words):
        with Composer() as composer:
            return cli_words.select(composer, [*words, f"results_dir={tmp_path / 'results'}"])

    return select


@pytest.fixture
def setting(add, select):
    """The one setting of n = 50 digits: method -> the accuracies of its subsets, or where seeds is set of its seeds."""

    def setting(seeds=False, **of_method):
        def accuracy(identity):
            values = of_method.get(identity["method"].replace("-", "_"), [])
            i, other = (identity[key] for key in (("seed", "subset_seed") if seeds else ("subset_seed", "seed")))
            return values[i] if other == 0 and i < len(values) else None

        add(accuracy, subset_seed=[0, 1, 2], seed=[0, 1, 2])
        (found,) = compare(select("n=50"))
        return found

    return setting


def of_name(setting, name):
    (found,) = (method for method in setting.methods if method.name == name)
    return found


def test_no_runs_have_no_settings(select):
    assert compare(select("n=50")) == []


def test_methods_stand_beside_the_baseline_of_their_setting(setting):
    found = setting(none=[60.0, 62.0, 64.0], label_mix=[66.5, 69.0, 71.5], data_mix=[60.0, 61.0, 66.0], cutmix=[70.0])
    assert (found.name, found.n) == ("n = 50", 50)
    assert [experiment.name for experiment in found.experiments] == ["none", "cutmix", "data-mix", "label-mix"]
    assert found.baseline.summary.mean == 62.0
    assert found.baseline.gain is None
    gains = {method.name: method.gain for method in found.methods}
    assert gains["label-mix"].mean == pytest.approx(7.0)
    assert (gains["label-mix"].units, gains["label-mix"].over) == (3, "subsets")
    assert (gains["cutmix"].mean, gains["cutmix"].units) == (10.0, 1)
    table = stats.paired_table(found.baseline.runs, [method.runs for method in found.methods])
    assert [method.gain for method in found.methods] == stats.compare(table).gains
    assert found.best.name == "cutmix"
    assert all(method.equivalent is None for method in found.methods)  # the baseline has one n alone


def test_p_is_adjusted_for_the_methods_of_a_setting_not_of_all(add, select):
    gains = {"none": 0, "data-mix": 1, "label-mix": 2, "cutmix": 4}

    def accuracy(identity):
        luck = len(identity["method"]) * (7 * identity["seed"] + identity["n"]) % 11
        return 50 + identity["seed"] + gains[identity["method"]] + luck / 10

    add(accuracy, n=[20, 50], seed=[0, 1, 2])
    for setting in compare(select("dataset=digits")):
        table = stats.paired_table(setting.baseline.runs, [method.runs for method in setting.methods])
        assert [method.gain for method in setting.methods] == stats.compare(table).gains


def test_test_images_count_as_given_where_nobody_knows_which_ones_are_classified(setting):
    found = setting(none=[60.0, 62.0, 64.0], label_mix=[66.5, 69.0, 71.5])
    assert (found.images_known, found.methods[0].gain.image_sd) == (False, None)


def test_the_accuracy_is_that_of_the_rule(add, select):
    add(
        lambda identity: 50.0 + identity["seed"] + 5 * (identity["method"] != "none"),
        methods=["none", "cutmix"],
        n=[20],
        seed=[0, 1, 2],
    )
    for rule, mean in (("final", 51.0), ("best", 52.0), ("median10", 50.0)):
        (found,) = compare(select("n=20", f"rule={rule}"))
        assert found.baseline.summary.mean == mean
        assert found.methods[0].gain.mean == 5.0


def test_places_are_rows_of_the_selection(add, select):
    add(lambda identity: 50.0 + identity["seed"], methods=["none", "cutmix"], n=[20, 50], seed=[0, 1, 2])
    chosen = select("n=50")  # whose frame keeps the index of all runs
    (found,) = compare(chosen)
    for experiment in found.experiments:
        rows = chosen.frame.iloc[experiment.places]
        assert set(rows["method"]) == {experiment.method}
        assert set(rows["n"]) == {50}
        assert sorted(rows["seed"]) == [0, 1, 2]


def test_two_augmentations_are_two_settings(add, select):
    """Each with its own baseline: crop and flip alone give 10 points here, mixing gives 1 or 2."""

    def accuracy(identity):
        standard = identity["augment"] == "standard"
        return 50.0 + 10 * standard + (1 + standard) * (identity["method"] != "none")

    add(accuracy, "augment=standard,none", methods=["none", "cutmix"], seed=[0, 1, 2])
    settings = compare(select("n=50"))
    assert [(s.name, len(s.methods)) for s in settings] == [
        ("n = 50, augment = none", 1),
        ("n = 50, augment = standard", 1),
    ]
    assert [setting.methods[0].gain.mean for setting in settings] == [1.0, 2.0]


def test_a_method_with_two_alphas_is_two_methods(add, select):
    add(lambda identity: 50.0, methods=["none"])
    add(lambda identity: 50.0 + 10 * identity["method.alpha"], "method.alpha=0.2,1", methods=["label-mix"])
    (found,) = compare(select("n=50"))
    assert [method.name for method in found.methods] == ["label-mix, alpha=0.2", "label-mix, alpha=1"]
    assert [method.gain.mean for method in found.methods] == pytest.approx([2.0, 10.0])
    assert found.baseline.name == "none"


def test_methods_of_a_grid_that_has_a_name_are_told_apart(add, select):
    """A grid of several methods: its name alone would be that of all of them, and alpha says it to nobody."""
    add(lambda identity: 50.0)
    chosen = select("n=50")
    chosen.frame["variant"] = "late"
    (found,) = compare(chosen)
    assert [experiment.name for experiment in found.experiments] == [
        f"late, method={name}" for name in ("none", "cutmix", "data-mix", "label-mix")
    ]
    chosen.frame["variant"] = "own " + chosen.frame["method"]
    (found,) = compare(chosen)
    assert [method.name for method in found.methods] == ["own cutmix", "own data-mix", "own label-mix"]
    assert found.baseline.name == "own none"


def test_without_a_baseline_there_are_no_gains(add, select):
    add(lambda identity: 50.0, methods=["cutmix", "label-mix"], n=[20, 50])
    add(lambda identity: 40.0, methods=["none"], n=[20])
    small, large = compare(select("dataset=digits"))
    assert small.baseline.summary.mean == 40.0
    assert large.baseline is None
    assert [experiment.name for experiment in large.experiments] == ["cutmix", "label-mix"]
    assert {(m.gain, m.equivalent) for m in large.methods} == {(None, None)}
    assert (large.best, large.recommended) == (None, None)


def test_settings_come_by_n_and_share_the_baselines_curve(add, select):
    """none has 40, 50 and 60 % at n = 20, 50 and 100, and cutmix 5 more; in subset 1 both have 2 more."""
    of_none = {20: 40.0, 50: 50.0, 100: 60.0}

    def accuracy(identity):
        value = of_none[identity["n"]] + 2 * identity["subset_seed"]
        return value + 5 * (identity["method"] == "cutmix")

    add(accuracy, methods=["none", "cutmix"], n=[20, 50, 100], subset_seed=[0, 1])
    settings = compare(select("dataset=digits"))
    assert [setting.n for setting in settings] == [20, 50, 100]
    worth = [setting.methods[0].equivalent for setting in settings]
    assert worth[0].images == pytest.approx(equivalent_images({n: a + 1 for n, a in of_none.items()}, 46.0))
    assert 20 < worth[0].images < 50 < worth[1].images < 100
    assert worth[2].images == BEYOND
    assert settings[0].baseline.equivalent is None


def test_steps_that_come_with_n_leave_the_curve_one(add, select):
    """The report trains 117,000 steps at n = 500 and 100 epochs from n = 1,000: still 1,884 images."""
    report = identities("small-data")
    with Composer() as composer:
        published = study.load(composer, "small-data")

    def accuracy(identity):
        return published_number(published, identity, "best").accuracy

    assert len({identity["train.steps"] for identity in report}) > 3
    assert len({identity["train.eval_every"] for identity in report}) > 1
    add(accuracy, of=report)
    settings = compare(select("small-data", "rule=final"))
    assert [setting.n for setting in settings] == [100, 250, 500, 1000, 5000, 10_000, 20_000, 50_000]
    assert [setting.name for setting in settings][:2] == ["n = 100", "n = 250"]  # not the steps as well
    worth = of_name(settings[2], "data-mix").equivalent
    assert worth.text(worth.images) == "1,884"
    assert of_name(settings[-1], "data-mix").equivalent.images == BEYOND


def test_two_numbers_of_steps_at_one_n_are_two_curves(add, select):
    """With 200 steps everything is 20 points better: no method of 100 steps is worth images of those."""

    def accuracy(identity):
        value = {20: 40.0, 50: 50.0}[identity["n"]] + 20 * (identity["train.steps"] == 200)
        return value + 5 * (identity["method"] == "cutmix")

    add(accuracy, methods=["none", "cutmix"], n=[20, 50], train_steps=[100, 200])
    settings = compare(select("dataset=digits"))
    assert [setting.name for setting in settings] == [
        f"n = {n}, train.steps = {steps}" for n in (20, 50) for steps in (100, 200)
    ]
    small = [setting.methods[0].equivalent.images for setting in settings[:2]]
    assert small == pytest.approx([(20 * 50) ** 0.5] * 2)
    assert [setting.methods[0].equivalent.images for setting in settings[2:]] == [BEYOND] * 2
    assert [setting.methods[0].gain.mean for setting in settings] == [5.0] * 4


def test_a_number_of_steps_that_only_one_n_has_twice_keeps_to_its_own(add, select):
    add(lambda identity: 40.0 + identity["n"] / 10, methods=["none", "cutmix"], n=[20, 50], train_steps=[100])
    add(lambda identity: 90.0, methods=["none", "cutmix"], n=[50], train_steps=[200])
    settings = compare(select("dataset=digits"))
    assert [setting.methods[0].equivalent and setting.methods[0].equivalent.images for setting in settings] == [
        20,
        50,
        None,
    ]


# What to use, in words: which methods are named in what order, and all numbers. A text that recommends begins with the
# method, one that does not with the baseline. Intervals and p-values by hand: t for 2 degrees of freedom is 4.303, for
# one 12.706.


def named(text):
    """The methods of a text, in their order. A sentence calls the baseline none `no mixing`."""
    return re.findall("|".join(("no mixing", *METHODS)), text)


def test_a_clear_gain_over_subsets(setting, numbers):
    """Gains 6.5, 7 and 7.5: sd 0.5, interval 7 ± 4.303 · 0.5 / √3, t = 24.2, p = 0.0017."""
    found = setting(none=[60.0, 62.0, 64.0], label_mix=[66.5, 69.0, 71.5])
    text = recommend(found)
    assert named(text) == ["label-mix", "no mixing"]
    assert numbers(text) == [7.0, 95, 5.8, 8.2, 3, 0.0017]
    assert all(word in text for word in ("+7.0", "+5.8", "+8.2", "3 subsets", "p = 0.0017"))
    assert "together" not in text, "one method needs no correction"
    assert verdict(found).word == USE


def test_a_clear_gain_over_the_seeds_of_one_subset(setting, numbers):
    """data-mix loses 4 points against label-mix, in every seed."""
    found = setting(seeds=True, none=[60.0, 62.0, 64.0], label_mix=[65.0, 67.1, 68.9], data_mix=[61.0, 63.2, 64.8])
    text = recommend(found)
    assert named(text) == ["label-mix", "no mixing"]
    gain = of_name(found, "label-mix").gain
    low, high = gain.interval
    assert numbers(text)[:4] == [5.0, 95, pytest.approx(low, abs=0.05), pytest.approx(high, abs=0.05)]
    assert 4.5 < low < 5 < high < 5.5
    assert all(word in text for word in ("3 seeds", "both methods together"))


def test_methods_that_may_be_better_are_named(setting, numbers):
    found = setting(
        none=[60.0, 62.0, 64.0],
        label_mix=[66.9, 69.0, 71.1],
        data_mix=[66.7, 69.1, 70.7],
        cutmix=[66.6, 68.9, 70.7],
    )
    text = recommend(found)
    assert named(text) == ["label-mix", "no mixing", "cutmix", "data-mix"]
    assert numbers(text)[0] == 7.0


def test_the_equivalent_data_of_a_method_is_reported(add, select, numbers):
    """Straight lines: 10 points from 20 to 50 images, so 5 points are worth √(20 · 50) = 31.6."""
    gains = {"data-mix": [5.1, 4.9], "label-mix": [-30.0, -30.01], "cutmix": [50.0, 50.01]}

    def accuracy(identity):
        value = {20: 40.0, 50: 50.0}[identity["n"]]
        return value + gains.get(identity["method"], [0, 0])[identity["subset_seed"]]

    add(accuracy, methods=["none", "data-mix"], n=[20, 50], subset_seed=[0, 1])
    small, large = compare(select("dataset=digits"))
    text = recommend(small)
    assert named(text) == ["data-mix", "no mixing"]
    of_gain = [5.0, 95, 3.7, 6.3, 2, 0.013]
    assert numbers(text)[:7] == [*of_gain, 32]
    low, high = numbers(text)[-2:]
    assert 20 < low < 32 < high < 50
    assert "32 images" in text
    text = recommend(large)
    assert numbers(text)[len(of_gain)] == 50
    assert "more than 50 images" in text  # not 50 of them, and not fewer
    add(accuracy, methods=["label-mix", "cutmix"], n=[20, 50], subset_seed=[0, 1])
    small = compare(select("dataset=digits"))[0]
    assert of_name(small, "label-mix").equivalent.images == BELOW
    assert named(recommend(small))[:2] == ["cutmix", "no mixing"]
    assert numbers(recommend(small))[0] == 50.0


def test_the_equivalent_data_of_many_subsets_have_an_interval(add, select, numbers):
    """As above, with gains of 4.5 to 5.5 points: 5 ± 0.24, of which t gives the interval, on the line."""

    def accuracy(identity):
        gain = 4.5 + identity["subset_seed"] / 9 if identity["method"] == "data-mix" else 0
        return {20: 40.0, 50: 50.0}[identity["n"]] + gain

    add(accuracy, methods=["none", "data-mix"], n=[20, 50], subset_seed=range(10))
    small, _ = compare(select("dataset=digits"))
    half = scipy_stats.t.ppf(0.975, 9) * (small.methods[0].gain.sd / 10**0.5)
    ends = [20 * 2.5 ** ((5 + sign * half) / 10) for sign in (-1, 1)]
    *_, images, _, low, high = numbers(recommend(small))
    assert images == 32
    assert (low, high) == pytest.approx(ends, abs=0.6)


def test_without_a_significant_gain_the_needed_subsets_are_reported(setting, numbers):
    """Gains 0, 2 and 4: mean 2, sd 2; with an effect of 1 a t test at 0.05 has a power of 80 % from 10 pairs."""
    found = setting(none=[60.0, 62.0, 64.0], label_mix=[60.0, 64.0, 68.0])
    text = recommend(found)
    assert verdict(found).word == UNDECIDED
    assert named(text) == ["no mixing", "label-mix", "label-mix", "no mixing"]
    assert numbers(text) == [2.0, 95, -3.0, 7.0, 3, 0.23, 2.0, 10, 80]
    assert all(word in text for word in ("3 subsets", "10 subsets", "80 %"))


def test_the_needed_seeds_count_all_comparisons(setting, numbers):
    found = setting(seeds=True, none=[60.0, 62.0, 64.0], label_mix=[60.0, 64.0, 68.0], data_mix=[60.0, 61.5, 64.5])
    text, gain = recommend(found), of_name(found, "label-mix").gain
    needed = stats.units_needed(gain, 2)
    assert needed > stats.units_needed(gain, 1)
    assert numbers(text)[-2:] == [needed, 80]
    assert f"{needed} seeds" in text


def test_a_gain_just_not_significant_needs_more_than_there_are(setting, numbers):
    """Gains of 4, 5 and 9 have p = 0.059."""
    found = setting(none=[60.0, 62.0, 64.0], label_mix=[64.0, 67.0, 73.0])
    assert numbers(recommend(found))[-4:] == [0.059, 6.0, 4, 80]
    assert "4 subsets" in recommend(found)


def test_a_gain_far_too_small_for_its_spread(setting, numbers):
    found = setting(none=[60.0, 62.0, 64.0], label_mix=[65.0, 57.0, 64.1])
    text = recommend(found)
    assert named(text) == ["no mixing", "label-mix", "label-mix", "no mixing"]
    assert numbers(text)[-1] == 1000  # and no chance of 80 %
    assert "1,000 subsets" in text


def test_one_run_each(setting, numbers):
    found = setting(none=[60.0], label_mix=[63.0], data_mix=[61.0])
    text = recommend(found)
    assert named(text) == ["label-mix", "no mixing"]
    assert numbers(text) == [3.0, 2, 3]  # neither an interval nor a p; how many runs it takes


def test_the_same_gain_everywhere_is_no_certainty(setting, numbers):
    found = setting(none=[60.0, 62.0], label_mix=[63.0, 65.0])
    text = recommend(found)
    assert named(text) == ["label-mix", "no mixing"]
    assert numbers(text) == [3.0, 2]  # neither an interval nor a p
    assert "2 subsets" in text


def test_only_worse_methods(setting):
    found = setting(none=[60.0, 62.0, 64.0], label_mix=[55.0, 57.1, 58.9], data_mix=[56.1, 58.0, 59.9])
    assert verdict(found).word == AVOID
    assert set(named(verdict(found).line)) == {"data-mix", "label-mix", "no mixing"}
    assert "below" in recommend(found)
    assert found.recommended is None


def test_small_gains_that_are_certain_are_not_worth_a_change(setting):
    """data-mix gains 0.5 ± 0.1 points: the interval ends below 2."""
    found = setting(none=[60.0, 62.0, 64.0, 61.0], data_mix=[60.4, 62.4, 64.6, 61.6], cutmix=[60.2, 61.9, 63.9, 61.1])
    of_cutmix, of_data_mix = (method.gain for method in found.methods)
    assert max(of_cutmix.interval[1], of_data_mix.interval[1]) < 2
    assert verdict(found).word == (USE if of_data_mix.p < 0.05 else NOTHING)


def test_gains_that_end_below_two_points_are_nothing_to_bother_about(setting):
    found = setting(none=[60.0, 62.0, 64.0], data_mix=[60.1, 61.9, 64.0])
    assert found.methods[0].gain.interval[1] < 2
    assert verdict(found).word == NOTHING


def test_a_gain_that_is_not_significant_beside_a_loss_that_is(setting, numbers):
    found = setting(none=[60.0, 62.0, 64.0], label_mix=[50.0, 52.1, 53.9], data_mix=[60.0, 64.0, 68.0])
    text = recommend(found)
    assert named(text) == ["no mixing", "data-mix", "data-mix", "no mixing", "label-mix", "no mixing"]
    assert numbers(text)[0] == 2.0
    assert "Avoid" in text
    assert "worse" in text


def test_no_baseline(setting, numbers):
    found = setting(label_mix=[55.0, 57.1])
    text = recommend(found)
    assert verdict(found).word == UNKNOWN
    assert "method=none" in text  # what is missing
    assert (named(text), numbers(text)) == (["none"], [])


def test_a_baseline_alone_or_of_other_subsets(add, select, numbers):
    add(lambda identity: 50.0, methods=["none"])
    alone = recommend(compare(select("n=50"))[0])
    add(lambda identity: 50.0, methods=["cutmix"], seed=[1])
    of_others = recommend(compare(select("n=50"))[0])
    for text in (alone, of_others):
        assert "baseline" in text
        assert numbers(text) == []
    assert [word in text for text in (alone, of_others) for word in ("subset", "seed")] == [False] * 2 + [True] * 2


def test_a_significant_gain_is_recommended_before_a_larger_one_that_is_not(setting):
    """data-mix gains 12.7 ± 9, label-mix 8 ± 0.05."""
    found = setting(none=[60.0, 62.0, 64.0], label_mix=[68.0, 70.05, 71.95], data_mix=[65.0, 72.0, 87.0])
    assert (found.best.name, found.recommended and found.recommended.name) == ("data-mix", "label-mix")
    assert named(recommend(found)) == ["label-mix", "no mixing", "data-mix"]


@pytest.mark.parametrize(
    ("classes", "near"),
    [
        ([[14.0] * 10], True),
        ([[16.0] * 10], False),
        ([[100.0] + [0.0] * 9], True),  # always one class: the accuracy can be high where classes are uneven
        ([[54.0, 54.0]], True),
        ([[60.0, 60.0]], False),
        ([[12.0] * 10, [30.0] * 10], False),  # the mean over runs counts
        ([[12.0] * 10, None], False),  # not known for every run
        ([[12.0] * 9 + [None]], True),  # a class without evaluation images
    ],
)
def test_a_baseline_near_chance_is_reported(select, add, classes, near):
    add(lambda identity: 50.0, methods=["none", "cutmix"], seed=list(range(len(classes))))
    frame = select("n=50").frame
    frame["per_class_accuracy"] = [classes[seed] for seed in frame["seed"]]
    (setting,) = compare_runs(frame, "final")
    assert setting.near_chance == near
    assert ("hardly" in recommend(setting)) == near


def test_no_number_of_runs_is_promised_beside_an_untrained_baseline(setting):
    found = setting(none=[10.0, 11.0, 12.0], cutmix=[10.0, 12.0, 13.0])
    assert "probability" in recommend(found)
    found.baseline_classes = [11.0] * 10
    assert "hardly" in recommend(found)
    assert "probability" not in recommend(found)
