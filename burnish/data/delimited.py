"""Reading .csv and .tsv as spreadsheet programs write them."""

import csv
import io
from pathlib import Path

from burnish.data.raw import LONGEST, Raw, decoded

CANDIDATES = {",": "comma", ";": "semicolon", "\t": "tab"}
SAMPLE = 200  # rows by which the delimiter is chosen


def read_delimited(path: Path, name: str) -> Raw:
    """Rows under a header; BOM, UTF-8 or cp1252, `, ; tab`, quoted line breaks, blanks around header names."""
    raw = Raw()
    text = decoded(path.read_bytes(), name, raw, fallback="cp1252")
    if text is None:
        return raw
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raw.problems.append(f"{name}:{line}: holds a NUL character; remove it (is this a text file?)")
        return raw
    skipped, delimiter = 0, None
    first = text.split("\n", 1)[0]
    if first.lower().startswith("sep=") and len(first) == 5:  # written by Excel for itself
        skipped, delimiter, text = 1, first[4], text.split("\n", 1)[1]
    if delimiter is None:
        delimiter = _delimiter(text, path.suffix.lower() == ".tsv")
        raw.notes.append(f"{name}: columns are separated by {CANDIDATES[delimiter]}")
    limit = csv.field_size_limit(LONGEST)
    try:
        _rows(text, delimiter, skipped, name, raw)
    finally:
        csv.field_size_limit(limit)
    return raw


def _delimiter(text: str, tabs: bool) -> str:
    """The candidate under which most rows have as many cells as the header, more columns first."""
    if tabs and "\t" in text.split("\n", 1)[0]:
        return "\t"
    best, found = (-1.0, -1), ","
    for candidate in CANDIDATES:
        try:
            rows = []
            for row in csv.reader(io.StringIO(text), delimiter=candidate, strict=True):
                if row:
                    rows.append(len(row))
                if len(rows) > SAMPLE:
                    break
        except csv.Error:
            if not rows:
                continue
        share = sum(width == rows[0] for width in rows) / len(rows) if rows else 0.0
        score = (share if rows and rows[0] > 1 else share / 2, rows[0] if rows else 0)
        if score > best:
            best, found = score, candidate
    return found


def _rows(text: str, delimiter: str, skipped: int, name: str, raw: Raw) -> None:
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    header: list[str] = []
    row, line = 0, 0
    while True:
        line = reader.line_num
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raw.problems.append(
                f"{name}:{line + skipped + 1}: broken CSV in the row that begins here: {error}; "
                'a cell with quotes or line breaks stands in "...", and a quote inside is written twice'
            )
            break
        if not cells:
            continue
        at = line + skipped + 1
        if not header:
            header = _header(cells, at, name, raw)
            if raw.problems:
                return
            continue
        row += 1
        _add(cells, header, at, row, name, raw)
    _look_for_header(header, raw, name)


def _header(cells: list[str], line: int, name: str, raw: Raw) -> list[str]:
    header = [" ".join(cell.split()) for cell in cells]
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if twice:
        raw.problems.append(f'{name}:{line}: the header names "{twice[0]}" twice; rename one of the columns')
    if not any(header):
        raw.problems.append(f"{name}:{line}: expected column names in the first row, found empty cells")
    return header


def _add(cells: list[str], header: list[str], line: int, row: int, name: str, raw: Raw) -> None:
    """One row as values; cells under nameless columns must be empty, since Excel writes such columns."""
    while len(cells) > len(header) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(header):
        raw.problems.append(
            f"{name}:{line} (row {row}): found {len(cells)} cells where the header has {len(header)}; "
            'put cells that hold the separator or a line break in "..."'
        )
        return
    if any(cell.strip() for cell, column in zip(cells, header, strict=True) if not column):
        raw.problems.append(f"{name}:{line} (row {row}): a cell stands under a column without a name; name the column")
        return
    raw.rows.append((line, row, {column: cell for column, cell in zip(header, cells, strict=True) if column}))


def _look_for_header(header: list[str], raw: Raw, name: str) -> None:
    """A first row that recurs as data is no header."""
    for column in filter(None, header):
        again = sum(values[column] == column for _, _, values in raw.rows)
        if again > 1:
            raw.problems.append(
                f'{name}:1: the first row looks like data ("{column}" stands in {again} more rows of its column); '
                "put a row of column names on top"
            )
            return
