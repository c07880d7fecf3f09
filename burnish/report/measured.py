"""How a run measured, as plain values in its directory, so that its report needs no Python of the user.

`events.jsonl` holds it as the event "task": {kind, labels, reason, metrics: [{name, unit, better, is_share, margin,
reads, span, also, closer, source, aggregates}]}; the first metric decides.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from burnish.errors import RunError
from burnish.proof.automatic import Task
from burnish.proof.metric import BUILT_IN, LoadedMetric, Metric, load
from burnish.types import ItemScore, TaskKind

PLAIN = ("name", "unit", "better", "is_share", "margin", "reads", "span", "closer")


def task_as_json(task: Task) -> dict[str, object]:
    """What the event "task" holds."""
    metrics = [
        {name: getattr(metric, name) for name in PLAIN}
        | {
            "also": [other if isinstance(other, str) else other.name for other in metric.also],
            "source": BUILT_IN if metric.source == BUILT_IN else "user",
            "aggregates": metric.own_aggregate is not None,
        }
        for metric in task.metrics
    ]
    return {"kind": task.kind, "labels": list(task.labels), "reason": task.reason, "metrics": metrics}


def task_from_json(
    value: Mapping[str, Any], given: Sequence[LoadedMetric] = ()
) -> tuple[TaskKind, tuple[LoadedMetric, ...]]:
    """Kind and metrics; only their aggregates work, since every item's score stands in samples.jsonl.

    A user's metric that computes its number from all items together must be `given`; without it RunError is raised.
    """
    known = {metric.name: metric for metric in given}
    found = []
    for row in value["metrics"]:
        if row["name"] in known:
            found.append(known[row["name"]])
        elif row["source"] == BUILT_IN:
            found.append(load(row["name"]))
        elif row["aggregates"]:
            raise RunError(
                f'the metric "{row["name"]}" computes its number with your own Python (`aggregate`), which is never '
                "run from a run directory; report.json stands there as the run wrote it"
            )
        else:
            found.append(_from_row(row))
    return cast(TaskKind, value["kind"]), tuple(found)


class _Unavailable:
    """Stands for a user's metric whose items were scored during the run."""

    def score(self, *_: object) -> ItemScore:
        """Never called: the scores are in samples.jsonl."""
        raise AssertionError("a report scores nothing")


def _from_row(row: Mapping[str, Any]) -> LoadedMetric:
    plain = {name: row[name] for name in PLAIN}
    return LoadedMetric(**plain, metric=cast(Metric, _Unavailable()), also=tuple(row["also"]), source=row["source"])
