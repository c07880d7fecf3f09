"""Law 5: merging changes nothing and gives back the base's tensors by name.

Oracle: logits before the merge; and W + alpha / rank * B A computed here, in float64, from the tensors as trained.
"""

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from burnish.errors import MethodError
from burnish.methods.method import method_from
from burnish.training.trainer import Trainer
from tests.laws.cases import Case, cases, distance, documents, frozen
from tests.laws.oracle import logits_of
from tests.tiny_models import ARCHITECTURES


def text() -> tuple[int, ...]:
    return tuple(token for document in documents(4) for token in document.tokens)


@cases()
def test_merged_gives_the_same_logits_under_the_base_s_names(case: Case) -> None:
    trainer, untouched = case.trainer(), frozen(case.architecture)
    if trainer.method.why_unmergeable is not None:
        kept = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
        with pytest.raises(MethodError, match=f"cannot be merged into .*: {trainer.method.why_unmergeable}; keep it"):
            trainer.method.merge(trainer.model)
        assert all(torch.equal(tensor, kept[name]) for name, tensor in trainer.model.state_dict().items())
        return
    for step in range(2):
        trainer.forward_backward(documents(step))
        trainer.optim_step(1e-2)
    with torch.no_grad():
        before = logits_of(trainer.model, text())
        trainer.method.merge(trainer.model)
        after = logits_of(trainer.model, text())
        assert distance(before, logits_of(untouched, text())) > 1e-2, "the change must be large enough to be missed"
    assert distance(after, before) < 1e-5
    merged, base = trainer.model.state_dict(), untouched.state_dict()
    assert list(merged) == list(base)
    assert [(t.shape, t.dtype) for t in merged.values()] == [(t.shape, t.dtype) for t in base.values()]
    assert [type(m) for m in trainer.model.modules()] == [type(m) for m in untouched.modules()]


def updates(trainer: Trainer) -> dict[str, Tensor]:
    """alpha / rank * B A of every place, in float64, in the orientation of `nn.Linear`."""
    tensors = {name: tensor.double() for name, tensor in trainer.trained_tensors().items()}
    config = trainer.method
    assert isinstance(config, BaseModel)
    scale = config.model_dump()["alpha"] / config.model_dump()["rank"]
    places = {name.partition(".lora_")[0] for name in tensors}
    return {p: scale * tensors[f"{p}.lora_B.default"] @ tensors[f"{p}.lora_A.default"] for p in places}


@pytest.mark.parametrize("case", [Case("lora", name) for name in ARCHITECTURES], ids=lambda c: c.architecture)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_lora_adds_alpha_over_rank_b_a_and_rounds_once(case: Case, dtype: torch.dtype) -> None:
    trainer = case.trainer(dtype=dtype)
    base = {name: tensor.clone() for name, tensor in frozen(case.architecture, dtype).state_dict().items()}
    expected = updates(trainer)
    transposed = {name for name, module in frozen(case.architecture).named_modules() if isinstance(module, Conv1D)}
    trainer.method.merge(trainer.model)
    for name, weight in trainer.model.state_dict().items():
        place = name.removesuffix(".weight")
        if place not in expected:
            assert torch.equal(weight, base[name]), name
            continue
        update = expected[place].t() if place in transposed else expected[place]
        exact = base[name].double() + update
        half_a_step = exact.abs() * (2**-8 if dtype == torch.bfloat16 else 2**-22) + 1e-7
        assert bool(((weight.double() - exact).abs() <= half_a_step).all()), name


def test_what_carries_no_update_cannot_be_merged() -> None:
    with pytest.raises(MethodError, match="no LoRA update"):
        method_from("lora").merge(frozen("llama"))
