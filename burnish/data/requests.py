"""Requests without answers, read by the layout that training used: for `burnish generate`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from burnish.data.layout import Fault, Layout, find_layout, instructed
from burnish.data.settings import DataSettings, placeholders
from burnish.data.sources import Record, read_source
from burnish.errors import DataError, RecipeError, listed
from burnish.types import Message

ANSWER_FIELDS = ("completion", "label", "output")
STAND_IN = "?"  # where a record has no answer, so that the formats read it like any other


def read_requests(
    path: Path, settings: DataSettings, format_name: str, columns: Mapping[str, str]
) -> list[tuple[str, tuple[Message, ...]]]:
    """(id, turns before the answer) of every record, with the instruction of the training data before the first.

    `format_name` and `columns` (our name -> column) are what training found. An answer that a record has is left
    aside. Raises `DataError` for raw text, for empty requests and for whatever the formats refuse.
    """
    if format_name == "text":
        raise DataError(
            f"{path}: this run was trained on raw documents, which ask nothing; there is nothing to generate"
        )
    source = read_source(path)
    answers = [columns[field] for field in ANSWER_FIELDS if field in columns]
    left_aside = [*answers, *placeholders(settings.answer_template or "")]
    known = settings.model_copy(
        update={"format": format_name, "fields": dict(columns), "slice": None, "group": None, "labels": None}
    )
    try:
        layout = find_layout(known, [*source.columns, *(a for a in left_aside if a not in source.columns)], path.name)
    except RecipeError as error:
        raise DataError(f"{error} (these are the columns that training used)") from None
    if layout.answer:  # what it is made of may stand in the prompt, too
        layout = replace(layout, answer=STAND_IN)
    found, problems = [], []
    for record in source.records:
        try:
            turns = layout.format.turns(_answered(record, layout, answers), layout)
        except Fault as fault:
            problems.append(f"{record.where}: {fault}")
            continue
        if not turns:
            problems.append(f"{record.where}: asks nothing; take the record out")
            continue
        last = max(at for at, turn in enumerate(turns) if turn.trained)
        asked = tuple(Message(turn.role, turn.content) for turn in turns[:last])
        found.append((record.id, instructed(asked, settings.instruction)))
    if problems:
        raise DataError(listed(problems))
    return found


def _answered(record: Record, layout: Layout, answers: list[str]) -> Record:
    """The record with a stand-in for its answer."""
    values = dict(record.values)
    if layout.name == "chat":
        column = layout.columns["messages"]
        turns = values.get(column)
        if isinstance(turns, list) and turns and isinstance(turns[-1], dict):
            role, content = ("from", "value") if "from" in turns[-1] else ("role", "content")
            mine = "gpt" if role == "from" else "assistant"
            asked = turns[:-1] if turns[-1].get(role) in (mine, "assistant") else turns
            values[column] = [*asked, {role: mine, content: STAND_IN}]
    else:
        values |= dict.fromkeys(answers, STAND_IN)
    return replace(record, values=values)
