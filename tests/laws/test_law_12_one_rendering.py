"""Law 12: training and generating render the same tokens.

Oracle: transformers' own `apply_chat_template`, which shares neither code nor sandbox with burnish's.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from burnish.data.template import ChatTemplate
from burnish.data.tokenize import Encoder
from burnish.types import Example, Message, TokenizedExample
from tests.fixtures_text import ENDS, TEMPLATES, byte_level_tokenizer

QUESTIONS = ("How far is it?", "x = 60;\n\ncube([w]);  ", "où est le café?", "1 2 3", "?" * 30)
ANSWERS = ("number", "  return a + b\n", "là", "4", "the fox sleeps.\n\nThe dog does not.")
TEMPLATE = pytest.mark.parametrize("name", sorted(TEMPLATES))


def turns(count: int) -> tuple[Message, ...]:
    """A conversation of `count` questions, all answers trained."""
    pairs = zip(QUESTIONS[:count], ANSWERS, strict=False)
    return tuple(m for q, a in pairs for m in (Message("user", q), Message("assistant", a, trained=True)))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return byte_level_tokenizer(vocab=600)


def encoder_of(name: str, tokenizer: Any) -> Encoder:
    stop = frozenset([tokenizer.convert_tokens_to_ids(ENDS[name])])
    return Encoder(tokenizer, ChatTemplate(TEMPLATES[name], tokenizer), stop)


def by_transformers(tokenizer: Any, encoder: Encoder, messages: tuple[Message, ...], generation: bool) -> list[int]:
    assert encoder.template is not None
    text = tokenizer.apply_chat_template(
        [{"role": m.role, "content": m.content} for m in messages],
        chat_template=encoder.template.source,
        tokenize=False,
        add_generation_prompt=generation,
    )
    # what a template writes between its generation prompt and an answer is part of what is given, not of the answer
    gap = encoder.template.gap if generation else ""
    ids: list[int] = tokenizer(text + gap, add_special_tokens=False)["input_ids"]
    return ids


def answered(document: TokenizedExample) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(place, trained tokens) of each answer in a document."""
    start = None
    for place, trained in enumerate((*document.trained, False)):
        if trained and start is None:
            start = place
        elif not trained and start is not None:
            yield start, document.tokens[start:place]
            start = None


@TEMPLATE
@pytest.mark.parametrize("number", range(len(QUESTIONS)))
def test_one_question_trains_what_follows_the_prompt_that_generation_starts_from(
    name: str, number: int, tokenizer: Any
) -> None:
    encoder = encoder_of(name, tokenizer)
    given = (Message("user", QUESTIONS[number]),)
    (document,) = encoder.document(Example("a:1", (*given, Message("assistant", ANSWERS[number], trained=True))))
    ((place, answer),) = answered(document)
    prompt = encoder.prompt(given)
    assert document.tokens[:place] == prompt
    assert list(prompt) == by_transformers(tokenizer, encoder, given, generation=True)
    assert tokenizer.encode(encoder.prompt_text(given), add_special_tokens=False) == list(prompt)
    assert answer == (*encoder.answer(given, ANSWERS[number]), encoder.end_of_turn)
    assert tokenizer.decode(answer[:-1]).strip() == ANSWERS[number].strip()
    assert answer[-1] == tokenizer.convert_tokens_to_ids(ENDS[name])


@TEMPLATE
def test_in_a_conversation_every_answer_follows_its_own_prompt(name: str, tokenizer: Any) -> None:
    encoder, whole = encoder_of(name, tokenizer), turns(4)
    found = []
    for document in encoder.document(Example("a:1", whole)):
        for place, answer in answered(document):
            found.append((document.tokens[:place], answer))
    assert len(found) == 4
    for number, (before, answer) in enumerate(found):
        given = whole[: 2 * number + 1]
        prompt = encoder.prompt(tuple(Message(m.role, m.content) for m in given))
        assert before == prompt
        assert tokenizer.decode(prompt) == tokenizer.decode(by_transformers(tokenizer, encoder, given, generation=True))
        assert answer[-1] == encoder.end_of_turn
        assert tokenizer.decode(answer).strip().startswith(ANSWERS[number].strip())


@TEMPLATE
def test_a_whole_document_is_what_transformers_renders(name: str, tokenizer: Any) -> None:
    encoder = encoder_of(name, tokenizer)
    for document in encoder.document(Example("a:1", turns(1))):
        expected = by_transformers(tokenizer, encoder, turns(1), generation=False)
        assert tokenizer.decode(document.tokens) == tokenizer.decode(expected)
