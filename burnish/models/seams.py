"""The linear and the sublayer seam: where in a model a method can put itself, by name."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from burnish.errors import MethodError, listed
from burnish.models.adapters import original_of
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


def is_transposed(linear: nn.Module) -> bool:
    """True for `Conv1D`, which keeps its weight as [in, out]."""
    return isinstance(linear, Conv1D)


def block_linears(model: PreTrainedModel) -> dict[str, Linear]:
    """Every linear map of the model's blocks by its full name; head and embeddings are not among them."""
    head = original_of(model.get_output_embeddings())
    every = {name: original_of(module) for name, module in model.named_modules()}
    found = {name: module for name, module in every.items() if is_linear(module) and module is not head}
    if not found:
        raise MethodError(f"{type(model).__name__} has no linear maps in its blocks that a method could work on")
    return found


def ends_of(model: PreTrainedModel) -> dict[str, tuple[str, nn.Module]]:
    """ "head" and "embeddings" with the name and the base's module of each, where it is a linear map or a table."""
    wanted = {"head": model.get_output_embeddings(), "embeddings": model.get_input_embeddings()}
    names = {id(module): name for name, module in model.named_modules()}
    found = {}
    for end, module in wanted.items():
        if module is not None and (is_linear(original_of(module)) or isinstance(original_of(module), nn.Embedding)):
            found[end] = (names[id(module)], original_of(module))
    return found


def matching(model: PreTrainedModel, targets: str | Sequence[str], *, ends: bool = False) -> dict[str, nn.Module]:
    """The linear maps that `targets` names: "all", a preset, module names (`q_proj`) or patterns (`*.0.*`).

    With `ends`, "head" and "embeddings" (or the names of these modules) name them too; "all" does not. Raises
    `MethodError` naming each target that matches nothing.
    """
    linears = block_linears(model)
    others = ends_of(model) if ends else {}
    wanted = [targets] if isinstance(targets, str) else list(targets)
    chosen: dict[str, nn.Module] = {}
    problems = []
    for target in wanted:
        patterns = ("*",) if target == "all" else PRESETS.get(target, (target, f"*.{target}"))
        hits: dict[str, nn.Module] = {
            n: m for n, m in linears.items() if any(fnmatch.fnmatchcase(n, p) for p in patterns)
        }
        hits |= {n: m for end, (n, m) in others.items() if target in (end, n, n.rpartition(".")[2])}
        if not hits:
            names = sorted({name.rpartition(".")[2] for name in linears} | set(others))
            problems.append(
                f'method.targets: "{target}" matches no linear map of {type(model).__name__}; '
                f"it has {', '.join(names)}.{did_you_mean(target, names)}"
            )
        chosen.update(hits)
    if problems:
        raise MethodError(listed(problems))
    order = {name: at for at, (name, _) in enumerate(model.named_modules())}
    return dict(sorted(chosen.items(), key=lambda item: order[item[0]]))


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


@dataclass(frozen=True, slots=True)
class Block:
    """The two sublayers of a block, by their full names in the model."""

    attention: str
    mlp: str


def blocks_of(model: PreTrainedModel) -> list[Block]:
    """Attention and MLP of every block, in order.

    Raises `MethodError` where a block does not consist of one attention and one MLP, as in mixtures of experts whose
    experts are no linear maps, or in recurrent models.
    """
    names = {id(module): name for name, module in model.named_modules()}
    found = []
    for layer in layers_of(model):
        parts: dict[str, list[str]] = {"attention": [], "mlp": []}
        for name, child in layer.named_children():
            if not any(is_linear(original_of(module)) for module in child.modules()):
                continue  # a norm may be called post_attention_layernorm
            for part, patterns in PRESETS.items():
                if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                    parts[part].append(names[id(child)])
        if [len(part) for part in parts.values()] != [1, 1]:
            lacking = "attention" if len(parts["attention"]) != 1 else "MLP"
            raise MethodError(
                f"{type(model).__name__}: the block {names[id(layer)]} has no single {lacking} with linear maps, which "
                "this method works on; lora fits every linear map"
            )
        found.append(Block(parts["attention"][0], parts["mlp"][0]))
    return found


def trained(model: PreTrainedModel) -> dict[str, torch.nn.Parameter]:
    """What trains, by name: exactly what has `requires_grad`; a tied tensor appears once."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}
