"""comparison.html: several methods on the same items, each two of them by their paired interval, and what each cost."""

from pathlib import Path

from burnish.report.comparison import HEAD, PAIRS, Comparison, PairRow, ahead_of, method_cells, next_of, pair_cells
from burnish.report.numbers import (
    arm_name,
    bounds,
    duration,
    is_share,
    memory,
    signed,
    span,
    ticks,
)
from burnish.report.page.arms import labels, scored
from burnish.report.page.charts import Interval, Scale, Tone, bars, intervals
from burnish.report.page.document import document
from burnish.report.page.markup import Child, Html, folded, joined, next_step, numbers, quoted, section, table, tag
from burnish.report.page.page import claimed

CONTENTS = (("methods", "Methods"), ("pairs", "Each two"), ("cost", "Cost"), ("reports", "Reports"))


def comparison_page(found: Comparison, path: Path) -> Html:
    """The whole file; the same bytes for the same runs. `path`: the directory, as the next command names it."""
    sections = [_methods(found), _pairs(found), _costs(found), _reports(found)]
    end = tag(
        "footer", tag("p", "Every number stands in comparison.json beside this page. Nothing is fetched or sent.")
    )
    return document("Methods side by side · burnish", _top(found, path), CONTENTS, sections, end)


def _top(found: Comparison, path: Path) -> Html:
    best = ahead_of(found.methods, found.pairs)
    claim, rest = claimed(found.sentence)
    step, why = next_of(found, Path(path.name), "burnish")
    sign, words, kind = ("✓", f"{best} is ahead", "fine_tune") if best else ("?", "No method is ahead", "inconclusive")
    return tag(
        "header",
        tag("p", "burnish · methods side by side", class_="brand"),
        tag("p", tag("span", sign, aria_hidden="true"), f" {words}", class_=f"badge {kind}"),
        tag("h1", claim),
        tag("p", rest, class_="rest") if rest else None,
        next_step(step),
        tag("p", f"{why[:1].upper()}{why[1:]}.", class_="about") if why else None,
        class_="top",
    )


def _methods(found: Comparison) -> Html:
    share = is_share(found.metric)
    rows = [found.best_prompt, *(method.score for method in found.methods)]
    scale = span(rows, share)
    prompt = joined([quoted(arm_name(found.best_prompt.arm)), tag("small", "best prompt")])
    drawn = [scored(prompt, found.best_prompt, "prompt" if found.best_prompt.arm != "base" else "other", share)]
    drawn += [scored(quoted(method.name), method.score, "tuned", share) for method in found.methods]
    about = f"{found.metric.name} on {found.best_prompt.count} items, {found.metric.better} is better; the lines are "
    more = "95 % intervals of each arm by itself: whether two methods differ is said below"
    listed = table(HEAD, [[quoted(cell) for cell in row] for row in method_cells(found)], left=1)
    return section(
        "methods", "Each method", intervals(drawn, scale, labels(scale, share), about + more), numbers(listed)
    )


def _pairs(found: Comparison) -> Html:
    share = is_share(found.metric)
    scale = _around_zero(found)
    marks = [(value, f"{100 * value:+.0f}" if share else f"{value:+.3g}") for value in ticks(scale)]
    drawn = [_difference(pair, share) for pair in found.pairs]
    unit = "points" if share else found.metric.unit
    about = f"a − b in {unit}, on the same items; an interval that leaves out zero shows a difference"
    listed = table(PAIRS, [[quoted(cell) for cell in row] for row in pair_cells(found)], left=1)
    return section("pairs", "Each two of them", intervals(drawn, scale, marks, about), numbers(listed))


def _difference(pair: PairRow, share: bool) -> Interval:
    name = joined([quoted(pair.a), " − ", quoted(pair.b)])
    note = bounds(pair.low, pair.high, share)
    tone: Tone = "other" if pair.shown == "none" else "tuned"
    return Interval(name, pair.value, pair.low, pair.high, tone, signed(pair.value, share), note)


def _around_zero(found: Comparison) -> Scale:
    known = [x for pair in found.pairs for x in (pair.value, pair.low, pair.high) if x is not None]
    most = max([abs(x) for x in known] or [0.0]) or 1.0
    return -1.05 * most, 1.05 * most


def _costs(found: Comparison) -> Html:
    costs = [(quoted(method.name), method.cost) for method in found.methods]
    charts: tuple[tuple[str, list[tuple[Child, float, str]], str], ...] = (
        ("Training", [(n, c.train_seconds, duration(c.train_seconds)) for n, c in costs], "time of all updates"),
        (
            "Trained parameters",
            [(n, float(c.trainable_parameters), f"{c.trainable_parameters:,}") for n, c in costs],
            f"of {found.methods[0].cost.total_parameters:,}",
        ),
        ("On disk", [(n, float(c.artifact_bytes), memory(c.artifact_bytes)) for n, c in costs], "what a run leaves"),
    )
    drawn: list[Child] = []
    for title, rows, about in charts:
        drawn += [tag("h3", title), bars([(n, value, text, "tuned") for n, value, text in rows], about)]
    return section("cost", "What each cost", *drawn)


def _reports(found: Comparison) -> Html:
    links = [tag("li", tag("a", quoted(m.name), href=f"{m.name}/report.html")) for m in found.methods]
    kept = [[quoted(m.name), (m.kept or "not measured").replace("_", " ")] for m in found.methods]
    about = folded("What became of general answers", table(("method", "general answers"), kept, left=2), opened=True)
    return section("reports", "Each method's own report", tag("ul", *links), about)
