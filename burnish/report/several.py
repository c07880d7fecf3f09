"""A directory that holds a run for each of several methods: how it is known, and what is said to who wants one run."""

from pathlib import Path

from burnish.errors import RunError
from burnish.files import read_json

SEVERAL = "several.json"


def is_several(path: Path) -> bool:
    """Whether runs of several methods stand there."""
    return (path / SEVERAL).is_file()


def names_in(path: Path) -> tuple[str, ...]:
    """The runs, in the recipe's order."""
    value = read_json(path / SEVERAL)
    runs = value.get("runs") if isinstance(value, dict) else None
    if not isinstance(runs, list) or not runs:
        raise RunError(f"{path / SEVERAL}: damaged; expected the names of the runs beside it")
    return tuple(str(name) for name in runs)


def refuse_several(path: Path) -> None:
    """Raise `RunError` where one run is wanted and several stand there."""
    if is_several(path):
        known = ", ".join(str(path / name) for name in names_in(path))
        raise RunError(f"{path}: holds a run for each of several methods; name one of them: {known}")
