"""A report from a run directory written by hand: every number against one counted here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from burnish.errors import RunError
from burnish.proof.metric import load
from burnish.report.build import build
from burnish.report.publish import publish
from burnish.report.schema import Report, ScoreRow, json_schema

GOLDEN = Path(__file__).parents[2] / "golden" / "report.json"


def score(report: Report, arm: str, name: str = "all") -> ScoreRow:
    """One row."""
    return next(row for row in report.task.scores if row.arm == arm and row.slice == name)


def change_events(run: Path, kind: str, **fields: Any) -> None:
    """Set fields of every event of a kind."""
    path = run / "events.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    changed = [{**line, **fields} if line["event"] == kind else line for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in changed), encoding="utf-8")


def test_the_golden_report(run_directory: Path) -> None:
    publish(run_directory)
    written = (run_directory / "report.json").read_text(encoding="utf-8")
    found, golden = json.loads(written), json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert found.keys() == golden.keys()
    for part in golden:
        assert found[part] == golden[part], part


def test_it_is_the_same_bytes_each_time_and_fits_its_own_schema(run_directory: Path) -> None:
    report = publish(run_directory)
    first = (run_directory / "report.json").read_bytes()
    publish(run_directory)
    assert (run_directory / "report.json").read_bytes() == first
    value = json.loads(first)
    jsonschema.validate(value, json_schema())
    assert Report.model_validate(value) == report
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**value, "more": 1}, json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({key: part for key, part in value.items() if key != "cost"}, json_schema())


def test_scores_are_the_shares_of_right_items_in_each_slice(run_directory: Path) -> None:
    report = build(run_directory)
    assert score(report, "tuned").value == 17 / 20
    assert score(report, "tuned", "known").value == 1
    assert (score(report, "tuned", "new").value, score(report, "tuned", "new").count) == (5 / 8, 8)
    assert score(report, "similar_4", "known").value == 5 / 12
    row = next(row for row in report.task.differences if row.b == "similar_4" and row.slice == "all")
    assert row == report.task.differences[0]  # the comparison that decides stands first
    assert row.value == pytest.approx(0.5)
    assert row.p_value == pytest.approx(2 / 2**10)  # ten items differ, all for tuned


def test_cost_counts_each_step_once_and_takes_the_highest_memory(run_directory: Path) -> None:
    cost = build(run_directory).cost
    assert cost.trained_tokens == 3 * 300  # step 2 stands twice in events.jsonl
    assert cost.tokens_per_second == 300
    assert cost.peak_memory_bytes == 1_900_000_000
    assert cost.stage_seconds["tuned"] == 40
    assert cost.prompt_tokens_per_request == {"base": 30, "few_shot_4": 530, "similar_4": 509.5, "tuned": 30}


def test_data_adds_up_and_says_how_often_the_items_were_opened(run_directory: Path) -> None:
    data = build(run_directory).data
    assert data.given == data.train + data.validation + data.held_out + sum(data.dropped.values()) + data.unused
    assert data.held_out_opened == 2


def test_validation_lines_decide_nothing(run_directory: Path) -> None:
    before = build(run_directory)
    lines = (run_directory / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if json.loads(line)["part"] != "validation"]
    assert len(kept) < len(lines)
    (run_directory / "samples.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert build(run_directory) == before


def test_lines_in_another_scoring_than_the_chosen_one_are_passed_over(run_directory: Path) -> None:
    before = build(run_directory)
    path = run_directory / "samples.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    other = [
        {**line, "scoring": "likelihood", "score": 1.0, "prompt_tokens": 9}
        for line in lines
        if line["scoring"] and line["part"] == "held_out"
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines + other), encoding="utf-8")
    assert build(run_directory) == before


def test_a_text_run_has_losses_and_no_prompt_arm(text_run: Path) -> None:
    report = build(text_run)
    assert report.task.metric.better == "lower"
    assert report.task.differences[0].value == pytest.approx(0.2 + 9.5 * (1 / 40 - 1 / 50))
    assert report.weights is None
    assert report.cost.prompt_tokens_per_request == {}
    assert "no prompt arm" in report.verdict.sentence


@pytest.mark.parametrize(
    ("right", "kind", "command"),
    [
        ({"base": set(range(20)), "tuned": {0}, "similar_4": {1}}, "harmful", "runs/demo/recipe.yaml"),
        ({"base": set(), "tuned": set(range(20)), "similar_4": {1}}, "fine_tune", "burnish chat runs/demo"),
        ({"base": set(), "tuned": {1, 2}, "similar_4": {1}}, "inconclusive", "held-out items"),
    ],
)
def test_each_verdict_ends_with_a_command(
    make_run: Callable[[dict[str, set[int]]], Path], right: dict[str, set[int]], kind: str, command: str
) -> None:
    run = make_run(right)
    if kind == "harmful":  # begun with a data file: there is no recipe but the resolved one
        change_events(run, "started", recipe="tickets.csv")
    verdict = build(run).verdict
    assert verdict.kind == kind
    assert command in verdict.next_command


def test_the_margin_of_the_recipe_decides(make_run: Callable[[dict[str, set[int]]], Path]) -> None:
    run = make_run({"base": set(), "tuned": {1, 2}, "similar_4": {1, 2}})
    assert build(run).verdict.kind == "inconclusive"
    text = (run / "recipe.yaml").read_text(encoding="utf-8")
    (run / "recipe.yaml").write_text(text.replace("margin: null", "margin: 0.5"), encoding="utf-8")
    assert build(run).verdict.kind == "prompt"


@pytest.mark.parametrize("name", ["recipe.yaml", "data.json", "best_prompt.json", "samples.jsonl", "events.jsonl"])
def test_a_missing_file_is_named(run_directory: Path, name: str) -> None:
    (run_directory / name).unlink()
    with pytest.raises(RunError, match=rf"{name} is not there.*burnish resume"):
        build(run_directory)


@pytest.mark.parametrize("name", ["recipe.yaml", "data.json", "best_prompt.json", "samples.jsonl", "weights.json"])
def test_a_damaged_file_is_named(run_directory: Path, name: str) -> None:
    (run_directory / name).write_text('{"a": [\n\n', encoding="utf-8")
    with pytest.raises(RunError, match=rf"{name}: damaged"):
        build(run_directory)


def test_a_run_that_stopped_early_says_so(run_directory: Path) -> None:
    change_events(run_directory, "artifact", event="other")
    with pytest.raises(RunError, match=r'no "artifact".*burnish resume'):
        build(run_directory)
    with pytest.raises(RunError, match="no such run directory"):
        build(run_directory / "nowhere")


def test_a_users_own_aggregate_is_never_run_from_the_directory(run_directory: Path) -> None:
    path = run_directory / "events.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace('"aggregates": false', '"aggregates": true'), "utf-8")
    with pytest.raises(RunError, match="program_equal"):
        build(run_directory)
    path.write_text(path.read_text(encoding="utf-8").replace("program_equal", "exact"), "utf-8")
    assert build(run_directory, [load("exact")]).task.metric.name == "exact"


def test_retention_is_computed_from_its_lines(run_directory: Path, text_run: Path) -> None:
    report = build(run_directory)
    assert report.retention is not None
    probes = {probe.name: probe for probe in report.retention.probes}
    assert {name: probe.count for name, probe in probes.items()} == {
        "knowledge": 60, "knowledge_margin": 60, "general_text": 20, "requests": 40, "spill_over": 40
    }  # fmt: skip
    assert (probes["requests"].base, probes["requests"].tuned) == (30 / 40, 29 / 40)  # one of the two had failed before
    assert (probes["spill_over"].base, probes["spill_over"].tuned) == (0, 2 / 40)
    assert report.retention.kept == "not_shown"
    assert "general answers were not shown to be kept" in report.verdict.sentence
    assert build(text_run).retention is None  # no lines


def test_a_loss_changes_the_next_command_and_not_the_kind(run_directory: Path) -> None:
    before = build(run_directory).verdict
    path = run_directory / "samples.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if (line["part"], line["arm"], line["slice"]) == ("retention", "tuned", "requests"):
            line |= {"score": 0.0, "other_scores": {"spill_over": 1}}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    report = build(run_directory)
    assert report.retention is not None
    assert report.retention.kept == "lost"
    assert report.verdict.kind == before.kind == "fine_tune"
    assert "40 of 40 general requests were answered in the task's own format" in report.verdict.sentence
    assert report.verdict.next_command == "burnish run recipes/cad/recipe.yaml training.learning_rate=0.0002"
    assert report.retention.next_command == report.verdict.next_command
