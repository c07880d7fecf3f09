"""Items one by one: what training changed for each, and answers side by side."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from burnish.report.material import Case, Material, Outcome
from burnish.report.numbers import arm_name
from burnish.report.page.charts import Share, stacked
from burnish.report.page.markup import Child, Html, folded, numbers, passage, quoted, section, table, tag

EXAMPLES = 8  # of each outcome
SAMPLES = 60  # side by side
PICTURE_BYTES = 6_000_000  # of all pictures on the page

WORDS: dict[Outcome, tuple[str, str]] = {
    "fixed": ("fixed", "the best prompt had them wrong, tuned has them right"),
    "broken": ("broken", "the best prompt had them right, tuned has them wrong"),
    "right": ("both right", "nothing changed"),
    "wrong": ("both wrong", "nothing changed"),
    "better": ("better", "tuned scores better than the best prompt"),
    "worse": ("worse", "tuned scores worse than the best prompt"),
    "same": ("same", "both score the same"),
}
LOOKS: dict[Outcome, str] = {"better": "fixed", "worse": "broken", "same": "right"}


@dataclass(slots=True)
class Pictures:
    """Pictures of answers, as far as the page has room for them; an image runs no script and fetches nothing."""

    drawn: dict[str, str]
    left: int = PICTURE_BYTES
    missing: int = 0

    def of(self, answer: str | None) -> Html | None:
        """The picture of an answer, if there is one."""
        svg = None if answer is None else self.drawn.get(answer)
        if svg is None:
            return None
        data = base64.b64encode(svg.encode("utf-8", "replace")).decode("ascii")
        if len(data) > self.left:
            self.missing += 1
            return tag("p", "its picture is left out: the page is full", class_="faint")
        self.left -= len(data)
        return tag("img", src=f"data:image/svg+xml;base64,{data}", alt="picture of this answer", class_="picture")


def changed(found: Material, pictures: Pictures) -> Html:
    """Fixed, broken and same between tuned and the best prompt, with the items behind each."""
    groups = found.outcomes()
    parts = [Share(WORDS[o][0], len(cases), LOOKS.get(o, o)) for o, cases in groups.items()]
    rival = "the base model" if found.best == "base" else f"the best prompt ({found.best})"
    rows = [[WORDS[o][0], f"{len(cases)}", f"{len(cases) / len(found.cases):.1%}"] for o, cases in groups.items()]
    inside: list[Child] = [
        tag("p", f"Each of the {len(found.cases)} {found.items}, answered by {rival} and by the tuned model."),
        stacked(parts),
        numbers(table(("outcome", "items", "share"), rows)),
    ]
    for outcome, cases in groups.items():
        if cases:
            inside.append(_examples(found, outcome, cases, pictures))
    return section("changed", "What training changed, item by item", *inside)


def _examples(found: Material, outcome: Outcome, cases: Sequence[Case], pictures: Pictures) -> Html:
    name, meaning = WORDS[outcome]
    of = f"; {EXAMPLES} are shown" if len(cases) > EXAMPLES else ""
    arms = list(dict.fromkeys((found.best, "tuned")))
    cards = [card(found, case, arms, pictures) for case in cases[:EXAMPLES]]
    look = LOOKS.get(outcome, outcome)
    title = tag("span", tag("span", class_=f"swatch {look}"), tag("b", f"{name}: {len(cases)}"), f" {meaning}{of}")
    return folded(title, *cards, class_="examples")


def side_by_side(found: Material, pictures: Pictures) -> Html:
    """Expected, base, best prompt and tuned for each item, the worst of tuned first."""
    cases = found.worst_first()
    arms = list(dict.fromkeys(("base", found.best, "tuned")))
    shown = cases[:SAMPLES]
    order = "wrong answers of the tuned model first" if found.right_or_wrong else "the worst of the tuned model first"
    count = f"All {len(cases)}" if len(shown) == len(cases) else f"{len(shown)} of {len(cases)}"
    directory = found.kept.needed("started")["run"]
    intro: list[Child] = [
        tag("p", f"{count} {found.items}, {order}. Every one stands in samples.jsonl, and is printed by"),
        tag("pre", f"burnish samples {directory} --arm tuned", class_="command"),
    ]
    if found.beginning.strip():
        intro.append(folded("Each request begins alike; that is left out below", passage(found.beginning)))
    cards = [card(found, case, arms, pictures, number=i) for i, case in enumerate(shown, 1)]
    if pictures.missing:
        intro.append(tag("p", f"{pictures.missing} pictures are left out, to keep the page small.", class_="faint"))
    first, rest = cards[:12], cards[12:]
    more = [folded(f"{len(rest)} more", *rest, class_="more-samples")] if rest else []
    return section("samples", "Answers side by side, worst first", *intro, *first, *more)


def card(found: Material, case: Case, arms: Sequence[str], pictures: Pictures, number: int | None = None) -> Html:
    """One item: what was asked, what was expected, what each arm answered; a raw document with each arm's loss."""
    head = [
        tag("span", f"{number}", class_="count") if number else None,
        quoted(case.item),
        tag("span", quoted(case.slice), class_="slice") if case.slice is not None else None,
    ]
    if found.report.task.kind == "text":
        asked = case.expected
        cells = [_cell(arm_name(arm), None, _mark(found, case, arm)) for arm in arms]
    else:
        asked = case.asked
        cells = [_cell("expected", passage(case.expected), None, pictures.of(case.expected))]
        for arm in arms:
            answer = case.answer(arm)
            name = "best prompt" if arm == found.best != "base" else arm_name(arm)
            cells.append(_cell(name, passage(answer), _mark(found, case, arm), pictures.of(answer)))
    top = tag("div", passage(asked), class_="asked")
    return tag("article", tag("header", *head), top, tag("div", *cells, class_="answers"), class_="item")


def _cell(name: str, body: Html | None, mark: Html | None = None, picture: Html | None = None) -> Html:
    return tag("div", tag("h4", quoted(name), mark), picture, body)


def right_or_wrong(right: bool) -> Html:
    """A sign and a word, so that the colour is not needed."""
    return tag("span", "✓ right" if right else "✗ wrong", class_="yes" if right else "no")


def _mark(found: Material, case: Case, arm: str) -> Html | None:
    """Right or wrong, or the score."""
    score = case.score(arm)
    if score is None:
        return None
    if found.right_or_wrong:
        return right_or_wrong(bool(score))
    return tag("span", f"{score:.3f} {found.report.task.metric.unit}", class_="score")
