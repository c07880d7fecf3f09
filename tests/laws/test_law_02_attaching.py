"""Law 2: attaching changes nothing, bit for bit; and `disabled()` gives the base back after training.

Oracle: logits of a second copy of the tiny model that never met a method.
"""

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from burnish.data.pack import batch_of
from burnish.errors import MethodError
from burnish.methods.method import method_from
from burnish.models.adapters import frame_of
from burnish.models.attention import forward_hidden
from burnish.models.head import head_of
from tests.laws.cases import Case, cases, distance, documents, frozen, start, stir


@torch.no_grad()
def logits(model: PreTrainedModel) -> Tensor:
    batch = batch_of(documents(), frame=frame_of(model))
    own = batch.tokens[0] >= 0
    return head_of(model).logits(forward_hidden(model, batch)[0][own])


@cases(dropout=True)
def test_attaching_changes_no_bit_of_the_logits(case: Case) -> None:
    """Prefix and prompt put something before each document, so for them the base is `disabled`."""
    model, method = case.attached(seed=5)
    base = logits(frozen(case.architecture))
    if frame_of(model).size:
        assert not torch.equal(logits(model)[: len(base)], base[: len(logits(model))])
        with method.disabled(model):
            assert torch.equal(logits(model), base)
    elif case.method == "bottleneck":  # near the identity, by its initial scale
        assert 0 < distance(logits(model), base) < 2e-2
    else:
        assert torch.equal(logits(model), base)


def test_a_bottleneck_that_starts_at_zero_is_the_identity() -> None:
    model = frozen("llama")
    method_from({"name": "bottleneck", "start_scale": 0}).attach(model, start())
    assert torch.equal(logits(model), logits(frozen("llama")))


@cases()
def test_disabled_gives_the_base_bit_for_bit_and_the_change_comes_back(case: Case) -> None:
    trainer = case.trainer()
    if not trainer.method.makes_adapter:
        with pytest.raises(MethodError, match="load it from disk"):
            trainer.method.disabled(trainer.model)
        return
    base, changed = logits(frozen(case.architecture)), logits(trainer.model)
    assert not torch.equal(base, changed)
    with trainer.method.disabled(trainer.model):
        assert torch.equal(logits(trainer.model), base)
    assert torch.equal(logits(trainer.model), changed)


@cases(["llama", "gpt2"])
def test_the_start_is_a_function_of_the_generator_alone(case: Case) -> None:
    torch.manual_seed(123)
    first = case.trainer().trained_tensors()
    torch.manual_seed(321)
    second = case.trainer().trained_tensors()
    assert all(torch.equal(first[name], second[name]) for name in first)


@cases(["llama"])
def test_stirring_moves_every_trained_tensor(case: Case) -> None:
    """The laws rest on it: what stands at its start could hide half of a method."""
    model, _ = case.attached()
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    trainer = case.trainer()
    stir(trainer, seed=2)
    after = trainer.trained_tensors()
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)
