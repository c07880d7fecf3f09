"""Every arm with its interval: over all items, and in each slice."""

from collections.abc import Sequence

from burnish.report.material import Material
from burnish.report.numbers import (
    amount,
    arm_name,
    bounds,
    counted,
    ends,
    is_share,
    p_value,
    primary,
    signed,
    slices,
    span,
    ticks,
)
from burnish.report.page.charts import Interval, Scale, Tone, intervals
from burnish.report.page.markup import Child, Html, folded, joined, numbers, quoted, section, table, tag
from burnish.report.schema import ScoreRow, TaskPart

DRAWN_SLICES, LISTED_SLICES = 12, 60
HEAD = ("arm", "read by", "value", "95 % interval", "n", "tuned −", "95 % interval", "p")


def arms(found: Material) -> Html:
    """The section."""
    task = found.report.task
    share = is_share(task.metric)
    rows = primary(task)
    scale = span([row for row in task.scores if row.metric == task.metric.name], share)
    ladder = intervals([_drawn(row, task) for row in rows], scale, labels(scale, share), _about(found))
    inside: list[Child] = [ladder, numbers(table(HEAD, _numbers(task, "all"), left=2), *_also(task))]
    names = slices(task)
    if names:
        inside += [tag("h3", "By slice"), *_by_slice(found, names, scale)]
    inside.append(_tried(found))
    return section("arms", "Who answered how well", *inside)


def labels(scale: Scale, share: bool) -> list[tuple[float, str]]:
    """Ticks of a scale in words."""
    return [(value, f"{100 * value:.0f} %" if share else f"{value:.4g}") for value in ticks(scale)]


def tone(arm: str, task: TaskPart) -> Tone:
    """How an arm is marked: tuned, the best prompt, the rest."""
    return "tuned" if arm == "tuned" else "prompt" if arm == task.best_prompt else "other"


def _drawn(row: ScoreRow, task: TaskPart) -> Interval:
    name = joined([quoted(arm_name(row.arm)), _best(row.arm, task)])
    return scored(name, row, tone(row.arm, task), is_share(task.metric))


def scored(name: Child, row: ScoreRow, tone: Tone, share: bool) -> Interval:
    """A score as a row of an interval chart."""
    note = f"{ends(row.low, row.high, share)} · {counted(row, share)}"
    return Interval(name, row.value, row.low, row.high, tone, amount(row.value, share), note)


def _best(arm: str, task: TaskPart) -> Html | None:
    return tag("small", "best prompt") if arm == task.best_prompt and task.kind != "text" else None


def _about(found: Material) -> str:
    task = found.report.task
    unit = "share of items that are right" if is_share(task.metric) else f"{task.metric.unit}, {task.metric.better} is"
    unit += "" if is_share(task.metric) else " better"
    return f"{task.metric.name} ({unit}) on {task.items} {found.items}; the lines are 95 % intervals"


def _numbers(task: TaskPart, name: str) -> list[list[Child]]:
    """The rows of one slice with the paired difference to tuned."""
    share = is_share(task.metric)
    differences = {row.b: row for row in task.differences if row.slice == name}
    rows: list[list[Child]] = []
    for row in primary(task, name):
        cells = [amount(row.value, share), ends(row.low, row.high, share), counted(row, share)]
        other = differences.get(row.arm)
        if other is None:
            apart = ["", "", ""]
        else:
            apart = [signed(other.value, share), bounds(other.low, other.high, share), p_value(other.p_value)]
        rows.append([quoted(row.arm), row.scoring or "no model", *cells, *apart])
    return rows


def _also(task: TaskPart) -> list[Html]:
    """Metrics that are shown and decide nothing, and what the columns mean."""
    found = []
    for metric in task.also:
        rows = [
            [quoted(r.arm), amount(r.value, False), ends(r.low, r.high, False), f"{r.count}"]
            for r in task.scores
            if r.metric == metric and r.slice == "all"
        ]
        if rows:
            found += [
                tag("h4", "Also measured: ", quoted(metric)),
                table(("arm", "value", "95 % interval", "n"), rows),
            ]
    text = (
        "tuned − is the tuned model minus this arm on the same items, positive where tuned is better"
        + (", in points of percent" if is_share(task.metric) else "")
        + "; judge by its interval, not by whether two single intervals overlap."
    )
    return [tag("p", text, class_="about"), *found]


def _by_slice(found: Material, names: Sequence[str], scale: Scale) -> list[Html]:
    task = found.report.task
    share = is_share(task.metric)
    wanted = list(dict.fromkeys((task.best_prompt, "tuned")))
    drawn = []
    for name in names[:DRAWN_SLICES]:
        rows = [row for row in primary(task, name) if row.arm in wanted]
        drawn.append(tag("h4", quoted(name), tag("small", f"{rows[0].count} items")))
        last = name == names[:DRAWN_SLICES][-1]
        about = "slices are small: of many, one will look good by chance" if last else ""
        drawn.append(intervals([_drawn(row, task) for row in rows], scale, labels(scale, share) if last else (), about))
    if len(names) > DRAWN_SLICES:
        drawn.append(tag("p", f"{DRAWN_SLICES} of {len(names)} slices are drawn.", class_="about"))
    listed = []
    for name in names[:LISTED_SLICES]:
        listed += [tag("h4", quoted(name)), table(HEAD, _numbers(task, name), left=2)]
    if len(names) > LISTED_SLICES:
        listed.append(tag("p", f"{LISTED_SLICES} of {len(names)} slices; all stand in report.json.", class_="about"))
    return [*drawn, numbers(*listed, title="The numbers, every arm in every slice")]


def _tried(found: Material) -> Html | None:
    """What the choice of the best prompt rests on."""
    tried = found.kept.choice.tried
    if not tried:
        return None
    share = is_share(found.report.task.metric)
    rows = [
        [quoted(t.arm), t.scoring or "no model", amount(t.value, share), f"{t.count}", f"{t.prompt_tokens:.0f}"]
        for t in tried
    ]
    head = ("arm", "read by", "value", "validation items", "prompt tokens")
    about = "Prompts and ways of reading an answer were chosen by these numbers, before any held-out item was opened."
    inside = (tag("p", about, class_="about"), table(head, rows, left=2))
    return folded("How the best prompt was chosen", *inside)
