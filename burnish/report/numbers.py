"""Numbers of a report as people read them: shares in percent, sizes and times in whole units."""

import math
from pathlib import PurePath

from burnish.report.schema import CostPart, MetricPart, ScoreRow, TaskPart, WeightsPart


def is_share(metric: MetricPart) -> bool:
    """Whether the deciding metric is the share of items that are right."""
    return metric.unit == "share"


def primary(task: TaskPart, name: str = "all") -> list[ScoreRow]:
    """The rows of the deciding metric in one slice: base first, tuned last, the others between as measured."""
    rows = [row for row in task.scores if row.metric == task.metric.name and row.slice == name]
    return sorted(rows, key=lambda row: {"base": 0, "tuned": 2}.get(row.arm, 1))


def slices(task: TaskPart) -> list[str]:
    """Names of the slices, without "all"."""
    names = dict.fromkeys(row.slice for row in task.scores if row.metric == task.metric.name)
    return [name for name in names if name != "all"]


def arm_name(arm: str) -> str:
    """An arm in words."""
    kind, _, count = arm.rpartition("_")
    words = {"base": "base model", "tuned": "fine-tuned", "simple": "no language model"}
    if kind in ("few_shot", "similar") and count.isdigit():
        which = "fixed" if kind == "few_shot" else "similar"
        words[arm] = f"prompt: {count} {which} example" + "s" * (count != "1")
    return words.get(arm, arm)


def recipe_name(recipe: str) -> str:
    """A recipe's short name: that of its folder where the file is called recipe.yaml."""
    path = PurePath(recipe)
    return (path.parent.name if path.stem == "recipe" else path.stem) or recipe


def amount(value: float | None, share: bool, digits: int = 1) -> str:
    """`93.3 %` or `-1.234`; an end that is not bounded as `?`."""
    if value is None:
        return "?"
    return f"{100 * value:.{digits}f} %" if share else f"{value:.3f}"


def ends(low: float | None, high: float | None, share: bool, sign: str = " %") -> str:
    """An interval: `87.4-96.6 %` or `-1.31 to -1.15`."""
    if share and low is not None and high is not None:
        return f"{100 * low:.1f}-{100 * high:.1f}{sign}"
    return f"{amount(low, share)} to {amount(high, share)}"


def signed(value: float | None, share: bool) -> str:
    """A difference: `+50.0` points for shares, `-0.123` for the rest; an end that is not bounded as `?`."""
    if value is None:
        return "?"
    return f"{100 * value:+.1f}" if share else f"{value:+.3f}"


def bounds(low: float | None, high: float | None, share: bool) -> str:
    """The ends of a difference: `+12.0 to +31.4`."""
    return f"{signed(low, share)} to {signed(high, share)}"


def moved(weights: WeightsPart) -> str:
    """`moved by 0.86 % of their length`."""
    return f"moved by {100 * weights.relative_change:.2g} % of their length"


def reused(cost: CostPart) -> str:
    """`; answers of base, few_shot_8 taken over from another run`, or nothing."""
    arms = ", ".join(cost.reused_arms)
    return f"; answers of {arms} taken over from another run" if arms else ""


def p_value(value: float | None) -> str:
    """`0.002`, `<0.001`, or nothing where there is none."""
    return "" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"


def counted(row: ScoreRow, share: bool) -> str:
    """`112/120` for shares, `n 120` for the rest."""
    return f"{round(row.value * row.count)}/{row.count}" if share else f"n {row.count}"


def span(rows: list[ScoreRow], share: bool) -> tuple[float, float]:
    """The scale on which rows are drawn: 0-1 for shares, else all values and ends with a little room."""
    if share:
        return 0.0, 1.0
    known = [x for row in rows for x in (row.value, row.low, row.high) if x is not None]
    low, high = min(known), max(known)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def ticks(scale: tuple[float, float]) -> list[float]:
    """Round values within a scale, three to six of them."""
    width = scale[1] - scale[0]
    power = 10 ** math.floor(math.log10(width))
    step = next(size * power for size in (1, 0.5, 0.25, 0.2) if width / (size * power) >= 3)
    first = math.ceil(scale[0] / step - 1e-9)
    return [i * step for i in range(first, math.floor(scale[1] / step + 1e-9) + 1)]


def memory(count: int) -> str:
    """Bytes as `1.9 GB`, `19.6 MB` or `812 bytes`."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    if count >= 1e6:
        return f"{count / 1e6:.1f} MB"
    return f"{count / 1e3:.1f} kB" if count >= 1e3 else f"{count} bytes"


def duration(seconds: float) -> str:
    """Seconds as `45 s` or `3.2 min`."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
