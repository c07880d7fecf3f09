"""Everything that can be wrong with what a user gave, as one small tree.

    BurnishError                a sentence for the user; the command line prints it and exits with `exit_code`
    ├── RecipeError             a field, a value or a combination in a recipe
    ├── DataError               a record, a file, a split
    ├── ModelError              a name, a directory, a GGUF file, a network that is not there
    ├── MethodError             a method that does not fit a model, an adapter that does not load
    ├── RunError                a run directory: missing, not empty, damaged, in use
    ├── TrainingError           numbers that went wrong while training
    └── Interrupted             the user asked to stop; the state is saved

A message says where, what was found, what was expected and what to do. Mistakes of our own are `assert`s, never these.
"""

from collections.abc import Sequence


class BurnishError(Exception):
    """A problem that the user can mend; `str()` of it is the whole message."""

    exit_code = 2


class RecipeError(BurnishError):
    """A recipe's field, value or combination of values."""


class DataError(BurnishError):
    """A data file or a record in it."""


class ModelError(BurnishError):
    """A model that cannot be found, read or trusted."""


class MethodError(BurnishError):
    """A method that does not fit the model, or an adapter that does not load."""


class RunError(BurnishError):
    """A run directory that is missing, not empty, damaged or in use."""


class TrainingError(BurnishError):
    """Training that cannot go on: losses or gradients that are not numbers."""

    exit_code = 1


class Interrupted(BurnishError):  # noqa: N818 (it is no error)
    """A stop that the user asked for; `exit_code` is 130 for Ctrl-C and 143 for SIGTERM."""

    exit_code = 130

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def listed(problems: Sequence[str], shown: int = 10) -> str:
    """Several problems of one kind as one message: a line each, at most `shown`, the rest counted."""
    lines = list(problems[:shown])
    if len(problems) > shown:
        lines.append(f"... and {len(problems) - shown} more")
    return "\n".join(lines)
