"""`text` and `label`, in the spellings that people use."""

from burnish.data.formats.completion import conversation
from burnish.data.layout import Fault, Layout
from burnish.data.sources import Record
from burnish.types import Message, TaskKind

FIELDS = {
    "text": (
        *("text", "sentence", "question", "comment", "message", "review", "utterance", "query", "content", "body"),
        *("description", "tweet", "ticket", "document", "input", "prompt"),
    ),
    "label": ("label", "labels", "class", "category", "intent", "sentiment", "topic", "tag", "team", "department"),
    "system": ("system", "system_prompt"),
}
REQUIRED = ("text", "label")
KIND: TaskKind = "classify"
RANK = 40
PROMPTED = True
COMPANIONS = None


def turns(record: Record, layout: Layout) -> tuple[Message, ...]:
    """The text, and its label as the answer, both as written."""
    text = layout.filled(record, layout.prompt) if layout.prompt else layout.text(record, "text")
    if layout.answer:
        label = layout.filled(record, layout.answer)
    else:
        if isinstance(layout.value(record, "label"), list | dict):
            raise Fault(f'"{layout.columns["label"]}" holds a list or an object; expected one label')
        label = layout.text(record, "label")
    return conversation(layout.text(record, "system"), text, label)
