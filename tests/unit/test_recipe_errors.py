"""What a person is told about a recipe that is wrong, and what is left behind."""

import sys
from pathlib import Path

import pytest

from burnish.cli.main import main
from burnish.data.dataset import load
from burnish.errors import RecipeError
from burnish.pipeline.recipe import recipe_from
from burnish.pipeline.start import loaded_from


def test_a_field_of_two_types_has_one_line(tmp_path: Path) -> None:
    value = {"model": "m", "data": {"train": "a.csv"}, "training": {"epochs": "lots", "rank": 3}}
    with pytest.raises(RecipeError) as caught:
        recipe_from(value, tmp_path, "r.yaml")
    first, second = sorted(str(caught.value).splitlines())
    assert first.startswith("r.yaml: training.epochs: input should be a valid integer")
    assert first.endswith(", or input should be 'auto'; found 'lots'")
    assert second.startswith("r.yaml: training.rank: unknown field.")


@pytest.mark.parametrize("changes", [("method=prefix", "method.length=8"), ("method.length=8", "method=prefix")])
def test_a_method_is_named_and_changed_in_any_order(tmp_path: Path, changes: tuple[str, str]) -> None:
    value = {"model": "m", "data": {"train": "a.csv"}}
    assert recipe_from(value, tmp_path, "r.yaml", changes).method == {"name": "prefix", "length": 8}


def test_a_refused_init_leaves_no_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "empty.jsonl"
    data.write_text('{"prompt": "a", "completion": ""}\n' * 40, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["burnish", "init", str(data)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "no record is left to train on (40 empty)" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.jsonl"]


def test_a_file_is_not_read_again_where_nothing_of_its_guess_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    rows = [f"the order {n} is {('late', 'lost')[n % 2]},{('shipping', 'returns')[n % 2]}" for n in range(40)]
    path.write_text("\n".join(["text,team", *rows]) + "\n", encoding="utf-8")
    found = loaded_from(str(path), ["training.epochs=2"])
    assert found.dataset == load(found.recipe.data, task_kind=found.recipe.task.kind)
    assert loaded_from(str(path), ["data.seed=3"]).dataset is None
    assert loaded_from(str(path), ["task.kind=generate"]).dataset is None
