"""Adapters on disk in PEFT's format, so that peft, vLLM and llama.cpp read ours and we read theirs.

`adapter_config.json` holds what PEFT's config of the kind holds. A method that PEFT lacks has `peft_type: BURNISH` and,
under `method`, its name and fields; its tensors are called by their place in the model. `burnish.json` beside it holds
what PEFT's config has no field for: the hash of the base's weights and the method as the recipe named it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from transformers import PreTrainedModel

from burnish.errors import MethodError, RecipeError, listed
from burnish.files import read_json, write_bytes, write_json
from burnish.methods.method import PREFIX, Method, Start, method_class, method_from, method_names, recorded
from burnish.models.adapters import adapter_names, frame_of, original_of, remove, switched
from burnish.models.attention import forward_hidden
from burnish.models.head import head_of
from burnish.types import IGNORE, Batch

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
OURS = "burnish.json"  # what PEFT's format has no field for; peft warns of unknown fields in its own file
PROBED = 8  # tokens on which a loaded adapter must change something


def method_of(value: str | Mapping[str, object]) -> Method:
    """The method that a recipe names; with `from`, the one of that adapter.

    Raises `RecipeError` where another field contradicts the adapter.
    """
    directory = value.get("from") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or directory is None:
        return method_from(value)
    given = {key: field for key, field in value.items() if key not in ("name", "path", "from")}
    named = {key: value[key] for key in ("name", "path") if key in value}
    like = method_from(named) if named else None
    if like is not None and not like.makes_adapter:
        return method_from(value)
    method = read_method(Path(str(directory)), like)
    if like is not None and like.name != method.name:
        raise RecipeError(
            f"method.name: {like.name}, but {directory} holds a {method.name} adapter; leave the name out"
        )
    wanted = method_from({**{key: value[key] for key in ("path",) if key in value}, "name": method.name, **given})
    assert isinstance(method, BaseModel)
    assert isinstance(wanted, BaseModel)
    for key in given:
        ours, theirs = getattr(wanted, key), getattr(method, key)
        if key not in method.adjustable and ours != theirs:
            raise RecipeError(
                f"method.{key}: {ours!r}, but the adapter in {directory} was made with {theirs!r}; leave it out"
            )
    changed = {key: getattr(wanted, key) for key in given}
    result = method.model_copy(update={**changed, "from_": str(directory)})
    assert isinstance(result, Method)
    return result


def save_adapter(
    model: PreTrainedModel, method: Method, directory: Path, *, base: str, base_sha256: str, name: str = "default"
) -> None:
    """Write the adapter and its config in PEFT's format, and `burnish.json`; peft loads the base from `base`."""
    if not method.makes_adapter:
        raise MethodError(f"{method.name} makes a whole model, not an adapter")
    tensors = {key: tensor.float().contiguous().cpu() for key, tensor in method.peft_tensors(model, name).items()}
    config = {
        "peft_type": method.peft_type,
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        **method.peft_config(model, name),
    }
    directory.mkdir(parents=True, exist_ok=True)
    write_bytes(directory / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    write_json(directory / CONFIG, config)
    write_json(directory / OURS, {"base_sha256": base_sha256, "method": recorded(method)})


def read_method(directory: Path, like: Method | None = None) -> Method:
    """The settings of an adapter on disk; `like` is of the class to use where no name of burnish's leads to it.

    Raises `MethodError` on a kind or a field that burnish does not read.
    """
    config = _read_config(directory)
    kinds = {kind.peft_type: kind for kind in map(method_class, method_names()) if kind.peft_type != "BURNISH"}
    written = str(config.get("peft_type"))
    kind: Any = kinds.get(written)
    fields = config.get("method")
    name = fields.get("name") if written == "BURNISH" and isinstance(fields, dict) else None
    if name in method_names():
        kind = method_class(str(name))
    if like is not None and like.peft_type == written and name in (None, like.name):
        kind = type(like)
    if kind is None:
        known = ", ".join(sorted(kinds))
        raise MethodError(f"{directory / CONFIG}: peft_type is {config.get('peft_type')!r}; burnish reads {known}")
    known_fields = _ours(directory).get("method", {})
    try:
        found: Method = kind.from_peft(config, known_fields if isinstance(known_fields, dict) else {})
    except MethodError as error:
        raise MethodError(f"{directory / CONFIG}: {error}") from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise MethodError(f"{directory / CONFIG}: {listed(problems)}") from error
    return found


def load_adapter(
    model: PreTrainedModel,
    directory: Path,
    *,
    base_sha256: str | None,
    name: str = "default",
    like: Method | None = None,
) -> Method:
    """Attach the adapter of a directory and give its method; only its tensors have `requires_grad` then.

    `like` may set what is adjustable (dropout) otherwise than the file. Raises `MethodError` on another base, on any
    missing, extra or misshapen tensor, and where nothing changes; what was active before then is again.
    """
    method, config, ours = read_method(directory, like), _read_config(directory), _ours(directory)
    if base_sha256 and ours.get("base_sha256") not in (None, base_sha256):
        raise MethodError(
            f"{directory}: this adapter was trained on another base (sha256 {str(ours['base_sha256'])[:12]}…) than the "
            f"one loaded ({base_sha256[:12]}…); load {config.get('base_model_name_or_path')!r}"
        )
    if isinstance(like, type(method)) and isinstance(method, BaseModel):
        method = method.model_copy(update={field: getattr(like, field) for field in method.adjustable})
    before = {place: module.active for place, module in switched(model).items()}
    known = set(adapter_names(model))
    try:
        _fill(model, method.exactly(model, config), directory, name)
    except MethodError as error:
        if name not in known:  # else the name was taken, and that adapter stays
            remove(model, name)
        for place, module in switched(model).items():
            module.active = before.get(place)
        raise MethodError(str(error) if str(directory) in str(error) else f"{directory}: {error}") from error
    return method


def _fill(model: PreTrainedModel, method: Method, directory: Path, name: str) -> None:
    """Attach a method at its places and give it the tensors of a directory."""
    method.attach(model, Start(torch.Generator().manual_seed(0)), name)
    tensors = _without_copies(model, _tensors(directory / WEIGHTS), directory / WEIGHTS)
    _check(method.peft_tensors(model, name), tensors, directory / WEIGHTS)
    method.put_tensors(model, name, tensors)
    if not _changes_something(model, method):
        raise MethodError(
            f"{directory}: the adapter loads and changes nothing: its tensors are those of an untrained start"
        )


def named_base(directory: Path) -> str | None:
    """The base that an adapter from elsewhere names; None where burnish wrote it, which compares hashes."""
    if "base_sha256" in _ours(directory):
        return None
    name = _read_config(directory).get("base_model_name_or_path")
    return str(name) if name else None


def _read_config(directory: Path) -> Mapping[str, object]:
    path = directory / CONFIG
    if not path.is_file():
        raise MethodError(f"{directory}: no {CONFIG}; expected an adapter directory in PEFT's format")
    return _object(path)


def _ours(directory: Path) -> Mapping[str, object]:
    return _object(directory / OURS) if (directory / OURS).is_file() else {}


def _object(path: Path) -> Mapping[str, object]:
    try:
        value = read_json(path)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise MethodError(f"{path}: not JSON ({error})") from error
    if not isinstance(value, dict):
        raise MethodError(f"{path}: expected an object, found {type(value).__name__}")
    return value


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise MethodError(f"{path.parent}: no {WEIGHTS}; pickled adapters (.bin) are not read")
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (safe_open is no mapping)
    except SafetensorError as error:
        raise MethodError(f"{path}: damaged ({error})") from error


def _without_copies(model: PreTrainedModel, tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """PEFT stores the base's own table beside an adapter that works on it; it is left out where it is this base's."""
    kept = {}
    modules = {name: original_of(module) for name, module in model.named_modules()}
    for key, tensor in tensors.items():
        place = key.removeprefix(PREFIX).removesuffix(".weight").removesuffix(".base_layer")
        table = getattr(modules.get(place), "weight", None)
        if not key.endswith(".weight") or not isinstance(table, Tensor):
            kept[key] = tensor
        elif table.shape != tensor.shape or not torch.allclose(tensor.to(table), table, rtol=1e-2, atol=1e-3):
            raise MethodError(f"{path}: {key} is not this base's own {place}, and burnish trains no copy of it")
    return kept


def _check(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise naming the first tensor that is missing, extra, misshapen or no number."""
    missing, extra = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or extra:
        kind, key = ("missing", missing[0]) if missing else ("extra", extra[0])
        raise MethodError(f"{path}: {kind} tensor {key} ({len(missing)} missing, {len(extra)} extra)")
    for key, tensor in expected.items():
        if tensors[key].shape != tensor.shape:
            raise MethodError(f"{path}: {key} has shape {list(tensors[key].shape)}, expected {list(tensor.shape)}")
        if not torch.isfinite(tensors[key]).all():
            raise MethodError(f"{path}: {key} holds values that are no numbers")


@torch.no_grad()
def _changes_something(model: PreTrainedModel, method: Method) -> bool:
    """Whether logits of a few tokens differ with the adapter on and off, or else a weight moved.

    An update of the embeddings alone need not touch the rows of the few tokens.
    """
    changed = _probe(model)
    with method.disabled(model):
        if not torch.equal(changed, _probe(model)):
            return True
    weights = dict(model.named_parameters())
    return any(change > 0 for _, change, _ in method.changes(model, weights.__getitem__))


def _probe(model: PreTrainedModel) -> Tensor:
    """Logits of a few tokens behind whatever stands before a document."""
    frame = frame_of(model)
    rows = model.get_input_embeddings().weight.shape[0]
    document = [-1 - slot for slot in range(frame.slots)] + [(7 * place) % rows for place in range(PROBED)]
    tokens = torch.tensor([document], device=model.get_input_embeddings().weight.device)
    places = torch.arange(len(document), device=tokens.device)[None]
    batch = Batch(tokens, torch.full_like(tokens, IGNORE), torch.zeros_like(tokens), places + frame.first, ("probe",))
    return head_of(model).logits(forward_hidden(model, batch)[0, frame.slots :])
