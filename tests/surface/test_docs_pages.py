"""Pages that are generated are fresh, and examples in them are what they say."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from burnish.data.layout import find_layout, formats
from burnish.data.settings import DataSettings
from burnish.data.sources import read_source
from burnish.pipeline.recipe import recipe_from
from burnish.proof.metric import load_path
from burnish.types import Example, Message, Observation
from scripts.pages import MARK, pages, stale

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = re.compile(r"^### (\w+)\n(?:(?!^#).)*?^```(csv|jsonl)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def block(page: str, language: str) -> str:
    """The first fenced block of a language."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_generated_pages_are_fresh() -> None:
    assert [path.name for path in stale()] == [], "run: python -m scripts.pages"


def test_a_changed_default_would_be_noticed() -> None:
    text = pages()[ROOT / "docs" / "recipes.md"]
    assert "| `training.warmup` | `0.06` |" in text
    assert "| `method.rank` | `16` |" in text
    assert len(MARK.findall(text)) == 2
    older = text.replace("| `method.rank` | `16` |", "| `method.rank` | `8` |")
    assert older not in pages().values()


def examples() -> list[tuple[str, str, str]]:
    """Format, kind of file and text of each example in docs/data.md."""
    return EXAMPLE.findall((ROOT / "docs" / "data.md").read_text(encoding="utf-8"))


def test_every_format_has_an_example() -> None:
    assert sorted(name for name, _, _ in examples()) == sorted(formats())


@pytest.mark.parametrize(("name", "kind", "text"), examples(), ids=lambda value: value if value.isalpha() else "")
def test_an_example_is_read_as_its_format(name: str, kind: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"example.{kind}"
    path.write_text(text, encoding="utf-8")
    source = read_source(path)
    layout = find_layout(DataSettings(train=str(path)), source.columns, path.name)
    assert layout.name == name
    assert len(source.records) == 2
    for record in source.records:
        assert any(message.trained for message in layout.format.turns(record, layout))


def test_recipes_in_the_pages_are_valid() -> None:
    whole: dict[str, Any] = yaml.safe_load(block("recipes.md", "yaml"))
    assert recipe_from(whole, Path("/somewhere"), "docs/recipes.md").model == "smollm2-135m-instruct"
    part: dict[str, Any] = yaml.safe_load(block("data.md", "yaml"))
    assert recipe_from({"model": "m", **part}, Path("/somewhere"), "docs/data.md").data.answer == "genre"


def test_the_metric_in_the_page_is_one(tmp_path: Path) -> None:
    path = tmp_path / "metric.py"
    path.write_text(block("recipes.md", "python"), encoding="utf-8")
    metric = load_path(path)
    item = Example("a:1", (Message("user", "q"), Message("assistant", " yes ", trained=True)))
    assert metric.score(Observation("oh yes!"), item).value == 1
    assert metric.score(Observation("no"), item).value == 0


def test_every_part_of_what_fine_tuning_is_has_a_command_and_a_number() -> None:
    text = (ROOT / "docs" / "what-is-fine-tuning.md").read_text(encoding="utf-8")
    parts = text.split("\n## ")[1:]
    assert len(parts) == 7
    for part in parts:
        command = re.search(r"^```sh\n(burnish .*\n)+```$", part, re.MULTILINE)
        assert command is not None, part.splitlines()[0]
        assert re.search(r"\d", part[command.end() :]), part.splitlines()[0]
