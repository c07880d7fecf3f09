"""What every method can do, and how one is found: by its file's name, or by the path of a file that a recipe names."""

import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor
from transformers import PreTrainedModel

from burnish.errors import MethodError, RecipeError, listed
from burnish.registry import did_you_mean, module_named, names_in

PACKAGE = "burnish.methods"


@dataclass(frozen=True, slots=True)
class Start:
    """What a method starts from: the run's generator, and tokens of a text where it starts from one."""

    generator: torch.Generator
    tokens: tuple[int, ...] | None = None


@runtime_checkable
class Method(Protocol):
    """A method; attaching one decides what trains by `requires_grad`, and nothing else does (rule 1)."""

    name: ClassVar[str]

    @property
    def virtual_tokens(self) -> int:
        """Places that the packer reserves before each document."""
        ...

    @property
    def first_position(self) -> int:
        """Where a document's positions begin."""
        ...

    @property
    def makes_adapter(self) -> bool:
        """True where the result is a small file beside an unchanged base; False where it is a whole model."""
        ...

    def learning_rate(self, parameters: int) -> float:
        """The rate that `auto` means for a base of so many parameters."""
        ...

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:
        """Add what trains to the model and freeze the rest."""
        ...

    def disabled(self, model: PreTrainedModel) -> AbstractContextManager[None]:
        """The base, bit for bit, while the context lasts."""
        ...

    def merge(self, model: PreTrainedModel) -> None:
        """Fold the change into the base's own tensors and leave no trace of the method."""
        ...

    def changes(self, model: PreTrainedModel, base: Callable[[str], Tensor]) -> Iterator[tuple[str, float, float]]:
        """(name, ||dW||, ||W||) of every weight that moved; `base` gives a tensor of the base by its name.

        Nothing where the method adds no dW.
        """
        ...


class MethodConfig(BaseModel):
    """Base of the files' `Config`: frozen, typed, no field unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def method_names() -> list[str]:
    """Names of the methods that come with burnish."""
    return [name for name in names_in(PACKAGE) if _defines_a_method(_module(name))]


def _defines_a_method(module: object) -> bool:
    """A module that merely imports another's `Config` is no method."""
    config = getattr(module, "Config", None)
    return config is not None and config.__module__ == getattr(module, "__name__", None)


@cache
def _module(name: str) -> object:
    return module_named(PACKAGE, name)


def _from_file(path: Path) -> object:
    if not path.is_file():
        raise RecipeError(f"method.path: {path} does not exist; expected a Python file with a class `Config`")
    name = f"burnish_method_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise RecipeError(f"method.path: {path} cannot be loaded: {type(error).__name__}: {error}") from error
    return sys.modules[name]


def method_from(value: str | Mapping[str, object]) -> Method:
    """The method that a recipe names: "lora", or {name: lora, rank: 8}, or {path: mine.py, ...}.

    Raises `RecipeError` with the nearest name for an unknown method, and a line for each wrong field.
    """
    fields = {"name": value} if isinstance(value, str) else dict(value)
    path = fields.pop("path", None)
    if path is not None:
        module = _from_file(Path(str(path)))
        fields.pop("name", None)
    else:
        name = fields.pop("name", None)
        if not isinstance(name, str) or name not in method_names():
            known = method_names()
            raise RecipeError(
                f'method: "{name}" is unknown; known are {", ".join(known)}.{did_you_mean(str(name), known)}'
            )
        module = _module(name)
    config = getattr(module, "Config", None)
    if config is None:
        raise RecipeError(f"method.path: {path} has no class `Config`; see docs/architecture.md, Method")
    try:
        method = config(**fields)
    except ValidationError as error:
        raise RecipeError(listed([_problem(item, config) for item in error.errors()])) from error
    assert isinstance(method, Method)
    return method


def _problem(item: Mapping[str, object], config: type[BaseModel]) -> str:
    location = item["loc"]
    assert isinstance(location, tuple)
    where = ".".join(["method", *(str(part) for part in location)])
    if item["type"] == "extra_forbidden":
        known = [name for name in config.model_fields if name != "name"]
        wrong = str(location[-1])
        expected = f"known are {', '.join(known)}" if known else "this method has no settings"
        return f"{where}: unknown field; {expected}.{did_you_mean(wrong, known)}"
    message = re.sub(r"^Value error, ", "", str(item["msg"]))
    return f"{where}: {message[:1].lower()}{message[1:]}, found {item['input']!r}"


def refuse_second(model: PreTrainedModel, name: str, existing: bool) -> None:
    """Raise where an adapter of that name is attached already."""
    if existing:
        raise MethodError(
            f'an adapter named "{name}" is attached to this {type(model).__name__} already; choose another'
        )


def method_fields(method: Method) -> dict[str, object]:
    """A method as a recipe would write it, every default filled in."""
    assert isinstance(method, BaseModel)
    return {"name": method.name, **method.model_dump(exclude={"name"})}
