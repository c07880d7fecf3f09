"""General text: how many nats a token of plain paragraphs costs the model; its exponential is the perplexity."""

from collections.abc import Sequence

from burnish.proof.probe import Asking, Item, data_of, line_of
from burnish.proof.summary import Line
from burnish.types import Example, Message


class _GeneralText:
    name = "general_text"
    chunk = 20

    def items(self) -> list[Item]:
        """The paragraphs."""
        return [Item(row["id"], row["text"]) for row in data_of(self.name)["texts"]]

    def fits(self, item: Item, asking: Asking) -> bool:  # noqa: ARG002
        """Always: a paragraph is read in windows."""
        return True

    def measure(self, items: Sequence[Item], asking: Asking) -> list[Line]:
        """Nats per token of each paragraph, read as raw text without a chat template."""
        documents = [
            asking.renderer.windows(Example(item.id, (Message("text", item.text),)), asking.room) for item in items
        ]
        found = iter(asking.engine.reference([window for windows in documents for window in windows]))
        lines = []
        for item, windows in zip(items, documents, strict=True):
            results = [next(found) for _ in windows]
            nats, tokens = sum(n for n, _ in results), sum(t for _, t in results)
            more = {"expected": item.text, "score": nats / tokens, "reference_nats": nats, "reference_tokens": tokens}
            lines.append(line_of(self, item, asking, more))
        return lines


probe = _GeneralText()
