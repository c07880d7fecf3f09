"""The tables of docs/performance.md, from the kept runs and from bench/results/tables (bench.peers, generation)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.tables import kept
from burnish.files import read_json
from burnish.report.markdown import table
from burnish.report.numbers import duration, memory
from burnish.report.schema import Report

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "bench" / "results"
CASES = {
    "a": "a: mixed lengths, LoRA",
    "b": "b: CAD records, LoRA",
    "c": "c: mixed lengths, full",
    "d": "d: short, one instruction, LoRA",
}
ELSEWHERE = {  # tables of bench.peers by their names, and what is said above each
    "peers-avx2": "The same on a processor with AVX2, where both sides compute in fp32",
    "peers-cuda": "The same on a GPU",
}


def performance_tables() -> str:
    """Minutes to a verdict, the engine beside its peers, answers beside transformers."""
    others = [
        _peers(found, {case: CASES[case] for case in found["cases"]}, title)
        for name, title in ELSEWHERE.items()
        if (found := kept(name)) is not None
    ]
    parts = [_minutes(), _peers(kept("peers"), CASES), *others, _generation(kept("generation"))]
    return "\n".join([*parts, _fidelity(kept("fidelity"))])


def _minutes() -> str:
    rows = []
    for path in sorted(KEPT.glob("*.json")):
        report = Report.model_validate(read_json(path))
        cost = report.cost
        stages = dict(cost.stage_seconds)
        whole = duration(sum(stages.values()))
        prompts, train, held = stages.pop("prompts", 0.0), stages.pop("train", 0.0), dict(stages)
        rest = ", ".join(f"{name} {duration(seconds)}" for name, seconds in held.items() if seconds >= 1)
        rate = "" if cost.tokens_per_second is None else f"{cost.tokens_per_second:.0f}"
        made = report.provenance
        where = f"{made.cpu}, {made.threads} threads, {'' if made.device == 'cpu' else f'{made.device}, '}{made.dtype}"
        rows.append(
            [
                f"`{path.stem}`",
                whole,
                duration(prompts),
                duration(train),
                rate,
                rest,
                memory(cost.peak_memory_bytes),
                f"{where}, {made.started[:10]}",
            ]
        )
    head = ("run", "to the verdict", "prompts", "training", "tokens/s", "then", "memory", "where, when")
    return "\n".join(["## From `burnish run` to a verdict", "", *table(head, rows, left=1), ""])


def _peers(found: Any, cases: Mapping[str, str], title: str = "Beside TRL with PEFT") -> str:
    lines = [f"## {title}", ""]
    if found is None:
        return "\n".join([*lines, "Not measured yet: `python -m bench.peers`.", ""])
    rows = []
    for name, case in found["cases"].items():
        rate, peak = case["tokens_per_second"], case["peak_bytes"]
        rows.append(
            [
                CASES[name],
                f"{rate['burnish']:.0f}",
                f"{rate['trl']:.0f} ({case['trl_best']})",
                f"{case['trl_untouched']:.0f}" if "trl_untouched" in case else "",
                f"{rate['trl_fp32']:.0f}",
                f"{case['tokens_per_second_ratio']:.1f}x",
                f"{memory(peak['burnish'])}, {memory(peak['trl'])}",
                f"{case['memory_ratio']:.2f}",
                f"{100 * case['bound_share']:.0f} %",
                f"{100 * case['loss_max_relative_difference']:.1f} %, "
                f"{100 * case['trl_loss_max_relative_difference']:.1f} %",
            ]
        )
    head = ("case", "burnish", "TRL's best", "untouched", "in fp32", "ratio", "memory", "ratio", "unavoidable", "loss")
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines += [*table(head, rows, left=1), ""]
    days = ", ".join(sorted({case["date"] for case in found["cases"].values()}))
    lines += [f"Tokens of records a second; {found['machine']}; {versions}; {days}; each case in one run.", ""]
    missing = [about for name, about in cases.items() if name not in found["cases"]]
    if missing:
        lines += [f"Not measured yet: {'; '.join(missing)}.", ""]
    return "\n".join(lines)


def _generation(found: Any) -> str:
    lines = ["## Answers beside transformers' `generate`", ""]
    if found is None:
        return "\n".join([*lines, "Not measured yet: `python -m bench.generation recipes/trec6/recipe.yaml`.", ""])
    rows = []
    for arm, case in found["arms"].items():
        rate = case["items_per_second"]
        rows.append(
            [
                f"`{arm}`",
                f"{case['prompt_tokens']:.0f}",
                f"{rate['burnish']:.1f}",
                f"{rate['transformers']:.1f} (batch {case['transformers_batch']})",
                f"{case['ratio']:.1f}x",
                f"{100 * case['equal']:.0f} %",
                f"{100 * case['equal_fp32']:.0f} %",
            ]
        )
    head = ("prompts", "tokens", "burnish, items/s", "transformers", "ratio", "equal answers", "equal in fp32")
    return "\n".join([*lines, *table(head, rows, left=1), ""])


def _fidelity(found: Any) -> str:
    lines = ["## Losses in bf16 beside fp32", ""]
    if found is None:
        return "\n".join([*lines, "Not measured yet: `python -m bench.fidelity`.", ""])
    rows = [[f"`{row['name']}`", f"{100 * row['difference']:.1f} %"] for row in found["rows"]]
    where = f"{found['model']}, {found['updates']} updates on short questions, torch {found['torch']}, {found['date']}"
    about = f"{where}: the largest difference of an update's loss, as a share of the first loss."
    return "\n".join([*lines, *table(("method", "difference"), rows, left=1), "", about, ""])
