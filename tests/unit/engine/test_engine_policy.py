"""What the loop does when numbers go wrong, and the events it gives."""

import random
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from burnish.errors import TrainingError
from burnish.methods.method import method_from
from burnish.models import attention
from burnish.training import trainer as trainer_module
from burnish.training.events import Evaluation, Event, Sample, Saved, Step
from burnish.training.loop import Counters, Work, train
from burnish.training.loss import summed_loss
from burnish.training.settings import TrainingSettings
from burnish.training.trainer import Trainer
from burnish.types import TokenizedExample
from tests.tiny_models import tiny_model


def documents(count: int) -> list[TokenizedExample]:
    return [TokenizedExample(f"r:{n}", tuple(range(5 + n, 15 + n)), (False,) * 4 + (True,) * 6) for n in range(count)]


def trainer_for(clip: float = 1.0) -> Trainer:
    model = tiny_model("llama").requires_grad_(False)
    model.set_attn_implementation(attention.NAME)
    return Trainer(model, method_from({"name": "lora", "rank": 2}), clip=clip)


def settings(**changes: object) -> TrainingSettings:
    given = {"epochs": 1, "batch_size": 1, "learning_rate": 1e-2, "evaluate_every": 4, "checkpoint_every": 2} | changes
    return TrainingSettings.model_validate(given).resolved(records=8, documents=8, rate=1e-2, context=256, row=512)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Steps whose loss becomes NaN."""
    steps: set[int] = set()
    real = summed_loss
    holder: list[Trainer] = []

    def poison(model: object, hidden: Tensor, targets: Tensor, times: Tensor) -> Tensor:
        loss = real(model, hidden, targets, times)
        return loss * float("nan") if holder and holder[0].step in steps else loss

    original = Trainer.forward_backward

    def remember(self: Trainer, given: object) -> object:
        holder[:] = [self]
        return original(self, given)  # type: ignore[arg-type]

    monkeypatch.setattr(trainer_module, "summed_loss", poison)
    monkeypatch.setattr(Trainer, "forward_backward", remember)
    return steps


def test_an_update_that_is_no_number_is_as_if_it_had_not_been(poisoned: set[int], tmp_path: Path) -> None:
    poisoned.add(2)
    trainer, counters = trainer_for(), Counters()
    work = Work(documents(5), [], settings(), tmp_path, {})
    events = [event for event in train(trainer, work, counters) if isinstance(event, Step)]
    assert [(event.loss is None, event.grad_norm is None) for event in events] == [(n == 2, n == 2) for n in range(5)]
    assert counters.skipped == [3]
    poisoned.clear()
    other = trainer_for()
    rates = [event.learning_rate for event in events]
    for at in (0, 1, 3, 4):
        index = trainer_order(at, work)
        other.forward_backward([work.train[index]])
        other.optim_step(rates[at])
    ours, theirs = trainer.optimizer.state(), other.optimizer.state()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def trainer_order(step: int, work: Work) -> int:
    """Which record an update of one record visits."""
    from_zero = list(range(len(work.train)))
    random.Random(f"{work.settings.seed}/0").shuffle(from_zero)
    return from_zero[step]


def keep(events: list[Event], stream: Iterable[Event]) -> None:
    """Collect events up to an exception."""
    for event in stream:
        events.append(event)


def test_three_in_a_row_stop_the_run_and_keep_the_checkpoint_before(poisoned: set[int], tmp_path: Path) -> None:
    poisoned.update({3, 4, 5})
    events = list[Event]()
    with pytest.raises(TrainingError, match=r"update 6: .*3 of the last 100 updates were skipped \(records r:\d"):
        keep(events, train(trainer_for(), Work(documents(8), [], settings(), tmp_path, {}), Counters()))
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in events if isinstance(event, Saved)] == [2, 4]


def test_two_in_a_row_do_not_and_five_in_a_hundred_do(poisoned: set[int], tmp_path: Path) -> None:
    poisoned.update({0, 1, 3, 4})
    counters = Counters()
    list(train(trainer_for(), Work(documents(8), [], settings(), tmp_path / "a", {}), counters))
    assert counters.skipped == [1, 2, 4, 5]
    poisoned.add(6)
    with pytest.raises(TrainingError, match="5 of the last 100"):
        list(train(trainer_for(), Work(documents(8), [], settings(), tmp_path / "b", {}), Counters()))


def test_a_rate_that_blows_up_stops_the_run(tmp_path: Path) -> None:
    wild = settings(learning_rate=1e5, epochs=30, schedule="constant", warmup=0.0)
    trainer = trainer_for(clip=0.0)
    with pytest.raises(TrainingError, match=r"lower training\.learning_rate|exactly zero"):
        list(train(trainer, Work(documents(2), [], wild, tmp_path, {}), Counters()))
    assert trainer.step <= 25


def test_an_update_without_targets_is_refused() -> None:
    trainer = trainer_for()
    trainer.forward_backward([TokenizedExample("r:1", (5, 6, 7), (False, False, False))])
    with pytest.raises(TrainingError, match="update 1 has no targets"):
        trainer.optim_step(1e-3)


def test_events_come_in_order_and_the_best_checkpoint_is_kept(tmp_path: Path) -> None:
    asked = []

    def ask(step: int) -> Sample:
        asked.append(step)
        return Sample(step, "v:1", "answer", "expected")

    counters = Counters()
    work = Work(documents(6), documents(2), settings(evaluate_every=2), tmp_path, {}, ask)
    events = list(train(trainer_for(), work, counters))
    kinds = [type(event).__name__ for event in events if type(event) is not Sample]
    assert kinds == ["Step", "Step", "Evaluation", "Saved"] * 3
    assert asked == [2, 4, 6]
    losses = {event.step: event.loss for event in events if isinstance(event, Evaluation)}
    assert counters.best_loss == min(losses.values())
    assert losses[counters.best_step] == counters.best_loss
    kept = {int(path.name.removeprefix("step-")) for path in tmp_path.iterdir()}
    assert kept == {6, counters.best_step}
    assert next(event.best for event in events if isinstance(event, Evaluation))
