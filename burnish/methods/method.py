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
from typing import Any, ClassVar, Protocol, TypeVar, get_args, runtime_checkable

import torch
from jaxtyping import Int
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor
from transformers import PreTrainedModel

from burnish.errors import MethodError, RecipeError, listed
from burnish.models.adapters import adapter_parameters, switched_off
from burnish.registry import did_you_mean, module_named, names_in

T = TypeVar("T", bound="MethodConfig")
PACKAGE = "burnish.methods"
PREFIX = "base_model.model."  # of the keys of modules in PEFT's files
PROMPT_KEY = "prompt_embeddings"  # of trained vectors, which have no module there


@dataclass(frozen=True, slots=True)
class Start:
    """What a method starts from: the run's generator, and tokens of a text where it starts from one."""

    generator: torch.Generator
    tokens: tuple[int, ...] | None = None


def start_tokens(start: Start, length: int, model: PreTrainedModel, *, vocabulary: bool) -> Int[Tensor, "length"]:
    """`length` tokens to start from: a text's, repeated or cut, else drawn from the vocabulary.

    Raises `MethodError` where a text is wanted that has no tokens.
    """
    table: Tensor = model.get_input_embeddings().weight
    tokens = None if vocabulary else start.tokens
    if tokens is None:
        drawn = torch.randint(0, len(table), (length,), generator=start.generator)
        return drawn.to(table.device)
    if not tokens:
        raise MethodError("method.text: has no tokens to start from; write some text, or take start: vocabulary")
    return torch.tensor((tokens * (length // len(tokens) + 1))[:length], device=table.device)


@runtime_checkable
class Method(Protocol):
    """A method; attaching one decides what trains by `requires_grad`, and nothing else does (rule 1)."""

    name: ClassVar[str]
    peft_type: ClassVar[str]  # in adapter_config.json
    readers: ClassVar[str]  # who reads its files
    why_unmergeable: ClassVar[str | None]  # a sentence, where no weight of the base can hold the change
    adjustable: ClassVar[frozenset[str]]  # fields that may be others than those an adapter was made with

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

    @property
    def start_text(self) -> str | None:
        """The text whose tokens `attach` is given; None: the task's instruction."""
        ...

    @property
    def start_from(self) -> str | None:
        """The directory of an adapter to begin with."""
        ...

    def learning_rate(self, parameters: int) -> float:
        """The rate that `auto` means for a base of so many parameters."""
        ...

    def rate_factor(self, parameter: str) -> float:
        """What the learning rate of a trained tensor, by its name, is multiplied with."""
        ...

    def check(self, model: PreTrainedModel) -> None:
        """Raise `MethodError` where the model cannot take the method, and change nothing."""
        ...

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:
        """Add what trains to the model and freeze the rest."""
        ...

    def notes(self, model: PreTrainedModel) -> list[str]:
        """What a user should know of this method on this model, a sentence each."""
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

    def peft_config(self, model: PreTrainedModel, name: str) -> dict[str, object]:
        """What adapter_config.json says beyond `peft_type` and the base."""
        ...

    def peft_tensors(self, model: PreTrainedModel, name: str) -> dict[str, Tensor]:
        """What stands in adapter_model.safetensors, by key."""
        ...

    def put_tensors(self, model: PreTrainedModel, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Fill an attached adapter; keys and shapes are those of `peft_tensors`."""
        ...

    @classmethod
    def from_peft(cls, config: Mapping[str, object], recorded: Mapping[str, object]) -> "Method":
        """The settings behind an adapter_config.json; `recorded` are the recipe's own where burnish wrote the adapter.

        Raises `MethodError` naming a field that is not read.
        """
        ...

    def exactly(self, model: PreTrainedModel, config: Mapping[str, object]) -> "Method":
        """The same, at exactly the places that an adapter_config.json names."""
        ...


class MethodConfig(BaseModel):
    """What a file's `Config` begins with: frozen, typed, no field unknown; the answers that most adapters give."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    peft_type: ClassVar[str] = "BURNISH"  # PEFT has none such: the config names the method and its fields
    readers: ClassVar[str] = "burnish"
    why_unmergeable: ClassVar[str | None] = "it computes something that no weight of the base can hold"
    adjustable: ClassVar[frozenset[str]] = frozenset()

    from_: str | None = Field(
        default=None, alias="from", description="directory of an adapter to begin with, ours or anybody's of PEFT"
    )

    @property
    def virtual_tokens(self) -> int:
        """None."""
        return 0

    @property
    def first_position(self) -> int:
        """Zero."""
        return 0

    @property
    def makes_adapter(self) -> bool:
        """An adapter."""
        return True

    @property
    def start_text(self) -> str | None:
        """Nothing but the task's instruction."""
        return None

    @property
    def start_from(self) -> str | None:
        """The field `from`, whose name Python keeps for itself."""
        return self.from_

    def rate_factor(self, parameter: str) -> float:  # noqa: ARG002
        """One rate for all."""
        return 1.0

    def check(self, model: PreTrainedModel) -> None:
        """Nothing to check."""

    def notes(self, model: PreTrainedModel) -> list[str]:  # noqa: ARG002
        """Nothing to say."""
        return []

    def disabled(self, model: PreTrainedModel) -> AbstractContextManager[None]:
        """Every adapter switched off."""
        return switched_off(model)

    def merge(self, model: PreTrainedModel) -> None:
        """Cannot be done."""
        raise MethodError(
            f"a {title(self)} adapter cannot be merged into {type(model).__name__}: {self.why_unmergeable}; keep it "
            "beside its base (export --to peft)"
        )

    def changes(self, model: PreTrainedModel, base: Callable[[str], Tensor]) -> Iterator[tuple[str, float, float]]:  # noqa: ARG002
        """No weight moves."""
        return iter(())

    def peft_config(self, model: PreTrainedModel, name: str) -> dict[str, object]:  # noqa: ARG002
        """The method as a recipe would write it."""
        return {"method": recorded(self)}

    def peft_tensors(self, model: PreTrainedModel, name: str) -> dict[str, Tensor]:
        """Every trained tensor by place and kind."""
        return {PREFIX + key: p.detach() for key, p in adapter_parameters(model, name).items()}

    def put_tensors(self, model: PreTrainedModel, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Copy them in."""
        with torch.no_grad():
            for key, parameter in adapter_parameters(model, name).items():
                parameter.copy_(tensors[PREFIX + key])

    @classmethod
    def from_peft(cls: type[T], config: Mapping[str, object], recorded: Mapping[str, object]) -> T:  # noqa: ARG003
        """The fields under "method"."""
        fields = config.get("method")
        if not isinstance(fields, dict):
            raise MethodError(f'"method" is {fields!r}; expected the method\'s name and fields')
        return cls(**{key: value for key, value in fields.items() if key != "name"})

    def exactly(self: T, model: PreTrainedModel, config: Mapping[str, object]) -> T:  # noqa: ARG002
        """The fields tell the places."""
        return self


def variants_of(method: Method) -> tuple[str, ...]:
    """The values of the field `variant`, the default first; none for most."""
    assert isinstance(method, BaseModel)
    field = type(method).model_fields.get("variant")
    return get_args(field.annotation) if field is not None else ()


def title(method: Method | MethodConfig) -> str:
    """The method's name, with its variant where it has one."""
    variant = getattr(method, "variant", None)
    return f"{getattr(method, 'name', type(method).__name__)}{f' ({variant})' if variant else ''}"


def short_name(method: Method, between: str = " ") -> str:
    """The name, and the variant where it says more: `lora`, `lora dora`, `bottleneck pfeiffer`."""
    variant = getattr(method, "variant", "plain")
    return method.name if variant == "plain" else f"{method.name}{between}{variant}"


def method_names() -> list[str]:
    """Names of the methods that come with burnish."""
    return [name for name in names_in(PACKAGE) if _defines_a_method(_module(name))]


def method_class(name: str) -> Any:
    """The `Config` behind a name of `method_names`: a class whose instances are `Method`s."""
    return getattr(_module(name), "Config")  # noqa: B009 (a module's type knows no attributes)


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
        raise RecipeError(listed(_problems(error, config))) from error
    if not isinstance(method, Method):
        raise RecipeError(
            f"method.path: the class `Config` of {path} is no method; begin it with MethodConfig of "
            "burnish.methods.method and give it name, learning_rate and attach"
        )
    return method


def _problems(error: ValidationError, config: type[BaseModel]) -> list[str]:
    """A sentence for each field; one that takes a text or a list has an error for each of them."""
    known = [field.alias or name for name, field in config.model_fields.items()]
    found: dict[str, list[str]] = {}
    values: dict[str, object] = {}
    for item in error.errors():
        places = [str(part) for part in item["loc"] if part != "str" and not str(part).startswith("tuple[")]
        where = ".".join(["method", *places])
        if item["type"] == "extra_forbidden":
            expected = f"known are {', '.join(known)}" if known else "this method has no settings"
            found[where] = [f"unknown field; {expected}.{did_you_mean(places[-1], known)}"]
            continue
        message = re.sub(r"^Value error, ", "", item["msg"]).replace("valid tuple", "list of them")
        found.setdefault(where, []).append(message[:1].lower() + message[1:])
        if places:  # else it is about several fields, and says them
            values[where] = item["input"]
    return [
        f"{where}: {', or '.join(messages)}{f', found {values[where]!r}' if where in values else ''}"
        for where, messages in found.items()
    ]


def refuse_fields(config: Mapping[str, object], harmless: Mapping[str, tuple[object, ...]]) -> None:
    """Raise `MethodError` naming each field of a PEFT config that is set to what burnish does not read.

    Empty and absent values are harmless everywhere.
    """
    wrong = [
        f"{field} is {config[field]!r}; burnish does not read adapters with it"
        for field, values in harmless.items()
        if config.get(field) and config[field] not in values
    ]
    if wrong:
        raise MethodError(listed(wrong))


def method_fields(method: Method) -> dict[str, object]:
    """A method as a recipe would write it, every default filled in."""
    assert isinstance(method, BaseModel)
    fields = {key: value for key, value in method.model_dump(by_alias=True).items() if (key, value) != ("from", None)}
    return {"name": method.name, **fields}


def recorded(method: Method | MethodConfig) -> dict[str, object]:
    """The fields that an adapter remembers: all but where it began."""
    assert isinstance(method, BaseModel)
    fields = method.model_dump(mode="json", by_alias=True, exclude={"from_"})
    return {"name": getattr(method, "name", type(method).__name__), **fields}
