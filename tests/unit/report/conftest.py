"""A run directory written by hand: what a run leaves behind, without a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

RIGHT = {  # item -> the arms that answered it rightly, of 20 items; the last 8 are the slice "new"
    "base": set[int](),
    "few_shot_4": {0, 12},
    "similar_4": {0, 1, 2, 3, 4, 12, 13},
    "simple": {0, 1},
    "tuned": {*range(12), 12, 13, 14, 15, 16},
}
SHARE = {
    "name": "program_equal",
    "unit": "share",
    "better": "higher",
    "is_share": True,
    "margin": 0.05,
    "reads": "answer",
    "span": 1.0,
    "closer": False,
    "also": [],
    "source": "user",
    "aggregates": False,
}
LOSS = {
    **SHARE,
    "name": "document_loss",
    "unit": "nats per token",
    "better": "lower",
    "is_share": False,
    "margin": 0.02,
    "reads": "reference",
    "span": None,
    "source": "built in",
}


def _line(part: str, arm: str, i: int, score: float, scoring: str | None) -> dict[str, Any]:
    return {
        "part": part,
        "arm": arm,
        "item": f"{part}.jsonl:{i + 1}",
        "slice": "known" if i < 12 else "new",
        "group": None,
        "seed": 0,
        "asked": f"Answer this.\n\nquestion {i}",
        "prompt": "" if scoring is None else f"ask {i}",
        "answer": "a",
        "expected": "a",
        "score": score,
        "other_scores": {},
        "scoring": scoring,
        "label_scores": None,
        "prompt_tokens": {"base": 30, "tuned": 30, "few_shot_4": 530, "similar_4": 500 + i}.get(arm, 0),
        "answer_tokens": 60,
        "stopped_by": None if scoring is None else "end",
    }


def retention_lines(spilled: int = 2) -> list[dict[str, Any]]:
    """General questions and requests of base and tuned; the tuned model answers some requests in the task's format."""
    found = []
    for arm in ("base", "tuned"):
        for probe, count in (("knowledge", 60), ("general_text", 20), ("requests", 40)):
            for i in range(count):
                spill = arm == "tuned" and probe == "requests" and i < spilled
                others = {"knowledge": {"margin": 0.5 - i / 60}, "requests": {"spill_over": int(spill)}}.get(probe, {})
                score = 3.0 + i / 20 if probe == "general_text" else float(not spill and i % 4 > 0)
                line = _line("retention", arm, i, score, "generation" if probe == "requests" else "likelihood")
                more = {"item": f"{probe}:{i + 1}", "slice": probe, "other_scores": others}
                found.append(line | more | ({"prompt": ""} if probe == "general_text" else {}))
    return found


def _events(metric: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    step = {"event": "step", "steps": 3, "grad_norm": 1.0, "learning_rate": 0.001, "memory_bytes": 1_500_000_000}
    stages = {"load": 5.0, "prompts": 60.0, "train": 120.0, "base": 30.0, "similar_4": 45.0, "tuned": 40.0}
    return [
        {
            "event": "started",
            "run": "runs/demo",
            "recipe": "recipes/cad/recipe.yaml",
            "base": "smollm2-135m-instruct",
            "base_sha256": "b" * 64,
            "data_sha256": "d" * 64,
            "burnish": "0.1.0",
            "torch": "2.13.0",
            "transformers": "5.3.0",
            "seed": 0,
            "device": "cpu",
            "cpu": "a processor",
            "threads": 2,
            "dtype": "bf16",
            "started": "2026-01-02T03:04:05Z",
        },
        {"event": "task", "kind": kind, "labels": [], "reason": "given in the recipe", "metrics": [metric]},
        *({**step, "step": i, "loss": 1.0, "targets": 300, "tokens": 600, "seconds": 2.0} for i in (1, 2)),
        {"event": "evaluation", "step": 2, "loss": 0.9, "targets": 50, "best": True, "seconds": 1.0},
        {"event": "stopped", "step": 2, "steps": 3},
        # a resumed run told step 2 again
        *({**step, "step": i, "loss": 1.0, "targets": 300, "tokens": 600, "seconds": 2.0} for i in (2, 3)),
        {"event": "evaluation", "step": 3, "loss": 0.95, "targets": 50, "best": False, "seconds": 1.0},
        *({"event": "stage", "name": n, "seconds": s, "peak_memory_bytes": 1_900_000_000} for n, s in stages.items()),
        {
            "event": "artifact",
            "path": "adapter",
            "bytes": 19_600_000,
            "trainable_parameters": 4_884_480,
            "total_parameters": 139_399_488,
        },
        {"event": "held_out_opened", "items_sha256": "e" * 64, "count": 20, "before": 1},
        {"event": "finished", "finished": "2026-01-02T03:10:00Z"},
    ]


def _write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def write_run(run: Path, right: dict[str, set[int]], best_prompt: str = "similar_4") -> Path:
    """A run scored by shares; `right` says which items each arm has right."""
    run.mkdir()
    recipe = {"model": "smollm2-135m-instruct", "training": {"learning_rate": 0.001}, "proof": {"margin": None}}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    data: dict[str, Any] = {"given": 71, "train": 40, "validation": 6, "held_out": 20, "unused": 2, "duplicates": 1}
    data |= {"dropped": {"empty": 1, "overlap": 2}, "unseen_labels": 0, "windows": 0, "labels": None, "notes": []}
    (run / "data.json").write_text(json.dumps(data), encoding="utf-8")
    scoring = {arm: None if arm == "simple" else "generation" for arm in right}
    choice = {"best_prompt": best_prompt, "arms": ["base", "few_shot_4", "similar_4"], "scoring": scoring, "tried": []}
    (run / "best_prompt.json").write_text(json.dumps(choice), encoding="utf-8")
    moved = {"relative_change": 0.021, "by_layer": [{"name": "block 0", "relative_change": 0.021}]}
    (run / "weights.json").write_text(json.dumps(moved), encoding="utf-8")
    lines = [_line("validation", "base", i, 1.0, "generation") for i in range(6)]
    lines += [_line("held_out", a, i, float(i in r), scoring[a]) for a, r in right.items() for i in range(20)]
    _write_lines(run / "samples.jsonl", lines + retention_lines())
    _write_lines(run / "events.jsonl", _events(SHARE, "generate"))
    return run


def write_text_run(run: Path) -> Path:
    """A run on raw documents: losses, no prompt arm, no change of weights."""
    write_run(run, {"base": set(), "tuned": set()}, best_prompt="base")
    (run / "weights.json").write_text("null", encoding="utf-8")
    choice = {"best_prompt": "base", "arms": ["base"], "scoring": {"base": "likelihood"}, "tried": []}
    (run / "best_prompt.json").write_text(json.dumps(choice), encoding="utf-8")
    lines = [_line("held_out", "base", i, 3.0 + i / 40, "likelihood") for i in range(20)]
    lines += [_line("held_out", "tuned", i, 2.8 + i / 50, "likelihood") for i in range(20)]
    _write_lines(run / "samples.jsonl", [{**line, "prompt": "", "slice": None} for line in lines])
    _write_lines(run / "events.jsonl", _events(LOSS, "text"))
    return run


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """Tuned has 17 of 20, the best prompt 7, the base none."""
    return write_run(tmp_path / "run", RIGHT)


@pytest.fixture
def text_run(tmp_path: Path) -> Path:
    """Losses instead of shares."""
    return write_text_run(tmp_path / "text-run")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[dict[str, set[int]]], Path]:
    """A run with given right items."""

    def made(right: dict[str, set[int]]) -> Path:
        return write_run(tmp_path / "made", right)

    return made
