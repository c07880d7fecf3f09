"""Intervals for shares, for paired differences and for means; what a number of items can show.

A *share* is the mean of items that are each right (1) or wrong (0). Paired means that two arms saw the same items.

Chosen here, with the reason:

- single share: Wilson's score interval (1927; Newcombe 1998, Stat. Med. 17:857, method 3);
- paired difference of shares: Tango's score interval (1998, Stat. Med. 17:891). Over shares .02-.98, n 20-500 and three
  degrees of dependence it covers 95.8 % on average and never under 93 %; Newcombe's method 10 falls to 88 % there;
- everything else: bootstrap over items, percentiles widened for small n (Hesterberg 2015, "expanded percentile");
  under ten items Student's t on jackknife pseudo-values, since there are too few items to resample.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

FEW = 10  # under this many items (or groups) resampling says nothing
RESAMPLES_OF_MEANS = 10_000
RESAMPLES_OF_CORPORA = 2_000  # each recomputes the metric from its items
Floats = npt.NDArray[np.float64]
Statistic = Callable[[npt.NDArray[np.intp]], float]  # indices of items, with repeats -> the number


@dataclass(frozen=True, slots=True)
class Interval:
    """A number measured on `count` items, and its interval; an end is infinite where the items cannot bound it."""

    value: float
    low: float
    high: float
    count: int


def normal_quantile(level: float) -> float:
    """z of a two-sided interval: 1.96 for 0.95."""
    return float(stats.norm.ppf(0.5 + level / 2))


def wilson(successes: int, count: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share; raises ValueError without items."""
    _need_items(count)
    z2 = normal_quantile(level) ** 2
    share = successes / count
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = math.sqrt(z2 * (share * (1 - share) / count + z2 / (4 * count * count))) / (1 + z2 / count)
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == count else min(1.0, middle + half)
    return Interval(share, low, high, count)


def tango_z(only_a: float, only_b: float, count: int, difference: float) -> float:
    """Tango's score statistic for the hypothesis share(a) - share(b) = `difference`; falls as the difference grows."""
    a = 2.0 * count
    b = -only_a - only_b + (2 * count - only_a + only_b) * difference
    c = -only_b * difference * (1 - difference)
    share_b = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = count * (2 * share_b + difference * (1 - difference))
    distance = only_a - only_b - count * difference
    if variance <= 1e-12:
        return 0.0 if abs(distance) < 1e-9 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def tango(only_a: int, only_b: int, count: int, level: float = 0.95) -> Interval:
    """Score interval of share(a) - share(b) from the discordant pairs: right only in a, right only in b, of `count`."""
    _need_items(count)
    z = normal_quantile(level)
    value = (only_a - only_b) / count

    def solve(low: float, high: float, target: float) -> float:
        for _ in range(45):  # 2 / 2**45 is 6e-14
            middle = (low + high) / 2
            if tango_z(only_a, only_b, count, middle) > target:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    low = -1.0 if only_b == count else solve(-1.0, value, z)
    high = 1.0 if only_a == count else solve(value, 1.0, -z)
    return Interval(value, low, high, count)


def paired_shares(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval:
    """Tango's interval of share(a) - share(b) on the same items; each value is 0 or 1."""
    only_a, only_b = discordant(a, b)
    return tango(only_a, only_b, len(a), level)


def discordant(a: Sequence[float], b: Sequence[float]) -> tuple[int, int]:
    """How many items are right only in a, and only in b."""
    pairs = list(zip(a, b, strict=True))
    return sum(x > y for x, y in pairs), sum(x < y for x, y in pairs)


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p of McNemar's test (binomial on the discordant pairs); 1 where there are none."""
    total = only_a + only_b
    if total == 0:
        return 1.0
    return min(1.0, 2 * float(stats.binom.cdf(min(only_a, only_b), total, 0.5)))


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of a mean; infinite with one item, a point where all are equal."""
    count = len(values)
    _need_items(count)
    array = np.asarray(values, dtype=np.float64)
    value = float(array.mean())
    if count == 1:
        return Interval(value, -math.inf, math.inf, 1)
    half = float(stats.t.ppf(0.5 + level / 2, count - 1)) * float(array.std(ddof=1)) / math.sqrt(count)
    return Interval(value, value - half, value + half, count)


@dataclass(frozen=True, slots=True)
class Resampling:
    """How a bootstrap is done.

    `groups`: items of one group are drawn together, since they are not independent; None = each item alone.
    `span`: the largest value a difference can have (1 for shares, 100 for percentages), None if unbounded. It is used
    only where every resample gives the same number, which says nothing about items not seen.
    """

    seed: int = 0
    level: float = 0.95
    groups: Sequence[Hashable] | None = None
    span: float | None = None


def bootstrap_mean(values: Sequence[float], how: Resampling | None = None) -> Interval:
    """Bootstrap interval of a mean: for paired arms give the differences item by item. Vectorised, seeded."""
    how = how or Resampling()
    array = np.asarray(values, dtype=np.float64)
    _need_items(len(array))
    value = float(array.mean())
    members = _groups(len(array), how.groups)
    sums = np.array([array[m].sum() for m in members])
    sizes = np.array([len(m) for m in members], dtype=np.float64)
    if len(members) < FEW:
        everything, all_items = sums.sum(), sizes.sum()
        without = (everything - sums) / np.maximum(all_items - sizes, 1)
        return _jackknife(value, without, len(array), how)
    generator = np.random.default_rng(how.seed)
    block = max(1, 4_000_000 // len(members))  # bounds memory to some tens of MB
    drawn: list[Floats] = []
    for start in range(0, RESAMPLES_OF_MEANS, block):
        rows = min(block, RESAMPLES_OF_MEANS - start)
        picks = generator.integers(len(members), size=(rows, len(members)))
        drawn.append(sums[picks].sum(axis=1) / sizes[picks].sum(axis=1))
    return _percentiles(value, np.concatenate(drawn), len(members), len(array), how)


def bootstrap(statistic: Statistic, count: int, how: Resampling | None = None) -> Interval:
    """Bootstrap interval of any number computed from items: `statistic` is recomputed in each resample."""
    how = how or Resampling()
    _need_items(count)
    value = statistic(np.arange(count))
    members = _groups(count, how.groups)
    if len(members) < FEW:
        rest = [
            np.concatenate([m for j, m in enumerate(members) if j != i] or [members[0]]) for i in range(len(members))
        ]
        return _jackknife(value, np.array([statistic(r) for r in rest]), count, how)
    generator = np.random.default_rng(how.seed)
    drawn = np.empty(RESAMPLES_OF_CORPORA)
    for i in range(RESAMPLES_OF_CORPORA):
        picks = generator.integers(len(members), size=len(members))
        drawn[i] = statistic(np.concatenate([members[p] for p in picks]))
    return _percentiles(value, drawn, len(members), count, how)


def _groups(count: int, groups: Sequence[Hashable] | None) -> list[npt.NDArray[np.intp]]:
    if groups is None:
        return [np.array([i]) for i in range(count)]
    assert len(groups) == count
    members: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    return [np.array(m) for m in members.values()]


def _percentiles(value: float, drawn: Floats, independent: int, count: int, how: Resampling) -> Interval:
    """Percentiles at Hesterberg's widened level: the bootstrap's spread lacks sqrt(n/(n-1)), and z is not t."""
    if np.ptp(drawn) <= 1e-12 * max(1.0, abs(value)):
        return _all_equal(value, independent, count, how)
    quantile = float(stats.t.ppf(0.5 - how.level / 2, independent - 1))
    tail = float(stats.norm.cdf(quantile * math.sqrt(independent / (independent - 1))))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(value, min(float(low), value), max(float(high), value), count)


def _jackknife(value: float, without: Floats, count: int, how: Resampling) -> Interval:
    """Student's t on the jackknife's pseudo-values; for a mean of items these are the items themselves."""
    independent = len(without)
    if independent == 1:
        edge = math.inf if how.span is None else how.span
        return Interval(value, -edge, edge, count)
    pseudo = independent * value - (independent - 1) * without
    spread = float(np.std(pseudo, ddof=1))
    if spread <= 1e-12 * max(1.0, abs(value)):
        return _all_equal(value, independent, count, how)
    half = float(stats.t.ppf(0.5 + how.level / 2, independent - 1)) * spread / math.sqrt(independent)
    return Interval(value, value - half, value + half, count)


def _all_equal(value: float, independent: int, count: int, how: Resampling) -> Interval:
    """Where nothing varies: as Tango's interval without discordant pairs, scaled; a point where no bound is known."""
    if how.span is None:
        return Interval(value, value, value, count)
    z2 = normal_quantile(how.level) ** 2
    half = how.span * z2 / (independent + z2)
    return Interval(value, max(-how.span, value - half), min(how.span, value + half), count)


def smallest_gain(count: int, discordant_share: float, level: float = 0.95, power: float = 0.8) -> float:
    """The smallest gain in a share that `count` paired items show with this power (Connor 1987, Biometrics 43:207).

    `discordant_share`: share of items on which the two arms differ. A gain cannot exceed it, so where it is smaller
    than the answer, the answer is the gain whose discordant pairs all speak for one side. May exceed 1: never.
    """
    _need_items(count)
    low, high = 0.0, 2.0
    for _ in range(60):
        middle = (low + high) / 2
        if items_needed_exactly(middle, discordant_share, level, power) > count:
            low = middle
        else:
            high = middle
    return high


def items_needed(gain: float, discordant_share: float, level: float = 0.95, power: float = 0.8) -> int:
    """Paired items with which a gain of this size is shown with this power; see `smallest_gain`."""
    return math.ceil(items_needed_exactly(gain, discordant_share, level, power) - 1e-9)


def items_needed_exactly(gain: float, discordant_share: float, level: float, power: float) -> float:
    """Connor's formula before rounding up."""
    if gain <= 0:
        return math.inf
    share = max(discordant_share, min(gain, 1.0))
    z, z_power = normal_quantile(level), float(stats.norm.ppf(power))
    return ((z * math.sqrt(share) + z_power * math.sqrt(max(0.0, share - gain * gain))) / gain) ** 2


def items_for_enough(margin: float, discordant_share: float, power: float = 0.8) -> int:
    """Items with which "no gain of `margin` or more" is shown (90 % interval) where the arms are in truth equal."""
    z = normal_quantile(0.9) + float(stats.norm.ppf(power))
    return math.ceil(z * z * discordant_share / (margin * margin) - 1e-9)


def _need_items(count: int) -> None:
    if count <= 0:
        raise ValueError("no items: nothing was measured")
