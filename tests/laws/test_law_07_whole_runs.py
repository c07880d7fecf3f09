"""Law 7 for a whole run: stopped at an update, between stages, or twice, it ends as the run that nobody stopped.

Oracle: the uninterrupted run's tensors, optimiser, samples and report.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from burnish.errors import Interrupted
from burnish.methods.method import method_names
from burnish.pipeline.recipe import load_recipe
from burnish.pipeline.run import begin, go_on
from burnish.pipeline.session import Stop
from burnish.training.events import Event
from tests.laws.conftest import recipe_text


def is_step(number: int) -> Callable[[Event], bool]:
    return lambda event: event.as_json()["event"] == "step" and event.as_json()["step"] == number


def is_kind(kind: str) -> Callable[[Event], bool]:
    return lambda event: event.as_json()["event"] == kind


def is_progress(name: str) -> Callable[[Event], bool]:
    return lambda event: event.as_json()["event"] == "progress" and event.as_json()["name"] == name


STOPS: dict[str, list[Callable[[Event], bool]]] = {
    "at an update": [is_step(3)],
    "twice": [is_step(1), is_step(2)],
    "before training": [is_kind("chosen")],
    "after training": [is_kind("artifact")],
    "in what was kept": [is_progress("tuned (retention)"), is_progress("base (retention)")],
    "everywhere": [is_kind("chosen"), is_step(3), is_kind("artifact"), is_progress("tuned (retention)")],
}
# an adapter and a whole model stop at each place by itself, the other methods at all of them in one run
CASES = [
    (method, where)
    for method in method_names()
    for where in STOPS
    if (method in ("lora", "full")) != (where == "everywhere")
]


def run_until(events: Any, stop: Stop, wanted: Callable[[Event], bool]) -> None:
    """Read events; ask to stop at the first that is wanted, as Ctrl-C does."""
    for event in events:
        if wanted(event):
            stop.exit_code = 130


def samples(run: Path) -> list[str]:
    """Every sample line, in an order of its own: a chunk that was cut short is measured again at another place."""
    return sorted(set((run / "samples.jsonl").read_text(encoding="utf-8").splitlines()))


def once(sentence: str) -> str:
    """A verdict without the remark that other runs on this machine opened the same items."""
    return re.sub(r" The items were opened [^.]*\.", "", sentence)


@pytest.mark.parametrize(("method", "where"), CASES)
def test_a_stopped_run_ends_as_if_it_had_not_been(
    method: str, where: str, world: Path, finished: Callable[[str], Path], tmp_path: Path
) -> None:
    expected, recipe = finished(method), world / f"stopped-{method}.yaml"
    recipe.write_text(recipe_text(method), encoding="utf-8")
    path = tmp_path / "run"
    for number, wanted in enumerate(STOPS[where]):
        stop = Stop()
        events = go_on(path, stop) if number else begin(load_recipe(recipe), stop, out=path)
        with pytest.raises(Interrupted, match="go on with: burnish resume") as caught:
            run_until(events, stop, wanted)
        assert caught.value.exit_code == 130
    torch.manual_seed(77)
    for _ in go_on(path):
        pass
    assert samples(path) == samples(expected)
    measured = [line for line in (path / "samples.jsonl").read_text().splitlines() if '"part": "retention"' in line]
    assert len(measured) == len(set(measured)) == 2 * 160  # nothing was asked twice
    folder = "adapter" if (expected / "adapter").exists() else "model"
    for file in sorted((expected / folder).glob("*.safetensors")):
        ours, theirs = load_file(path / folder / file.name), load_file(file)
        assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    for checkpoint in sorted((expected / "checkpoints").iterdir()):
        ours, theirs = (
            load_file(p / "state.safetensors") for p in (path / "checkpoints" / checkpoint.name, checkpoint)
        )
        assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    ours, theirs = (json.loads((p / "report.json").read_text()) for p in (path, expected))
    assert ours["task"] == theirs["task"]
    assert ours["retention"] == theirs["retention"]
    assert ours["weights"] == theirs["weights"]
    for report in (ours, theirs):
        report["data"].pop("held_out_opened")  # how often these items were opened on this machine, by any run
    assert ours["data"] == theirs["data"]
    assert once(ours["verdict"]["sentence"]) == once(theirs["verdict"]["sentence"])
