"""`instruction`, an `input` that may be empty, `output` (Alpaca)."""

from burnish.data.formats.completion import conversation
from burnish.data.layout import Fault, Layout
from burnish.data.sources import Record
from burnish.types import Message, TaskKind

FIELDS = {
    "instruction": ("instruction", "instructions", "task"),
    "input": ("input", "context"),
    "output": ("output", "response", "answer", "completion", "target"),
    "system": ("system", "system_prompt"),
    "history": ("history",),
}
REQUIRED = ("instruction", "output")
KIND: TaskKind = "generate"
RANK = 20
PROMPTED = True
COMPANIONS = None


def turns(record: Record, layout: Layout) -> tuple[Message, ...]:
    """The instruction, a blank line, the input if there is one; earlier turns from `history`, which are not trained."""
    if layout.prompt:
        prompt = layout.filled(record, layout.prompt)
    else:
        parts = [layout.text(record, "instruction"), layout.text(record, "input")]
        prompt = "\n\n".join(part for part in parts if part.strip())
    answer = layout.filled(record, layout.answer) if layout.answer else layout.text(record, "output")
    messages = conversation(layout.text(record, "system"), prompt, answer)
    earlier = _earlier(layout.value(record, "history")) if messages else ()
    return (*messages[:-2], *earlier, *messages[-2:])


def _earlier(history: object) -> tuple[Message, ...]:
    """Pairs of request and answer that came before."""
    if not history:
        return ()
    turns: list[Message] = []
    for pair in history if isinstance(history, list) else [history]:
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise Fault('"history": expected a list of [request, answer] pairs')
        turns += [Message("user", pair[0]), Message("assistant", pair[1])]
    return tuple(turns)
