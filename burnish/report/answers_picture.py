"""One picture of a run whose metric draws: what was asked and what each arm drew, the verdict and its arms below.

The rows are the first item of each of the most frequent outcomes, with how many items had it: none is chosen by hand.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from burnish.proof.summary import Line
from burnish.report.build import read
from burnish.report.material import Material, material
from burnish.report.numbers import arm_name
from burnish.report.picture import FAINT, FONT, INK, LINE, OTHER, PAPER, PROMPT, TUNED, WIDTH, arms_svg, label
from burnish.report.pictures import PICTURES, outcomes
from burnish.report.schema import Report

MOST_ROWS = 3
LEFT, COLUMN, TOP = 250, 210, 62
CELL, ROW = 160, 216
GREEN, RED = "#1a7f37", "#cf222e"
WORDS = {  # in the order of the rows
    "fixed": "wrong with the best prompt, right after tuning",
    "right": "right in both",
    "wrong": "wrong in both",
    "broken": "right with the best prompt, wrong after tuning",
}
_FRAME = re.compile(r'<rect [^>]*rx="8"[^>]*/>\n')  # of the arms alone
_PLACED = re.compile(r'\s(?:x|y|width|height)="[^"]*"')


@dataclass(frozen=True, slots=True)
class _Row:
    asked: str
    outcome: str
    count: int
    items: int
    answers: Sequence[Line]


def answers_svg(run: Path, report: Report) -> str:
    """The picture of a run; where its metric draws nothing or is no share, the arms alone."""
    below = arms_svg(report)
    if not (run / PICTURES).is_file() or report.task.metric.unit != "share":
        return below
    found = material(read(run), report)
    arms = list(dict.fromkeys(["base", report.task.best_prompt, "tuned"]))
    rows = _rows(found, arms)
    height = TOP + ROW * len(rows)
    chart = int(re.findall(r'height="(\d+)"', below)[0])
    drawn = [part for i, row in enumerate(rows) for part in _row(row, TOP + ROW * i, found.kept.pictures)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + chart}" width="{WIDTH}" '
            f'height="{height + chart}" role="img">',
            f"<title>{escape(report.verdict.sentence)}</title>",
            f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height + chart - 1}" rx="8" fill="{PAPER}" '
            'stroke="#d0d7de"/>',
            f'<g font-family="{FONT}" font-size="14" fill="{INK}">',
            *_heads(arms, report),
            *drawn,
            "</g>",
            f'<line x1="24" y1="{height}" x2="{WIDTH - 24}" y2="{height}" stroke="{LINE}"/>',
            _FRAME.sub("", below.replace("<svg ", f'<svg x="0" y="{height}" ', 1).rstrip(), count=1),
            "</svg>\n",
        ]
    )


def _rows(found: Material, arms: Sequence[str]) -> list[_Row]:
    """The first item of each of the most frequent outcomes."""
    groups = outcomes(found.kept.chosen(found.kept.part), found.kept)
    names = sorted((name for name in groups if groups[name]), key=lambda name: -len(groups[name]))[:MOST_ROWS]
    names.sort(key=list(WORDS).index)
    items = sum(map(len, groups.values()))
    cases = {case.item: case for case in found.cases}
    first = [(name, cases[groups[name][0]]) for name in names]
    return [
        _Row(case.asked.strip(), name, len(groups[name]), items, [case.lines[arm] for arm in arms])
        for name, case in first
    ]


def _heads(arms: Sequence[str], report: Report) -> list[str]:
    names = {"tuned": "fine-tuned", "base": "base model"}
    colours = {report.task.best_prompt: PROMPT, "tuned": TUNED}
    found = [label(24, 36, "asked", weight=600, colour=FAINT)]
    for i, arm in enumerate(arms):
        name = names.get(arm, f"best {arm_name(arm)}")
        found.append(
            label(LEFT + COLUMN * i + COLUMN / 2, 36, name, weight=600, colour=colours.get(arm, OTHER), anchor="middle")
        )
    return found


def _row(row: _Row, y: float, pictures: Mapping[str, str]) -> list[str]:
    found = [f'<line x1="24" y1="{y - 8}" x2="{WIDTH - 24}" y2="{y - 8}" stroke="{LINE}"/>']
    asked = textwrap.wrap(row.asked, 31)[:7]
    found += [label(24, y + 26 + 20 * i, line, size=14.5) for i, line in enumerate(asked)]
    below = y + 26 + 20 * len(asked) + 8
    what = f"{WORDS[row.outcome]}: {row.count} of {row.items}; this is the first"
    found += [label(24, below + 16 * i, t, size=12, colour=FAINT) for i, t in enumerate(textwrap.wrap(what, 36))]
    for i, line in enumerate(row.answers):
        x = LEFT + COLUMN * i + (COLUMN - CELL) / 2
        found += _cell(line, x, y, pictures.get(str(line["answer"])))
    return found


def _cell(line: Line, x: float, y: float, picture: str | None) -> list[str]:
    """What an arm drew, or the first lines of what it wrote, and whether it is right."""
    right = line["score"] == 1
    word = "right" if right else "another part" if picture else "draws no part"
    mark = label(
        x + CELL / 2, y + CELL + 22, f"{'✓' if right else '✗'} {word}", size=13, weight=600,
        colour=GREEN if right else RED, anchor="middle",
    )  # fmt: skip
    if picture:
        opening, rest = picture.split(">", 1)
        place = f'<svg x="{x:.0f}" y="{y:.0f}" width="{CELL}" height="{CELL}"'
        return [_PLACED.sub("", opening).replace("<svg", place, 1) + ">" + rest, mark]
    written = [t[:26] + ("…" if len(t) > 26 else "") for t in str(line["answer"]).strip().splitlines()][:7]
    code = [
        f'<text x="{x - 6:.0f}" y="{y + 26 + 16 * i:.0f}" font-family="ui-monospace, Menlo, Consolas, monospace" '
        f'font-size="11" fill="{FAINT}" xml:space="preserve">{escape(t)}</text>'
        for i, t in enumerate(written)
    ]
    return [*code, mark]
