"""`prompt` and `completion`, in the spellings that people use."""

from burnish.data.layout import Layout
from burnish.data.sources import Record
from burnish.types import Message, TaskKind

FIELDS = {
    "prompt": ("prompt", "question", "query", "input", "source", "context", "user", "request", "nl", "problem"),
    "completion": (
        *("completion", "answer", "response", "output", "target", "reply", "reference", "solution", "assistant"),
        *("code", "sql", "bash", "summary", "translation", "canonical_solution"),
    ),
    "system": ("system", "system_prompt"),
}
REQUIRED = ("prompt", "completion")
KIND: TaskKind = "generate"
RANK = 30
PROMPTED = True
COMPANIONS = None


def turns(record: Record, layout: Layout) -> tuple[Message, ...]:
    """One request and its answer."""
    prompt = layout.filled(record, layout.prompt) if layout.prompt else layout.text(record, "prompt")
    answer = layout.filled(record, layout.answer) if layout.answer else layout.text(record, "completion")
    return conversation(layout.text(record, "system"), prompt, answer)


def conversation(system: str, prompt: str, answer: str) -> tuple[Message, ...]:
    """A system text (if any), a request, a trained answer; () where the request or the answer is blank."""
    if not prompt.strip() or not answer.strip():
        return ()
    first = (Message("system", system),) if system.strip() else ()
    return (*first, Message("user", prompt), Message("assistant", answer, trained=True))
