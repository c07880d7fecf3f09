"""Bottleneck adapters (Houlsby et al. 2019, section 2): a small network with a skip connection after a sublayer.

`houlsby` puts one after attention and one after the MLP of every block, before the sublayer's own skip connection;
`pfeiffer` (Pfeiffer et al. 2021) one after the MLP.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PreTrainedModel

from burnish.methods.method import MethodConfig, Start
from burnish.models.adapters import Adapted, Switched, make_room, new_parameter
from burnish.models.seams import blocks_of, layers_of, replace

Activation = Literal["silu", "gelu", "relu", "tanh"]
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "relu": F.relu,
    "tanh": torch.tanh,
}
DOWN_STD = 1e-2  # of the first map's start (Houlsby et al., section 3.6)


class Bottleneck(Switched):
    """h + up(activation(down(h))) after a sublayer, whose child it is; adapters by name."""

    def __init__(self) -> None:
        super().__init__()
        self.down_weight, self.down_bias = nn.ParameterDict(), nn.ParameterDict()
        self.up_weight, self.up_bias = nn.ParameterDict(), nn.ParameterDict()
        self.activations: dict[str, Activation] = {}

    def add(self, name: str, config: "Config", width: int, generator: torch.Generator, beside: Tensor) -> None:
        """A new network, near the identity."""
        small = max(1, width // config.reduction)
        down, up = (torch.randn(shape, generator=generator) for shape in ((small, width), (width, small)))
        self.down_weight[name] = new_parameter(down * DOWN_STD, beside)
        self.down_bias[name] = new_parameter(torch.zeros(small), beside)
        self.up_weight[name] = new_parameter(up * config.start_scale, beside)
        self.up_bias[name] = new_parameter(torch.zeros(width), beside)
        self.activations[name] = config.activation
        self.active = name

    def forward(self, h: Float[Tensor, "*places hidden"]) -> Float[Tensor, "*places hidden"]:
        """What the sublayer gave, changed by the active network."""
        name = self.active
        if name is None:
            return h
        weights = (self.down_weight, self.down_bias, self.up_weight, self.up_bias)
        down, down_bias, up, up_bias = (tensors[name].to(h.dtype) for tensors in weights)
        small = ACTIVATIONS[self.activations[name]](F.linear(h, down, down_bias))
        return h + F.linear(small, up, up_bias)

    def after(self, module: nn.Module, arguments: object, output: object) -> object:  # noqa: ARG002
        """The forward hook of the sublayer; some give a tuple, whose first part goes on in the block."""
        if self.active is None:
            return output
        return (self(output[0]), *output[1:]) if isinstance(output, tuple) else self(output)


class TrainedNorm(Adapted):
    """A norm with trained copies of its tensors by name."""

    def __init__(self, original: nn.Module, place: str) -> None:
        super().__init__(original, place)
        for kind, _ in original.named_parameters(recurse=False):
            self.add_module(f"norm_{kind}", nn.ParameterDict())

    def add(self, name: str) -> None:
        """A copy of the base's tensors."""
        for kind, parameter in self.original.named_parameters(recurse=False):
            self.held[f"norm_{kind}"][name] = new_parameter(parameter.clone(), parameter)
        self.active = name

    def forward(self, x: Float[Tensor, "*places hidden"]) -> Float[Tensor, "*places hidden"]:
        """The norm with the active copy."""
        name = self.active
        if name is None:
            plain: Tensor = self.original(x)
            return plain
        own = dict(self.original.named_parameters(recurse=False))
        tensors = {kind: self.held[f"norm_{kind}"][name].to(parameter.dtype) for kind, parameter in own.items()}
        y: Tensor = functional_call(self.original, tensors, (x,))
        return y


class Config(MethodConfig):
    """Small networks after the sublayers of every block."""

    name: ClassVar[str] = "bottleneck"
    why_unmergeable: ClassVar[str | None] = (
        "its networks are not linear and stand between the base's layers, so no weight of the base can hold them"
    )

    variant: Literal["houlsby", "pfeiffer"] = Field(
        default="houlsby", description="houlsby: after attention and MLP; pfeiffer: after the MLP"
    )
    reduction: int = Field(default=16, ge=1, description="how many times narrower than the model the networks are")
    activation: Activation = Field(default="silu", description="between the two maps")
    start_scale: float = Field(
        default=1e-3, ge=0, description="standard deviation of the second map's start; 0 starts at the identity"
    )
    norms: bool = Field(default=False, description="the blocks' norms train too, as in the paper")

    def learning_rate(self, parameters: int) -> float:  # noqa: ARG002
        """1e-3."""
        return 1e-3

    def check(self, model: PreTrainedModel) -> None:
        """Every block has an attention and an MLP."""
        blocks_of(model)

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:
        """Hook a network behind every chosen sublayer and freeze everything else."""
        blocks = blocks_of(model)
        make_room(model, name, (Bottleneck, TrainedNorm))
        table: Tensor = model.get_input_embeddings().weight
        width = model.config.get_text_config().hidden_size
        for block in blocks:
            for place in (block.attention, block.mlp) if self.variant == "houlsby" else (block.mlp,):
                sublayer = model.get_submodule(place)
                network = getattr(sublayer, "bottleneck", None)
                if network is None:
                    network = Bottleneck()
                    sublayer.add_module("bottleneck", network)
                    sublayer.register_forward_hook(network.after)
                network.add(name, self, width, start.generator, table)
        if self.norms:
            _train_norms(model, name)


def _train_norms(model: PreTrainedModel, name: str) -> None:
    """Trained copies of the norms that stand directly in the blocks."""
    names = {id(module): place for place, module in model.named_modules()}
    for layer in layers_of(model):
        for _, child in list(layer.named_children()):
            module = child
            if type(child).__name__.endswith("Norm") and not isinstance(child, TrainedNorm):
                module = TrainedNorm(child, names[id(child)])
                replace(model, module.place, module)
            if isinstance(module, TrainedNorm):
                module.add(name)
