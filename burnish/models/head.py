"""The output head as the model itself applies it: weight, bias, multiplier, soft cap."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from burnish.errors import ModelError
from burnish.models.adapters import Switched
from burnish.models.at_once import at_once
from burnish.types import IGNORE


@dataclass(frozen=True, slots=True)
class Head:
    """`cap(multiplier * (hidden @ weight.T + bias))`; the self-check compares it with the model's own logits."""

    weight: Float[Tensor, "vocab hidden"]
    bias: Float[Tensor, "vocab"] | None
    multiplier: float
    soft_cap: float | None
    adapted: Switched | None = None  # where a method works on the head, the module that computes the product

    def logits(self, hidden: Float[Tensor, "places hidden"]) -> Float[Tensor, "places vocab"]:
        """Scores of the next token in the model's dtype."""
        if self.adapted is not None:
            logits: Tensor = self.adapted(hidden)
        else:
            logits = torch.nn.functional.linear(hidden, self.weight, self.bias)
        if self.multiplier != 1:
            logits = logits * self.multiplier
        if self.soft_cap is not None:
            logits = torch.tanh(logits / self.soft_cap) * self.soft_cap
        return logits


def head_of(model: PreTrainedModel) -> Head:
    """Read the head of a causal model; raises `ModelError` where it has none."""
    module = model.get_output_embeddings()
    if module is None:
        raise ModelError(f"{type(model).__name__} has no output head; expected a causal language model")
    config = model.config
    multiplier = float(getattr(config, "logit_scale", None) or 1.0)
    divisor = float(getattr(config, "logits_scaling", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    adapted = module if isinstance(module, Switched) else None
    return Head(module.weight, module.bias, multiplier / divisor, None if cap is None else float(cap), adapted)


def target_places(
    hidden: Float[Tensor, "rows time hidden"], targets: Int[Tensor, "rows time"]
) -> tuple[Float[Tensor, "places hidden"], Int[Tensor, "places"]]:
    """Hidden states and targets where something is learned, in row order."""
    flat = targets.reshape(-1)
    at = torch.nonzero(flat != IGNORE)[:, 0]
    return hidden.reshape(-1, hidden.shape[-1]).index_select(0, at), flat.index_select(0, at)


def chunks(targets: Int[Tensor, "places"]) -> Iterator[slice]:
    """The targets whose logits are held together, one chunk after the other."""
    size = at_once(targets.device.type).targets
    return (slice(start, start + size) for start in range(0, len(targets), size))


@torch.no_grad()
def nats_of_targets(
    model: PreTrainedModel, hidden: Float[Tensor, "rows time hidden"], targets: Int[Tensor, "rows time"]
) -> Float[Tensor, "places"]:
    """Nats of every single target, fp32, in row order; for validation and likelihoods."""
    places, wanted = target_places(hidden, targets)
    return torch.cat([*_nats(head_of(model), places, wanted), torch.zeros(0)])


def _nats(head: Head, places: Tensor, wanted: Tensor) -> Iterator[Tensor]:
    for part in chunks(wanted):
        logits = head.logits(places[part]).float()
        at = wanted[part, None]
        yield (torch.logsumexp(logits, -1) - logits.gather(1, at)[:, 0]).cpu()
