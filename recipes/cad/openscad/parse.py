"""Words -> tree: the grammar of OpenSCAD, as far as it is read here.

Nesting is bounded (`DEPTH`), and what can be long without being nested - signs before a value, sums, indices - is read
in loops, so that no text can exhaust Python's stack.
"""

from collections.abc import Callable
from typing import TypeVar

from .tree import (
    Argument,
    Assignment,
    Block,
    Call,
    Chain,
    Choice,
    Constant,
    Expression,
    Function,
    If,
    Index,
    Module,
    Name,
    Parameter,
    Shape,
    Signs,
    Statement,
    Steps,
    Vector,
)
from .words import ProgramFault, Unsupported, Word, words

DEPTH = 32
RANKS = (("*", "/", "%"), ("+", "-"), ("<", "<=", ">", ">="), ("==", "!="), ("&&",), ("||",))
OPERATORS = frozenset(sign for rank in RANKS for sign in rank)
CONSTANTS: dict[str, float | bool | None] = {"true": True, "false": False, "undef": None}
KEYWORDS = ("module", "function", "if", "else", *CONSTANTS)

_Read = TypeVar("_Read")


def parse(program: str) -> tuple[Statement, ...]:
    """The statements of a program. Raises ProgramFault, or Unsupported for OpenSCAD that is not read here."""
    parser = _Parser(program)
    found = parser.program()
    if parser.unread is not None:  # only now, since a fault further on goes first
        raise parser.unread
    return found


class _Parser:
    def __init__(self, program: str) -> None:
        self.text = program
        self.words = words(program)
        self.next = 0
        self.depth = 0
        self.unread: Unsupported | None = None

    def program(self) -> tuple[Statement, ...]:
        found = []
        while self.word.kind != "end":
            found += self.statement()
        return tuple(found)

    @property
    def word(self) -> Word:
        return self.words[self.next]

    def is_next(self, *signs: str) -> bool:
        return self.word.kind == "sign" and self.word.text in signs

    def is_named(self, name: str) -> bool:
        return self.word.kind == "name" and self.word.text == name

    def take(self) -> Word:
        word = self.word
        self.next += word.kind != "end"
        return word

    def passed(self, sign: str) -> bool:
        found = self.is_next(sign)
        self.next += found
        return found

    def expect(self, sign: str) -> Word:
        if not self.is_next(sign):
            raise self.fault(f"expected {sign!r}")
        return self.take()

    def fault(self, expected: str) -> ProgramFault:
        found = self.word.text if self.word.kind == "end" else repr(self.word.text[:40])
        return ProgramFault(self.text, self.word.at, f"found {found}, {expected}")

    def nested(self, read: Callable[[], _Read]) -> _Read:
        if self.depth == DEPTH:
            raise Unsupported(self.text, self.word.at, f"nested deeper than {DEPTH} levels")
        self.depth += 1
        found = read()
        self.depth -= 1
        return found

    # statements

    def statement(self) -> list[Statement]:
        """One statement; none for a semicolon that stands alone."""
        word = self.word
        if self.passed(";"):
            return []
        if self.is_next("{"):
            return [Block(word.at, self.nested(self.block))]
        if word.kind == "name":
            if word.text in ("include", "use"):
                return self.other_file()
            if word.text == "module":
                return [self.module()]
            if word.text == "function":
                return [self.function()]
            following = self.words[self.next + 1]
            if (following.kind, following.text) == ("sign", "="):
                return [self.assignment()]
        return [self.shape()]

    def other_file(self) -> list[Statement]:
        """`include <name>` and `use <name>`, which OpenSCAD takes without a semicolon."""
        word = self.take()
        self.expect("<")
        while not self.passed(">"):
            if self.take().kind == "end":
                raise self.fault("expected '>'")
        self.unread = self.unread or Unsupported(self.text, word.at, f"{word.text!r} reads another file")
        return []

    def block(self) -> tuple[Statement, ...]:
        self.expect("{")
        found = []
        while not self.passed("}"):
            if self.word.kind == "end":
                raise self.fault("expected '}'")
            found += self.statement()
        return tuple(found)

    def name(self) -> Word:
        if self.word.kind != "name" or self.word.text in KEYWORDS:
            raise self.fault("expected a name")
        return self.take()

    def assignment(self) -> Assignment:
        name = self.name()
        self.expect("=")
        value = self.expression()
        self.expect(";")
        return Assignment(name.at, name.text, value)

    def module(self) -> Module:
        at = self.take().at
        name, parameters = self.name().text, self.parameters()
        return Module(at, name, parameters, tuple(self.nested(self.statement)))

    def function(self) -> Function:
        at = self.take().at
        name, parameters = self.name().text, self.parameters()
        self.expect("=")
        value = self.expression()
        self.expect(";")
        return Function(at, name, parameters, value)

    def parameters(self) -> tuple[Parameter, ...]:
        self.expect("(")
        found = []
        while not self.passed(")"):
            name = self.name().text
            found.append(Parameter(name, self.expression() if self.passed("=") else None))
            if not self.is_next(")"):
                self.expect(",")
        return tuple(found)

    def shape(self) -> Shape | If:
        hidden = False
        while self.is_next("#", "%", "*", "!"):
            mark = self.take()
            if mark.text == "!":
                what = "the mark '!' (draw this part alone)"
                self.unread = self.unread or Unsupported(self.text, mark.at, what)
            hidden |= mark.text in "%*"
        if self.is_named("if"):
            return self.condition()
        name = self.name()
        arguments = self.arguments()
        return Shape(name.at, name.text, arguments, self.under(), hidden)

    def condition(self) -> If:
        at = self.take().at
        self.expect("(")
        test = self.expression()
        self.expect(")")
        yes = self.under()
        no: tuple[Statement, ...] = ()
        if self.is_named("else"):
            self.take()
            no = self.under()
        return If(at, test, yes, no)

    def under(self) -> tuple[Statement, ...]:
        """What a shape applies to: nothing, one shape, or braces."""
        if self.passed(";"):
            return ()
        if self.is_next("{"):
            return self.nested(self.block)
        if self.word.kind == "end":
            raise self.fault("expected ';'")
        return (self.nested(self.shape),)

    def arguments(self) -> tuple[Argument, ...]:
        self.expect("(")
        found = []
        while not self.passed(")"):
            name, following = None, self.words[self.next + 1 : self.next + 2]
            if self.word.kind == "name" and following and following[0].text == "=":
                name = self.name().text
                self.take()
            found.append(Argument(name, self.expression()))
            if not self.is_next(")"):
                self.expect(",")
        return tuple(found)

    # expressions

    def expression(self) -> Expression:
        return self.nested(self.choice)

    def choice(self) -> Expression:
        test = self.operators()
        if not self.passed("?"):
            return test
        yes = self.expression()
        self.expect(":")
        return Choice(test.at, test, yes, self.expression())

    def operators(self) -> Expression:
        """Values and operators in one flat list, then joined rank by rank."""
        values, signs = [self.signed()], []
        while self.word.kind == "sign" and self.word.text in OPERATORS:
            signs.append(self.take().text)
            values.append(self.signed())
        for rank in RANKS:
            values, signs = _joined(values, signs, rank)
        return values[0]

    def signed(self) -> Expression:
        at, signs = self.word.at, ""
        while self.is_next("-", "+", "!"):
            signs += self.take().text
        value = self.power()
        return Signs(at, signs, value) if signs else value

    def power(self) -> Expression:
        value = self.postfix()
        if not self.passed("^"):
            return value
        return Chain(value.at, value, (("^", self.nested(self.signed)),))

    def postfix(self) -> Expression:
        value, places = self.primary(), []
        while self.is_next("[", "."):
            if self.take().text == "[":
                places.append(self.expression())
                self.expect("]")
            else:
                member = self.name()
                if member.text not in ("x", "y", "z"):
                    raise ProgramFault(self.text, member.at, f"a vector has x, y and z, no {member.text!r}")
                places.append(Constant(member.at, float("xyz".index(member.text))))
        return Index(value.at, value, tuple(places)) if places else value

    def primary(self) -> Expression:
        word = self.word
        if word.kind == "number":
            return Constant(self.take().at, float(word.text))
        if word.kind == "text":
            return Constant(self.take().at, word.text[1:-1])
        if word.kind == "name" and word.text in CONSTANTS:
            return Constant(self.take().at, CONSTANTS[word.text])
        if word.kind == "name":
            if word.text in ("function", "let", "assert", "echo"):
                raise Unsupported(self.text, word.at, f"{word.text!r} within an expression")
            name = self.name()
            return Call(name.at, name.text, self.arguments()) if self.is_next("(") else Name(name.at, name.text)
        if self.is_next("["):
            return self.vector()
        if self.passed("("):
            value = self.expression()
            self.expect(")")
            return value
        raise self.fault("expected a value")

    def vector(self) -> Expression:
        at = self.take().at
        if self.word.kind == "name" and self.word.text in ("for", "each", "let", "if"):
            raise Unsupported(self.text, self.word.at, "a list made by a rule (list comprehension)")
        items: list[Expression] = []
        while not self.passed("]"):
            items.append(self.expression())
            if len(items) == 1 and self.passed(":"):
                return self.steps(at, items[0])
            if not self.is_next("]"):
                self.expect(",")
        return Vector(at, tuple(items))

    def steps(self, at: int, start: Expression) -> Steps:
        end, step = self.expression(), None
        if self.passed(":"):
            step, end = end, self.expression()
        self.expect("]")
        return Steps(at, start, step, end)


def _joined(values: list[Expression], signs: list[str], rank: tuple[str, ...]) -> tuple[list[Expression], list[str]]:
    """Neighbours that an operator of this rank joins become one chain."""
    left, rest = [values[0]], []
    run: list[tuple[str, Expression]] = []
    for sign, value in zip(signs, values[1:], strict=True):
        if sign in rank:
            run.append((sign, value))
            continue
        left[-1] = Chain(left[-1].at, left[-1], tuple(run)) if run else left[-1]
        run = []
        left.append(value)
        rest.append(sign)
    left[-1] = Chain(left[-1].at, left[-1], tuple(run)) if run else left[-1]
    return left, rest
