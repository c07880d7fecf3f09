"""What a run tells beside the training loop's own events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from burnish.training.events import Event


@dataclass(frozen=True, slots=True)
class Started(Event):
    """Who runs what on which machine."""

    run: str
    recipe: str
    base: str
    base_sha256: str
    data_sha256: str
    burnish: str
    torch: str
    transformers: str
    seed: int
    device: str
    cpu: str
    threads: int
    dtype: str
    started: str  # ISO 8601, UTC
    several: bool = False  # one of several methods that the recipe names
    machine_sha256: str = ""  # a run goes on bit for bit only where this is equal


@dataclass(frozen=True, slots=True)
class Task(Event):
    """How the run measures, as plain values (`burnish.report.measured`); its line is called "task"."""

    kind: str
    labels: Sequence[str]
    reason: str
    metrics: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Plan(Event):
    """What is going to happen, how long it may take, and what it can show."""

    lines: tuple[str, ...]
    minutes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Asked(Event):
    """One validation request and the base's answer, before anything is trained."""

    item: str
    request: str
    answer: str
    expected: str


@dataclass(frozen=True, slots=True)
class Began(Event):
    """A stage begins; not kept in the file."""

    name: str
    total: int


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """Items of a stage that are done; not kept in the file."""

    name: str
    done: int
    total: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Stage(Event):
    """A stage ended."""

    name: str
    seconds: float
    peak_memory_bytes: int


@dataclass(frozen=True, slots=True)
class Note(Event):
    """Something that the user should know."""

    text: str


@dataclass(frozen=True, slots=True)
class Chosen(Event):
    """What was chosen on validation items."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Artifact(Event):
    """What was made."""

    path: str  # inside the run directory
    bytes: int
    trainable_parameters: int
    total_parameters: int
    step: int  # the checkpoint it was made from


@dataclass(frozen=True, slots=True)
class Opened(Event):
    """The held-out items were looked at, after everything was frozen."""

    items_sha256: str
    count: int
    before: int = 0  # how often these very items were opened before on this machine


@dataclass(frozen=True, slots=True)
class Adopted(Event):
    """Answers of the untuned model were taken over from another run."""

    arms: tuple[str, ...]
    lines: int
    source: str  # the other run


@dataclass(frozen=True, slots=True)
class Frozen(Event):
    """Prompts, weights and scoring are chosen; a run of several waits here for the other methods."""


@dataclass(frozen=True, slots=True)
class Compared(Event):
    """The comparison of several methods is written."""

    run: str
    comparison: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The report is written."""

    finished: str
    seconds: float
    run: str
    report: Mapping[str, object] = field(default_factory=dict)


KEPT_OUT = (Began, Progress, Finished, Compared)  # of events.jsonl: nothing that lasts, or written by the run itself


def as_line(event: Event) -> dict[str, object] | None:
    """The event's line in `events.jsonl`, or None."""
    if isinstance(event, KEPT_OUT):
        return None
    line = event.as_json()
    if isinstance(event, Opened):
        line["event"] = "held_out_opened"
    return line
