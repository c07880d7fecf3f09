"""Law 10: a report can be recomputed from its run directory, with no model loaded.

Oracles: a process in which neither torch nor transformers can be imported; and the arms' scores and the paired
difference counted here from samples.jsonl.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from burnish.methods.method import method_names
from tests.house.source import ROOT

WITHOUT = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "tokenizers", "safetensors", "peft"):
            raise ImportError(f"{name} is not to be had here")

sys.meta_path.insert(0, Refusing())
from pathlib import Path
from burnish.report.publish import publish
publish(Path(sys.argv[1]))
"""
METHODS = pytest.mark.parametrize("method", method_names())


@METHODS
def test_the_report_is_written_again_byte_by_byte_where_no_model_can_load(
    method: str, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    original = finished(method)
    copy = tmp_path / "copy"
    shutil.copytree(original, copy, ignore=shutil.ignore_patterns("adapter", "model", "checkpoints"))
    forms = ("report.json", "report.md", "report.html")
    expected = [(copy / name).read_bytes() for name in forms]
    for name in forms:
        (copy / name).write_text("{}")
    command = [sys.executable, "-c", WITHOUT, str(copy)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    assert [(copy / name).read_bytes() for name in forms] == expected


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "samples.jsonl").read_text(encoding="utf-8").splitlines()]


@METHODS
def test_scores_and_differences_are_those_counted_by_hand(method: str, finished: Callable[[str], Path]) -> None:
    run = finished(method)
    report, lines = json.loads((run / "report.json").read_text(encoding="utf-8")), lines_of(run)
    right: dict[str, dict[str, float]] = {}
    for row in report["task"]["scores"]:
        if row["metric"] != "label_accuracy" or row["slice"] != "all":
            continue
        own = {
            line["item"]: line["score"]
            for line in lines
            if (line["part"], line["arm"], line["scoring"]) == ("held_out", row["arm"], row["scoring"])
        }
        right[row["arm"]] = own
        assert row["count"] == len(own) == 10
        assert row["value"] == pytest.approx(sum(own.values()) / len(own), abs=1e-12)
        wilson = binomtest(round(sum(own.values())), len(own)).proportion_ci(method="wilson")
        assert (row["low"], row["high"]) == pytest.approx((wilson.low, wilson.high), abs=1e-9)
    assert {"base", "tuned", report["task"]["best_prompt"]} <= set(right)
    for row in report["task"]["differences"]:
        pairs = [(right[row["a"]][item], right[row["b"]][item]) for item in right["tuned"]]
        assert row["value"] == pytest.approx(sum(a - b for a, b in pairs) / len(pairs), abs=1e-12)
        assert row["low"] <= row["value"] <= row["high"]
        better, worse = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
        exact = binomtest(better, better + worse).pvalue if better + worse else 1.0
        assert row["p_value"] == pytest.approx(exact, abs=1e-9)


@METHODS
def test_the_text_of_every_sample_encodes_to_what_the_model_was_given(
    method: str, finished: Callable[[str], Path], world: Path
) -> None:
    """The promise of samples.jsonl: its prompt, encoded without special tokens, is the model's exact input."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(world / "model", local_files_only=True)
    asked = [line for line in lines_of(finished(method)) if line["arm"] != "simple" and line["slice"] != "general_text"]
    assert len(asked) > 30
    assert {"validation", "held_out", "retention"} == {line["part"] for line in asked}
    for line in asked:
        ids = tokenizer(line["prompt"], add_special_tokens=False)["input_ids"]
        assert len(ids) == line["prompt_tokens"]
        assert line["prompt"].endswith("<|im_start|>assistant\n")


@METHODS
def test_what_was_kept_is_counted_by_hand(method: str, finished: Callable[[str], Path]) -> None:
    run = finished(method)
    part, lines = json.loads((run / "report.json").read_text(encoding="utf-8"))["retention"], lines_of(run)
    values: dict[tuple[str, str], list[float]] = {}
    for line in lines:
        if line["part"] == "retention":
            values.setdefault((line["arm"], line["slice"]), []).append(line["score"])
            for name, value in line["other_scores"].items():
                values.setdefault((line["arm"], {"margin": "knowledge_margin"}.get(name, name)), []).append(value)
    assert [probe["name"] for probe in part["probes"]] == [
        "knowledge", "knowledge_margin", "general_text", "requests", "spill_over"
    ]  # fmt: skip
    for probe in part["probes"]:
        for arm in ("base", "tuned"):
            own = values[arm, probe["name"]]
            assert probe["count"] == len(own)
            assert probe[arm] == pytest.approx(sum(own) / len(own), abs=1e-12)
        assert probe["low"] <= probe["difference"] <= probe["high"]
    base = [line for line in lines if (line["part"], line["arm"]) == ("retention", "base")]
    assert len({line["item"] for line in base}) == len(base) == 160
