"""The data: where every record went, and which tokens were trained."""

from collections.abc import Mapping, Sequence
from typing import Any

from burnish.report.material import Material
from burnish.report.page.charts import Share, stacked
from burnish.report.page.markup import Child, Html, folded, joined, numbers, quoted, section, table, tag
from burnish.report.text import clipped

IDS = 20  # of dropped records, for each reason
LABELS = 100
NOTES, NOTE = 40, 500  # remarks on the data, and characters of each
REASONS = {
    "empty": "nothing to ask or nothing to answer",
    "overlap": "the input is in a held-out or validation file too",
    "too_long": "longer than the longest document allowed; nothing is ever cut",
}
KINDS = {"given": "given", "special": "control", "trained": "trained", "trained special": "trained control"}


def data(found: Material) -> Html:
    """Given, trained, dropped and why, and the token mask of a few examples."""
    part, raw = found.report.data, found.kept.data
    dropped = sum(part.dropped.values())
    parts = [
        Share("train", part.train, "tuned"),
        Share("validation", part.validation, "prompt"),
        Share("held out", part.held_out, "fixed"),
        Share("dropped", dropped, "broken"),
        Share("unused", part.unused, "wrong"),
    ]
    rows = [[p.name, f"{p.count:,}"] for p in parts] + [["given", f"{part.given:,}"]]
    inside: list[Child] = [
        tag("p", f"{part.given:,} records were given; each is in one of these places."),
        stacked(parts),
        numbers(table(("where", "records"), rows)),
        _dropped(part.dropped, raw.get("dropped_ids") or {}),
        _remarks(found),
        _labels(raw.get("labels") or ()),
        _files(raw.get("files") or ()),
        _masks(found.kept.masks),
    ]
    return section("data", "The data", *inside)


def _dropped(counts: Mapping[Any, int], ids: Mapping[str, Sequence[str]]) -> Html | None:
    if not counts:
        return None
    rows = []
    for reason, count in counts.items():
        known = list(ids.get(reason, ()))
        more = [f"{count - IDS:,} more"] if count > IDS and known else []
        rows.append([reason, REASONS.get(reason, ""), joined([*map(quoted, known[:IDS]), *more], ", "), f"{count:,}"])
    return folded(
        f"{sum(counts.values()):,} dropped, and why", table(("reason", "why", "records", "count"), rows, left=3)
    )


def _remarks(found: Material) -> Html | None:
    """What else was noticed, a line each."""
    part, raw = found.report.data, found.kept.data
    lines: list[Child] = []
    if part.duplicates:
        lines.append(f"{part.duplicates:,} records repeat an earlier one of their part; they are kept.")
    if part.unseen_labels:
        lines.append(f"{part.unseen_labels:,} validation or held-out records have a label that train does not have.")
    if part.windows:
        lines.append(f"Raw documents are split into {part.windows:,} windows.")
    encoding = raw.get("encoding") or {}
    if encoding.get("control_strings"):
        lines.append(f"{encoding['control_strings']:,} records hold the text of a control token; it is read as text.")
    if part.held_out_opened > 1:
        text = f"These held-out items were opened {part.held_out_opened} times on this machine, this run included."
        lines.append(f"{text} Choices made in between are not covered by the intervals.")
    said = [str(text) for name in ("label_variants", "notes") for text in raw.get(name) or ()]
    lines += [quoted(clipped(text, NOTE)) for text in said[:NOTES]]
    return tag("ul", *(tag("li", line) for line in lines)) if lines else None


def _labels(labels: Sequence[str]) -> Html | None:
    if not labels:
        return None
    more = f" and {len(labels) - LABELS} more, in data.json" if len(labels) > LABELS else None
    shown = [tag("li", quoted(clipped(str(label), 200))) for label in labels[:LABELS]]
    return folded(f"{len(labels)} labels", tag("ul", *shown, class_="words"), more)


def _files(files: Sequence[Mapping[str, Any]]) -> Html | None:
    if not files:
        return None
    return folded(
        "Files", table(("file", "sha256"), [[quoted(f["name"]), tag("code", f["sha256"])] for f in files], left=2)
    )


def _masks(masks: Sequence[Mapping[str, Any]]) -> Html | None:
    """Examples token by token; trained ones are underlined, so that no colour is needed."""
    if not masks:
        return None
    legend = [tag("li", tag("span", word, class_=f"token {_look(kind)}")) for kind, word in KINDS.items()]
    shown = []
    for mask in masks:
        pieces = [tag("span", str(text), class_=f"token {_look(str(kind))}") for kind, text in mask["pieces"]]
        head = f": {mask['tokens']:,} tokens, {mask['trained']:,} of them trained"
        shown += [tag("h4", quoted(mask["id"]), head), tag("pre", *pieces, class_="mask", dir="auto")]
    about = "Only the trained tokens have a loss: the answer and the token that ends it. The others are only read."
    return tag(
        "div",
        tag("h3", "Which tokens were trained"),
        tag("p", about, class_="about"),
        tag("ul", *legend, class_="legend"),
        *shown,
    )


def _look(kind: str) -> str:
    """The style of a kind of token; an unknown one is shown as given."""
    return kind if kind in (*KINDS, "left_out") else "given"
