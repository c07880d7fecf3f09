"""The base model with the same few training examples before every item: one seeded draw."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from burnish.proof.answers import collapsed
from burnish.proof.arm import Arm, ArmContext, Fits, Prompt, with_examples
from burnish.types import Example


@dataclass(frozen=True, slots=True)
class FewShot:
    """`few_shot_k`."""

    name: str
    examples: tuple[Example, ...]
    fits: Fits
    needs_model: Literal["base"] = "base"

    @property
    def shown(self) -> frozenset[str]:
        """The ids of the draw."""
        return frozenset(example.id for example in self.examples)

    def prompt(self, example: Example) -> Prompt:
        """The draw, then the item; where not all fit, the last drawn go first."""
        return with_examples(example, self.examples, self.examples, self.fits)


def draw(train: Sequence[Example], count: int, labelled: bool, seed: int) -> tuple[Example, ...]:
    """`count` examples in random order; with labels, as many different ones as can be, each at least once if it can."""
    generator = random.Random(f"few_shot {seed} {count}")
    shuffled = generator.sample(list(train), len(train))
    if not labelled:
        return tuple(shuffled[:count])
    seen: set[str] = set()
    firsts: list[Example] = []
    others: list[Example] = []
    for example in shuffled:
        label = collapsed(example.answer)
        (others if label in seen else firsts).append(example)
        seen.add(label)
    chosen = (firsts + others)[:count]
    return tuple(generator.sample(chosen, len(chosen)))


def build(name: str, count: int, context: ArmContext) -> Arm:
    """`few_shot_<count>`."""
    return FewShot(name, draw(context.train, count, context.kind == "classify", context.seed), context.fits)
