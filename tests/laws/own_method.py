"""A method of a user's own, as a recipe names it by its path: one trained number for each output of every MLP."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from burnish.methods.method import MethodConfig, Start
from burnish.models.adapters import Switched, make_room, new_parameter
from burnish.models.seams import blocks_of


class Shift(Switched):
    """What is added to an MLP's output."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.ParameterDict()

    def after(self, module: nn.Module, given: Any, output: Tensor) -> Tensor:
        return output if self.active is None else output + self.shift[self.active].to(output.dtype)


class Config(MethodConfig):
    """Trained shifts."""

    name: ClassVar[str] = "own"

    def learning_rate(self, parameters: int) -> float:
        return 1e-2

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:
        make_room(model, name, Shift)
        table = model.get_input_embeddings().weight
        for mlp in (model.get_submodule(block.mlp) for block in blocks_of(model)):
            shift = getattr(mlp, "shift", None) or Shift()
            if shift not in mlp.children():
                mlp.add_module("shift", shift)
                mlp.register_forward_hook(shift.after)
            shift.shift[name] = new_parameter(torch.zeros(table.shape[1]), table)
            shift.active = name
