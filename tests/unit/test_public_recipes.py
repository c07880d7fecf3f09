"""The recipes for public data: what they would train on, where the data are at hand, and what they say where not."""

import os
from pathlib import Path

import pytest

from burnish.data.dataset import load
from burnish.errors import RecipeError
from burnish.pipeline.recipe import load_recipe

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
needs_data = pytest.mark.skipif(
    not os.environ.get("BURNISH_DATA"), reason="BURNISH_DATA is not set: no public data sets"
)


@pytest.mark.parametrize("name", ["trec6", "banking77"])
def test_without_data_the_recipe_says_where_they_come_from(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BURNISH_DATA", raising=False)
    with pytest.raises(RecipeError, match=r"\$\{BURNISH_DATA\} is not set.*README.md beside the recipe"):
        load_recipe(RECIPES / name / "recipe.yaml")
    assert "$BURNISH_DATA" in (RECIPES / name / "README.md").read_text(encoding="utf-8")


@needs_data
def test_trec6_counts_its_overlap() -> None:
    dataset = load(load_recipe(RECIPES / "trec6" / "recipe.yaml").recipe.data, task_kind="classify")
    counts = dataset.counts
    assert (counts.train, counts.held_out, counts.dropped["overlap"]) == (1000, 500, 10)
    assert len({example.answer for example in dataset.train}) == 6


@needs_data
def test_banking77_has_all_its_intents() -> None:
    dataset = load(load_recipe(RECIPES / "banking77" / "recipe.yaml").recipe.data, task_kind="classify")
    assert (dataset.counts.train, dataset.counts.held_out) == (1000, 300)
    assert len({example.answer for example in dataset.train}) == 77
    assert len({example.answer for example in dataset.held_out}) > 70
