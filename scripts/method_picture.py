"""docs/methods.svg: every method's held-out score on each data set, a dot a training seed, from the table's numbers."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.tables import kept
from burnish.proof.statistics import Interval, wilson
from burnish.report.numbers import ticks
from burnish.report.picture import FAINT, FONT, INK, LINE, PAPER, TUNED, label

DOCS = Path(__file__).resolve().parent.parent / "docs"
PANELS = {"trec6": "TREC questions, 1,000 trained on", "cad": "CAD requests, 400 trained on"}
NOTE = "A dot a seed, hollow at the default rate where another was chosen. Lines: 95 % of the first."
NAMES, WIDE, GAP, TOP, ROW, BELOW = 104, 330, 40, 64, 30, 66


def pages() -> dict[Path, str]:
    """The picture, where there are numbers for it."""
    rows = [row for row in (kept("methods") or {"methods": []})["methods"] if row["trec6"]]
    return {DOCS / "methods.svg": _svg(rows)} if rows else {}


def _svg(rows: Sequence[Mapping[str, Any]]) -> str:
    panels = [stage for stage in PANELS if any(row[stage] for row in rows)]
    bottom = TOP + ROW * len(rows)
    width = NAMES + len(panels) * (WIDE + GAP)
    note = textwrap.wrap(NOTE, (width - NAMES) // 7)
    height = bottom + BELOW + 18 * (len(note) - 1)
    drawn = [label(NAMES - 14, _middle(i) + 5, row["method"], anchor="end") for i, row in enumerate(rows)]
    for place, stage in enumerate(panels):
        drawn += _panel(rows, stage, NAMES + place * (WIDE + GAP), bottom)
    title = "Right of the held-out items, by method"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="title">',
        f'<title id="title">{title}</title>',
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" fill="{PAPER}" stroke="#d0d7de"/>',
        f'<g font-family="{FONT}" font-size="14" fill="{INK}">',
        label(NAMES, 26, title, size=16, weight=600),
        *drawn,
        *(label(NAMES, bottom + 50 + 18 * i, line, size=12.5, colour=FAINT) for i, line in enumerate(note)),
        "</g></svg>",
    ]) + "\n"  # fmt: skip


def _middle(row: int) -> float:
    return TOP + ROW * (row + 0.5)


def _panel(rows: Sequence[Mapping[str, Any]], stage: str, left: float, bottom: float) -> list[str]:
    cells = [(list(row[stage]), _automatic(row, stage)) for row in rows]
    bounds = [_bound((chosen + automatic)[0]) for chosen, automatic in cells if chosen or automatic]
    values = [cell["value"] for chosen, automatic in cells for cell in chosen + automatic]
    low, high = min([*values, *(b.low for b in bounds)]), max([*values, *(b.high for b in bounds)])
    scale = (max(0.0, low - 0.03), min(1.0, high + 0.03))

    def x(value: float) -> float:
        return float(left + WIDE * (value - scale[0]) / (scale[1] - scale[0]))

    parts = [label(left, 50, PANELS[stage], size=13, weight=600)]
    for value in ticks(scale):
        parts.append(f'<line x1="{x(value):.1f}" y1="{TOP}" x2="{x(value):.1f}" y2="{bottom}" stroke="{LINE}"/>')
        parts.append(label(x(value), bottom + 18, f"{100 * value:.0f} %", size=12, colour=FAINT, anchor="middle"))
    for i, (chosen, automatic) in enumerate(cells):
        if not chosen and not automatic:
            continue
        bound, y = _bound((chosen + automatic)[0]), _middle(i)
        parts.append(
            f'<line x1="{x(bound.low):.1f}" y1="{y:.1f}" x2="{x(bound.high):.1f}" y2="{y:.1f}" stroke="{TUNED}" '
            'stroke-opacity="0.35" stroke-width="5" stroke-linecap="round"/>'
        )
        parts += [_dot(x(cell["value"]), y, hollow=False) for cell in chosen]
        parts += [_dot(x(cell["value"]), y, hollow=True) for cell in automatic]
    return parts


def _automatic(row: Mapping[str, Any], stage: str) -> list[Mapping[str, Any]]:
    """The cells at the default rate, where another was chosen."""
    return list((row.get("automatic") or {}).get(stage, []))


def _bound(cell: Mapping[str, Any]) -> Interval:
    return wilson(round(cell["value"] * cell["count"]), cell["count"])


def _dot(x: float, y: float, *, hollow: bool) -> str:
    fill, edge, width = ("none", TUNED, 2) if hollow else (TUNED, PAPER, 1)
    look = f'r="4.5" fill="{fill}" fill-opacity="0.8" stroke="{edge}" stroke-width="{width}"'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" {look}/>'
