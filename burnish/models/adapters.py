"""Adapters by name: the places of a model where they stand, which one is active, and their tensors."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from burnish.errors import MethodError
from burnish.registry import did_you_mean
from burnish.types import Frame


class Switched(nn.Module):
    """One place: adapters by name, of which one is active or none.

    Every tensor stands in an `nn.ParameterDict` under its adapter's name: `…q_proj.lora_A.default` is what the adapter
    "default" trains there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.active: str | None = None

    @property
    def held(self) -> dict[str, nn.ParameterDict]:
        """The dictionaries of tensors by what they are: `lora_A`, `lora_B`, …"""
        return {kind: child for kind, child in self.named_children() if isinstance(child, nn.ParameterDict)}

    @property
    def names(self) -> set[str]:
        """The adapters that have a tensor here."""
        return {name for tensors in self.held.values() for name in tensors}

    def frame(self) -> Frame:
        """What the active adapter puts before every document; nothing, for most."""
        return Frame()


class Adapted(Switched):
    """Stands in place of a module of the base and shows the base's own tensors under their names."""

    weight: Tensor  # the base's; `bias` too, where it has one

    def __init__(self, original: nn.Module, place: str) -> None:
        super().__init__()
        self.place = place
        # the same dictionaries, so that whatever casts, moves or replaces a tensor of the one does it to the other
        self._parameters, self._buffers = original._parameters, original._buffers
        self._non_persistent_buffers_set = original._non_persistent_buffers_set
        self._original = (original,)  # in a tuple, so that it is no submodule

    @property
    def original(self) -> nn.Module:
        """The module that stood here."""
        return self._original[0]


def original_of(module: nn.Module) -> nn.Module:
    """The base's module at a place, whether or not something stands in front of it."""
    return module.original if isinstance(module, Adapted) else module


def switched(model: nn.Module) -> dict[str, Switched]:
    """Every place that holds adapters, by its name in the model."""
    return {place: module for place, module in model.named_modules() if isinstance(module, Switched)}


def adapter_names(model: nn.Module) -> list[str]:
    """Names of the adapters that a model carries, sorted."""
    return sorted({name for module in switched(model).values() for name in module.names})


def activate(model: nn.Module, name: str) -> None:
    """Switch to an adapter by its name; raises `MethodError` where the model carries none of that name."""
    known = adapter_names(model)
    if name not in known:
        there = f"it carries {', '.join(known)}" if known else "it carries none"
        raise MethodError(f'no adapter named "{name}" is attached to this model; {there}.{did_you_mean(name, known)}')
    for module in switched(model).values():
        module.active = name if name in module.names else None


def remove(model: nn.Module, name: str) -> None:
    """Forget an adapter; its places stay, and without an active adapter they are the base's."""
    for module in switched(model).values():
        module.active = None if module.active == name else module.active
        for tensors in module.held.values():
            if name in tensors:
                del tensors[name]


@contextmanager
def switched_off(model: nn.Module) -> Iterator[None]:
    """The base, bit for bit, while this lasts."""
    active = [(module, module.active) for module in switched(model).values()]
    for module, _ in active:
        module.active = None
    try:
        yield
    finally:
        for module, name in active:
            module.active = name


def adapter_parameters(model: nn.Module, name: str) -> dict[str, nn.Parameter]:
    """An adapter's tensors by place and kind: `…q_proj.lora_A`."""
    return {
        f"{place}.{kind}": tensors[name]
        for place, module in switched(model).items()
        for kind, tensors in module.held.items()
        if name in tensors
    }


def make_room(model: nn.Module, name: str, kinds: type[Switched] | tuple[type[Switched], ...]) -> None:
    """Freeze the model and switch everything off, for a new adapter of a method whose places are of `kinds`.

    Raises `MethodError` on a name that is taken or cannot be one, and where another method's adapters stand.
    """
    if not name.isidentifier() or hasattr(nn.ParameterDict, name):
        raise MethodError(f'"{name}" cannot name an adapter; use letters, digits and underscores, as in "tickets_2"')
    if name in adapter_names(model):
        raise MethodError(
            f'an adapter named "{name}" is attached to this {type(model).__name__} already; choose another'
        )
    others = sorted({type(m).__name__ for m in switched(model).values() if not isinstance(m, kinds)})
    if others:
        raise MethodError(
            f"this {type(model).__name__} carries adapters of another method ({', '.join(others)}); "
            "adapters that are switched by name must be of one method: load the base anew"
        )
    for module in switched(model).values():
        module.active = None
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def frame_of(model: nn.Module) -> Frame:
    """What the active adapter puts before every document."""
    frames = [module.frame() for module in switched(model).values()]
    slots, first = max((f.slots for f in frames), default=0), max((f.first for f in frames), default=0)
    return Frame(slots, first)


def new_parameter(value: Tensor, beside: Tensor) -> nn.Parameter:
    """A trained tensor: fp32 whatever the base is in, on the device of the base's own tensor."""
    return nn.Parameter(value.detach().to(beside.device, torch.float32))
