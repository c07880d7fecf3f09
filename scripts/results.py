"""Measured runs: bench/results/NAME.json is a run's report as it came out, docs/results.md is written from these files.

python -m scripts.results RUN NAME keeps the report of a finished run; python -m scripts.pages writes the page.
"""

import sys
from pathlib import Path

import yaml

from burnish.files import read_json, write_json
from burnish.proof.verdict import times
from burnish.report.markdown import table
from burnish.report.numbers import (
    amount,
    bounds,
    counted,
    duration,
    ends,
    is_share,
    memory,
    moved,
    primary,
    signed,
    slices,
)
from burnish.report.schema import DifferenceRow, Report, ScoreRow

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "bench" / "results"
REMARKS = KEPT / "remarks.yaml"  # what surprised in a run, a sentence each, by the run's name
HEAD = """# Measured runs

Each table is the report of one run, as it came out: one training seed, held-out items opened after everything was
frozen. `python -m scripts.results RUN NAME` keeps a run's report in `bench/results/`, and this page is generated from
these files. "tuned -" is the paired difference on the same items, positive where the tuned model is better, with its
95 % interval; \\* marks the best prompt, chosen on validation items. "Ruled out at 95 %" is one-sided: it rests on the
upper end of the 90 % interval, so the 95 % interval beside it may reach a little past the margin. Minutes are those of
the machine that is named. "Opened" is what the cache of that run had seen: one with an empty cache begins at one, and
what was opened before is told below each table. All but `cad`, `cad_fp32`, `trec6_fp32` and `trec6_h100`
were measured before small updates survived in bf16 (docs/performance.md, "What bf16 would lose"); scores of a run anew
may differ by a few items.
"""


def keep(run: Path, name: str) -> Path:
    """Copy a run's report under a name; it must be a report on held-out items."""
    report = Report.model_validate(read_json(run / "report.json"))
    if report.task.part != "held_out" or report.provenance.finished is None:
        sys.exit(f"{run}: its held-out items are not measured to the end")
    path = KEPT / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, report.to_json())
    return path


def page() -> str:
    """The text of docs/results.md."""
    parts, remarks = [HEAD], remarks_by_name()
    for path in sorted(KEPT.glob("*.json")):
        parts.append(_section(path.stem, Report.model_validate(read_json(path)), remarks.get(path.stem)))
    return "\n".join(parts)


def remarks_by_name() -> dict[str, str]:
    """The remarks; each must be about a run that is kept."""
    value = yaml.safe_load(REMARKS.read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    strangers = sorted(name for name in value if not (KEPT / f"{name}.json").is_file())
    assert not strangers, f"{REMARKS}: no run is called {', '.join(strangers)}"
    return {name: " ".join(str(text).split()) for name, text in value.items()}


def _section(name: str, report: Report, remark: str | None) -> str:
    task, cost, data, made = report.task, report.cost, report.data, report.provenance
    share = is_share(task.metric)
    differences = {(row.b, row.slice): row for row in task.differences}
    rows = []
    for row in primary(task):
        mark = " \\*" if row.arm == task.best_prompt else ""
        rows.append(_row(f"{row.arm}{mark}", row, differences.get((row.arm, "all")), share))
    for part in slices(task):
        for row in primary(task, part):
            if row.arm in ("tuned", task.best_prompt):
                rows.append(_row(f"{part}: {row.arm}", row, differences.get((row.arm, part)), share))
    for row in task.scores:
        if row.metric != task.metric.name and row.slice == "all":
            rows.append(_row(f"{row.metric}: {row.arm}", row, None, False))
    lines = [f"## {name}", "", f"`{made.recipe}`: **{report.verdict.kind}**. {report.verdict.sentence}", ""]
    lines += table(("arm", "read by", "value", "95 %", "n", "tuned -", "95 %"), rows, left=2)
    stages = ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in cost.stage_seconds.items())
    dropped = ", ".join(f"{count} {reason}" for reason, count in data.dropped.items() if count) or "none"
    opened = times(data.held_out_opened)
    parts = f"{data.train:,} train, {data.validation:,} validation, {data.held_out:,} held out"
    minutes = f"{duration(sum(cost.stage_seconds.values()))} ({stages})"
    where = f"{made.cpu}, {made.threads} threads, {made.device}, {made.dtype}"
    disk = f"{memory(cost.artifact_bytes)} on disk"
    if report.weights is not None:
        disk += f"; weights {moved(report.weights)}"
    trained = f"{cost.trainable_parameters:,} of {cost.total_parameters:,} parameters"
    lines += [
        f"- {parts} of {data.given:,} given; dropped: {dropped}; unused {data.unused:,}; held-out opened {opened}.",
        f"- {where}: {minutes}; at most {memory(cost.peak_memory_bytes)}.",
        f"- {trained} trained on {cost.trained_tokens:,} tokens; {disk}.",
        *([] if report.retention is None else [f"- Kept: {report.retention.sentence}"]),
        *([] if remark is None else [f"- What surprised: {remark}"]),
        f"- burnish {made.burnish}, torch {made.torch}, seed {made.seed}, {made.started}.",
        "",
    ]
    return "\n".join(lines)


def _row(name: str, row: ScoreRow, difference: DifferenceRow | None, share: bool) -> list[str]:
    cells = [name, row.scoring or "", amount(row.value, share), ends(row.low, row.high, share), counted(row, share)]
    if difference is None:
        return [*cells, "", ""]
    return [*cells, signed(difference.value, share), bounds(difference.low, difference.high, share)]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(f"wrote {keep(Path(sys.argv[1]), sys.argv[2])}")
