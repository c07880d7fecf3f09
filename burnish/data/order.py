"""Which examples meet in which update: a pure function of (seed, step), so that nothing of it needs saving."""

import math
import random
from collections.abc import Sequence
from functools import lru_cache


@lru_cache(maxsize=4)
def epoch_order(count: int, seed: int, epoch: int) -> tuple[int, ...]:
    """A permutation of `range(count)`, another one for each epoch."""
    order = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return tuple(order)


def steps_for(count: int, batch_size: int, epochs: int) -> int:
    """Updates that visit every example exactly `epochs` times; only the last one may be smaller."""
    return math.ceil(count * epochs / batch_size)


def batch_at(step: int, *, count: int, batch_size: int, seed: int, total: int | None = None) -> Sequence[int]:
    """Indices of the examples of update `step` (from 0): a window over the sequence of epochs, cut at `total`."""
    last = (step + 1) * batch_size if total is None else min((step + 1) * batch_size, total)
    return [epoch_order(count, seed, at // count)[at % count] for at in range(step * batch_size, last)]
