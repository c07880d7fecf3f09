"""`method: [a, b]` gives what a run of each gives. Oracle: the runs of one method, made by themselves."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from burnish.errors import Interrupted, RecipeError, RunError, TrainingError
from burnish.pipeline import several
from burnish.pipeline.recipe import load_recipe
from burnish.pipeline.reuse import runs_beside, runs_in
from burnish.pipeline.run import begin, go_on
from burnish.pipeline.session import Stop
from burnish.pipeline.several import begin_several, go_on_several, methods_of
from burnish.pipeline.tuned import load_tuned
from burnish.report.build import build
from burnish.report.publish import publish_comparison
from burnish.training.events import Event
from tests.laws.conftest import recipe_text

METHODS = ("lora", "prefix", "full")


def recipe_of_all(world: Path, methods: str = "[lora, {name: prefix}, full]") -> Path:
    path = world / "several.yaml"
    path.write_text(recipe_text(methods), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def told(world: Path) -> tuple[Path, list[str]]:
    """A comparison that nobody stopped, and the kinds of its events."""
    out = world / "run-several"
    return out, [str(e.as_json()["event"]) for e in begin_several(load_recipe(recipe_of_all(world)), out=out)]


@pytest.fixture(scope="session")
def compared(told: tuple[Path, list[str]]) -> Path:
    """Its directory."""
    return told[0]


def answers(run: Path) -> dict[tuple[str, ...], Any]:
    lines = [json.loads(line) for line in (run / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    key = ("part", "arm", "item", "scoring")
    return {tuple(str(line[k]) for k in key): (line["answer"], line["score"], line["prompt"]) for line in lines}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_ends_as_a_run_of_its_own(method: str, compared: Path, finished: Callable[[str], Path]) -> None:
    alone, beside = build(finished(method)), build(compared / method)
    assert answers(compared / method) == answers(finished(method))
    assert beside.task == alone.task
    assert beside.retention is not None
    assert alone.retention is not None
    assert beside.retention.probes == alone.retention.probes
    assert beside.verdict.kind == alone.verdict.kind


def test_the_untuned_model_is_asked_once(compared: Path) -> None:
    events = {m: [json.loads(t) for t in (compared / m / "events.jsonl").read_text().splitlines()] for m in METHODS}
    adopted = {m: [e for e in found if e["event"] == "adopted"] for m, found in events.items()}
    assert adopted["lora"] == []
    arms = ["base", "few_shot_2", "similar_2"]
    held_out = {m: [*build(compared / m).task.scores] for m in METHODS}
    measured = sorted({row.arm for row in held_out["lora"]} - {"tuned"})
    for method in ("prefix", "full"):
        assert adopted[method][0]["arms"] == arms  # on validation items
        assert sorted({arm for e in adopted[method][1:] for arm in e["arms"]}) == measured
        # base on general questions too, but for texts that are cut shorter beside a prefix
        assert [e["arms"] for e in adopted[method]].count(["base"]) == (2 if method == "full" else 1)
    assert "base" in build(compared / "prefix").cost.reused_arms
    assert build(compared / "lora").cost.reused_arms == ()


def test_every_method_is_frozen_before_the_held_out_items_are_opened_for_any(
    told: tuple[Path, list[str]],
) -> None:
    path, kinds = told
    assert [kind for kind in kinds if kind in ("frozen", "opened")] == ["frozen"] * 3 + ["opened"] * 3
    opened = {build(path / method).data.held_out_opened for method in METHODS}
    assert len(opened) == 1  # one opening for the three, whatever other runs opened these items before


def test_pairs_are_those_counted_by_hand(compared: Path) -> None:
    found = json.loads((compared / "comparison.json").read_text(encoding="utf-8"))
    right = {}
    for method in METHODS:
        scoring = {row.arm: row.scoring for row in build(compared / method).task.scores}["tuned"]
        right[method] = {
            item: score
            for (part, arm, item, how), (_, score, _) in answers(compared / method).items()
            if (part, arm, how) == ("held_out", "tuned", scoring)
        }
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [
        ("lora", "prefix"), ("lora", "full"), ("prefix", "full"),
    ]  # fmt: skip
    for pair in found["pairs"]:
        a, b = right[pair["a"]], right[pair["b"]]
        assert pair["count"] == len(a) == 10
        assert pair["value"] == pytest.approx(sum(a[item] - b[item] for item in a) / len(a))
        assert pair["shown"] == ("a" if pair["low"] > 0 else "b" if pair["high"] < 0 else "none")
    assert "uncorrected" in found["sentence"]
    assert "one training seed" in found["sentence"]


def test_the_comparison_is_computed_again_from_the_runs(compared: Path, tmp_path: Path) -> None:
    copy = tmp_path / compared.name  # the page's next command names the directory
    shutil.copytree(compared, copy)
    names = ("comparison.json", "comparison.md", "comparison.html")
    expected = [(compared / name).read_bytes() for name in names]
    for name in names:
        (copy / name).unlink()
    publish_comparison(copy, METHODS)
    assert [(copy / name).read_bytes() for name in names] == expected
    lines = (copy / "lora" / "samples.jsonl").read_text().splitlines()
    kept = [t for t in lines if not (json.loads(t)["part"] == "held_out" and json.loads(t)["item"].endswith(":1"))]
    (copy / "lora" / "samples.jsonl").write_text("\n".join(kept) + "\n")
    with pytest.raises(RunError, match="other items"):
        publish_comparison(copy, METHODS)


def test_the_page_shows_every_method_and_every_pair_and_fetches_nothing(compared: Path) -> None:
    text = (compared / "comparison.html").read_text(encoding="utf-8")
    found = json.loads((compared / "comparison.json").read_text(encoding="utf-8"))
    assert found["sentence"].split(". ")[0] in text
    for method in METHODS:
        assert f'href="{method}/report.html"' in text
    for pair in found["pairs"]:
        assert f"<bdi>{pair['a']}</bdi> − <bdi>{pair['b']}</bdi>" in text
    assert "default-src &#x27;none&#x27;" in text
    assert not re.search(r"<script|<link|src=|url\(|https?://", text)


def stopped_in_the_second(events: Iterator[Event], stop: Stop) -> None:
    """Read events; ask to stop at the second method's second update, as Ctrl-C does."""
    second = False
    for event in events:
        line = event.as_json()
        second |= line["event"] == "note" and "2 of 3" in str(line["text"])
        if second and line["event"] == "step" and line["step"] == 2:
            stop.exit_code = 130


def test_a_comparison_that_was_stopped_goes_on(world: Path, compared: Path) -> None:
    out, stop = world / "run-stopped", Stop()
    with pytest.raises(Interrupted, match=f"resume {out}$"):
        stopped_in_the_second(begin_several(load_recipe(recipe_of_all(world)), stop, out=out), stop)
    assert not (out / "comparison.json").exists()
    for _ in go_on_several(out):
        pass
    was, now = (json.loads((run / "comparison.json").read_text()) for run in (compared, out))
    assert now["pairs"] == was["pairs"]
    assert now["sentence"] == was["sentence"]


@pytest.mark.parametrize("change", ["seed: 3", "max_length: 200"])
def test_a_run_that_asks_otherwise_takes_nothing_over(
    change: str, world: Path, finished: Callable[[str], Path]
) -> None:
    recipe = world / "other.yaml"
    recipe.write_text(recipe_text("lora").replace("max_steps: 4", f"max_steps: 1, {change}"), encoding="utf-8")
    loaded, likes = load_recipe(recipe), runs_in([finished("lora")])
    events: list[Event] = list(begin(loaded, out=world / "run-other", replace=True, likes=likes))
    assert not [event for event in events if event.as_json()["event"] == "adopted"]


def test_what_cannot_be_compared_is_refused_before_anything_is_written(world: Path, compared: Path) -> None:
    out = world / "run-refused"
    for methods, said in (
        ("[lora]", "two or more"),
        ("[lora, lorra]", "lora"),
        ("[lora, {name: lora, rank: 0}]", "rank"),
    ):
        with pytest.raises(RecipeError, match=said):
            list(begin_several(load_recipe(recipe_of_all(world, methods)), out=out))
        assert not out.exists()
    with pytest.raises(RunError, match="name one of them"):
        load_tuned(compared)
    with pytest.raises(RunError, match="name one of them"):
        build(compared)
    with pytest.raises(RunError, match="name one of them"):
        list(go_on(compared))
    with pytest.raises(RunError, match="every method is finished"):
        list(go_on_several(compared))
    with pytest.raises(RecipeError, match="context"):
        list(begin_several(load_recipe(recipe_of_all(world, "[lora, {name: prompt, length: 9000}]")), out=out))
    assert not out.exists()
    with pytest.raises(RecipeError, match="the recipe compares several methods"):
        load_recipe(recipe_of_all(world), ["method.rank=2"])


def test_python_that_a_directory_names_is_not_run(compared: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(compared, copy)
    evil = tmp_path / "evil.py"
    evil.write_text("raise SystemExit('it ran')\n")
    text = (copy / "recipe.yaml").read_text()
    (copy / "recipe.yaml").write_text(text.replace("- full\n", f"- {{path: {evil}}}\n"))
    assert str(evil) in (copy / "recipe.yaml").read_text()
    with pytest.raises(RunError, match="never run from a run"):
        list(go_on_several(copy))


def test_a_method_that_fails_ends_only_itself(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, out = several._trained, world / "run-failing"

    def failing(work: several._Work, name: str) -> Iterator[Event]:
        if name == "prefix":
            raise TrainingError("update 3: loss or gradient is no number")
        yield from real(work, name)

    monkeypatch.setattr(several, "_trained", failing)
    said = [e.as_json() for e in begin_several(load_recipe(recipe_of_all(world)), out=out)]
    assert any("prefix is left out: update 3" in str(line.get("text")) for line in said)
    found = json.loads((out / "comparison.json").read_text())
    assert [row["name"] for row in found["methods"]] == ["lora", "full"]
    assert found["sentence"].endswith("Not finished, so not compared: prefix.")
    monkeypatch.undo()
    monkeypatch.setenv("BURNISH_HOME", str(world / "home"))
    for _ in go_on_several(out):
        pass
    assert len(json.loads((out / "comparison.json").read_text())["methods"]) == 3


def test_runs_are_named_by_method_and_variant(world: Path) -> None:
    path = recipe_of_all(world, "[lora, {name: lora, variant: dora}, {name: lora, rank: 2}, {name: lora, rank: 4}]")
    assert list(methods_of(load_recipe(path))) == ["lora", "lora-dora", "lora-2", "lora-3"]


METRIC = """from burnish.types import ItemScore

class Right:
    name, unit, better, is_share, margin, reads = "own", "share", "higher", True, 0.05, "answer"

    def score(self, observation, example, options):
        return ItemScore(float({worth}))

metric = Right()
"""


def test_an_edited_metric_takes_no_old_scores_over(world: Path, tmp_path: Path) -> None:
    metric, recipe = tmp_path / "metric.py", tmp_path / "own.yaml"
    text = recipe_text("lora").replace("max_steps: 4", "max_steps: 1").replace("data: {", "data: {")
    for name in ("model", "train.jsonl", "validation.jsonl", "held_out.jsonl"):
        text = text.replace(f" {name}", f" {world / name}")
    recipe.write_text(text + f"task: {{metric: {{path: {metric}}}}}\n", encoding="utf-8")
    adopted = []
    for name, worth in (("first", 0), ("second", 0), ("third", 1)):
        metric.write_text(METRIC.replace("{worth}", str(worth)), encoding="utf-8")
        out = tmp_path / "runs" / name
        events = [e.as_json()["event"] for e in begin(load_recipe(recipe), out=out, likes=runs_beside(out))]
        adopted.append("adopted" in events)
    assert adopted == [False, True, False]


def test_a_comparison_may_be_given_its_metric_on_the_command_line(world: Path, tmp_path: Path) -> None:
    metric = tmp_path / "metric.py"
    metric.write_text(METRIC.replace("{worth}", "1"), encoding="utf-8")
    loaded = load_recipe(recipe_of_all(world, "[lora, ia3]"), [f"task.metric.path={metric}"])
    for _ in begin_several(loaded, out=tmp_path / "run"):
        pass
    assert len(json.loads((tmp_path / "run" / "comparison.json").read_text())["methods"]) == 2


def test_a_damaged_run_beside_it_is_passed_over(world: Path, finished: Callable[[str], Path], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(finished("lora"), damaged)
    (damaged / "recipe.yaml").write_text("model: [\n")
    recipe = world / "beside.yaml"
    recipe.write_text(recipe_text("lora").replace("max_steps: 4", "max_steps: 1"), encoding="utf-8")
    events = list(begin(load_recipe(recipe), out=tmp_path / "run", likes=runs_beside(tmp_path / "run")))
    assert not [event for event in events if event.as_json()["event"] == "adopted"]


def test_a_run_beside_it_that_differs_in_its_training_alone_is_asked_for_its_answers(
    world: Path, finished: Callable[[str], Path]
) -> None:
    finished("lora")
    recipe = world / "slower.yaml"
    recipe.write_text(recipe_text("lora").replace("0.01", "0.001"), encoding="utf-8")
    out = world / "run-slower"
    likes = [run for run in runs_beside(out) if run.path.name == "run-lora"]
    events = [event.as_json() for event in begin(load_recipe(recipe), out=out, likes=likes)]
    arms = {str(arm) for e in events if e["event"] == "adopted" for arm in cast(list[str], e["arms"])}
    assert arms == {row.arm for row in build(out).task.scores} - {"tuned"} | {"base", "few_shot_2", "similar_2"}
    prompted = {key: value for key, value in answers(out).items() if key[1] != "tuned"}
    assert prompted == {key: value for key, value in answers(finished("lora")).items() if key[1] != "tuned"}
    assert "base" in build(out).cost.reused_arms
    assert "taken over from another run" in (out / "report.md").read_text(encoding="utf-8")
