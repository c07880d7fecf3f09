"""Summed cross-entropy of the output head, only where there is a target, without ever holding all logits."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from burnish.models.attention import prefix_cache
from burnish.models.head import Head, chunks, head_of, target_places
from burnish.types import IGNORE, Batch


def _chunk(
    head: Head, hidden: Float[Tensor, "places hidden"], targets: Int[Tensor, "places"]
) -> tuple[Float[Tensor, "places"], Float[Tensor, "places vocab"]]:
    """Nats of each target, and the gradient of their sum with respect to `hidden @ weight.T + bias`, both fp32."""
    logits = F.linear(hidden, head.weight, head.bias).float()
    if head.multiplier != 1:
        logits.mul_(head.multiplier)
    slope = None
    if head.soft_cap is not None:
        squashed = torch.tanh(logits.div_(head.soft_cap))
        slope = 1 - squashed**2
        logits = squashed.mul_(head.soft_cap)
    norm = torch.logsumexp(logits, -1)
    at = targets[:, None]
    nats = norm - logits.gather(1, at)[:, 0]
    gradient = logits.sub_(norm[:, None]).exp_()
    gradient.scatter_add_(1, at, torch.full_like(at, -1, dtype=gradient.dtype))
    if slope is not None:
        gradient.mul_(slope)
    if head.multiplier != 1:
        gradient.mul_(head.multiplier)
    return nats, gradient


class _HeadLoss(torch.autograd.Function):
    """The gradient is made in the forward pass, chunk by chunk, so no logits are kept for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Float[Tensor, "places hidden"],
        weight: Float[Tensor, "vocab hidden"],
        bias: Float[Tensor, "vocab"] | None,
        targets: Int[Tensor, "places"],
        times: Int[Tensor, "places"] | None,
        head: Head,
    ) -> Float[Tensor, ""]:
        exact = torch.float32 if hidden.device.type == "mps" else torch.float64  # which MPS does not have
        total = torch.zeros((), dtype=exact, device=hidden.device)
        of_hidden = torch.empty_like(hidden)
        of_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        of_bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and ctx.needs_input_grad[2] else None
        for part in chunks(targets):
            nats, gradient = _chunk(head, hidden[part], targets[part])
            if times is not None:
                nats, gradient = nats * times[part], gradient.mul_(times[part, None])
            total += nats.sum(dtype=exact)
            low = gradient.to(hidden.dtype)
            torch.mm(low, weight, out=of_hidden[part])
            if of_weight is not None:
                of_weight.addmm_(low.t().to(torch.float32), hidden[part].to(torch.float32))
            if of_bias is not None:
                of_bias += gradient.sum(0)
        ctx.gradients = (of_hidden, of_weight, of_bias)
        return total.to(torch.float32)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        scaled = [None if g is None else g * grad.to(g.dtype) for g in ctx.gradients]
        return (*scaled, None, None, None)


def summed_loss(
    model: PreTrainedModel,
    hidden: Float[Tensor, "rows time hidden"],
    targets: Int[Tensor, "rows time"],
    times: Int[Tensor, "rows time"] | None = None,
) -> Float[Tensor, ""]:
    """Nats summed over all targets (rule 2), differentiable in the hidden states and, where it trains, the head.

    A target counts `times`: in a beginning that several documents share, once for each of them.
    """
    head = head_of(model)
    places, wanted = target_places(hidden, targets)
    counts = None if times is None else times[targets != IGNORE]
    if head.adapted is not None:
        return _through_the_head(head, places, wanted, counts)
    result: Tensor = _HeadLoss.apply(  # type: ignore[no-untyped-call]
        places, head.weight, head.bias, wanted, counts, head
    )
    return result


def _through_the_head(
    head: Head,
    places: Float[Tensor, "places hidden"],
    wanted: Int[Tensor, "places"],
    times: Int[Tensor, "places"] | None,
) -> Float[Tensor, ""]:
    """The same by autograd, where a method works on the head; a chunk's logits are computed twice, not kept."""

    def nats(hidden: Tensor, targets: Tensor, counts: Tensor | float) -> Tensor:
        return (F.cross_entropy(head.logits(hidden).float(), targets, reduction="none") * counts).sum()

    total = torch.zeros((), dtype=torch.float32, device=places.device)
    for part in chunks(wanted):
        total = total + checkpoint(
            nats, places[part], wanted[part], 1.0 if times is None else times[part], use_reentrant=False
        )
    return total


def plain_loss(model: PreTrainedModel, batch: Batch) -> Float[Tensor, ""]:
    """The laws' oracle: one document through the model's own forward with full logits and torch's cross-entropy."""
    assert len(batch.ids) == 1, "the plain path takes one document at a time"
    before = prefix_cache(model)
    given = {"input_ids": batch.tokens, "position_ids": batch.positions, "use_cache": False, **before}
    logits = model(**given).logits
    return F.cross_entropy(logits[0].float(), batch.targets[0], ignore_index=IGNORE, reduction="sum")
