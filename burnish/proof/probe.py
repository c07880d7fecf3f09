"""What a probe is: authored items, asked alike of the base and the tuned model, as lines of samples.jsonl.

The items belong to no task: no user's data are in them, and nothing is chosen by them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from burnish.proof import probes as built_in
from burnish.proof.engine import Engine
from burnish.proof.measure import Renderer
from burnish.proof.retention import PART
from burnish.proof.spill_over import Format
from burnish.proof.summary import Line
from burnish.types import Message

MOST_TOKENS = 64  # of an answer to a request


@dataclass(frozen=True, slots=True)
class Item:
    """One authored item: a question, a request or a paragraph."""

    id: str
    text: str
    right: str = ""
    wrong: tuple[str, ...] = ()
    check: Mapping[str, Any] = field(default_factory=dict)

    @property
    def request(self) -> tuple[Message, ...]:
        """The text as the only turn of a conversation: the task's instruction does not stand before it."""
        return (Message("user", self.text),)


@dataclass(frozen=True, slots=True)
class Asking:
    """Who is asked, and how. `room`: tokens of a prompt and its answer together."""

    arm: str
    engine: Engine
    renderer: Renderer
    decode: Callable[[Sequence[int]], str]
    room: int
    seed: int = 0
    task_format: Format | None = None

    def fits(self, item: Item) -> bool:
        """Whether a request and the longest answer fit the model's context."""
        return len(self.renderer.prompt(item.request)) + MOST_TOKENS <= self.room


class Probe(Protocol):
    """What a file in `probes/` offers."""

    name: str
    chunk: int  # items that are measured together, and written in one piece

    def items(self) -> Sequence[Item]:
        """All items, in their order."""

    def fits(self, item: Item, asking: Asking, /) -> bool:
        """Whether the model's context has room for the item."""

    def measure(self, items: Sequence[Item], asking: Asking, /) -> list[Line]:
        """A line for each item."""


@cache
def data_of(name: str) -> dict[str, Any]:
    """The authored data file of a probe."""
    path = Path(str(built_in.__file__)).with_name(f"{name}.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def chunks_of(probe: Probe, asking: Asking) -> list[list[Item]]:
    """The items that fit the context in consecutive chunks; the same for both models."""
    items = [item for item in probe.items() if probe.fits(item, asking)]
    return [items[at : at + probe.chunk] for at in range(0, len(items), probe.chunk)]


def line_of(probe: Probe, item: Item, asking: Asking, more: Mapping[str, object]) -> Line:
    """A line of samples.jsonl with the keys that every line has."""
    return {
        "part": PART,
        "arm": asking.arm,
        "item": f"{probe.name}:{item.id}",
        "slice": probe.name,
        "group": None,
        "seed": asking.seed,
        "asked": "",
        "prompt": "",
        "answer": None,
        "expected": None,
        "score": None,
        "other_scores": {},
        "scoring": "likelihood",
        "label_scores": None,
        "prompt_tokens": 0,
        "answer_tokens": 0,
        "stopped_by": None,
        **more,
    }


def asked(item: Item, asking: Asking) -> Line:
    """A request, its exact prompt, and the prompt's length."""
    renderer, request = asking.renderer, item.request
    prompt = renderer.prompt_text(request)
    return {"asked": item.text, "prompt": prompt, "prompt_tokens": len(renderer.prompt(request))}
