"""Expressions -> values: numbers, truth, texts, vectors and ranges, in the scope where they stand.

Where OpenSCAD would warn and go on with "undef" - an unknown name, a sum of a number and a text, a division by zero -
the program has a fault here: nobody can say which part it means.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from .tree import (
    Argument,
    Call,
    Chain,
    Choice,
    Constant,
    Expression,
    Function,
    Index,
    Module,
    Name,
    Parameter,
    Signs,
    Steps,
    Vector,
)
from .words import ProgramFault, Unsupported

STEPS = 20_000  # values, statements and shapes that one program may take
DEEPEST = 150  # values within values and shapes within shapes, calls included


@dataclass(frozen=True, slots=True)
class Range:
    """`[start : step : end]`, both ends included."""

    start: float
    step: float
    end: float


Value: TypeAlias = "float | bool | str | tuple[Value, ...] | Range | None"


@dataclass(slots=True)
class Scope:
    """Names that are known at a place. Names with `$` are those of the caller, all others those of the surroundings."""

    around: "Scope | None" = None
    caller: "Scope | None" = None
    values: dict[str, Value] = field(default_factory=dict)
    modules: dict[str, tuple[Module, "Scope"]] = field(default_factory=dict)
    functions: dict[str, tuple[Function, "Scope"]] = field(default_factory=dict)

    def inner(self) -> "Scope":
        """A scope within this one."""
        return Scope(self, self)

    def holder(self, name: str) -> "Scope | None":
        """The nearest scope that has a variable."""
        scope: Scope | None = self
        while scope is not None and name not in scope.values:
            scope = scope.caller if name.startswith("$") else scope.around
        return scope

    def module(self, name: str) -> tuple[Module, "Scope"] | None:
        """The module of the program that is known under a name, and the scope in which it was defined."""
        scope: Scope | None = self
        while scope is not None and name not in scope.modules:
            scope = scope.around
        return scope.modules[name] if scope else None

    def function(self, name: str) -> tuple[Function, "Scope"] | None:
        """The same for a function."""
        scope: Scope | None = self
        while scope is not None and name not in scope.functions:
            scope = scope.around
        return scope.functions[name] if scope else None


def cosine(degrees: float) -> float:
    """The cosine of an angle in degrees, exact where it is 0, 1/2 or 1."""
    turn = math.fmod(abs(degrees), 360.0)
    exact = {0: 1.0, 60: 0.5, 90: 0.0, 120: -0.5, 180: -1.0, 240: -0.5, 270: 0.0, 300: 0.5}
    return exact[int(turn)] if turn in exact else math.cos(math.radians(turn))


def sine(degrees: float) -> float:
    """The sine of an angle in degrees, as exact."""
    return cosine(degrees - 90.0)


def _sign(x: float) -> float:
    return float((x > 0) - (x < 0))


def _halves_up(x: float) -> float:
    return math.copysign(math.floor(abs(x) + 0.5), x)


FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "abs": abs,
    "sign": _sign,
    "sin": sine,
    "cos": cosine,
    "tan": lambda x: sine(x) / cosine(x),
    "asin": lambda x: math.degrees(math.asin(x)),
    "acos": lambda x: math.degrees(math.acos(x)),
    "atan": lambda x: math.degrees(math.atan(x)),
    "atan2": lambda y, x: math.degrees(math.atan2(y, x)),
    "floor": lambda x: float(math.floor(x)),
    "ceil": lambda x: float(math.ceil(x)),
    "round": _halves_up,
    "ln": math.log,
    "log": math.log10,
    "exp": math.exp,
    "pow": math.pow,
    "sqrt": math.sqrt,
    "min": lambda *x: min(x),
    "max": lambda *x: max(x),
}
NOT_READ = frozenset((
    "len", "str", "chr", "ord", "concat", "search", "lookup", "rands", "norm", "cross", "version", "version_num",
    "parent_module", "is_undef", "is_bool", "is_num", "is_string", "is_list", "is_function", "import", "object",
))  # fmt: skip
OPERATIONS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
    "^": math.pow,
}
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Calculator:
    """The values of one program, within its bounds."""

    def __init__(self, program: str) -> None:
        self.text = program
        self.steps = 0
        self.depth = 0

    def fault(self, at: int, what: str) -> ProgramFault:
        """A fault of the program at a place."""
        return ProgramFault(self.text, at, what)

    def count(self, at: int) -> None:
        """One more step; raises Unsupported beyond the bound."""
        self.steps += 1
        if self.steps > STEPS:
            raise Unsupported(self.text, at, f"the program takes more than {STEPS:,} steps")

    def deeper(self, at: int) -> None:
        """One level further down; the caller goes up again with `depth -= 1`."""
        self.count(at)
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unsupported(self.text, at, f"the program goes deeper than {DEEPEST} levels")

    def value(self, node: Expression, scope: Scope) -> Value:
        """The value of an expression."""
        self.deeper(node.at)
        found = self._value(node, scope)
        self.depth -= 1
        return found

    def _value(self, node: Expression, scope: Scope) -> Value:
        match node:
            case Constant(_, constant):
                return constant
            case Name(at, name):
                holder = scope.holder(name)
                if holder is None:
                    raise self.fault(at, f"{name!r} has no value here")
                return holder.values[name]
            case Vector(_, items):
                return tuple(self.value(item, scope) for item in items)
            case Steps(at, start, step, end):
                by = 1.0 if step is None else self.number(step, scope)
                if by == 0:
                    raise self.fault(at, "a range with steps of 0 has no end")
                return Range(self.number(start, scope), by, self.number(end, scope))
            case Index(at, of, places):
                return self._index(at, self.value(of, scope), [self.number(place, scope) for place in places])
            case Call(at, name, arguments):
                return self._call(at, name, arguments, scope)
            case Signs(at, signs, of):
                return self._signed(at, signs, self.value(of, scope))
            case Chain(_, first, rest):
                return self._chain(self.value(first, scope), rest, scope)
            case Choice(_, test, yes, no):
                return self.value(yes if self.truth(self.value(test, scope)) else no, scope)

    def number(self, node: Expression, scope: Scope) -> float:
        """A value that must be a number."""
        return self.as_number(node.at, self.value(node, scope))

    def as_number(self, at: int, value: Value) -> float:
        """The number that a value is; raises ProgramFault."""
        if isinstance(value, float) and math.isfinite(value):
            return value
        raise self.fault(at, f"expected a number, found {described(value)}")

    @staticmethod
    def truth(value: Value) -> bool:
        """What counts as true: all but false, 0, undef, an empty text and an empty vector."""
        return bool(value)

    def _index(self, at: int, value: Value, places: Sequence[float]) -> Value:
        for place in places:
            if not isinstance(value, tuple) or not 0 <= place < len(value):
                raise self.fault(at, f"{described(value)} has no element {place:g}")
            value = value[int(place)]
        return value

    def _signed(self, at: int, signs: str, value: Value) -> Value:
        for sign in reversed(signs):
            if sign == "!":
                value = not self.truth(value)
            elif isinstance(value, tuple):
                value = self._each(at, "*", (value, -1.0 if sign == "-" else 1.0))
            else:
                value = -self.as_number(at, value) if sign == "-" else self.as_number(at, value)
        return value

    def _chain(self, value: Value, rest: Sequence[tuple[str, Expression]], scope: Scope) -> Value:
        for sign, node in rest:
            if sign in ("&&", "||"):
                settled = self.truth(value) is (sign == "||")
                value = self.truth(value) if settled else self.truth(self.value(node, scope))
                continue
            other = self.value(node, scope)
            if sign in ("==", "!="):
                value = self._equal(node.at, value, other) is (sign == "==")
            elif sign in COMPARISONS:
                value = COMPARISONS[sign](self.as_number(node.at, value), self.as_number(node.at, other))
            elif isinstance(value, tuple) or isinstance(other, tuple):
                value = self._each(node.at, sign, (value, other))
            else:
                value = self._work(node.at, sign, value, other)
        return value

    def _equal(self, at: int, a: Value, b: Value) -> bool:
        if isinstance(a, tuple) or isinstance(b, tuple):
            raise Unsupported(self.text, at, "vectors that are compared")
        return type(a) is type(b) and a == b

    def _each(self, at: int, sign: str, pair: tuple[Value, Value]) -> Value:
        """Vectors of numbers added and subtracted, multiplied and divided by a number."""
        a, b = pair
        if isinstance(a, tuple) and isinstance(b, tuple):
            if sign not in "+-":
                raise Unsupported(self.text, at, f"{sign!r} between two vectors")
            pairs = list(zip(a, b, strict=False))
        elif isinstance(a, tuple):
            pairs = [(item, b) for item in a]
        else:
            assert isinstance(b, tuple)
            pairs = [(a, item) for item in b]
        if sign not in "+-*/" or (sign in "+-" and not (isinstance(a, tuple) and isinstance(b, tuple))):
            raise self.fault(at, f"{described(a)} {sign} {described(b)} has no value")
        for _ in pairs:
            self.count(at)
        return tuple(self._work(at, sign, x, y) for x, y in pairs)

    def _work(self, at: int, sign: str, a: Value, b: Value) -> float:
        x, y = self.as_number(at, a), self.as_number(at, b)
        try:
            found = OPERATIONS[sign](x, y)
        except (ArithmeticError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            raise self.fault(at, f"{x:g} {sign} {y:g} is no number")
        return found

    def _call(self, at: int, name: str, arguments: Sequence[Argument], scope: Scope) -> Value:
        own = scope.function(name)
        if own is not None:
            function, defined = own
            return self.value(function.value, self.called(function.parameters, arguments, scope, defined))
        if name not in FUNCTIONS:
            if name in NOT_READ:
                raise Unsupported(self.text, at, f"the function {name}()")
            raise self.fault(at, f"{name!r} is no function of OpenSCAD, and the program defines none")
        given = [self.number(argument.value, scope) for argument in arguments]
        try:
            found = float(FUNCTIONS[name](*given))
        except (ArithmeticError, ValueError, TypeError):
            found = math.nan
        if not math.isfinite(found):
            raise self.fault(at, f"{name}({', '.join(f'{x:g}' for x in given)}) is no number")
        return found

    def called(
        self, parameters: Sequence[Parameter], arguments: Sequence[Argument], scope: Scope, defined: Scope
    ) -> Scope:
        """The scope inside a function or module of the program: its parameters with what was given."""
        inner = Scope(defined, scope)
        given = self.given(arguments, [parameter.name for parameter in parameters], scope)
        for parameter in parameters:
            default = None if parameter.default is None else self.value(parameter.default, defined)
            inner.values[parameter.name] = given.pop(parameter.name, default)
        inner.values.update({name: value for name, value in given.items() if name.startswith("$")})
        return inner

    def given(self, arguments: Sequence[Argument], names: Sequence[str], scope: Scope) -> dict[str, Value]:
        """Arguments by their names; those beyond the names, and names that nobody knows, are passed over."""
        found: dict[str, Value] = {}
        free = iter(names)
        for argument in arguments:
            value = self.value(argument.value, scope)
            name = argument.name or next(free, None)
            if name is not None:
                found[name] = value
        return found


def described(value: Value) -> str:
    """A value as a fault names it."""
    match value:
        case None:
            return "undef"
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case str():
            return "a text"
        case Range():
            return "a range"
        case _:
            return f"a vector of {len(value)}"
