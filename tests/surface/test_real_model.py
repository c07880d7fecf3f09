"""The whole line once with the built-in model, on a slice small enough for a test."""

from pathlib import Path

import pytest

import burnish
from burnish.training.events import Evaluation, Event

CAD = Path(__file__).parents[2] / "recipes" / "cad"


@pytest.mark.real_model
@pytest.mark.slow
def test_a_run_of_the_built_in_model_learns_and_reports(tmp_path: Path) -> None:
    lines = (CAD / "train.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "train.jsonl").write_text("".join(lines[:16]), encoding="utf-8")
    (tmp_path / "held_out.jsonl").write_text("".join(lines[16:19]), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(
        "model: smollm2-135m-instruct\n"
        "data: {train: train.jsonl, validation: 2, held_out: held_out.jsonl}\n"
        f"task: {{kind: generate, max_answer_tokens: 12, metric: {{path: {CAD / 'metric.py'}}}}}\n"
        "training: {max_steps: 4, batch_size: 2, evaluate_every: 2}\n"
        "proof: {few_shot: [1], similar: []}\n",
        encoding="utf-8",
    )
    events: list[Event] = []
    report = burnish.run(tmp_path / "recipe.yaml", out=tmp_path / "run", on_event=events.append)
    losses = [event.loss for event in events if isinstance(event, Evaluation)]
    assert losses[-1] < losses[0]
    assert report.task.items == 3
    assert {row.arm for row in report.task.scores} == {"base", "few_shot_1", "simple", "tuned"}
    assert report.weights is not None
    assert 0 < report.weights.relative_change < 0.1
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").is_file()
    assert report.verdict.kind == "inconclusive"  # three items can show nothing
