"""The loss applies the head as the model does, in chunks, and its gradient is autograd's."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from burnish.models.at_once import CPU
from burnish.models.head import head_of, nats_of_targets, target_places
from burnish.training.loss import summed_loss
from burnish.types import IGNORE
from tests.tiny_models import VOCAB, tiny_model

HEADS = [
    {},
    {"logit_scale": 0.25},
    {"logits_scaling": 8.0},
    {"final_logit_softcapping": 5.0},
    {"logit_scale": 3.0, "final_logit_softcapping": 2.0},
]


def model_with(settings: dict[str, float], bias: bool) -> Any:
    """phi has a bias in its head, qwen3 none."""
    model = tiny_model("phi" if bias else "qwen3")
    for name, value in settings.items():
        setattr(model.config, name, value)
    return model


def states(model: Any, count: int = 2 * CPU.targets + 10) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, count, model.config.hidden_size, generator=generator) * 2
    targets = torch.randint(0, VOCAB, (1, count), generator=generator)
    targets[0, ::5] = IGNORE
    return hidden.requires_grad_(True), targets


def expected_loss(model: Any, settings: dict[str, float], hidden: Tensor, targets: Tensor) -> Tensor:
    """As the models themselves write it: multiply, divide, cap; then torch's cross-entropy over all places."""
    head = model.get_output_embeddings()
    logits = F.linear(hidden, head.weight, head.bias) * settings.get("logit_scale", 1.0)
    logits = logits / settings.get("logits_scaling", 1.0)
    cap = settings.get("final_logit_softcapping")
    logits = logits if cap is None else torch.tanh(logits / cap) * cap
    return F.cross_entropy(logits[0], targets[0], ignore_index=IGNORE, reduction="sum")


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("settings", HEADS, ids=str)
def test_loss_and_gradients_are_autograd_s(settings: dict[str, float], bias: bool) -> None:
    model = model_with(settings, bias)
    hidden, targets = states(model)
    head = model.get_output_embeddings()
    wanted = [hidden, head.weight, *([head.bias] if bias else [])]
    ours, theirs = summed_loss(model, hidden, targets), expected_loss(model, settings, hidden, targets)
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), rel=1e-5)
    for a, b in zip(torch.autograd.grad(3 * ours, wanted), torch.autograd.grad(3 * theirs, wanted), strict=True):
        assert float((a - b).norm() / b.norm()) < 1e-5


@pytest.mark.parametrize("settings", HEADS, ids=str)
def test_measuring_agrees_with_training(settings: dict[str, float]) -> None:
    model = model_with(settings, bias=True)
    hidden, targets = states(model)
    nats = nats_of_targets(model, hidden.detach(), targets)
    assert len(nats) == int((targets != IGNORE).sum())
    assert float(nats.sum()) == pytest.approx(float(summed_loss(model, hidden, targets).detach()), rel=1e-5)


def test_a_frozen_head_gets_no_gradient_and_costs_none() -> None:
    model = model_with({}, bias=True)
    model.requires_grad_(False)
    hidden, targets = states(model)
    summed_loss(model, hidden, targets).backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None
    assert model.get_output_embeddings().weight.grad is None


def test_a_row_without_targets_has_no_loss() -> None:
    model = model_with({}, bias=False)
    hidden, targets = states(model)
    loss = summed_loss(model, hidden, torch.full_like(targets, IGNORE))
    assert float(loss.detach()) == 0
    assert nats_of_targets(model, hidden.detach(), torch.full_like(targets, IGNORE)).shape == (0,)


def test_places_come_in_row_order() -> None:
    hidden = torch.arange(6.0).reshape(2, 3, 1)
    places, wanted = target_places(hidden, torch.tensor([[7, IGNORE, 8], [IGNORE, 9, IGNORE]]))
    assert places[:, 0].tolist() == [0.0, 2.0, 4.0]
    assert wanted.tolist() == [7, 8, 9]


def test_a_model_without_a_head_is_refused() -> None:
    model = tiny_model("llama")
    model.lm_head = None
    with pytest.raises(Exception, match="no output head"):
        head_of(model)


def test_settings_that_are_absent_or_none_change_nothing() -> None:
    model = tiny_model("llama")
    assert (head_of(model).multiplier, head_of(model).soft_cap) == (1.0, None)
    model.config.logit_scale = None
    model.config.final_logit_softcapping = None
    assert (head_of(model).multiplier, head_of(model).soft_cap) == (1.0, None)
