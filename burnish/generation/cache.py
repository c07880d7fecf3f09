"""A cache of keys and values with its room taken beforehand, and the prompts that fill it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from burnish.models.adapters import frame_of
from burnish.models.attention import CacheLayout, forward_cached, prefixes
from burnish.models.seams import layers_of

TOKENS_AT_ONCE = 8192  # of prompts
STEP = 64  # the keys that attention is given grow in steps: a product of a new shape costs time and memory of its own


class RoomyCache(DynamicCache):  # type: ignore[misc]  # transformers comes without types
    """Never cropped, whatever the model's windows (positions decide what is seen), and never copied to grow.

    What it gives to a layer is longer than what it holds, by zeros up to the next `STEP`; nothing sees them.
    """

    def __init__(self, layers: int, rows: int, room: int) -> None:
        super().__init__()
        self.room, self.length = -(-room // STEP) * STEP, 0
        self.rows = rows  # in use
        self.part: slice | None = None  # the rows that the next update is about; None: all in use
        self.keys: list[Tensor | None] = [None] * layers
        self.values: list[Tensor | None] = [None] * layers

    def update(
        self,
        key_states: Float[Tensor, "rows kv_heads time head"],
        value_states: Float[Tensor, "rows kv_heads time head"],
        layer_idx: int,
        *_: object,
        **__: object,
    ) -> tuple[Tensor, Tensor]:
        """Append to `part` of a layer's rows; returns views of everything it holds of them, and of the zeros behind."""
        kv_heads, time = key_states.shape[1:3]
        part = slice(0, self.rows) if self.part is None else self.part
        end = self.length + time
        assert end <= self.room, "a cache was asked for more room than was planned"
        views = []
        for store, new in ((self.keys, key_states), (self.values, value_states)):
            held = store[layer_idx]
            if held is None:
                held = new.new_zeros(self.rows, kv_heads, self.room, new.shape[-1])
                store[layer_idx] = held
            held[part, :, self.length : end] = new
            views.append(held[part, :, : self.width(time)])
        return views[0], views[1]

    def width(self, time: int) -> int:
        """How many keys attention is given once `time` more tokens are held."""
        return min(self.room, -(-(self.length + time) // STEP) * STEP)

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002
        """Tokens held."""
        return self.length

    def repeated(self, rows: int, room: int) -> "RoomyCache":
        """One row's content as the beginning of `rows` rows."""
        other = RoomyCache(len(self.keys), rows, room)
        for mine, theirs in ((self.keys, other.keys), (self.values, other.values)):
            for layer, held in enumerate(mine):
                assert held is not None
                new = held.new_zeros(rows, held.shape[1], other.room, held.shape[3])
                new[:, :, : self.length] = held[:, :, : self.length]
                theirs[layer] = new
        other.length = self.length
        return other

    def keep_rows(self, rows: Int[Tensor, "kept"]) -> None:
        """Let the other rows go; `rows` ascend. The kept ones move up in place, so that no second cache is needed."""
        for held in (*self.keys, *self.values):
            assert held is not None
            for place, row in enumerate(rows.tolist()):
                if place != row:
                    held[place, :, : self.length].copy_(held[row, :, : self.length])
        self.rows = len(rows)


@dataclass(slots=True)
class Prompts:
    """Prompts that went through the model: the cache, the positions it holds, and each row's last hidden state."""

    cache: RoomyCache
    keys: Int[Tensor, "rows keys"]  # position of everything in the cache, -1 for padding
    last: Float[Tensor, "rows hidden"]
    following: Int[Tensor, "rows"]  # the position of each row's next token


def common_beginning(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; at least one token of each is left over."""
    limit = min(len(prompt) for prompt in prompts) - 1
    first = prompts[0]
    size = 0
    while size < limit and all(prompt[size] == first[size] for prompt in prompts):
        size += 1
    return size


def _extend(
    model: PreTrainedModel, tokens: Tensor, positions: Tensor, cache: RoomyCache, keys: Tensor
) -> tuple[Float[Tensor, "rows time hidden"], Int[Tensor, "rows keys"]]:
    """Append tokens to the cache, some rows at a time: the memory for the others' activations is never needed."""
    keys = torch.cat([keys, positions], 1)
    rows, time = tokens.shape
    at_once, hidden = max(1, TOKENS_AT_ONCE // time), []
    for start in range(0, rows, at_once):
        part = cache.part = slice(start, start + at_once)
        hidden.append(forward_cached(model, tokens[part], CacheLayout(positions[part], keys[part]), cache))
    cache.part = None
    cache.length += time
    return torch.cat(hidden), keys


def _with_prefix(model: PreTrainedModel, cache: RoomyCache, size: int) -> tuple[RoomyCache, Int[Tensor, "1 keys"]]:
    """The trained keys and values of a prefix as the beginning of an empty cache of one row, and their positions."""
    for layer, module in prefixes(model).items():
        states = module.states(model.dtype)
        if states is not None:
            cache.update(states[0][None], states[1][None], layer)
    cache.length = size
    return cache, torch.arange(size, device=model.get_input_embeddings().weight.device)[None]


@torch.no_grad()
def read_prompts(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], spare: int, *, share: bool = True
) -> Prompts:
    """Run prompts through the model side by side, their common beginning once; `spare` is the room left after them.

    Prompts are padded on the right; padding has position -1 and is never seen. A prefix of the model's stands in the
    cache before them, reserved slots are their first tokens.
    """
    device = model.get_input_embeddings().weight.device
    frame = frame_of(model)
    slots = tuple(-1 - slot for slot in range(frame.slots))
    prompts = [slots + tuple(prompt) for prompt in prompts]
    layers = len(layers_of(model))
    size = common_beginning(prompts) if share and len(prompts) > 1 else 0
    rows, room = len(prompts), frame.first + max(len(prompt) for prompt in prompts) + spare
    cache, keys = _with_prefix(model, RoomyCache(layers, 1, frame.first + size), frame.first)
    if size:
        tokens = torch.tensor([list(prompts[0][:size])], device=device)
        _, keys = _extend(model, tokens, torch.arange(size, device=device)[None] + frame.first, cache, keys)
    cache = cache.repeated(rows, room) if cache.length else RoomyCache(layers, rows, room)
    rest = [list(prompt[size:]) for prompt in prompts]
    width = max(len(r) for r in rest)
    tokens = torch.tensor([r + [0] * (width - len(r)) for r in rest], device=device)
    lengths = torch.tensor([len(r) for r in rest], device=device)
    places = torch.arange(width, device=device)[None]
    positions = torch.where(places < lengths[:, None], places + frame.first + size, -1)
    hidden, keys = _extend(model, tokens, positions, cache, keys.expand(rows, -1))
    last = hidden[torch.arange(rows, device=device), lengths - 1]
    return Prompts(cache, keys, last, lengths + frame.first + size)
