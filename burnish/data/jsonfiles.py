"""Reading .jsonl and .json: strict UTF-8, strict JSON, each fault with its line and what to do."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from burnish.data.raw import LONGEST, Raw

DEEPEST = 64
_UNFIT = re.compile("[\ud800-\udfff\0]")
_BLANK = re.compile(r"[ \t\r\n]*")


class _RefusedError(Exception):
    """Valid JSON that is refused all the same."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _RefusedError(f'the key "{twice}" stands twice in one object; keep one of them')
    return values


def _constant(text: str) -> object:
    raise _RefusedError(f"{text} is no JSON value; write null or leave the field out")


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _RefusedError(f"the number {text[:20]} is too large; write it as text")
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)


def _check(value: object, depth: int = 1) -> None:
    """Raise where a text cannot be written as UTF-8 or the nesting is too deep."""
    if depth > DEEPEST + 1:
        raise _RefusedError(f"is nested more than {DEEPEST} deep; flatten it")
    if isinstance(value, str):
        if found := _UNFIT.search(value):
            raise _RefusedError(
                "holds a NUL character (\\u0000); remove it"
                if found.group() == "\0"
                else f"holds half a character (the lone surrogate \\u{ord(found.group()):04x}); write the whole one"
            )
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


def _parsed(text: str, start: int = 0) -> tuple[object, int]:
    """One JSON value from `start` and where it ends. Raises _RefusedError with the reason."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        column = error.pos - max(text.rfind("\n", 0, error.pos) + 1, 0) + 1
        raise _RefusedError(f"broken JSON at column {column}: {error.msg[0].lower()}{error.msg[1:]}") from None
    except RecursionError:
        raise _RefusedError(f"is nested more than {DEEPEST} deep; flatten it") from None
    except ValueError as error:  # a whole number of thousands of digits
        raise _RefusedError(f"{error}; write it as text") from None
    if "\\u" in text or _brackets(text, start, end) > DEEPEST:
        _check(value)
    return value, end


def _brackets(text: str, start: int, end: int) -> int:
    return text.count("{", start, end) + text.count("[", start, end)


def _as_record(value: object) -> Mapping[str, object]:
    if isinstance(value, dict):
        return value
    found = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
    raise _RefusedError(f'expected an object such as {{"prompt": "...", "completion": "..."}}, found {found}')


def read_json_lines(path: Path, name: str) -> Raw:
    """One object a line; blank lines hold no record. Lines are read one by one."""
    raw = Raw()
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if len(line) > LONGEST:
                raw.problems.append(f"{name}:{number}: the line is longer than 16 MB; split the record")
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST)
                continue
            if not line.strip():
                continue
            try:
                raw.rows.append((number, None, _line(line, number)))
            except _RefusedError as fault:
                raw.problems.append(f"{name}:{number}: {fault}")
    return raw


def _line(line: bytes, number: int) -> Mapping[str, object]:
    if b"\0" in line:
        if line[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise _RefusedError("the file is UTF-16; save it as UTF-8")
        raise _RefusedError("holds a NUL byte; remove it (is this a text file?)")
    try:
        text = line.decode("utf-8").strip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise _RefusedError(f"byte {line[error.start]:#04x} is not UTF-8; save the file as UTF-8") from None
    if number == 1 and text == "[":
        raise _RefusedError('begins a JSON array that spans lines; rename the file to ".json"')
    value, end = _parsed(text)
    if end < len(text):
        raise _RefusedError(f"more text after the object, at column {end + 1}; write one object a line")
    return _as_record(value)


def read_json_array(path: Path, name: str) -> Raw:
    """A list of objects, or one object that holds a single list of objects; lines of objects are met with a note."""
    content = path.read_bytes()
    raw = Raw()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raw.problems.append(f"{name}:{line}: byte {content[error.start]:#04x} is not UTF-8; save the file as UTF-8")
        return raw
    start = _skip(text, 0)
    if start < len(text) and text[start] != "[":
        start = _inner_list(text, start, name, raw)
        if start < 0:
            return read_json_lines(path, name) if not raw.problems else raw
    _elements(text, start, name, raw)
    return raw


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _inner_list(text: str, start: int, name: str, raw: Raw) -> int:
    """Where the only list of `{"data": [...]}` begins; -1 where the file holds something else."""
    try:
        value, end = _parsed(text, start)
    except _RefusedError as fault:
        raw.problems.append(f"{name}:{text.count(chr(10), 0, start) + 1}: {fault}")
        return -1
    if _skip(text, end) < len(text):
        return -1  # several values after each other: lines
    lists = [key for key, item in _as_record(value).items() if isinstance(item, list)] if type(value) is dict else []
    at = re.compile(r'"' + re.escape(json.dumps(lists[0])[1:-1]) + r'"\s*:\s*\[').search(text) if lists else None
    if len(lists) != 1 or at is None:
        raw.problems.append(f"{name}: expected a list of objects, found one object; write [{{...}}, {{...}}]")
        return -1
    raw.notes.append(f'{name}: the records are the list under "{lists[0]}"')
    return at.end() - 1


def _elements(text: str, start: int, name: str, raw: Raw) -> None:
    """The objects of the list that begins at `start`, each with the line on which it begins."""
    at, line, seen = _skip(text, start + 1), 1, 0
    if at < len(text) and text[at] == "]":
        return
    while True:
        line += text.count("\n", seen, at)
        seen = at
        try:
            value, end = _parsed(text, at)
        except _RefusedError as fault:
            raw.problems.append(f"{name}:{line}: {fault}")
            return  # where the next element begins is not known
        try:
            if end - at > LONGEST:
                raise _RefusedError("the record is longer than 16 MB; split it")
            raw.rows.append((line, None, _as_record(value)))
        except _RefusedError as fault:
            raw.problems.append(f"{name}:{line}: {fault}")
        at = _skip(text, end)
        if at >= len(text) or text[at] not in ",]":
            line += text.count("\n", seen, at)
            raw.problems.append(f'{name}:{line}: broken JSON: expected "," or "]" after the record')
            return
        if text[at] == "]":
            return
        at = _skip(text, at + 1)
