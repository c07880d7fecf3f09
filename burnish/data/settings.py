"""The `data:` section of a recipe."""

import functools
import string
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from burnish.errors import RecipeError


def _part(value: object) -> object:
    """A count, a share, "auto" or a file; every other spelling is met with a sentence."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError('expected "auto", a whole number (a count), a fraction (a share) or the path of a file')
    if isinstance(value, int) and value < 1:
        raise ValueError(f"found {value}; a count is at least 1")
    if isinstance(value, float) and not 0 < value < 1:
        raise ValueError(f"found {value}; a share lies between 0 and 1, and a count has no decimal point")
    if isinstance(value, str) and not value.strip():
        raise ValueError('expected "auto", a count, a share or the path of a file; found an empty text')
    return value


MARKS = {
    "A": list(string.ascii_uppercase),
    "a": list(string.ascii_lowercase),
    "1": [str(number) for number in range(1, 100)],
    "0": [str(number) for number in range(100)],
}  # before the items of a list
BLANK = " "  # {tokens: }: the items of a list with a blank between instead of a line each


Piece = tuple[str, str | None, str]  # text, column after it, how its list is written


def placeholders(template: str) -> list[str]:
    """The columns that a template such as "{question}" needs, those of marks included. Raises RecipeError."""
    return columns_of(pieces(template))


def columns_of(parts: Iterable[Piece]) -> list[str]:
    """The columns that these pieces of a template need."""
    named = [(name, mark) for _, name, mark in parts if name is not None]
    return [
        column for name, mark in named for column in (name, mark) if column is name or mark not in ("", BLANK, *MARKS)
    ]


@functools.cache
def pieces(template: str) -> tuple[Piece, ...]:
    """(text, column after it, how its list is written) of a template; `{{` is a brace. Raises RecipeError.

    `{choices:A}` (a, 1, 0) writes a list with a letter or a number before each item, `{choices:labels}` with the items
    of the column `labels`, `{tokens: }` with blanks between the items; `{choices.text}` is what stands under `text` in
    the object `choices`.
    """
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise RecipeError(f'"{template}": {error}; write {{{{ or }}}} for a brace that belongs to the text') from None
    found = []
    for text, name, mark, conversion in parts:
        plain = name is None or (_plain_name(name) and (not mark or mark in (BLANK, *MARKS) or _plain_name(mark)))
        if not plain or conversion:
            whole = f"{name}" + (f"!{conversion}" if conversion else "") + (f":{mark}" if mark else "")
            raise RecipeError(
                f'"{template}": {{{whole}}} is no plain column name ("[" "!" and formats after ":" are refused); '
                "write {column}, and {{ or }} for a brace that belongs to the text"
            )
        found.append((text, name, mark or ""))
    return tuple(found)


def _plain_name(name: str) -> bool:
    """Whether a name can be a column's, or lead into one by dots."""
    return all(part.strip() for part in name.split(".")) and name[0] not in "<>=^" and not set(name) & set("[]!:{}")


Part = Annotated[int | float | str, BeforeValidator(_part)]


class Limit(BaseModel):
    """How many records of a part are used at most; the others are counted as unused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    train: int | None = Field(default=None, ge=1)
    """Training records at most, counted after validation is cut, drawn with the seed."""
    held_out: int | None = Field(default=None, ge=1)
    """Held-out records at most, drawn with the seed."""


class DataSettings(BaseModel):
    """What is read, how its columns are understood, and how it is split."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    train: str
    """File of records: .jsonl, .json, .csv, .tsv or .txt."""
    validation: Part = "auto"
    """Cut from train: a count, a share, a file, or auto (a tenth, at least 20 (a fifth under 100), at most 200)."""
    held_out: Part = "auto"
    """Never trained on, opened once: a count, a share, a file, or auto (a fifth, at least 60 of 240, at most 500)."""
    format: str = "auto"
    """chat, instruction, completion, classification or text; auto goes by the columns."""
    fields: dict[str, str] = Field(default_factory=dict)
    """Our name for a field -> your column, as in {text: comment, label: team}."""
    prompt: str | None = None
    """The prompt written from columns, as in "{title}: {question}"; {{ is a brace."""
    answer: str | None = None
    """The answer: a column, or a text written from columns as for prompt."""
    instruction: str | None = None
    """Text put before the prompt of every item, with a blank line between."""
    chat_template: str = "auto"
    """auto (the model's own), plain, chatml, or the path of a Jinja file."""
    labels: list[str] | None = None
    """The label set of a classification; without it the labels found in train."""
    slice: str | None = None
    """Column by which results are also shown apart."""
    group: str | None = None
    """Column whose equal values always stay on one side of a split."""
    limit: Limit = Limit()
    """At most so many records of train and of held_out."""
    seed: int = Field(default=0, ge=0)
    """Chooses the split and the draw of `limit`."""

    @property
    def answer_template(self) -> str | None:
        """`answer` as a template: a column's plain name stands for the column."""
        return self.answer if self.answer is None or "{" in self.answer else "{" + self.answer + "}"

    @field_validator("prompt", "answer")
    @classmethod
    def _plain_names(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                placeholders(value)
            except RecipeError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("prompt", "answer", "instruction", "train", "format", "chat_template", "slice", "group")
    @classmethod
    def _not_blank(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("is empty; leave the field out or give it a value")
        return value

    @field_validator("labels", mode="before")
    @classmethod
    def _quoted(cls, value: object) -> object:
        wrong = (
            next((label for label in value if not isinstance(label, str)), None) if isinstance(value, list) else None
        )
        if wrong is not None:
            raise ValueError(f'found {wrong!r} among the labels; put labels such as "yes", "no" and "1" in quotes')
        return value

    @field_validator("labels")
    @classmethod
    def _distinct(cls, value: list[str] | None) -> list[str] | None:
        if value is None:
            return value
        if len(value) < 2:
            raise ValueError(f"holds {len(value)} label(s); a classification needs at least two")
        twice = sorted({label for label in value if value.count(label) > 1})
        if twice:
            raise ValueError(f"names {twice[0]!r} more than once")
        if any(not label.strip() for label in value):
            raise ValueError("holds an empty label")
        return value
