"""Where benches keep their numbers: bench/results/tables/NAME.json, from which the docs' tables are made."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burnish.files import read_json, write_json

FOLDER = Path(__file__).resolve().parent / "results" / "tables"


def keep(name: str, value: Mapping[str, object]) -> Path:
    """Write a table; returns its file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    write_json(path, value)
    return path


def kept(name: str) -> dict[str, Any] | None:
    """A table as it was written; None where its bench was not run."""
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        return None
    value = read_json(path)
    assert isinstance(value, dict), path
    return value
