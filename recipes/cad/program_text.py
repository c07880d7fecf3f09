"""Is one program the other, but for white space, number spelling and variable order?

Text equality after normalising, no geometry: a right part written differently is not equal. Normalised are
- white space and comments between words;
- the spelling of numbers: `5`, `5.0`, `05`, `.5e1` are one number;
- the order of assignments outside all brackets. OpenSCAD reads all assignments of a scope before its shapes, so their
  order says nothing unless a name is assigned twice or a value mentions a variable: then they keep their order.
Renamed variables, another order of shapes and equal values of expressions (`w/2` and `30`) are not equal.
"""

import re

LONGEST = 20_000  # characters; no program of this task has 400, and the time to read one stays bounded

# Each alternative is tried once at a place and never steps back over what it took: reading is linear in the text.
_WORDS = re.compile(
    r"(?P<blank>\s+|//[^\n]*|/\*(?:.*?\*/|.*))"
    r"|(?P<number>(?P<whole>\d+)(?:\.(?P<part>\d*))?(?:[eE](?P<power>[+-]?\d{1,4})(?!\d))?"
    r"|\.(?P<only>\d+)(?:[eE](?P<small>[+-]?\d{1,4})(?!\d))?)"
    r'|(?P<word>[$A-Za-z_]\w*|"(?:[^"\\]|\\.)*"?|[<>=!]=|&&|\|\||.)',
    re.ASCII | re.DOTALL,
)
_OPEN = {"(": ")", "[": "]", "{": "}"}

Statement = tuple[str, ...]


def words(program: str) -> list[str]:
    """The program's words without white space and comments, each number in one spelling."""
    found = []
    for match in _WORDS.finditer(program):
        if match["number"] is not None:
            found.append(_one_spelling(match))
        elif match["word"] is not None:
            found.append(match["word"])
    return found


def _one_spelling(match: re.Match[str]) -> str:
    """`<digits>e<power of ten>` without outer zeros."""
    part = match["only"] or match["part"] or ""
    power = int(match["power"] or match["small"] or 0) - len(part)
    digits = ((match["whole"] or "") + part).lstrip("0")
    short = digits.rstrip("0")
    return f"{short}e{power + len(digits) - len(short)}" if short else "0e0"


def statements(found: list[str]) -> list[Statement] | None:
    """Split after each `;` and `}` outside all brackets; None where brackets do not match. Empty statements go."""
    parts: list[Statement] = []
    current: list[str] = []
    closers: list[str] = []
    for word in found:
        current.append(word)
        if word in _OPEN:
            closers.append(_OPEN[word])
        elif word in _OPEN.values() and (not closers or closers.pop() != word):
            return None
        if not closers and word in (";", "}"):
            if current != [";"]:
                parts.append(tuple(current))
            current = []
    if closers:
        return None
    if current:
        parts.append(tuple(current))
    return parts


def normalised(program: str) -> tuple[Statement, ...]:
    """What is compared: assignments first, sorted where their order says nothing, then the shapes as written."""
    found = words(program)
    parts = statements(found)
    if parts is None:
        return (tuple(found),)
    assignments = [part for part in parts if _is_assignment(part)]
    shapes = [part for part in parts if not _is_assignment(part)]
    names = {part[0] for part in assignments}
    if len(names) == len(assignments) and not any(names & set(part[2:]) for part in assignments):
        assignments.sort()
    return (*assignments, *shapes)


def _is_assignment(part: Statement) -> bool:
    return len(part) > 3 and part[1] == "=" and part[-1] == ";" and (part[0][0] in "$_" or part[0][0].isalpha())


def same_text(answer: str, reference: str) -> bool:
    """Whether both are one program after normalising; false for an answer longer than `LONGEST`."""
    return len(answer) <= LONGEST and normalised(answer) == normalised(reference)
