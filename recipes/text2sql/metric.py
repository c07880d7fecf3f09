"""`same_result`: does the answered query give the rows that the reference query gives?

Both run on the same SQLite file, opened read-only, each for at most 2 seconds and 10,000 rows; only reading is allowed.
Rows are compared as a multiset: their order says nothing, since few of these questions ask for one. A query that
fails, runs too long or is more than one statement scores 0. Where the reference itself gives no row, or does not run
on SQLite (5 of 877 do not), any query with a typing error in a name would "agree": there the texts must be equal but
for white space and case.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from burnish.types import Example, ItemScore, Observation

SECONDS, ROWS, LONGEST = 2.0, 10_000, 20_000
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}

Rows = Counter[tuple[object, ...]]


@lru_cache(maxsize=4)
def opened(database: str) -> sqlite3.Connection:
    """The database, read-only; raises ValueError where there is none."""
    path = Path(database)
    if not path.is_file():
        raise ValueError(f"{database}: no such SQLite file; set task.metric.options.database")
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in READING else sqlite3.SQLITE_DENY)
    return connection


def rows(database: str, query: str) -> Rows | None:
    """The rows of a query with their counts; None where it fails, takes too long or gives too many."""
    connection = opened(database)
    end = time.monotonic() + SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)
    try:
        found = connection.execute(query).fetchmany(ROWS + 1)
    except (sqlite3.Error, sqlite3.Warning, UnicodeError, ValueError, OverflowError):
        return None
    return None if len(found) > ROWS else Counter(found)


def same_text(one: str, other: str) -> bool:
    """Equal but for white space, case and a closing semicolon."""
    first, second = (" ".join(text.rstrip("; \n").split()).lower() for text in (one, other))
    return first == second


@dataclass(frozen=True, slots=True)
class SameResult:
    """The share of answers whose query gives the rows of the reference."""

    name: str = "same_result"
    unit: str = "share"
    better: Literal["higher", "lower"] = "higher"
    is_share: bool = True
    margin: float = 0.05
    reads: Literal["answer", "reference"] = "answer"
    also: tuple[str, ...] = ("exact_normalised",)
    options: Mapping[str, object] = field(default_factory=lambda: {"database": ""})

    def score(self, observation: Observation, example: Example, options: Mapping[str, object]) -> ItemScore:
        """1.0 or 0.0, with whether the query ran."""
        answer = observation.answer or ""
        if len(answer) > LONGEST:
            return ItemScore(0.0, {"runs": 0.0})
        database = str(options["database"])
        expected, found = rows(database, example.answer), rows(database, answer)
        right = found == expected if expected else same_text(answer, example.answer)
        return ItemScore(float(right), {"runs": float(found is not None)})


metric = SameResult()
