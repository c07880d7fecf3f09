"""Documents one by one: what laws 1 and 13 hold packed rows and shared beginnings against."""

from collections.abc import Sequence

import pytest
import torch

from burnish.data.pack import batch_of
from burnish.generation.choose import reference_nats
from burnish.models.dropout import training_on
from burnish.types import TokenizedExample
from tests.laws.cases import Case
from tests.laws.oracle import gradient_of, nats_of, targets_in


def alone(case: Case, given: Sequence[TokenizedExample]) -> tuple[float, torch.Tensor]:
    """Nats and gradient of the documents one by one; dropout masks are drawn for a batch of that one document."""
    trainer = case.trainer()
    total, vector = 0.0, torch.zeros(())
    for document in given:
        with training_on(batch_of([document], round_to=1), trainer.seed, trainer.step):
            nats = nats_of(trainer.model, document)
            vector = vector + gradient_of(nats, dict(trainer.optimizer.parameters))
        total += float(nats.detach())
    return total, vector


def nats_are_each_ones_own(case: Case, given: Sequence[TokenizedExample]) -> None:
    """What is measured of each document is what it has alone."""
    trainer = case.trainer()
    for document, (nats, targets) in zip(given, reference_nats(trainer.model, given), strict=True):
        with torch.no_grad():
            expected = float(nats_of(trainer.model, document))
        assert targets == targets_in([document])
        assert nats == pytest.approx(expected, rel=1e-5)
