"""How the columns of a file are understood: which format, and which column is which field."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

from burnish.data.settings import BLANK, MARKS, DataSettings, columns_of, pieces, placeholders
from burnish.data.sources import Record
from burnish.errors import RecipeError
from burnish.registry import did_you_mean, module_named, names_in
from burnish.types import Message, TaskKind

PACKAGE = "burnish.data.formats"


class Fault(Exception):  # noqa: N818 - it never leaves the package
    """What is wrong with one record; the caller adds the place."""


class Format(Protocol):
    """What a module in `burnish.data.formats` offers."""

    FIELDS: Mapping[str, tuple[str, ...]]
    REQUIRED: tuple[str, ...]
    KIND: TaskKind
    RANK: int
    PROMPTED: bool
    COMPANIONS: tuple[str, ...] | None

    def turns(self, record: Record, layout: "Layout") -> tuple[Message, ...]:
        """The messages of a record; () where it is empty. Raises Fault."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A format and where its fields are found."""

    name: str
    format: Format
    columns: Mapping[str, str]  # our name -> column, only those that are there
    prompt: str | None
    answer: str | None

    def text(self, record: Record, name: str) -> str:
        """A field as text: "" where the layout has no such field. Raises Fault where a required one is missing."""
        if name not in self.columns:
            return ""
        column = self.columns[name]
        value = value_at(record.values, column)
        if value is MISSING:
            if name in self.format.REQUIRED:
                raise Fault(f'has no field "{column}"; it has {shown(record.values)}')
            return ""
        return as_text(value)

    def value(self, record: Record, name: str) -> object:
        """A field as it stands in the record, None where it is missing."""
        found = value_at(record.values, self.columns[name]) if name in self.columns else None
        return None if found is MISSING else found

    def filled(self, record: Record, template: str) -> str:
        """A template such as "{question}" with the record's columns in it; "" where all of them are empty."""
        parts = pieces(template)
        for name in columns_of(parts):
            if value_at(record.values, name) is MISSING:
                raise Fault(f'has no field "{name}", which "{template}" names; it has {shown(record.values)}')
        fillings = [_written(record, name, mark) if name is not None else "" for _, name, mark in parts]
        if any(name is not None for _, name, _ in parts) and not any(filling.strip() for filling in fillings):
            return ""
        return "".join(text + filling for (text, _, _), filling in zip(parts, fillings, strict=True))

    def needed(self) -> set[str]:
        """The columns without which no record can be read."""
        names = {column for field, column in self.columns.items() if field in self.format.REQUIRED}
        for template in filter(None, (self.prompt, self.answer)):
            names.update(placeholders(template))
        return names

    def used(self) -> set[str]:
        """Every column that the messages are made from."""
        names = self.needed() | set(self.columns.values())
        return names | {name.split(".")[0] for name in names}


def _written(record: Record, name: str, mark: str) -> str:
    """What stands for a placeholder. Raises Fault where a column of marks does not fit the list that it marks."""
    value = value_at(record.values, name)
    if not isinstance(value, list) or not mark:
        if mark not in ("", BLANK) and as_text(value).strip():
            raise Fault(f'"{name}" holds no list, so its items cannot be marked; write {{{name}}}, or make it a list')
        return as_text(value)
    if mark == BLANK:
        return BLANK.join(as_text(item) for item in value)
    signs = MARKS.get(mark) or value_at(record.values, mark)
    if mark not in MARKS and (not isinstance(signs, list) or len(signs) != len(value)):
        found = f"{len(signs)} items" if isinstance(signs, list) else "no list"
        raise Fault(f'"{mark}" should hold a mark for each of the {len(value)} items of "{name}"; found {found}')
    if not isinstance(signs, list) or len(value) > len(signs):  # none is left out for want of a sign
        return as_text(value)
    return "\n".join(f"{as_text(sign)}: {as_text(item)}" for sign, item in zip(signs, value, strict=False))


def instructed(turns: tuple[Message, ...], instruction: str | None) -> tuple[Message, ...]:
    """The instruction and a blank line before the first user turn, or else before whatever opens the conversation."""
    if instruction is None:
        return turns
    plain = [at for at, turn in enumerate(turns) if turn.role != "system"]
    first = next((at for at in plain if turns[at].role == "user"), plain[0])
    turn = replace(turns[first], content=f"{instruction}\n\n{turns[first].content}")
    return (*turns[:first], turn, *turns[first + 1 :])


class _Missing:
    """A field that a record does not have, as against one that is empty."""


MISSING = _Missing()


def value_at(values: Mapping[str, object], column: str) -> object:
    """A column's value; "instances.0.input" reaches into lists and objects where no column has the whole name."""
    if column in values:
        return values[column]
    found: object = values
    for part in column.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return MISSING
    return found


def is_among(column: str, columns: Sequence[str]) -> bool:
    """Whether a file with these columns has this one, or what it leads into by dots."""
    return column in columns or column.split(".")[0] in columns


def as_text(value: object) -> str:
    """A value as text: lists of texts on lines, objects as JSON, nothing for null."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return "\n".join(as_text(item) for item in value)
    return json.dumps(value, ensure_ascii=False)


def shown(names: Iterable[str], most: int = 12) -> str:
    """Names for a message, in quotes."""
    listed = [f'"{name}"' for name in names]
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def formats() -> dict[str, Format]:
    """Every format, the one tried first in front."""
    found = {name: format_named(name) for name in names_in(PACKAGE)}
    return dict(sorted(found.items(), key=lambda item: (item[1].RANK, item[0])))


def format_named(name: str) -> Format:
    """The format module of this name. Raises RecipeError."""
    module = module_named(PACKAGE, name)
    if module is None:
        known = names_in(PACKAGE)
        raise RecipeError(
            f'data.format: "{name}" is unknown; expected auto, {", ".join(known)}.{did_you_mean(name, known)}'
        )
    return cast(Format, module)


def find_layout(settings: DataSettings, columns: Sequence[str], name: str) -> Layout:
    """The layout for the columns of file `name`. Raises RecipeError where none fits, with what would."""
    _check_names(settings, columns, name)
    if settings.format != "auto":
        form = format_named(settings.format)
        layout, missing = _fit(settings.format, form, settings, columns)
        if missing:
            raise RecipeError(_missing(settings.format, form, missing, columns, name))
        return layout
    found = formats()
    if _prompted(settings):  # written prompts say nothing about the columns: the plainest format that fits
        found = dict(sorted(found.items(), key=lambda item: (item[0] != "completion", item[0] != "classification")))
    for format_name, form in found.items():
        if not set(settings.fields) <= set(form.FIELDS) or (_prompted(settings) and not form.PROMPTED):
            continue
        layout, missing = _fit(format_name, form, settings, columns)
        if not missing and (settings.fields or _alone(layout, columns)):
            return layout
    raise RecipeError(
        f"{name}: the columns {shown(columns)} fit no format. Say which is which, as in "
        "data.fields: {prompt: YOUR_COLUMN, completion: YOUR_COLUMN}, {text: ..., label: ...} or {text: ...}; "
        f'or let "burnish init {name}" guess'
    )


def _alone(layout: Layout, columns: Sequence[str]) -> bool:
    """Whether the columns beside those of the layout are ones that this format may leave aside unasked."""
    if layout.format.COMPANIONS is None:
        return True
    allowed = {_plain(name) for name in layout.format.COMPANIONS}
    return all(column in layout.columns.values() or _plain(column) in allowed for column in columns)


def _prompted(settings: DataSettings) -> bool:
    return settings.prompt is not None or settings.answer is not None


def _fit(name: str, form: Format, settings: DataSettings, columns: Sequence[str]) -> tuple[Layout, list[str]]:
    """A layout and the required fields that no column has."""
    found: dict[str, str] = {}
    taken = set(settings.fields.values())
    for field, spellings in form.FIELDS.items():
        if field in settings.fields:
            found[field] = settings.fields[field]
        elif (column := spelled(columns, spellings, taken)) is not None:
            found[field] = column
            taken.add(column)
    answer = settings.answer_template
    supplied = (["prompt", "text", "instruction"] if settings.prompt else []) + (
        ["completion", "label", "output"] if answer else []
    )
    if form.PROMPTED:
        found = {field: column for field, column in found.items() if field not in supplied}
        if settings.prompt and "input" not in settings.fields:
            found.pop("input", None)
    missing = [field for field in form.REQUIRED if field not in found and not (form.PROMPTED and field in supplied)]
    return Layout(name, form, found, settings.prompt, answer), missing


def spelled(columns: Sequence[str], spellings: Sequence[str], taken: Iterable[str] = ()) -> str | None:
    """The first column written like one of the spellings, earlier spellings first; case, blanks and _ do not count."""
    free = {_plain(column): column for column in reversed(columns) if column not in set(taken)}
    return next((free[_plain(spelling)] for spelling in spellings if _plain(spelling) in free), None)


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def _check_names(settings: DataSettings, columns: Sequence[str], name: str) -> None:
    """Every column and field that the settings name must exist."""
    known = {field for form in formats().values() for field in form.FIELDS}
    if settings.format != "auto":
        known = set(format_named(settings.format).FIELDS)
    for field in settings.fields:
        if field not in known:
            raise RecipeError(
                f'data.fields: "{field}" is no field of ours; expected some of {shown(sorted(known))}, each with '
                f"your column after it.{did_you_mean(field, known)}"
            )
    named = [(f"data.fields.{field}", column) for field, column in settings.fields.items()]
    named += [("data.slice", settings.slice)] if settings.slice else []
    named += [("data.group", settings.group)] if settings.group else []
    if settings.prompt:
        named += [("data.prompt", column) for column in placeholders(settings.prompt)]
    if settings.answer_template:
        named += [("data.answer", column) for column in placeholders(settings.answer_template)]
    for place, column in named:
        if not is_among(column, columns):
            raise RecipeError(
                f'{place}: {name} has no column "{column}"; it has {shown(columns)}.{did_you_mean(column, columns)}'
            )
    if settings.format != "auto" and _prompted(settings) and not format_named(settings.format).PROMPTED:
        raise RecipeError(f"data.prompt and data.answer: do not apply to the format {settings.format}; leave them out")


def _missing(format_name: str, form: Format, missing: list[str], columns: Sequence[str], name: str) -> str:
    spellings = "; ".join(f"{field} (or {', '.join(form.FIELDS[field][1:5])})" for field in missing)
    return (
        f"{name}: the format {format_name} needs {spellings}, and the columns are {shown(columns)}. "
        f"Name your column, as in data.fields: {{{missing[0]}: YOUR_COLUMN}}"
    )
