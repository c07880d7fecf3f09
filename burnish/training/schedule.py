"""The learning rate as a pure function of the step."""

import math
from typing import Literal

Schedule = Literal["linear", "cosine", "constant"]


def learning_rate_at(step: int, *, steps: int, peak: float, warmup: float, schedule: Schedule) -> float:
    """Rate of update `step` (from 0). It climbs from peak/warm-up steps, never from 0, then falls towards 0.

    `warmup` is a share of all steps.
    """
    rising = max(1, round(warmup * steps))
    if step < rising:
        return peak * (step + 1) / rising
    if schedule == "constant":
        return peak
    done = (step - rising) / max(1, steps - rising)
    return peak * (1 - done) if schedule == "linear" else peak * 0.5 * (1 + math.cos(math.pi * done))
