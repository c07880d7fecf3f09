"""Answers as pictures: `pictures.json` in a run directory, {text of an answer or reference: SVG}.

Only a metric that the user named has `picture`, so it is called while the run goes on; whoever reads the run directory
later needs no Python of the user. A text stands there as in samples.jsonl (`answer`, `expected`).
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from burnish.files import write_json
from burnish.proof.answers import unfenced
from burnish.proof.summary import Line
from burnish.report.build import Kept, read

PICTURES = "pictures.json"
MOST_ITEMS = 24
LARGEST = 60_000  # characters of one picture

Picture = Callable[[str], str | None]


def write_pictures(run: Path, picture: Picture) -> list[str]:
    """Draw the chosen items' references and answers; returns, each once, why a picture could not be drawn."""
    kept = read(run)
    lines = kept.chosen(kept.part)
    items = set(chosen_items(lines, kept))
    drawn: dict[str, str] = {}
    failed: dict[str, None] = {}
    for line in lines:
        if line["item"] in items:
            expected = str(line["expected"])
            answer = line["answer"]
            for text in (expected, *([answer] if isinstance(answer, str) else [])):
                if text not in drawn:
                    found, why = _drawn(picture, unfenced(text, expected))
                    drawn[text] = found
                    failed |= {why: None} if why else {}
    write_json(run / PICTURES, {text: svg for text, svg in drawn.items() if svg})
    return list(failed)


def chosen_items(lines: Sequence[Line], kept: Kept, most: int = MOST_ITEMS) -> list[str]:
    """At most `most` items: in turn one that tuning broke, one that it fixed, one wrong and one right for both."""
    return list(_in_turn(list(outcomes(lines, kept).values())))[:most]


def outcomes(lines: Sequence[Line], kept: Kept) -> dict[str, list[str]]:
    """Items by what tuning did against the best prompt: broken, fixed, wrong (still, or in the worse half), right.

    The largest change first, then the order of the items; so the worst and the best come first.
    """
    metric = kept.needed("task")["metrics"][0]
    sign = 1 if metric["better"] == "higher" else -1
    tuned, prompt = (_goodness(lines, arm, sign) for arm in ("tuned", kept.choice.best_prompt))
    change = {item: tuned[item] - prompt[item] for item in tuned if item in prompt}
    middle = sorted(tuned[item] for item, by in change.items() if by == 0)
    half = 0.5 * sign if metric["is_share"] or not middle else middle[len(middle) // 2]
    same = [item for item, by in change.items() if by == 0]
    return {
        "broken": sorted((item for item, by in change.items() if by < 0), key=lambda item: change[item]),
        "fixed": sorted((item for item, by in change.items() if by > 0), key=lambda item: -change[item]),
        "wrong": sorted((item for item in same if tuned[item] < half), key=lambda item: tuned[item]),
        "right": sorted((item for item in same if tuned[item] >= half), key=lambda item: -tuned[item]),
    }


def _goodness(lines: Iterable[Line], arm: str, sign: int) -> dict[str, float]:
    return {
        str(line["item"]): sign * float(line["score"])
        for line in lines
        if line["arm"] == arm and isinstance(line["score"], int | float)
    }


def _in_turn(groups: Sequence[Sequence[str]]) -> Iterable[str]:
    for place in range(max(map(len, groups), default=0)):
        yield from (group[place] for group in groups if place < len(group))


def _drawn(picture: Picture, text: str) -> tuple[str, str | None]:
    """The picture, or an empty text, and why there is none where the metric failed: a picture never ends a run."""
    try:
        svg = picture(text)
    except Exception as error:
        return "", f"the metric's picture failed: {type(error).__name__}: {error}"
    if svg is None:
        return "", None
    if not isinstance(svg, str) or not svg.lstrip().startswith("<svg"):
        return "", "the metric's picture gave no text that begins with <svg"
    if len(svg) > LARGEST:
        return "", f"a picture of {len(svg):,} characters; kept are {LARGEST:,}"
    return svg, None
