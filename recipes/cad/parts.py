"""What a family of parts is: its numbers, its program, its wordings.

Sizes are millimetres. A program is one line of assignments and a body in which every position is an
expression of the assigned names, so that whoever writes it copies numbers and never calculates.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

Values = Mapping[str, float]
AN = re.compile(r"\b([Aa]) (?=(8|11\b|18\b))")  # eight, eighty, eleven, eighteen; no length here reaches 800


@dataclass(frozen=True, slots=True)
class Family:
    """Parts that differ only in their numbers."""

    name: str
    genus: int  # through holes of the solid: a second, independent check reads it
    body: str  # OpenSCAD after the assignments
    draw: Callable[[Random], dict[str, float]]  # in the order of the assignments
    sensible: Callable[[Values], bool]  # what no geometry forbids and nobody would make
    known: tuple[str, ...]  # wordings seen in training
    fresh: tuple[str, ...] = ()  # wordings that only the held-out slice `new_wording` uses

    def program(self, values: Values) -> str:
        """The OpenSCAD program of one part."""
        assignments = " ".join(f"{name} = {number(value)};" for name, value in values.items())
        return f"{assignments}\n{self.body.strip()}"

    def sentence(self, wording: str, values: Values) -> str:
        """One wording with the numbers filled in, and "a" before a number said with a vowel turned into "an"."""
        text = wording.format(**{name: number(value) for name, value in values.items()})
        return AN.sub(r"\1n ", text)


def number(value: float) -> str:
    """A number as both the sentence and the program spell it: 5, 4.5, never 5.0."""
    return f"{value:g}"


def size(random: Random, low: int, high: int) -> float:
    """A length: half of the time a round one, as people choose them."""
    return random.randrange(-(-low // 5) * 5, high + 1, 5) if random.random() < 0.5 else random.randint(low, high)


def drill(random: Random, low: float, high: float) -> float:
    """A hole: mostly whole millimetres, else a usual clearance diameter."""
    odd = [x for x in (2.5, 3.2, 3.4, 4.3, 4.5, 5.3, 5.5, 6.4, 6.5, 8.4, 8.5, 10.5, 12.5) if low <= x <= high]
    if odd and random.random() < 0.35:
        return random.choice(odd)
    return random.randint(int(-(-low // 1)), int(high))


def sheet(random: Random, low: float = 2, high: float = 10) -> float:
    """A thickness that sheet, plate and wall come in."""
    return random.choice([x for x in (1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12) if low <= x <= high])
