"""Tiny random models and a small byte-level tokenizer, unkind on purpose: the shapes that break shortcuts.

kv_heads < heads, head size other than hidden / heads, windows of 8, tied and untied heads, biases that are not zero,
dropout in the config, and more rows in the embedding than the tokenizer has entries.
"""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    PhiConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

VOCAB = 400  # rows of the embedding; the tokenizer has fewer
CONTEXT = 256  # positions
WINDOW = 8  # of the sliding layers

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_COMMON: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,  # not 24 / 4
    "max_position_embeddings": CONTEXT,
    "attention_dropout": 0.1,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "initializer_range": 0.15,
}
_SLIDING = ["sliding_attention", "full_attention", "sliding_attention"]


def _gpt2() -> GPT2Config:
    return GPT2Config(
        vocab_size=VOCAB,
        n_positions=CONTEXT,
        n_embd=24,
        n_layer=3,
        n_head=4,
        initializer_range=0.15,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )


def _without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in _COMMON.items() if name not in names}


def _config(architecture: str) -> Any:
    if architecture == "llama":
        return LlamaConfig(**_COMMON, attention_bias=True, mlp_bias=True, tie_word_embeddings=True)
    if architecture == "qwen3":
        return Qwen3Config(**_COMMON, attention_bias=True, tie_word_embeddings=False)
    if architecture == "gemma3":
        return Gemma3TextConfig(
            **_COMMON, sliding_window=WINDOW, layer_types=_SLIDING, query_pre_attn_scalar=12, tie_word_embeddings=True
        )
    if architecture == "mistral":
        return MistralConfig(**_COMMON, sliding_window=WINDOW, tie_word_embeddings=False)
    if architecture == "gpt2":
        return _gpt2()
    if architecture == "olmo2":
        return Olmo2Config(**_without("head_dim"), tie_word_embeddings=False)
    if architecture == "phi":  # partial rotary positions, biases everywhere, the head's too
        phi = _without("head_dim") | {"hidden_size": 32}
        return PhiConfig(**phi, partial_rotary_factor=0.5, resid_pdrop=0.1, tie_word_embeddings=False)
    raise KeyError(architecture)


ARCHITECTURES: list[str] = ["llama", "qwen3", "gemma3", "mistral", "gpt2", "olmo2", "phi"]


def tiny_model(architecture: str, seed: int = 0) -> PreTrainedModel:
    """A random causal model in fp32, in eval mode, the same for the same seed; biases and norms are not trivial."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(_config(architecture), attn_implementation="sdpa")
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter.add_(torch.randn_like(parameter) * 0.1)
    assert isinstance(model, PreTrainedModel)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    return model.eval()


def tiny_tokenizer(chat_template: str | None = CHATML) -> PreTrainedTokenizerFast:
    """Byte-level BPE of about 350 entries: <|endoftext|> 0, <|im_start|> 1, <|im_end|> 2 (end and padding)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=350,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_TEXT], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT,
        **({"chat_template": chat_template} if chat_template is not None else {}),
    )


def tiny_directory(
    path: Path, architecture: str = "llama", tokenizer: PreTrainedTokenizerFast | None = None, seed: int = 0
) -> Path:
    """Save a whole model directory (weights, config, generation config, tokenizer, template) and give its path."""
    path.mkdir(parents=True, exist_ok=True)
    tiny_model(architecture, seed).save_pretrained(path)
    (tokenizer or tiny_tokenizer()).save_pretrained(path)
    return path


_TEXT = """The quick brown fox jumps over the lazy dog. The user asks and the assistant answers in one word:
system user assistant yes no red green blue one two three what is the colour of this thing? the the the
translate cube cylinder difference union width depth height = ( [ ] ) ; refund order late broken invoice payment
"""
