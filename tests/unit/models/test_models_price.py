"""`burnish methods --measure`: what every method costs, measured on a tiny model."""

import json
import subprocess
from pathlib import Path

import pytest

from burnish.cli import show
from burnish.errors import BurnishError
from burnish.models.load import load_base
from burnish.models.parameters import count_parameters
from burnish.pipeline import price
from burnish.pipeline.price import Price, choices, label, measure, prices
from tests.tiny_models import tiny_directory


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_directory(tmp_path_factory.mktemp("price") / "model", "llama"))


@pytest.mark.parametrize("fields", choices(), ids=label)
def test_each_method_is_measured(fields: dict[str, object], model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price, "PATIENCE", 0.0)
    found = measure(model, fields)
    total = count_parameters(load_base(model).model)
    assert found.parameters == total
    assert found.seconds > 0
    assert found.peak_bytes > 50_000_000  # of the process: torch alone takes more
    if fields["name"] == "full":
        assert found.trained == total
        assert found.file_bytes in (2 * total, 4 * total)  # bf16 or fp32, whichever is faster here
    else:
        assert 0 < found.trained < total
        assert found.file_bytes > 4 * found.trained


def test_every_variant_is_measured_once() -> None:
    names = [label(fields) for fields in choices()]
    assert len(set(names)) == len(names)
    assert {"full", "lora", "lora dora", "lora rslora", "bottleneck houlsby", "prefix", "prompt", "ia3"} <= set(names)


def test_a_process_that_dies_is_told_and_ends_nothing(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        name = label(json.loads(command[-1]))
        if name == "full":
            return subprocess.CompletedProcess(command, -9, "", "")
        if name == "lora":
            return subprocess.CompletedProcess(command, 1, "", "some words\nthis model has no linear map")
        return subprocess.CompletedProcess(command, 0, "noise\n" + json.dumps({"method": name, "trained": 3}), "")

    monkeypatch.setattr("burnish.pipeline.price.subprocess.run", die)
    found = {one.method: one for one in prices(model)}
    assert found["full"].why_not == "stopped by signal 9, most likely for memory"
    assert found["lora"].why_not == "this model has no linear map"
    assert found["ia3"] == Price("ia3", trained=3)
    assert len(found) == len(choices())


def test_a_model_that_cannot_be_had_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BurnishError, match="no-such-model"):
        list(prices(str(tmp_path / "no-such-model")))


@pytest.mark.parametrize("width", [80, 120])
def test_no_number_of_the_chart_is_cut_off(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    large = Price("full", 134_515_008, 134_515_008, 3_500_000_000, 13.32, 269_030_016)
    small = Price("bottleneck pfeiffer", 1_262_520, 134_515_008, 1_500_000_000, 1.23, 5_100_000)
    monkeypatch.setattr(show, "prices", lambda _: iter([large, small]))
    monkeypatch.setenv("COLUMNS", str(width))
    show.show_prices("a-model")
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert all(number in shown for number in ("134,515,008", "100.00%", "3.5 GB", "13.32 s", "269.0 MB", "5.1 MB"))
