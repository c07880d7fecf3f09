"""Law 6: saving and loading changes no bit. Oracle: tensors and logits of the model that was saved."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from burnish.methods.peft_format import load_adapter, save_adapter
from burnish.training.checkpoint import read_checkpoint
from tests.laws.cases import Case, cases, documents, frozen
from tests.laws.oracle import logits_of
from tests.tiny_models import tiny_directory

TEXT = documents(4)[6].tokens


@cases()
def test_an_adapter_or_a_model_comes_back_bit_for_bit(case: Case, tmp_path: Path) -> None:
    trainer = case.trainer()
    with torch.no_grad():
        expected = logits_of(trainer.model, TEXT)
    if trainer.method.makes_adapter:
        save_adapter(trainer.model, trainer.method, tmp_path, base="somewhere", base_sha256="0" * 64)
        loaded = frozen(case.architecture)
        method: object = load_adapter(loaded, tmp_path, base_sha256="0" * 64, like=trainer.method)
        assert method == trainer.method
    else:
        trainer.model.save_pretrained(tmp_path)
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path, local_files_only=True).eval()
    ours, theirs = trainer.model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    with torch.no_grad():
        assert torch.equal(logits_of(loaded, TEXT), expected)


@cases(["llama", "gpt2"])
def test_a_checkpoint_comes_back_bit_for_bit(case: Case, tmp_path: Path) -> None:
    trainer = case.trainer()
    for step in range(2):
        trainer.forward_backward(documents(step))
        trainer.optim_step(1e-2)
    state = {name: tensor.clone() for name, tensor in trainer.optimizer.state().items()}
    path = trainer.save_state(tmp_path, identity={"recipe": "r"}, counters={"skipped": [1]})
    other = case.trainer()
    checkpoint = read_checkpoint(path)
    other.load_state(checkpoint)
    assert other.step == 2
    assert (checkpoint.identity, checkpoint.counters) == ({"recipe": "r"}, {"skipped": [1]})
    again = other.optimizer.state()
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)
    with torch.no_grad():
        assert torch.equal(logits_of(other.model, TEXT), logits_of(trainer.model, TEXT))


@cases(["llama", "gpt2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_training_ends_with_a_checkpoint_s_weights_and_no_moments(
    case: Case, dtype: torch.dtype, tmp_path: Path
) -> None:
    trainer = case.trainer(dtype=dtype)
    for step in range(2):
        trainer.forward_backward(documents(step))
        trainer.optim_step(1e-2)
    checkpoint = read_checkpoint(trainer.save_state(tmp_path, identity={}, counters={}))
    weights = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.forward_backward(documents(2))
    trainer.optim_step(1e-2)
    changed = trainer.model.state_dict()
    assert not all(torch.equal(weights[name], changed[name]) for name in weights)
    trainer.forward_backward(documents(3))  # gradients that nobody will use
    trainer.end_with(checkpoint)
    after = trainer.model.state_dict()
    assert all(torch.equal(weights[name], after[name]) for name in weights)
    assert trainer.step == 2
    assert not trainer.optimizer.adam.state
    assert all(p.grad is None for p in trainer.model.parameters())


def test_a_tiny_directory_holds_the_tiny_model(tmp_path: Path) -> None:
    """The laws that read from disk start here."""
    loaded = AutoModelForCausalLM.from_pretrained(tiny_directory(tmp_path, "llama"), local_files_only=True)
    state = loaded.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in frozen("llama").state_dict().items())
