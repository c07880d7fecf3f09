"""The run directory: the database of one run, and who may write in it."""

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.errors import RunError
from burnish.files import append_jsonl, new_directory, read_json, read_jsonl, write_json, write_jsonl, write_text
from burnish.report.several import refuse_several

RECIPE, EVENTS, SAMPLES, DATA, MASK, PROMPT, WEIGHTS = (
    "recipe.yaml",
    "events.jsonl",
    "samples.jsonl",
    "data.json",
    "mask.json",
    "best_prompt.json",
    "weights.json",
)


def free_name(folder: Path, name: str) -> Path:
    """`folder/name-1`, or the first number that is free."""
    number = 1
    while (folder / f"{name}-{number}").exists():
        number += 1
    return folder / f"{name}-{number}"


def check_free(path: Path, replace: bool) -> None:
    """Raise `RunError` where a run must not be written; nothing is removed here."""
    if not path.exists() or replace:
        if path.exists() and not path.is_dir():
            raise RunError(f"{path}: is a file, expected a directory for the run")
        if path.exists() and any(path.iterdir()) and not (path / RECIPE).is_file():
            raise RunError(
                f"{path}: holds something that is no run, so --replace does not remove it; choose another --out"
            )
        return
    if not path.is_dir() or any(path.iterdir()):
        raise RunError(f"{path}: is not empty; go on with `burnish resume {path}`, or use --replace or another --out")


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Reads and writes the files of one run."""

    path: Path

    @classmethod
    def create(cls, path: Path, recipe: str) -> "RunDirectory":
        """Make the directory with its resolved recipe in one rename; an old run under that name goes."""
        with new_directory(path) as temporary:
            write_text(temporary / RECIPE, recipe)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """An existing run; raises `RunError` where there is none."""
        if not path.is_dir():
            raise RunError(f"{path}: no such run directory; runs are made by `burnish run`")
        refuse_several(path)
        if not (path / RECIPE).is_file():
            raise RunError(f"{path}: no {RECIPE} in it, so this is no run directory")
        return cls(path)

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints stand."""
        return self.path / "checkpoints"

    @property
    def result(self) -> Path | None:
        """`adapter/` or `model/`, whichever was written."""
        return next((self.path / n for n in ("adapter", "model") if (self.path / n).is_dir()), None)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Only one process works on a run; the second is refused."""
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunError(f"{self.path}: another process works on this run; wait for it or stop it") from error
            yield

    def tell(self, events: Sequence[Mapping[str, object]]) -> None:
        """Append events."""
        append_jsonl(self.path / EVENTS, events)

    def events(self) -> list[dict[str, Any]]:
        """Everything that happened."""
        return self._lines(EVENTS)

    def started(self) -> dict[str, Any] | None:
        """The event that opened the run; None where it stopped before anything happened."""
        return next((event for event in self.events() if event["event"] == "started"), None)

    def cut_events(self, step: int) -> None:
        """Drop what happened after a checkpoint's step, so that a resumed run tells it once."""
        kept = [e for e in self.events() if not (isinstance(e.get("step"), int) and e["step"] > step)]
        kept = [e for e in kept if e["event"] != "stopped"]
        write_jsonl(self.path / EVENTS, kept)

    def add_samples(self, samples: Sequence[Mapping[str, object]]) -> None:
        """Append a chunk of measured items in one write."""
        append_jsonl(self.path / SAMPLES, samples)

    def samples(self) -> list[dict[str, Any]]:
        """Every measured item."""
        return self._lines(SAMPLES)

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.path / name
        try:
            return read_jsonl(path) if path.is_file() else []
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{path}: damaged ({error})") from error

    def put(self, name: str, value: object) -> None:
        """Write one of the JSON files."""
        write_json(self.path / name, value)

    def get(self, name: str) -> Any:
        """Read one of the JSON files; raises `RunError` where it is not there yet."""
        path = self.path / name
        if not path.is_file():
            raise RunError(
                f"{path}: is not there; the run did not get that far. Go on with `burnish resume {self.path}`"
            )
        try:
            return read_json(path)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RunError(f"{path}: damaged ({error})") from error

    def remove(self, name: str) -> None:
        """Remove a file or a folder of the run, if it is there."""
        path = self.path / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
