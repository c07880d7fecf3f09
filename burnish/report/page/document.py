"""The frame of a page: one file with its style sheet in it, which fetches, runs and sends nothing."""

from collections.abc import Sequence
from pathlib import Path

from burnish.report.page.markup import Html, joined, tag

STYLE = Html(Path(__file__).with_name("style.css").read_text(encoding="utf-8"))
# Nothing is fetched, run or sent: pictures stand in the page itself, and its one style sheet too.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def document(title: str, top: Html, contents: Sequence[tuple[str, str]], sections: Sequence[Html], end: Html) -> Html:
    """The whole file; `contents` are the sections' names with their titles."""
    links = [tag("li", tag("a", words, href=f"#{name}")) for name, words in contents]
    listed = tag("nav", tag("ol", *links), aria_label="Contents")
    body = tag("body", top, tag("div", listed, tag("main", *sections), class_="body"), end)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", STYLE),
    )
    return joined([Html("<!DOCTYPE html>\n"), tag("html", head, body, lang="en"), Html("\n")])
