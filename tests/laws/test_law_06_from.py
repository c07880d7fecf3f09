"""Law 6 for a run that begins with an adapter: with no update it is the adapter that came, measured as it was at home.

Oracle: the run that made the adapter.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from burnish.errors import MethodError, ModelError, RecipeError
from burnish.pipeline import change
from burnish.pipeline.change import base_tensors
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
    assert not (tmp_path / "run").exists(), "nothing was measured before it was noticed"


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
        ("{name: lora, targets: []}", r"method\.targets: .*at least 1 item"),
        ("{name: lora, targets: 3}", r"method\.targets: .*valid string, or .*list of them, found 3"),
        ("{name: full, train: []}", r"method\.train: .*at least 1 item"),
        (
            "{name: prefix, start: random, text: refunds}",
            r"method: text is what `start: text` begins with, and .*random",
        ),
        ("{name: prompt, start: vocabulary, text: x}", r"method: text is what `start: text` begins with"),
        ("{name: ia3, feedforward: down_proj}", r"method: feedforward names some of the targets"),
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


@pytest.fixture(scope="module")
def theirs(world: Path) -> Path:
    """An adapter that peft made, by an expression and with dropout, as if trained elsewhere."""
    base = AutoModelForCausalLM.from_pretrained(world / "model")
    config = LoraConfig(r=4, target_modules=r".*\.0\..*_proj", lora_dropout=0.05, task_type="CAUSAL_LM")
    made = get_peft_model(base, config)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    made.save_pretrained(world / "theirs")
    file = world / "theirs" / "adapter_config.json"
    fields = json.loads(file.read_text(encoding="utf-8")) | {"base_model_name_or_path": "someone/their-base"}
    file.write_text(json.dumps(fields), encoding="utf-8")
    return world / "theirs"


@pytest.mark.parametrize("dropout", ["", ", dropout: 0.0", ", dropout: 0.2"])
def test_an_adapter_of_peft_is_measured_and_trained_on(dropout: str, theirs: Path, world: Path, tmp_path: Path) -> None:
    recipe = world / "theirs.yaml"
    steps = 0 if not dropout else 2
    text = recipe_text(f"{{from: theirs{dropout}}}").replace("max_steps: 4", f"max_steps: {steps}")
    recipe.write_text(text, encoding="utf-8")
    run(recipe, out=tmp_path / "run")
    made = [load_file(path / "adapter_model.safetensors") for path in (theirs, tmp_path / "run" / "adapter")]
    assert made[0].keys() == made[1].keys(), "the places are those of the expression"
    assert all(torch.equal(made[0][key], made[1][key]) for key in made[0]) == (not dropout)
    config = json.loads((tmp_path / "run" / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["lora_dropout"] == (0.2 if "0.2" in dropout else 0.0 if dropout else 0.05)
    events = (tmp_path / "run" / "events.jsonl").read_text(encoding="utf-8")
    assert "names someone/their-base as its base; that this is model is not known" in events


@pytest.mark.parametrize(
    ("start", "said"), [("", True), (", text: refund or login", False), (", start: random", False)]
)
def test_a_start_that_no_text_was_given_for_is_told(start: str, said: bool, world: Path, tmp_path: Path) -> None:
    recipe = world / "start.yaml"
    recipe.write_text(recipe_text(f"{{name: prefix, length: 4{start}}}"), encoding="utf-8")
    run(recipe, out=tmp_path / "run")
    events = (tmp_path / "run" / "events.jsonl").read_text(encoding="utf-8")
    assert ("prefix starts from random tokens" in events) is said


def test_a_model_whose_files_name_its_tensors_otherwise_is_kept_and_the_change_not_told(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(directory: Path) -> Callable[[str], torch.Tensor]:
        known = base_tensors(directory)
        return lambda name: known(name.replace("mlp", "experts.fused"))

    monkeypatch.setattr(change, "base_tensors", read)
    recipe = world / "fused.yaml"
    recipe.write_text(recipe_text("full"), encoding="utf-8")
    run(recipe, out=tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert report["weights"] is None
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
    assert "have no tensor named model.layers.0.experts.fused" in (tmp_path / "run" / "events.jsonl").read_text()
