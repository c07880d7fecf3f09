"""Full fine-tuning: the model's own weights train, all of them or the parts that a recipe names."""

import fnmatch
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from transformers import PreTrainedModel

from burnish.errors import MethodError, listed
from burnish.methods.method import MethodConfig, Start
from burnish.models.adapters import make_room
from burnish.models.seams import layers_of
from burnish.registry import did_you_mean

PARTS = ("all", "embeddings", "head", "norms", "biases", "last_N")


class Config(MethodConfig):
    """All parameters or some. The optimiser keeps fp32 master copies where the model computes in bf16."""

    name: ClassVar[str] = "full"
    why_unmergeable: ClassVar[str | None] = None

    train: str | tuple[str, ...] = Field(
        default=("all",),
        min_length=1,
        description="what trains: all, embeddings, head, norms, biases (BitFit), last_N blocks, or name patterns",
    )

    @property
    def makes_adapter(self) -> bool:
        """A whole model."""
        return False

    def learning_rate(self, parameters: int) -> float:
        """5e-5 up to 1 B parameters, then 2e-5."""
        return 5e-5 if parameters <= 1_000_000_000 else 2e-5

    def check(self, model: PreTrainedModel) -> None:
        """Every part names something."""
        chosen(model, self.train)

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:  # noqa: ARG002
        """Unfreeze what `train` names; nothing is added, so the model computes what it did."""
        make_room(model, name, ())
        for parameter in chosen(model, self.train).values():
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
        """Every tensor that trains against the base's; a tied one appears once."""
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                before = base(name).float()
                yield name, float((parameter.detach().float().cpu() - before).norm()), float(before.norm())


def chosen(model: PreTrainedModel, train: str | tuple[str, ...]) -> dict[str, nn.Parameter]:
    """The parameters that the parts name; raises `MethodError` naming each part that matches nothing."""
    train = (train,) if isinstance(train, str) else train
    every, found, problems = dict(model.named_parameters()), dict[str, nn.Parameter](), []
    for part in train:
        hits = _part(model, part, every)
        if not hits:
            near = "" if part in PARTS else did_you_mean(part, PARTS)
            problems.append(
                f'method.train: "{part}" matches no parameter of {type(model).__name__}; expected one of '
                f"{', '.join(PARTS)}, or a pattern such as *.mlp.*.{near}"
            )
        found |= hits
    if problems:
        raise MethodError(listed(problems))
    return found


def _part(model: PreTrainedModel, part: str, every: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    last = re.fullmatch(r"last_(\d+)", part)
    if last:
        layers = list(layers_of(model))
        wanted = _of(layers[max(0, len(layers) - int(last[1])) :] if int(last[1]) else [])
    elif part == "norms":
        wanted = _of([module for module in model.modules() if type(module).__name__.endswith("Norm")])
    elif part in ("embeddings", "head"):
        end = model.get_output_embeddings() if part == "head" else model.get_input_embeddings()
        wanted = _of([end])
    else:
        patterns = {"all": ("*",), "biases": ("*.bias",)}.get(part, (part, f"*.{part}"))
        return {name: p for name, p in every.items() if any(fnmatch.fnmatchcase(name, q) for q in patterns)}
    return {name: parameter for name, parameter in every.items() if id(parameter) in wanted}


def _of(modules: list[nn.Module]) -> set[int]:
    return {id(parameter) for module in modules for parameter in module.parameters()}
