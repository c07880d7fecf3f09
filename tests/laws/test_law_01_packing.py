"""Law 1: packing changes nothing. Oracle: each document alone through transformers' own forward, targets by a loop."""

import pytest
import torch

from burnish.data.pack import batch_of
from burnish.models import attention
from tests.laws.alone import alone, nats_are_each_ones_own
from tests.laws.cases import Case, cases, distance, documents, gradient
from tests.laws.oracle import nats_of, targets_in


@cases(dropout=True)
def test_packed_rows_give_the_loss_and_gradient_of_the_documents_alone(case: Case) -> None:
    given = documents()
    nats, vector = alone(case, given)
    trainer = case.trainer()
    update = trainer.forward_backward(given)
    assert update.targets == targets_in(given)
    assert update.tokens == sum(len(document.tokens) for document in given)
    assert update.nats == pytest.approx(nats, rel=1e-5)
    assert distance(gradient(trainer), vector) < 1e-5


@pytest.mark.parametrize("road", ["KEPT_UP_TO", "BLOCK"])
@cases(["mistral", "gemma3", "gpt2"])
def test_long_documents_take_another_road_to_the_same_result(
    case: Case, road: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, road, 16)
    given = documents()
    nats, vector = alone(case, given)
    trainer = case.trainer()
    assert trainer.forward_backward(given).nats == pytest.approx(nats, rel=1e-5)
    assert distance(gradient(trainer), vector) < 1e-5


@cases()
def test_the_plain_path_of_the_trainer_is_the_oracle_too(case: Case) -> None:
    given = documents()[:4]
    nats, vector = alone(case, given)
    trainer = case.trainer(plain=True)
    update = trainer.forward_backward(given)
    assert update.targets == targets_in(given)
    assert update.nats == pytest.approx(nats, rel=1e-5)
    assert distance(gradient(trainer), vector) < 1e-5


@cases()
def test_measuring_packed_rows_gives_each_document_its_own_nats(case: Case) -> None:
    nats_are_each_ones_own(case, documents(3))


@cases(["llama", "gpt2"])
def test_in_bf16_packing_moves_the_loss_by_less_than_rounding(case: Case) -> None:
    # stated tolerance: 0.3 % of the loss; bf16 keeps 8 bits, and the order of sums differs
    trainer, given = case.trainer(dtype=torch.bfloat16), documents()
    with torch.no_grad():
        expected = sum(float(nats_of(trainer.model, document)) for document in given)
    assert trainer.forward_backward(given).nats == pytest.approx(expected, rel=3e-3)


def test_positions_restart_in_each_document_of_a_row() -> None:
    """Rotary positions hide a shift of a whole document, so the laws above would not see this one on most models."""
    batch = batch_of(documents())
    for number, document in enumerate(documents()):
        places = batch.positions[0][batch.documents[0] == number].tolist()
        assert places == list(range(len(document.tokens)))
