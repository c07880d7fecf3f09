"""What a program is once it is parsed. `at` is always the place of the first character that belongs to the node."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text, true, false or undef."""

    at: int
    value: float | bool | str | None


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Vector:
    """`[a, b, c]`."""

    at: int
    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Steps:
    """`[start : step : end]`."""

    at: int
    start: "Expression"
    step: "Expression | None"
    end: "Expression"


@dataclass(frozen=True, slots=True)
class Index:
    """`of[i][j]...`, or `of.x`."""

    at: int
    of: "Expression"
    places: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function called in an expression."""

    at: int
    name: str
    arguments: tuple["Argument", ...]


@dataclass(frozen=True, slots=True)
class Signs:
    """Signs before a value, the outermost first: `- - !x`."""

    at: int
    signs: str
    of: "Expression"


@dataclass(frozen=True, slots=True)
class Chain:
    """Values with operators of one rank between them, worked from left to right: flat, however long."""

    at: int
    first: "Expression"
    rest: tuple[tuple[str, "Expression"], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """`test ? yes : no`."""

    at: int
    test: "Expression"
    yes: "Expression"
    no: "Expression"


Expression = Constant | Name | Vector | Steps | Index | Call | Signs | Chain | Choice


@dataclass(frozen=True, slots=True)
class Argument:
    """A value given to a module or a function, perhaps by name."""

    name: str | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Parameter:
    """A name that a definition takes, perhaps with a default."""

    name: str
    default: Expression | None


@dataclass(frozen=True, slots=True)
class Assignment:
    """`name = value;`."""

    at: int
    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Shape:
    """A module called as a statement, with what stands under it. `hidden`: marked with `%` or `*`, so not drawn."""

    at: int
    name: str
    arguments: tuple[Argument, ...]
    under: tuple["Statement", ...]
    hidden: bool


@dataclass(frozen=True, slots=True)
class If:
    """`if (test) ... else ...`."""

    at: int
    test: Expression
    yes: tuple["Statement", ...]
    no: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class Module:
    """`module name(parameters) { ... }`."""

    at: int
    name: str
    parameters: tuple[Parameter, ...]
    body: tuple["Statement", ...]


@dataclass(frozen=True, slots=True)
class Function:
    """`function name(parameters) = value;`."""

    at: int
    name: str
    parameters: tuple[Parameter, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Block:
    """Braces that stand alone."""

    at: int
    body: tuple["Statement", ...]


Statement = Assignment | Shape | If | Module | Function | Block
