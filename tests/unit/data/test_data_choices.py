"""Questions of several choices, and lists of words, as the public sets of the field write them."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burnish.data.dataset import load
from burnish.data.guess import Guess, guess, recipe_yaml
from burnish.data.settings import DataSettings
from burnish.errors import DataError, RecipeError

Write = Callable[..., Path]
WORDS = ["red", "blue", "green", "white"]


def _asked(found: Guess, ending: str) -> bool:
    assert found.dataset is not None
    return any(example.messages[-2].content.endswith(ending) for example in found.dataset.train)


@pytest.mark.parametrize(
    ("answers", "prompt", "first"),
    [
        (["0", "1", "2", "3"], "{question}\n\n{choices:0}", "0: red\n1: blue"),  # as MMLU and HellaSwag count
        ([0, 1, 2, 3], "{question}\n\n{choices:0}", "0: red\n1: blue"),
        (["1", "2", "3", "4"], "{question}\n\n{choices:1}", "1: red\n2: blue"),
        (["a", "b", "c", "d"], "{question}\n\n{choices:a}", "a: red\nb: blue"),
    ],
)
def test_choices_are_counted_as_the_answers_are(jsonl: Write, answers: list[Any], prompt: str, first: str) -> None:
    records = [{"question": f"which is {n}?", "choices": WORDS, "answer": answers[n % 4]} for n in range(60)]
    found = guess(jsonl(records))
    assert found.settings.prompt == prompt
    assert found.kind == "classify"
    assert found.instruction is not None
    assert found.instruction.startswith("Choose the right answer.")
    assert _asked(
        found, f"{first}\n{found.labels and found.labels[2]}: green\n{found.labels and found.labels[3]}: white"
    )


def test_choices_with_marks_of_their_own_keep_them(jsonl: Write) -> None:
    """ARC: most records have letters, some have numbers, and the answers go by them."""
    marks = [["A", "B", "C", "D"], ["1", "2", "3", "4"]]
    records = [
        {
            "question": f"which is {n}?",
            "choices": WORDS,
            "labels": marks[n % 7 == 0],
            "answer": marks[n % 7 == 0][n % 4],
        }
        for n in range(90)
    ]
    found = guess(jsonl(records))
    assert found.settings.prompt == "{question}\n\n{choices:labels}"
    assert _asked(found, "A: red\nB: blue\nC: green\nD: white")
    assert _asked(found, "1: red\n2: blue\n3: green\n4: white")


def test_choices_within_an_object_are_found(jsonl: Write) -> None:
    """ARC as its authors publish it: {"text": [...], "label": [...]}, and the answer is `answerKey`."""
    marks = [["A", "B", "C", "D"], ["1", "2", "3", "4"]]
    records = [
        {
            "id": f"q{n}",
            "question": f"which is {n}?",
            "choices": {"text": WORDS, "label": marks[n % 7 == 0]},
            "answerKey": marks[n % 7 == 0][n % 4],
        }
        for n in range(90)
    ]
    found = guess(jsonl(records))
    assert found.settings.prompt == "{question}\n\n{choices.text:choices.label}"
    assert dict(found.fields) == {"label": "answerKey"}
    assert _asked(found, "1: red\n2: blue\n3: green\n4: white")


def test_choices_behind_marks_are_found(jsonl: Write) -> None:
    """MedQA: {"A": ..., "B": ...}, and the answer as a text beside its letter."""
    records = [
        {
            "question": f"which is {n}?",
            "options": dict(zip("ABCD", WORDS, strict=True)),
            "answer": f"{WORDS[n % 4]} wine of {n}",
            "answer_idx": "ABCD"[n % 4],
        }
        for n in range(60)
    ]
    found = guess(jsonl(records))
    assert found.settings.prompt == "{question}\n\nA: {options.A}\nB: {options.B}\nC: {options.C}\nD: {options.D}"
    assert _asked(found, "A: red\nB: blue\nC: green\nD: white")


def test_tags_of_words_stand_beside_each_other_too(jsonl: Write) -> None:
    draw = random.Random(0)
    words, tags = ["In", "Smith", "of", "Leeds", "left"], ["O", "B-PER", "I-PER", "B-LOC"]
    records = [
        {"tokens": [*draw.sample(words, 5), str(n), "."], "ner": [draw.choice(tags) for _ in range(7)]}
        for n in range(40)
    ]
    found = guess(jsonl(records))
    assert (found.settings.prompt, found.settings.answer) == ("{tokens: }", "{ner: }")
    assert 'answer: "{ner: }"' in recipe_yaml(found, "data.jsonl", "m")
    assert found.dataset is not None
    assert {example.answer for example in found.dataset.train} <= {" ".join(record["ner"]) for record in records}


def test_endings_that_count_from_nought_are_all_shown(jsonl: Write) -> None:
    """SWAG: ending0 to ending3."""
    records = [
        {
            "sent": f"the {n} goes",
            "ending0": "up",
            "ending1": "down",
            "ending2": "left",
            "ending3": "on",
            "label": n % 4,
        }
        for n in range(60)
    ]
    found = guess(jsonl(records))
    assert found.settings.prompt == "{sent}\n\n0: {ending0}\n1: {ending1}\n2: {ending2}\n3: {ending3}"


def test_words_of_a_sentence_stand_beside_each_other(jsonl: Write) -> None:
    """A sentence cut into words is a sentence; a list of answers keeps a line for each."""
    cut = ["The", "disease", "was", "found", "in", "all", "of", "the", "patients", "seen"]
    records = [{"tokens": [*cut, str(n), "."], "entities": [f"disease {n}", "patients"]} for n in range(60)]
    found = guess(jsonl(records))
    assert found.settings.prompt == "{tokens: }"
    assert dict(found.fields) == {"completion": "entities"}
    assert found.dataset is not None
    asked = found.dataset.train[0].messages
    assert asked[-2].content.startswith("The disease was found in all of the patients")
    assert re.fullmatch(r"disease \d+\npatients", asked[-1].content)


def test_a_column_of_marks_has_one_for_each_choice(jsonl: Write) -> None:
    records = [{"q": f"{n}?", "c": ["x", "y"], "m": ["i", "ii"][: 1 + n % 2], "a": "i"} for n in range(30)]
    path = jsonl(records)
    settings = DataSettings(train=str(path), prompt="{q}\n{c:m}", answer="a", format="completion")
    with pytest.raises(DataError, match=r'"m" should hold a mark for each of the 2 items of "c"; found 1 item'):
        load(settings)
    with pytest.raises(RecipeError, match=r'data.prompt: data.jsonl has no column "M"'):
        load(settings.model_copy(update={"prompt": "{q}\n{c:M}"}))


PAIRS: list[tuple[dict[str, Any], str]] = [
    (
        {"goal": "How to {n}", "sol1": "up {n}", "sol2": "and down again {n}", "label": [0, 1]},
        "{goal}\n\n0: {sol1}\n1: {sol2}",
    ),  # PIQA
    (
        {"ind": "{n}", "ctx": "A man walks {n}", "endings": ["on and on {n}", "up the hill {n}"], "label": ["0", "1"]},
        "{ctx}\n\n{endings:0}",  # HellaSwag
    ),
    (
        {
            "context": "Kim met {n} of them",
            "question": "why?",
            "answerA": "for fun",
            "answerB": "for work",
            "label": ["1", "2"],
        },
        "{context}\n\n{question}\n\n1: {answerA}\n2: {answerB}",  # Social IQa
    ),
    ({"question": "is it {n}", "passage": "It is said to be {n}", "label": [0, 1]}, "{passage}\n\n{question}"),  # BoolQ
    (
        {"premise": "It rains, {n} drops", "hypothesis": "It is wet {n}", "label": [0, 1]},
        "{premise}\n\n{hypothesis}",
    ),  # NLI
    (
        {"sentence1": "It rains {n}", "sentence2": "It is wet {n}", "label": [0, 1]},
        "{sentence1}\n\n{sentence2}",
    ),  # MRPC
    ({"question": "what is {n}", "sentence": "It is wet {n}", "label": [0, 1]}, "{question}\n\n{sentence}"),  # QNLI
    (
        {
            "premise": "Rain fell {n}",
            "choice1": "wet",
            "choice2": "dry",
            "question": ["cause", "effect"],
            "label": [0, 1],
        },
        "{premise}\n\n{question}\n\n0: {choice1}\n1: {choice2}",  # COPA
    ),
]


@pytest.mark.parametrize(
    ("columns", "prompt"), PAIRS, ids=["piqa", "hellaswag", "siqa", "boolq", "nli", "mrpc", "qnli", "copa"]
)
def test_nothing_that_a_question_needs_is_left_out(jsonl: Write, columns: dict[str, Any], prompt: str) -> None:
    """The columns of the field's public sets, as their authors publish them."""

    def value(given: Any, n: int) -> Any:
        if isinstance(given, list) and "{" not in str(given):
            return given[n % 2]
        return (
            [item.replace("{n}", str(n)) for item in given] if isinstance(given, list) else given.replace("{n}", str(n))
        )

    found = guess(jsonl([{name: value(given, n) for name, given in columns.items()} for n in range(60)]))
    assert found.settings.prompt == prompt
    assert dict(found.fields) == {"label": "label"}
    assert found.kind == "classify"


def test_dialogues_in_a_text_are_no_chat_records(jsonl: Write) -> None:
    """SAMSum; and with a question and choices."""
    records = [
        {"id": f"{n}x", "dialogue": f"A: hi {n}\nB: hello", "summary": f"A greets B, time {n}"} for n in range(60)
    ]
    found = guess(jsonl(records, "samsum.jsonl"))
    assert (found.format, dict(found.fields)) == ("completion", {"prompt": "dialogue", "completion": "summary"})
    asked = [
        {"dialogue": f"A: hi {n}\nB: hello", "question": f"who is {n}?", "choices": WORDS, "answer": "ABCD"[n % 4]}
        for n in range(60)
    ]
    assert guess(jsonl(asked, "dream.jsonl")).settings.prompt == "{dialogue}\n\n{question}\n\n{choices:A}"


def test_columns_that_no_template_can_name_are_still_guessed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f"text number {n},what is {n}?,some answer {n}\n" for n in range(60))
    path.write_text("Context:,Question:,Answer:\n" + rows, encoding="utf-8")
    found = guess(path)
    assert found.settings.prompt is None
    assert dict(found.fields) == {"prompt": "Question:", "completion": "Answer:"}


def test_marks_need_a_list(jsonl: Write) -> None:
    """A cell of a CSV that looks like a list is a text, and would stand there without the letters that answers name."""
    path = jsonl([{"q": f"{n}?", "options": "['red', 'blue']", "a": "A"} for n in range(30)])
    with pytest.raises(DataError, match=r'"options" holds no list, so its items cannot be marked'):
        load(DataSettings(train=str(path), prompt="{q}\n{options:A}", answer="a", format="completion"))
