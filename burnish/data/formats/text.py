"""Raw documents: every token is learned, nothing is asked."""

from burnish.data.layout import Layout
from burnish.data.sources import Record
from burnish.types import Message, TaskKind

FIELDS = {"text": ("text", "content", "document", "body", "article", "passage")}
REQUIRED = ("text",)
KIND: TaskKind = "text"
RANK = 50
PROMPTED = False
COMPANIONS = (
    "id",
    "article",
    "title",
    "name",
    "url",
    "link",
    "date",
    "time",
    "timestamp",
    "author",
    "language",
    "lang",
)


def turns(record: Record, layout: Layout) -> tuple[Message, ...]:
    """The document as one message."""
    text = layout.text(record, "text")
    return (Message("text", text, trained=True),) if text.strip() else ()
