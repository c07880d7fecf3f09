"""Law 6 for a run that begins with an adapter: with no update it is the adapter that came, measured as it was at home.

Oracle: the run that made the adapter.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from burnish.errors import MethodError, ModelError, RecipeError
from burnish.pipeline.run import run
from tests.laws.conftest import recipe_text
from tests.tiny_models import tiny_directory


def tuned(path: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in (path / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    return {line["item"]: line["answer"] for line in lines if line["arm"] == "tuned" and line["part"] == "held_out"}


@pytest.mark.parametrize("method", ["lora", "prefix", "bottleneck"])
def test_a_run_without_updates_measures_the_adapter_that_came(
    method: str, world: Path, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    home, recipe = finished(method), world / f"from-{method}.yaml"
    text = recipe_text(f"{{from: run-{method}/adapter}}").replace("max_steps: 4", "max_steps: 0")
    recipe.write_text(text, encoding="utf-8")
    run(recipe, out=tmp_path / "run")
    ours, theirs = (load_file(path / "adapter" / "adapter_model.safetensors") for path in (tmp_path / "run", home))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert tuned(tmp_path / "run") == tuned(home)
    assert len(tuned(home)) == 10
    events = (tmp_path / "run" / "events.jsonl").read_text(encoding="utf-8")
    assert "what that was trained on is not known" in events
    assert '"event": "step"' not in events


def test_training_goes_on_from_an_adapter(world: Path, finished: Callable[[str], Path], tmp_path: Path) -> None:
    home, recipe = finished("ia3"), world / "on-from.yaml"
    recipe.write_text(recipe_text("{from: run-ia3/adapter}"), encoding="utf-8")
    run(recipe, out=tmp_path / "run")
    ours, theirs = (load_file(path / "adapter" / "adapter_model.safetensors") for path in (tmp_path / "run", home))
    assert ours.keys() == theirs.keys()
    assert not any(torch.equal(ours[key], theirs[key]) for key in theirs)
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["recipe"]


def test_a_whole_model_is_measured_beside_its_base(
    world: Path, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    home, recipe = finished("full"), world / "merged.yaml"
    text = recipe_text("full").replace("model: model", "model: run-full/model\nbase: model")
    recipe.write_text(text.replace("max_steps: 4", "max_steps: 0"), encoding="utf-8")
    run(recipe, out=tmp_path / "run")
    ours, theirs = (load_file(path / "model" / "model.safetensors") for path in (tmp_path / "run", home))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    assert tuned(tmp_path / "run") == tuned(home)
    reports = [json.loads((path / "report.json").read_text(encoding="utf-8")) for path in (tmp_path / "run", home)]
    assert reports[0]["weights"] == reports[1]["weights"]
    assert reports[0]["task"]["scores"] == reports[1]["task"]["scores"], "the base is the base, not the fine-tune"


def test_a_whole_model_of_another_shape_is_refused(world: Path, tmp_path: Path) -> None:
    tiny_directory(world / "other", "qwen3")
    recipe = world / "other.yaml"
    text = recipe_text("{name: full, from: other}").replace("max_steps: 4", "max_steps: 0")
    recipe.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"other: is no fine-tune of model: .* tensors are missing, extra"):
        run(recipe, out=tmp_path / "run")


def test_nothing_to_train_and_nothing_to_begin_with_is_refused(world: Path, tmp_path: Path) -> None:
    recipe = world / "nothing.yaml"
    recipe.write_text(recipe_text("lora").replace("max_steps: 4", "max_steps: 0"), encoding="utf-8")
    with pytest.raises(RecipeError, match=r"training\.max_steps: 0 trains nothing, .*method\.from"):
        run(recipe, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("{name: prefix, length: 300}", r"method\.length: 300 places before every document leave none .* 256 tokens"),
        ("{name: prompt, text: ''}", r"method\.text: '' has no tokens to start from"),
        ("{name: lora, targets: [q_prj]}", r'method\.targets: "q_prj" matches no linear map .*Did you mean "q_proj"'),
        ("{name: full, train: [biasses]}", r'method\.train: "biasses" matches no .*Did you mean "biases"'),
        ("{name: lora, alpha: double}", r"method\.alpha: .*valid number.*found 'double'"),
    ],
)
def test_a_method_that_cannot_work_is_refused_before_anything_is_written(
    method: str, message: str, world: Path, tmp_path: Path
) -> None:
    recipe = world / "bad.yaml"
    recipe.write_text(recipe_text(method), encoding="utf-8")
    with pytest.raises((RecipeError, MethodError), match=message):
        run(recipe, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
