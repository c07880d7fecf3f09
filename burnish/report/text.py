"""Texts of models and data made fit to be looked at: hidden characters written out, very long ones shown in part."""

import re

LONGEST = 4000  # characters of one text that a page shows

# Characters that have no shape of their own or that reorder their neighbours: controls, bidirectional marks, invisible
# ones, halves of surrogate pairs, and those that are no characters. Joiners stay: scripts and emoji need them.
_NO_CHARACTERS = "".join(chr(plane + end) for plane in range(0, 0x110000, 0x10000) for end in (0xFFFE, 0xFFFF))
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    f"\ud800-\udfff\ufdd0-\ufdef\U000e0000-\U000e007f{_NO_CHARACTERS}]"
)


def named(match: re.Match[str]) -> str:
    """A hidden character by its number."""
    return f"⟨U+{ord(match[0]):04X}⟩"


def visible(text: str) -> str:
    """The text with every hidden character written out, as in `⟨U+202E⟩`; line breaks and tabs stay."""
    return HIDDEN.sub(named, text)


def clipped(text: str, longest: int = LONGEST) -> str:
    """The beginning and the end of a text that is longer, with a note of what is missing between them."""
    if len(text) <= longest:
        return text
    head, tail = longest * 3 // 4, longest // 4
    return f"{text[:head]}\n[... {len(text) - head - tail:,} characters left out here ...]\n{text[-tail:]}"
