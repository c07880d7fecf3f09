"""Rule 6 with `proof.effort: none`: the held-out items stay closed until somebody asks for them, and then once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from burnish.errors import Interrupted, RunError
from burnish.methods.method import method_names
from burnish.pipeline.recipe import load_recipe
from burnish.pipeline.run import begin, evaluate, go_on, run
from burnish.pipeline.session import Stop
from burnish.report.build import build
from tests.laws.conftest import recipe_text
from tests.laws.test_law_07_whole_runs import is_kind, run_until, samples
from tests.laws.test_rule_06_held_out import samples as lines_of


def closed_run(method: str, world: Path, out: Path) -> Path:
    """A finished run that left its held-out items closed."""
    recipe = world / f"closed-{method}.yaml"
    recipe.write_text(recipe_text(method), encoding="utf-8")
    run(recipe, "proof.effort=none", out=out)
    return out


def opened(run: Path) -> list[dict[str, object]]:
    """The events in which held-out items were opened."""
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["event"] == "held_out_opened"]


@pytest.mark.parametrize("method", method_names())
def test_closed_items_are_opened_later_with_the_same_numbers(
    method: str, world: Path, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    expected, path = finished(method), closed_run(method, world, tmp_path / "run")
    assert {line["part"] for line in lines_of(path)} == {"validation"}
    assert opened(path) == []
    report = build(path)
    assert report.task.part == "validation"
    assert report.task.items == 8
    assert {row.arm for row in report.task.scores} >= {"base", "simple", "tuned"}
    assert report.data.held_out_opened == 0
    assert report.verdict.kind == "inconclusive"
    assert report.verdict.sentence.startswith("No verdict yet: the held-out items are still closed.")
    assert report.verdict.next_command == f"burnish evaluate {path}"
    for _ in evaluate(path):
        pass
    for file in sorted(expected.rglob("adapter/*.safetensors")):
        assert load_file(path / "adapter" / file.name).keys() == load_file(file).keys()
    held_out = [[line for line in lines_of(p) if line["part"] == "held_out"] for p in (path, expected)]
    assert held_out[0] == held_out[1]
    ours, theirs = build(path), build(expected)
    assert ours.task == theirs.task
    assert ours.verdict.kind == theirs.verdict.kind
    assert ours.data.held_out_opened >= 1
    with pytest.raises(RunError, match="was evaluated already"):
        next(evaluate(path))


def test_an_evaluation_that_was_stopped_is_gone_on_with(world: Path, tmp_path: Path) -> None:
    path = closed_run("lora", world, tmp_path / "run")
    with pytest.raises(Interrupted, match="go on with: burnish resume"):
        run_until(evaluate(path, stop := Stop()), stop, is_kind("opened"))
    for _ in go_on(path):
        pass
    assert build(path).task.part == "held_out"
    other = closed_run("lora", world, tmp_path / "other")
    for _ in evaluate(other):
        pass
    assert samples(path) == samples(other)


def test_only_a_finished_closed_run_is_evaluated(world: Path, finished: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no longer closed"):
        next(evaluate(finished("lora")))
    recipe = world / "closed-stopped.yaml"
    recipe.write_text(recipe_text("lora").replace("proof: {", "proof: {effort: none, "), encoding="utf-8")
    with pytest.raises(Interrupted):
        run_until(begin(load_recipe(recipe), stop := Stop(), out=tmp_path / "run"), stop, is_kind("chosen"))
    with pytest.raises(RunError, match="not finished; go on with `burnish resume"):
        next(evaluate(tmp_path / "run"))
