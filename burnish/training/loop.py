"""The training loop: a generator of events, to be read from top to bottom."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from burnish.data.order import batch_at
from burnish.errors import TrainingError
from burnish.training.checkpoint import keep_only
from burnish.training.events import Evaluation, Event, Sample, Saved, Step, Stopped
from burnish.training.memory import peak_bytes
from burnish.training.schedule import learning_rate_at
from burnish.training.settings import TrainingSettings
from burnish.training.trainer import Trainer
from burnish.types import StepResult, TokenizedExample

IN_A_ROW, IN_A_HUNDRED = 3, 5  # updates that may be skipped before the run is stopped (reliability, "Numbers")


@dataclass(slots=True)
class Counters:
    """What the run's policies remember; it stands in every checkpoint's manifest."""

    best_loss: float | None = None
    best_step: int = 0
    skipped: list[int] = field(default_factory=list)  # steps

    def as_json(self) -> dict[str, object]:
        """The counters for a manifest."""
        return {"best_loss": self.best_loss, "best_step": self.best_step, "skipped": list(self.skipped)}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "Counters":
        """The counters of a manifest."""
        best, step, skipped = value["best_loss"], value["best_step"], value["skipped"]
        assert isinstance(step, int)
        assert isinstance(skipped, list)
        return cls(None if best is None else float(str(best)), step, list(skipped))


@dataclass(frozen=True, slots=True)
class Work:
    """What a loop needs beside the trainer."""

    train: Sequence[TokenizedExample]
    validation: Sequence[TokenizedExample]
    settings: TrainingSettings  # resolved
    checkpoints: Path
    identity: Mapping[str, object]
    ask: Callable[[int], Sample] | None = None  # asks one validation request again
    stop: Callable[[], bool] = lambda: False


def train(trainer: Trainer, work: Work, counters: Counters) -> Iterator[Event]:
    """Updates from the trainer's step to the last, with validation losses, samples and checkpoints on the way."""
    settings = work.settings
    steps = settings.steps(len(work.train))
    asked = {max(1, round(steps * share)) for share in (1 / 3, 2 / 3, 1)}
    while trainer.step < steps:
        at = trainer.step
        documents = [work.train[i] for i in _indices(at, work)]
        trainer.forward_backward(documents)
        result = trainer.optim_step(_rate(at, steps, settings))
        yield _step_event(trainer, steps, result)
        _judge(trainer.step, result, [d.id for d in documents], counters)
        done, stopping = trainer.step, work.stop()
        evaluated = done % _whole(settings.evaluate_every) == 0 or done == steps
        if evaluated and work.validation:
            yield _evaluate(trainer, work, counters)
        if done in asked and work.ask is not None:
            yield work.ask(done)
        if evaluated or done % _whole(settings.checkpoint_every) == 0 or stopping:
            yield _save(trainer, work, counters)
        if stopping and done < steps:
            yield Stopped(done, steps)
            return


def _indices(step: int, work: Work) -> Sequence[int]:
    settings, count = work.settings, len(work.train)
    total = count * _whole(settings.epochs)
    return batch_at(step, count=count, batch_size=_whole(settings.batch_size), seed=settings.seed, total=total)


def _whole(value: int | str) -> int:
    assert isinstance(value, int), "settings are resolved before training"
    return value


def _rate(step: int, steps: int, settings: TrainingSettings) -> float:
    assert isinstance(settings.learning_rate, float)
    peak, warmup = settings.learning_rate, settings.warmup
    return learning_rate_at(step, steps=steps, peak=peak, warmup=warmup, schedule=settings.schedule)


def _step_event(trainer: Trainer, steps: int, result: StepResult) -> Step:
    return Step(
        step=trainer.step,
        steps=steps,
        loss=None if result.skipped else result.loss,
        grad_norm=None if result.skipped else result.grad_norm,
        learning_rate=result.learning_rate,
        targets=result.targets,
        tokens=result.tokens,
        seconds=result.seconds,
        memory_bytes=peak_bytes(trainer.device.type),
    )


def _judge(step: int, result: StepResult, ids: Sequence[str], counters: Counters) -> None:
    """Stop a run whose numbers are lost, or in which nothing moves."""
    if result.skipped:
        counters.skipped.append(step)
        recent = [s for s in counters.skipped if s > step - 100]
        in_a_row = counters.skipped[-IN_A_ROW:] == list(range(step - IN_A_ROW + 1, step + 1))
        if in_a_row or len(recent) >= IN_A_HUNDRED:
            raise TrainingError(
                f"update {step}: loss or gradient is no number, {len(recent)} of the last 100 updates were skipped "
                f"(records {', '.join(ids[:4])}); lower training.learning_rate; the last checkpoint is intact"
            )
    elif result.grad_norm == 0:
        raise TrainingError(f"update {step}: the gradient is exactly zero, so nothing would ever change")


def _evaluate(trainer: Trainer, work: Work, counters: Counters) -> Evaluation:
    began = time.perf_counter()
    loss, targets = trainer.validation_loss(work.validation)
    best = counters.best_loss is None or loss < counters.best_loss
    if best:
        counters.best_loss, counters.best_step = loss, trainer.step
    return Evaluation(trainer.step, loss, targets, best, time.perf_counter() - began)


def _save(trainer: Trainer, work: Work, counters: Counters) -> Saved:
    if not work.validation:
        counters.best_step = trainer.step
    trainer.save_state(work.checkpoints, identity=work.identity, counters=counters.as_json())
    kept = sorted(int(path.name.removeprefix("step-")) for path in work.checkpoints.glob("step-*"))
    keep_only(work.checkpoints, {*kept[-work.settings.checkpoints_kept :], counters.best_step})
    return Saved(trainer.step)
