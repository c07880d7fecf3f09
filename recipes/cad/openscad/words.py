"""Text of a program -> words with their places, and the two ways in which a program can be refused.

Reading is linear in the text: every alternative of the pattern is tried once at a place and takes what it took.
"""

import re
from dataclasses import dataclass

LONGEST = 20_000  # characters; no program of this task has 400

_WORDS = re.compile(
    r"(?P<blank>[\s\ufeff]+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))"
    r"|(?P<name>\$?[A-Za-z_]\w*)"
    r'|(?P<text>"(?:[^"\\]|\\.)*")'
    r"|(?P<sign>[<>=!]=|&&|\|\||/(?!\*)|[-+*%^!<>?:=,;.#(){}\[\]])",
    re.ASCII | re.DOTALL,
)


class ProgramFault(ValueError):  # noqa: N818 (the program has it, nothing here failed)
    """What is wrong with a program, as a sentence with line and column, both counted from 1."""

    def __init__(self, program: str, at: int, what: str) -> None:
        line = program.count("\n", 0, at) + 1
        column = at - (program.rfind("\n", 0, at) + 1) + 1
        super().__init__(f"line {line}, column {column}: {what}")


class Unsupported(ProgramFault):
    """OpenSCAD that this interpreter does not read, or more of it than its bounds allow: no fault of the program."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the program; `kind` is number, name, text, sign or end."""

    kind: str
    text: str
    at: int  # characters before it


def words(program: str) -> list[Word]:
    """All words without white space and comments; the last is the end. Raises ProgramFault."""
    if len(program) > LONGEST:
        raise Unsupported(program, LONGEST, f"the program has {len(program):,} characters; read are {LONGEST:,}")
    found, at = [], 0
    while at < len(program):
        match = _WORDS.match(program, at)
        if match is None:
            raise ProgramFault(program, at, _what(program, at))
        assert match.lastgroup is not None
        if match.lastgroup != "blank":
            found.append(Word(match.lastgroup, match[0], at))
        at = match.end()
    return [*found, Word("end", "the end", at)]


def _what(program: str, at: int) -> str:
    if program.startswith("/*", at):
        return "this comment is never closed"
    if program[at] == '"':
        return "this text is never closed"
    if program[at] in ".0123456789":
        return "a number runs into a word here"
    return f"{program[at]!r} means nothing here"
