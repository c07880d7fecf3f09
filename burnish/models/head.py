"""The output head as the model itself applies it: weight, bias, multiplier, soft cap."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from burnish.errors import ModelError


@dataclass(frozen=True, slots=True)
class Head:
    """`cap(multiplier * (hidden @ weight.T + bias))`; the self-check compares it with the model's own logits."""

    weight: Float[Tensor, "vocab hidden"]
    bias: Float[Tensor, "vocab"] | None
    multiplier: float
    soft_cap: float | None

    def logits(self, hidden: Float[Tensor, "places hidden"]) -> Float[Tensor, "places vocab"]:
        """Scores of the next token in the model's dtype."""
        logits = torch.nn.functional.linear(hidden, self.weight, self.bias)
        if self.multiplier != 1:
            logits = logits * self.multiplier
        if self.soft_cap is not None:
            logits = torch.tanh(logits / self.soft_cap) * self.soft_cap
        return logits


def head_of(model: nn.Module) -> Head:
    """Read the head of a causal model; raises `ModelError` where it has none."""
    module = model.get_output_embeddings()
    if module is None:
        raise ModelError(f"{type(model).__name__} has no output head; expected a causal language model")
    config = model.config
    multiplier = float(getattr(config, "logit_scale", None) or 1.0)
    divisor = float(getattr(config, "logits_scaling", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return Head(module.weight, module.bias, multiplier / divisor, None if cap is None else float(cap))
