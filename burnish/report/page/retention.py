"""Whether the model kept what it knew before."""

from burnish.proof.summary import Line
from burnish.report.material import Material
from burnish.report.numbers import amount, bounds, signed
from burnish.report.page.items import right_or_wrong
from burnish.report.page.markup import Child, Html, next_step, passage, quoted, section, table, tag
from burnish.report.schema import Probe

QUESTIONS, REQUESTS = 2, 5  # shown of those kept and lost; side by side
WORDS = {"kept": "Kept", "lost": "Lost", "not_shown": "Not shown"}
Pair = tuple[Line, Line]  # the lines of base and tuned for one item


def retention(found: Material) -> Html:
    """The probes with their differences, and the questions and answers behind them."""
    part = found.report.retention
    if part is None:
        return section("kept", "What was kept", tag("p", "This run did not measure what the model knew before."))
    head = ("probe", "base", "tuned", "tuned − base", "95 % interval", "n")
    inside: list[Child] = [
        tag("p", tag("b", WORDS[part.kept], class_=f"badge {part.kept}"), " ", part.sentence),
        None if part.next_command is None else next_step(part.next_command),
        table(head, [_probe(probe) for probe in part.probes]),
        tag("p", "Differences are turned so that positive means that tuned is better.", class_="about"),
    ]
    inside += [*_questions(found.probed("knowledge")), *_requests(found.probed("requests"))]
    return section("kept", "What was kept", *inside)


def _probe(probe: Probe) -> list[Child]:
    share = probe.unit == "share"
    name = tag("span", quoted(probe.name), tag("small", f"{probe.unit}, {probe.better} is better"))
    values = [amount(probe.base, share), amount(probe.tuned, share), signed(probe.difference, share)]
    return [name, *values, bounds(probe.low, probe.high, share), f"{probe.count}"]


def _questions(pairs: list[Pair]) -> list[Html]:
    """Questions that the base had right: some that tuned lost, some that it kept."""
    right = [pair for pair in pairs if pair[0]["score"] == 1]
    groups = [
        ("lost: right before, wrong now", [pair for pair in right if pair[1]["score"] == 0]),
        ("kept: right before and now", [pair for pair in right if pair[1]["score"] == 1]),
    ]
    found = []
    for title, members in groups:
        if members:
            title = f"{title} ({min(QUESTIONS, len(members))} of {len(members)})"
            found += [tag("h3", f"Questions {title}"), *map(_pair, members[:QUESTIONS])]
    return found


def _requests(pairs: list[Pair]) -> list[Html]:
    """General requests, those first that tuned answers in its task's own format, or no longer rightly."""

    def harm(pair: Pair) -> tuple[float, float]:
        base, tuned = pair
        return _spilt(tuned) - _spilt(base), _score(base) - _score(tuned)

    worst = sorted(pairs, key=harm, reverse=True)[:REQUESTS]
    if not worst:
        return []
    return [tag("h3", f"General requests, the worst {len(worst)} of {len(pairs)}"), *map(_pair, worst)]


def _spilt(line: Line) -> float:
    """1 where the answer is in the task's own format; 0 where it is not, or where that cannot be told."""
    others = line["other_scores"]
    return float((others.get("spill_over") if isinstance(others, dict) else None) or 0)


def _score(line: Line) -> float:
    return float(line["score"]) if isinstance(line["score"], int | float) else 0.0


def _pair(pair: Pair) -> Html:
    base, tuned = pair
    asked = tag("div", passage(str(base.get("asked") or base["prompt"])), class_="asked")
    cells = [tag("div", tag("h4", "expected"), passage(str(base["expected"])))] if base["expected"] else []
    for name, line in (("base model", base), ("fine-tuned", tuned)):
        answer = line["answer"]
        text = answer if isinstance(answer, str) else None
        cells.append(tag("div", tag("h4", name, *_marks(line)), passage(text)))
    head = tag("header", quoted(base["item"]))
    return tag("article", head, asked, tag("div", *cells, class_="answers"), class_="item")


def _marks(line: Line) -> list[Html]:
    marks = []
    if line["score"] in (0, 1):
        marks.append(right_or_wrong(line["score"] == 1))
    if _spilt(line):
        marks.append(tag("span", "in the task's format", class_="no"))
    return marks
