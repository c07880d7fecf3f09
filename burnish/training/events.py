"""What training tells its readers: terminal, log and file read one stream, and nothing else comes out of the loop."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    def as_json(self) -> dict[str, object]:
        """The event as a line of `events.jsonl`."""
        return {"event": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True, slots=True)
class Step(Event):
    """An optimiser update; `loss` in nats per target, `tokens` the records' own."""

    step: int
    steps: int
    loss: float | None  # None where it was no number; the update was skipped
    grad_norm: float | None
    learning_rate: float
    targets: int
    tokens: int
    seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Evaluation(Event):
    """Validation loss in nats per target; `best` where it is the lowest so far."""

    step: int
    loss: float
    targets: int
    best: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Sample(Event):
    """The same validation request asked again."""

    step: int
    item: str
    answer: str
    expected: str


@dataclass(frozen=True, slots=True)
class Saved(Event):
    """A checkpoint that is complete on disk."""

    step: int


@dataclass(frozen=True, slots=True)
class Stopped(Event):
    """Training ended before its last step because it was asked to; the state is saved."""

    step: int
    steps: int
