"""From lines of samples.jsonl to the `task` part of report.json; no model is needed (law 10)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from burnish.errors import RunError
from burnish.proof.metric import LoadedMetric
from burnish.proof.statistics import (
    Interval,
    Resampling,
    bootstrap,
    bootstrap_mean,
    discordant,
    mcnemar,
    mean_interval,
    paired_shares,
    wilson,
)
from burnish.proof.verdict import Difference, Evidence
from burnish.types import ItemScore, Scoring, TaskKind

Line = dict[str, object]  # of samples.jsonl
PROMPT_ARMS = ("base", "few_shot", "similar")
KEY = ("part", "arm", "item", "scoring")  # what tells one line from another


@dataclass(frozen=True, slots=True)
class Summary:
    """The task part of a report, and what the verdict rests on."""

    task: Mapping[str, object]
    evidence: Evidence
    simple: Difference | None
    discordant_share: float | None
    items: int


@dataclass(frozen=True)
class Question:
    """What is asked of the lines.

    `metrics`: the first decides. `arms`: in the order of the report; those that are prompts are compared with tuned.
    `scoring`: each arm's chosen one; lines in another scoring are passed over. `margin`: None = the metric's own.
    """

    kind: TaskKind
    metrics: tuple[LoadedMetric, ...]
    best_prompt: str
    scoring: Mapping[str, Scoring | None] = field(default_factory=dict)
    part: Literal["held_out", "validation"] = "held_out"
    margin: float | None = None
    seed: int = 0


def summarise(lines: Iterable[Line], question: Question) -> Summary:
    """Scores, differences and evidence; raises RunError where arms were not measured on the same items."""
    arms = _by_arm(lines, question)
    metric = question.metrics[0]
    scores = [row for arm, rows in arms.items() for row in _scores(arm, rows, question)]
    tuned = arms["tuned"]
    others = {arm: rows for arm, rows in arms.items() if arm != "tuned"}
    prompts = [arm for arm in others if arm.startswith(PROMPT_ARMS)]
    first = [question.best_prompt, *(arm for arm in others if arm != question.best_prompt)]
    differences = [row for arm in first for row in _differences(arm, tuned, others[arm], question)]
    judged = {arm: _judged(arm, tuned, others[arm], question) for arm in others}
    ordered = sorted(prompts, key=first.index)
    against = tuple(found for arm in ordered if (found := judged[arm]) is not None)
    evidence = Evidence(against, question.best_prompt, question.margin or metric.margin)
    share = None
    if metric.is_share:
        share = sum(discordant(_values(tuned, metric), _values(others[question.best_prompt], metric))) / len(tuned)
    task = {
        "kind": question.kind,
        "metric": {"name": metric.name, "unit": metric.unit, "better": metric.better},
        "also": [other.name for other in question.metrics[1:]],
        "part": question.part,
        "items": len(tuned),
        "best_prompt": question.best_prompt,
        "scores": scores,
        "differences": differences,
    }
    return Summary(task, evidence, judged.get("simple"), share, len(tuned))


def latest(lines: Iterable[Line]) -> list[Line]:
    """One line for each part, arm, item and scoring: the last written, where a resumed run measured a chunk again."""
    kept: dict[tuple[object, ...], Line] = {}
    for line in lines:
        kept[tuple(line[key] for key in KEY)] = line
    return list(kept.values())


def chosen(lines: Iterable[Line], part: str, scoring: Mapping[str, Scoring | None]) -> list[Line]:
    """The lines of a part, each arm's in its chosen scoring; an arm without a choice is read in one way alone."""
    found = latest(line for line in lines if line["part"] == part)
    return [line for line in found if line["scoring"] == scoring.get(str(line["arm"]), line["scoring"])]


def item_scores(rows: Sequence[Line], metric: LoadedMetric) -> list[ItemScore]:
    """The scores that the lines hold in this metric, with the details that an aggregate may need."""
    found = []
    for row in rows:
        others = row["other_scores"]
        details = row.get("details", {})
        assert isinstance(others, Mapping)
        assert isinstance(details, Mapping)
        value = others[metric.name] if metric.name in others else row["score"]
        assert isinstance(value, int | float), (row["arm"], row["item"], metric.name)
        found.append(ItemScore(float(value), details.get(metric.name, {})))
    return found


def aggregate_of(rows: Sequence[Line], metric: LoadedMetric) -> float:
    """The arm's number in the deciding metric."""
    return metric.aggregate(item_scores(rows, metric))


def _by_arm(lines: Iterable[Line], question: Question) -> dict[str, list[Line]]:
    """Each arm's lines in its chosen scoring, all in one order of items."""
    arms: dict[str, dict[object, Line]] = {}
    for line in chosen(lines, question.part, question.scoring):
        arms.setdefault(str(line["arm"]), {})[line["item"]] = line
    missing = [arm for arm in ("base", "tuned", question.best_prompt) if arm not in arms]
    if missing:
        raise RunError(
            f"samples.jsonl has no {question.part} lines of {', '.join(missing)}; `burnish resume` measures them"
        )
    order = list(arms["tuned"])
    uneven = [f"{arm} ({len(rows)})" for arm, rows in arms.items() if set(rows) != set(order)]
    if uneven:
        raise RunError(
            f"samples.jsonl: tuned was measured on {len(order)} {question.part} items, on others than "
            f"{', '.join(uneven)}; a comparison needs the same items (`burnish resume` measures what is missing)"
        )
    return {arm: [rows[item] for item in order] for arm, rows in arms.items()}


def _slices(rows: Sequence[Line]) -> dict[str, list[int]]:
    """Positions of each slice's items; "all" first."""
    found: dict[str, list[int]] = {"all": list(range(len(rows)))}
    for i, row in enumerate(rows):
        if row["slice"] is not None:
            found.setdefault(str(row["slice"]), []).append(i)
    return found


def _values(rows: Sequence[Line], metric: LoadedMetric) -> list[float]:
    return [score.value for score in item_scores(rows, metric)]


def _resampling(rows: Sequence[Line], metric: LoadedMetric, seed: int, level: float = 0.95) -> Resampling:
    """Items of one group are drawn together where a group has several."""
    groups = [row["item"] if row["group"] is None else ("group", row["group"]) for row in rows]
    repeated = len(set(groups)) < len(groups)
    return Resampling(seed, level, groups if repeated else None, metric.span)


def _scores(arm: str, rows: Sequence[Line], question: Question) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for metric in question.metrics:
        if not _measured(rows, metric, question):
            continue
        for name, places in _slices(rows).items():
            interval = _single([rows[i] for i in places], metric, question.seed)
            row = {"arm": arm, "metric": metric.name, "slice": name, "scoring": rows[0]["scoring"]}
            found.append(row | _ends(interval) | {"count": interval.count})
    return found


def _measured(rows: Sequence[Line], metric: LoadedMetric, question: Question) -> bool:
    """False for `simple` in a metric that reads a model's nats."""
    if metric is question.metrics[0]:
        return rows[0]["score"] is not None
    others = rows[0]["other_scores"]
    return isinstance(others, Mapping) and metric.name in others


def _single(rows: Sequence[Line], metric: LoadedMetric, seed: int) -> Interval:
    """Wilson for shares, Student for means, bootstrap for the rest and where items come in groups."""
    scores = item_scores(rows, metric)
    how = _resampling(rows, metric, seed)
    values = [score.value for score in scores]
    if metric.own_aggregate is not None:
        return bootstrap(lambda picks: metric.aggregate([scores[i] for i in picks]), len(scores), how)
    if how.groups is not None:
        return bootstrap_mean(values, how)
    return wilson(round(sum(values)), len(values)) if metric.is_share else mean_interval(values)


def difference(
    a: Sequence[Line], b: Sequence[Line], metric: LoadedMetric, *, seed: int = 0, level: float = 0.95
) -> Interval:
    """a - b on the same items in the same order, positive when a is better."""
    how = _resampling(a, metric, seed, level)
    first, second = item_scores(a, metric), item_scores(b, metric)
    if metric.own_aggregate is not None:

        def statistic(picks: "np.typing.NDArray[np.intp]") -> float:
            return metric.sign * (
                metric.aggregate([first[i] for i in picks]) - metric.aggregate([second[i] for i in picks])
            )

        return bootstrap(statistic, len(first), how)
    if metric.is_share and how.groups is None:
        x, y = [s.value for s in first], [s.value for s in second]
        return paired_shares(x, y, level) if metric.sign > 0 else paired_shares(y, x, level)
    return bootstrap_mean([metric.sign * (x.value - y.value) for x, y in zip(first, second, strict=True)], how)


def paired(a: Sequence[Line], b: Sequence[Line], metric: LoadedMetric, *, seed: int = 0) -> dict[str, object]:
    """a - b as a row of a report: value, ends, McNemar's p where the metric is a share, count."""
    interval = difference(a, b, metric, seed=seed)
    p_value = mcnemar(*discordant(_values(a, metric), _values(b, metric))) if metric.is_share else None
    return _ends(interval) | {"p_value": p_value, "count": interval.count}


def _differences(arm: str, tuned: Sequence[Line], other: Sequence[Line], question: Question) -> list[dict[str, object]]:
    """tuned - arm over all items, and by slice."""
    metric = question.metrics[0]
    if not _measured(other, metric, question):
        return []
    found: list[dict[str, object]] = []
    for name, places in _slices(tuned).items():
        a, b = [tuned[i] for i in places], [other[i] for i in places]
        found.append({"a": "tuned", "b": arm, "slice": name, **paired(a, b, metric, seed=question.seed)})
    return found


def _judged(arm: str, tuned: Sequence[Line], other: Sequence[Line], question: Question) -> Difference | None:
    """tuned - arm at 95 and at 90 %; None where the arm cannot be measured in the deciding metric."""
    metric = question.metrics[0]
    if not _measured(other, metric, question):
        return None
    wide = difference(tuned, other, metric, seed=question.seed)
    narrow = difference(tuned, other, metric, seed=question.seed, level=0.9)
    return Difference(arm, wide.value, wide.low, wide.high, narrow.high)


def _ends(interval: Interval) -> dict[str, object]:
    """Value and ends; an end that the items cannot bound is null."""
    ends = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {name: end if math.isfinite(end) else None for name, end in ends.items()}
