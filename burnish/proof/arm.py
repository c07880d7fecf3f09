"""What an arm is: one way of answering an item - the base alone, with examples in the prompt, without a model, tuned.

Every arm sees the item's turns before the answer and the training examples, nothing else; its choices are made when it
is built, so that each item is asked alike. An arm's name is its file's name, with its number of examples: `few_shot_4`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, cast, runtime_checkable

from burnish.errors import RecipeError
from burnish.proof import arms as built_in
from burnish.registry import did_you_mean, module_named, names_in
from burnish.types import Example, Message, TaskKind

Fits = Callable[[Sequence[Message]], bool]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is given for one item; `left_out` counts the examples that did not fit the context."""

    messages: tuple[Message, ...]
    left_out: int = 0


class Arm(Protocol):
    """An arm that asks a model. `shown` are the ids of examples that stand in every prompt of the arm."""

    @property
    def name(self) -> str:
        """The name in reports and samples."""

    @property
    def needs_model(self) -> Literal["base", "tuned"]:
        """The model it asks."""

    @property
    def shown(self) -> frozenset[str]:
        """Ids of the examples in every prompt."""

    def prompt(self, example: Example, /) -> Prompt:
        """The turns the model is given; the item's own answer is never among them."""


@runtime_checkable
class Rival(Protocol):
    """An arm that asks no model."""

    @property
    def name(self) -> str:
        """The name in reports and samples."""

    @property
    def needs_model(self) -> None:
        """None."""

    def answer(self, example: Example, /) -> str:
        """Its answer."""


@dataclass(frozen=True)
class ArmContext:
    """All that an arm may look at.

    `fits` says whether turns, encoded, leave room for the longest answer within the model's context.
    `validation` serves the choice between an arm's own variants (only `simple` has any).
    """

    train: tuple[Example, ...]
    kind: TaskKind
    seed: int = 0
    fits: Fits = field(default=lambda _: True)
    validation: tuple[Example, ...] = ()


def build(name: str, context: ArmContext) -> "Arm | Rival":
    """The arm of this name; raises RecipeError for an unknown one."""
    kind, count = split_name(name)
    module = module_named(built_in.__name__, kind)
    if module is None:
        known = ", ".join(names_in(built_in.__name__))
        raise RecipeError(f'unknown arm "{name}".{did_you_mean(kind, names_in(built_in.__name__))} Known: {known}')
    return cast("Arm | Rival", module.build(name, count, context))


def split_name(name: str) -> tuple[str, int]:
    """`few_shot_4` -> ("few_shot", 4); a name without a number -> (name, 0)."""
    match = re.fullmatch(r"(.+?)_(\d+)", name)
    return (match[1], int(match[2])) if match else (name, 0)


@dataclass(frozen=True, slots=True)
class PlainArm:
    """The item's own turns and nothing else, for the model named."""

    name: str
    needs_model: Literal["base", "tuned"]
    shown: frozenset[str] = frozenset()

    def prompt(self, example: Example) -> Prompt:
        """The turns as written."""
        return Prompt(asked(example))


def asked(example: Example) -> tuple[Message, ...]:
    """The turns before the answer; nothing in a prompt is trained."""
    return tuple(replace(message, trained=False) for message in example.request)


def conversation(example: Example) -> tuple[Message, ...]:
    """A training example as shown in a prompt: all its turns up to and with its last answer."""
    return tuple(replace(message, trained=False) for message in example.messages[: example.answer_at + 1])


def with_examples(item: Example, ranked: Sequence[Example], order: Sequence[Example], fits: Fits) -> Prompt:
    """The examples as earlier turns of the item's conversation, in `order`; what does not fit is left out whole.

    `ranked` has the same examples, the most wanted first: each is kept if everything still fits with it. One system
    message stands at the start: the item's own, else that of the first example that has one.
    """
    whole = _joined(item, order)
    if fits(whole):  # the usual case, in one encoding
        return Prompt(whole)
    kept: set[str] = set()
    for example in ranked:
        if fits(_joined(item, [e for e in order if e.id in kept or e.id == example.id])):
            kept.add(example.id)
    shown = [e for e in order if e.id in kept]
    return Prompt(_joined(item, shown), len(order) - len(shown))


def _joined(item: Example, shown: Sequence[Example]) -> tuple[Message, ...]:
    turns = [message for example in shown for message in conversation(example)]
    own = asked(item)
    systems = [message for message in (*own, *turns) if message.role == "system"]
    rest = [message for message in (*turns, *own) if message.role != "system"]
    if sum(message.role == "system" for message in own) > 1:  # several of its own: left where they stand
        return (*(message for message in turns if message.role != "system"), *own)
    return (*systems[:1], *rest)


def inputs_of(examples: Sequence[Example]) -> Callable[[Example], str]:
    """What distinguishes an item: its user turns, without the beginning that all these examples share (instruction)."""
    texts = [_asked_text(example) for example in examples]
    shared = common_beginning(texts)

    def input_of(example: Example) -> str:
        text = _asked_text(example)
        return text[len(shared) :] if text.startswith(shared) else text

    return input_of


def _asked_text(example: Example) -> str:
    return "\n".join(message.content for message in example.request if message.role != "system")


def common_beginning(texts: Sequence[str]) -> str:
    """The common beginning of texts, back to its last white space, so that no word is cut."""
    if len(texts) < 2:
        return ""
    first, last = min(texts), max(texts)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    while length and not first[length - 1].isspace():
        length -= 1
    return first[:length]
