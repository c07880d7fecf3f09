"""From a llama-family GGUF to a normal model directory: config, bf16 safetensors, tokenizer, chat template.

Source: llama.cpp's convert_hf_to_gguf.py, whose steps are undone here; above all the rows of q and k, which it
interleaves for its own rotary positions. Other architectures each have an inverse of their own and are refused.
"""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import BFloat16
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from burnish import files
from burnish.errors import ModelError, listed
from burnish.models.gguf import Gguf, Stored
from burnish.models.gguf_tokenizer import token_id, tokenizer_from

SHARD = 2 << 30  # bytes of one weights file, and so about the memory that converting takes
MAX_LAYERS = 1024

_BLOCK = {
    "attn_norm.weight": "input_layernorm.weight",
    "attn_q.weight": "self_attn.q_proj.weight",
    "attn_k.weight": "self_attn.k_proj.weight",
    "attn_v.weight": "self_attn.v_proj.weight",
    "attn_output.weight": "self_attn.o_proj.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
    "ffn_gate.weight": "mlp.gate_proj.weight",
    "ffn_up.weight": "mlp.up_proj.weight",
    "ffn_down.weight": "mlp.down_proj.weight",
}
_HARMLESS = {"vocab_size", "expert_count", "expert_used_count", "rope.scaling.type"}
_USED = {
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "rope.dimension_count",
    "rope.freq_base",
}


def convert(source: Gguf, directory: Path) -> None:
    """Write the model into an empty directory such that transformers' Auto classes load it.

    Raises `ModelError` before anything is written where the file asks for something that is not implemented.
    """
    config, tokenizer = checked(source)
    shapes = _expected(config)
    weights = sum(math.prod(shape) for _, shape in shapes.values())
    free = shutil.disk_usage(directory).free
    if free < 2 * weights + SHARD // 16:
        raise ModelError(f"{directory}: {free >> 20:,} MB are free and the converted model takes {2 * weights >> 20:,}")
    _write_weights(source, config, shapes, directory)
    files.write_json(directory / "config.json", config)
    files.write_json(directory / "generation_config.json", _generation_config(source, config))
    tokenizer.save_pretrained(directory)
    # transformers 5 rebuilds named tokenizer classes from their vocabulary alone; this one keeps the file as it is
    settings = files.read_json(directory / "tokenizer_config.json")
    assert isinstance(settings, dict)
    files.write_json(directory / "tokenizer_config.json", settings | {"tokenizer_class": "PreTrainedTokenizerFast"})


def checked(source: Gguf) -> tuple[dict[str, object], PreTrainedTokenizerFast]:
    """The config and the tokenizer of a file that can be converted; raises `ModelError` for any other.

    Reads no weights.
    """
    config = config_of(source)
    _check_tensors(source, _expected(config))
    tokenizer = tokenizer_from(source)
    if len(tokenizer) != config["vocab_size"]:
        raise ModelError(
            f"{source.path}: {len(tokenizer):,} tokens and {config['vocab_size']:,} rows of token_embd.weight"
        )
    return config, tokenizer


def config_of(source: Gguf) -> dict[str, object]:
    """transformers' config of the file; raises `ModelError` naming what is missing, senseless or not implemented."""
    architecture = source.fields.get("general.architecture")
    if architecture != "llama":
        raise ModelError(
            f'{source.path}: its architecture is "{architecture}"; from a GGUF only "llama" is read. '
            "Use the model's own directory with safetensors instead"
        )
    _refuse_unknown(source)
    hidden = _size(source, "embedding_length")
    heads = _size(source, "attention.head_count")
    kv_heads = _size(source, "attention.head_count_kv", heads)
    head = _size(source, "attention.key_length", hidden // heads if hidden % heads == 0 else None)
    embedding = source.tensors.get("token_embd.weight")
    problems = []
    if embedding is None or len(embedding.shape) != 2 or embedding.shape[1] != hidden:
        problems.append(f"token_embd.weight has not {hidden} columns")
    if heads % kv_heads:
        problems.append(f"{heads} query heads do not share {kv_heads} key heads evenly")
    if head % 2 or _size(source, "attention.value_length", head) != head:
        problems.append(f"heads of {head} whose values have another size, or an odd one")
    if _size(source, "rope.dimension_count", head) != head:
        problems.append("rotary positions on a part of each head only")
    if problems:
        raise ModelError(f"{source.path}: {listed(problems)}")
    assert embedding is not None
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "vocab_size": embedding.shape[0],
        "hidden_size": hidden,
        "intermediate_size": _size(source, "feed_forward_length"),
        "num_hidden_layers": _size(source, "block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head,
        "hidden_act": "silu",
        "max_position_embeddings": _size(source, "context_length"),
        "rms_norm_eps": _real(source, "attention.layer_norm_rms_epsilon"),
        "rope_theta": _real(source, "rope.freq_base", 10000.0),
        "rope_parameters": {"rope_type": "default", "rope_theta": _real(source, "rope.freq_base", 10000.0)},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": "output.weight" not in source.tensors,
        "bos_token_id": token_id(source, "bos"),
        "eos_token_id": token_id(source, "eos"),
        "pad_token_id": token_id(source, "padding"),
    }


def unpermuted(weight: Tensor, heads: int) -> Tensor:
    """Rows of q or k [heads*head, hidden] back from pairs (0, 1), (2, 3)... to halves, as transformers rotates them."""
    rows = weight.shape[0] // heads // 2
    return weight.view(heads, rows, 2, *weight.shape[1:]).transpose(1, 2).reshape(weight.shape)


def _refuse_unknown(source: Gguf) -> None:
    problems = [
        f"the field {name}"
        for name in source.fields
        if name.startswith("llama.") and name.removeprefix("llama.") not in _USED | _HARMLESS
    ]
    if source.fields.get("llama.expert_count", 0) != 0:
        problems.append("a mixture of experts (llama.expert_count)")
    if source.fields.get("llama.rope.scaling.type", "none") != "none":
        problems.append(f"scaled rotary positions (llama.rope.scaling.type {source.fields['llama.rope.scaling.type']})")
    if "rope_freqs.weight" in source.tensors:
        problems.append("scaled rotary positions (the tensor rope_freqs.weight)")
    if problems:
        raise ModelError(
            f"{source.path}: not implemented for a GGUF:\n{listed(problems)}\n"
            "Use the model's own directory with safetensors instead"
        )


def _size(source: Gguf, name: str, default: int | None = None) -> int:
    value = source.fields.get(f"llama.{name}", default)
    most = MAX_LAYERS if name == "block_count" else 1 << 24
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= most:
        raise ModelError(f"{source.path}: llama.{name} is {value!r}, not a whole number from 1 to {most:,}")
    return value


def _real(source: Gguf, name: str, default: float | None = None) -> float:
    value = source.fields.get(f"llama.{name}", default)
    if not isinstance(value, float) or not 0 < value < 1e12:
        raise ModelError(f"{source.path}: llama.{name} is {value!r}, not a positive number")
    # stored as fp32: the shortest decimal that gives the same fp32 is what the publisher wrote (1e-05, not 9.99...e-06)
    return float(f"{value:.7g}")


def _expected(config: dict[str, object]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """GGUF name -> (transformers' name, shape) of every tensor that such a model has."""
    sizes = {name: value for name, value in config.items() if isinstance(value, int)}
    hidden, vocab, inner = sizes["hidden_size"], sizes["vocab_size"], sizes["intermediate_size"]
    q, kv = (sizes["head_dim"] * sizes[name] for name in ("num_attention_heads", "num_key_value_heads"))
    shapes = {
        "attn_norm.weight": (hidden,),
        "attn_q.weight": (q, hidden),
        "attn_k.weight": (kv, hidden),
        "attn_v.weight": (kv, hidden),
        "attn_output.weight": (hidden, q),
        "ffn_norm.weight": (hidden,),
        "ffn_gate.weight": (inner, hidden),
        "ffn_up.weight": (inner, hidden),
        "ffn_down.weight": (hidden, inner),
    }
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        "token_embd.weight": ("model.embed_tokens.weight", (vocab, hidden)),
        "output_norm.weight": ("model.norm.weight", (hidden,)),
    }
    if not config["tie_word_embeddings"]:
        expected["output.weight"] = ("lm_head.weight", (vocab, hidden))
    for layer in range(sizes["num_hidden_layers"]):
        for name, shape in shapes.items():
            expected[f"blk.{layer}.{name}"] = (f"model.layers.{layer}.{_BLOCK[name]}", shape)
    return expected


def _check_tensors(source: Gguf, expected: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    problems = [f"{name} is missing" for name in expected if name not in source.tensors]
    for name, tensor in source.tensors.items():
        if name not in expected:
            problems.append(f"{name} has no place in a llama model (biases are not implemented)")
        elif tensor.shape != expected[name][1]:
            problems.append(f"{name} has the shape {list(tensor.shape)}, expected {list(expected[name][1])}")
    if problems:
        raise ModelError(f"{source.path}:\n{listed(problems)}")


def _weight(source: Gguf, tensor: Stored, config: dict[str, object]) -> BFloat16[Tensor, "..."]:
    weight = torch.empty(math.prod(tensor.shape), dtype=torch.bfloat16)
    done = 0
    for part in source.chunks(tensor.name):
        weight[done : done + len(part)] = torch.from_numpy(part.copy())
        done += len(part)
    weight = weight.view(tensor.shape)
    for name, heads in (("attn_q.weight", "num_attention_heads"), ("attn_k.weight", "num_key_value_heads")):
        if tensor.name.endswith(name):
            count = config[heads]
            assert isinstance(count, int)
            return unpermuted(weight, count)
    return weight


def _shards(expected: dict[str, tuple[str, tuple[int, ...]]]) -> Iterator[list[str]]:
    shard: list[str] = []
    size = 0
    for name, (_, shape) in expected.items():
        if shard and size + 2 * math.prod(shape) > SHARD:
            yield shard
            shard, size = [], 0
        shard.append(name)
        size += 2 * math.prod(shape)
    yield shard


def _write_weights(
    source: Gguf, config: dict[str, object], expected: dict[str, tuple[str, tuple[int, ...]]], directory: Path
) -> None:
    shards = list(_shards(expected))
    places: dict[str, str] = {}
    for number, names in enumerate(shards, 1):
        several = f"model-{number:05}-of-{len(shards):05}.safetensors"
        file = "model.safetensors" if len(shards) == 1 else several
        tensors = {expected[name][0]: _weight(source, source.tensors[name], config) for name in names}
        save_file(tensors, directory / file, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, file)
    if len(shards) > 1:
        total = 2 * sum(math.prod(shape) for _, shape in expected.values())
        index = {"metadata": {"total_size": total}, "weight_map": places}
        files.write_json(directory / "model.safetensors.index.json", index)


def _generation_config(source: Gguf, config: dict[str, object]) -> dict[str, object]:
    ends = [i for i in (config["eos_token_id"], token_id(source, "eot"), token_id(source, "eom")) if i is not None]
    unique = list(dict.fromkeys(ends))
    named = {name: config[name] for name in ("bos_token_id", "pad_token_id") if config[name] is not None}
    return named | ({"eos_token_id": unique[0] if len(unique) == 1 else unique} if unique else {})
