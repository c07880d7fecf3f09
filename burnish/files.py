"""The only module that writes files: whole or not at all."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

Json = Mapping[str, object] | Sequence[object] | str | int | float | bool | None


def to_json(value: object, indent: int | None = None) -> str:
    """JSON text; a NaN or an infinity is our own mistake and raises."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write under a temporary name, flush to the disk, rename: a reader sees the old file or the new one."""
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` in UTF-8, line breaks as given."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """One JSON value, indented, ending in a line break."""
    write_text(path, to_json(value, indent=2) + "\n")


def write_jsonl(path: Path, values: Sequence[object]) -> None:
    """One JSON value a line, all or nothing."""
    write_text(path, "".join(to_json(value) + "\n" for value in values))


def append_jsonl(path: Path, values: Sequence[object]) -> None:
    """Add lines in one write; a line cut by a crash is dropped by `read_jsonl`."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write("".join(to_json(value) + "\n" for value in values))


def read_json(path: Path) -> object:
    """The value of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_jsonl(path: Path) -> list[dict[str, object]]:
    """The objects of a file that `append_jsonl` wrote; a last line without its line break is dropped."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sync_directory(path: Path) -> None:
    """Make renames inside a directory survive a power loss; a no-op where the system has no such call."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A directory that appears under `path` complete or not at all; an existing one is replaced at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".tmp-{uuid.uuid4().hex}"
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb+") as handle:
                    os.fsync(handle.fileno())
        sync_directory(temporary)
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
        sync_directory(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
