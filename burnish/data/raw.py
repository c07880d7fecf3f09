"""What the readers of files share: rows not yet records, and the decoding of bytes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST = 16 << 20  # bytes of one record


@dataclass(slots=True)
class Raw:
    """What a reader found: (first line, row or None, values) of each record, problems, and what it assumed."""

    rows: list[tuple[int, int | None, Mapping[str, object]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def decoded(content: bytes, name: str, raw: Raw, fallback: str | None) -> str | None:
    """UTF-8 (a BOM is taken off), else `fallback` with a note, else None with a problem. Line breaks become "\\n"."""
    encoding = "utf-8-sig"
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
        raw.notes.append(f"{name}: read as UTF-16, as its first two bytes say")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        place = f"{name}:{content.count(bytes([10]), 0, error.start) + 1}"
        if fallback is None or encoding != "utf-8-sig" or _mostly_utf8(content):
            raw.problems.append(f"{place}: byte {content[error.start]:#04x} is not UTF-8; save the file as UTF-8")
            return None
        try:
            text = content.decode(fallback)
        except UnicodeDecodeError:
            raw.problems.append(f"{place}: neither UTF-8 nor {fallback}; save the file as UTF-8")
            return None
        raw.notes.append(f"{name}: not UTF-8 (line {place.rsplit(':', 1)[1]}); read as {fallback}, Windows' encoding")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _mostly_utf8(content: bytes) -> bool:
    """Whether the bytes are UTF-8 with a flaw rather than another encoding: valid sequences outnumber the others."""
    valid = len(re.findall(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}", content))
    return valid > content.decode("utf-8", errors="replace").count("�")
