"""Rule 6: held-out answers decide nothing: replaced by nonsense, they change no weight, no prompt and no choice."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from burnish.methods.method import method_names
from burnish.pipeline.run import run
from tests.laws.conftest import PARTS, recipe_text, write_tickets


@pytest.mark.parametrize("method", method_names())
def test_nonsense_in_held_out_changes_nothing_but_scores(
    method: str, world: Path, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    expected = finished(method)
    write_tickets(world / "nonsense.jsonl", "held_out", PARTS["held_out"], nonsense=True)
    recipe = world / f"nonsense-{method}.yaml"
    recipe.write_text(recipe_text(method, "nonsense.jsonl"), encoding="utf-8")
    run(recipe, out=tmp_path / "run")
    for file in sorted(expected.rglob("*.safetensors")):
        ours, theirs = load_file(tmp_path / "run" / file.relative_to(expected)), load_file(file)
        assert ours.keys() == theirs.keys()
        assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    ours, theirs = (json.loads((p / "best_prompt.json").read_text()) for p in (tmp_path / "run", expected))
    assert ours == theirs
    before = [line for line in samples(expected) if line["part"] == "validation"]
    assert [line for line in samples(tmp_path / "run") if line["part"] == "validation"] == before
    assert losses(tmp_path / "run") == losses(expected)
    held_out = [[line for line in samples(p) if line["part"] == "held_out"] for p in (tmp_path / "run", expected)]
    for one, other in zip(*held_out, strict=True):
        assert (one["arm"], one["prompt"], one["answer"]) == (other["arm"], other["prompt"], other["answer"])
        assert one["expected"] != other["expected"]


def losses(run: Path) -> list[float]:
    """The losses by which the best checkpoint is chosen."""
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line["loss"] for line in lines if line["event"] == "evaluation"]


def samples(run: Path) -> list[dict[str, object]]:
    """The lines of samples.jsonl; the held-out file's own name is no part of the comparison."""
    text = (run / "samples.jsonl").read_text(encoding="utf-8").replace("nonsense.jsonl", "held_out.jsonl")
    return [json.loads(line) for line in text.splitlines()]
