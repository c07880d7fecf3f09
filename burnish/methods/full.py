"""Full fine-tuning: every weight of the model trains."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import ClassVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from burnish.errors import MethodError
from burnish.methods.method import MethodConfig, Start


class Config(MethodConfig):
    """All parameters. The optimiser keeps fp32 master copies where the model computes in bf16."""

    name: ClassVar[str] = "full"
    virtual_tokens: ClassVar[int] = 0
    first_position: ClassVar[int] = 0
    makes_adapter: ClassVar[bool] = False

    def learning_rate(self, parameters: int) -> float:
        """5e-5 up to 1 B parameters, then 2e-5."""
        return 5e-5 if parameters <= 1_000_000_000 else 2e-5

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:  # noqa: ARG002
        """Unfreeze everything; nothing is added, so the model computes what it did."""
        for parameter in model.parameters():
            parameter.requires_grad_(True)

    def disabled(self, model: PreTrainedModel) -> AbstractContextManager[None]:
        """Does not exist: the base is gone from memory once a step was taken."""
        raise MethodError(
            f"full fine-tuning changes {type(model).__name__}'s own weights, so the base cannot be switched on again; "
            "load it from disk"
        )

    def merge(self, model: PreTrainedModel) -> None:
        """Nothing to do: the change is in the model's tensors."""
        for parameter in model.parameters():
            parameter.requires_grad_(False)

    def changes(self, model: PreTrainedModel, base: Callable[[str], Tensor]) -> Iterator[tuple[str, float, float]]:
        """Every tensor against the base's; a tied one appears once."""
        for name, parameter in model.named_parameters():
            before = base(name).to(torch.float32)
            yield name, float((parameter.detach().float().cpu() - before).norm()), float(before.norm())
