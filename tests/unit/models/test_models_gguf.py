"""From a GGUF to a model directory: tensors, tokenizer, config, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from burnish.errors import ModelError
from burnish.models import gguf as reader
from burnish.models import gguf_llama
from burnish.models.gguf import read_gguf
from burnish.models.gguf_llama import checked, convert
from tests.tiny_gguf import HEADS, KV_HEADS, gguf_name, interleaved, llama, tiny_gguf
from tests.tiny_models import CHATML, tiny_tokenizer

TEXTS = ["the quick 12345 dogs", "  a\n\n\tb  ", "wasn't café <|im_end|> x", "Ω≠1,234.50"]


def converted(source: Path, directory: Path) -> Path:
    directory.mkdir()
    convert(read_gguf(source), directory)
    return directory


@pytest.mark.parametrize("tied", [True, False])
def test_a_converted_model_gives_the_logits_of_the_model_that_was_written(tmp_path: Path, tied: bool) -> None:
    model = llama(tied)
    directory = converted(tiny_gguf(tmp_path / "m.gguf", model), tmp_path / "m")
    loaded = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    tokens = torch.arange(20)[None] + 5
    with torch.no_grad():
        assert torch.equal(loaded(tokens).logits, model(tokens).logits)
    assert loaded.config.tie_word_embeddings is tied
    assert loaded.config.rope_parameters["rope_theta"] == 100000.0
    assert loaded.config.rms_norm_eps == 1e-5
    assert loaded.generation_config.eos_token_id == 2
    assert ("lm_head.weight" in load_file(directory / "model.safetensors")) is not tied


def test_quantized_tensors_are_the_gguf_packages_with_q_and_k_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tiny_gguf(tmp_path / "m.gguf", quantized=True)
    monkeypatch.setattr(reader, "CHUNK", 96)  # several chunks a tensor
    directory = converted(source, tmp_path / "m")
    ours = load_file(directory / "model.safetensors")
    theirs = {t.name: gguf.dequantize(t.data, t.tensor_type) for t in gguf.GGUFReader(source).tensors}
    assert {gguf_name(name) for name in ours} == set(theirs)
    for name, tensor in ours.items():
        weight = tensor.float().numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            weight = interleaved(weight, HEADS if "q_proj" in name else KV_HEADS)
        expected = torch.from_numpy(theirs[gguf_name(name)].copy()).bfloat16().float().numpy()
        assert np.array_equal(weight, expected.reshape(weight.shape)), name


def test_large_models_are_written_in_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()
    monkeypatch.setattr(gguf_llama, "SHARD", 60_000)
    directory = converted(tiny_gguf(tmp_path / "m.gguf", model), tmp_path / "m")
    assert len(list(directory.glob("model-*-of-*.safetensors"))) > 1
    loaded = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def by_hand(split: pre_tokenizers.PreTokenizer, ignore_merges: bool) -> Tokenizer:
    """The tokenizer that a publisher would build with this pre-tokenizer from the same vocabulary and merges."""
    given = json.loads(tiny_tokenizer().backend_tokenizer.to_str())
    merges = [tuple(pair) for pair in given["model"]["merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=given["model"]["vocab"], merges=merges, ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = split, decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return tokenizer


LLAMA_3 = (
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
)
SPLITS: dict[str, Callable[[], Any]] = {
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    ),
    "gpt-2": lambda: pre_tokenizers.ByteLevel(add_prefix_space=False),
    "llama-bpe": lambda: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA_3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    ),
}


@pytest.mark.parametrize("name", SPLITS)
def test_auto_tokenizer_reads_the_published_rules_from_the_directory(tmp_path: Path, name: str) -> None:
    source = tiny_gguf(tmp_path / "m.gguf", fields={"tokenizer.ggml.pre": name})
    directory = converted(source, tmp_path / "m")
    tokenizer = AutoTokenizer.from_pretrained(directory)
    expected = by_hand(SPLITS[name](), ignore_merges=name == "llama-bpe")
    for text in TEXTS:
        assert tokenizer.encode(text, add_special_tokens=False) == expected.encode(text).ids, text
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id) == (
        1,
        2,
        2,
        0,
    )
    assert tokenizer.chat_template == CHATML
    assert tokenizer.model_max_length == 256
    assert tokenizer.all_special_ids == [1, 2, 0]


def test_a_beginning_token_is_added_where_the_file_says_so(tmp_path: Path) -> None:
    source = tiny_gguf(tmp_path / "m.gguf", fields={"tokenizer.ggml.add_bos_token": True})
    tokenizer = AutoTokenizer.from_pretrained(converted(source, tmp_path / "m"))
    assert tokenizer.encode("the")[0] == 1
    assert tokenizer.encode("the", add_special_tokens=False)[0] != 1


def test_several_end_tokens_reach_the_generation_config(tmp_path: Path) -> None:
    source = tiny_gguf(tmp_path / "m.gguf", fields={"tokenizer.ggml.eot_token_id": 0})
    directory = converted(source, tmp_path / "m")
    assert json.loads((directory / "generation_config.json").read_text())["eos_token_id"] == [2, 0]


SHORT = {"tokenizer.ggml.tokens": ["a", "b", "ab"], "tokenizer.ggml.token_type": [1, 1, 1]}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another architecture": ({"architecture": "qwen2"}, 'architecture is "qwen2"'),
    "an unknown pre-tokenizer": ({"fields": {"tokenizer.ggml.pre": "smollm9"}}, 'Did you mean "smollm"'),
    "no pre-tokenizer": ({"fields": {"tokenizer.ggml.pre": None}}, "tokenizer.ggml.pre"),
    "sentencepiece": ({"fields": {"tokenizer.ggml.model": "llama"}}, "byte-level BPE"),
    "experts": ({"fields": {"llama.expert_count": 8}}, "mixture of experts"),
    "yarn": ({"fields": {"llama.rope.scaling.type": "yarn"}}, "yarn"),
    "an unknown field": ({"fields": {"llama.attention.scale": 0.5}}, "llama.attention.scale"),
    "scaled positions": ({"extra": {"rope_freqs.weight": np.ones(8, np.float32)}}, "rope_freqs"),
    "partial positions": ({"fields": {"llama.rope.dimension_count": 8}}, "part of each head"),
    "uneven heads": ({"fields": {"llama.attention.head_count_kv": 3}}, "evenly"),
    "no heads": ({"fields": {"llama.attention.head_count": 0}}, "llama.attention.head_count is 0"),
    "too many layers": ({"fields": {"llama.block_count": 4_000_000_000}}, "llama.block_count is 4000000000"),
    "more layers than there are": ({"fields": {"llama.block_count": 3}}, "blk.2.attn_norm.weight is missing"),
    "fewer layers than there are": ({"fields": {"llama.block_count": 1}}, "blk.1.attn_k.weight has no place"),
    "another width": ({"fields": {"llama.embedding_length": 32}}, "token_embd.weight has not 32 columns"),
    "another inner width": ({"fields": {"llama.feed_forward_length": 64}}, "ffn_down.weight has the shape"),
    "no context": ({"fields": {"llama.context_length": None}}, "llama.context_length is None"),
    "a negative epsilon": ({"fields": {"llama.attention.layer_norm_rms_epsilon": -1.0}}, "not a positive number"),
    "a text for a size": ({"fields": {"llama.embedding_length": "64"}}, "not a whole number"),
    "a tensor less": ({"drop": ("blk.0.attn_q.weight",)}, "blk.0.attn_q.weight is missing"),
    "a bias": ({"extra": {"blk.0.attn_q.bias": np.zeros(64, np.float32)}}, "biases are not implemented"),
    "no tokens": ({"fields": {"tokenizer.ggml.tokens": None}}, "tokenizer.ggml.tokens"),
    "doubled tokens": ({"fields": {"tokenizer.ggml.tokens": ["a", "a"]}}, "doubled"),
    "fewer tokens": ({"fields": {"tokenizer.ggml.tokens": ["a", "b"], "tokenizer.ggml.token_type": None}}, "2 entries"),
    "fewer rows": ({"fields": {**SHORT, "tokenizer.ggml.merges": ["a b"]}}, "3 tokens and 350 rows"),
    "kinds for other tokens": ({"fields": {"tokenizer.ggml.token_type": [1, 1]}}, "token_type"),
    "no merges": ({"fields": {"tokenizer.ggml.merges": None}}, "merges"),
    "a merge that is no pair": ({"fields": {"tokenizer.ggml.merges": ["a"]}}, "no pair"),
    "a merge of unknown tokens": ({"fields": {"tokenizer.ggml.merges": ["qq zz"]}}, "not in the vocabulary"),
    "an end token outside": ({"fields": {"tokenizer.ggml.eos_token_id": 99_999}}, "eos_token_id is 99999"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_implemented_is_refused_by_name(tmp_path: Path, case: str) -> None:
    changes, said = REFUSED[case]
    source = tiny_gguf(tmp_path / "m.gguf", **changes)
    with pytest.raises(ModelError) as error:
        checked(read_gguf(source))
    assert said in str(error.value)
    assert str(source) in str(error.value)
