"""Rules that end a race: the shipped one and those that it was compared with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from scipy import special, stats

from benchmarks.races.studies import ROUNDS, Cell, Studies
from mixbench.stats import race as shipped
from mixbench.stats import spending
from mixbench.stats.sequential import FAVOUR
from mixbench.stats.spending import FIRST

LEVEL = 0.95
Width = Callable[..., np.ndarray]  # (variance of the mean, df, error, margin, round) -> half width


def shipped_width(variance, df, error, _margin, round_):
    """Alpha spending, even over the logarithm of the rounds."""
    return shipped.half_width(variance, df, spending.levels(error)[round_])


def lines(variance, df, error, margin, _round, slope=0.8):
    """Straight lines in the sum, with the slope times half the margin: one side of Kim and Nelson's.

    A Brownian motion ever exceeds h²/(2s) + st/2 with probability exp(-h²/2); averaged over the estimate of the
    variance, (1 + h²/df)^(-df/2). The time t is the inverse of the variance of the mean.
    """
    slope = slope * margin
    return df * np.expm1(-2 / df * np.log(error)) * variance / (2 * slope) + slope / 2


def kim_nelson(variance, df, error, margin, _round):
    """The lines of Kim and Nelson 2001 with c = 1, whose error is that of a pair that ends at either line."""
    return lines(variance, df, 2 * error, margin, None, slope=1.0)


@lru_cache
def prior_information(error: float, margin: float) -> float:
    """The prior's information that makes the normal mixture narrowest where its half width is the margin."""
    ratio = -float(special.lambertw(-(error**2) / np.e, -1).real) - 1
    return (1 + 1 / ratio) * (2 * np.log(1 / error) + np.log1p(ratio)) / margin**2 / ratio


def mixture_width(variance, df, error, prior):
    """The normal mixture of Robbins 1970 over the mean, two-sided; with unknown variance as in Lindon et al. 2022.

    prior: the prior's information, 1 / its variance.
    """
    q = prior * variance / (1 + prior * variance)
    ratio = (1 / (error**2 * q)) ** (1 / (df + 1))
    rest = 1 - ratio * q
    squared = df * (ratio - 1) / np.where(rest > 0, rest, np.nan)
    return np.sqrt(np.nan_to_num(squared, nan=np.inf) * variance)


def mixture(variance, df, error, margin, _round):
    """The mixture that is narrowest where its half width is the margin."""
    return mixture_width(variance, df, 2 * error, prior_information(2 * error, margin))


def spent(variance, df, error, _margin, round_, kind, first=FIRST):
    """Alpha spending of Lan and DeMets 1983 up to the last round; t quantiles of the level of each look."""
    return shipped.half_width(variance, df, levels(kind, error, first)[round_])


@lru_cache
def levels(kind: str, error: float, first: int) -> dict[int, float]:
    """The one-sided level of each look at normal means, by numerical integration over the sum."""
    step = 0.02
    sums = np.arange(-9 * ROUNDS**0.5, 6 * ROUNDS**0.5, step)
    kernel = stats.norm.pdf(np.arange(-7, 7 + step / 2, step)) * step
    density, so_far, of_look = stats.norm.pdf(sums, 0, first**0.5), 0.0, {}
    for r in range(first, ROUNDS + 1):
        if r > first:
            density = np.convolve(density, kernel, "same")
        time = r / ROUNDS
        until = error * np.log1p((np.e - 1) * time)
        if kind == "from 2":
            until = error * np.log(r / 1.33) / np.log(spending.LAST / 1.33)
        if kind == "O'Brien-Fleming":
            until = 2 * stats.norm.sf(stats.norm.isf(error / 2) / time**0.5)
        tail = np.cumsum(density[::-1] * step)[::-1]
        # Where the tail is what this look may spend. Beyond the grid: nearly nothing may be spent.
        bound = np.interp(np.log(until - so_far), np.log(tail[::-1] + 1e-300), sums[::-1])
        density, so_far = np.where(sums >= bound, 0, density), until
        of_look[r] = float(stats.norm.sf(bound / r**0.5))
    return of_look


@dataclass(frozen=True)
class Rule:
    """width: half width of the bounds. variance: which variance of a pair is used: moderated, own or pooled.

    first: rounds before the first look. first_stage: whether variances are those of the first stage for good.
    images: whether the variance includes the test images. eliminates: whether a method leaves for good as soon as any
    method in the race is not worse by the margin, and the last one is chosen, as Kim and Nelson do.
    interval: half width of the intervals of gains, if not `width`.
    """

    width: Width = shipped_width
    variance: str = "moderated"
    first: int = FIRST
    first_stage: bool = False
    images: bool = True
    eliminates: bool = False
    interval: Width | None = None


kn = partial(
    Rule, width=kim_nelson, variance="own", first_stage=True, eliminates=True, interval=partial(lines, slope=1.0)
)
RULES = {
    "shipped": Rule(),
    "first look after 2 rounds": Rule(width=partial(spent, kind="from 2", first=2), first=2),
    "own variances": Rule(variance="own"),
    "pooled variances": Rule(variance="pooled"),
    "without test images": Rule(images=False),
    "spending as Pocock": Rule(width=partial(spent, kind="Pocock")),
    "spending as O'Brien–Fleming": Rule(width=partial(spent, kind="O'Brien-Fleming")),
    "normal mixture": Rule(width=mixture),
    "lines, slope 0.8": Rule(width=lines),
    "lines, twice the error": Rule(width=kim_nelson, interval=partial(lines, slope=1.0)),
    "Kim–Nelson, 5 rounds first, no images": kn(first=5, images=False),
    "Kim–Nelson, 5 rounds first": kn(first=5),
    "Kim–Nelson, 10 rounds first": kn(first=10),
}


def moderated(kind, variance, rounds, residual_df):
    """The variances of all pairs and their degrees of freedom, by one of three ways."""
    if kind == "moderated":
        return shipped.moderated_variance(variance, rounds, residual_df)
    variance = np.maximum(variance, 1e-9)  # three equal differences between accuracies of 100 images
    if kind == "own":
        return variance, np.maximum(rounds - 1, 1)
    first, second = np.triu_indices(variance.shape[-1], 1)
    weight = rounds[..., first, second] - 1
    pooled = (weight * variance[..., first, second]).sum(-1) / np.maximum(weight.sum(-1), 1)
    shape = variance.shape
    return np.broadcast_to(pooled[:, None, None], shape), np.broadcast_to(
        np.maximum(residual_df, 1)[:, None, None], shape
    )


def run(rule: Rule, cell: Cell, data: Studies) -> dict[str, np.ndarray]:
    """Let studies race by a rule. A method that leaves and comes back has what it missed, and pays for it then.

    Returns an array for each: choice (-1 without one), runs, rounds, runs until some method qualified, whether an
    interval of a gain missed the truth, and whether the race ended because of the test images.
    """
    studies, _, methods, _ = data.mean.shape
    truth, margin, error = cell.truth(), cell.margin, (1 - LEVEL) / (methods - 1)
    racing, live = np.ones((studies, methods), bool), np.ones(studies, bool)
    upper = np.full((studies, methods, methods), np.inf)
    mean, variance, images, images_sd, rounds = np.zeros((5, *upper.shape))
    of_method = np.zeros((studies, methods))
    choice, missed, forbidden = np.full(studies, -1), np.zeros(studies, bool), np.zeros(studies, bool)
    took, qualified = np.zeros((2, studies))
    for r in range(1, ROUNDS + 1):
        racing &= live[:, None]
        if not live.any():
            break
        took += live
        of_method = np.where(racing, r, of_method)
        both = racing[:, :, None] & racing[:, None, :]
        np.copyto(mean, data.mean[:, r - 1], where=both)
        if rule.images:
            np.copyto(images, data.images[:, r - 1], where=both)
            np.copyto(images_sd, data.images_sd[:, r - 1], where=both)
        if not rule.first_stage or r <= rule.first:
            np.copyto(variance, data.variance[:, r - 1], where=both)
        np.copyto(rounds, r, where=both)
        if r < rule.first:
            continue
        counted = np.full_like(rounds, rule.first) if rule.first_stage else rounds
        residual_df = of_method.sum(1) - r - methods + 1
        over_rounds, df = moderated(rule.variance, variance, counted, residual_df)
        total, df = shipped.variance_of_mean(over_rounds, df, rounds, images, images_sd)
        total = np.minimum(total, 1e9)  # infinite without a spread
        width = rule.width(total[both], df[both], error, margin, r)
        upper[both] = np.minimum(upper[both], mean[both] + width)
        known = both[:, 0] & (np.arange(methods) > 0)
        ends = (rule.interval or rule.width)(total[:, 0][known], df[:, 0][known], error / 2, margin, r)
        missed[known.nonzero()[0][np.abs(mean[:, 0] - (truth - truth[0]))[known] > ends]] = True
        if rule.eliminates:
            stays, pick, done = _eliminate(upper, mean, racing, margin)
        else:
            now = shipped.race(upper, margin, 0)
            stays, pick, done = now.runs, now.choice, now.choice >= 0
            favourable = mean - FAVOUR * np.sqrt(over_rounds / rounds)
            fewest = np.maximum(images - FAVOUR * images_sd, 0)
            last = favourable + rule.width(np.maximum(fewest, 1e-9), 1e6, error, margin, ROUNDS)
            never = live & ~done & ~shipped.reachable(upper, np.minimum(upper, last), margin, 0)
            ok = ((now.shortfall <= margin) & ~now.worse).any(1)
            qualified = np.where(live & ok & (qualified == 0), of_method.sum(1), qualified)
            forbidden |= never
            done = done | never
        choice = np.where(live & done, pick, choice)
        live &= ~done
        racing = stays
    return {
        "choice": choice,
        "runs": of_method.sum(1),
        "rounds": took,
        "qualified": np.where(qualified, qualified, of_method.sum(1)),
        "missed": missed,
        "forbidden": forbidden,
    }


def _eliminate(upper, mean, racing, margin):
    """Kim and Nelson's step: of two methods of which neither is worse by the margin, the better one stays."""
    can = (upper <= margin) & racing[:, :, None] & racing[:, None, :] & ~np.eye(upper.shape[-1], dtype=bool)
    better = mean < 0  # i is better than j
    better[:, 0], better[:, :, 0] = True, False  # a tie goes to none
    stays = racing & ~(can & (better | ~can.transpose(0, 2, 1))).any(1)
    return stays, stays.argmax(1), stays.sum(1) == 1


def decided_by_fixed(cell: Cell, data: Studies) -> np.ndarray:
    """The share of studies that one look at all methods after 2, 3, … rounds would decide, by the same rule."""
    studies, _, methods, _ = data.mean.shape
    shares = []
    for r in range(2, ROUNDS + 1):
        rounds = np.full((studies, methods, methods), float(r))
        at = [each[:, r - 1] for each in (data.mean, data.variance, data.images, data.images_sd)]
        over_rounds, df = moderated("moderated", at[1], rounds, np.full(studies, (r - 1.0) * (methods - 1)))
        total, df = shipped.variance_of_mean(over_rounds, df, rounds, at[2], at[3])
        width = shipped.half_width(np.minimum(total, 1e9), df, (1 - LEVEL) / (methods - 1))
        shares.append((shipped.race(at[0] + width, cell.margin, 0).choice >= 0).mean())
    return np.array(shares)
