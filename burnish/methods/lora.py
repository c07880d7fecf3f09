"""LoRA (Hu et al. 2021, section 4.1): a frozen linear map plus the product of two thin trained matrices."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedModel

from burnish.errors import MethodError
from burnish.methods.method import MethodConfig, Start, refuse_second
from burnish.models.dropout import keep
from burnish.models.seams import Linear, is_transposed, matching, replace, sizes_of


class _Product(torch.autograd.Function):
    """y = x W' + bias + s (x A') B', keeping only x and x A' for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "places width_in"],
        weight: Float[Tensor, "width_out width_in"],
        bias: Float[Tensor, "width_out"] | None,
        a: Float[Tensor, "rank width_in"],
        b: Float[Tensor, "width_out rank"],
        scale: float,
    ) -> Float[Tensor, "places width_out"]:
        xa = x @ a.t()
        ctx.save_for_backward(x, weight, a, b, xa)
        ctx.scale = scale
        return F.linear(x, weight, bias).addmm_(xa, b.t(), alpha=scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, a, b, xa = ctx.saved_tensors
        gb = grad @ b
        dx = (grad @ weight).addmm_(gb, a, alpha=ctx.scale) if ctx.needs_input_grad[0] else None
        return dx, None, None, (gb.t() @ x).mul_(ctx.scale), (grad.t() @ xa).mul_(ctx.scale), None


class LoRALinear(nn.Module):
    """A linear map with low-rank updates by name, of which one is active or none; it holds the base's own tensors."""

    plain = False  # the laws' oracle sets this: the same sum through ordinary autograd

    def __init__(self, linear: Linear, name: str) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias  # same tensors under the same names as before
        self.name = name
        self._original = (linear,)  # in a tuple, so that it is no submodule
        self.lora_A, self.lora_B = nn.ParameterDict(), nn.ParameterDict()
        self.scales: dict[str, float] = {}
        self.dropouts: dict[str, float] = {}
        self.active: str | None = None

    @property
    def original(self) -> Linear:
        """The module that stood here."""
        return self._original[0]

    def add(self, adapter: str, rank: int, scale: float, dropout: float, generator: torch.Generator) -> None:
        """A new pair: A as `nn.Linear` starts, B zero, so that nothing changes yet; fp32 whatever the base is in."""
        width_in, width_out = sizes_of(self.original)
        bound = 1 / math.sqrt(width_in)  # kaiming_uniform with a = sqrt(5), as peft and the paper's code do
        a = (torch.rand(rank, width_in, generator=generator) * 2 - 1) * bound
        self.lora_A[adapter] = nn.Parameter(a.to(self.weight.device))
        self.lora_B[adapter] = nn.Parameter(torch.zeros(width_out, rank, device=self.weight.device))
        self.scales[adapter], self.dropouts[adapter] = scale, dropout
        self.active = adapter

    def delta(self, adapter: str) -> Float[Tensor, "width_out width_in"]:
        """What the pair adds to the weight, in fp32 and in `nn.Linear`'s orientation."""
        product: Tensor = self.lora_B[adapter] @ self.lora_A[adapter]
        return self.scales[adapter] * product

    def forward(self, x: Float[Tensor, "*places width_in"]) -> Float[Tensor, "*places width_out"]:
        """The base's product, and the active pair's beside it."""
        if self.active is None:
            unchanged: Tensor = self.original(x)
            return unchanged
        a, b = self.lora_A[self.active].to(x.dtype), self.lora_B[self.active].to(x.dtype)
        scale, dropout = self.scales[self.active], self.dropouts[self.active]
        flat = x.reshape(-1, x.shape[-1])
        dropped = keep(flat, dropout, self.name)
        if self.plain or dropped is not flat:
            y = self.original(flat) + (dropped @ a.t()) @ b.t() * scale
        else:
            weight = self.weight.t() if is_transposed(self.original) else self.weight
            y = _Product.apply(flat, weight, self.bias, a, b, scale)  # type: ignore[no-untyped-call]
        result: Tensor = y.view(*x.shape[:-1], y.shape[-1])
        return result


def lora_linears(model: PreTrainedModel) -> dict[str, LoRALinear]:
    """The places where a low-rank update stands, by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)}


class Config(MethodConfig):
    """Low-rank updates of the blocks' linear maps."""

    name: ClassVar[str] = "lora"
    virtual_tokens: ClassVar[int] = 0
    first_position: ClassVar[int] = 0
    makes_adapter: ClassVar[bool] = True

    rank: int = Field(default=16, ge=1, description="rank of each update")
    alpha: float = Field(default=32.0, gt=0, description="the update is scaled by alpha / rank")
    targets: str | tuple[str, ...] = Field(
        default="all", description="all, attention, mlp, or names and patterns of linear maps"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the update's inputs that is dropped")

    def learning_rate(self, parameters: int) -> float:
        """1e-3 up to 0.5 B parameters, 5e-4 up to 2 B, then 2e-4."""
        return 1e-3 if parameters <= 500_000_000 else 5e-4 if parameters <= 2_000_000_000 else 2e-4

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:
        """Put a pair beside every target and freeze everything else."""
        present = lora_linears(model)
        refuse_second(model, name, any(name in module.scales for module in present.values()))
        for module in present.values():
            module.active = None
        with_originals = _names_with_lora(model)
        targets = matching(model, self.targets) if not present else _chosen(model, with_originals, self.targets)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for place, linear in targets.items():
            module = present.get(place) or LoRALinear(linear, place)
            module.add(name, self.rank, self.alpha / self.rank, self.dropout, start.generator)
            if place not in present:
                replace(model, place, module)

    @contextmanager
    def _off(self, model: PreTrainedModel) -> Iterator[None]:
        modules = lora_linears(model)
        active = {name: module.active for name, module in modules.items()}
        for module in modules.values():
            module.active = None
        try:
            yield
        finally:
            for name, module in modules.items():
                module.active = active[name]

    def disabled(self, model: PreTrainedModel) -> AbstractContextManager[None]:
        """Every update switched off."""
        return self._off(model)

    def merge(self, model: PreTrainedModel) -> None:
        """W + scale B A, added in fp32 and rounded once to the base's dtype; the base's modules come back."""
        modules = lora_linears(model)
        if not modules:
            raise MethodError(f"{type(model).__name__} carries no LoRA update to merge")
        for place, module in modules.items():
            linear = module.original
            if module.active is not None:
                with torch.no_grad():
                    delta = module.delta(module.active)
                    delta = delta.t() if is_transposed(linear) else delta
                    linear.weight.copy_(linear.weight.float() + delta)
            replace(model, place, linear)

    def changes(self, model: PreTrainedModel, base: Callable[[str], Tensor]) -> Iterator[tuple[str, float, float]]:  # noqa: ARG002
        """The active update of every target against its frozen weight."""
        for place, module in lora_linears(model).items():
            if module.active is not None:
                delta = module.delta(module.active).detach()
                yield f"{place}.weight", float(delta.norm()), float(module.weight.float().norm())


def _names_with_lora(model: PreTrainedModel) -> dict[str, Linear]:
    return {name: module.original for name, module in lora_linears(model).items()}


def _chosen(model: PreTrainedModel, originals: dict[str, Linear], targets: str | Sequence[str]) -> dict[str, Linear]:
    """Targets of a second adapter: the base's modules are put back for the search, then the first's again."""
    present = lora_linears(model)
    for place, linear in originals.items():
        replace(model, place, linear)
    try:
        return matching(model, targets)
    finally:
        for place, module in present.items():
            replace(model, place, module)
