"""One picture of a report: every arm's number with its 95 % interval, as a self-contained SVG.

Colours are Okabe and Ito's, which colour-blind people tell apart; the picture brings its own light background, so that
it reads the same on a dark page; text is text.
"""

import textwrap
from dataclasses import dataclass
from xml.sax.saxutils import escape

from burnish.report.numbers import amount, arm_name, counted, is_share, primary, recipe_name, slices, span, ticks
from burnish.report.schema import Report, ScoreRow, TaskPart

WIDTH = 900
LEFT, RIGHT = 268, 690  # the plot; names stand left of it, numbers right
ROW, SMALL = 40, 30
TUNED, PROMPT, OTHER = "#0072B2", "#C24E00", "#646b75"
INK, FAINT, LINE, PAPER = "#1f2328", "#59636e", "#e3e7eb", "#ffffff"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
MOST_SLICES = 8


@dataclass(frozen=True, slots=True)
class _Row:
    score: ScoreRow
    name: str
    colour: str
    small: bool = False


def arms_svg(report: Report) -> str:
    """The picture: title, a row for each arm, a row for tuned and for the best prompt in each slice."""
    task = report.task
    share = is_share(task.metric)
    groups = [("", _arms(task))] + [(name, _slice(task, name)) for name in slices(task)[:MOST_SLICES]]
    scale = span([row.score for _, rows in groups for row in rows], share)
    claim, _, rest = report.verdict.sentence.partition("). ")
    title, more = textwrap.wrap(f"{claim})." if rest else claim, 72), textwrap.wrap(rest, 104)
    top = 32 + 25 * len(title) + 20 * len(more)
    drawn, y = [], top + 30
    for name, rows in filter(_has_rows, groups):
        if name:
            drawn.append(label(24, y + 18, f"{name} ({rows[0].score.count} items)", size=13, weight=600))
            y += 32
        for row in rows:
            drawn += _dot(row, y, scale, share)
            y += SMALL if row.small else ROW
        y += 8
    bottom = y - 8
    notes = textwrap.wrap(_note(report), 116, break_on_hyphens=False)
    height = bottom + 58 + 18 * len(notes)
    parts = [
        _head(height, report),
        *(label(24, 42 + 25 * i, line, size=18, weight=600) for i, line in enumerate(title)),
        *(label(24, 42 + 25 * len(title) + 20 * i, line, colour=FAINT) for i, line in enumerate(more)),
        *_axis(scale, share, top + 16, bottom, task),
        *drawn,
        *(label(24, bottom + 62 + 18 * i, line, size=12.5, colour=FAINT) for i, line in enumerate(notes)),
        "</g></svg>",
    ]
    return "\n".join(parts) + "\n"


def _has_rows(group: tuple[str, list[_Row]]) -> bool:
    return bool(group[1])


def _arms(task: TaskPart) -> list[_Row]:
    return [_Row(row, arm_name(row.arm), _colour(row.arm, task)) for row in primary(task)]


def _slice(task: TaskPart, name: str) -> list[_Row]:
    wanted = (task.best_prompt, "tuned")
    rows = [row for row in primary(task, name) if row.arm in wanted]
    return [_Row(row, arm_name(row.arm), _colour(row.arm, task), small=True) for row in rows]


def _colour(arm: str, task: TaskPart) -> str:
    return TUNED if arm == "tuned" else PROMPT if arm == task.best_prompt else OTHER


def _head(height: int, report: Report) -> str:
    about = "; ".join(f"{row.arm} {row.value:.3g}" for row in primary(report.task))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title about">\n'
        f'<title id="title">{escape(report.verdict.sentence)}</title>\n'
        f'<desc id="about">{escape(report.task.metric.name)} of each arm: {escape(about)}</desc>\n'
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8" fill="{PAPER}" stroke="#d0d7de"/>\n'
        f'<g font-family="{FONT}" font-size="14" fill="{INK}">'
    )


def label(
    x: float, y: float, text: str, *, size: float = 14, weight: int = 400, colour: str = INK, anchor: str = "start"
) -> str:
    """One line of text."""
    look = f'font-size="{size:g}" font-weight="{weight}" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(text)}</text>'


def _x(value: float, scale: tuple[float, float]) -> float:
    place = (value - scale[0]) / (scale[1] - scale[0])
    return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, place))


def _dot(row: _Row, y: float, scale: tuple[float, float], share: bool) -> list[str]:
    """Name, interval line, dot and numbers of one row whose top is `y`."""
    score, middle = row.score, y + (SMALL if row.small else ROW) / 2 - 5
    low = scale[0] if score.low is None else score.low
    high = scale[1] if score.high is None else score.high
    thick, radius, size = (4, 5, 13) if row.small else (6, 8, 14.5)
    strong = 400 if row.colour == OTHER or row.small else 600
    return [
        label(LEFT - 16, middle + 5, row.name, size=size, weight=strong, colour=row.colour, anchor="end"),
        f'<line x1="{_x(low, scale):.1f}" y1="{middle:.1f}" x2="{_x(high, scale):.1f}" y2="{middle:.1f}" '
        f'stroke="{row.colour}" stroke-opacity="0.4" stroke-width="{thick}" stroke-linecap="round"/>',
        f'<circle cx="{_x(score.value, scale):.1f}" cy="{middle:.1f}" r="{radius}" fill="{row.colour}" '
        f'stroke="{PAPER}" stroke-width="1.5"/>',
        label(RIGHT + 82, middle + 5, amount(score.value, share), size=size, weight=600, anchor="end"),
        label(RIGHT + 98, middle + 5, counted(score, share), size=size, colour=FAINT),
    ]


def _axis(scale: tuple[float, float], share: bool, top: float, bottom: float, task: TaskPart) -> list[str]:
    found = []
    for value in ticks(scale):
        x = _x(value, scale)
        found.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" stroke="{LINE}"/>')
        said = f"{100 * value:.0f} %" if share else f"{value:.4g}"
        found.append(label(x, bottom + 18, said, size=12, colour=FAINT, anchor="middle"))
    meaning = "share of items that are right" if share else f"{task.metric.unit}, {task.metric.better} is better"
    found.append(label((LEFT + RIGHT) / 2, bottom + 36, meaning, size=12.5, colour=FAINT, anchor="middle"))
    return found


def _note(report: Report) -> str:
    task, where = report.task, report.provenance
    text = f"Dots: {task.metric.name} on {task.items} held-out items; lines: 95 % intervals. "
    if task.best_prompt == "base":
        text += "Orange: the base model" + (". " if task.kind == "text" else ", the best prompt on validation items. ")
    else:
        text += "Orange: the best prompt, chosen on validation items. "
    return text + f"Recipe {recipe_name(where.recipe)}, seed {where.seed}, burnish {where.burnish}."
