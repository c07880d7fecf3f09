"""What is read from an answer, for every arm alike: fences off, one lenient reading of labels, one normalisation."""

import re
import unicodedata
from collections.abc import Sequence

_FENCED = re.compile(r"^[ \t]*(```+|~~~+)[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_FENCE_LINE = re.compile(r"^[ \t]*(?:```+|~~~+)[^\n`]*$\n?", re.MULTILINE)


def unfenced(answer: str, expected: str) -> str:
    """The answer without Markdown fences; untouched where the expected answer has fences itself.

    One fenced block, with or without words around it: the block's content. Several: all text without the fence lines.
    An answer cut by its length may lack the closing fence.
    """
    if "```" in expected or "~~~" in expected:
        return answer
    blocks = _FENCED.findall(answer)
    if len(blocks) == 1:
        return str(blocks[0][1]).rstrip("\n")
    if len(blocks) > 1:
        return _FENCE_LINE.sub("", answer)
    return answer


def collapsed(text: str) -> str:
    """Unicode forms unified (NFKC), case folded, runs of white space as one blank, none at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def normalised(text: str) -> str:
    """`collapsed`, without punctuation at the ends: ' "Refund." ' -> 'refund'; pure punctuation stays as it is."""
    plain = collapsed(text)
    stripped = plain.strip(" .,;:!?\"'`*_()[]{}<>“”‘’«»")
    return stripped or plain


def _words(text: str) -> str:
    """`collapsed`, every run of other characters than letters and digits as one blank: 'card_lost' -> 'card lost'."""
    return " ".join(re.sub(r"[\W_]+", " ", collapsed(text)).split())


def parse_label(answer: str, labels: Sequence[str]) -> str | None:
    """The one label that an answer names, or None; the same lenient reading for every arm.

    Tried in this order, ignoring case, punctuation and white space: the whole answer is a label; its first line is one;
    exactly one label stands in the first line as whole words; exactly one stands in the whole answer. A label inside a
    longer label at the same place does not count. An answer that names several labels names none.
    """
    words = {label: _words(label) for label in labels}
    if "" in words.values() or len(set(words.values())) < len({collapsed(label) for label in labels}):
        words = {label: collapsed(label) for label in labels}  # labels such as "+" and "-", or "c" and "c++"
        fold = collapsed
    else:
        fold = _words
    by_words: dict[str, str] = {}
    for label in labels:
        by_words.setdefault(words[label], label)
    if answer.strip() in words:
        return answer.strip()
    lines = [line for line in answer.splitlines() if line.strip()]
    if not lines:
        return None
    texts = [fold(answer), fold(lines[0]), normalised(answer), normalised(lines[0])]
    for text in texts:
        if text in by_words:
            return by_words[text]
    for text in (fold(lines[0]), fold(answer)):
        named = _named(text, by_words)
        if named:
            return by_words[named[0]] if len(named) == 1 else None
    return None


def _named(text: str, by_words: dict[str, str]) -> list[str]:
    """Labels that stand in the text as whole words, without those that only stand inside a longer one."""
    spans: list[tuple[int, int, str]] = []
    for words in sorted((w for w in by_words if w), key=len, reverse=True):
        for match in re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text):
            if not any(start <= match.start() and match.end() <= end for start, end, _ in spans):
                spans.append((match.start(), match.end(), words))
    return sorted({words for _, _, words in spans})
