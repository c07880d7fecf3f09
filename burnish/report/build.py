"""The report of a run, computed from its directory alone: no model is loaded, no Python of the user is run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from burnish.errors import RunError
from burnish.files import read_json, read_jsonl
from burnish.proof.metric import LoadedMetric
from burnish.proof.prompting import Choice
from burnish.proof.retention import PART as RETENTION
from burnish.proof.retention import Retention, summarise_retention
from burnish.proof.summary import Line, Question, Summary, chosen, summarise
from burnish.proof.verdict import Context, Verdict, judge, not_judged, slower_run
from burnish.report.measured import task_from_json
from burnish.report.schema import (
    CostPart,
    DataPart,
    ProvenancePart,
    Report,
    RetentionPart,
    TaskPart,
    VerdictPart,
    WeightsPart,
)
from burnish.report.several import refuse_several

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run directory holds, as far as a report needs it."""

    path: Path
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    choice: Choice
    weights: Mapping[str, Any] | None
    lines: list[Line]
    events: list[dict[str, Any]]
    masks: Sequence[Mapping[str, Any]] = ()  # `burnish.data.check.masks`; older runs have none
    pictures: Mapping[str, str] = field(default_factory=dict)  # answer -> SVG, where the recipe's metric draws
    resolved: str = ""  # the recipe's text

    def last(self, event: str) -> Event | None:
        """The last event of a kind: a resumed run tells some of them again."""
        return next((e for e in reversed(self.events) if e["event"] == event), None)

    def needed(self, event: str) -> Event:
        """The same; raises RunError where the run did not get that far."""
        found = self.last(event)
        if found is None:
            raise _unfinished(self.path, f'events.jsonl has no "{event}"')
        return found

    @property
    def part(self) -> Literal["held_out", "validation"]:
        """The items that a report is about: the validation items as long as the held-out ones were left closed."""
        effort = (self.recipe.get("proof") or {}).get("effort")
        return "validation" if effort == "none" and self.last("held_out_opened") is None else "held_out"

    @property
    def opened(self) -> int:
        """How often the held-out items were opened, this run included."""
        return max((int(event.get("before", 0)) + 1 for event in self.all("held_out_opened")), default=0)

    def chosen(self, part: str) -> list[Line]:
        """The lines of a part in the scoring that validation chose for each arm; the general questions know one way."""
        return chosen(self.lines, part, {} if part == RETENTION else self.choice.scoring)

    def all(self, event: str) -> list[Event]:
        """Every event of a kind."""
        return [e for e in self.events if e["event"] == event]


def read(run: Path) -> Kept:
    """The directory's files; raises RunError where one is missing or damaged."""
    if not run.is_dir():
        raise RunError(f"{run}: no such run directory; runs are made by `burnish run`")
    refuse_several(run)
    resolved = _read(run / "recipe.yaml", lambda path: path.read_text(encoding="utf-8"))
    recipe = _read(run / "recipe.yaml", lambda _: yaml.safe_load(resolved))
    data, choice = (_read(run / name, read_json) for name in ("data.json", "best_prompt.json"))
    weights, masks, pictures = (_optional(run / f"{name}.json") for name in ("weights", "mask", "pictures"))
    lines, events = (_read(run / name, read_jsonl) for name in ("samples.jsonl", "events.jsonl"))
    choice = Choice.from_json(choice)
    return Kept(run, recipe, data, choice, weights, lines, events, masks or (), pictures or {}, resolved)


def build(run: Path, metrics: Sequence[LoadedMetric] = ()) -> Report:
    """The report; the same bytes each time. Raises RunError where the run did not get far enough.

    `metrics`: a user's metrics that compute their number from all items together; see `burnish.report.measured`.
    """
    return report_of(read(run), metrics)


def report_of(kept: Kept, metrics: Sequence[LoadedMetric] = ()) -> Report:
    """The same from files that are read."""
    kind, loaded = task_from_json(kept.needed("task"), metrics)
    settings = kept.recipe.get("proof") or {}
    question = Question(
        kind=kind,
        metrics=loaded,
        best_prompt=kept.choice.best_prompt,
        scoring=kept.choice.scoring,
        part=kept.part,
        margin=settings.get("margin"),
        seed=kept.needed("started")["seed"],
    )
    summary = summarise(kept.lines, question)
    retention = _retention(kept, question.seed)
    return Report(
        schema=1,
        verdict=VerdictPart.model_validate(_verdict(kept, summary, question, retention).to_json()),
        task=TaskPart.model_validate(dict(summary.task)),
        retention=None if retention is None else RetentionPart.model_validate(retention.to_json()),
        cost=_cost(kept),
        weights=None if kept.weights is None else WeightsPart.model_validate(kept.weights),
        data=_data(kept),
        provenance=_provenance(kept),
    )


def _read(path: Path, reader: Any) -> Any:
    if not path.is_file():
        raise _unfinished(path.parent, f"{path.name} is not there")
    try:
        return reader(path)
    except (json.JSONDecodeError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunError(f"{path}: damaged ({' '.join(str(error).split())})") from error


def _optional(path: Path) -> Any:
    return _read(path, read_json) if path.is_file() else None


def _unfinished(run: Path, what: str) -> RunError:
    return RunError(f"{run}: {what}; the run did not get that far. Go on with `burnish resume {run}`")


def _retention(kept: Kept, seed: int) -> Retention | None:
    """What was kept; None where it was not measured, or not yet: held-out items come first."""
    if kept.part != "held_out":
        return None
    return summarise_retention(kept.lines, slower_run(_recipe_name(kept), _rate(kept)), seed)


def _rate(kept: Kept) -> float | None:
    rate = (kept.recipe.get("training") or {}).get("learning_rate")
    return rate if isinstance(rate, float) else None


def _recipe_name(kept: Kept) -> str:
    """What to type to run it again: the recipe that the user named, else the resolved one."""
    started = kept.needed("started")
    recipe = str(started["recipe"])
    own = recipe.endswith((".yaml", ".yml")) and not started.get("several")  # of several methods it names one
    return recipe if own else f"{started['run']}/recipe.yaml"


def _verdict(kept: Kept, summary: Summary, question: Question, retention: Retention | None) -> Verdict:
    metric = question.metrics[0]
    context = Context(
        metric=metric.name,
        unit=metric.unit,
        is_share=metric.is_share,
        items=summary.items,
        simple=summary.simple,
        discordant_share=summary.discordant_share,
        closer=metric.closer,
        prompt_arms=question.kind != "text",
        directory=str(kept.needed("started")["run"]),
        recipe=_recipe_name(kept),
        learning_rate=_rate(kept),
        kept=retention.clause if retention is not None else "",
        lose_less=retention.next_command if retention is not None else None,
        opened_before=max(0, kept.opened - 1),
        records=None if _is_file(kept.recipe) else kept.data["train"] + kept.data["validation"] + kept.data["held_out"],
    )
    return (judge if kept.part == "held_out" else not_judged)(summary.evidence, context)


def _is_file(recipe: Mapping[str, Any]) -> bool:
    """Whether the held-out items were given as a file of their own."""
    held_out = (recipe.get("data") or {}).get("held_out", "auto")
    return isinstance(held_out, str) and held_out != "auto"


def _cost(kept: Kept) -> CostPart:
    artifact = kept.needed("artifact")
    stages: dict[str, float] = {}
    for stage in kept.all("stage"):
        stages[stage["name"]] = stages.get(stage["name"], 0.0) + stage["seconds"]
    steps = list({step["step"]: step for step in kept.all("step")}.values())
    seconds = sum(step["seconds"] for step in steps)
    peaks = [e["peak_memory_bytes"] for e in kept.all("stage")] + [step["memory_bytes"] for step in steps]
    return CostPart(
        trainable_parameters=artifact["trainable_parameters"],
        total_parameters=artifact["total_parameters"],
        train_seconds=stages.get("train", 0.0),
        stage_seconds=stages,
        trained_tokens=sum(step["targets"] for step in steps),
        tokens_per_second=sum(step["tokens"] for step in steps) / seconds if seconds else None,
        peak_memory_bytes=max(peaks, default=0),
        artifact_bytes=artifact["bytes"],
        prompt_tokens_per_request=_prompt_tokens(kept),
        reused_arms=tuple(dict.fromkeys(arm for event in kept.all("adopted") for arm in event["arms"])),
    )


def _prompt_tokens(kept: Kept) -> dict[str, float]:
    """Mean prompt length of each arm that asks a model, over its items; raw text has no prompts."""
    found: dict[str, list[float]] = {}
    for line in kept.chosen(kept.part):
        if line["prompt"] and line["scoring"] is not None:
            found.setdefault(str(line["arm"]), []).append(float(str(line["prompt_tokens"])))
    return {arm: sum(tokens) / len(tokens) for arm, tokens in found.items()}


def _data(kept: Kept) -> DataPart:
    numbers = {name: kept.data[name] for name in DataPart.model_fields if name in kept.data}
    return DataPart.model_validate(numbers | {"held_out_opened": kept.opened})


def _provenance(kept: Kept) -> ProvenancePart:
    started, finished = kept.needed("started"), kept.last("finished")
    known = {name: started[name] for name in ProvenancePart.model_fields if name in started}
    return ProvenancePart.model_validate(known | {"finished": finished["finished"] if finished else None})
