"""Plans: a pure function of (seed, step), with the distributions that the methods ask for."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mixbench.core import draw_settings, draws, random_words
from mixbench.core.draws import DRAWS, Plan
from mixbench.core.random_words import Purpose, permutations, uniform, words

SHARED = ("index", "shift", "mirror", "partner")  # what methods have in common at equal seeds
quick = settings(deadline=None, derandomize=True, max_examples=50)


def plan(seed=0, n=50, batch_size=8, height=10, width=14, draws=tuple(DRAWS), **options):
    return Plan(seed, n, batch_size, height, width, draws, **({"alpha": 1.0, "beta": 1.0, "pad": 2} | options))


@quick
@given(
    data=st.data(),
    seed=st.integers(0, 2**40),
    n=st.integers(1, 50),
    batch_size=st.integers(1, 20),
    first=st.integers(0, 300),
    per_sample=st.booleans(),
)
def test_chunks_of_any_size_in_any_order_give_the_same_arrays(data, seed, n, batch_size, first, per_sample):
    one = plan(seed, n, batch_size, per_sample=per_sample, p=0.5)
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    starts = [first + sum(sizes[:i]) for i in range(len(sizes))]
    order = data.draw(st.permutations(range(len(sizes))))
    chunks = {i: one.steps(starts[i], sizes[i]) for i in order}
    for name, whole in one.steps(first, sum(sizes)).items():
        assert np.array_equal(whole, np.concatenate([chunks[i][name] for i in range(len(sizes))])), name


@pytest.mark.parametrize(("n", "batch_size"), [(1, 3), (5, 8), (7, 7), (10, 4), (100, 128), (128, 100)])
def test_batches_are_consecutive_permutations_of_the_subset_cut_in_exactly_b(n, batch_size):
    index = plan(n=n, batch_size=batch_size).steps(0, 3 * n)["index"]
    assert index.shape == (3 * n, batch_size)
    epochs = index.reshape(-1, n)  # 3 n B images are 3 B whole epochs
    assert np.array_equal(np.sort(epochs, axis=1), np.tile(np.arange(n), (3 * batch_size, 1)))
    if n > 1:
        assert len(np.unique(epochs, axis=0)) > 1


def test_shapes_and_kinds():
    drawn = plan(batch_size=6).steps(3, 4)
    assert {name: (values.shape, values.dtype.name) for name, values in drawn.items()} == {
        "index": ((4, 6), "int64"),
        "shift": ((4, 6, 2), "int64"),
        "mirror": ((4, 6), "bool"),
        "partner": ((4, 6), "int64"),
        "applied": ((4, 6), "bool"),
        "lam": ((4, 6), "float64"),
        "centre": ((4, 6, 2), "int64"),
        "uniforms": ((4, 6, 32), "float64"),
        "chosen": ((4, 6), "bool"),
        "size": ((4, 6), "float64"),
        "place": ((4, 6, 2), "float64"),
        "chains": ((4, 6, 2, 34), "float64"),
        "sides": ((4, 6, 2), "float64"),
        "attempts": ((4, 6, 10, 2), "float64"),
        "noise": ((4, 1, 10, 8, 2), "float32"),
        "coin": ((4, 6), "bool"),
        "layer": ((4, 6), "float64"),
        "picks": ((4, 6, 4), "float64"),
        "choice": ((4, 6), "float64"),
        "source_lam": ((4, 6), "float64"),
        "source_centre": ((4, 6, 2), "int64"),
    }
    assert plan(batch_size=6, per_sample=True).steps(3, 4)["noise"].shape == (4, 6, 10, 8, 2)
    assert set(plan(draws=("lam",)).steps(0, 1)) == {"index", "lam"}


# Distributions: the seeds are fixed, so a test that passes once passes for ever.

LONG = 4000  # steps


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (2.0, 1.0), (0.2, 0.2), (8.0, 8.0)])
@pytest.mark.parametrize("name", ["lam", "source_lam"])
def test_lambda_has_the_beta_distribution(alpha, beta, name):
    of_batches = plan(alpha=alpha, beta=beta, draws=(name,)).steps(0, LONG)[name]
    assert (of_batches == of_batches[:, :1]).all()
    assert stats.kstest(of_batches[:, 0], stats.beta(alpha, beta).cdf).pvalue > 0.01

    of_images = plan(alpha=alpha, beta=beta, draws=(name,), per_sample=True).steps(0, LONG // 4)[name]
    assert (of_images[:, 0] != of_images[:, 1]).mean() > 0.99
    assert stats.kstest(of_images.ravel(), stats.beta(alpha, beta).cdf).pvalue > 0.01
    assert abs(np.corrcoef(of_images[:, 0], of_images[:, 1])[0, 1]) < 0.1


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5, 1.0])
def test_p_is_the_share_of_mixed_batches(p):
    always, drawn = plan().steps(0, LONG), plan(p=p).steps(0, LONG)
    mixed = drawn["applied"]
    assert (mixed == mixed[:, :1]).all()
    assert mixed[:, 0].mean() == pytest.approx(p, abs=0.02)
    assert p not in (0, 1) or (mixed == p).all()
    assert np.array_equal(drawn["lam"], np.where(mixed, always["lam"], 1.0))


def test_mirror_is_a_fair_coin_for_each_image():
    mirror = plan().steps(0, LONG)["mirror"]
    assert mirror.mean() == pytest.approx(0.5, abs=0.01)
    assert (mirror[:, 0] == mirror[:, 1]).mean() == pytest.approx(0.5, abs=0.03)


def test_partner_is_a_uniform_permutation():
    partner = plan(batch_size=5).steps(0, LONG)["partner"]
    assert (np.sort(partner, axis=1) == np.arange(5)).all()
    _, seen = np.unique(partner, axis=0, return_counts=True)
    assert len(seen) == 120
    assert stats.chisquare(seen).pvalue > 0.01


@pytest.mark.parametrize("pad", [0, 1, 4])
def test_shift_is_uniform_from_0_to_twice_the_padding(pad):
    shift = plan(pad=pad).steps(0, LONG)["shift"]
    assert (shift.min(), shift.max()) == (0, 2 * pad)
    if pad:
        edges = shift[..., 0] * (2 * pad + 1) + shift[..., 1]
        assert stats.chisquare(np.bincount(edges.ravel(), minlength=(2 * pad + 1) ** 2)).pvalue > 0.01


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("name", ["centre", "source_centre"])
def test_centre_is_uniform_over_the_pixels_of_a_non_square_image(per_sample, name):
    centre = plan(height=3, width=5, per_sample=per_sample).steps(0, LONG)[name]
    if not per_sample:
        assert (centre == centre[:, :1]).all()
        centre = centre[:, :1]
    else:
        assert (centre[:, 0] != centre[:, 1]).any()
    pixels = (centre[..., 0] * 5 + centre[..., 1]).ravel()
    assert (centre.max(axis=(0, 1)) == (2, 4)).all()
    assert stats.chisquare(np.bincount(pixels, minlength=15)).pvalue > 0.01


UNIFORM = ("size", "place", "attempts", "layer", "choice")


@pytest.mark.parametrize("name", ["uniforms", *UNIFORM])
@pytest.mark.parametrize("per_sample", [False, True])
def test_places_and_sizes_are_uniform_for_the_batch_or_for_each_image(name, per_sample):
    drawn = plan(draws=(name,), per_sample=per_sample).steps(0, LONG // 4)[name]
    alike = (drawn == drawn[:, :1]).all()
    assert alike == (name == "layer" or (name != "uniforms" and not per_sample))
    assert drawn.min() > 0
    assert drawn.max() < 1
    one_each = drawn[:, :1] if alike else drawn
    assert stats.kstest(one_each.reshape(len(drawn), -1)[:, 0], "uniform").pvalue > 0.01
    assert stats.kstest(one_each.ravel(), "uniform").pvalue > 0.01


@pytest.mark.parametrize("per_sample", [False, True])
def test_noise_is_standard_normal_and_independent(per_sample):
    noise = plan(draws=("noise",), per_sample=per_sample).steps(0, 200)["noise"]
    assert noise.shape[1] == (8 if per_sample else 1)
    assert stats.kstest(noise.ravel()[:50_000], "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02


def test_coin_and_chosen_are_coins_for_the_batch_or_for_each_image():
    for per_sample in (False, True):
        drawn = plan(draws=("coin", "chosen"), p=0.3, per_sample=per_sample).steps(0, LONG)
        for name, share in (("coin", 0.5), ("chosen", 0.3)):
            assert drawn[name].mean() == pytest.approx(share, abs=0.02)
            assert (drawn[name] == drawn[name][:, :1]).all() == (not per_sample)


def test_choice_is_above_1_with_probability_1_minus_p():
    choice = plan(draws=("choice",), p=0.25).steps(0, LONG)["choice"][:, 0]
    assert (choice > 1).mean() == pytest.approx(0.75, abs=0.02)
    assert stats.kstest(choice[choice < 1], "uniform").pvalue > 0.01


# Protected images

PROTECTED = np.arange(50) % 5 == 0


@pytest.mark.parametrize("per_sample", [False, True])
def test_protected_images_are_their_own_partners_and_never_mixed(per_sample):
    one = plan(protected=PROTECTED, per_sample=per_sample, p=0.8, batch_size=12).steps(0, 300)
    protected = PROTECTED[one["index"]]
    own = np.arange(12)
    assert (np.sort(one["partner"], axis=1) == own).all()
    assert (one["partner"] == own)[protected].all()
    assert (one["lam"][protected] == 1).all()
    assert not one["applied"][protected].any()
    assert not one["chosen"][protected].any()
    assert one["applied"][~protected].mean() == pytest.approx(0.8, abs=0.06)


def test_the_partners_of_the_others_are_a_uniform_permutation():
    none_protected = plan(protected=np.zeros(50, dtype=bool), batch_size=5).steps(0, 50)["partner"]
    assert np.array_equal(none_protected, plan(batch_size=5).steps(0, 50)["partner"])

    one = plan(n=5, batch_size=5, protected=np.array([True, False, False, False, False])).steps(0, LONG)
    free = one["index"] != 0
    rank = np.cumsum(free, axis=1) - 1
    among_free = np.take_along_axis(rank, one["partner"], axis=1)[free].reshape(LONG, 4)
    _, seen = np.unique(among_free, axis=0, return_counts=True)
    assert len(seen) == 24
    assert stats.chisquare(seen).pvalue > 0.01


# The registry


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize(
    ("setting", "value"), [("alpha", 0.3), ("beta", 3.0), ("p", 0.6), ("per_sample", True), ("pad", 4)]
)
def test_a_draw_depends_on_the_settings_that_it_declares_and_on_no_other(name, setting, value):
    before = plan(draws=(name,), p=0.8).steps(0, 20)[name]
    after = plan(draws=(name,), **({"p": 0.8} | {setting: value})).steps(0, 20)[name]
    depends = not np.array_equal(before, after)
    assert depends == (setting in DRAWS[name].settings or (name, setting) == ("shift", "pad"))


def test_a_draw_has_a_name_and_a_stream_of_its_own():
    assert len({one.purpose for one in DRAWS.values()}) == len(DRAWS)
    before = dict(DRAWS)
    with pytest.raises(ValueError, match=r"lam.*WEIGHTS"):
        draws.draw(Purpose.WEIGHTS)(DRAWS["lam"].function)
    with pytest.raises(ValueError, match=r"<lambda>.*LAMBDA"):
        draws.draw(Purpose.LAMBDA)(lambda plan, purpose, first, count: None)
    assert before == DRAWS


# Streams


def test_equal_seeds_give_all_methods_the_same_batches_crops_flips_and_partners():
    methods = [
        {},
        {"alpha": 0.2, "beta": 2.0},
        {"p": 0.5},
        {"per_sample": True},
        {"draws": ("partner", "mirror", "shift")},
    ]
    first, *others = [plan(seed=4, **method).steps(20, 10) for method in methods]
    for other in others:
        for name in SHARED:
            assert np.array_equal(other[name], first[name])


def test_seeds_purposes_and_steps_have_different_numbers():
    keys = list(product(range(12), Purpose))  # both orders of a pair, such as seed 3 purpose 4, are among them
    drawn = np.concatenate([words(seed, purpose, 0, 20, 9).ravel() for seed, purpose in keys])
    assert len(np.unique(drawn)) == len(drawn)
    assert len(set(Purpose)) == len(Purpose.__members__)
    a, b = (plan(seed=seed, per_sample=True, p=0.5).steps(0, 30) for seed in (0, 1))
    for name in a:
        assert not np.array_equal(a[name], b[name]), name


def test_uniform_numbers_are_inside_the_open_interval_and_permutations_are_complete():
    u = uniform(0, Purpose.LAMBDA, 0, LONG, 5)
    assert u.min() > 0
    assert u.max() < 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random_words, "words", lambda *args: np.array([[2**64 - 1, 0]], dtype=np.uint64))
        assert 0 < uniform(0, Purpose.LAMBDA, 0, 1, 2)[0, 1] < uniform(0, Purpose.LAMBDA, 0, 1, 2)[0, 0] < 1
    assert stats.kstest(u.ravel(), "uniform").pvalue > 0.01
    assert (np.sort(permutations(0, Purpose.SUBSET, 0, 3, 100), axis=1) == np.arange(100)).all()


def philox(counter, key):
    """One block of Philox4x64-10 in plain integers (Salmon et al. 2011, section 4.3)."""
    mask, (c0, c1, c2, c3), (k0, k1) = 2**64 - 1, counter, key
    for _ in range(10):
        a, b = c0 * 0xD2E7470EE14C6C93, c2 * 0xCA5A826395121157
        c0, c1, c2, c3 = (b >> 64) ^ c1 ^ k0, b & mask, (a >> 64) ^ c3 ^ k1, a & mask
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & mask, (k1 + 0xBB67AE8584CAA73B) & mask
    return [c0, c1, c2, c3]


@quick
@given(seed=st.integers(0, 2**64 - 1), first=st.integers(0, 10**7), steps=st.integers(1, 4), size=st.integers(1, 11))
def test_words_are_philox_blocks_at_the_step_s_own_counters(seed, first, steps, size):
    blocks = -(-size // 4)
    expected = [
        [word for b in range(blocks) for word in philox((1 + step * blocks + b, 0, 0, 0), (seed, Purpose.SHIFT))][:size]
        for step in range(first, first + steps)
    ]
    assert words(seed, Purpose.SHIFT, first, steps, size).tolist() == expected


FROZEN = {
    "attempts": [0.05029404750278227, 0.46184056475829977],
    "choice": [1.975646474990521, 1.975646474990521],
    "chosen": [False, True, False],
    "coin": [False, True, True],
    "uniforms": [0.16573196677180452, 0.5449690796721667, 0.3598232261869993],
    "layer": [0.3936955863192417, 0.3936955863192417],
    "picks": [0.05798014980121552, 0.9208159435242889],
    "noise": [-1.11267495, -1.72514236, 0.40835577],
    "place": [0.6750787125686977, 0.6213361131387583],
    "size": [0.41650237276292285, 0.41650237276292285],
}


def test_frozen_values():
    """Stored results were made from these numbers: they must never change."""
    assert {p.name: int(p) for p in Purpose} == {
        "SUBSET": 1,
        "DIGITS": 2,
        "WEIGHTS": 3,
        "ORDER": 4,
        "SHIFT": 5,
        "MIRROR": 6,
        "PARTNER": 7,
        "LAMBDA": 8,
        "APPLIED": 9,
        "CENTRE": 10,
        "UNIFORMS": 11,
        "SIZE": 12,
        "PLACE": 13,
        "NOISE": 14,
        "COIN": 15,
        "ATTEMPTS": 16,
        "CHOSEN": 17,
        "LAYER": 18,
        "CHOICE": 19,
        "LABEL_NOISE": 20,
        "HELD_OUT": 21,
        "SIDES": 22,
        "CHAINS": 23,
        "SOURCE_LAMBDA": 24,
        "SOURCE_CENTRE": 25,
        "PATHS": 26,
        "PICKS": 27,
        "FRACTALS": 28,
        "GENERATED": 29,
        "VALIDATION": 30,
    }
    drawn = Plan(7, 10, 4, 8, 12, tuple(DRAWS), alpha=0.5, beta=1.5, p=0.5, pad=4).steps(9, 3)
    assert drawn["index"].tolist() == [[7, 8, 0, 5], [6, 8, 9, 3], [0, 7, 4, 1]]
    assert drawn["shift"][0].tolist() == [[2, 8], [3, 2], [0, 5], [0, 6]]
    assert drawn["mirror"].astype(int).tolist() == [[0, 0, 0, 0], [0, 1, 1, 1], [1, 0, 0, 1]]
    assert drawn["partner"].tolist() == [[0, 3, 1, 2], [3, 2, 0, 1], [0, 1, 2, 3]]
    assert drawn["applied"][:, 0].tolist() == [True, True, False]
    assert drawn["lam"][:, 0] == pytest.approx([0.7121279641954985, 0.0061301952510837785, 1.0], rel=1e-12)
    assert drawn["centre"][:, 0].tolist() == [[3, 5], [2, 6], [2, 9]]
    assert drawn["source_lam"][:, 0] == pytest.approx([0.185071679077716, 0.010308617416675428, 1.0], rel=1e-12)
    assert drawn["source_centre"][:, 0].tolist() == [[2, 10], [7, 8], [3, 1]]
    assert drawn["sides"][0, 0] == pytest.approx([0.13478996920299507, 0.23988740799910196], rel=1e-12)
    assert drawn["uniforms"][0, 0, :3] == pytest.approx(FROZEN["uniforms"], rel=1e-12)
    for name in ("size", "place", "attempts", "layer", "choice", "picks"):
        assert drawn[name][0].ravel()[:2] == pytest.approx(FROZEN[name], rel=1e-12), name
    assert drawn["noise"][0].ravel()[:3] == pytest.approx(FROZEN["noise"], rel=1e-6)
    assert drawn["coin"][:, 0].tolist() == FROZEN["coin"]
    assert drawn["chosen"][:, 0].tolist() == FROZEN["chosen"]


def test_every_setting_that_a_draw_reads_has_a_default():
    assert draws.settings_read_by(DRAWS) == set(draw_settings.DEFAULTS)


def test_augmentations_may_ask_for_draws_without_settings_alone():
    """An option of an augmentation can have the name of a setting, as `p` of vertical-flip."""
    assert draws.draws_for("augment") == ("shift", "mirror", "uniforms", "chains")
    assert draws.settings_read_by(draws.draws_for("augment")) == set()


def test_nothing_is_mixed_after_a_share_of_the_steps():
    """And before it, everything is as without the setting."""
    whole, part = (plan(length=10, off_after=share, per_sample=True, p=0.7).steps(0, 10) for share in (1.0, 0.7))
    for name in ("applied", "chosen"):
        assert not part[name][7:].any()
    assert (part["lam"][7:] == 1).all()
    assert (part["choice"][7:] > 1).all()
    for name, values in whole.items():
        assert np.array_equal(part[name][:7], values[:7]), name
    assert not plan(length=10, off_after=0.0).steps(0, 1)["applied"].any()
    assert plan(off_after=0.0).steps(0, 1)["applied"].all()  # of a module, which does not know the length


def test_the_larger_share_is_the_image_s_own():
    drawn, larger = (plan(larger_own=own, per_sample=True, p=0.5).steps(0, 50)["lam"] for own in (False, True))
    assert np.array_equal(larger, np.maximum(drawn, 1 - drawn) * (drawn < 1) + (drawn == 1))
    assert larger.min() >= 0.5


@quick
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    chosen=st.sampled_from(["same-class", "other-class", "same-group", "other-group"]),
    seed=st.integers(0, 2**40),
    protects=st.booleans(),
)
def test_partners_respect_classes_and_groups_as_far_as_the_batch_allows(labels, chosen, seed, protects):
    labels, n = np.array(labels), len(labels)
    protected = labels == 3 if protects else None
    known = {"groups": labels, "labels": np.arange(n) % 2} if "group" in chosen else {"labels": labels}
    made = plan(seed, n, n, partners=chosen, protected=protected, **known).steps(5, 3)
    for index, partner in zip(made["index"], made["partner"], strict=True):
        assert np.array_equal(np.sort(partner), np.arange(n))
        here, itself = labels[index], partner == np.arange(n)
        free = here != 3 if protects else np.ones(n, dtype=bool)
        assert itself[~free].all()
        alike = here[partner] == here
        if chosen.startswith("same"):
            assert alike.all()
            sizes = np.array([np.sum(free & (here == label)) for label in here])
            assert np.array_equal(itself[free], sizes[free] == 1)
        else:
            assert np.array_equal(alike, itself)
            most = max(np.bincount(here[free], minlength=1), default=0)
            assert itself[free].sum() == max(0, 2 * most - free.sum())


@pytest.mark.parametrize(("chosen", "count"), [("same-class", 3), ("other-class", 8)])
def test_every_partner_that_fits_is_equally_likely(chosen, count):
    labels = np.repeat([0, 1, 2], 4)
    made = plan(1, 12, 12, labels=labels, partners=chosen, draws=("partner",)).steps(0, LONG)
    of_image = np.zeros((12, 12))
    np.add.at(of_image, (made["index"], np.take_along_axis(made["index"], made["partner"], axis=1)), 1)
    seen = of_image[of_image > 0].reshape(12, count)
    assert stats.chisquare(seen, axis=1).pvalue.min() > 1e-3


def test_partners_of_any_class_need_no_labels():
    drawn = plan().steps(3, 4)["partner"]
    assert np.array_equal(plan(partners="other-class").steps(3, 4)["partner"], drawn)
    assert np.array_equal(plan(partners="other-group").steps(3, 4)["partner"], drawn)
    assert np.array_equal(plan(labels=np.zeros(50, dtype=int)).steps(3, 4)["partner"], drawn)
