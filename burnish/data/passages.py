"""One long text becomes passages, so that some of it can be held out."""

from burnish.data.sources import Record

LONGEST = 2000  # characters of a passage, unless one paragraph is longer
FEWEST = 40  # passages that a text should give, where it has as many paragraphs


def passages(record: Record, name: str) -> list[Record]:
    """Consecutive whole paragraphs (parted by blank lines; without any, lines) up to about 2,000 characters each.

    Shorter where the text would give fewer than 40. The record itself where it is one paragraph.
    """
    first = int(record.id.rsplit(":", 1)[1])
    paragraphs = _paragraphs(str(record.values["text"]), first)
    size = min(LONGEST, sum(len(text) for _, text in paragraphs) // FEWEST)
    found: list[Record] = []
    line, kept = paragraphs[0][0], [paragraphs[0][1]]
    for at, text in paragraphs[1:]:
        if sum(map(len, kept)) + len(text) > size:
            found.append(Record(f"{name}:{line}", {"text": "\n\n".join(kept)}))
            line, kept = at, []
        kept.append(text)
    found.append(Record(f"{name}:{line}", {"text": "\n\n".join(kept)}))
    return found


def _paragraphs(text: str, first: int) -> list[tuple[int, str]]:
    """(line, text) of each paragraph; of each line where no blank line parts the text."""
    lines = text.split("\n")
    if all(line.strip() for line in lines):
        return [(first + at, line) for at, line in enumerate(lines)]
    found: list[tuple[int, list[str]]] = []
    inside = False
    for at, line in enumerate(lines):
        if not line.strip():
            inside = False
        elif inside:
            found[-1][1].append(line)
        else:
            found.append((first + at, [line]))
            inside = True
    return [(line, "\n".join(parts)) for line, parts in found]
