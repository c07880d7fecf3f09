"""Building HTML by calls: every text is escaped where it enters, so nothing that a model wrote can become markup.

`tag` takes texts and finished markup; only `Html` passes unescaped, and only this package makes it. Joining an `Html`
and a text with + gives a plain text again, which would be escaped: a mistake shows as visible tags, never as a script.
"""

from collections.abc import Iterable
from html import escape

from burnish.report.text import HIDDEN, LONGEST, clipped, named, visible

VOID = ("meta", "br", "img")
FOLD_CHARACTERS, FOLD_LINES = 480, 12  # a text beyond either is folded


class Html(str):
    """Markup that may stand in the page as it is."""

    __slots__ = ()


Child = Html | str | None


def escaped(text: str) -> Html:
    """A text as markup: hidden characters become marked codes, and `& < > "` and quotes entities."""
    pieces, done = [], 0
    for match in HIDDEN.finditer(text):
        pieces += [escape(text[done : match.start()]), f'<span class="hidden">{named(match)}</span>']
        done = match.end()
    return Html("".join(pieces) + escape(text[done:]))


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """An element. `class_` is written class, `_` in a name `-`; an attribute that is None or False is left out."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(visible(str(value)))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        assert not children, name
        return Html(f"<{name}{written}>")
    inner = "".join(child if isinstance(child, Html) else escaped(child) for child in children if child is not None)
    return Html(f"<{name}{written}>{inner}</{name}>")


def joined(parts: Iterable[Child], between: str = "") -> Html:
    """Parts one after the other; `between` is text."""
    return Html(escaped(between).join(p if isinstance(p, Html) else escaped(p) for p in parts if p is not None))


def quoted(text: object) -> Html:
    """A short text from data or a model, kept apart from the direction of what stands around it."""
    return tag("bdi", str(text))


def passage(text: str | None, *, longest: int = LONGEST) -> Html:
    """A text from data or a model as a block; a long one is folded, a very long one shown in part."""
    if text is None:
        return tag("p", "no text was asked for", class_="faint")
    if not text.strip():
        return tag("p", f"({len(text)} characters of white space)" if text else "(empty)", class_="faint")
    whole = tag("pre", clipped(text, longest), dir="auto")
    lines = text.split("\n")
    if len(text) <= FOLD_CHARACTERS and len(lines) <= FOLD_LINES:
        return whole
    preview = "\n".join(lines[: FOLD_LINES // 2])[: FOLD_CHARACTERS // 2].rstrip()
    summary = tag(
        "summary",
        tag("span", f"{preview} …", class_="preview", dir="auto"),
        tag("span", f"all {len(text):,} characters", class_="more"),
    )
    return tag("details", summary, whole, class_="long")


def table(head: Iterable[Child], rows: Iterable[Iterable[Child]], *, left: int = 1) -> Html:
    """A table whose first `left` columns are words and whose others are numbers; it scrolls where it is too wide."""

    def cells(row: Iterable[Child], name: str) -> list[Html]:
        return [tag(name, cell, class_=None if i < left else "number") for i, cell in enumerate(row)]

    body = [tag("tr", *cells(row, "td")) for row in rows]
    top = tag("thead", tag("tr", *cells(head, "th")))
    return tag("div", tag("table", top, tag("tbody", *body)), class_="scroll", tabindex=0)


def folded(title: Child, *inside: Child, class_: str | None = None, opened: bool = False) -> Html:
    """Something that opens when its title is clicked, without a script."""
    return tag("details", tag("summary", title), *inside, class_=class_, open=opened)


def numbers(*inside: Child, title: str = "The numbers") -> Html:
    """The table that belongs to a chart; it is printed open."""
    return folded(title, *inside, class_="numbers")


def facts(pairs: Iterable[tuple[Child, Child]]) -> Html:
    """Short facts with their names, side by side where there is room."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), class_="facts")


def next_step(command: str) -> Html:
    """A command on a line of its own, or advice in words."""
    shown = tag("code" if command.startswith("burnish ") else "b", command)
    return tag("div", tag("span", "next"), shown, class_="next")


def section(name: str, title: str, *inside: Child) -> Html:
    """A section of the page that the contents link to."""
    return tag("section", tag("h2", title), *inside, id=name)
