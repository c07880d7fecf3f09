"""What the laws run on: every method that the registry finds, on every tiny architecture, with unkind documents."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor
from transformers import PreTrainedModel

from burnish.methods.method import Method, method_from, method_names
from burnish.models import attention
from burnish.training.trainer import Trainer
from burnish.types import TokenizedExample
from tests.tiny_models import ARCHITECTURES, tiny_model

REQUIRED = ("llama", "qwen3", "gpt2")  # where each forward is dear; everywhere else all of ARCHITECTURES
SMALL: dict[str, float] = {
    "rank": 4,
    "alpha": 12.0,
}  # where a method has them; alpha / rank is neither 1 nor 2


@dataclass(frozen=True)
class Case:
    """One method on one architecture."""

    method: str
    architecture: str
    dropout: float = 0.0

    def config(self) -> Method:
        """The method in a size for tiny models."""
        whole = method_from(self.method)
        assert isinstance(whole, BaseModel)
        wanted = SMALL | ({"dropout": self.dropout} if self.dropout else {})
        fields = {name: value for name, value in wanted.items() if name in type(whole).model_fields}
        return method_from({"name": self.method, **fields})

    def trainer(self, *, capacity: int = 64, dtype: torch.dtype = torch.float32, **options: float) -> Trainer:
        """A trainer on a frozen tiny model; what trains is moved off its start, so that no update is zero."""
        model = frozen(self.architecture, dtype)
        trainer = Trainer(model, self.config(), micro_batch_tokens=capacity, **options)  # type: ignore[arg-type]
        stir(trainer)
        return trainer


def cases(
    architectures: Sequence[str] = ARCHITECTURES, *, dropout: bool = False, spare_models: bool = False
) -> pytest.MarkDecorator:
    """Parametrise a law over `case`: all methods on the architectures; with dropout on too where a method has it.

    `spare_models` leaves a method that makes a whole model to the required architectures: to a law about what is
    computed, such a model is like any other.
    """
    found = [
        Case(method, architecture)
        for method in method_names()
        for architecture in architectures
        if architecture in REQUIRED or not spare_models or method_from(method).makes_adapter
    ]
    if dropout:
        found += [Case(c.method, c.architecture, 0.3) for c in found if has_dropout(c.method)]
    return pytest.mark.parametrize("case", found, ids=_label)


def _label(case: Case) -> str:
    return f"{case.method}-{case.architecture}" + ("-dropout" if case.dropout else "")


def has_dropout(method: str) -> bool:
    """Whether a method's settings know dropout."""
    config = method_from(method)
    assert isinstance(config, BaseModel)
    return "dropout" in type(config).model_fields


def frozen(architecture: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A tiny model as `load_base` gives one: frozen, in eval mode, with burnish's attention."""
    model = tiny_model(architecture).to(dtype)
    model.set_attn_implementation(attention.NAME)
    return model.requires_grad_(False)


def stir(trainer: Trainer, seed: int = 1) -> None:
    """Add seeded noise to everything that trains: LoRA's B starts at zero and would hide its half of every law."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(trainer.optimizer.parameters.items()):
            noise = torch.randn(parameter.shape, generator=generator) * 0.05
            parameter.add_(noise.to(parameter.dtype))
            trainer.optimizer.masters[name].copy_(parameter)


def documents(seed: int = 0, lengths: Sequence[int] = (3, 20, 2, 33, 20, 9, 70, 5)) -> list[TokenizedExample]:
    """Documents of random tokens; trained places come in runs with gaps, and one document has a single target."""
    draw = random.Random(seed)
    found = []
    for number, length in enumerate(lengths):
        tokens = tuple(draw.randrange(3, 340) for _ in range(length))
        trained = tuple(place > 0 and (place == length - 1 or draw.random() < 0.6) for place in range(length))
        found.append(TokenizedExample(f"d{number}", tokens, trained))
    return found


def gradient(trainer: Trainer) -> Tensor:
    """All accumulated gradients as one vector, in the order of the names."""
    parts = [
        (torch.zeros_like(p) if p.grad is None else p.grad).detach().float().flatten()
        for _, p in sorted(trainer.optimizer.parameters.items())
    ]
    return torch.cat(parts)


def distance(a: Tensor, b: Tensor) -> float:
    """||a - b|| / ||b||."""
    return float((a.double() - b.double()).norm() / b.double().norm())
