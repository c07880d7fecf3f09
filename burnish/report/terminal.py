"""A report on a terminal: the closing lines of a run, and the table of `burnish report`."""

import re
import textwrap
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from burnish.report.numbers import (
    amount,
    bounds,
    counted,
    duration,
    ends,
    is_share,
    memory,
    moved,
    p_value,
    primary,
    signed,
    slices,
    span,
)
from burnish.report.schema import DifferenceRow, Report, ScoreRow, TaskPart

MOST_LINES = 15
CELLS = 24  # of a bar


def closing_lines(report: Report, *, command: str, run: Path, width: int = 80) -> list[str]:
    """At most 15 lines of at most about `width` columns: verdict, arms, slices, cost, and what to type next."""
    lines = [
        *_ladder(report.task),
        *_by_slice(report.task, max(width, 80)),
        *_kept(report),
        _moved(report),
        _cost(report),
    ]
    lines += [
        f"report  {run / 'report.html'}",
        f"next    {_typed(report.verdict.next_command, command)}",
        f"yours   {command} init YOUR.csv",
    ]
    if " chat " not in f" {report.verdict.next_command} ":
        lines[-1] = f"yours   {command} init YOUR.csv   (talk to it: {command} chat {run})"
    return _sentence(report, MOST_LINES - len(lines), min(max(width, 80), 100)) + lines


def _sentence(report: Report, most: int, width: int) -> list[str]:
    """The verdict's sentence; what `most` lines do not hold is left to report.html: last sentences, then numbers."""
    whole = report.verdict.sentence
    first = whole.partition(". ")[0].removesuffix(".")
    numbers = re.compile(r" \([^()]*\)$")  # behind the last words; the lines below tell them too
    shorter = [f"{whole.rsplit('. ', n)[0]}. (More in report.html.)" for n in range(1, whole.count(". ") + 1)]
    shorter += [f"{numbers.sub('', first)}. (More in report.html.)", f"{numbers.sub('', first)}."]
    for text in (whole, *shorter):
        for columns in (width, width + 8):  # the last lines below are as wide
            lines = textwrap.wrap(text, columns)
            if len(lines) <= most:
                return lines
    return [*lines[: most - 1], textwrap.shorten(" ".join(lines[most - 1 :]), width, placeholder=" …")]


def _ladder(task: TaskPart) -> list[str]:
    """One line for each arm: name, bar, value, interval, count."""
    rows, share = primary(task), is_share(task.metric)
    scale = span(rows, share)
    names = max(len(_named(row, task)) for row in rows)
    shown = [(amount(row.value, share), ends(row.low, row.high, share), counted(row, share)) for row in rows]
    widths = [max(len(cells[i]) for cells in shown) for i in range(3)]
    return [
        f"{_named(row, task):{names}}  {bar(row, scale, share)}  {cells[0]:>{widths[0]}}  "
        f"[{cells[1]:>{widths[1]}}]  {cells[2]:>{widths[2]}}"
        for row, cells in zip(rows, shown, strict=True)
    ]


def _named(row: ScoreRow, task: TaskPart) -> str:
    return f"{row.arm} *" if row.arm == task.best_prompt else row.arm


def bar(row: ScoreRow, scale: tuple[float, float], share: bool, cells: int = CELLS) -> str:
    """A bar up to the value for shares, a dot for the rest; the 95 % interval is drawn in a lighter block around."""
    low, high = (scale[i] if end is None else end for i, end in enumerate((row.low, row.high)))
    first, at, last = (_cell(x, scale, cells) for x in (low, row.value, high))
    if share:
        filled = round(row.value * cells)
        sure = min(filled, round(low * cells))
        possible = max(filled, round(high * cells))
        return "█" * sure + "▓" * (filled - sure) + "░" * (possible - filled) + "·" * (cells - possible)
    return "".join("●" if i == at else "─" if first <= i <= last else "·" for i in range(cells))


def _cell(x: float, scale: tuple[float, float], cells: int) -> int:
    return min(cells - 1, max(0, int((x - scale[0]) / (scale[1] - scale[0]) * cells)))


def _by_slice(task: TaskPart, width: int) -> list[str]:
    """The tuned model in each slice, the best prompt beside it, in at most two lines."""
    share = is_share(task.metric)
    parts = []
    for name in slices(task):
        rows = {row.arm: row for row in primary(task, name)}
        tuned, prompt = rows.get("tuned"), rows.get(task.best_prompt)
        if tuned is not None and prompt is not None:
            parts.append(f"{name} {_short(tuned, share)} against {_short(prompt, share)}")
    if not parts:
        return []
    lines = textwrap.wrap("; ".join(parts), width - 8)
    if len(lines) > 2:
        lines = [f"{len(parts)} slices, with intervals in report.html"]
    return ["slices  " + line if i == 0 else " " * 8 + line for i, line in enumerate(lines)]


def _short(row: ScoreRow, share: bool) -> str:
    return counted(row, True) if share else amount(row.value, False)


def _kept(report: Report) -> list[str]:
    """What was kept, base→tuned, in a line; none where it was not measured."""
    if report.retention is None:
        return []
    probes = {probe.name: probe for probe in report.retention.probes}

    def counts(name: str) -> str:
        probe = probes[name]
        return f"{round(probe.base * probe.count)}→{round(probe.tuned * probe.count)}/{probe.count}"

    spill = f"spill-over {counts('spill_over')}" if "spill_over" in probes else "spill-over not told"
    word = report.retention.kept.replace("_", " ")
    return [f"kept    {word}: knowledge {counts('knowledge')}, requests {counts('requests')}, {spill}"]


def _moved(report: Report) -> str:
    data = report.data
    opened = f"held-out items opened {data.held_out_opened} times" if data.held_out_opened > 1 else ""
    said = "of the base unchanged" if report.weights is None else moved(report.weights)
    return f"weights {said}" + (f"; {opened}" if opened else "")


def _cost(report: Report) -> str:
    cost = report.cost
    total, training = duration(sum(cost.stage_seconds.values())), duration(cost.train_seconds)
    sizes = f"{memory(cost.peak_memory_bytes)} of memory, {memory(cost.artifact_bytes)} on disk"
    others = "; base and prompts taken over" if cost.reused_arms else ""
    return f"cost    {total} (training {training}{others}), {sizes}"


def _typed(text: str, command: str) -> str:
    return command + text.removeprefix("burnish") if text.startswith("burnish ") else text


def table(report: Report) -> Table:
    """Every arm, metric and slice, with the paired difference to tuned; 80 columns are enough."""
    task, share = report.task, is_share(report.task.metric)
    title = f"{task.metric.name} ({'share in %' if share else task.metric.unit}, {task.metric.better} is better)"
    title += " on validation items" if task.part == "validation" else ""
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, show_edge=False, padding=0)
    for name in ("arm", "scoring"):
        shown.add_column(name)
    for name in ("value", "95 %", "n", "tuned -", "95 %", "p"):
        shown.add_column(name, justify="right", no_wrap=True)
    differences = {(row.b, row.slice): row for row in task.differences}
    for name in ("all", *slices(task)):
        if name != "all":
            shown.add_row(f"{name}:")
        for row in primary(task, name):
            shown.add_row(_named(row, task), *_cells(row, share), *_difference(differences.get((row.arm, name)), share))
        shown.add_section()
    for metric in task.also:
        shown.add_row(f"{metric}:")
        for row in task.scores:
            if row.metric == metric and row.slice == "all":
                shown.add_row(row.arm, *_cells(row, False))
        shown.add_section()
    shown.caption = "* best prompt, chosen on validation items\n"
    shown.caption += "tuned - : tuned minus this arm, same items; positive where tuned is better"
    shown.caption_justify = "left"
    return shown


def _cells(row: ScoreRow, share: bool) -> tuple[str, str, str, str]:
    value = f"{100 * row.value:.1f}" if share else amount(row.value, False)
    return row.scoring or "", value, ends(row.low, row.high, share, ""), counted(row, share)


def _difference(row: DifferenceRow | None, share: bool) -> tuple[str, str, str]:
    if row is None:
        return "", "", ""
    return signed(row.value, share), bounds(row.low, row.high, share), p_value(row.p_value)
