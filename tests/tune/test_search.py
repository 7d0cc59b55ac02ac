"""What tuning suggests: ranges and their scales, choices, the default settings first, and always the same."""

import math
from types import SimpleNamespace

import pytest
from scipy import stats

from mixbench.core.errors import UserError
from mixbench.tune import asked
from mixbench.tune.plan import Candidate
from mixbench.tune.search import Search
from mixbench.tune.space import Choices, Range, read_range


def suggested(space, name="run", trials=6, accuracy=lambda settings: 50.0, defaults=None):
    """The settings of the trials after the first, as dictionaries."""
    defaults = {variable.key: None for variable in space} | (defaults or {})
    search = Search(Candidate("mixup", [], space, SimpleNamespace(id=name), defaults))
    found = []
    for number in range(trials):
        settings = {setting.key: setting.value for setting in search.ask()}
        assert bool(settings) == (number > 0), "the first trial has the default settings"
        search.tell(accuracy(settings))
        found.append(settings)
    return found[1:]


def many(variable):
    """The values of 300 random trials of different commands."""
    return [trial[variable.key] for k in range(60) for trial in suggested([variable], f"run {k}")]


def test_a_wide_range_above_zero_is_uniform_on_a_logarithmic_scale():
    found = many(Range("train.weight_decay", 1e-5, 1e-2, whole=False))
    assert all(1e-5 <= value <= 1e-2 for value in found)
    assert stats.kstest([math.log(value, 10) for value in found], stats.uniform(-5, 3).cdf).pvalue > 0.01
    assert stats.kstest(found, stats.uniform(1e-5, 1e-2).cdf).pvalue < 1e-6


@pytest.mark.parametrize(("low", "high"), [(0.0, 8.0), (2.0, 8.0), (-1.0, 1.0)])
def test_other_ranges_are_uniform(low, high):
    found = many(Range("method.x", low, high, whole=False))
    assert all(low <= value <= high for value in found)
    assert stats.kstest(found, stats.uniform(low, high - low).cdf).pvalue > 0.01


def test_whole_numbers_and_choices_all_occur_and_nothing_else():
    whole = many(Range("model.width", 2, 5, whole=True))
    assert set(whole) == {2, 3, 4, 5}
    assert {type(value) for value in whole} == {int}
    choices = (None, True, "cosine", 0.5, [0.5, 0.75])
    found = many(Choices("train.x", choices))
    assert all(any(type(one) is type(value) and one == value for one in choices) for value in found)
    assert all(value in found for value in choices)


def test_values_have_three_digits_and_stay_in_the_range():
    assert Range("k", 1e-5, 1e-2, False).setting(0.000123456).value == 0.000123
    assert Range("k", 0.5, 0.9, False).setting(0.7123456).value == 0.712
    assert Range("k", 0.123456, 8, False).setting(0.123457).value == 0.123456  # 0.123 would be outside
    assert Range("k", 100, 5000, True).setting(1234).value == 1234


def test_the_same_command_suggests_the_same_and_another_something_else():
    space = [Range("a", 0.05, 8, False), Choices("b", ("x", "y", "z"))]
    assert suggested(space, trials=15) == suggested(space, trials=15)
    assert suggested(space, trials=15)[:5] == suggested(space, trials=6)
    assert suggested(space, "another run") != suggested(space)


def test_the_search_goes_where_accuracies_are_high():
    space = [Range("a", 1e-4, 1, False)]
    defaults = {"a": 1e-4}

    def accuracy(settings):
        return 100 - 20 * abs(math.log10(settings.get("a", 1e-4)) + 1)  # best at 0.1

    found = [
        abs(math.log10(trial["a"]) + 1)
        for k in range(5)
        for trial in suggested(space, f"run {k}", 30, accuracy, defaults)[-10:]
    ]
    assert sum(found) / len(found) < 0.6, "the mean distance of random trials is 1.25"


def test_default_settings_count_only_inside_the_search_space():
    space = [Range("a", 0.05, 8, False), Choices("b", (1, 2))]
    outside = [{"a": 100.0, "b": 1}, {"a": 1.0, "b": 3}, {"a": None, "b": 1}, {"a": 1.0, "b": True}]
    for defaults in [{"a": 1.0, "b": 1.0}, *outside]:
        assert len(suggested(space, trials=15, defaults=defaults)) == 14


def test_optuna_stays_quiet_and_keeps_the_level_of_a_notebook(capfd):
    import optuna

    before = optuna.logging.get_verbosity()
    suggested([Range("a", 0.05, 8, False)], trials=12)
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "ends"),
    [("0.05..8", (0.05, 8)), ("1e-5..1e-2", (1e-5, 1e-2)), ("-1..1", (-1, 1)), ("1..8", (1, 8)), (".5..1.", (0.5, 1))],
)
def test_ranges(text, ends):
    assert read_range("k", text) == ends


@pytest.mark.parametrize("text", ["1..", "..8", "a..b", "1..8..9", "8..1", "1..1", "1..1e999", "1 to..8"])
def test_wrong_ranges_are_refused_with_the_key_and_the_text(text):
    with pytest.raises(UserError, match=r"k=.*\.\."):
        read_range("k", text)


def test_words_that_are_not_ranges_are_left_alone():
    assert read_range("method", "mixup,cutmix") is None
    read = asked.read(["method=mixup", "dataset.path=../x..y.npz", "train.lr=0.1,0.2", "n=50", "subset=head"])
    assert read.methods == ["none", "mixup"]
    assert [word.partition("=")[0] for word in read.fixed] == ["dataset.path", "n", "subset"]
    assert read.tuned == {"train.lr": Choices("train.lr", (0.1, 0.2))}
    assert asked.read(["train.lr=1..2", "method=mixup,none"]).methods == ["mixup", "none"]
