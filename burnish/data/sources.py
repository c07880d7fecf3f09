"""Files become records: jsonl, json, csv, tsv, txt; anything broken is named by file and line."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from burnish.data.delimited import read_delimited
from burnish.data.jsonfiles import read_json_array, read_json_lines
from burnish.data.raw import Raw, decoded
from burnish.errors import DataError, listed
from burnish.registry import did_you_mean

ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".txt": "txt"}
ADVICE = {
    ".xlsx": 'save the sheet as "CSV UTF-8" in your spreadsheet program',
    ".xls": 'save the sheet as "CSV UTF-8" in your spreadsheet program',
    ".parquet": "write it as .jsonl, for instance with pandas: to_json(..., orient='records', lines=True)",
    ".gz": "unpack it first",
    ".zip": "unpack it first",
}


@dataclass(frozen=True, slots=True)
class Record:
    """One record as its file holds it."""

    id: str  # "file:line", the first line where it takes several; unique in its file
    values: Mapping[str, object]
    row: int | None = None  # number of the row in a csv or tsv file, the header not counted

    @property
    def where(self) -> str:
        """The handle for messages: "tickets.csv:5 (row 3)" where rows and lines can differ."""
        return self.id if self.row is None else f"{self.id} (row {self.row})"


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read whole."""

    path: Path
    kind: str  # jsonl, json, csv, tsv, txt
    records: tuple[Record, ...]
    columns: tuple[str, ...]  # of all records, in the order of their first appearance
    notes: tuple[str, ...] = field(default=())  # what was assumed while reading


def read_records(path: Path) -> list[Record]:
    """The records of a file; see `read_source`."""
    return list(read_source(path).records)


def read_source(path: Path, name: str | None = None) -> Source:
    """Read a whole file. `name` replaces the file's own name in ids.

    Raises DataError: missing, empty, unknown kind, not UTF-8, broken JSON or CSV, with every place named.
    """
    kind = _kind(path)
    name = name or path.name
    readers: dict[str, Callable[[Path, str], Raw]] = {
        "jsonl": read_json_lines,
        "json": read_json_array,
        "csv": read_delimited,
        "tsv": read_delimited,
        "txt": _read_text,
    }
    raw = readers[kind](path, name)
    if raw.problems:
        raise DataError(listed(raw.problems))
    if not raw.rows:
        raise DataError(f"{name}: holds no records; expected at least one")
    records = tuple(_numbered(raw, name))
    columns = tuple(dict.fromkeys(column for record in records for column in record.values))
    return Source(path, kind, records, columns, tuple(raw.notes))


def _numbered(raw: Raw, name: str) -> Iterator[Record]:
    """Records with ids of their own: the second one that begins on line 7 is "file:7[2]"."""
    last, count = 0, 0
    for line, row, values in raw.rows:
        last, count = line, count + 1 if line == last else 1
        yield Record(f"{name}:{line}" + (f"[{count}]" if count > 1 else ""), values, row)


def _kind(path: Path) -> str:
    """The kind of a file by the end of its name, after the checks that need no reading."""
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file.{did_you_mean(path.name, beside)}")
    if path.is_dir():
        raise DataError(f"{path}: is a directory; name a file in it: .jsonl, .json, .csv, .tsv or .txt")
    kind = ENDINGS.get(path.suffix.lower())
    if kind is None:
        advice = ADVICE.get(path.suffix.lower(), "rename or convert it")
        raise DataError(
            f'{path.name}: cannot read "{path.suffix}" files; expected .jsonl, .json, .csv, .tsv or .txt; {advice}'
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path.name}: the file is empty; expected at least one record")
    return kind


def _read_text(path: Path, name: str) -> Raw:
    """Raw documents: parts between form feeds or lines `<|endoftext|>`, else the whole file as one."""
    raw = Raw()
    text = decoded(path.read_bytes(), name, raw, fallback=None)
    if text is None:
        return raw
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raw.problems.append(f"{name}:{line}: holds a NUL character; a .txt file is plain text; remove it")
        return raw
    document: list[tuple[int, str]] = []
    for number, whole in enumerate(text.split("\n"), 1):
        for at, part in enumerate(whole.split("\f")):
            if at or part.strip() == "<|endoftext|>":
                _add_document(raw, document)
                document = []
            if part.strip() != "<|endoftext|>":
                document.append((number, part))
    _add_document(raw, document)
    return raw


def _add_document(raw: Raw, lines: list[tuple[int, str]]) -> None:
    """One document from its numbered lines, unless they are all blank; blank lines around it fall away."""
    written = [at for at, (_, line) in enumerate(lines) if line.strip()]
    if written:
        text = "\n".join(line for _, line in lines[written[0] : written[-1] + 1])
        raw.rows.append((lines[written[0]][0], None, {"text": text}))
