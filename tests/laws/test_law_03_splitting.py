"""Law 3: splitting an update into micro-batches changes nothing but rounding, whatever targets each piece has.

Computing blocks again on the way back, instead of keeping what is in them, changes nothing at all.

Oracle: autograd over one sum of all documents' nats, each alone through transformers' own forward.
"""

import pytest
import torch

from burnish.data.pack import batch_of
from burnish.models.dropout import training_on
from burnish.types import TokenizedExample
from tests.laws.cases import Case, cases, distance, documents, gradient
from tests.laws.oracle import gradient_of, nats_of, targets_in


def together(case: Case, given: list[TokenizedExample]) -> tuple[float, torch.Tensor]:
    """Nats and gradient of the whole update as one sum."""
    trainer = case.trainer()
    total = torch.zeros((), dtype=torch.float64)
    for document in given:
        with training_on(batch_of([document], round_to=1), trainer.seed, trainer.step):
            total = total + nats_of(trainer.model, document)
    return float(total.detach()), gradient_of(total, dict(trainer.optimizer.parameters))


@cases(dropout=True)
def test_one_two_and_eight_micro_batches_give_one_gradient(case: Case) -> None:
    given = documents(7)
    nats, vector = together(case, given)
    for size in (8, 4, 1):
        trainer = case.trainer()
        for start in range(0, len(given), size):
            trainer.forward_backward(given[start : start + size])
        assert distance(gradient(trainer), vector) < 1e-5, f"{8 // size} pieces"
        result = trainer.optim_step(1e-3)
        assert result.targets == targets_in(given)
        assert result.loss == pytest.approx(nats / targets_in(given), rel=1e-5)
        norm = float(vector.double().norm()) / targets_in(given)  # divided once, by all targets of the update
        assert result.grad_norm == pytest.approx(norm, rel=1e-5)


@cases()
def test_tokens_computed_at_once_change_nothing(case: Case) -> None:
    given = documents(9)
    _, vector = together(case, given)
    for capacity in (1, 40, 4096):
        trainer = case.trainer(capacity=capacity)
        trainer.forward_backward(given)
        assert distance(gradient(trainer), vector) < 1e-5, f"{capacity} tokens"


@cases(dropout=True)
def test_computing_blocks_again_changes_no_bit(case: Case) -> None:
    given = documents(9)
    kept, again = case.trainer(), case.trainer(recompute=True)
    for trainer in (kept, again):
        trainer.forward_backward(given)
    assert again.update.nats == kept.update.nats
    assert torch.equal(gradient(again), gradient(kept))
