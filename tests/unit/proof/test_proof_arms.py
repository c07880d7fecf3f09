"""Arms: which turns they ask with, what they leave out, what the rival without a model says."""

from collections import Counter
from collections.abc import Sequence

import pytest

from burnish.errors import RecipeError
from burnish.proof.arm import Arm, ArmContext, Rival, build, split_name
from burnish.proof.arms.few_shot import draw
from burnish.proof.arms.simple import Simple, with_numbers
from burnish.registry import names_in
from burnish.types import Example, Message, TaskKind


def example(name: str, text: str, answer: str, system: str | None = None) -> Example:
    turns = (Message("system", system),) if system else ()
    return Example(name, (*turns, Message("user", text), Message("assistant", answer, True)))


def arm(name: str, train: Sequence[Example], kind: TaskKind = "generate", **more: object) -> Arm:
    found = build(name, ArmContext(tuple(train), kind, **more))  # type: ignore[arg-type]
    assert not isinstance(found, Rival)
    return found


def rival(train: Sequence[Example], kind: TaskKind, validation: Sequence[Example] = ()) -> Simple:
    found = build("simple", ArmContext(tuple(train), kind, validation=tuple(validation)))
    assert isinstance(found, Simple)
    return found


TOPICS = [
    "red apples fall",
    "green apples rot",
    "blue cars drive",
    "old cars rust",
    "quick dogs bark",
    "lazy dogs sleep",
]
TRAIN = [example(f"t:{i}", f"Say it shortly.\n{text}", f"answer {i}") for i, text in enumerate(TOPICS)]
ITEM = example("h:1", "Say it shortly.\nred cars rust", "secret")


def contents(arm_: Arm, item: Example = ITEM) -> list[str]:
    return [message.content for message in arm_.prompt(item).messages]


def test_every_arm_file_builds_and_none_shows_the_answer() -> None:
    assert {"base", "few_shot", "similar", "simple", "tuned"} <= set(names_in("burnish.proof.arms"))
    for name in ("base", "few_shot_2", "similar_2", "tuned"):
        made = arm(name, TRAIN)
        assert made.name == name
        messages = made.prompt(ITEM).messages
        assert messages[-1] == ITEM.messages[0]
        assert not any(message.trained or "secret" in message.content for message in messages)
    assert arm("tuned", TRAIN).needs_model == "tuned"
    assert arm("base", TRAIN).needs_model == "base"
    with pytest.raises(RecipeError, match="few_shot"):
        build("few_shots_3", ArmContext(tuple(TRAIN), "generate"))
    assert split_name("few_shot_12") == ("few_shot", 12)


def test_base_and_tuned_are_asked_alike() -> None:
    assert arm("base", TRAIN).prompt(ITEM) == arm("tuned", TRAIN).prompt(ITEM)


def test_few_shot_is_one_draw_for_all_items() -> None:
    made = arm("few_shot_3", TRAIN)
    assert contents(made)[:-1] == contents(made, TRAIN[0])[:-1]
    assert len(made.shown) == 3
    assert contents(made) == contents(arm("few_shot_3", TRAIN))
    assert contents(made) != contents(arm("few_shot_3", TRAIN, seed=1))
    assert [m.role for m in made.prompt(ITEM).messages] == ["user", "assistant"] * 3 + ["user"]


def test_few_shot_shows_every_label_where_the_number_allows() -> None:
    train = [example(f"t:{i}", f"text {i}", "rare" if i == 17 else "other" if i == 40 else "common") for i in range(60)]
    for seed in range(5):
        assert {e.answer for e in draw(train, 4, True, seed)} == {"rare", "other", "common"}
        assert len({e.answer for e in draw(train, 2, True, seed)}) == 2
    assert Counter(e.answer for e in draw(train, 8, True, 0))["common"] == 6


def test_similar_puts_the_most_similar_last() -> None:
    assert contents(arm("similar_1", TRAIN))[:-1] == ["Say it shortly.\nold cars rust", "answer 3"]
    assert contents(arm("similar_3", TRAIN))[-3:-1] == ["Say it shortly.\nold cars rust", "answer 3"]
    assert len(contents(arm("similar_3", TRAIN))) == 7


def test_similar_breaks_ties_by_id_and_never_shows_an_example_to_itself() -> None:
    twins = [example(f"t:{i}", "the same words", f"answer {i}") for i in (3, 1, 2)]
    item = example("h:1", "the same words", "x")
    assert contents(arm("similar_2", twins), item)[:-1] == ["the same words", "answer 2", "the same words", "answer 1"]
    assert "answer 1" not in contents(arm("similar_3", twins), twins[1])


def test_similar_ignores_the_instruction_that_all_share_and_survives_texts_without_words() -> None:
    far = example("h:2", "Say it shortly.\nlazy dogs", "x")
    assert contents(arm("similar_1", TRAIN), far)[1] == "answer 5"
    signs = [example(f"t:{i}", "?!" * (i + 1), str(i)) for i in range(3)]
    assert contents(arm("similar_1", signs), signs[2])[1] == "0"


def test_one_system_message_at_the_start() -> None:
    train = [example(f"t:{i}", f"ask {i}", f"answer {i}", system="Be brief.") for i in range(4)]
    own = example("h:1", "ask", "x", system="Be kind.")
    for item, system in ((own, "Be kind."), (ITEM, "Be brief.")):
        messages = arm("few_shot_3", train).prompt(item).messages
        assert [m.content for m in messages if m.role == "system"] == [system]
        assert messages[0].role == "system"


def test_examples_are_whole_conversations_up_to_their_last_answer() -> None:
    turns = (
        Message("user", "one"),
        Message("assistant", "two", True),
        Message("user", "three"),
        Message("assistant", "four", True),
        Message("user", "five"),
    )
    assert contents(arm("few_shot_1", [Example("t:1", turns)]))[:-1] == ["one", "two", "three", "four"]


def test_what_does_not_fit_is_left_out_whole_and_counted() -> None:
    def fits(messages: Sequence[Message]) -> bool:
        return sum(len(message.content) for message in messages) < 110

    made = arm("similar_4", TRAIN, fits=fits)
    prompt = made.prompt(ITEM)
    assert 0 < prompt.left_out < 4
    assert len(prompt.messages) == 2 * (4 - prompt.left_out) + 1
    assert prompt.messages[-3].content == "Say it shortly.\nold cars rust"  # the most similar is kept
    nothing = arm("few_shot_2", TRAIN, fits=lambda _: False).prompt(ITEM)
    assert (len(nothing.messages), nothing.left_out) == (1, 2)


def test_a_long_example_does_not_push_out_those_that_fit() -> None:
    train = [*TRAIN, example("t:9", "Say it shortly.\nred cars rust " * 30, "long")]

    def fits(messages: Sequence[Message]) -> bool:
        return sum(len(message.content) for message in messages) < 300

    prompt = arm("similar_3", train, fits=fits).prompt(ITEM)
    assert prompt.left_out == 1
    assert len(prompt.messages) == 5


def test_the_simple_rival_learns_labels() -> None:
    train = [
        example(f"t:{i}", f"{'great fine' if i % 2 else 'awful bad'} film {i}", "pn"[i % 2 == 0]) for i in range(30)
    ]
    held = [example("v:1", "a great film", "p"), example("v:2", "an awful film", "n")]
    made = rival(train, "classify", held)
    assert made.variant.startswith("logistic")
    assert [made.answer(e) for e in held] == ["p", "n"]


def test_the_simple_rival_takes_the_majority_where_it_is_better_on_validation() -> None:
    train = [example(f"t:{i}", f"word{i % 3} x", "a" if i % 3 else "b") for i in range(30)]
    validation = [example(f"v:{i}", "word0 x", "a") for i in range(5)]
    made = rival(train, "classify", validation)
    assert made.variant == "most frequent label"
    assert made.answer(ITEM) == "a"
    assert rival([example("t:1", "x", "only")], "classify").answer(ITEM) == "only"


def test_the_simple_rival_copies_the_nearest_answer_with_the_items_numbers() -> None:
    train = [
        example("t:1", "A plate 60 by 40, 5 thick", "w = 60; d = 40; t = 5; plate(w, d, t);"),
        example("t:2", "A ball of 12", "sphere(12);"),
    ]
    item = example("h:1", "A plate 33 by 7.5, 2 thick", "x")
    assert rival(train, "generate").answer(item) == "w = 33; d = 7.5; t = 2; plate(w, d, t);"
    assert with_numbers("a 1", "b 2", "c 2 3") == "c 2 3"  # not equally many: as it stands
