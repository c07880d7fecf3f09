"""A model directory from outside, examined before any library opens it.

No code of it runs, no pickle is read, no link leads out of it, and no size is believed before it is compared
with the files.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from burnish.errors import ModelError, listed
from burnish.models.safetensors_header import Header, tensors_in
from burnish.registry import did_you_mean

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
INDEX = "model.safetensors.index.json"
MAX_CONFIG = 4 << 20  # bytes of a JSON file
MAX_TOKENIZER = 256 << 20  # bytes of a vocabulary
MAX_NUMBER = 1 << 31  # of anything in a config
MAX_BUFFERS = 1 << 29  # numbers in tables that a model computes for itself
MAX_DEPTH = 32  # of nesting in a config
LARGE_JSON = ("tokenizer.json", "vocab.json", INDEX)
# names of sizes that make a library build one object each
COUNTS = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
)


@dataclass(frozen=True, slots=True)
class Examined:
    """A directory that may be loaded."""

    path: Path
    tensors: dict[str, Header]
    notes: tuple[str, ...]


def examine(path: Path) -> Examined:
    """Check a model directory in well under a second; raises `ModelError` naming all that is wrong with it."""
    _refuse_links(path)
    names = sorted(entry.name for entry in path.iterdir())
    if "adapter_config.json" in names:
        raise ModelError(
            f"{path}: holds an adapter (adapter_config.json), and a base model is needed; name the model "
            "that the adapter was made for, or a merged one"
        )
    if "config.json" not in names:
        raise ModelError(f"{path}: has no config.json, so it is no model directory")
    tensors = _weights(path, names)
    _refuse_code(path, names)
    _check_config(path, tensors)
    notes = [
        f"{name} ignored: burnish reads no {what} from a model directory"
        for name in names
        for what, endings in (("code", (".py",)), ("pickles", PICKLES))
        if name.endswith(endings)
    ]
    return Examined(path, tensors, tuple(notes))


def check_size(examined: Examined, config: PretrainedConfig) -> None:
    """Compare the sizes in the config with the weights that are there; without it, a library would allocate them."""
    with torch.device("meta"):
        try:
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False, attn_implementation="eager")
        except (ValueError, TypeError, RuntimeError, KeyError, AttributeError, ImportError, ZeroDivisionError) as error:
            raise ModelError(
                f"{examined.path / 'config.json'}: transformers builds no model from it ({_line(error)})"
            ) from error
    buffers = sum(buffer.numel() for buffer in model.buffers())
    if buffers > MAX_BUFFERS:
        raise ModelError(f"{examined.path / 'config.json'}: asks for tables of {buffers:,} numbers beside the weights")
    needed = sum(parameter.numel() for parameter in model.parameters())
    there = sum(tensor.weights for tensor in examined.tensors.values())
    if needed > there:
        raise ModelError(
            f"{examined.path}: its config describes {needed:,} parameters and its files hold {there:,}; "
            "a file is missing, or config and weights are not of one model"
        )


def config_of(examined: Examined) -> PretrainedConfig:
    """transformers' config; raises `ModelError` in the user's words where it does not take it."""
    try:
        return AutoConfig.from_pretrained(examined.path, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # a config from outside: whatever a library makes of it is the file's fault
        raise ModelError(f"{examined.path / 'config.json'}: transformers cannot read it ({_line(error)})") from error


def _line(error: BaseException) -> str:
    """The first line of a library's message, of a length that fits in a sentence."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


def _root(path: Path) -> Path:
    """Where links may lead: the directory, or in a hub's cache (models--x/snapshots/revision) that model's folder."""
    real = path.resolve()
    in_hub_cache = real.parent.name == "snapshots" and real.parent.parent.name.startswith("models--")
    return real.parent.parent if in_hub_cache else real


def _refuse_links(path: Path) -> None:
    root = _root(path)
    problems = [
        f"{entry.name} is a link that leads out of the directory or nowhere"
        for entry in path.iterdir()
        if entry.is_symlink() and not (entry.resolve().is_relative_to(root) and entry.exists())
    ]
    problems += [f"{entry.name} is no regular file" for entry in path.iterdir() if _is_special(entry)]
    if problems:
        raise ModelError(f"{path}: refused:\n{listed(problems)}")


def _is_special(entry: Path) -> bool:
    return entry.exists() and not entry.is_file() and not entry.is_dir()


def _weights(path: Path, names: list[str]) -> dict[str, Header]:
    """Headers of all tensors, from the files that the index names, or from the one file."""
    if INDEX in names:
        places = _json(path / INDEX).get("weight_map")
        if not isinstance(places, dict) or not places or not all(isinstance(v, str) for v in places.values()):
            raise ModelError(f"{path / INDEX}: has no weight_map from tensors to files")
        shards = sorted(set(places.values()))
        outside = [shard for shard in shards if Path(shard).name != shard or not shard.endswith(".safetensors")]
        if outside:
            raise ModelError(f"{path / INDEX}: names {outside[0]!r}, which is no safetensors file of this directory")
        absent = [shard for shard in shards if shard not in names]
        if absent:
            raise ModelError(f"{path}: of its weights {', '.join(absent[:5])} is missing; fetch the model again")
    elif "model.safetensors" in names:
        shards = ["model.safetensors"]
    elif any(name.endswith(PICKLES) for name in names):
        raise ModelError(
            f"{path}: has only pickle weights, which can run code when they are read; "
            "convert them to safetensors where you trust them, or take a copy of the model in safetensors"
        )
    else:
        raise ModelError(f"{path}: has no weights (model.safetensors)")
    tensors: dict[str, Header] = {}
    for shard in shards:
        tensors |= tensors_in(path / shard)
    return tensors


def _json(path: Path) -> dict[str, object]:
    most = MAX_TOKENIZER if path.name in LARGE_JSON else MAX_CONFIG
    size = path.stat().st_size
    if size > most:
        raise ModelError(f"{path}: {size:,} bytes, and at most {most:,} are read")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: is no JSON ({_line(error)})") from None
    if not isinstance(value, dict):
        raise ModelError(f"{path}: holds no JSON object")
    return value


def _refuse_code(path: Path, names: list[str]) -> None:
    """Every JSON file, so that nothing of the directory names code to be run."""
    for name in names:
        if not name.endswith(".json"):
            continue
        if name in LARGE_JSON:
            if (path / name).stat().st_size > MAX_TOKENIZER:
                raise ModelError(f"{path / name}: larger than the {MAX_TOKENIZER:,} bytes that are read")
            continue
        for key, value in _pairs(_json_any(path / name), path / name):
            if key in ("auto_map", "custom_pipelines", "custom_generate") and value:
                raise ModelError(
                    f"{path / name}: names code to run ({key}), and burnish runs no code from a model directory; "
                    "take a model that transformers knows by itself"
                )
            if "attn_implementation" in key and isinstance(value, str) and "/" in value:
                raise ModelError(f"{path / name}: {key} names code of a hub ({value[:80]}); remove it")


def _json_any(path: Path) -> object:
    if path.stat().st_size > MAX_CONFIG:
        raise ModelError(f"{path}: {path.stat().st_size:,} bytes, and at most {MAX_CONFIG:,} are read")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: is no JSON ({_line(error)})") from None


def _pairs(value: object, path: Path, depth: int = 0) -> Iterator[tuple[str, object]]:
    """All keys with their values, at any depth."""
    if depth > MAX_DEPTH:
        raise ModelError(f"{path}: nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key), inner
            yield from _pairs(inner, path, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _pairs(inner, path, depth + 1)


def _check_config(path: Path, tensors: dict[str, Header]) -> None:
    file = path / "config.json"
    config = _json(file)
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING_NAMES:
        raise ModelError(
            f'{file}: model_type is "{str(kind)[:80]}", which this transformers does not know.'
            f"{did_you_mean(str(kind), CONFIG_MAPPING_NAMES)}"
        )
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ModelError(
            f'{file}: a model of the type "{kind}" does not continue text; a causal language model is needed'
        )
    problems = []
    for key, value in _pairs(config, file):
        if key == "quantization_config" and value:
            problems.append("its weights are compressed (quantization_config); take the model in bf16")
        if key == "transformers_weights" and value:
            problems.append("transformers_weights names the weights; remove it")
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and not abs(number) <= MAX_NUMBER and not key.startswith("rope"):
                problems.append(f"{key} is {str(number)[:40]}, more than {MAX_NUMBER:,}")
                break
        if key in COUNTS and isinstance(value, int) and value > max(len(tensors), 512 * ("expert" in key)):
            problems.append(f"{key} is {value:,} and the files hold {len(tensors):,} tensors")
    if problems:
        raise ModelError(f"{file}:\n{listed(problems)}")
