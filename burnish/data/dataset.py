"""From the settings to three parts; given = train + validation + held_out + dropped + unused, in records.

read the files, understand the columns, drop the empty
held_out      a file (its inputs are dropped from train: overlap), or cut from train by the hash of the input
labels        found in what is left, before validation is cut from it
validation    a file, or cut in the same way
limit         drawn by hash; the others are unused
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from burnish.data.collecting import put_off
from burnish.data.labels import found_labels, refuse_outsiders, variants
from burnish.data.layout import MISSING, Fault, Layout, as_text, find_layout, instructed, is_among, shown, value_at
from burnish.data.passages import passages
from burnish.data.settings import DataSettings
from burnish.data.sources import Record, Source, read_source
from burnish.data.split import asked_for, auto_held_out, auto_validation, cut, draw, input_key
from burnish.errors import DataError, RecipeError, listed
from burnish.types import Example, TaskKind


@dataclass(frozen=True, slots=True)
class DataCounts:
    """What became of every record, and what was noticed."""

    given: int
    train: int
    validation: int
    held_out: int
    dropped: dict[str, int] = field(default_factory=dict)  # empty, overlap, too_long
    unused: int = 0  # beyond data.limit
    duplicates: int = 0  # records of a file whose input and answer stand before in it; they are kept
    unseen_labels: int = 0  # held-out and validation records whose label does not occur in train
    label_variants: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    dropped_ids: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        accounted = self.train + self.validation + self.held_out + sum(self.dropped.values()) + self.unused
        assert self.given == accounted, (self.given, accounted)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The three parts as examples, and what is known of them without a model."""

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    held_out: tuple[Example, ...]
    format: str
    kind: TaskKind
    labels: tuple[str, ...] | None
    columns: Mapping[str, str]  # our name -> the column it is read from
    counts: DataCounts
    files: tuple[Path, ...] = ()

    @property
    def thinking(self) -> bool:
        """Whether training answers hold thoughts, `</think>`: what `ChatTemplate.choose` wants to know."""
        return any("</think>" in turn.content for example in self.train for turn in example.messages if turn.trained)

    @property
    def roles(self) -> frozenset[str]:
        """Every role that occurs."""
        parts = (*self.train, *self.validation, *self.held_out)
        return frozenset(message.role for example in parts for message in example.messages)


@dataclass(slots=True)
class _Reading:
    """The files while they become parts."""

    settings: DataSettings
    dropped: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    given: int = 0
    duplicates: int = 0

    def drop(self, reason: str, examples: Iterable[Example]) -> None:
        """Name the dropped."""
        ids = [example.id for example in examples]
        if ids:
            self.dropped.setdefault(reason, []).extend(ids)

    def read(self, source: Source, name: str | None, known: Layout | None) -> tuple[tuple[Example, ...], Layout]:
        """The examples of one file, the empty left out."""
        self.notes += source.notes
        records: Sequence[Record] = source.records
        layout = known or find_layout(self.settings, source.columns, source.path.name)
        if known is not None:
            _same_columns(known, self.settings, source.columns, source.path.name)
        if source.kind == "txt" and len(records) == 1:
            records = passages(records[0], source.path.name if name is None else name)
            self.notes.append(f"{source.path.name}: one text, taken as {len(records)} passages of whole paragraphs")
        self.given += len(records)
        self.places.update({record.id: record.where for record in records if record.row is not None})
        examples = self._examples(records, layout)
        self.duplicates += _duplicates(examples)
        return examples, layout

    def _examples(self, records: Sequence[Record], layout: Layout) -> tuple[Example, ...]:
        examples, problems, empty = [], [], []
        for record in records:
            try:
                turns = layout.format.turns(record, layout)
            except Fault as fault:
                problems.append(f"{record.where}: {fault}")
                continue
            if turns:
                settings = self.settings
                piece, group = _column(record, settings.slice), _column(record, settings.group)
                examples.append(Example(record.id, turns, record.values, piece, group))
            else:
                empty.append(record.id)
        if problems:
            raise DataError(listed(problems))
        if empty:
            self.dropped.setdefault("empty", []).extend(empty)
        return tuple(examples)


@put_off()
def load(settings: DataSettings, *, task_kind: str = "auto", source: Source | None = None) -> Dataset:
    """Read, check and split. `task_kind` is "auto", "generate", "classify" or "text".

    `source` is the file of `settings.train`, where it was read already and stands alone.
    Raises DataError (files, records, splits) and RecipeError (settings that do not fit the columns).
    """
    reading = _Reading(settings)
    names = _names(settings)
    source = source or read_source(Path(settings.train), names["train"])
    train, layout = reading.read(source, names["train"], None)
    kind = _kind(task_kind, layout)
    if settings.instruction and kind == "text":
        raise RecipeError("data.instruction: raw documents ask nothing; leave it out")
    if settings.labels and kind != "classify":
        raise RecipeError(f'data.labels: belongs to "task.kind: classify"; this task is "{kind}"')
    files = [source.path]
    given: dict[str, tuple[Example, ...]] = {}
    for part in ("validation", "held_out"):
        path = _file(getattr(settings, part))
        if path is not None:
            other = read_source(Path(path), names[part])
            given[part], _ = reading.read(other, names[part], layout)
            files.append(other.path)
            if not given[part]:
                raise DataError(f"{other.path.name}: every record is empty, so nothing is left for {part}")
    train, given = _without_overlap(reading, train, given)
    if not train:
        raise DataError(f"{source.path.name}: no record is left to train on ({_reasons(reading.dropped)})")
    parts, labels, unused = _split(settings, kind, train, given, reading)
    reading.notes += _unused_columns(layout, source, settings)
    counts = _counts(reading, parts, labels, unused, variants(train) if kind == "classify" else ())
    said = settings.instruction
    prompted = {
        name: tuple(replace(e, messages=instructed(e.messages, said)) for e in part) if said else tuple(part)
        for name, part in parts.items()
    }
    return Dataset(
        prompted["train"],
        prompted["validation"],
        prompted["held_out"],
        layout.name,
        kind,
        labels,
        dict(layout.columns),
        counts,
        tuple(files),
    )


def _split(
    settings: DataSettings,
    kind: TaskKind,
    train: tuple[Example, ...],
    given: Mapping[str, tuple[Example, ...]],
    reading: _Reading,
) -> tuple[dict[str, tuple[Example, ...]], tuple[str, ...] | None, int]:
    """The parts after limits, the label set, and how many records the limits leave unused."""
    parts = dict(given)
    if kind == "classify" and settings.labels:
        everything = (*train, *(example for part in given.values() for example in part))
        refuse_outsiders(settings.labels, everything, reading.places)
    if "held_out" not in parts:
        wanted = asked_for(settings.held_out, len(train), auto_held_out(len(train)), "held_out")
        train, parts["held_out"] = cut(train, wanted, settings.seed, "held_out")
    labels = None
    if kind == "classify":
        labels = tuple(settings.labels) if settings.labels else found_labels(train)
    if "validation" not in parts:
        wanted = asked_for(settings.validation, len(train), auto_validation(len(train)), "validation")
        train, parts["validation"] = cut(train, wanted, settings.seed, "validation")
    before = len(train) + len(parts["held_out"])
    parts["train"] = draw(train, settings.limit.train, settings.seed)
    parts["held_out"] = draw(parts["held_out"], settings.limit.held_out, settings.seed)
    return parts, labels, before - len(parts["train"]) - len(parts["held_out"])


def _without_overlap(
    reading: _Reading, train: tuple[Example, ...], given: Mapping[str, tuple[Example, ...]]
) -> tuple[tuple[Example, ...], dict[str, tuple[Example, ...]]]:
    """Drop from train what a given part asks too, and from a given validation what a given held-out part asks."""
    parts = dict(given)
    held_out = parts.get("held_out", ())
    if "validation" in parts:
        parts["validation"] = _apart(reading, parts["validation"], held_out)
        if not parts["validation"]:
            raise DataError("every validation record also stands in the held-out file; give others, or auto")
    return _apart(reading, train, (*held_out, *parts.get("validation", ()))), parts


def _apart(reading: _Reading, examples: tuple[Example, ...], others: Sequence[Example]) -> tuple[Example, ...]:
    """The examples that share neither input nor group with the others."""
    if not others:
        return examples
    inputs = {input_key(example) for example in others}
    groups = {example.group for example in others if example.group}
    kept: list[Example] = []
    dropped: list[Example] = []
    for example in examples:
        (dropped if example.group in groups or input_key(example) in inputs else kept).append(example)
    reading.drop("overlap", dropped)
    return tuple(kept)


def _counts(
    reading: _Reading,
    parts: Mapping[str, tuple[Example, ...]],
    labels: tuple[str, ...] | None,
    unused: int,
    label_variants: tuple[str, ...],
) -> DataCounts:
    known = set(labels or ())
    measured = (*parts["validation"], *parts["held_out"]) if labels else ()
    return DataCounts(
        reading.given,
        len(parts["train"]),
        len(parts["validation"]),
        len(parts["held_out"]),
        {reason: len(ids) for reason, ids in reading.dropped.items()},
        unused,
        reading.duplicates,
        sum(example.answer not in known for example in measured),
        label_variants,
        tuple(reading.notes),
        {reason: tuple(ids) for reason, ids in reading.dropped.items()},
    )


def _duplicates(examples: Sequence[Example]) -> int:
    """How many examples repeat an earlier one, input and answer."""
    return len(examples) - len(Counter((input_key(example), example.answer) for example in examples))


def _kind(task_kind: str, layout: Layout) -> TaskKind:
    kind: TaskKind = layout.format.KIND
    if task_kind in ("auto", kind):
        return kind
    if task_kind not in ("generate", "classify", "text"):
        raise RecipeError(f'task.kind: "{task_kind}" is unknown; expected auto, generate, classify or text')
    if "text" in (task_kind, kind):
        raise RecipeError(
            f'task.kind: "{task_kind}" does not go with the data format {layout.name}; raw documents are '
            '"data.format: text" with "task.kind: text", everything else has questions and answers'
        )
    return "classify" if task_kind == "classify" else "generate"


def _file(part: int | float | str) -> str | None:
    return part if isinstance(part, str) and part != "auto" else None


def _names(settings: DataSettings) -> dict[str, str | None]:
    """Names for the ids of each file: its own, with its folder where two files have the same. Same file: refused."""
    given = {part: _file(getattr(settings, part)) for part in ("train", "validation", "held_out")}
    paths = {part: Path(text) for part, text in given.items() if text is not None}
    seen: dict[Path, str] = {}
    for part, path in paths.items():
        whole = path.resolve()
        if whole in seen:
            raise RecipeError(f"data.{part}: is the same file as data.{seen[whole]}; give another, or auto")
        seen[whole] = part
    counts = Counter(path.name for path in paths.values())
    names: dict[str, str | None] = dict.fromkeys(given)
    for part, path in paths.items():
        if counts[path.name] > 1:
            names[part] = f"{path.resolve().parent.name}/{path.name}"
    return names


def _same_columns(layout: Layout, settings: DataSettings, columns: Sequence[str], name: str) -> None:
    """The columns of a further file must be those of train."""
    needed = layout.needed() | {column for column in (settings.slice, settings.group) if column is not None}
    missing = [column for column in sorted(needed) if not is_among(column, columns)]
    if missing:
        raise DataError(f'{name}: has no column "{missing[0]}", which train has; it has {shown(columns)}')


def _column(record: Record, name: str | None) -> str | None:
    """A column's text, None where it is blank."""
    if name is None:
        return None
    value = value_at(record.values, name)
    text = "" if value is MISSING else as_text(value)
    return text if text.strip() else None


def _unused_columns(layout: Layout, source: Source, settings: DataSettings) -> list[str]:
    used = layout.used() | {settings.slice, settings.group}
    left = [column for column in source.columns if column not in used]
    return [f"not part of what the model sees: the columns {shown(left)}"] if left and layout.name != "text" else []


def _reasons(dropped: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{len(ids)} {reason}" for reason, ids in dropped.items()) or "none was given"
