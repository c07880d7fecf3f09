"""A run with a metric of the user's own: what it shows beside, what it draws, and a report without its Python."""

from pathlib import Path
from typing import Any, cast

from burnish.files import read_json, read_jsonl
from burnish.pipeline.recipe import load_recipe
from burnish.pipeline.reuse import runs_beside
from burnish.pipeline.run import begin, run
from burnish.report.build import build
from tests.laws.conftest import recipe_text

METRIC = """
from .beside import words


class Length:
    name, unit, better, is_share, margin, reads = "length", "words", "lower", False, 1.0, "answer"

    def score(self, observation, example, options):
        return words(observation.answer)


class Same:
    name, unit, better, is_share, margin, reads = "same", "share", "higher", True, 0.05, "answer"
    also = ("exact", Length())

    def score(self, observation, example, options):
        return observation.answer == example.answer

    def picture(self, text):
        if text == "login":
            raise ValueError("no paint left")
        return f"<svg><title>{len(text)}</title></svg>"


metric = Same()
"""


def test_a_run_shows_and_draws_what_the_metric_says(world: Path, tmp_path: Path) -> None:
    (world / "own.py").write_text(METRIC, encoding="utf-8")
    (world / "beside.py").write_text("def words(text):\n    return len((text or '').split())\n", encoding="utf-8")
    recipe = world / "own.yaml"
    recipe.write_text(recipe_text("lora") + "task: {kind: generate, metric: {path: own.py}}\n", encoding="utf-8")
    report = run(recipe, out=tmp_path / "run")
    assert report.task.also == ("exact", "length")
    assert {row.metric for row in report.task.scores if row.arm == "tuned"} == {"same", "exact", "length"}
    assert build(tmp_path / "run") == report  # without the metric's file at hand
    drawn = read_json(tmp_path / "run" / "pictures.json")
    assert isinstance(drawn, dict)
    lines = [line for line in read_jsonl(tmp_path / "run" / "samples.jsonl") if line["part"] == "held_out"]
    assert drawn["refund"] == "<svg><title>6</title></svg>"
    assert set(drawn) == ({line["answer"] for line in lines} | {"refund", "login"}) - {"login"}
    notes = [event["text"] for event in read_jsonl(tmp_path / "run" / "events.jsonl") if event["event"] == "note"]
    assert "no picture: the metric's picture failed: ValueError: no paint left" in notes


def test_prompts_are_chosen_by_likelihood_without_writing_answers(world: Path, tmp_path: Path) -> None:
    """Answers that only metrics shown beside would read are written for the items that the report is about."""
    recipe = world / "nearest.yaml"
    recipe.write_text(recipe_text("lora") + "task: {kind: generate, metric: reference_loglik}\n", encoding="utf-8")
    reports = {}
    for effort in ("quick", "none"):  # the second may take over what the first was answered
        loaded = load_recipe(recipe, [f"proof.effort={effort}"])
        list(begin(loaded, out=tmp_path / effort, likes=runs_beside(tmp_path / effort)))
        reports[effort] = build(tmp_path / effort)
    for effort, part, answered in (
        ("quick", "validation", False),
        ("quick", "held_out", True),
        ("none", "validation", True),
    ):
        kept = [line for line in read_jsonl(tmp_path / effort / "samples.jsonl") if line["part"] == part]
        assert {line["arm"] for line in kept} >= {"base"}
        for line in (line for line in kept if line["arm"] != "simple"):
            assert (line["answer"] is not None, "chrf" in cast("Any", line["other_scores"])) == (answered, answered)
            assert isinstance(line["score"], float)
    for report in reports.values():
        assert {row.metric for row in report.task.scores if row.arm == "base"} == {"reference_loglik", "chrf"}
    tried = [cast("Any", read_json(tmp_path / effort / "best_prompt.json"))["tried"] for effort in reports]
    assert tried[0] == tried[1]
