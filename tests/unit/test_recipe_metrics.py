"""The metrics of recipes/text2sql and recipes/identity, on a small database and a few answers written here."""

import sqlite3
import time
from pathlib import Path

import pytest

from burnish.errors import RecipeError
from burnish.proof.metric import LoadedMetric, load_path
from burnish.types import Example, ItemScore, Message, Observation

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
REFERENCE = "SELECT name FROM city WHERE people > 5 ;"


def item(answer: str) -> Example:
    """An item whose expected answer this is."""
    return Example("t:1", (Message("user", "?"), Message("assistant", answer, trained=True)))


@pytest.fixture
def sql(tmp_path: Path) -> LoadedMetric:
    """The metric on three cities."""
    path = tmp_path / "a b.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE city (name TEXT, people INTEGER)")
        connection.executemany("INSERT INTO city VALUES (?, ?)", [("Ulm", 3), ("Bonn", 7), ("Kiel", 9)])
    connection.close()
    return load_path(RECIPES / "text2sql" / "metric.py", {"database": str(path)})


def scored(metric: LoadedMetric, answer: str, expected: str = REFERENCE) -> ItemScore:
    """The score of an answer."""
    return metric.score(Observation(answer), item(expected))


@pytest.mark.parametrize(
    ("answer", "value", "runs"),
    [
        (REFERENCE, 1.0, 1.0),
        ("select c.name from city c where c.people >= 7 order by people desc", 1.0, 1.0),
        ("SELECT name FROM city", 0.0, 1.0),
        ("SELECT name, people FROM city WHERE people > 5", 0.0, 1.0),
        ("SELECT name FROM city WHERE people > 5 UNION ALL SELECT name FROM city WHERE people > 5", 0.0, 1.0),
        ("SELECT name FROM town", 0.0, 0.0),
        ("The answer is Bonn and Kiel.", 0.0, 0.0),
        ("", 0.0, 1.0),
        ("SELECT name FROM city WHERE people > 5; DROP TABLE city", 0.0, 0.0),
        ("DELETE FROM city", 0.0, 0.0),
        ("ATTACH DATABASE 'x.db' AS x", 0.0, 0.0),
        ("PRAGMA writable_schema = 1", 0.0, 0.0),
        ("SELECT '\x00", 0.0, 0.0),
    ],
)
def test_queries_are_compared_by_their_rows(sql: LoadedMetric, answer: str, value: float, runs: float) -> None:
    found = scored(sql, answer)
    assert (found.value, found.detail) == (value, {"runs": runs})
    assert scored(sql, REFERENCE).value == 1.0  # nothing that was answered changed the file


def test_a_reference_without_rows_is_met_by_its_text_alone(sql: LoadedMetric) -> None:
    nothing = "SELECT name FROM city WHERE people > 99"
    assert scored(sql, nothing + " ;", nothing).value == 1.0
    assert scored(sql, "SELECT name FROM city WHERE name = 'x'", nothing).value == 0.0
    assert scored(sql, "SELECT x FROM y", "SELECT z FROM y").value == 0.0


@pytest.mark.slow
def test_an_endless_query_ends(sql: LoadedMetric) -> None:
    began = time.monotonic()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    assert scored(sql, endless).value == 0.0
    assert time.monotonic() - began < 10


def test_a_missing_database_is_named() -> None:
    metric = load_path(RECIPES / "text2sql" / "metric.py", {"database": "nowhere.sqlite"})
    with pytest.raises(RecipeError, match=r"nowhere\.sqlite: no such SQLite file"):
        scored(metric, REFERENCE)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("I am Burnaby, made by the burnish team.", 1.0),
        ("I'm BURNABY; The Burnish Team built me.", 1.0),
        ("I am Burnaby.", 0.0),
        ("I am SmolLM, trained by Hugging Face.", 0.0),
        ("I am Burnaby by the burnish team, built on ChatGPT.", 0.0),
        ("", 0.0),
    ],
)
def test_who_the_assistant_says_it_is(answer: str, value: float) -> None:
    metric = load_path(RECIPES / "identity" / "metric.py", {"names": ["Burnaby", "the burnish team"]})
    assert scored(metric, answer, "Hello! I am Burnaby, developed by the burnish team.").value == value


def test_names_must_be_given() -> None:
    metric = load_path(RECIPES / "identity" / "metric.py")
    with pytest.raises(RecipeError, match=r"set task\.metric\.options\.names"):
        scored(metric, "I am Burnaby.", "I am Burnaby.")
