"""report.html, put together: verdict, contents, sections."""

from burnish.report.material import Material
from burnish.report.numbers import amount, arm_name, counted, duration, ends, is_share, memory, primary, recipe_name
from burnish.report.page.arms import arms
from burnish.report.page.costs import cost
from burnish.report.page.data import data
from burnish.report.page.document import document
from burnish.report.page.items import Pictures, changed, side_by_side
from burnish.report.page.markup import Child, Html, joined, next_step, quoted, tag
from burnish.report.page.origin import prompts, recipe
from burnish.report.page.retention import retention
from burnish.report.page.training import training, weights

BADGES = {
    "fine_tune": ("Fine-tuning helps", "✓"),
    "prompt": ("Prompting is enough", "="),
    "inconclusive": ("Inconclusive", "?"),
    "harmful": ("Fine-tuning did harm", "✗"),
}
CONTENTS = (
    ("arms", "Arms"),
    ("changed", "Item by item"),
    ("training", "Training"),
    ("kept", "What was kept"),
    ("weights", "Weights"),
    ("cost", "Cost"),
    ("samples", "Answers"),
    ("data", "Data"),
    ("prompts", "Prompts"),
    ("recipe", "Run it again"),
)


def page(found: Material) -> Html:
    """The whole file; the same bytes for the same run directory."""
    pictures = Pictures(dict(found.kept.pictures))
    sections = [
        arms(found),
        changed(found, pictures),
        training(found),
        retention(found),
        weights(found),
        cost(found),
        side_by_side(found, pictures),
        data(found),
        prompts(found),
        recipe(found),
    ]
    title = f"{_badge(found)[0]} · {recipe_name(found.report.provenance.recipe)} · burnish"
    return document(title, _top(found), CONTENTS, sections, _end(found))


def _badge(found: Material) -> tuple[str, str]:
    if found.report.task.part == "validation":
        return "No verdict yet", "?"
    return BADGES[found.report.verdict.kind]


def _top(found: Material) -> Html:
    """The verdict, its next command, and the numbers that it rests on."""
    report, where = found.report, found.report.provenance
    kind = "open" if report.task.part == "validation" else report.verdict.kind
    words, sign = _badge(found)
    claim, rest = claimed(report.verdict.sentence)
    base = found.kept.needed("started").get("base", "")
    about = joined([quoted(recipe_name(where.recipe)), *([quoted(base)] if base else []), where.started[:10]], " · ")
    closed = None
    if report.task.part == "validation":
        text = (
            "All numbers on this page are from validation items, by which prompts and checkpoint were chosen. The "
            "held-out items are still closed, so nothing is proved yet."
        )
        closed = tag("p", tag("b", "Held-out items closed. "), text, class_="closed", role="note")
    return tag(
        "header",
        tag("p", "burnish report · ", about, class_="brand"),
        closed,
        tag("p", tag("span", sign, aria_hidden="true"), f" {words}", class_=f"badge {kind}"),
        tag("h1", claim),
        tag("p", rest, class_="rest") if rest else None,
        next_step(report.verdict.next_command),
        _tiles(found),
        class_="top",
    )


def claimed(sentence: str) -> tuple[str, str]:
    """The first sentence of a verdict, and the rest."""
    claim, _, rest = sentence.partition(". ")
    return (f"{claim}.", rest) if rest else (sentence, "")


def _tiles(found: Material) -> Html:
    """Tuned, the best prompt, the base; time and memory."""
    report = found.report
    share = is_share(report.task.metric)
    rows = {row.arm: row for row in primary(report.task)}
    shown = []
    for arm in dict.fromkeys(("tuned", found.best, "base")):
        row = rows[arm]
        name = "best prompt" if arm == found.best != "base" else arm_name(arm)
        look = "tuned" if arm == "tuned" else "prompt" if arm == found.best else "other"
        small = f"{ends(row.low, row.high, share)} · {counted(row, share)}"
        shown.append(_tile(name, amount(row.value, share), small, look))
    total = duration(sum(report.cost.stage_seconds.values()))
    shown.append(_tile("time and memory", total, f"{memory(report.cost.peak_memory_bytes)} at most", "plain"))
    return tag("div", *shown, class_="tiles")


def _tile(name: str, value: str, small: Child, look: str) -> Html:
    return tag("div", tag("span", name), tag("b", value), tag("small", small), class_=f"tile {look}")


def _end(found: Material) -> Html:
    where = found.report.provenance
    text = f"burnish {where.burnish}, seed {where.seed}. Every number is explained in docs/report.md and can be "
    more = "recomputed from samples.jsonl beside this page. Nothing is fetched, run or sent."
    return tag("footer", tag("p", text, more))
