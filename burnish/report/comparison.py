"""Several methods side by side on the same held-out items: comparison.json, comparison.md, and a table to look at.

Which method is better is said by the paired 95 % interval of each two, and by nothing else; with several pairs some
interval misses its truth more often than one in twenty, and one seed of each was trained: both are said.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal

from pydantic import Field

from burnish.errors import RunError
from burnish.proof.metric import LoadedMetric
from burnish.proof.summary import Line, paired
from burnish.report.build import Kept
from burnish.report.markdown import table
from burnish.report.measured import task_from_json
from burnish.report.numbers import amount, bounds, counted, duration, ends, is_share, memory, p_value, primary, signed
from burnish.report.schema import CostPart, MetricPart, Part, Report, ScoreRow

FEW = 3  # differences that a sentence names one by one
JSON, MARKDOWN, HTML = "comparison.json", "comparison.md", "comparison.html"


class MethodRow(Part):
    """One method."""

    name: str
    """Its run's directory inside this one."""
    verdict: str
    """Its own verdict against the prompts."""
    score: ScoreRow
    """The tuned model in the deciding metric, over all items."""
    kept: str | None
    """What became of general answers: kept, lost or not_shown; null where it was not measured."""
    cost: CostPart
    """What the run took; its memory is that of the process, in which the methods before it ran too."""


class PairRow(Part):
    """Two methods on the same items; positive where `a` is better."""

    a: str
    b: str
    value: float
    low: float | None
    high: float | None
    p_value: float | None
    count: int
    shown: Literal["a", "b", "none"]
    """Which of them the 95 % interval shows to be better."""


class Comparison(Part):
    """Several methods, trained on the same records and measured on the same items."""

    schema_: Literal[1] = Field(1, alias="schema")
    """Version of this form."""
    metric: MetricPart
    part: Literal["held_out", "validation"]
    best_prompt: ScoreRow
    methods: tuple[MethodRow, ...]
    pairs: tuple[PairRow, ...]
    sentence: str

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return self.model_dump(mode="json", by_alias=True)


def compare(
    runs: dict[str, tuple[Kept, Report]], left_out: Sequence[str] = (), own: Sequence[LoadedMetric] = ()
) -> Comparison:
    """The runs side by side; raises `RunError` where they were not measured on the same items."""
    first, report = next(iter(runs.values()))
    _, metrics = task_from_json(first.needed("task"), own)
    lines = {name: _tuned(kept) for name, (kept, _) in runs.items()}
    order = list(next(iter(lines.values())))
    for name, found in lines.items():
        if set(found) != set(order):
            raise RunError(f"{name}: was measured on other items than {next(iter(lines))}, so they cannot be compared")
    rows = {name: [found[item] for item in order] for name, found in lines.items()}
    pairs = tuple(_pair(a, b, rows[a], rows[b], metrics[0]) for a, b in combinations(rows, 2))
    methods = tuple(
        MethodRow(
            name=name,
            verdict=found.verdict.kind,
            score=primary(found.task)[-1],
            kept=None if found.retention is None else found.retention.kept,
            cost=found.cost,
        )
        for name, (_, found) in runs.items()
    )
    prompt = next(row for row in primary(report.task) if row.arm == report.task.best_prompt)
    return Comparison(
        schema=1,
        metric=report.task.metric,
        part=report.task.part,
        best_prompt=prompt,
        methods=methods,
        pairs=pairs,
        sentence=_sentence(methods, pairs, report, left_out),
    )


def _tuned(kept: Kept) -> dict[object, Line]:
    return {line["item"]: line for line in kept.chosen(kept.part) if line["arm"] == "tuned"}


def _pair(a: str, b: str, first: Sequence[Line], second: Sequence[Line], metric: LoadedMetric) -> PairRow:
    row = PairRow.model_validate({"a": a, "b": b, "shown": "none", **paired(first, second, metric)})
    if row.low is not None and row.low > 0:
        return row.model_copy(update={"shown": "a"})
    if row.high is not None and row.high < 0:
        return row.model_copy(update={"shown": "b"})
    return row


def _shown(pairs: Sequence[PairRow]) -> list[tuple[str, str]]:
    """(better, worse) of each pair whose interval leaves zero out."""
    return [(p.a, p.b) if p.shown == "a" else (p.b, p.a) for p in pairs if p.shown != "none"]


def ahead_of(methods: Sequence[MethodRow], pairs: Sequence[PairRow]) -> str | None:
    """The method that is shown to be better than every other one."""
    shown, names = _shown(pairs), [method.name for method in methods]
    return next((a for a in names if all((a, b) in shown for b in names if b != a)), None)


def unbeaten_of(methods: Sequence[MethodRow], pairs: Sequence[PairRow]) -> list[MethodRow]:
    """The methods that none is shown to be better than."""
    beaten = {worse for _, worse in _shown(pairs)}
    return [method for method in methods if method.name not in beaten]


def said_of(methods: Sequence[MethodRow], pairs: Sequence[PairRow]) -> str:
    """Who is shown to be better than whom; of many differences, which methods are beaten by none."""
    shown, ahead = _shown(pairs), ahead_of(methods, pairs)
    if ahead is not None:
        return f"{ahead} is better than every other method"
    if not shown:
        return "No method is shown to be better than another"
    best = [method.name for method in unbeaten_of(methods, pairs)]
    if len(shown) <= FEW or not best:
        return "; ".join(f"{a} is better than {b}" for a, b in shown)
    rest = _listed([method.name for method in methods if method.name not in best])
    return f"Nothing is shown to beat {_listed(best)}; each of the others ({rest}) is beaten by at least one method"


def _sentence(methods: Sequence[MethodRow], pairs: Sequence[PairRow], report: Report, left_out: Sequence[str]) -> str:
    """The same, and what the intervals do not cover."""
    missing = f" Not finished, so not compared: {', '.join(left_out)}." if left_out else ""
    return (
        f"{said_of(methods, pairs)} (paired 95 % intervals on {report.task.items} "
        f"{report.task.part.replace('_', '-')} items, by {report.task.metric.name}, {len(pairs)} "
        f"{'pair' if len(pairs) == 1 else 'pairs'}, uncorrected; one training seed of each was run).{missing}"
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


def method_cells(found: Comparison) -> Iterator[list[str]]:
    """A row of `HEAD` for the best prompt and for each method."""
    share = is_share(found.metric)
    prompt = found.best_prompt
    yield [f"{prompt.arm} (best prompt)", *_numbers(prompt, share), "", "", "", "", ""]
    for row in found.methods:
        cost = row.cost
        yield [
            row.name,
            *_numbers(row.score, share),
            row.verdict,
            (row.kept or "").replace("_", " "),
            f"{cost.trainable_parameters:,}",
            memory(cost.artifact_bytes),
            duration(cost.train_seconds),
        ]


def _numbers(row: ScoreRow, share: bool) -> list[str]:
    return [amount(row.value, share), ends(row.low, row.high, share), counted(row, share)]


HEAD = ("method", "value", "95 %", "n", "against prompts", "general answers", "trains", "on disk", "training")
PAIRS = ("a - b", "difference", "95 %", "p", "shown")


def pair_cells(found: Comparison) -> Iterator[list[str]]:
    """A row of `PAIRS` for each two methods."""
    share = is_share(found.metric)
    for pair in found.pairs:
        better = {"a": f"{pair.a} is better", "b": f"{pair.b} is better", "none": "no difference"}[pair.shown]
        yield [
            f"{pair.a} - {pair.b}",
            signed(pair.value, share),
            bounds(pair.low, pair.high, share),
            p_value(pair.p_value),
            better,
        ]


def markdown_of(found: Comparison) -> list[str]:
    """The comparison as text."""
    return [
        "# Methods side by side",
        "",
        found.sentence,
        "",
        *table(HEAD, list(method_cells(found)), left=1),
        "",
        *table(PAIRS, list(pair_cells(found)), left=1),
        "",
        "Each run stands in the folder of its name, with its own report.",
    ]


def lines_of(found: Comparison, path: Path, command: str) -> list[str]:
    """The comparison on a terminal."""
    step, why = next_of(found, path, command)
    return [
        found.sentence,
        "",
        *_aligned([list(HEAD), *method_cells(found)]),
        "",
        *_aligned([list(PAIRS), *pair_cells(found)]),
        "",
        f"report  {path / HTML}, and report.html in the folder of each method",
        f"next    {step}" + (f"   ({why})" if why else ""),
    ]


def next_of(found: Comparison, path: Path, command: str) -> tuple[str, str]:
    """The method to use and why: the one shown to beat every other, or the smallest of those that nothing beats.

    Where no method beats the prompts, it is the best prompt.
    """
    won = any(method.verdict == "fine_tune" for method in found.methods)
    if not won and found.part == "held_out" and found.best_prompt.arm != "base":
        why = f"no method is shown to beat every prompt; the best of them is {found.best_prompt.arm}"
        return f"{command} chat {path / found.methods[0].name} --arm best_prompt", why
    best = ahead_of(found.methods, found.pairs)
    if best is not None:
        return f"{command} chat {path / best}", ""
    least = min(
        unbeaten_of(found.methods, found.pairs) or found.methods, key=lambda method: method.cost.artifact_bytes
    ).name
    why = "none is shown to be best; of those that nothing is shown to beat, this one has the smallest file"
    return f"{command} chat {path / least}", why


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
