"""Dropout masks are a function of (seed, step, document, layer): the same where these are, else another."""

import torch
from torch import Tensor

from burnish.data.pack import batch_of
from burnish.models.dropout import keep, training_on
from burnish.types import TokenizedExample

ONE = TokenizedExample("one", tuple(range(5, 45)), (False,) + (True,) * 39)
TWO = TokenizedExample("two", tuple(range(5, 45)), (False,) + (True,) * 39)


def mask(
    documents: list[TokenizedExample], *, seed: int = 0, step: int = 0, layer: str = "q", share: float = 0.5
) -> Tensor:
    batch = batch_of(documents)
    with training_on(batch, seed, step):
        return keep(torch.ones(batch.tokens.numel(), 64), share, layer)


def test_a_document_has_its_mask_wherever_it_stands() -> None:
    alone, behind = mask([ONE])[:40], mask([TWO, ONE])[40:80]
    assert torch.equal(alone, behind)


def test_every_part_of_the_key_matters() -> None:
    one = mask([ONE])[:40]
    others = [mask([ONE], seed=1), mask([ONE], step=1), mask([ONE], layer="k"), mask([TWO])]
    assert all(not torch.equal(one, other[:40]) for other in others)


def test_a_share_is_dropped_and_the_rest_makes_up_for_it() -> None:
    found = mask([ONE], share=0.25)[:40]
    assert set(found.flatten().tolist()) == {0.0, float(torch.tensor(1 / 0.75))}
    assert abs(float((found == 0).float().mean()) - 0.25) < 0.03
    assert abs(float(found.mean()) - 1) < 0.05


def test_nothing_is_dropped_outside_of_training() -> None:
    x = torch.ones(4, 4)
    assert keep(x, 0.5, "q") is x
    with training_on(batch_of([ONE]), 0, 0):
        assert keep(x, 0.0, "q") is x
