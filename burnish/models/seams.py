"""The linear seam: which modules of a model a method can put itself in place of, by name."""

import fnmatch
from collections.abc import Sequence
from typing import TypeAlias, TypeGuard

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from burnish.errors import MethodError
from burnish.registry import did_you_mean

Linear: TypeAlias = nn.Linear | Conv1D  # Conv1D (GPT-2) keeps its weight as [in, out]
PRESETS = {
    "attention": ("*attn*", "*attention*"),
    "mlp": ("*mlp*", "*feed_forward*"),
}


def is_linear(module: nn.Module) -> TypeGuard[Linear]:
    """A plain linear map: `nn.Linear`, or GPT-2's `Conv1D`, whose weight is transposed."""
    return type(module) in (nn.Linear, Conv1D)


def sizes_of(linear: Linear) -> tuple[int, int]:
    """(in, out) features."""
    rows, columns = linear.weight.shape
    return (rows, columns) if is_transposed(linear) else (columns, rows)


def is_transposed(linear: Linear) -> bool:
    """True for `Conv1D`, which keeps its weight as [in, out]."""
    return isinstance(linear, Conv1D)


def block_linears(model: PreTrainedModel) -> dict[str, Linear]:
    """Every linear map of the model's blocks by its full name; head and embeddings are not among them."""
    head = model.get_output_embeddings()
    found = {name: module for name, module in model.named_modules() if is_linear(module) and module is not head}
    if not found:
        raise MethodError(f"{type(model).__name__} has no linear maps in its blocks that a method could work on")
    return found


def matching(model: PreTrainedModel, targets: str | Sequence[str]) -> dict[str, Linear]:
    """The linear maps that `targets` names: "all", a preset, module names (`q_proj`) or patterns (`*.0.*`).

    Raises `MethodError` naming each target that matches nothing.
    """
    linears = block_linears(model)
    wanted = [targets] if isinstance(targets, str) else list(targets)
    chosen: dict[str, Linear] = {}
    for target in wanted:
        patterns = ("*",) if target == "all" else PRESETS.get(target, (target, f"*.{target}"))
        hits = {n: m for n, m in linears.items() if any(fnmatch.fnmatchcase(n, p) for p in patterns)}
        if not hits:
            names = sorted({name.rpartition(".")[2] for name in linears})
            raise MethodError(
                f'method.targets: "{target}" matches no linear map of {type(model).__name__}; '
                f"it has {', '.join(names)}.{did_you_mean(target, names)}"
            )
        chosen.update(hits)
    return {name: linears[name] for name in linears if name in chosen}


def replace(model: PreTrainedModel, name: str, module: nn.Module) -> None:
    """Put `module` where the module called `name` stands."""
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """The list of blocks: the longest `ModuleList` of the base model."""
    lists = [module for module in model.base_model.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise MethodError(f"{type(model).__name__} has no list of blocks")
    return max(lists, key=len)


def trained(model: PreTrainedModel) -> dict[str, torch.nn.Parameter]:
    """What trains, by name: exactly what has `requires_grad`; a tied tensor appears once."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}
