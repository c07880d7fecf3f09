"""pictures.json: which items are drawn, under which texts, and that a failing picture ends nothing."""

from pathlib import Path

import pytest

from burnish.files import read_json, read_jsonl, write_jsonl
from burnish.report.build import read
from burnish.report.pictures import LARGEST, chosen_items, outcomes, write_pictures


@pytest.fixture
def run(run_directory: Path) -> Path:
    """The run by hand with a text of its own for every answer and reference; `simple` answers in a fence."""
    path = run_directory / "samples.jsonl"
    lines = [
        {**line, "answer": f"{line['arm']} {line['item']}", "expected": f"right {line['item']}"}
        for line in read_jsonl(path)
    ]
    fenced = [{**line, "answer": f"```\n{line['answer']}\n```"} if line["arm"] == "simple" else line for line in lines]
    write_jsonl(path, fenced)
    return run_directory


def drawn(run: Path) -> dict[str, str]:
    found = read_json(run / "pictures.json")
    assert isinstance(found, dict)
    return found


def test_references_and_every_arm_s_answers_of_the_held_out_items_are_drawn(run: Path) -> None:
    asked: list[str] = []

    def picture(text: str) -> str:
        asked.append(text)
        return f"<svg>{text}</svg>"

    assert write_pictures(run, picture) == []
    found = drawn(run)
    assert len(found) == 20 * 6  # references and five arms
    assert found["right held_out.jsonl:1"] == "<svg>right held_out.jsonl:1</svg>"
    assert found["```\nsimple held_out.jsonl:1\n```"] == "<svg>simple held_out.jsonl:1</svg>"
    assert not any("validation" in text for text in found)
    assert len(asked) == len(set(asked))


def test_broken_fixed_wrong_and_right_items_take_turns(run: Path) -> None:
    kept = read(run)
    lines = [{**line, "score": 0.0} if (line["arm"], line["item"]) == ("tuned", "held_out.jsonl:2") else line
             for line in kept.chosen(kept.part)]  # fmt: skip
    # of 20 items: broken 2; both right 1, 3, 4, 5, 13, 14; both wrong 18, 19, 20; the rest fixed
    chosen = [int(item.rpartition(":")[2]) for item in chosen_items(lines, kept, most=8)]
    assert chosen == [2, 6, 18, 1, 7, 19, 3, 8]
    assert len(set(chosen_items(lines, kept))) == 20


def test_what_most_items_are_does_not_make_it_right(run: Path) -> None:
    kept = read(run)
    lines = [{**line, "score": 0.0} if int(str(line["item"]).rpartition(":")[2]) > 5 else line
             for line in kept.chosen(kept.part)]  # fmt: skip
    found = {name: len(items) for name, items in outcomes(lines, kept).items()}
    assert found["wrong"] == 15  # for both
    assert found["right"] + found["fixed"] + found["broken"] == 5


def test_equal_items_are_right_where_lower_is_better_too(run: Path) -> None:
    kept = read(run)
    task = next(event for event in kept.events if event["event"] == "task")
    task["metrics"][0]["better"] = "lower"
    lines = [{**line, "score": 0.0 if int(str(line["item"]).rpartition(":")[2]) > 5 else 1.0}
             for line in kept.chosen(kept.part)]  # fmt: skip
    found = {name: len(items) for name, items in outcomes(lines, kept).items()}
    assert found == {"broken": 0, "fixed": 0, "wrong": 5, "right": 15}


def test_no_more_items_than_allowed(run: Path) -> None:
    kept = read(run)
    assert len(chosen_items(kept.chosen(kept.part), kept, most=3)) == 3


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("<svg>" + "x" * LARGEST, "a picture of 60,005 characters"),
        ("<img>", "begins with <svg"),
        (7, "begins with <svg"),
        (None, None),
    ],
)
def test_what_is_no_picture_is_left_out_and_named_once(run: Path, given: object, why: str | None) -> None:
    failed = write_pictures(run, lambda _: given)  # type: ignore[arg-type, return-value]
    assert drawn(run) == {}
    assert len(failed) == (why is not None)
    assert why is None or why in failed[0]


def test_a_picture_that_raises_ends_nothing(run: Path) -> None:
    def picture(text: str) -> str:
        if text.startswith("tuned"):
            raise RuntimeError("no paint left")
        return "<svg/>"

    assert write_pictures(run, picture) == ["the metric's picture failed: RuntimeError: no paint left"]
    assert len(drawn(run)) == 20 * 5
