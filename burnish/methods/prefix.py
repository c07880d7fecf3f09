"""Prefix tuning (Li & Liang 2021, section 4): trained keys and values before every document, in every layer.

They are trained directly, after RoPE, and stand at positions 0 … length-1; each document starts at `length`, as in
PEFT. The start is real text run through the model (the paper's section 7.4).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from burnish.errors import MethodError
from burnish.methods.method import PROMPT_KEY, MethodConfig, Start, refuse_fields, start_tokens
from burnish.models.adapters import make_room, new_parameter
from burnish.models.attention import PrefixStates, forward_cached, is_packed, prefixes
from burnish.models.cached_attention import CacheLayout
from burnish.models.seams import blocks_of

RANDOM_STD = 0.02


class Config(MethodConfig):
    """Trained keys and values before every document, in every layer."""

    name: ClassVar[str] = "prefix"
    peft_type: ClassVar[str] = "PREFIX_TUNING"
    readers: ClassVar[str] = "peft"
    why_unmergeable: ClassVar[str | None] = "its keys and values are none that a weight of the base makes"

    length: int = Field(default=24, ge=1, description="trained keys and values a layer")
    start: Literal["text", "vocabulary", "random"] = Field(
        default="text", description="text run through the model, random tokens run through it, or small random numbers"
    )
    text: str | None = Field(
        default=None, description="the text to start from, repeated or cut to length; none: the task's instruction"
    )

    @property
    def first_position(self) -> int:
        """Documents start behind the prefix."""
        return self.length

    @model_validator(mode="after")
    def _text_is_used(self) -> "Config":
        if self.text is not None and self.start != "text":
            raise ValueError(f"text is what `start: text` begins with, and start is {self.start}; leave one out")
        return self

    @property
    def start_text(self) -> str | None:
        """The field `text`."""
        return self.text

    def learning_rate(self, parameters: int) -> float:  # noqa: ARG002
        """2e-2."""
        return 2e-2

    def check(self, model: PreTrainedModel) -> None:
        """The model attends through burnish's attention, and its layers can be found."""
        self._layers(model)

    def _layers(self, model: PreTrainedModel) -> list[Any]:
        if not is_packed(model):
            raise MethodError(
                f"prefix works in burnish's own attention, and {type(model).__name__} runs through its own "
                "(see the note at load); lora, bottleneck and full fit it"
            )
        layers = [model.get_submodule(block.attention) for block in blocks_of(model)]
        lacking = [type(layer).__name__ for layer in layers if not isinstance(getattr(layer, "layer_idx", None), int)]
        if lacking:
            raise MethodError(
                f"{type(model).__name__}: {lacking[0]} has no layer_idx, by which prefix finds its layers"
            )
        return layers

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:
        """Give every attention layer keys and values and freeze everything else."""
        layers = self._layers(model)
        make_room(model, name, PrefixStates)
        states = self._states(model, start)
        for layer in layers:
            if not hasattr(layer, "prefix"):
                layer.add_module("prefix", PrefixStates())
            held, (key, value) = layer.prefix, states[layer.layer_idx]
            held.keys[name], held.values[name] = new_parameter(key, key), new_parameter(value, value)
            held.active = name

    @torch.no_grad()
    def _states(self, model: PreTrainedModel, start: Start) -> list[tuple[Tensor, Tensor]]:
        """What the model itself has for the start's tokens, each [kv_heads, length, head], by layer."""
        tokens = start_tokens(start, self.length, model, vocabulary=self.start != "text")
        positions = torch.arange(self.length, device=tokens.device)[None]
        cache = DynamicCache()
        forward_cached(model, tokens[None], CacheLayout(positions, positions), cache)
        states = [(layer.keys[0].float(), layer.values[0].float()) for layer in cache.layers]
        if self.start != "random":
            return states
        return [
            (
                torch.randn(key.shape, generator=start.generator).to(key.device) * RANDOM_STD,
                torch.randn(value.shape, generator=start.generator).to(value.device) * RANDOM_STD,
            )
            for key, value in states
        ]

    def notes(self, model: PreTrainedModel) -> list[str]:
        """Where a window hides the prefix."""
        config = model.config.get_text_config()
        kinds = list(getattr(config, "layer_types", None) or [])
        window = getattr(config, "sliding_window", None)
        sliding = kinds.count("sliding_attention") if kinds else config.num_hidden_layers
        if not window or not sliding:
            return []
        return [
            f"prefix: {sliding} of {config.num_hidden_layers} layers see {window} positions back, so there the prefix "
            f"goes out of sight of what stands {window} tokens or more into a document"
        ]

    def peft_config(self, model: PreTrainedModel, name: str) -> dict[str, object]:
        """Prefix tuning's own fields; PEFT's `token_dim` is the width of a layer's keys here."""
        layers = prefixes(model)
        shapes = {tuple(module.keys[name].shape) for module in layers.values()}
        if len(shapes) != 1:
            raise MethodError(f"{type(model).__name__}'s layers have keys of several shapes, which PEFT's format lacks")
        kv_heads, _, head = next(iter(shapes))
        return {
            "num_virtual_tokens": self.length,
            "num_layers": len(layers),
            "num_attention_heads": kv_heads,
            "token_dim": kv_heads * head,
            "num_transformer_submodules": 1,
            "encoder_hidden_size": kv_heads * head,
            "prefix_projection": False,
            "modules_to_save": None,
        }

    def peft_tensors(self, model: PreTrainedModel, name: str) -> dict[str, Tensor]:
        """One tensor [prefix, layers * 2 * kv_heads * head], keys before values in each layer."""
        parts = [part[name].detach() for module in prefixes(model).values() for part in (module.keys, module.values)]
        return {PROMPT_KEY: torch.stack(parts).permute(2, 0, 1, 3).reshape(self.length, -1)}

    def put_tensors(self, model: PreTrainedModel, name: str, tensors: Mapping[str, Tensor]) -> None:
        """The same backwards."""
        parts = [part[name] for module in prefixes(model).values() for part in (module.keys, module.values)]
        kv_heads, _, head = parts[0].shape
        given = tensors[PROMPT_KEY].view(self.length, len(parts), kv_heads, head).permute(1, 2, 0, 3)
        with torch.no_grad():
            for part, value in zip(parts, given, strict=True):
                part.copy_(value)

    @classmethod
    def from_peft(cls, config: Mapping[str, object], recorded: Mapping[str, object]) -> "Config":
        """The length from the config; how it began from what burnish recorded."""
        refuse_fields(config, {"modules_to_save": ()})
        start = {key: recorded[key] for key in ("start", "text") if key in recorded} or {"start": "random"}
        return cls.model_validate({"length": config.get("num_virtual_tokens"), **start})
