"""Every method on the same data: python -m bench.methods WORK [--only NAME ...] [--stage NAME ...] [--minutes M].

Three stages; each cell is one `burnish run` in a process of its own, kept under WORK, so the same command goes on:
`sweep`  three learning rates a method, judged by the loss on trec6's 200 validation records, one seed, the held-out
         items closed; the rate that `auto` means is trained once, as the cell of the next stage, and read by its loss;
`trec6`  the chosen rate on 1,000 training questions, base and tuned on the test items and on general questions;
`cad`    the same on the CAD records, one seed, at the rate chosen on trec6.
Where a method is not swept (yet), the later stages take the rate that `auto` means, and the table says so.
The last thing done is bench/results/tables/methods.json (methods-fp32.json where they were computed in fp32), from
whatever cells are finished; docs/methods.md cites it.
BURNISH_DATA must lead to the public data.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.tables import keep
from burnish.errors import TrainingError
from burnish.files import read_json
from burnish.methods.method import method_from
from burnish.report.numbers import primary
from burnish.report.schema import Report, ScoreRow

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("sweep", "trec6", "cad")
PARAMETERS = 134_515_008  # of the built-in model; `auto` rates go by size
TIMES = (1 / 3, 1.0, 3.0)  # the method's own rate, and what stands beside it
SEVERAL = (0, 1, 2)  # seeds
BASE_ONLY = ("proof.few_shot=[]", "proof.similar=[]")  # prompts do not change with the method


@dataclass(frozen=True)
class Row:
    """A method as the table names it, and what a recipe says for it."""

    name: str
    changes: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)

    @property
    def rate(self) -> float:
        """The rate that `auto` means."""
        return method_from(self.changes[0].removeprefix("method=")).learning_rate(PARAMETERS)


ROWS = (
    Row("full", ("method=full",), SEVERAL),
    Row("lora", ("method=lora",), SEVERAL),
    Row("houlsby", ("method=bottleneck", "method.variant=houlsby"), SEVERAL),
    Row("pfeiffer", ("method=bottleneck", "method.variant=pfeiffer"), SEVERAL),
    Row("prefix", ("method=prefix",), SEVERAL),
    Row("prompt", ("method=prompt",)),
    Row("ia3", ("method=ia3",)),
    Row("rslora", ("method=lora", "method.variant=rslora")),
    Row("dora", ("method=lora", "method.variant=dora")),
)


@dataclass(frozen=True)
class Cell:
    """One run of the bench."""

    stage: str
    row: Row
    rate: float
    seed: int

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.stage}-{self.row.name}-{self.rate:.2g}-{self.seed}"

    @property
    def command(self) -> list[str]:
        """What a person would type."""
        recipe = "cad" if self.stage == "cad" else "trec6"
        changes = [f"training.learning_rate={self.rate:g}", f"training.seed={self.seed}", *BASE_ONLY]
        if self.stage == "sweep":
            changes += ["proof.effort=none", "training.checkpoints_kept=1"]
        if self.stage == "cad" or self.seed:
            changes.append("proof.retention=false")  # told once a method, by the first seed on trec6
        burnish = str(Path(sys.executable).with_name("burnish"))
        return [burnish, "run", str(ROOT / "recipes" / recipe / "recipe.yaml"), *self.row.changes, *changes]


def report_of(work: Path, cell: Cell) -> Report | None:
    """The report of a finished cell."""
    path = work / cell.name / "report.json"
    return Report.model_validate(read_json(path)) if path.is_file() else None


def diverged(work: Path, cell: Cell) -> bool:
    """Whether training could not go on at this rate; that is a result, so the cell is not run again."""
    return (work / f"{cell.name}.diverged").is_file()


def is_done(work: Path, cell: Cell) -> bool:
    """Whether there is nothing more to learn from a cell."""
    return diverged(work, cell) or report_of(work, cell) is not None


def score_of(report: Report) -> ScoreRow:
    """The tuned model's row in the task's own metric."""
    return primary(report.task)[-1]


def sweep_of(row: Row) -> list[Cell]:
    """The cells among which a rate is chosen, by nothing but their validation loss."""
    return [Cell("trec6" if times == 1 else "sweep", row, float(f"{row.rate * times:.2g}"), 0) for times in TIMES]


def is_swept(work: Path, row: Row) -> bool:
    """Whether all of its rates were tried."""
    return all(is_done(work, cell) for cell in sweep_of(row))


def chosen_rate(work: Path, row: Row) -> float:
    """The rate with the lowest validation loss; the method's own before it is swept."""
    if not is_swept(work, row):
        return float(f"{row.rate:.2g}")
    return min((validation_loss(work, cell), cell.rate) for cell in sweep_of(row))[1]


def events_of(work: Path, cell: Cell, kind: str) -> list[dict[str, Any]]:
    """What a cell told while it ran, of one kind."""
    lines = (work / cell.name / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for line in lines if (event := json.loads(line))["event"] == kind]


def validation_loss(work: Path, cell: Cell) -> float:
    """The lowest validation loss, nats per token: that of the checkpoint that was taken."""
    if diverged(work, cell):
        return float("inf")
    return min(float(event["loss"]) for event in events_of(work, cell, "evaluation"))


def cells(work: Path, rows: Sequence[Row], stages: Sequence[str]) -> Iterator[Cell]:
    """What is to be run, in its order; the later stages ask for their rate when their turn comes."""
    if "sweep" in stages:
        for row in rows:
            yield from sweep_of(row)
    for stage in ("trec6", "cad"):
        for turn in range(len(SEVERAL) if stage in stages else 0):
            for row in rows:
                if turn < (len(row.seeds) if stage == "trec6" else 1):
                    yield Cell(stage, row, chosen_rate(work, row), row.seeds[turn])


def run(work: Path, cell: Cell) -> None:
    """Run one cell to its end; what it says stands in a log beside it."""
    command, began = [*cell.command, "--out", str(work / cell.name), "--replace"], time.perf_counter()
    print(f"{cell.name} …", end=" ", flush=True)
    with (work / f"{cell.name}.log").open("w") as log:
        result = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False)
    if result.returncode == TrainingError.exit_code:
        (work / f"{cell.name}.diverged").touch()
        print("training ended in numbers that are none", flush=True)
        return
    report = report_of(work, cell) if result.returncode == 0 else None
    if report is None:
        sys.exit(f"stopped with exit code {result.returncode}; see {work / cell.name}.log")
    score = score_of(report)
    seconds = time.perf_counter() - began
    print(
        f"{score.value:.3f} of {score.count}, {seconds:.0f} s, training {report.cost.train_seconds:.0f} s", flush=True
    )


def table(work: Path) -> dict[str, object]:
    """All finished cells in numbers."""
    found = []
    for row in ROWS:
        swept = [cell for cell in sweep_of(row) if is_done(work, cell)]
        rate = chosen_rate(work, row)
        entry: dict[str, object] = {
            "method": row.name,
            "recipe": list(row.changes),
            "sweep": [
                {"rate": cell.rate, "validation_loss": None if diverged(work, cell) else validation_loss(work, cell)}
                for cell in swept
            ],
            "rate": rate,
            "swept": is_swept(work, row),
        }
        for stage in ("trec6", "cad"):
            entry[stage] = _runs(work, [Cell(stage, row, rate, seed) for seed in row.seeds])
        automatic = sweep_of(row)[TIMES.index(1.0)]
        if automatic.rate != rate:
            on_cad = Cell("cad", row, automatic.rate, 0)
            entry["automatic"] = {
                "rate": automatic.rate,
                "trec6": _runs(work, [automatic]),
                "cad": _runs(work, [on_cad]),
            }
        found.append(entry)
    return {"schema": 1, "methods": found}


def _runs(work: Path, runs: Sequence[Cell]) -> list[dict[str, object]]:
    done = [cell for cell in runs if report_of(work, cell) is not None]
    return [{"seed": cell.seed, **_numbers(work, cell)} for cell in done]


def _numbers(work: Path, cell: Cell) -> dict[str, object]:
    report = report_of(work, cell)
    assert report is not None
    score, cost, made = score_of(report), report.cost, report.provenance
    probes = {} if report.retention is None else {probe.name: probe for probe in report.retention.probes}
    steps = cost.tokens_per_second
    return {
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "count": score.count,
        "part": report.task.part,
        "trainable_parameters": cost.trainable_parameters,
        "artifact_bytes": cost.artifact_bytes,
        "training_memory_bytes": events_of(work, cell, "step")[-1]["memory_bytes"],
        "validation_loss": validation_loss(work, cell),
        "train_seconds": cost.train_seconds,
        "seconds_per_1000_tokens": None if not steps else 1000 / steps,
        "retention": None if report.retention is None else report.retention.kept,
        "probes": {name: {"base": p.base, "tuned": p.tuned, "unit": p.unit} for name, p in probes.items()},
        "machine": f"{made.cpu}, {made.threads} threads, {made.dtype}",
        "torch": made.torch,
        "date": made.started[:10],
    }


def main() -> None:
    """Read the arguments, run what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], default=[row.name for row in ROWS])
    parser.add_argument("--stage", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--minutes", type=float, default=240, help="begin no cell after so many minutes")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    rows, end = [row for row in ROWS if row.name in given.only], time.monotonic() + 60 * given.minutes
    for cell in cells(given.work, rows, given.stage):
        if not is_done(given.work, cell):
            if time.monotonic() > end:
                print("out of time; the same command goes on")
                break
            run(given.work, cell)
    reports = [report_of(given.work, cell) for row in ROWS for cell in sweep_of(row)]
    exact = any(report is not None and report.provenance.dtype == "float32" for report in reports)
    name = "methods-fp32" if exact else "methods"  # losses and costs of another arithmetic
    print(f"wrote {keep(name, table(given.work)).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
