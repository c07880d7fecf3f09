"""The values that pass between stages, and the legend of dimension names.

rows     rows of a batch                     heads     query heads            rank     of a low-rank update
time     places in a row, or tokens          kv_heads  key and value heads    prefix   trained keys and values in front
width    features of a linear's side         head      size of one head       items    things that are measured
layers   blocks of the model                 hidden    size of the residual stream
vocab    entries of the head                 documents examples in a batch
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch
    from jaxtyping import Int
    from torch import Tensor

IGNORE = -100  # in `Batch.targets`: nothing is learned at this place

Role = Literal["system", "user", "assistant", "tool"]
TaskKind = Literal["generate", "classify", "text"]
Scoring = Literal["generation", "likelihood", "calibrated"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `trained` only ever holds for assistant turns."""

    role: str
    content: str
    trained: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """One record after its format was read. A raw document is one message of role "text"."""

    id: str  # "file:line", the handle in every error, report and sample
    messages: tuple[Message, ...]
    fields: Mapping[str, object] = field(default_factory=dict)  # the record's own fields, for metrics
    slice: str | None = None
    group: str | None = None

    @property
    def answer(self) -> str:
        """The content of the last trained turn: what an arm must produce."""
        return self.messages[self.answer_at].content

    @property
    def answer_at(self) -> int:
        """Index of the last trained turn."""
        for at in range(len(self.messages) - 1, -1, -1):
            if self.messages[at].trained:
                return at
        raise ValueError(f"{self.id}: no turn is trained")

    @property
    def request(self) -> tuple[Message, ...]:
        """The turns before the last trained one, as written: what an arm is given."""
        return self.messages[: self.answer_at]


@dataclass(frozen=True, slots=True)
class TokenizedExample:
    """Token ids of one document; `tokens[t]` is a target where `trained[t]`; `tokens[0]` never is."""

    id: str
    tokens: tuple[int, ...]
    trained: tuple[bool, ...]

    def __post_init__(self) -> None:
        assert len(self.tokens) == len(self.trained), self.id
        assert not (self.trained and self.trained[0]), self.id

    @property
    def targets(self) -> int:
        """How many tokens are learned."""
        return sum(self.trained)


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands before every document: reserved slots in the row, and the position of the first place."""

    slots: int = 0  # places whose token is -1, -2, …; a method fills them with vectors
    first: int = 0

    @property
    def size(self) -> int:
        """Positions that a document loses."""
        return self.slots + self.first


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents packed in rows. Targets are shifted already: `targets[r, t]` follows `tokens[r, t]`."""

    tokens: "Int[Tensor, 'rows time']"  # below zero in a reserved slot
    targets: "Int[Tensor, 'rows time']"  # IGNORE where nothing is learned
    documents: "Int[Tensor, 'rows time']"  # index of the document within the batch, -1 for padding
    positions: "Int[Tensor, 'rows time']"  # restart in each document, go on in one that continues a shared beginning
    ids: tuple[str, ...]  # the example of each document
    continues: tuple[int, ...] = ()  # of each document: the index of the beginning that it shares, or -1; (): none

    def times(self) -> "Int[Tensor, 'rows time']":
        """How many documents each place stands for: 1, more in a shared beginning, 0 in padding."""
        counts = [1] * len(self.ids)
        for beginning in range(len(counts), max(self.continues, default=-1) + 1):
            counts.append(self.continues.count(beginning))
        found = self.documents.new_tensor([*counts, 0])
        return found[self.documents]

    def to(self, device: "torch.device | str") -> "Batch":
        """The same batch on a device."""
        tokens, targets, documents, positions = (
            t.to(device) for t in (self.tokens, self.targets, self.documents, self.positions)
        )
        return Batch(tokens, targets, documents, positions, self.ids, self.continues)


@dataclass(frozen=True, slots=True)
class Observation:
    """What an arm did on one item."""

    answer: str | None
    reference_nats: float | None = None
    reference_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ItemScore:
    """One item's score in its metric's unit; `detail` holds what an aggregate needs beyond the value."""

    value: float
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one optimiser update did."""

    loss: float  # nats per target, over the whole update
    grad_norm: float
    targets: int
    tokens: int
    seconds: float
    learning_rate: float
    skipped: bool = False  # the loss or the gradient was no number; nothing was changed


@dataclass(frozen=True, slots=True)
class Score:
    """A measured number with its 95 % interval."""

    name: str
    value: float
    low: float
    high: float
    count: int
    unit: str
    better: Literal["higher", "lower"]
