"""The base model with the training examples most similar to the item before it, the most similar last."""

from collections.abc import Callable
from typing import Literal

from burnish.proof.arm import Arm, ArmContext, Prompt, inputs_of, with_examples
from burnish.proof.nearest import Nearest
from burnish.types import Example


class Similar:
    """`similar_k`: TF-IDF over words of the items' own text (without the instruction that all share), ties by id."""

    needs_model: Literal["base"] = "base"
    shown: frozenset[str] = frozenset()

    def __init__(self, name: str, count: int, context: ArmContext) -> None:
        self.name = name
        self._count = count
        self._fits = context.fits
        self._input: Callable[[Example], str] = inputs_of(context.train)
        self._nearest = Nearest(context.train, [self._input(example) for example in context.train])

    def prompt(self, example: Example) -> Prompt:
        """The nearest, the nearest of all last; a training example is never shown to itself."""
        ranked = self._nearest.ranked(self._input(example), self._count, without=example.id)
        return with_examples(example, ranked, ranked[::-1], self._fits)


def build(name: str, count: int, context: ArmContext) -> Arm:
    """`similar_<count>`."""
    return Similar(name, count, context)
