"""The probes: authored items, checks of answers, the lines they write, and the task's format."""

import json
import random
from pathlib import Path
from typing import ClassVar

import pytest

from burnish.generation.decode import Generated
from burnish.proof.probe import MOST_TOKENS, Asking, Item, chunks_of
from burnish.proof.probes import general_text, knowledge, requests
from burnish.proof.probes.requests import ordinary_answers, passes, spoken
from burnish.proof.spill_over import Format, learn
from tests.unit.proof.test_proof_measure import Fake, Letters

CAD = Path(__file__).parents[3] / "recipes" / "cad" / "train.jsonl"
PROBES = (knowledge.probe, general_text.probe, requests.probe)
TABLES = ("state", "city", "river", "lake", "border", "road")


def asking(task_format: Format | None = None, engine: Fake | None = None, room: int = 5000) -> Asking:
    decode = lambda ids: "".join(map(chr, ids))  # noqa: E731
    return Asking("tuned", engine or Fake(), Letters(), decode, room, 7, task_format)


def programs() -> list[str]:
    return [json.loads(row)["completion"] for row in CAD.read_text(encoding="utf-8").splitlines()]


def queries(count: int = 120) -> list[str]:
    """SQL as a task would have it."""
    draw = random.Random(0)
    return [
        f"SELECT {a}0.{a.upper()}_NAME FROM {a.upper()} AS {a}0 WHERE {a}0.POPULATION > {draw.randrange(10**6)} ;"
        for a in draw.choices(TABLES, k=count)
    ]


def chat(count: int = 120) -> list[str]:
    """Plain prose, as an assistant writes it."""
    draw = random.Random(0)
    given = ordinary_answers()
    return [" ".join(draw.sample(given, 2)) for _ in range(count)]


def test_items_are_many_and_distinct() -> None:
    counts = {probe.name: len(probe.items()) for probe in PROBES}
    assert counts == {"knowledge": 100, "general_text": 20, "requests": 40}
    for probe in PROBES:
        items = probe.items()
        assert len({item.id for item in items}) == len({item.text for item in items}) == len(items)
    for item in knowledge.probe.items():
        assert len({item.right, *item.wrong}) == 4, item.id
    for item in requests.probe.items():
        assert "contains" in item.check, f"{item.id}: another task's answer could pass without a word of its own"


def test_chunks_hold_every_item_once_and_leave_out_what_does_not_fit() -> None:
    for probe in PROBES:
        chunks = chunks_of(probe, asking())
        assert [item for chunk in chunks for item in chunk] == probe.items()
        assert max(map(len, chunks)) == probe.chunk
    short = asking(room=MOST_TOKENS + 20)  # letters are tokens here
    kept = [item.text for chunk in chunks_of(requests.probe, short) for item in chunk]
    assert kept == [item.text for item in requests.probe.items() if len(item.text) < 20]


class Likes(Fake):
    """Gives each option a likelihood of its own per letter."""

    nats: ClassVar[dict[str, float]] = {"Paris": -1.0, "Rome": -2.0, "London": -0.5, "Bonn": -0.5}

    def continuations(self, prompts: object, continuations: list[list[list[int]]]) -> list[list[float]]:  # type: ignore[override]
        return [[self.nats["".join(map(chr, ids))] * len(ids) for ids in row] for row in continuations]


def test_knowledge_is_right_where_the_right_option_is_the_likeliest_per_token() -> None:
    items = [
        Item("a", "Where?", "Paris", ("Rome",)),
        Item("b", "Where?", "Paris", ("Rome", "London")),
        Item("c", "Where?", "London", ("Bonn",)),  # a tie is not right
    ]
    first, second, third = knowledge.probe.measure(items, asking(engine=Likes()))
    assert (first["answer"], first["score"], first["other_scores"]) == ("Paris", 1.0, {"margin": 1.0})
    assert (second["answer"], second["score"], second["other_scores"]) == ("London", 0.0, {"margin": -0.5})
    assert (third["answer"], third["score"], third["other_scores"]) == ("Bonn", 0.0, {"margin": 0.0})
    assert (first["reference_nats"], first["reference_tokens"]) == (5.0, 5)
    assert first["label_scores"] == {"Paris": -1.0, "Rome": -2.0}
    assert first["asked"] == "Where?"
    assert (first["prompt"], first["prompt_tokens"], first["expected"]) == ("Where?|", 7, "Paris")


def test_general_text_is_nats_per_token() -> None:
    items = general_text.probe.items()[:2]
    found = general_text.probe.measure(items, asking(room=50))
    assert [line["score"] for line in found] == [0.5, 0.5]
    assert found[0]["expected"] == items[0].text
    assert found[0]["scoring"] == "likelihood"


class Says(Fake):
    """Gives the same answer to every prompt."""

    said = "Paris"

    def generate(self, prompts: object) -> list[Generated]:
        return [Generated(tuple(map(ord, self.said)), "end") for _ in prompts]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("said", "format_", "score", "spill"),
    [
        ("Paris", Format(frozenset({"paris"})), 1.0, 0),  # right, whatever the format is
        ("NUM", Format(frozenset({"num"})), 0.0, 1),
        ("Berlin", Format(frozenset({"num"})), 0.0, 0),
        ("NUM", None, 0.0, None),
    ],
)
def test_spill_over_is_an_answer_in_the_tasks_format_that_is_not_right(
    said: str, format_: Format | None, score: float, spill: int | None
) -> None:
    engine = Says()
    engine.said = said
    [line] = requests.probe.measure(requests.probe.items()[:1], asking(format_, engine))
    assert (line["answer"], line["score"], line["other_scores"]) == (said, score, {"spill_over": spill})
    assert (line["item"], line["slice"], line["part"], line["seed"]) == (
        "requests:capital-france",
        "requests",
        "retention",
        7,
    )
    assert line["expected"] == "one of: Paris"


@pytest.mark.parametrize(
    ("answer", "check", "passed"),
    [
        ("It is Paris.", {"contains": ["paris"]}, True),
        ("Comparison", {"contains": ["paris"]}, False),
        ("", {"contains": ["a"]}, False),
        ("1. a\n2. b\n3. c", {"items": 3}, True),
        ("a, b and c", {"items": 3}, False),
        ("a, b, c", {"items": 3}, True),
        ("one two three", {"words": [4, 9]}, False),
        ("one\n\ntwo\nthree", {"lines": 3}, True),
        ("one\n\ntwo", {"lines": 3}, False),
    ],
)
def test_checks(answer: str, check: dict[str, object], passed: bool) -> None:
    assert passes(answer, check) is passed


def test_checks_are_spoken() -> None:
    assert (
        spoken({"contains": ["a", "b"], "words": [3, 9], "items": 2}) == "one of: a, b; 3 to 9 words; at least 2 items"
    )


def test_a_label_set_is_told_with_what_is_around_it() -> None:
    told = learn([], ordinary_answers(), ["NUM", "card_arrival"])
    assert told is not None
    for answer in ("NUM", "num.", "card_arrival", "NUM\nNUM\nNUM"):
        assert told.holds(answer)
    for answer in ("", "The number is 7.", "Paris", "1. apple\n2. num"):
        assert not told.holds(answer)


def test_answers_that_repeat_are_a_set() -> None:
    told = learn(["yes", "No.", "maybe"] * 20 + ["it depends"], ordinary_answers())
    assert told is not None
    assert told.answers == {"yes", "no", "maybe"}


@pytest.mark.parametrize("answers", [programs(), queries(), programs()[:40]], ids=["cad", "sql", "few"])
def test_a_notation_is_told_from_answers_never_seen(answers: list[str]) -> None:
    told = learn(answers[: len(answers) * 3 // 4], ordinary_answers())
    assert told is not None
    unseen = answers[len(answers) * 3 // 4 :]
    assert sum(map(told.holds, unseen)) >= 0.95 * len(unseen)
    assert not [text for text in ordinary_answers() if told.holds(text)]
    plain = [
        "To be frank, I would rather stay at home.",
        "x = 12",
        "for i in range(3):\n    print(i)",
        "12, 14, 16",
        "!",
    ]
    assert not [text for text in plain if told.holds(text)]


def test_prose_and_too_few_answers_cannot_be_told() -> None:
    assert learn(chat(), ordinary_answers()) is None
    assert learn(programs()[:10], ordinary_answers()) is None
