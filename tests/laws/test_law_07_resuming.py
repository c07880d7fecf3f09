"""Law 7: resuming changes nothing, bit for bit, with dropout, wherever and however often the run was stopped.

Oracle: the run that nobody interrupted. Global random state is scrambled at every start, since no state but the
checkpoint may matter.
"""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from burnish.data.order import epoch_order
from burnish.training.checkpoint import latest
from burnish.training.events import Event, Saved, Stopped
from burnish.training.loop import Counters, Work, train
from burnish.training.settings import TrainingSettings
from burnish.training.trainer import Trainer
from tests.laws.cases import Case, cases, documents

SETTINGS = TrainingSettings(
    epochs=2, batch_size=3, learning_rate=1e-2, evaluate_every=3, checkpoint_every=2, checkpoints_kept=2, seed=3
).resolved(records=8, documents=8, rate=1e-2, context=256, row=512)
Result = tuple[dict[str, Tensor], list[Event], Counters]
STEPS = 6  # 8 documents, twice, by 3
CLOCK = {"seconds", "memory_bytes"}


def work(folder: Path, stop: Callable[[], bool] = lambda: False) -> Work:
    return Work(documents(1), documents(2, (20, 9)), SETTINGS, folder, {"recipe": "r"}, stop=stop)


def comparable(events: list[Event]) -> list[dict[str, object]]:
    """Events without times and memory, and without what only an interruption brings."""
    lines = [event.as_json() for event in events if not isinstance(event, Saved | Stopped)]
    return [{key: value for key, value in line.items() if key not in CLOCK} for line in lines]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Result]:
    """The run of a case that nobody interrupted."""

    @cache
    def run(case: Case) -> Result:
        scramble(1)
        trainer, counters = case.trainer(seed=3), Counters()
        events = list(train(trainer, work(tmp_path_factory.mktemp("whole")), counters))
        return bits(trainer), events, counters

    return run


def scramble(seed: int) -> None:
    """Another process: nothing that this one drew or remembers is there."""
    epoch_order.cache_clear()
    torch.manual_seed(seed)
    random.seed(seed)


def bits(trainer: Trainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.optimizer.state().items()}


@cases(dropout=True)
@pytest.mark.parametrize("stops", [(2, 5), (1, 3, 4)], ids=str)
def test_a_stopped_run_goes_on_bit_for_bit(
    case: Case, stops: tuple[int, ...], whole_run: Callable[[Case], Result], tmp_path: Path
) -> None:
    reference, expected, counted = whole_run(case)
    folder, events, remaining = tmp_path, list[Event](), list(stops)
    counters = Counters()
    for start in range(len(stops) + 1):
        scramble(100 + start)
        trainer = case.trainer(seed=3)
        if start:
            checkpoint, warnings = latest(folder)
            assert checkpoint is not None
            assert (checkpoint.step, warnings) == (stops[start - 1], [])
            trainer.load_state(checkpoint)
            counters = Counters.from_json(checkpoint.counters)

        def stop(trainer: Trainer = trainer) -> bool:
            return bool(remaining) and trainer.step == remaining[0]

        events += train(trainer, work(folder, stop), counters)
        if remaining:
            assert isinstance(events[-1], Stopped)
            remaining.pop(0)
    assert comparable(events) == comparable(expected)
    assert counters == counted
    ours, theirs = bits(trainer), reference
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@cases(dropout=True)
def test_a_killed_run_goes_on_from_its_last_checkpoint(
    case: Case, whole_run: Callable[[Case], Result], tmp_path: Path
) -> None:
    """Nothing is asked to stop: the process is gone after update 5, and update 4 was saved."""
    reference, expected, _ = whole_run(case)
    folder = tmp_path
    trainer, counters = case.trainer(seed=3), Counters()
    for _ in train(trainer, work(folder), counters):
        if trainer.step == 5:
            break
    checkpoint, _ = latest(folder)
    assert checkpoint is not None
    assert checkpoint.step == 4
    scramble(7)
    again, counters = case.trainer(seed=3), Counters.from_json(checkpoint.counters)
    again.load_state(checkpoint)
    events = list(train(again, work(folder), counters))
    after = [line for line in comparable(expected) if int(str(line["step"])) > 4]
    assert comparable(events) == after
    ours, theirs = bits(again), reference
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@cases(["llama"])
def test_the_run_is_long_enough_to_tell_states_apart(
    case: Case, whole_run: Callable[[Case], Result], tmp_path: Path
) -> None:
    """Another order of records gives other bits; else the law above could not fail."""
    reference, events, _ = whole_run(case)
    other = Work(documents(1)[::-1], documents(2, (20, 9)), SETTINGS, tmp_path, {})
    trainer = case.trainer(seed=3)
    list(train(trainer, other, Counters()))
    assert trainer.step == STEPS
    assert len(events) > STEPS
    ours, theirs = bits(trainer), reference
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
