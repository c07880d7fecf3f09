"""The tables and plots that are made from bench/results/tables, from numbers made up here."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench import tables
from bench.cases import stand_in
from burnish.files import write_json
from scripts import method_picture, method_table, performance, scaling_plots


def test_a_plot_has_a_point_for_every_number_and_a_table_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = [
        {"length": n, "tokens_per_second": 400.0 - n / 64, "peak_bytes": 2e9 + n * 1e5} for n in (64, 1024, 4096)
    ]
    examples = [{"examples": n, "seconds": n / 1000} for n in (100, 100_000)]
    table = tmp_path / "scaling.json"
    write_json(table, {"torch": "2", "date": "2026-01-01", "curves": {"length": lengths, "examples": examples}})
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    drawn = {path.name: ET.fromstring(text) for path, text in scaling_plots.pages().items()}
    assert {name: len(svg.findall(".//{*}circle")) for name, svg in drawn.items()} == {
        "scaling-length.svg": 6,
        "scaling-examples.svg": 2,
    }
    text = scaling_plots.tables()
    assert "| 4096 | 336 | 2.4 GB |" in text
    assert "| 100,000 | 1.7 min |" in text


def test_a_method_that_was_not_swept_is_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell: dict[str, Any] = {
        "value": 0.9,
        "count": 500,
        "seed": 0,
        "trainable_parameters": 12,
        "artifact_bytes": 1_000,
        "training_memory_bytes": 2_000_000_000,
        "validation_loss": 0.2,
        "train_seconds": 60.0,
        "seconds_per_1000_tokens": 1.25,
        "probes": {"requests": {"base": 0.85, "tuned": 0.2, "unit": "share"}},
        "machine": "a CPU",
        "torch": "2",
        "date": "2026-01-01",
    }
    swept = [{"rate": rate, "validation_loss": loss} for rate, loss in ((6e-5, None), (2e-5, 0.2), (7e-6, 0.4))]
    rows = [
        {"method": "lora", "rate": 1e-3, "swept": False, "sweep": [], "trec6": [cell], "cad": []},
        {"method": "full", "rate": 2e-5, "swept": True, "sweep": swept, "trec6": [cell, cell], "cad": [cell]},
    ]
    rows[1]["automatic"] = {"rate": 5e-5, "trec6": [{**cell, "seed": 1}], "cad": []}
    table = tmp_path / "methods.json"
    write_json(table, {"schema": 1, "methods": rows})
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    text = method_table.measured_tables()
    assert "| `lora` | 0.001 `auto` † | 450 of 500 |" in text
    assert "| `full` | 5e-05 `auto` | 450 of 500 |" in text
    assert "| 34 → 8 | 12 | 1.0 kB | 2.0 GB | 1.2 |" in text
    assert "| `full` | 2e-05 | 450, 450 of 500 |" in text
    assert "| `full` | 7e-06: 0.400 | 2e-05: 0.200 \\* | 6e-05: diverged |" in text
    exact = {**rows[0], "trec6": [{**cell, "value": 0.95}]}
    write_json(tmp_path / "methods-fp32.json", {"schema": 1, "methods": [exact, {**exact, "trec6": []}]})
    first, second = method_table.measured_tables().split("The same in fp32")
    assert first.strip() == text.strip()
    assert second.count("| `lora` |") == 1
    assert "| 475 of 500 |" in second
    (svg,) = (ET.fromstring(text) for text in method_picture.pages().values())
    assert len(svg.findall(".//{*}circle")) == 5  # a dot a seed, in a panel a data set


def test_what_was_not_measured_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    text = performance.performance_tables()
    assert text.count("Not measured yet") == 3
    assert "| `cad` |" in text


@pytest.mark.parametrize(("name", "count"), [("a", 64), ("d", 160)])
def test_records_that_stand_in_for_missing_data_are_the_same_every_time(name: str, count: int) -> None:
    pairs = stand_in(name, count)
    assert pairs == stand_in(name, count)
    assert len(pairs) == count
    lengths = [len(answer.split()) for _, answer in pairs]
    assert max(lengths) == 1 if name == "d" else max(lengths) > 4 * min(lengths)
