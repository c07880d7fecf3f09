"""AdamW on fp32 masters: against torch's own, and where bf16 alone would lose every step."""

import copy

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from burnish.training.optimizer import Optimizer
from tests.tiny_models import tiny_model


def give_gradients(model: PreTrainedModel, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)


def tensors(model: PreTrainedModel) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_three_steps_are_those_of_torch_s_adamw_with_torch_s_clipping() -> None:
    ours = tiny_model("llama")
    theirs = copy.deepcopy(ours)
    optimizer = Optimizer(ours, weight_decay=0.1)
    groups = [
        {"params": [p for p in theirs.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in theirs.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, betas=(0.9, 0.999), foreach=False, fused=False)
    for step in range(3):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        norm = optimizer.gather(5)
        for parameter in theirs.parameters():
            assert parameter.grad is not None
            parameter.grad /= 5
        expected = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        assert float(norm) == pytest.approx(float(expected), rel=1e-6)
        optimizer.step(1e-2, norm, 1.0)
        for group in reference.param_groups:
            group["lr"] = 1e-2
        reference.step()
        reference.zero_grad()
    for a, b in zip(tensors(ours), tensors(theirs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_a_gradient_below_the_clip_is_left_alone() -> None:
    found = []
    for clip in (0.0, 1e9):
        model = tiny_model("llama")
        optimizer = Optimizer(model)
        give_gradients(model, 0)
        optimizer.step(1e-2, optimizer.gather(1), clip)
        found.append(tensors(model))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_relative_step_of_a_millionth_is_not_lost_in_bf16() -> None:
    """bf16 keeps 8 bits: added to the weight itself, a thousand such steps would change nothing at all."""
    model = tiny_model("llama").to(torch.bfloat16)
    weight = model.get_submodule("model.layers.0.self_attn.q_proj").weight
    assert isinstance(weight, Tensor)
    with torch.no_grad():
        weight.fill_(1.0)
    optimizer = Optimizer(model)
    name = next(n for n, p in model.named_parameters() if p is weight)
    for _ in range(50):
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step(1e-6, optimizer.gather(1), 0.0)
    master = optimizer.masters[name]
    assert master.dtype == torch.float32
    assert float((1 - master.detach()).mean()) == pytest.approx(5e-5, rel=0.02)
    weights = weight.detach().double()
    step = 2.0**-8  # bf16's below 1; the mean of the weights is the master's, though each is 1 or one step less
    assert set(weights.flatten().tolist()) <= {1.0, 1 - step}
    assert float((1 - weights).mean()) == pytest.approx(5e-5, abs=3 * (5e-5 * step / weights.numel()) ** 0.5)


def test_what_got_no_gradient_does_not_move() -> None:
    model = tiny_model("llama")
    optimizer = Optimizer(model)
    before = tensors(model)
    first = next(model.parameters())
    first.grad = torch.ones_like(first)
    optimizer.step(1e-2, optimizer.gather(1), 1.0)
    moved = [not torch.equal(a, b) for a, b in zip(before, tensors(model), strict=True)]
    assert moved == [True] + [False] * (len(moved) - 1)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_parameter_s_rate_can_be_a_multiple_of_the_others() -> None:
    """LoRA+ trains the second matrix of a pair faster; oracle: the same step at that rate."""
    moved = {}
    for name, factor in (("plain", 1.0), ("faster", 16.0)):
        model = tiny_model("llama")
        before = {key: p.detach().clone() for key, p in model.named_parameters()}
        optimizer = Optimizer(model, rate_factor=lambda key, f=factor: f if "up_proj" in key else 1.0)  # type: ignore[misc]
        give_gradients(model, 0)
        optimizer.step(1e-3, optimizer.gather(1), 0.0)
        moved[name] = {key: p.detach() - before[key] for key, p in model.named_parameters()}
    for key, step in moved["faster"].items():
        torch.testing.assert_close(step, moved["plain"][key] * (16 if "up_proj" in key else 1), rtol=1e-4, atol=1e-6)


def test_scales_do_not_decay() -> None:
    """A matrix of one column is a list of scales, which decay would pull to zero instead of to one."""
    model = tiny_model("llama")
    model.scale = torch.nn.Parameter(torch.ones(8, 1))
    optimizer = Optimizer(model, weight_decay=0.5)
    decays = {id(p): group["weight_decay"] for group in optimizer.adam.param_groups for p in group["params"]}
    assert decays[id(model.scale)] == 0.0
    assert decays[id(model.model.layers[0].mlp.up_proj.weight)] == 0.5
