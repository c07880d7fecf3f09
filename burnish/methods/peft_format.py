"""Adapters on disk in PEFT's format, so that peft, vLLM and llama.cpp read ours and we read theirs."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from transformers import PreTrainedModel

from burnish.errors import MethodError, listed
from burnish.files import read_json, sha256_of, write_bytes, write_json
from burnish.methods.lora import Config, LoRALinear, lora_linears
from burnish.methods.method import Method, Start
from burnish.models.seams import is_linear, is_transposed

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
OURS = "burnish.json"  # what PEFT's format has no field for; peft warns of unknown fields in its own file
PREFIX = "base_model.model."


def adapter_tensors(model: PreTrainedModel, name: str = "default") -> dict[str, Tensor]:
    """The tensors of one adapter under PEFT's names, fp32."""
    tensors = {}
    for place, module in lora_linears(model).items():
        if name in module.scales:
            tensors[f"{PREFIX}{place}.lora_A.weight"] = module.lora_A[name].detach().float().contiguous()
            tensors[f"{PREFIX}{place}.lora_B.weight"] = module.lora_B[name].detach().float().contiguous()
    return tensors


def save_adapter(
    model: PreTrainedModel, method: Method, directory: Path, *, base: str, base_sha256: str, name: str = "default"
) -> None:
    """Write the adapter and its config in PEFT's format, and `burnish.json`; peft loads the base from `base`."""
    if not isinstance(method, Config):
        raise MethodError(f"{method.name} makes no adapter in PEFT's format")
    places = {place: module for place, module in lora_linears(model).items() if name in module.scales}
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": method.rank,
        "lora_alpha": method.alpha,
        "lora_dropout": method.dropout,
        "target_modules": _module_names(model, set(places)),
        "fan_in_fan_out": any(is_transposed(module.original) for module in places.values()),
        "bias": "none",
        "use_rslora": False,
        "use_dora": False,
        "modules_to_save": None,
        "inference_mode": True,
    }
    directory.mkdir(parents=True, exist_ok=True)
    write_bytes(directory / WEIGHTS, save(adapter_tensors(model, name), metadata={"format": "pt"}))
    write_json(directory / CONFIG, config)
    write_json(directory / OURS, {"base_sha256": base_sha256, "targets": method.targets})


def _module_names(model: PreTrainedModel, places: set[str]) -> list[str]:
    """`q_proj, up_proj, ...` where these name exactly the adapted places, as other readers expect, else full names."""
    short = {place.rpartition(".")[2] for place in places}
    named = {n for n, m in model.named_modules() if n.rpartition(".")[2] in short and (is_linear(m) or n in places)}
    return sorted(short if named == places else places)


def _read_config(directory: Path) -> Mapping[str, object]:
    path = directory / CONFIG
    if not path.is_file():
        raise MethodError(f"{directory}: no {CONFIG}; expected an adapter directory in PEFT's format")
    config = _object(path)
    if config.get("peft_type") != "LORA":
        raise MethodError(f'{path}: peft_type is {config.get("peft_type")!r}; burnish reads "LORA"')
    for field, expected in (("use_rslora", False), ("use_dora", False), ("bias", "none"), ("modules_to_save", None)):
        if config.get(field, expected) not in (expected, []):
            raise MethodError(f"{path}: {field} is {config[field]!r}; burnish reads only {expected!r} here yet")
    for field in (
        "rank_pattern",
        "alpha_pattern",
        "layer_replication",
        "megatron_config",
        "lora_bias",
        "target_parameters",
    ):
        if config.get(field):
            raise MethodError(f"{path}: {field} is set; burnish does not read such adapters yet")
    return config


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


def load_adapter(model: PreTrainedModel, directory: Path, *, base_sha256: str | None, name: str = "default") -> Config:
    """Attach the adapter of a directory.

    Raises `MethodError` on another base and on any missing, extra or misshapen tensor.
    """
    config = _read_config(directory)
    ours = _object(directory / OURS) if (directory / OURS).is_file() else {}
    if base_sha256 and ours.get("base_sha256") not in (None, base_sha256):
        raise MethodError(
            f"{directory}: this adapter was trained on another base (sha256 {str(ours['base_sha256'])[:12]}…) than the "
            f"one loaded ({base_sha256[:12]}…); load {config.get('base_model_name_or_path')!r}"
        )
    method = _method(config, ours, directory / CONFIG)
    tensors = _tensors(directory / WEIGHTS)
    places = {key.removeprefix(PREFIX).rpartition(".lora_")[0] for key in tensors}
    exact = method.model_copy(update={"targets": tuple(sorted(places))})
    exact.attach(model, Start(torch.Generator()), name)
    _fill(lora_linears(model), tensors, name, directory)
    return method


def _method(config: Mapping[str, object], ours: Mapping[str, object], path: Path) -> Config:
    """The settings that an adapter was made with; its targets as a recipe named them where we know that."""
    targets = ours.get("targets", config.get("target_modules"))
    if isinstance(targets, str):
        targets = "all" if targets == "all-linear" else targets
    fields = {"rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout"}
    values = {ours: config[theirs] for ours, theirs in fields.items() if theirs in config}
    try:
        return Config.model_validate({**values, "targets": targets})
    except ValidationError as error:
        raise MethodError(
            f"{path}: {listed([str(item['loc'][0]) + ': ' + item['msg'] for item in error.errors()])}"
        ) from error


def _fill(places: Mapping[str, LoRALinear], tensors: Mapping[str, Tensor], name: str, directory: Path) -> None:
    expected = {
        f"{PREFIX}{place}.lora_{letter}.weight": getattr(module, f"lora_{letter}")[name]
        for place, module in places.items()
        for letter in "AB"
        if name in module.scales
    }
    missing, extra = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or extra:
        kind, key = ("missing", missing[0]) if missing else ("extra", extra[0])
        raise MethodError(f"{directory / WEIGHTS}: {kind} tensor {key} ({len(missing)} missing, {len(extra)} extra)")
    for key, parameter in expected.items():
        if tensors[key].shape != parameter.shape:
            raise MethodError(
                f"{directory / WEIGHTS}: {key} has shape {list(tensors[key].shape)}, expected {list(parameter.shape)}"
            )
        with torch.no_grad():
            parameter.copy_(tensors[key])


def adapter_sha256(directory: Path) -> str:
    """Hash of an adapter's weights file."""
    return sha256_of(directory / WEIGHTS)
