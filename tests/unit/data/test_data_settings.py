"""The data section of a recipe: what it takes, and the sentence for what it does not."""

from typing import Any

import pytest
from pydantic import ValidationError

from burnish.data.settings import DataSettings, placeholders
from burnish.errors import RecipeError


def _with(name: str, value: Any) -> DataSettings:
    return DataSettings.model_validate({"train": "a.csv", name: value})


def _refusal(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        DataSettings(**{"train": "a.csv", **fields})
    return str(caught.value)


@pytest.mark.parametrize("part", ["validation", "held_out"])
def test_a_part_is_auto_a_count_a_share_or_a_file(part: str) -> None:
    for value in ("auto", 60, 0.25, "/data/test.csv"):
        assert getattr(_with(part, value), part) == value
    assert isinstance(getattr(_with(part, 60), part), int)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        *((0, "a count is at least 1"), (-3, "at least 1"), (1.0, "between 0 and 1"), (0.0, "between 0 and 1")),
        *((True, "expected"), (None, "expected"), ([1], "expected"), (" ", "empty"), (float("nan"), "between")),
    ],
)
def test_other_parts_are_refused(value: object, words: str) -> None:
    assert words in _refusal(held_out=value)


def test_unknown_fields_and_wrong_types_are_refused() -> None:
    assert "heldout" in _refusal(heldout=3)
    assert "greater than or equal to 1" in _refusal(limit={"train": 0})
    assert "is empty" in _refusal(instruction=" ")


def test_labels_must_be_distinct_texts() -> None:
    assert 'put labels such as "yes", "no" and "1" in quotes' in _refusal(labels=[True, False])
    assert "more than once" in _refusal(labels=["a", "a"])
    assert "at least two" in _refusal(labels=["a"])
    assert "empty label" in _refusal(labels=["a", " "])


def test_templates_take_plain_names_only() -> None:
    assert placeholders("{title}: {Ticket text} {{x}} }}") == ["title", "Ticket text"]
    assert placeholders("{choices.text:choices.label} {tokens: } {c:A}") == [
        "choices.text",
        "choices.label",
        "tokens",
        "c",
    ]
    for template in ("{a..b}", "{a.}", "{a:.2f}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{ }", "{a", "a}"):
        with pytest.raises(RecipeError, match="brace"):
            placeholders(template)
        assert "brace" in _refusal(prompt=template)


def test_every_field_is_described() -> None:
    """The help text is the string under the field; nothing else explains it."""
    assert [name for name, field in DataSettings.model_fields.items() if not field.description] == []
