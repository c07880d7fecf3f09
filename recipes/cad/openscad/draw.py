"""A program -> the solid that it draws, as primitives in place joined by set operations; no geometry is computed here.

Read are `cube cylinder sphere translate rotate scale mirror color union difference intersection for if`, modules and
functions of the program, assignments and arithmetic. `$fn` is honoured up to 8, where it is the shape (a hexagon);
beyond, a circle is a circle, whatever its facets. Everything else of OpenSCAD is Unsupported, all else a ProgramFault.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from .parse import parse
from .tree import Argument, Assignment, Block, Function, If, Module, Shape, Statement
from .values import Calculator, Range, Scope, Value, cosine, described, sine
from .words import ProgramFault, Unsupported

LARGEST = 1e6  # millimetres, of a size and of a place
LEAVES = 16  # primitives in one program
POLYGON = 8  # the largest $fn that is a shape of its own

Matrix = tuple[tuple[float, float, float, float], ...]  # three rows
UNMOVED: Matrix = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0))
NOT_READ = frozenset((
    "linear_extrude", "rotate_extrude", "square", "circle", "polygon", "text", "import", "surface", "projection",
    "hull", "minkowski", "polyhedron", "offset", "resize", "multmatrix", "intersection_for", "let", "assign",
    "children", "child", "parent_module", "assert", "roof", "fill",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leaf:
    """A primitive. `sizes`: of a cube its sides, of a cylinder height, lower and upper radius, of a sphere its radius;
    it begins at the origin as in OpenSCAD, and `placed` moves it. `facets`: 0 means round."""

    shape: Literal["cube", "cylinder", "sphere"]
    sizes: tuple[float, ...]
    placed: Matrix
    facets: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """Parts joined by a set operation; without parts it is empty."""

    operation: Literal["union", "difference", "intersection"]
    parts: tuple["Part", ...]


Part = Leaf | Group


def draw(program: str) -> Part:
    """The solid of a program. Raises ProgramFault, or Unsupported for what is not read here."""
    return _Drawer(program).solid()


class _Drawer(Calculator):
    """Walks the statements with the scope and the placement in which they stand."""

    def __init__(self, program: str) -> None:
        super().__init__(program)
        self.leaves = 0

    def solid(self) -> Part:
        scope = Scope(values={"PI": math.pi, "$fn": 0.0, "$fa": 12.0, "$fs": 2.0, "$t": 0.0, "$preview": False})
        parts = self.drawn(parse(self.text), scope.inner(), UNMOVED)
        if not self.leaves:
            raise self.fault(0, "the program draws nothing")
        return parts[0] if len(parts) == 1 else Group("union", tuple(parts))

    def drawn(self, statements: Sequence[Statement], scope: Scope, placed: Matrix) -> list[Part]:
        """The parts of statements in a scope of their own: its definitions and assignments first, then its shapes."""
        assigned: dict[str, Assignment] = {}
        for statement in statements:
            match statement:
                case Module(_, name):
                    scope.modules[name] = (statement, scope)
                case Function(_, name):
                    scope.functions[name] = (statement, scope)
                case Assignment(_, name):
                    assigned[name] = statement  # at the place of the first with the value of the last, as OpenSCAD
        for name, assignment in assigned.items():
            scope.values[name] = self.value(assignment.value, scope)
        return [part for statement in statements for part in self.parts(statement, scope, placed)]

    def parts(self, statement: Statement, scope: Scope, placed: Matrix) -> list[Part]:
        self.deeper(statement.at)
        found: list[Part] = []
        match statement:
            case Block(_, body):
                found = [Group("union", tuple(self.drawn(body, scope.inner(), placed)))]
            case If(_, test, yes, no):
                chosen = yes if self.truth(self.value(test, scope)) else no
                found = [Group("union", tuple(self.drawn(chosen, scope.inner(), placed)))]
            case Shape() if not statement.hidden:
                found = self.shape(statement, scope, placed)
        self.depth -= 1
        return found

    def shape(self, shape: Shape, scope: Scope, placed: Matrix) -> list[Part]:
        own = scope.module(shape.name)
        if own is not None:
            module, defined = own
            inner = self.called(module.parameters, shape.arguments, scope, defined)
            return [Group("union", tuple(self.drawn(module.body, inner, placed)))]
        if shape.name in ("echo", "assert"):
            return []
        if shape.name == "for":
            rounds = self.rounds(shape, list(shape.arguments), scope)
            return [Group("union", tuple(part for inner in rounds for part in self.drawn(shape.under, inner, placed)))]
        names, work = _SHAPES.get(shape.name, (None, None))
        if names is None or work is None:
            if shape.name in NOT_READ:
                raise Unsupported(self.text, shape.at, f"{shape.name!r} is not read here")
            raise self.fault(shape.at, f"{shape.name!r} is no shape of OpenSCAD, and the program defines none")
        given = self.given(shape.arguments, names, scope)
        inner = scope.inner()
        inner.values.update({name: value for name, value in given.items() if name.startswith("$")})
        return [work(self, shape, _Given(self, shape, given, inner), placed)]

    def rounds(self, shape: Shape, loops: list[Argument], scope: Scope) -> Iterator[Scope]:
        """A scope for each round of the loops, the last named turning fastest."""
        if not loops:
            yield scope.inner()
            return
        first = loops[0]
        if first.name is None:
            raise self.fault(first.value.at, "a loop needs a name, as in for (i = [0 : 3])")
        for value in self.elements(first.value.at, self.value(first.value, scope)):
            self.count(shape.at)
            inner = scope.inner()
            inner.values[first.name] = value
            yield from self.rounds(shape, loops[1:], inner)

    def elements(self, at: int, value: Value) -> Iterable[Value]:
        if isinstance(value, Range):
            count = math.floor((value.end - value.start) / value.step + 1e-9) + 1
            return (value.start + i * value.step for i in range(max(0, count)))
        if isinstance(value, tuple):
            return value
        raise self.fault(at, f"a loop runs over a range or a vector, found {described(value)}")

    def leaf(self, at: int, leaf: Leaf) -> Part:
        self.leaves += 1
        if self.leaves > LEAVES:
            raise Unsupported(self.text, at, f"more than {LEAVES} primitives")
        sizes = leaf.sizes
        empty = max(sizes[1:]) <= 0 or min(sizes) < 0 or sizes[0] <= 0 if leaf.shape == "cylinder" else min(sizes) <= 0
        return Group("union", ()) if empty else leaf


@dataclass(frozen=True, slots=True)
class _Given:
    """What a shape was given, read as it needs it."""

    drawer: _Drawer
    shape: Shape
    values: Mapping[str, Value]
    scope: Scope

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None

    def fault(self, what: str) -> ProgramFault:
        return self.drawer.fault(self.shape.at, f"{self.shape.name}: {what}")

    def number(self, name: str, default: float) -> float:
        return self.size(name, self.values[name]) if self.has(name) else default

    def size(self, name: str, value: Value) -> float:
        if not isinstance(value, float):
            raise self.fault(f"{name} is {described(value)}, expected a number")
        if abs(value) > LARGEST:
            raise self.fault(f"{name} is {value:g}, read are sizes up to {LARGEST:,.0f} mm")
        return value

    def vector(self, name: str, default: float, least: int = 3) -> tuple[float, float, float]:
        """Three numbers; where `least` is smaller, those that are missing are `default`."""
        value = self.values.get(name)
        if not isinstance(value, tuple) or not least <= len(value) <= 3:
            raise self.fault(f"{name} is {described(value)}, expected three numbers")
        x, y, z = islice([*(self.size(name, item) for item in value), default, default], 3)
        return x, y, z

    def centred(self) -> bool:
        return self.drawer.truth(self.values.get("center"))

    def facets(self) -> int:
        holder = self.scope.holder("$fn")
        value = holder.values["$fn"] if holder else 0.0
        if not isinstance(value, float):
            raise self.fault(f"$fn is {described(value)}, expected a number")
        return max(3, int(value)) if 0 < value < POLYGON + 1 else 0

    def radius(self, letter: str) -> float | None:
        """From a diameter, which goes first, or a radius: `letter` is "", "1" or "2"."""
        if self.has(f"d{letter}"):
            return self.number(f"d{letter}", 0.0) / 2
        return self.number(f"r{letter}", 0.0) if self.has(f"r{letter}") else None

    def under(self, operation: Literal["union", "difference", "intersection"], placed: Matrix) -> Part:
        parts = self.drawer.drawn(self.shape.under, self.scope, placed)
        return parts[0] if len(parts) == 1 else Group(operation, tuple(parts))


def _cube(drawer: _Drawer, shape: Shape, given: _Given, placed: Matrix) -> Part:
    single = not isinstance(given.values.get("size"), tuple)
    sides = (given.number("size", 1.0),) * 3 if single else given.vector("size", 0.0)
    moved = moved_by(placed, (-sides[0] / 2, -sides[1] / 2, -sides[2] / 2)) if given.centred() else placed
    return drawer.leaf(shape.at, Leaf("cube", sides, moved))


def _cylinder(drawer: _Drawer, shape: Shape, given: _Given, placed: Matrix) -> Part:
    height, both = given.number("h", 1.0), given.radius("")
    ends = [1.0 if both is None else both] * 2
    for i, letter in enumerate("12"):
        end = given.radius(letter)
        ends[i] = ends[i] if end is None else end
    moved = moved_by(placed, (0.0, 0.0, -height / 2)) if given.centred() else placed
    return drawer.leaf(shape.at, Leaf("cylinder", (height, *ends), moved, given.facets()))


def _sphere(drawer: _Drawer, shape: Shape, given: _Given, placed: Matrix) -> Part:
    radius = given.radius("")
    return drawer.leaf(shape.at, Leaf("sphere", (1.0 if radius is None else radius,), placed, given.facets()))


def _translated(_: _Drawer, __: Shape, given: _Given, placed: Matrix) -> Part:
    return given.under("union", moved_by(placed, given.vector("v", 0.0, least=2)))


def _rotated(_: _Drawer, __: Shape, given: _Given, placed: Matrix) -> Part:
    if isinstance(given.values.get("a"), tuple):
        turned = placed
        for axis, angle in reversed(list(enumerate(given.vector("a", 0.0, least=1)))):
            turned = product(turned, turn(axis, angle))
        return given.under("union", turned)
    if given.has("v"):
        raise Unsupported(given.drawer.text, given.shape.at, "a turn about an axis of one's own")
    return given.under("union", product(placed, turn(2, given.number("a", 0.0))))


def _scaled(_: _Drawer, __: Shape, given: _Given, placed: Matrix) -> Part:
    single = not isinstance(given.values.get("v"), tuple)
    x, y, z = (given.number("v", 1.0),) * 3 if single else given.vector("v", 1.0, least=1)
    if 0 in (x, y, z):
        raise given.fault("a factor of 0 leaves no solid")
    return given.under("union", product(placed, ((x, 0.0, 0.0, 0.0), (0.0, y, 0.0, 0.0), (0.0, 0.0, z, 0.0))))


def _mirrored(_: _Drawer, __: Shape, given: _Given, placed: Matrix) -> Part:
    normal = given.vector("v", 0.0, least=2)
    length = math.hypot(*normal)
    if length == 0:
        return given.under("union", placed)
    n = [x / length for x in normal]
    rows = [[float(i == j) - 2 * n[i] * n[j] for j in range(3)] for i in range(3)]
    return given.under("union", product(placed, tuple((a, b, c, 0.0) for a, b, c in rows)))


def _joined(operation: Literal["union", "difference", "intersection"]) -> "_Work":
    return lambda _, __, given, placed: given.under(operation, placed)


_Work = Callable[[_Drawer, Shape, _Given, Matrix], Part]
_SHAPES: Mapping[str, tuple[Sequence[str], _Work]] = {
    "cube": (("size", "center"), _cube),
    "cylinder": (("h", "r1", "r2", "center"), _cylinder),
    "sphere": (("r",), _sphere),
    "translate": (("v",), _translated),
    "rotate": (("a", "v"), _rotated),
    "scale": (("v",), _scaled),
    "mirror": (("v",), _mirrored),
    "color": ((), _joined("union")),
    "render": ((), _joined("union")),
    "group": ((), _joined("union")),
    "union": ((), _joined("union")),
    "difference": ((), _joined("difference")),
    "intersection": ((), _joined("intersection")),
}


def product(a: Matrix, b: Matrix) -> Matrix:
    """First b, then a."""
    return tuple(
        (
            row[0] * b[0][0] + row[1] * b[1][0] + row[2] * b[2][0],
            row[0] * b[0][1] + row[1] * b[1][1] + row[2] * b[2][1],
            row[0] * b[0][2] + row[1] * b[1][2] + row[2] * b[2][2],
            row[0] * b[0][3] + row[1] * b[1][3] + row[2] * b[2][3] + row[3],
        )
        for row in a
    )


def moved_by(placed: Matrix, by: tuple[float, float, float]) -> Matrix:
    """A placement with a shift before it."""
    x, y, z = by
    return product(placed, ((1.0, 0.0, 0.0, x), (0.0, 1.0, 0.0, y), (0.0, 0.0, 1.0, z)))


def turn(axis: int, degrees: float) -> Matrix:
    """A turn about x (0), y (1) or z (2)."""
    c, s = cosine(degrees), sine(degrees)
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    rows = [[float(row == column) for column in range(4)] for row in range(3)]
    rows[i][i], rows[i][j], rows[j][i], rows[j][j] = c, -s, s, c
    return tuple((a, b, c, d) for a, b, c, d in rows)
