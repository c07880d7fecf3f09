"""Law 13: sharing beginnings changes nothing. Oracle: that of law 1, each document whole and alone by transformers."""

import random
from collections.abc import Sequence

import pytest
import torch

from burnish.data.pack import clusters_of, micro_batches, places_of
from burnish.models import attention
from burnish.types import TokenizedExample
from tests.any_lengths import any_lengths
from tests.laws.alone import alone, nats_are_each_ones_own
from tests.laws.cases import Case, cases, distance, gradient
from tests.laws.oracle import targets_in


def alike(beginnings: Sequence[tuple[int, int]] = ((27, 4), (41, 3)), seed: int = 0) -> list[TokenizedExample]:
    """Groups of documents that begin alike, with targets in what they share, in no order; two stand by themselves."""
    draw = random.Random(seed)
    found: list[TokenizedExample] = []

    def run(length: int) -> list[int]:
        return [draw.randrange(3, 340) for _ in range(length)]

    for size, count in (*beginnings, (0, 2)):
        start = run(size)
        trained = [place > 0 and draw.random() < 0.4 for place in range(size)]
        for number in range(count):
            own = run(3 + 5 * number)
            learned = [*trained, *(bool(size) or place > 0 for place in range(len(own)))]
            found.append(TokenizedExample(f"{size}/{number}", (*start, *own), tuple(learned)))
    draw.shuffle(found)
    return found


def check(case: Case, capacity: int) -> None:
    """Loss, gradient and counts of documents that share their beginnings, in rows of so many places."""
    given = alike()
    nats, vector = alone(case, given)
    trainer = case.trainer(capacity=capacity)
    rows = [batch for _, batch in micro_batches(given, capacity)]
    assert any(max(batch.continues) >= 0 for batch in rows)
    update = trainer.forward_backward(given)
    assert update.targets == targets_in(given)
    assert update.tokens == sum(len(document.tokens) for document in given)
    assert update.nats == pytest.approx(nats, rel=1e-5)
    assert distance(gradient(trainer), vector) < 1e-5


@cases()
def test_a_beginning_computed_once_gives_the_loss_and_gradient_of_the_documents_alone(case: Case) -> None:
    check(case, 512)


@cases()
def test_so_does_one_kernel_for_documents_of_any_lengths(case: Case) -> None:
    with any_lengths():
        check(case, 512)


@cases(["llama", "gemma3", "gpt2"], options=False)
def test_so_does_one_that_is_repeated_in_several_rows(case: Case) -> None:
    check(case, 100)


@pytest.mark.parametrize("road", ["KEPT_UP_TO", "BLOCK"])
@cases(["mistral", "gemma3", "gpt2"])
def test_so_do_long_documents(case: Case, road: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, road, 8)
    given = alike()
    nats, vector = alone(case, given)
    trainer = case.trainer(capacity=512)
    assert trainer.forward_backward(given).nats == pytest.approx(nats, rel=1e-5)
    assert distance(gradient(trainer), vector) < 1e-5


@cases()
def test_measuring_gives_each_document_all_of_its_own_nats(case: Case) -> None:
    nats_are_each_ones_own(case, alike())


@cases(["llama", "gpt2"])
def test_in_bf16_sharing_moves_the_loss_by_less_than_rounding(case: Case) -> None:
    # stated tolerance: 0.3 % of the loss, as for packing (law 1)
    given = alike()
    trainer, whole = case.trainer(dtype=torch.bfloat16), case.trainer(dtype=torch.bfloat16)
    whole.share = False
    expected = whole.forward_backward(given).nats
    assert trainer.forward_backward(given).nats == pytest.approx(expected, rel=3e-3)
    assert distance(gradient(trainer), gradient(whole)) < 0.05


def test_places_are_shared_only_where_tokens_and_targets_are_equal() -> None:
    start = tuple(range(3, 43))
    learned = TokenizedExample("learned", (*start, 50, 51), (False, *[True] * 41))
    same = TokenizedExample("same", (*start, 60, 61), (False, *[True] * 41))
    given = TokenizedExample("given", (*start, 70, 71), (False, *[False] * 39, True, True))
    other = TokenizedExample("other", (*start, 80, 81), (False, *[False] * 39, True, True))
    found = {c.members: c.size for c in clusters_of([places_of(d) for d in (learned, same, given, other)])}
    # 40 tokens are alike, but the target of the 40th place is not: 39 places, 32 in steps of 8, too few for two
    assert found == {(0,): 0, (1,): 0, (2,): 0, (3,): 0}
    several = [TokenizedExample(str(i), (*start, 50 + i, 51), learned.trained) for i in range(4)]
    found = {c.members: c.size for c in clusters_of([places_of(d) for d in (*several, given)])}
    assert found == {(0, 1, 2, 3): 32, (4,): 0}


def test_clusters_are_chosen_so_that_the_fewest_places_are_left() -> None:
    """One beginning for all saves less than a longer one for each half."""
    draw = random.Random(0)
    common = [draw.randrange(3, 340) for _ in range(16)]
    halves = [common + [draw.randrange(3, 340) for _ in range(80)] for _ in range(2)]
    given = [TokenizedExample(str(i), (*halves[i % 2], *(i + 1,) * 4), (*[False] * 96, *[True] * 4)) for i in range(8)]
    found = {c.members: c.size for c in clusters_of([places_of(document) for document in given])}
    # the 96th place is none to share: its target is each one's own
    assert found == {(0, 2, 4, 6): 88, (1, 3, 5, 7): 88}
    batches = list(micro_batches(given, 1024))
    assert len(batches) == 1
    assert int((batches[0][1].documents >= 0).sum()) == 2 * 88 + 8 * 12
    assert int(batches[0][1].times().sum()) == 8 * 100


def test_a_beginning_longer_than_what_is_computed_at_once_is_shared_all_the_same() -> None:
    """Such as a schema, or examples in the instruction."""
    given = alike(((400, 6),))
    rows = [batch for _, batch in micro_batches([d for d in given if d.id.startswith("400/")], 256)]
    own = [
        8 + 3 + 5 * number for number in range(6)
    ]  # the 400th place has a target of each one's own, so 392 are shared
    assert [int((batch.documents >= 0).sum()) for batch in rows] == [392 + sum(own)]


def test_a_shared_beginning_is_repeated_in_each_row_that_needs_it() -> None:
    given = alike(((48, 9),))
    rows = list(micro_batches(given, 72))
    assert len(rows) > 1
    assert sorted(i for members, _ in rows for i in members) == list(range(len(given)))
    for members, batch in rows:
        assert int((batch.documents >= 0).sum()) <= 48 + 72
        for number, index in enumerate(members):
            own = batch.tokens[batch.documents == number].tolist()
            before = (
                batch.tokens[batch.documents == batch.continues[number]].tolist()
                if batch.continues[number] >= 0
                else []
            )
            assert (*before, *own) == given[index].tokens
