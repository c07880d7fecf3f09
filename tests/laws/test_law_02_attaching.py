"""Law 2: attaching changes nothing, bit for bit; and `disabled()` gives the base back after training.

Oracle: logits of a second copy of the tiny model that never met a method.
"""

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from burnish.data.pack import batch_of
from burnish.errors import MethodError
from burnish.methods.method import Start
from burnish.models.attention import forward_hidden
from burnish.models.head import head_of
from tests.laws.cases import Case, cases, documents, frozen, stir


@torch.no_grad()
def logits(model: PreTrainedModel) -> Tensor:
    return head_of(model).logits(forward_hidden(model, batch_of(documents()))[0])


@cases(dropout=True)
def test_attaching_changes_no_bit_of_the_logits(case: Case) -> None:
    model = frozen(case.architecture)
    case.config().attach(model, Start(torch.Generator().manual_seed(5)))
    assert torch.equal(logits(model), logits(frozen(case.architecture)))


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
    model = frozen(case.architecture)
    method = case.config()
    method.attach(model, Start(torch.Generator().manual_seed(0)))
    before = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    trainer = case.trainer()
    stir(trainer, seed=2)
    after = trainer.trained_tensors()
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)
