"""The measured table of docs/methods.md and its picture, from bench/results/tables/methods.json (bench.methods)."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.tables import kept
from burnish.proof.statistics import wilson
from burnish.report.markdown import table
from burnish.report.numbers import memory

HEAD = (
    "method", "rate", "trec6, right of the test items", "95 % (first seed)", "CAD", "general text", "questions",
    "requests", "trains", "on disk", "memory", "s / 1,000 tokens",
)  # fmt: skip


def measured_tables() -> str:
    """The table, and below it what was swept to find the rates; then what was measured in fp32."""
    rows, exact = _methods("methods"), _methods("methods-fp32")
    if not rows:
        return "Not measured yet: `python -m bench.methods WORK`.\n"
    return _tables(rows) + (f"\nThe same in fp32, as far as it was measured:\n\n{_tables(exact)}" if exact else "")


def _tables(rows: Sequence[Mapping[str, Any]]) -> str:
    made = next(cell for row in rows for cell in row["trec6"])
    lines = [*table(HEAD, [line for row in rows for line in _lines(row)], left=1), ""]
    lines += [
        f"Measured on {made['machine']}, torch {made['torch']}, {made['date']}. General text: nats per token of "
        "authored general text, base → tuned, lower is better. Questions and requests: right of 100, passed of 40, "
        "base → tuned. Memory is the most that the process held up to the end of training. Several "
        "numbers in a cell are several training seeds; a cell with one is one seed, and seeds differ. `auto` marks the "
        "method's default rate; without it a rate was chosen by the sweep below. † not swept yet.",
        "",
    ]
    swept = [row for row in rows if row["swept"]]
    if not swept:
        return "\n".join(lines)
    lines += [
        "Rates, each trained once, judged by the loss on trec6's 200 validation records, nats per token; \\* is taken:",
        "",
        *table(("method", "a third", "the default rate", "three times"), [_swept(row) for row in swept], left=1),
    ]
    return "\n".join(lines) + "\n"


def saved_table() -> str:
    """What an update takes by each method, beside full fine-tuning, from bench/results/tables/prices.json."""
    value = kept("prices")
    if value is None:
        return "Not measured yet: `python -m bench.prices`.\n"
    found = [row for row in value["methods"] if row["why_not"] is None]
    full = next(row for row in found if row["method"] == "full")
    head = ("method", "trains", "memory", "of full", "an update", "of full", "on disk")
    rows = [
        [
            f"`{row['method']}`",
            f"{row['trained']:,}",
            memory(row["peak_bytes"]),
            f"{row['peak_bytes'] / full['peak_bytes']:.0%}",
            f"{row['seconds']:.2f} s",
            f"{row['seconds'] / full['seconds']:.0%}",
            memory(row["file_bytes"]),
        ]
        for row in found
    ]
    about = (
        f"{value['model']}, an update of {value['tokens']} tokens of eight documents that begin differently, the "
        f"quickest of several, {value['threads']} threads, {value['dtype']}, torch {value['torch']}, {value['date']}, "
        "in one run. "
        "Memory is the most that the process held, the model and torch included."
    )
    return "\n".join([*table(head, rows, left=1), "", about]) + "\n"


def _methods(name: str) -> list[Mapping[str, Any]]:
    return [row for row in (kept(name) or {"methods": []})["methods"] if row["trec6"]]


def _lines(row: Mapping[str, Any]) -> list[list[str]]:
    """A method at its rate, and beside it at its default rate where that is another."""
    automatic = row.get("automatic")
    if automatic is None:
        return [_row(row, automatic=True)]
    return [
        _row(row, automatic=False),
        *([_row({**row, "cad": [], **automatic}, automatic=True)] * bool(automatic["trec6"])),
    ]


def _row(row: Mapping[str, Any], *, automatic: bool) -> list[str]:
    runs, cad = row["trec6"], row["cad"]
    first = runs[0]
    interval = wilson(round(first["value"] * first["count"]), first["count"])
    probes = first["probes"]
    return [
        f"`{row['method']}`",
        f"{row['rate']:g}{' `auto`' if automatic else ''}{'' if row['swept'] else ' †'}",
        f"{', '.join(_right(cell) for cell in runs)} of {first['count']}",
        f"{100 * interval.low:.1f}-{100 * interval.high:.1f} %",
        f"{', '.join(_right(cell) for cell in cad)} of {cad[0]['count']}" if cad else "",
        _probe(probes, "general_text", 1, 2),
        _probe(probes, "knowledge", 100, 0),
        _probe(probes, "requests", 40, 0),
        f"{first['trainable_parameters']:,}",
        memory(first["artifact_bytes"]),
        memory(first["training_memory_bytes"]),
        f"{first['seconds_per_1000_tokens']:.1f}" if first["seconds_per_1000_tokens"] else "",
    ]


def _right(cell: Mapping[str, Any]) -> str:
    return str(round(cell["value"] * cell["count"]))


def _probe(probes: Mapping[str, Any], name: str, times: float, digits: int) -> str:
    if name not in probes or any(not math.isfinite(probes[name][arm]) for arm in ("base", "tuned")):
        return ""
    return " → ".join(f"{probes[name][arm] * times:.{digits}f}" for arm in ("base", "tuned"))


def _swept(row: Mapping[str, Any]) -> Sequence[str]:
    cells = sorted(row["sweep"], key=lambda cell: float(cell["rate"]))
    taken = [" \\*" if cell["rate"] == row["rate"] else "" for cell in cells]
    losses = [f"{cell['rate']:g}: {_loss(cell['validation_loss'])}" for cell in cells]
    return [f"`{row['method']}`", *(loss + mark for loss, mark in zip(losses, taken, strict=True))]


def _loss(value: float | None) -> str:
    return "diverged" if value is None else f"{value:.3f}"
