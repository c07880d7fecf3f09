"""Reads the OpenSCAD that the generator writes into boxes, cylinders and spheres with numbers.

Only what the families use: assignments, arithmetic, the three primitives, `translate`, `rotate([0, 90, 0])` and the
three set operations. It exists so that `checks.py` judges the text that is written, not what a family meant.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

Point = tuple[float, float, float]
Value = float | bool | list[float]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One primitive in place. `radius` is that of the circle, or of the circle inside a polygon of few sides."""

    shape: str  # cube | cylinder | sphere
    low: Point
    high: Point
    axis: int = 2  # of a cylinder
    radius: float = 0.0

    @property
    def centre(self) -> Point:
        """The middle of its bounds."""
        x, y, z = ((low + high) / 2 for low, high in zip(self.low, self.high, strict=True))
        return x, y, z

    def contains(self, point: Point) -> bool:
        """Whether the point is inside or on the surface."""
        if any(not low <= p <= high for p, low, high in zip(point, self.low, self.high, strict=True)):
            return False
        if self.shape == "cube":
            return True
        off = [p - c for p, c in zip(point, self.centre, strict=True)]
        if self.shape == "cylinder":
            off[self.axis] = 0.0
        return math.hypot(*off) <= self.radius


@dataclass(frozen=True, slots=True)
class Node:
    """A set operation on parts."""

    operation: str  # union | difference | intersection
    parts: tuple["Node | Leaf", ...]


def contains(part: Node | Leaf, point: Point) -> bool:
    """Whether there is material at the point."""
    if isinstance(part, Leaf):
        return part.contains(point)
    inside = [contains(child, point) for child in part.parts]
    if part.operation == "difference":
        return inside[0] and not any(inside[1:])
    return all(inside) if part.operation == "intersection" else any(inside)


def leaves(part: Node | Leaf, role: str = "body") -> Iterator[tuple[Leaf, str]]:
    """Every primitive with its role: body, cut (taken away) or limit (later parts of an intersection)."""
    if isinstance(part, Leaf):
        yield part, role
        return
    later = {"difference": "cut", "intersection": "limit"}.get(part.operation, role)
    for i, child in enumerate(part.parts):
        yield from leaves(child, role if i == 0 else later)


def read(program: str) -> Node | Leaf:
    """The solid of a program; a `ValueError` says what is not understood."""
    return _Reader(program).solid()


class _Reader:
    def __init__(self, program: str) -> None:
        self.words = re.findall(r"[$A-Za-z_]\w*|\d+(?:\.\d+)?|\S", program)
        self.at = 0
        self.names: dict[str, Value] = {}

    def peek(self, ahead: int = 0) -> str:
        return self.words[self.at + ahead] if self.at + ahead < len(self.words) else ""

    def take(self, expected: str | None = None) -> str:
        word = self.peek()
        if not word or expected not in (None, word):
            raise ValueError(f"word {self.at}: found {word!r}, expected {expected!r}")
        self.at += 1
        return word

    def solid(self) -> Node | Leaf:
        while self.peek(1) == "=":
            name = self.take()
            self.take("=")
            self.names[name] = self.value()
            self.take(";")
        part = self.part()
        if self.peek():
            raise ValueError(f"word {self.at}: found {self.peek()!r} after the solid")
        return part

    def part(self) -> Node | Leaf:
        word = self.take()
        arguments = self.arguments()
        if word in ("union", "difference", "intersection"):
            self.take("{")
            parts = []
            while self.peek() != "}":
                parts.append(self.part())
            self.take("}")
            return Node(word, tuple(parts))
        if word in ("translate", "rotate"):
            by = arguments["0"]
            assert isinstance(by, list)
            inner = self.part()
            assert isinstance(inner, Leaf)
            return _moved(inner, by) if word == "translate" else _turned(inner, by)
        self.take(";")
        return _primitive(word, arguments)

    def arguments(self) -> dict[str, Value]:
        found: dict[str, Value] = {}
        self.take("(")
        while self.peek() != ")":
            name = str(len(found))
            if self.peek(1) == "=":
                name = self.take()
                self.take("=")
            found[name] = self.value()
            if self.peek() == ",":
                self.take()
        self.take(")")
        return found

    def value(self) -> Value:
        if self.peek() == "[":
            items = []
            while self.take() != "]":
                items.append(self.sum())
                if self.peek() not in (",", "]"):
                    raise ValueError(f"word {self.at}: found {self.peek()!r} in a vector")
            return items
        if self.peek() in ("true", "false"):
            return self.take() == "true"
        return self.sum()

    def sum(self) -> float:
        total = self.product()
        while self.peek() in ("+", "-"):
            total = total + self.product() if self.take() == "+" else total - self.product()
        return total

    def product(self) -> float:
        total = self.factor()
        while self.peek() in ("*", "/"):
            total = total * self.factor() if self.take() == "*" else total / self.factor()
        return total

    def factor(self) -> float:
        word = self.take()
        if word == "-":
            return -self.factor()
        if word == "(":
            inner = self.sum()
            self.take(")")
            return inner
        if word[0].isdigit():
            return float(word)
        value = self.names.get(word)
        if not isinstance(value, float):
            raise ValueError(f"word {self.at}: {word!r} has no number")
        return value


def _primitive(word: str, arguments: dict[str, Value]) -> Leaf:
    def get(name: str) -> float:
        value = arguments[name]
        assert isinstance(value, float)
        return value

    centred = arguments.get("center", False) is True
    if word == "cube":
        sides = arguments["0"]
        assert isinstance(sides, list)
        low = [-side / 2 if centred else 0.0 for side in sides]
        high = [bottom + side for bottom, side in zip(low, sides, strict=True)]
        return Leaf("cube", (low[0], low[1], low[2]), (high[0], high[1], high[2]))
    r = get("d") / 2
    if word == "sphere":
        return Leaf("sphere", (-r, -r, -r), (r, r, r), radius=r)
    if word != "cylinder":
        raise ValueError(f"{word!r} is no primitive")
    facets = get("$fn") if "$fn" in arguments else 0.0
    bottom = -get("h") / 2 if centred else 0.0
    inner = r * math.cos(math.pi / facets) if facets else r
    return Leaf("cylinder", (-r, -r, bottom), (r, r, bottom + get("h")), radius=inner)


def _moved(leaf: Leaf, by: list[float]) -> Leaf:
    low, high = ([p + b for p, b in zip(end, by, strict=True)] for end in (leaf.low, leaf.high))
    return replace(leaf, low=(low[0], low[1], low[2]), high=(high[0], high[1], high[2]))


def _turned(leaf: Leaf, by: list[float]) -> Leaf:
    if by != [0.0, 90.0, 0.0] or leaf.shape != "cylinder":
        raise ValueError("only a cylinder is turned, and only by [0, 90, 0]")
    # x takes z's place and -z takes x's: a cylinder that stood on z = 0 lies along x from 0.
    (x0, y0, z0), (x1, y1, z1) = leaf.low, leaf.high
    return replace(leaf, low=(z0, y0, -x1), high=(z1, y1, -x0), axis=0)
