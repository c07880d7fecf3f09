"""Tiny llama GGUF files for tests, written with the `gguf` package, and a writer of raw headers for hostile ones."""

import json
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from tests.tiny_models import CHATML, tiny_tokenizer

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD, INNER = 64, 2, 4, 2, 16, 96

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight",
    "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}


def llama(tied: bool = True, seed: int = 0) -> PreTrainedModel:
    """A random llama whose weights are exact in bf16, of the size that `tiny_gguf` writes."""
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer()),
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        rope_theta=100000.0,
        initializer_range=0.2,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).eval()
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.data.add_(torch.randn_like(parameter) * 0.1)
            parameter.data = parameter.data.bfloat16().float()
    return model


def interleaved(weight: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Rows of q or k as llama.cpp's converter orders them, written out row by row: row i + half goes beside row i."""
    size = len(weight) // heads
    order = [head * size + i + half for head in range(heads) for i in range(size // 2) for half in (0, size // 2)]
    return weight[order]


def gguf_name(name: str) -> str:
    """transformers' tensor name -> the GGUF's."""
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest]}"


def tiny_gguf(
    path: Path,
    model: PreTrainedModel | None = None,
    fields: dict[str, object] | None = None,
    quantized: bool = False,
    architecture: str = "llama",
    drop: tuple[str, ...] = (),
    extra: dict[str, np.ndarray[Any, Any]] | None = None,
) -> Path:
    """Write a whole GGUF; `fields` replaces fields (None leaves one out), `drop` leaves tensors out, `extra` adds."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in (_fields() | (fields or {})).items():
        _add(writer, key, value)
    state = (model or llama()).state_dict()
    for name, tensor in state.items():
        if name == "lm_head.weight" and tensor.data_ptr() == state["model.embed_tokens.weight"].data_ptr():
            continue
        weight = tensor.float().numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            weight = interleaved(weight, HEADS if "q_proj" in name else KV_HEADS)
        _write(writer, gguf_name(name), weight, quantized, drop)
    for name, array in (extra or {}).items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write(
    writer: gguf.GGUFWriter, name: str, weight: np.ndarray[Any, Any], quantized: bool, drop: tuple[str, ...]
) -> None:
    if name in drop:
        return
    if quantized and weight.ndim == 2:
        kind = gguf.GGMLQuantizationType.Q8_0 if name == "token_embd.weight" else gguf.GGMLQuantizationType.Q4_1
        writer.add_tensor(name, gguf.quantize(weight, kind), raw_dtype=kind)
    else:
        writer.add_tensor(name, weight)


def _fields() -> dict[str, object]:
    tokenizer = tiny_tokenizer()
    backend = tokenizer.backend_tokenizer
    merges = json.loads(backend.to_str())["model"]["merges"]
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    return {
        "general.name": "Tiny",
        "general.license": "apache-2.0",
        "llama.block_count": LAYERS,
        "llama.context_length": 256,
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 100000.0,
        "llama.rope.dimension_count": HEAD,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if i < 3 else 1 for i in range(len(tokens))],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in merges],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.chat_template": CHATML,
    }


def _add(writer: gguf.GGUFWriter, key: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        assert isinstance(value, list)
        writer.add_array(key, value)


def text(value: str | bytes) -> bytes:
    """A length and the bytes, as a GGUF holds texts."""
    content = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(content)) + content


def raw_field(name: str, kind: int, content: bytes) -> bytes:
    """One field with whatever content."""
    return text(name) + struct.pack("<I", kind) + content


def raw_tensor(name: str, shape: tuple[int, ...], kind: int = 0, offset: int = 0) -> bytes:
    """One tensor's entry; the shape in the file's order."""
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def raw_gguf(
    fields: tuple[bytes, ...] = (),
    tensors: tuple[bytes, ...] = (),
    *,
    version: int = 3,
    field_count: int | None = None,
    tensor_count: int | None = None,
    data: bytes = b"\0" * 4096,
) -> bytes:
    """A file from raw parts; the counts can lie."""
    counts = (
        len(tensors) if tensor_count is None else tensor_count,
        len(fields) if field_count is None else field_count,
    )
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join(fields) + b"".join(tensors)
    return head + b"\0" * (-len(head) % 32) + data
