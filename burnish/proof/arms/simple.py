"""The rival without a language model: cheap to run, and a shame to lose against.

Labels: the most frequent label, or logistic regression on TF-IDF, whichever is better on validation (ties: regression).
Other answers: the answer of the nearest training input, TF-IDF with numbers masked; where both inputs and that answer
hold equally many numbers, the answer's numbers are replaced by the item's, in order.
"""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from burnish.proof.answers import collapsed
from burnish.proof.arm import ArmContext, Rival, inputs_of
from burnish.proof.nearest import WORDS, Nearest
from burnish.types import Example

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
Answer = Callable[[Example], str]


class Simple:
    """`simple`; `variant` says which of its ways was taken."""

    needs_model: None = None

    def __init__(self, name: str, variant: str, answer: Answer) -> None:
        self.name = name
        self.variant = variant
        self._answer = answer

    def answer(self, example: Example) -> str:
        """The answer."""
        return self._answer(example)


def build(name: str, _count: int, context: ArmContext) -> Rival:
    """`simple`."""
    input_of = inputs_of(context.train)
    if context.kind != "classify":
        return Simple(name, "nearest training answer", _nearest_answer(context.train, input_of))
    majority = _majority(context.train)
    learned = _regression(context.train, input_of)
    if learned is None:
        return Simple(name, "most frequent label", lambda _: majority)
    known = [collapsed(example.answer) for example in context.validation]
    right = sum(collapsed(learned(e)) == k for e, k in zip(context.validation, known, strict=True))
    if right < sum(collapsed(majority) == k for k in known):
        return Simple(name, "most frequent label", lambda _: majority)
    return Simple(name, "logistic regression on TF-IDF", learned)


def _majority(train: Sequence[Example]) -> str:
    """The most frequent answer; ties to the first in the alphabet."""
    counts = Counter(example.answer for example in train)
    return min(counts, key=lambda answer: (-counts[answer], answer))


def _regression(train: Sequence[Example], input_of: Callable[[Example], str]) -> Answer | None:
    """Words and pairs of words, logistic regression; None where there is one label or not a single word."""
    answers = [example.answer for example in train]
    if len(set(answers)) < 2:
        return None
    model: Any = make_pipeline(
        TfidfVectorizer(token_pattern=WORDS, ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a rival that is nearly converged is still a rival
            model.fit([input_of(example) for example in train], answers)
    except ValueError:
        return None
    return lambda example: str(model.predict([input_of(example)])[0])


def _nearest_answer(train: Sequence[Example], input_of: Callable[[Example], str]) -> Answer:
    nearest = Nearest(train, [_masked(input_of(example)) for example in train])

    def answer(example: Example) -> str:
        text = input_of(example)
        found = nearest.ranked(_masked(text), 1, without=example.id)
        return with_numbers(text, input_of(found[0]), found[0].answer) if found else ""

    return answer


def _masked(text: str) -> str:
    return _NUMBER.sub(" 0 ", text)


def with_numbers(asked: str, known: str, answer: str) -> str:
    """The known answer with the asked numbers in its numbers' places, if all three hold equally many."""
    numbers = _NUMBER.findall(asked)
    if not len(numbers) == len(_NUMBER.findall(known)) == len(_NUMBER.findall(answer)):
        return answer
    replacements = iter(numbers)
    return _NUMBER.sub(lambda _: next(replacements), answer)
