"""LoRA (Hu et al. 2021, section 4.1): a frozen linear map plus the product of two thin trained matrices.

Variants: rsLoRA (Kalajdzievski 2023) scales by alpha / sqrt(rank); DoRA (Liu et al. 2024, section 4) trains the length
of each row of the weight apart from its direction. LoRA+ (Hayou et al. 2024) is `lr_ratio`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedModel

from burnish.errors import MethodError
from burnish.methods.method import PREFIX, MethodConfig, Start, refuse_fields
from burnish.methods.peft_targets import module_names, named_places
from burnish.models.adapters import Adapted, adapter_parameters, make_room, new_parameter, original_of, switched
from burnish.models.dropout import keep
from burnish.models.seams import ends_of, is_linear, is_transposed, matching, replace, sizes_of

Variant = Literal["plain", "rslora", "dora"]


class _Product(torch.autograd.Function):
    """y = x W' + bias + s (x A') B', keeping only x and x A' for the backward pass.

    The thin product is written first and the wide one added to it: matrix products sum in fp32 and round once, so what
    an update changes survives in bf16. Added to a rounded product, changes below half its last digit are lost.
    """

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
        a, b = a.to(x.dtype), b.to(x.dtype)  # here, since autograd would count each as an operation of its own
        xa = (x @ a.t()).mul_(scale)
        ctx.save_for_backward(x, weight, a, b, xa)
        ctx.scale = scale
        y = (xa @ b.t()).addmm_(x, weight.t())
        return y if bias is None else y.add_(bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, a, b, xa = ctx.saved_tensors
        gb = (grad @ b).mul_(ctx.scale)
        dx = (gb @ a).addmm_(grad, weight) if ctx.needs_input_grad[0] else None
        return dx, None, None, gb.t() @ x, grad.t() @ xa, None


class LoRALinear(Adapted):
    """A linear map with low-rank updates by name."""

    bias: Tensor | None
    plain = False  # the laws' oracle sets this: the same sum through ordinary autograd

    def __init__(self, original: nn.Module, place: str) -> None:
        super().__init__(original, place)
        self.lora_A, self.lora_B = nn.ParameterDict(), nn.ParameterDict()
        self.lora_magnitude_vector = nn.ParameterDict()  # DoRA's row lengths
        self.scales: dict[str, float] = {}
        self.dropouts: dict[str, float] = {}

    def add(self, name: str, config: "Config", generator: torch.Generator, dropout: float) -> None:
        """A new pair: A as `nn.Linear` starts, B zero, so that nothing changes yet."""
        width_in, width_out = sizes_of(self.original)
        bound = 1 / math.sqrt(width_in)  # kaiming_uniform with a = sqrt(5), as peft and the paper's code do
        a = (torch.rand(config.rank, width_in, generator=generator) * 2 - 1) * bound
        self.lora_A[name] = new_parameter(a, self.weight)
        self.lora_B[name] = new_parameter(torch.zeros(width_out, config.rank), self.weight)
        self.scales[name], self.dropouts[name] = config.scale, dropout
        if config.variant == "dora":
            self.lora_magnitude_vector[name] = new_parameter(self.lengths(name), self.weight)
        self.active = name

    def upright(self) -> Float[Tensor, "width_out width_in"]:
        """The base's weight in `nn.Linear`'s orientation."""
        return self.weight.t() if is_transposed(self.original) else self.weight

    def product(self, name: str) -> Float[Tensor, "width_out width_in"]:
        """scale B A, in fp32."""
        product: Tensor = self.lora_B[name] @ self.lora_A[name]
        return self.scales[name] * product

    @torch.no_grad()
    def lengths(self, name: str) -> Float[Tensor, "width_out"]:
        """Length of each row of W + scale B A; a constant to the gradient (DoRA, section 4.3)."""
        lengths: Tensor = torch.linalg.vector_norm(self.upright().float() + self.product(name), dim=1)
        return lengths

    def delta(self, name: str) -> Float[Tensor, "width_out width_in"]:
        """What the adapter adds to the weight, in fp32 and in `nn.Linear`'s orientation."""
        product = self.product(name)
        if name not in self.lora_magnitude_vector:
            return product
        weight = self.upright().float()
        ratio: Tensor = self.lora_magnitude_vector[name] / self.lengths(name)
        return ratio[:, None] * (weight + product) - weight

    def forward(self, x: Float[Tensor, "*places width_in"]) -> Float[Tensor, "*places width_out"]:
        """The base's product, and the active pair's beside it."""
        name = self.active
        if name is None:
            unchanged: Tensor = self.original(x)
            return unchanged
        a, b = self.lora_A[name], self.lora_B[name]
        flat = x.reshape(-1, x.shape[-1])
        dropped = keep(flat, self.dropouts[name], self.place)
        dora = name in self.lora_magnitude_vector
        if self.plain or dora or dropped is not flat:
            y = self._summed(flat, (dropped @ a.t().to(x.dtype)) @ b.t().to(x.dtype) * self.scales[name])
            if dora:
                beyond = (self.lora_magnitude_vector[name] / self.lengths(name) - 1).to(x.dtype)
                y = torch.addcmul(y, y, beyond)  # 1.003 is 1 in bf16, 0.003 is not 0
            y = y if self.bias is None else y + self.bias
        else:
            y = _Product.apply(flat, self.upright(), self.bias, a, b, self.scales[name])  # type: ignore[no-untyped-call]
        result: Tensor = y.view(*x.shape[:-1], y.shape[-1])
        return result

    def _summed(
        self, x: Float[Tensor, "places width_in"], low: Float[Tensor, "places width_out"]
    ) -> Float[Tensor, "places width_out"]:
        """The base's product without its bias, and the update; rounded once, but for the oracle."""
        weight = self.upright()
        return x @ weight.t() + low if self.plain else torch.addmm(low, x, weight.t())


class LoRAEmbedding(Adapted):
    """A table of vectors with low-rank updates by name: row t gains scale B A[:, t]."""

    def __init__(self, original: nn.Module, place: str) -> None:
        super().__init__(original, place)
        self.lora_embedding_A, self.lora_embedding_B = nn.ParameterDict(), nn.ParameterDict()
        self.scales: dict[str, float] = {}

    def add(self, name: str, config: "Config", generator: torch.Generator) -> None:
        """A new pair: A zero, so that nothing changes yet, B from a normal distribution, as peft does."""
        rows, width = self.weight.shape
        b = torch.randn(width, config.rank, generator=generator)
        self.lora_embedding_A[name] = new_parameter(torch.zeros(config.rank, rows), self.weight)
        self.lora_embedding_B[name] = new_parameter(b, self.weight)
        self.scales[name] = config.scale
        self.active = name

    @property
    def multiplier(self) -> float:
        """Gemma's tables multiply what they give; the update is multiplied too."""
        return float(getattr(self.original, "embed_scale", 1.0))

    def delta(self, name: str) -> Float[Tensor, "vocab width"]:
        """What the adapter adds to the table, in fp32."""
        product: Tensor = self.lora_embedding_B[name] @ self.lora_embedding_A[name]
        return self.scales[name] * product.t()

    def forward(self, tokens: Int[Tensor, "*places"]) -> Float[Tensor, "*places width"]:
        """The base's vectors, and the active pair's beside them."""
        vectors: Tensor = self.original(tokens)
        if self.active is None:
            return vectors
        a, b = self.lora_embedding_A[self.active], self.lora_embedding_B[self.active]
        low: Tensor = F.embedding(tokens, a.t()) @ b.t() * (self.scales[self.active] * self.multiplier)
        return vectors + low.to(vectors.dtype)


Place = LoRALinear | LoRAEmbedding


def _beside(original: nn.Module, place: str) -> Place:
    return LoRALinear(original, place) if is_linear(original) else LoRAEmbedding(original, place)


def lora_places(model: PreTrainedModel) -> dict[str, Place]:
    """Where low-rank updates stand, by name."""
    return {
        place: module for place, module in switched(model).items() if isinstance(module, LoRALinear | LoRAEmbedding)
    }


class Config(MethodConfig):
    """Low-rank updates of linear maps."""

    name: ClassVar[str] = "lora"
    peft_type: ClassVar[str] = "LORA"
    readers: ClassVar[str] = "peft, vLLM and llama.cpp"
    why_unmergeable: ClassVar[str | None] = None
    adjustable: ClassVar[frozenset[str]] = frozenset({"dropout", "lr_ratio"})

    rank: int = Field(default=16, ge=1, description="rank of each update")
    alpha: float = Field(default=32.0, gt=0, description="the update is scaled by alpha / rank")
    targets: str | tuple[str, ...] = Field(
        default="all",
        min_length=1,
        description="all linear maps of the blocks, attention, mlp, names and patterns; head and embeddings on request",
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="share of the update's inputs that is dropped")
    variant: Variant = Field(
        default="plain", description="rslora scales by alpha / sqrt(rank); dora trains each row's length too"
    )
    lr_ratio: float = Field(
        default=1.0, gt=0, description="how much faster the second matrix learns than the first (LoRA+: 16)"
    )

    @property
    def scale(self) -> float:
        """What the product of the two matrices is multiplied with."""
        return self.alpha / (math.sqrt(self.rank) if self.variant == "rslora" else self.rank)

    def learning_rate(self, parameters: int) -> float:
        """1e-3 up to 0.5 B parameters, 5e-4 up to 2 B, then 2e-4."""
        return 1e-3 if parameters <= 500_000_000 else 5e-4 if parameters <= 2_000_000_000 else 2e-4

    def rate_factor(self, parameter: str) -> float:
        """The second matrix of a pair, which starts at zero, learns faster by `lr_ratio`."""
        return self.lr_ratio if ".lora_B." in parameter or ".lora_embedding_A." in parameter else 1.0

    def check(self, model: PreTrainedModel) -> None:
        """Every target names something that can be updated."""
        self._targets(model)

    def notes(self, model: PreTrainedModel) -> list[str]:
        """Weights of blocks that are no linear maps, as the fused experts of a mixture."""
        others = [name for name, parameter in model.named_parameters() if parameter.ndim > 2]
        if not others:
            return []
        return [f"lora: {len(others)} tensors, as {others[0]}, are no linear maps, so no update stands beside them"]

    def _targets(self, model: PreTrainedModel) -> dict[str, nn.Module]:
        targets = matching(model, self.targets, ends=True)
        tables = [place for place, module in targets.items() if not is_linear(module)]
        if tables and self.variant == "dora":
            raise MethodError(
                f"method.targets: dora does not work on {tables[0]}, which is no linear map; leave it out"
            )
        return targets

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:
        """Put a pair beside every target and freeze everything else."""
        targets = self._targets(model)
        ends = [place for place, _ in ends_of(model).values()]
        make_room(model, name, (LoRALinear, LoRAEmbedding))
        present = lora_places(model)
        for place, original in targets.items():
            module = present.get(place) or _beside(original, place)
            if isinstance(module, LoRALinear):
                # the head sees only the places that have a target, so a mask by document has no meaning there
                module.add(name, self, start.generator, 0.0 if place in ends else self.dropout)
            else:
                module.add(name, self, start.generator)
            if place not in present:
                replace(model, place, module)

    def merge(self, model: PreTrainedModel) -> None:
        """W + the update, added in fp32 and rounded once to the base's dtype; the base's modules come back.

        A head that shares its weight with the embedding gets one of its own where either is a target.
        """
        modules = lora_places(model)
        if not modules:
            raise MethodError(f"{type(model).__name__} carries no LoRA update to merge")
        ends = [module for _, module in ends_of(model).values()]
        if any(module.original in ends and module.active for module in modules.values()):
            _untie(model)
        for place, module in modules.items():
            original = module.original
            if module.active is not None:
                with torch.no_grad():
                    delta = module.delta(module.active)
                    delta = delta.t() if is_transposed(original) else delta
                    module.weight.copy_(module.weight.float() + delta)
            replace(model, place, original)

    def changes(self, model: PreTrainedModel, base: Callable[[str], Tensor]) -> Iterator[tuple[str, float, float]]:  # noqa: ARG002
        """The active update of every target against its frozen weight."""
        for place, module in lora_places(model).items():
            if module.active is not None:
                delta = module.delta(module.active).detach()
                yield f"{place}.weight", float(delta.norm()), float(module.weight.float().norm())

    def peft_config(self, model: PreTrainedModel, name: str) -> dict[str, object]:
        """LoRA's own fields."""
        places = {place: module for place, module in lora_places(model).items() if name in module.names}
        return {
            "r": self.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": module_names(model, places),
            "fan_in_fan_out": any(is_transposed(module.original) for module in places.values()),
            "bias": "none",
            "use_rslora": self.variant == "rslora",
            "use_dora": self.variant == "dora",
            "modules_to_save": None,
        }

    def peft_tensors(self, model: PreTrainedModel, name: str) -> dict[str, Tensor]:
        """PEFT keeps the two matrices in linear maps of their own, so their keys end in `.weight`."""
        return {_key(key): p.detach() for key, p in adapter_parameters(model, name).items()}

    def put_tensors(self, model: PreTrainedModel, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Copy them in."""
        with torch.no_grad():
            for key, parameter in adapter_parameters(model, name).items():
                parameter.copy_(tensors[_key(key)])

    @classmethod
    def from_peft(cls, config: Mapping[str, object], recorded: Mapping[str, object]) -> "Config":
        """rank, alpha, dropout, variant from the config; the rest from what burnish recorded."""
        refuse_fields(config, NOT_READ)
        fields = {"rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout"}
        values = {ours: config.get(theirs, PEFT_DEFAULTS.get(ours, 0.0)) for ours, theirs in fields.items()}
        if config.get("use_rslora") and config.get("use_dora"):
            raise MethodError("use_rslora and use_dora are both set; burnish reads adapters with one of them")
        values["variant"] = "rslora" if config.get("use_rslora") else "dora" if config.get("use_dora") else "plain"
        targets = recorded.get("targets", config.get("target_modules"))
        values["targets"] = "all" if targets == "all-linear" else targets
        values["lr_ratio"] = recorded.get("lr_ratio", 1.0)
        return cls.model_validate(values)

    def exactly(self, model: PreTrainedModel, config: Mapping[str, object]) -> "Config":
        """The places that `target_modules` names, by PEFT's rules."""
        return self.model_copy(update={"targets": tuple(named_places(model, config))})


PEFT_DEFAULTS: dict[str, object] = {"rank": 8, "alpha": 8.0}  # what peft means by a field that a file leaves out
NOT_READ: dict[str, tuple[object, ...]] = {  # fields of LoRA's config, with the values that change nothing
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),  # others rewrite the base's weights
    "modules_to_save": (),
    "rank_pattern": (),
    "alpha_pattern": (),
    "layer_replication": (),
    "megatron_config": (),
    "lora_bias": (),
    "target_parameters": (),
    "trainable_token_indices": (),
    "use_qalora": (),
    "alora_invocation_tokens": (),
    "arrow_config": (),
    "use_bdlora": (),
}


def _key(key: str) -> str:
    """`…q_proj.lora_A` as PEFT's files call it."""
    return f"{PREFIX}{key}{'.weight' if key.endswith(('.lora_A', '.lora_B')) else ''}"


def _untie(model: PreTrainedModel) -> None:
    """Give a head that shares the table's weight one of its own, and say so in the config."""
    head, table = original_of(model.get_output_embeddings()), original_of(model.get_input_embeddings())
    if head.weight is table.weight:
        weight: Tensor = head.weight  # type: ignore[assignment]
        head.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    model.config.tie_word_embeddings = False
