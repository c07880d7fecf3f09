"""What a file of records probably is, for `burnish init`: every guess is said, and is one line to change."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from burnish.data.choices import BEHIND, SAMPLE, beside, choice_columns, choices, paired, writable
from burnish.data.collecting import put_off
from burnish.data.dataset import Dataset, load
from burnish.data.formats import classification, completion, text
from burnish.data.layout import Layout, as_text, find_layout, spelled, value_at
from burnish.data.settings import DataSettings
from burnish.data.sources import Source, read_source
from burnish.errors import DataError, RecipeError
from burnish.types import TaskKind

MOST_LABELS = 200
NAMED_LABELS = 20  # labels that an instruction still lists
LABEL_HINTS = (
    *classification.FIELDS["label"],
    *("queue", "group", "status", "priority", "type", "area", "rating", "verdict", "outcome", "result", "decision"),
    *("answer", "target", "output", "urgency", "severity"),
)
CONTEXTS = (
    *("context", "contexts", "passage", "passages", "abstract", "background", "document", "article", "premise"),
    *("dialogue", "dialog", "conversation"),
)
_NUMBER = re.compile(r"[-+]?[\d.,\s]+%?$")
_STAMP = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|\d{1,2}:\d{2}")


@dataclass(frozen=True, slots=True)
class Guess:
    """A whole `data:` section and the kind of task, with what was seen."""

    settings: DataSettings
    kind: TaskKind
    metric: str  # "auto": chosen when the answers of train are known
    labels: tuple[str, ...] | None
    records: int
    format: str
    notes: tuple[str, ...] = ()
    dataset: Dataset | None = field(default=None, compare=False, repr=False)

    @property
    def fields(self) -> Mapping[str, str]:
        """Our names -> columns, as the recipe will say it."""
        return self.settings.fields

    @property
    def instruction(self) -> str | None:
        """The sentence put before every item."""
        return self.settings.instruction


@dataclass(frozen=True, slots=True)
class _Column:
    """What the values of a column look like."""

    name: str
    filled: float  # share of records in which it is not blank
    distinct: int
    share: float  # distinct values of all values
    length: float  # characters on average
    plain: bool  # no numbers, dates or links

    @property
    def is_label(self) -> bool:
        """Few short values, each met several times."""
        return self.filled > 0.8 and 2 <= self.distinct <= MOST_LABELS and self.share <= 0.34 and self.length <= 50

    @property
    def is_text(self) -> bool:
        """Long or at least various, and written by somebody."""
        return self.plain and self.length >= 8 and self.share > 0.3


@put_off()
def guess(path: Path) -> Guess:
    """Look at a file. Raises DataError where it cannot be read, or gives no idea what should be learned from it."""
    source = read_source(path)
    settings, notes = _settings(source)
    settings, said = beside(settings, source)
    try:
        dataset = load(settings, source=source)
    except RecipeError as error:
        raise DataError(str(error)) from None
    settings = _instructed(settings, dataset, chosen=any(note.endswith(BEHIND) for note in notes))
    if settings.instruction:
        dataset = load(settings, source=source)
    return Guess(
        settings, dataset.kind, "auto", dataset.labels, len(source.records), dataset.format, (*notes, *said), dataset
    )


def _instructed(settings: DataSettings, dataset: Dataset, *, chosen: bool) -> DataSettings:
    """The settings with a sentence that says what a classification wants; labels as found in train.

    `chosen`: the prompt ends with the choices, and a label is the mark of one.
    """
    if dataset.kind != "classify" or not dataset.labels:
        return settings
    labels = ", ".join(label.strip() for label in dataset.labels)
    if len(dataset.labels) > NAMED_LABELS or len(labels) > 400:
        sentence = "Classify the text. Answer with the label only."
    elif chosen:
        sentence = f"Choose the right answer. Answer with one of {labels} only."
    elif {label.strip().casefold() for label in dataset.labels} <= {"yes", "no", "maybe", "true", "false"}:
        sentence = f"Answer with one word: {labels}."
    else:
        sentence = f"Classify the text as one of: {labels}. Answer with the label only."
    return settings.model_copy(update={"instruction": sentence})


def _settings(source: Source) -> tuple[DataSettings, list[str]]:
    """The data section, without an instruction, and what should be said about it."""
    columns = {name: _look(source, name) for name in source.columns}
    start = DataSettings(train=str(source.path))
    found = _conversations(source) or _instances(source)
    if found:
        return start.model_copy(update=found), []
    try:
        layout = find_layout(start, source.columns, source.path.name)
    except RecipeError:
        return _by_looks(start, source, columns)
    if layout.name == "chat":  # a text of that name: lists of turns were found above
        return _by_looks(start, source, columns)
    if layout.name == "text":
        return _raw(start, layout.columns["text"], columns)
    if layout.name == "classification" and not columns[layout.columns["label"]].is_label and len(source.records) > 50:
        return _by_looks(start, source, columns)
    return _spelled(start, source, layout, columns)


def _spelled(
    start: DataSettings, source: Source, layout: Layout, columns: Mapping[str, _Column]
) -> tuple[DataSettings, list[str]]:
    """A layout that the column names gave; answers that are labels make it a classification."""
    fields = dict(layout.columns)
    if layout.name == "instruction":
        return start.model_copy(update={"format": "instruction", "fields": fields}), []
    ask, answer = ("text", "label") if layout.name == "classification" else ("prompt", "completion")
    notes: list[str] = []
    changes: dict[str, object] = {}
    classify = layout.name == "classification"
    prompt, said = _prompt(source, columns, fields[ask], fields.get(answer), fields.values(), classify=classify)
    if prompt is not None:
        changes["prompt"] = prompt
        del fields[ask]
    notes += said
    if layout.name == "completion" and columns[fields[answer]].is_label:
        fields = {"label": fields[answer], **({"text": fields[ask]} if ask in fields else {})}
        notes.append(f'the column "{fields["label"]}" holds few different answers, so they are taken as labels')
        return start.model_copy(update={"format": "classification", "fields": fields, **changes}), notes
    if classify:
        notes += _others(columns, fields["label"])
    return start.model_copy(update={"format": layout.name, "fields": fields, **changes}), notes


def _prompt(
    source: Source,
    columns: Mapping[str, _Column],
    ask: str,
    answer: str | None,
    taken: Iterable[str],
    *,
    classify: bool,
) -> tuple[str | None, list[str]]:
    """A question with what it cannot be judged without, and what is said about it; (None, []) where it stands alone."""
    pair = paired(list(columns)) if classify else None
    if pair is not None and ask in pair:
        return f"{{{pair[0]}}}\n\n{{{pair[1]}}}", []
    context = spelled([name for name, column in columns.items() if column.is_text or not classify], CONTEXTS, taken)
    listed, notes = choices(source, list(columns), answer)
    if context is not None and writable(context):
        notes = [f'the column "{context}" stands before the question', *notes]
        before = f"{{{context}}}\n\n"
    else:
        before = ""
    return (f"{before}{{{ask}}}{listed}", notes) if (before or listed) and writable(ask) else (None, [])


def _by_looks(start: DataSettings, source: Source, columns: Mapping[str, _Column]) -> tuple[DataSettings, list[str]]:
    """Columns whose names say nothing: a label has few short values, a text is long."""
    listed_in = choice_columns(list(columns))
    texts = sorted(
        (c for c in columns.values() if c.is_text and c.name not in listed_in), key=lambda column: -column.length
    )
    labels = [column for column in columns.values() if column.is_label]
    answer = spelled([column.name for column in texts], completion.FIELDS["completion"])
    label = spelled([column.name for column in labels], LABEL_HINTS) or (
        max(labels, key=lambda column: (column.plain, column.distinct)).name if labels and answer is None else None
    )
    if label is not None and texts:
        words = spelled([c.name for c in texts if c.name != label], classification.FIELDS["text"])
        ask = words or next((column.name for column in texts if column.name != label), None)
        if ask is not None:
            prompt, said = _prompt(source, columns, ask, label, [ask, label], classify=True)
            fields = {"label": label, **({"text": ask} if prompt is None else {})}
            found = {"format": "classification", "fields": fields, "prompt": prompt}
            return start.model_copy(update=found), [*said, *_others(columns, label)]
    if len(texts) > 1:
        names = [column.name for column in columns.values() if column in texts]
        prompt = spelled([n for n in names if n != answer], (*completion.FIELDS["prompt"], "text", "instruction"))
        prompt = prompt or next(name for name in names if name != answer)
        answer = answer or next(name for name in reversed(names) if name != prompt)
        note = f'guessed from the order and length of the columns: "{prompt}" asks, "{answer}" answers'
        fields = {"prompt": prompt, "completion": answer}
        return start.model_copy(update={"format": "completion", "fields": fields}), [note]
    if texts:
        return _raw(start, texts[0].name, columns)
    shown = ", ".join(f'"{name}"' for name in source.columns)
    raise DataError(
        f"{source.path.name}: cannot tell what should be learned from the columns {shown}; write a recipe with "
        "data.fields: {prompt: YOUR_COLUMN, completion: YOUR_COLUMN} or {text: YOUR_COLUMN, label: YOUR_COLUMN}"
    )


def _raw(start: DataSettings, column: str, columns: Mapping[str, _Column]) -> tuple[DataSettings, list[str]]:
    """Raw documents; pieces of one article stay on one side of the split."""
    fields = {} if column == "text" else {"text": column}
    names = [name for name in columns if columns[name].share < 0.9 and columns[name].filled == 1]
    group = spelled(names, (*text.COMPANIONS, "document_id", "article_id", "doc_id", "book", "source"))
    changes: dict[str, object] = {"format": "text", "fields": fields}
    notes = ["no column answers another, so the texts themselves are learned"]
    if group is not None and columns[group].distinct > 9:
        changes["group"] = group
        notes.append(f'records of one "{group}" stay on one side of the split')
    return start.model_copy(update=changes), notes


def _others(columns: Mapping[str, _Column], label: str) -> list[str]:
    others = [c.name for c in columns.values() if c.is_label and c.plain and c.name != label]
    return [f'"{label}" is taken as the label; other columns that could be one: {", ".join(others)}'] if others else []


def _conversations(source: Source) -> dict[str, object] | None:
    """A column of lists of turns."""
    for name in source.columns:
        values = [record.values.get(name) for record in source.records[:20]]
        turns = [value[0] for value in values if isinstance(value, list) and value and isinstance(value[0], dict)]
        if turns and all(("role" in turn or "from" in turn) for turn in turns):
            return {"format": "chat", "fields": {"messages": name}}
    return None


def _instances(source: Source) -> dict[str, object] | None:
    """Instructions whose inputs and outputs stand in a list (self-instruct): the first is used."""
    if "instruction" not in source.columns:
        return None
    for name in source.columns:
        first = value_at(source.records[0].values, f"{name}.0")
        if isinstance(first, dict) and "output" in first:
            fields = {"output": f"{name}.0.output"} | ({"input": f"{name}.0.input"} if "input" in first else {})
            return {"format": "instruction", "fields": {"instruction": "instruction", **fields}}
    return None


def _look(source: Source, name: str) -> _Column:
    values = [record.values.get(name) for record in source.records[:SAMPLE]]
    nested = any(isinstance(value, dict | list) for value in values)
    texts = [as_text(value) for value in values]
    written = [value for value in texts if value.strip()]
    counts = Counter(written)
    odd = sum(bool(_NUMBER.match(value) or _STAMP.match(value)) or "://" in value[:9] for value in written)
    return _Column(
        name,
        len(written) / len(values),
        len(counts) if not nested else 0,
        len(counts) / max(len(written), 1),
        sum(map(len, written)) / max(len(written), 1),
        odd < 0.5 * max(len(written), 1) and not any(isinstance(value, dict) for value in values[:20]),
    )


def recipe_yaml(guess: Guess, data_path: str, model: str) -> str:
    """A commented recipe; `data_path` as it should stand in it (relative to the recipe)."""
    settings = guess.settings
    lines = [
        f"# Written by `burnish init` from {Path(data_path).name} ({guess.records:,} records).",
        "# Every line can be changed; what is not here has a default, which `burnish check` shows.",
        *(f"# {note}" for note in guess.notes),
        "",
        f"model: {_yaml(model)}",
        "",
        "data:",
        f"  train: {_yaml(data_path)}",
        _noted(f"  format: {settings.format}", "chat, instruction, completion, classification or text"),
    ]
    if settings.fields:
        lines += [_noted(f"  fields: {_yaml(dict(settings.fields))}", "our name: your column")]
    written = (("prompt", settings.prompt), ("answer", settings.answer))
    lines += [f"  {name}: {json.dumps(text, ensure_ascii=False)}" for name, text in written if text]
    if settings.instruction:
        lines += ["  # put before every item; the prompted model and the tuned one get the same"]
        lines += [f"  instruction: {json.dumps(settings.instruction, ensure_ascii=False)}"]
    elif guess.kind == "generate" and guess.format != "chat":
        lines += ['  # instruction: "Say in one sentence what you want."   # put before every item']
    if settings.group:
        lines += [_noted(f"  group: {_yaml(settings.group)}", "equal values stay on one side of the split")]
    lines += [_held_out_line(settings), ""]
    lines += ["task:", _noted(f"  kind: {guess.kind}", "generate, classify or text")]
    lines += [_noted(f"  metric: {guess.metric}", "chosen by the answers; shown before anything runs"), ""]
    lines += [_noted("method: lora", "or full, bottleneck, prefix, prompt, ia3; [lora, full] compares"), ""]
    return "\n".join(lines)


def _held_out_line(settings: DataSettings) -> str:
    """How items are kept apart; a test file beside the data is pointed at."""
    path = Path(settings.train)
    for name in ("test", "held_out", "eval", "dev"):
        other = path.with_name(path.name.replace("train", name))
        if other != path and other.is_file():
            return _noted("  held_out: auto", f"kept apart for the verdict; {other.name} stands beside it")
    return _noted("  held_out: auto", "kept apart for the verdict: a fifth, 60 to 500 records; or a file")


def _noted(line: str, note: str) -> str:
    """A line of the recipe and what it means, in a column where it fits; YAML wants white space before a comment."""
    return f"{line:<32}  # {note}"


def _yaml(value: object) -> str:
    """A value on one line."""
    written = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
    return written.removesuffix("\n").removesuffix("\n...")
