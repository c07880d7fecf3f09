"""Plots of bench/results/tables/scaling.json as docs/scaling-NAME.svg, and their numbers in a table.

One plot a curve, two panels: tokens a second and the most memory held, both from zero, points evenly spaced in the
order in which they were measured (most double from one to the next).
"""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from bench.tables import kept
from burnish.report.markdown import table
from burnish.report.numbers import duration, memory, ticks

DOCS = Path(__file__).resolve().parent.parent / "docs"
ABOUT = {
    "length": "tokens of a document",
    "micro_batch": "tokens computed at once",
    "rank": "rank of LoRA",
    "threads": "threads",
    "size": "parameters of the model",
    "examples": "records of a file",
}
WIDE, HIGH, LEFT, TOP, BELOW = 300, 170, 52, 26, 40
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.grid{stroke:#ddd}.line{stroke:#0b6e99;fill:none;stroke-width:2}"
    ".dot{fill:#0b6e99}.head{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.line{stroke:#6ec1e4}.dot{fill:#6ec1e4}}"
)


def pages() -> dict[Path, str]:
    """The plots that there are numbers for."""
    curves = (kept("scaling") or {"curves": {}})["curves"]
    return {DOCS / f"scaling-{name}.svg": _plot(name, points) for name, points in curves.items()}


def tables() -> str:
    """Each plot with its numbers."""
    value = kept("scaling")
    if value is None:
        return "Not measured yet: `python -m bench.scaling`.\n"
    lines = [f"torch {value['torch']}, {value['date']}.", ""]
    for name, points in value["curves"].items():
        lines += [f"### By {ABOUT[name]}", "", f"![{ABOUT[name]}](scaling-{name}.svg)", ""]
        if name == "examples":
            rows = [[f"{p['examples']:,}", duration(p["seconds"])] for p in points]
            lines += [*table((ABOUT[name], "`burnish check`"), rows, left=0), ""]
            continue
        rows = [[str(p[name]), f"{p['tokens_per_second']:.0f}", memory(p["peak_bytes"])] for p in points]
        lines += [*table((ABOUT[name], "tokens/s", "memory"), rows, left=0), ""]
    return "\n".join(lines)


def _plot(name: str, points: Sequence[Mapping[str, Any]]) -> str:
    names = [f"{p[name]:,}" if isinstance(p[name], int) else str(p[name]) for p in points]
    if name == "examples":
        panels = [("seconds of burnish check", [float(p["seconds"]) for p in points])]
    else:
        panels = [
            ("tokens a second", [float(p["tokens_per_second"]) for p in points]),
            ("most memory, GB", [float(p["peak_bytes"]) / 1e9 for p in points]),
        ]
    width = len(panels) * (LEFT + WIDE + 12)
    drawn = [_panel(title, names, values, i * (LEFT + WIDE + 12) + LEFT) for i, (title, values) in enumerate(panels)]
    height = TOP + HIGH + BELOW
    label = f'<text x="{width / 2}" y="{height - 4}" text-anchor="middle">{escape(ABOUT[name])}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
        f"<title>{escape(ABOUT[name])}</title><style>{STYLE}</style>{''.join(drawn)}{label}</svg>\n"
    )


def _panel(title: str, names: Sequence[str], values: Sequence[float], left: float) -> str:
    top = 1.08 * max(values)
    at = [(left + WIDE * (i + 0.5) / len(values), TOP + HIGH * (1 - v / top)) for i, v in enumerate(values)]
    parts = [f'<text class="head" x="{left}" y="14">{escape(title)}</text>']
    for value in ticks((0.0, top)):
        y = TOP + HIGH * (1 - value / top)
        parts.append(f'<line class="grid" x1="{left}" x2="{left + WIDE}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    parts.append(f'<path class="line" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in at)}"/>')
    for (x, y), name in zip(at, names, strict=True):
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + HIGH + 16}" text-anchor="middle">{escape(name)}</text>')
    return "".join(parts)
