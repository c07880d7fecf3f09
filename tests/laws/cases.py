"""What the laws run on: every method that the registry finds, on every tiny architecture, with unkind documents."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from torch import Tensor
from transformers import PreTrainedModel

from burnish.methods.method import Method, Start, method_from, method_names, variants_of
from burnish.models import attention
from burnish.training.trainer import Trainer
from burnish.types import TokenizedExample
from tests.tiny_models import ARCHITECTURES, tiny_model

OWN = str(Path(__file__).with_name("own_method.py"))  # a method by its path, which nothing else knows
SMALL: dict[str, object] = {  # where a method has them; alpha / rank is neither 1 nor 2
    "rank": 4,
    "alpha": 12.0,
    "length": 5,
    "reduction": 6,
}
OPTIONS: dict[tuple[str, str], dict[str, object]] = {  # beside each variant that a method's field `variant` knows
    ("full", "parts"): {"train": ["embeddings", "last_1", "norms"]},
    ("lora", "ends"): {"targets": ["attention", "head", "embeddings"]},
    ("bottleneck", "norms"): {"norms": True, "variant": "pfeiffer"},
    ("prefix", "random"): {"start": "random"},
}
START = (17, 5, 9)  # tokens of a text to start from, shorter than `length`


@dataclass(frozen=True)
class Case:
    """One method on one architecture."""

    method: str
    architecture: str
    dropout: float = 0.0
    option: str = ""

    def config(self) -> Method:
        """The method in a size for tiny models."""
        fields = dict(OPTIONS.get((self.method, self.option), {"variant": self.option} if self.option else {}))
        fields |= {"dropout": self.dropout} if self.dropout else {}
        known = known_fields(self.method)
        fields |= {name: value for name, value in SMALL.items() if name in known}
        return method_from({"path": OWN} if self.method == "own" else {"name": self.method, **fields})

    def attached(self, dtype: torch.dtype = torch.float32, seed: int = 0) -> tuple[PreTrainedModel, Method]:
        """A frozen tiny model with the method at its start."""
        model, method = frozen(self.architecture, dtype), self.config()
        method.attach(model, start(seed))
        return model, method

    def trainer(
        self,
        *,
        capacity: int = 64,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        **options: float,
    ) -> Trainer:
        """A trainer on a frozen tiny model; what trains is moved off its start, so that no update is zero."""
        model = frozen(self.architecture, dtype).to(device)
        trainer = Trainer(
            model,
            self.config(),
            micro_batch_tokens=capacity,
            start=start(),
            **options,  # type: ignore[arg-type]
        )
        stir(trainer)
        return trainer


def start(seed: int = 0) -> Start:
    """What every case starts from."""
    return Start(torch.Generator().manual_seed(seed), START)


def known_fields(method: str) -> dict[str, FieldInfo]:
    """The settings of a method."""
    config = method_from({"path": OWN} if method == "own" else method)
    assert isinstance(config, BaseModel)
    return dict(type(config).model_fields)


def options_of(method: str) -> list[str]:
    """Variants that the field `variant` knows beside its default, and the options above."""
    variants = variants_of(method_from(method))
    return [*variants[1:], *(option for name, option in OPTIONS if name == method)]


def cases(
    architectures: Sequence[str] = ARCHITECTURES,
    *,
    dropout: bool = False,
    options: bool = True,
) -> pytest.MarkDecorator:
    """Parametrise a law over `case`: every method, variant and option on each of the architectures.

    With `dropout` those that have it run with it too.
    """
    found = [Case(method, architecture) for method in method_names() for architecture in architectures]
    if options:
        found += [
            Case(method, architecture, option=option)
            for method in method_names()
            for option in options_of(method)
            for architecture in architectures
        ]
        found += [Case("own", architectures[0])]
    if dropout:
        found += [Case(c.method, c.architecture, 0.3, c.option) for c in found if has_dropout(c.method)]
    return pytest.mark.parametrize("case", found, ids=_label)


def _label(case: Case) -> str:
    parts = [case.method, case.option, case.architecture, "dropout" if case.dropout else ""]
    return "-".join(part for part in parts if part)


def has_dropout(method: str) -> bool:
    """Whether a method's settings know dropout."""
    return "dropout" in known_fields(method)


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
            parameter.add_(noise.to(parameter))
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
