"""The learning rate and the order of records: pure functions of the step."""

from collections import Counter

import pytest

from burnish.data.order import batch_at, epoch_order, steps_for
from burnish.training.schedule import Schedule, learning_rate_at
from burnish.training.settings import TrainingSettings


def rates(schedule: Schedule, steps: int = 100, warmup: float = 0.1) -> list[float]:
    return [learning_rate_at(s, steps=steps, peak=2.0, warmup=warmup, schedule=schedule) for s in range(steps)]


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_the_rate_climbs_from_a_part_of_the_peak_and_never_stands_at_zero(schedule: Schedule) -> None:
    found = rates(schedule)
    assert found[:10] == pytest.approx([2.0 * (s + 1) / 10 for s in range(10)])
    assert max(found) == 2.0
    assert min(found) > 0


def test_the_rate_falls_as_its_name_says() -> None:
    linear, cosine = rates("linear"), rates("cosine")
    assert linear[55] == pytest.approx(1.0)
    assert cosine[55] == pytest.approx(1.0)
    assert linear[99] == pytest.approx(2.0 / 90)
    assert cosine[99] < linear[99]
    assert rates("constant")[10:] == [2.0] * 90


def test_a_run_of_one_update_trains() -> None:
    assert learning_rate_at(0, steps=1, peak=2.0, warmup=0.0, schedule="linear") == 2.0


@pytest.mark.parametrize(("count", "size", "epochs"), [(10, 4, 1), (10, 4, 3), (7, 7, 2), (3, 8, 2), (5, 1, 1)])
def test_every_record_is_visited_once_an_epoch(count: int, size: int, epochs: int) -> None:
    total = count * epochs
    steps = steps_for(count, size, epochs)
    batches = [batch_at(s, count=count, batch_size=size, seed=3, total=total) for s in range(steps)]
    visited = [index for batch in batches for index in batch]
    assert Counter(visited) == dict.fromkeys(range(count), epochs)
    assert [len(batch) for batch in batches[:-1]] == [size] * (steps - 1)
    for epoch in range(epochs):
        assert set(visited[epoch * count : (epoch + 1) * count]) == set(range(count))


def test_the_order_depends_on_seed_and_epoch_and_nothing_else() -> None:
    assert epoch_order(20, 1, 0) == epoch_order(20, 1, 0)
    assert len({epoch_order(20, 1, 0), epoch_order(20, 1, 1), epoch_order(20, 2, 0)}) == 3


def test_auto_becomes_numbers_once() -> None:
    auto = TrainingSettings()
    small = auto.resolved(records=100, documents=100, rate=1e-3, context=2048, row=512)
    assert (small.batch_size, small.epochs, small.learning_rate, small.max_length) == (4, 3, 1e-3, 2048)
    large = auto.resolved(records=5000, documents=5000, rate=1e-3, context=8192, row=512)
    assert (large.batch_size, large.epochs, large.max_length) == (16, 1, 4096)
    middle = auto.resolved(records=800, documents=800, rate=1e-3, context=64, row=512)
    assert (middle.batch_size, middle.epochs, middle.max_length) == (8, 1, 64)
    assert small.resolved(records=9000, documents=9000, rate=1.0, context=64, row=512).batch_size == 4


def test_evaluation_comes_five_times_and_a_run_ends_at_max_steps() -> None:
    settings = TrainingSettings(max_steps=20).resolved(records=800, documents=800, rate=1e-3, context=64, row=512)
    assert settings.steps(800) == 20
    assert settings.evaluate_every == settings.checkpoint_every == 4
