"""Charts as inline SVG that stretches with the page: places are percentages, and text keeps its size.

Colours come from the style sheet, since they differ in the dark; each kind of mark has a shape of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from burnish.report.numbers import ticks
from burnish.report.page.markup import Child, Html, joined, tag

Tone = Literal["tuned", "prompt", "other"]
Scale = tuple[float, float]
POINTS = 400  # of a curve; neighbours of a longer one are averaged


@dataclass(frozen=True, slots=True)
class Interval:
    """One row of an interval chart: a value with its ends; an open end runs to the edge."""

    name: Child
    value: float
    low: float | None
    high: float | None
    tone: Tone
    amount: str
    note: str


def place(value: float, scale: Scale) -> float:
    """Where a value stands, in percent of the scale."""
    return 100 * min(1.0, max(0.0, (value - scale[0]) / (scale[1] - scale[0])))


def intervals(rows: Sequence[Interval], scale: Scale, labels: Sequence[tuple[float, str]], about: str) -> Html:
    """A row for each value: name, interval with its mark, number. `labels` stand under the scale, `about` below."""
    at = [(place(value, scale), text) for value, text in labels]
    drawn = [tag("div", *_interval(row, scale, [x for x, _ in at]), class_=f"row {row.tone}") for row in rows]
    return tag("div", *drawn, tag("div", _axis(at), class_="row axis"), tag("p", about, class_="about"), class_="rows")


def _interval(row: Interval, scale: Scale, grid: Sequence[float]) -> list[Html]:
    low, high = (scale[i] if end is None else end for i, end in enumerate((row.low, row.high)))
    lines = [tag("line", x1=f"{x:.2f}%", x2=f"{x:.2f}%", y1=0, y2="100%", class_="grid") for x in grid]
    span = tag("line", x1=_percent(low, scale), x2=_percent(high, scale), y1="50%", y2="50%", class_="span")
    mark = tag("svg", _mark(row.tone), x=_percent(row.value, scale), y="50%", overflow="visible")
    plot = tag("svg", *lines, span, mark, class_="plot", role="img", aria_label=f"{row.amount}, {row.note}")
    return [
        tag("div", row.name, class_="name"),
        plot,
        tag("div", row.amount, class_="amount"),
        tag("div", row.note, class_="note"),
    ]


def _percent(value: float, scale: Scale) -> str:
    return f"{place(value, scale):.2f}%"


def _mark(tone: Tone) -> Html:
    """A disc, a lozenge or a ring, so that colours are not needed to tell them apart."""
    if tone == "prompt":
        return tag("path", d="M-8 0L0-8L8 0L0 8Z", class_="mark")
    return tag("circle", r=7 if tone == "tuned" else 5.5, class_="mark")


def _axis(at: Sequence[tuple[float, str]]) -> Html:
    """Labels under the places of their values; those at an edge stay inside."""
    words = [
        tag("text", text, x=f"{x:.2f}%", y=14, text_anchor="start" if x < 4 else "end" if x > 96 else "middle")
        for x, text in at
    ]
    return tag("svg", *words, class_="labels", aria_hidden="true")


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole; `look` names its colour in the style sheet."""

    name: str
    count: int
    look: str


def stacked(parts: Sequence[Share]) -> Html:
    """A bar cut into parts, and a legend with their counts."""
    total = sum(part.count for part in parts) or 1
    done, bars = 0, []
    for part in parts:
        x, width = 100 * done / total, 100 * part.count / total
        if part.count:
            bars.append(tag("rect", x=f"{x:.3f}%", width=f"{width:.3f}%", height="100%", class_=part.look))
        done += part.count
    words = ", ".join(f"{part.name} {part.count}" for part in parts)
    legend = [
        tag("li", tag("span", class_=f"swatch {p.look}"), f"{p.name} ", tag("b", f"{p.count:,}"))
        for p in parts
        if p.count
    ]
    bar = tag("svg", *bars, class_="stack", role="img", aria_label=words)
    return joined([bar, tag("ul", *legend, class_="legend")])


def bars(rows: Sequence[tuple[Child, float, str, Tone]], about: str) -> Html:
    """Horizontal bars from zero: name, value, number, colour."""
    most = max((value for _, value, _, _ in rows), default=0) or 1
    drawn = []
    for name, value, amount, tone in rows:
        bar = tag("rect", width=f"{100 * value / most:.2f}%", height="100%", rx=2, class_=f"bar {tone}")
        plot = tag("svg", bar, class_="plot", role="img", aria_label=amount)
        drawn.append(tag("div", tag("div", name, class_="name"), plot, tag("div", amount, class_="amount")))
    return tag("div", *drawn, tag("p", about, class_="about"), class_="rows bars")


def columns(rows: Sequence[tuple[str, float]], top: str, about: str) -> Html:
    """Columns side by side, for many values in one order; `top` is the height of the highest in words."""
    most = max((value for _, value in rows), default=0) or 1
    width = 100 / max(1, len(rows))
    drawn, words = [], []
    every = max(1, -(-len(rows) // 8))
    for i, (name, value) in enumerate(rows):
        height = 100 * value / most
        look = {"x": f"{(i + 0.12) * width:.3f}%", "width": f"{0.76 * width:.3f}%"}
        title = tag("title", f"{name}: {value:.3g}")
        drawn.append(tag("rect", title, **look, y=f"{100 - height:.2f}%", height=f"{height:.2f}%", class_="bar"))
        if i % every == 0:
            words.append(((i + 0.5) * width, name))
    plot = tag("svg", *drawn, class_="columns", role="img", aria_label=about)
    frame = tag("div", tag("span", top, class_="peak"), plot, _axis(words), class_="frame")
    return tag("div", frame, tag("p", about, class_="about"), class_="chart")


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through points (x, y), or the points alone; `look` names it in the style sheet."""

    name: str
    points: Sequence[tuple[float, float]]
    look: str
    dots: bool = False


def thinned(points: Sequence[tuple[float, float]], most: int = POINTS) -> list[tuple[float, float]]:
    """Means of neighbours, so that at most `most` points are left."""
    size = max(1, -(-len(points) // most))
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def curves(lines: Sequence[Curve], across: str, form: str = ".3g", *, low: bool = False) -> Html:
    """Lines in one frame, the legend of several above.

    `across` names the horizontal axis, `form` formats the vertical one; `low`: in a low frame that begins at zero.
    """
    known = [point for line in lines for point in line.points]
    wide = _room([x for x, _ in known], 0)
    high = _room([y for _, y in known] + ([0.0] if low else []), 0.06)
    grid = []
    for value in ticks(high):
        y = f"{100 - place(value, high):.2f}"
        grid.append(tag("line", x1=0, x2=100, y1=y, y2=y, class_="grid"))
    drawn = [_path(line, wide, high) for line in lines]
    plot = tag(
        "svg",
        *grid,
        *drawn,
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        class_="curve low" if low else "curve",
        role="img",
        aria_label=f"{', '.join(line.name for line in lines)} by {across}",
    )
    height = [tag("span", f"{v:{form}}", style=f"bottom:{place(v, high):.2f}%") for v in ticks(high)]
    left = tag("div", *height, class_="heights", aria_hidden="true")
    below = _axis([(place(x, wide), f"{x:g}") for x in ticks(wide) if x == int(x)])
    words = [tag("li", tag("span", class_=f"swatch {line.look}"), line.name) for line in lines]
    legend = tag("ul", *words, class_="legend") if len(lines) > 1 else None
    frame = tag("div", left, plot, below, class_="frame with-heights")
    return tag("div", legend, frame, tag("p", across, class_="about"), class_="chart")


def _room(values: Sequence[float], share: float) -> Scale:
    low, high = min(values), max(values)
    if low == high:
        return low - (abs(low) or 1) * 0.5, high + (abs(high) or 1) * 0.5
    return low - share * (high - low), high + share * (high - low)


def _path(line: Curve, wide: Scale, high: Scale) -> Html:
    """A polyline in a stretched frame; dots are strokes of no length, which stay round however it is stretched."""
    at = [f"{place(x, wide):.2f} {100 - place(y, high):.2f}" for x, y in line.points]
    dots = line.dots or len(at) == 1
    d = "".join(f"M{p}h0" for p in at) if dots else "M" + "L".join(at)
    return tag("path", d=d, vector_effect="non-scaling-stroke", class_=f"{line.look} {'dots' if dots else 'line'}")
