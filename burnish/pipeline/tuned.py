"""A finished run, ready to be used: its base, what was trained, and the encoder that training used."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from burnish.data.template import ChatTemplate
from burnish.data.tokenize import Encoder
from burnish.errors import ModelError, RunError
from burnish.methods.method import Method, method_from
from burnish.methods.peft_format import load_adapter
from burnish.models.load import Base, load_base
from burnish.pipeline.directory import RECIPE, RunDirectory
from burnish.pipeline.recipe import Recipe, recipe_from


@dataclass(slots=True)
class Tuned:
    """A base with the run's change in it."""

    run: RunDirectory
    recipe: Recipe
    base: Base
    method: Method
    encoder: Encoder
    max_answer_tokens: int


def recipe_of(run: RunDirectory) -> Recipe:
    """The resolved recipe of a run."""
    path = run.path / RECIPE
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: damaged ({' '.join(str(error).split())})") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: damaged; expected the run's recipe")
    return recipe_from(value, run.path, str(path))


def _encoder(base: Base, path: Path) -> Encoder:
    """The encoder with the template that stands beside the result; raw text has none."""
    template = ChatTemplate.choose(str(path), None, base.tokenizer) if path.is_file() else None
    return Encoder(base.tokenizer, template, base.stop_ids)


def _refuse_other(run: RunDirectory, base: Base, name: str) -> None:
    started = run.started()
    assert started is not None  # there is a result, so the run began
    if base.sha256 != started["base_sha256"]:
        raise ModelError(
            f"{name}: its weights are not those that this run was trained on (sha256 {base.sha256[:12]}…, "
            f"expected {str(started['base_sha256'])[:12]}…)"
        )


def load_tuned(path: Path) -> Tuned:
    """Load what a run made; raises where the run did not get that far or its base is another one now."""
    return _load(path, tuned=True)


def load_untuned(path: Path) -> Tuned:
    """The run's base as it was, with the run's encoder."""
    return _load(path, tuned=False)


def _load(path: Path, tuned: bool) -> Tuned:
    run = RunDirectory.open(path)
    recipe = recipe_of(run)
    result = run.result
    if result is None:
        raise RunError(f"{path}: nothing was trained to the end here; go on with `burnish resume {path}`")
    method = method_from(recipe.one_method)
    dtype, device = recipe.training.dtype, recipe.training.device
    if method.makes_adapter or not tuned:
        base = load_base(recipe.model, dtype=dtype, device=device)
        _refuse_other(run, base, recipe.model)
        if tuned:
            load_adapter(base.model, result, base_sha256=base.sha256, like=method)
    else:
        base = load_base(str(result), dtype=dtype, device=device)
    base.model.requires_grad_(False)
    encoder = _encoder(base, result / "chat_template.jinja")
    answer = recipe.task.max_answer_tokens
    return Tuned(run, recipe, base, method, encoder, answer if isinstance(answer, int) else 256)
