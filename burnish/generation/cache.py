"""A cache of keys and values with its room taken beforehand, and the prompts that fill it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from burnish.data.pack import rows_of
from burnish.models.adapters import frame_of
from burnish.models.attention import CacheLayout, States, forward_cached, forward_kept, packed_layout, prefixes
from burnish.models.seams import layers_of

ROW = 2048  # tokens of prompts at a time, whole prompts without padding between them
ROUND = 128  # a row's length is rounded up to this: matrix products meet few shapes
STEP = 64  # room grows in steps: a product of a new shape costs time and memory of its own


class RoomyCache(DynamicCache):  # type: ignore[misc]  # transformers comes without types
    """Never cropped, whatever the model's windows (positions decide what is seen); it grows by whole steps of room.

    A layer is given all of its room: what it holds and zeros behind, which nothing sees. oneDNN would copy a part of it
    for every product.
    """

    def __init__(self, layers: int, rows: int, room: int) -> None:
        super().__init__()
        self.room, self.length = -(-room // STEP) * STEP, 0
        self.rows = rows  # in use
        self.places: tuple[Tensor, Tensor] | None = None  # row and column of each token, while a packed row is read
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
        """Append to a layer's rows; returns views of everything it holds of them, and of the zeros behind.

        Of a packed row each token goes to its own place, and what is returned is the row as it came.
        """
        kv_heads, time = key_states.shape[1:3]
        room = self.room if self.places is not None else self.width(time)
        views = []
        for store, new in ((self.keys, key_states), (self.values, value_states)):
            held = store[layer_idx]
            if held is None or held.shape[2] < room:
                wider = new.new_zeros(self.rows, kv_heads, room, new.shape[-1])
                if held is not None:
                    wider[:, :, : self.length] = held[: self.rows, :, : self.length]
                store[layer_idx] = held = wider
            if self.places is None:
                held[: self.rows, :, self.length : self.length + time] = new
                views.append(held[: self.rows, :, :room])
            else:
                rows, columns = self.places
                held[rows, :, columns] = new[0, :, : len(rows)].transpose(0, 1)
                views.append(new)
        return views[0], views[1]

    def front(self) -> tuple[States, ...]:
        """What the first row holds, by layer; () where it holds nothing."""
        states = []
        for key, value in zip(self.keys, self.values, strict=True) if self.length else ():
            assert key is not None
            assert value is not None
            states.append((key[0, :, : self.length], value[0, :, : self.length]))
        return tuple(states)

    def width(self, time: int) -> int:
        """How many keys attention is given once `time` more tokens are held."""
        return max(self.room, -(-(self.length + time) // STEP) * STEP)

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


def bytes_per_token(model: PreTrainedModel) -> int:
    """What the keys and values of one token take in all layers."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    size: int = torch.empty((), dtype=model.dtype).element_size()
    return int(2 * config.num_hidden_layers * kv_heads * head * size)


def common_beginning(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; at least one token of each is left over."""
    limit = min(len(prompt) for prompt in prompts) - 1
    first = prompts[0]
    size = 0
    while size < limit and all(prompt[size] == first[size] for prompt in prompts):
        size += 1
    return size


def _read_row(
    model: PreTrainedModel,
    rest: Sequence[Sequence[int]],
    members: Sequence[int],
    cache: RoomyCache,
    front: tuple[States, ...],
) -> Float[Tensor, "members hidden"]:
    """Put what is left of some prompts into the cache, in one row without padding; the last hidden state of each.

    `front`: what the cache holds, which is the same in all its rows and stands before each of them.
    """
    device = model.get_input_embeddings().weight.device
    lengths = [len(rest[i]) for i in members]
    spare = -sum(lengths) % ROUND
    tokens = torch.tensor([token for i in members for token in rest[i]] + [0] * spare, device=device)[None]
    documents = torch.tensor([n for n, i in enumerate(lengths) for _ in range(i)] + [-1] * spare)[None]
    columns = torch.tensor([at for length in lengths for at in range(length)], device=device) + cache.length
    rows = torch.tensor([i for i in members for _ in rest[i]], device=device)
    positions = F.pad(columns, (0, spare))[None]
    cache.places = rows, columns
    hidden = forward_kept(model, tokens, positions, packed_layout(documents.to(device), front=front), cache)
    cache.places = None
    return hidden[0, torch.tensor(lengths, device=device).cumsum(0) - 1]


def _with_prefix(model: PreTrainedModel, cache: RoomyCache, size: int) -> RoomyCache:
    """The trained keys and values of a prefix as the beginning of an empty cache of one row."""
    for layer, module in prefixes(model).items():
        states = module.states(model.dtype)
        if states is not None:
            cache.update(states[0][None], states[1][None], layer)
    cache.length = size
    return cache


@torch.no_grad()
def read_prompts(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], spare: int, *, share: bool = True
) -> Prompts:
    """Run prompts through the model, their common beginning once; `spare`: what may follow them, in tokens.

    In the cache they stand side by side, each row with nothing behind its end: position -1, never seen. A prefix of the
    model's stands before them, reserved slots are their first tokens.
    """
    device = model.get_input_embeddings().weight.device
    frame = frame_of(model)
    slots = tuple(-1 - slot for slot in range(frame.slots))
    prompts = [slots + tuple(prompt) for prompt in prompts]
    layers = len(layers_of(model))
    size = common_beginning(prompts) if share and len(prompts) > 1 else 0
    first, rows = frame.first + size, len(prompts)
    lengths = [len(prompt) - size for prompt in prompts]
    cache = _with_prefix(model, RoomyCache(layers, 1, first), frame.first)
    if size:
        tokens = torch.tensor([list(prompts[0][:size])], device=device)
        keys = torch.arange(first, device=device)[None]
        forward_cached(model, tokens, CacheLayout(keys[:, frame.first :], keys), cache)
        cache.length += size
    room = first + max(lengths) + min(spare, STEP)
    cache = cache.repeated(rows, room) if cache.length else RoomyCache(layers, rows, room)
    rest, front = [prompt[size:] for prompt in prompts], cache.front()
    last: dict[int, Tensor] = {}
    for members in rows_of(lengths, ROW):
        last.update(zip(members, _read_row(model, rest, members, cache, front), strict=True))
    cache.length += max(lengths)
    following = torch.tensor(lengths, device=device) + first
    places = torch.arange(cache.length, device=device)[None]
    keys = torch.where(places < following[:, None], places, -1)
    return Prompts(cache, keys, torch.stack([last[row] for row in range(rows)]), following)
