"""Reading answers: fences, labels, normalisation."""

import pytest

from burnish.proof.answers import normalised, parse_label, unfenced


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        ("cube(1);", "cube(1);"),
        ("```openscad\ncube(1);\n```", "cube(1);"),
        ("Here you are:\n```\ncube(1);\nsphere(2);\n```\nEnjoy!", "cube(1);\nsphere(2);"),
        ("```python\ncube(1);", "cube(1);"),  # cut by its length
        ("~~~\na\n~~~", "a"),
        ("```\na\n```\nand\n```\nb\n```\n", "a\nand\nb\n"),
        ("in `code` and ``` inside", "in `code` and ``` inside"),
    ],
)
def test_fences_come_off(answer: str, seen: str) -> None:
    assert unfenced(answer, "cube(1);") == seen


def test_fences_stay_where_the_expected_answer_has_them() -> None:
    assert unfenced("```\na\n```", "```\na\n```") == "```\na\n```"


def test_normalised() -> None:
    assert normalised('  "The  Refund."\n') == "the refund"
    assert normalised("ﬁne") == "fine"
    assert normalised("...") == "..."
    assert normalised("3.5") != normalised("35")


LABELS = ("refund", "card lost", "card", "lost_luggage")


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("refund", "refund"),
        ("  Refund.\n", "refund"),
        ("**Refund**", "refund"),
        ("The answer is: refund", "refund"),
        ("Label: card_lost", "card lost"),
        ("lost luggage", "lost_luggage"),
        ("card\n\nIt is not a refund.", "card"),
        ("This is about a lost thing.\nSo: refund", "refund"),
        ("refund or card", None),
        ("refunds", None),
        ("", None),
        ("I cannot say.", None),
    ],
)
def test_labels_are_read_leniently(answer: str, label: str | None) -> None:
    assert parse_label(answer, LABELS) == label


def test_labels_that_only_signs_tell_apart() -> None:
    assert parse_label("C++", ("c", "c++")) == "c++"
    assert parse_label("I take c", ("c", "c++")) == "c"
    assert parse_label("-", ("+", "-")) == "-"
    assert parse_label("+", ("+", "-")) == "+"


def test_case_decides_only_between_labels_that_nothing_else_tells_apart() -> None:
    assert parse_label("Us", ("US", "Us")) == "Us"
    assert parse_label("us", ("US", "Us")) == "US"
