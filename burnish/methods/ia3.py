"""(IA)3 (Liu et al. 2022, section 3.3): trained scales on keys, values and the inside of the MLP."""

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from transformers import PreTrainedModel

from burnish.errors import MethodError
from burnish.methods.method import MethodConfig, Start, refuse_fields
from burnish.methods.peft_targets import module_names, named_places
from burnish.models.adapters import Adapted, make_room, new_parameter, switched
from burnish.models.seams import block_linears, blocks_of, is_transposed, matching, replace, sizes_of

KEYS_AND_VALUES = frozenset(
    {"k_proj", "v_proj", "key", "value", "c_attn", "qkv_proj", "query_key_value", "Wqkv", "attn_qkv"}
)  # fused maps are scaled whole, as PEFT does


class ScaledLinear(Adapted):
    """A linear map whose outputs (or, inside the MLP, inputs) are scaled by adapters by name."""

    def __init__(self, original: nn.Module, place: str, inside: bool) -> None:
        super().__init__(original, place)
        self.ia3_l = nn.ParameterDict()
        self.inside = inside

    def add(self, name: str) -> None:
        """Scales of one, so that nothing changes yet; [1, in] inside the MLP, else [out, 1], as in PEFT's files."""
        width_in, width_out = sizes_of(self.original)
        shape = (1, width_in) if self.inside else (width_out, 1)
        self.ia3_l[name] = new_parameter(torch.ones(shape), self.weight)
        self.active = name

    def forward(self, x: Float[Tensor, "*places width_in"]) -> Float[Tensor, "*places width_out"]:
        """The base's product, scaled by the active adapter."""
        y: Tensor
        if self.active is None:
            y = self.original(x)
            return y
        beyond = (self.ia3_l[self.active].flatten() - 1).to(x.dtype)  # 1.003 is 1 in bf16, 0.003 is not 0
        if self.inside:
            y = self.original(torch.addcmul(x, x, beyond))
        else:
            y = self.original(x)
            y = torch.addcmul(y, y, beyond)
        return y

    @torch.no_grad()
    def scaled(self, name: str) -> Float[Tensor, "rows columns"]:
        """The base's weight with the scales in it, in fp32 and in the base's orientation."""
        scale = self.ia3_l[name]
        scaled: Tensor = self.weight.float() * (scale.t() if is_transposed(self.original) else scale)
        return scaled


def ia3_places(model: PreTrainedModel) -> dict[str, ScaledLinear]:
    """Where scales stand, by name."""
    return {place: module for place, module in switched(model).items() if isinstance(module, ScaledLinear)}


class Config(MethodConfig):
    """Trained scales on keys, values and the inside of the MLP."""

    name: ClassVar[str] = "ia3"
    peft_type: ClassVar[str] = "IA3"
    readers: ClassVar[str] = "peft"
    why_unmergeable: ClassVar[str | None] = None

    targets: str | tuple[str, ...] = Field(
        default="auto", min_length=1, description="linear maps; auto: keys, values and the last map of each MLP"
    )
    feedforward: str | tuple[str, ...] = Field(
        default=(), description="those of the targets whose inputs are scaled; with auto: the last map of each MLP"
    )

    @model_validator(mode="after")
    def _feedforward_is_used(self) -> "Config":
        if self.feedforward and self.targets == "auto":
            raise ValueError("feedforward names some of the targets, so name all of these in targets too")
        return self

    def learning_rate(self, parameters: int) -> float:  # noqa: ARG002
        """1.5e-2."""
        return 1.5e-2

    def check(self, model: PreTrainedModel) -> None:
        """Keys, values and the inside of the MLP are found."""
        self._places(model)

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:  # noqa: ARG002
        """Put scales on every target and freeze everything else."""
        outside, inside = self._places(model)
        make_room(model, name, ScaledLinear)
        present = ia3_places(model)
        for place, module in present.items():
            if place in {**outside, **inside} and module.inside != (place in inside):
                raise MethodError(f"{place}: another adapter scales its {'inputs' if module.inside else 'outputs'}")
        for place, original in {**outside, **inside}.items():
            module = present.get(place) or ScaledLinear(original, place, place in inside)
            module.add(name)
            if place not in present:
                replace(model, place, module)

    def _places(self, model: PreTrainedModel) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
        if self.targets != "auto":
            chosen = matching(model, self.targets)
            inside = matching(model, self.feedforward) if self.feedforward else {}
            return {place: module for place, module in chosen.items() if place not in inside}, inside
        linears = block_linears(model)
        outside, inside = dict[str, nn.Module](), dict[str, nn.Module]()
        for block in blocks_of(model):
            own = {n: m for n, m in linears.items() if n.startswith(f"{block.attention}.")}
            named = {n: m for n, m in own.items() if n.rpartition(".")[2] in KEYS_AND_VALUES}
            if not named:
                names = ", ".join(sorted({n.rpartition(".")[2] for n in own}))
                raise MethodError(
                    f"{type(model).__name__}: which linear maps of {block.attention} make keys and values is not known "
                    f"(it has {names}); name them in method.targets and the MLP's last in method.feedforward"
                )
            outside |= named
            _refuse_experts(model, block.mlp)
            last = [n for n in linears if n.startswith(f"{block.mlp}.")][-1]
            inside[last] = linears[last]
        return outside, inside

    def merge(self, model: PreTrainedModel) -> None:
        """Scales into weights and biases, in fp32, rounded once; the base's modules come back."""
        modules = ia3_places(model)
        if not modules:
            raise MethodError(f"{type(model).__name__} carries no (IA)3 scales to merge")
        for place, module in modules.items():
            original = module.original
            if module.active is not None:
                bias: Tensor | None = getattr(original, "bias", None)
                with torch.no_grad():
                    module.weight.copy_(module.scaled(module.active))
                    if bias is not None and not module.inside:
                        bias.copy_(bias.float() * module.ia3_l[module.active].flatten())
            replace(model, place, original)

    def changes(self, model: PreTrainedModel, base: Callable[[str], Tensor]) -> Iterator[tuple[str, float, float]]:  # noqa: ARG002
        """The scaled weight of every target against the frozen one."""
        for place, module in ia3_places(model).items():
            if module.active is not None:
                weight = module.weight.float()
                yield f"{place}.weight", float((module.scaled(module.active) - weight).norm()), float(weight.norm())

    def peft_config(self, model: PreTrainedModel, name: str) -> dict[str, object]:
        """(IA)3's own fields."""
        places = {place: module for place, module in ia3_places(model).items() if name in module.names}
        inside = [place for place, module in places.items() if module.inside]
        targets, feedforward = module_names(model, places), module_names(model, inside)
        # PEFT finds the inside by the end of the name; where a short name would name others too, all are written whole
        if any(place.endswith(f".{end}") for end in feedforward for place in set(places) - set(inside)):
            targets, feedforward = sorted(places), sorted(inside)
        return {
            "target_modules": targets,
            "feedforward_modules": feedforward,
            "fan_in_fan_out": any(is_transposed(module.original) for module in places.values()),
            "modules_to_save": None,
        }

    @classmethod
    def from_peft(cls, config: Mapping[str, object], recorded: Mapping[str, object]) -> "Config":
        """The places from the config; where burnish wrote the file, as its recipe named them."""
        refuse_fields(config, {"modules_to_save": ()})
        targets = recorded.get("targets", config.get("target_modules"))
        feedforward = recorded.get("feedforward", config.get("feedforward_modules") or ())
        return cls.model_validate({"targets": targets, "feedforward": feedforward})

    def exactly(self, model: PreTrainedModel, config: Mapping[str, object]) -> "Config":
        """The places that the config names, by PEFT's rules."""
        places = named_places(model, config)
        inside = set(named_places(model, config, "feedforward_modules")) if config.get("feedforward_modules") else set()
        feedforward = tuple(place for place in places if place in inside)
        return self.model_copy(update={"targets": tuple(places), "feedforward": feedforward})


def _refuse_experts(model: PreTrainedModel, mlp: str) -> None:
    """In a mixture of experts the last linear map is one expert's, or the router's."""
    module = model.get_submodule(mlp)
    fused = any(parameter.ndim > 2 for parameter in module.parameters())
    if fused or any(isinstance(part, nn.ModuleList) for part in module.modules()):
        raise MethodError(
            f"{type(model).__name__}: {mlp} holds several experts, so which map ends it is not known; name the maps in "
            "method.targets and method.feedforward"
        )
