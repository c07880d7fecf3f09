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
from burnish.models.at_once import at_once
from burnish.models.attention import Layout, forward_cached, forward_kept, prefixes
from burnish.models.cached_attention import CacheLayout, States
from burnish.models.seams import layers_of

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
            states.append((key[0, :, : self.length].contiguous(), value[0, :, : self.length].contiguous()))
        return tuple(states)

    def width(self, time: int) -> int:
        """How many keys attention is given once `time` more tokens are held."""
        return max(self.room, -(-(self.length + time) // STEP) * STEP)

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002
        """Tokens held."""
        return self.length

    def joined(self, other: "RoomyCache") -> "RoomyCache":
        """The rows of two caches, one below the other; both are used up, a layer at a time."""
        cache = RoomyCache(len(self.keys), self.rows + other.rows, max(self.length, other.length) + 1)
        for mine, theirs, new in ((self.keys, other.keys, cache.keys), (self.values, other.values, cache.values)):
            for layer, (above, below) in enumerate(zip(mine, theirs, strict=True)):
                assert above is not None
                assert below is not None
                held = above.new_zeros(cache.rows, above.shape[1], cache.room, above.shape[3])
                held[: self.rows, :, : self.length] = above[: self.rows, :, : self.length]
                held[self.rows :, :, : other.length] = below[: other.rows, :, : other.length]
                new[layer], mine[layer], theirs[layer] = held, None, None
        cache.length = max(self.length, other.length)
        return cache

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
    """Prompts that went through the model: what each row holds behind `front`, and its last hidden state."""

    cache: RoomyCache
    front: tuple[States, ...]  # by layer: what all rows begin with, held once; () where they have nothing in common
    keys: Int[Tensor, "rows keys"]  # position of everything in the cache, -1 for padding
    last: Float[Tensor, "rows hidden"]
    following: Int[Tensor, "rows"]  # the position of each row's next token

    def keep_rows(self, rows: Int[Tensor, "kept"]) -> None:
        """Let the other rows go; `rows` ascend."""
        self.cache.keep_rows(rows)
        self.keys, self.last, self.following = (t.index_select(0, rows) for t in (self.keys, self.last, self.following))

    def joined(self, other: "Prompts") -> "Prompts":
        """The rows of both, which stand behind the same front; both are used up."""
        cache = self.cache.joined(other.cache)
        keys = [F.pad(some.keys, (0, cache.length - some.keys.shape[1]), value=-1) for some in (self, other)]
        last, following = torch.cat([self.last, other.last]), torch.cat([self.following, other.following])
        return Prompts(cache, self.front, torch.cat(keys), last, following)


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

    `front` stands before each of them.
    """
    device = model.get_input_embeddings().weight.device
    lengths = [len(rest[i]) for i in members]
    spare = -sum(lengths) % ROUND
    tokens = torch.tensor([token for i in members for token in rest[i]] + [0] * spare, device=device)[None]
    documents = torch.tensor([n for n, i in enumerate(lengths) for _ in range(i)] + [-1] * spare)[None]
    columns = torch.tensor([at for length in lengths for at in range(length)], device=device)
    rows = torch.tensor([i for i in members for _ in rest[i]], device=device)
    positions = F.pad(columns + size_of(front), (0, spare))[None]
    cache.places = rows, columns
    hidden = forward_kept(model, tokens, positions, Layout(documents.to(device), front=front), cache)
    cache.places = None
    return hidden[0, torch.tensor(lengths, device=device).cumsum(0) - 1]


def size_of(front: tuple[States, ...]) -> int:
    """How many tokens stand in front of every row."""
    return front[0][0].shape[1] if front else 0


def fitting(rest: Sequence[Sequence[int]], spare: int, room: int, *, held: int = 0, width: int = 0) -> int:
    """How many of the next prompts have room, with `spare` tokens to follow each, beside `held` rows of `width` tokens.

    `room`, in tokens, is a row's width times the rows. Where nothing is held one always has.
    """
    count = 0
    for own in rest:
        width = max(width, len(own))
        if (held + count + 1) * (width + spare) > room:
            break
        count += 1
    return max(count, 1) if rest and not held else count


def _read_front(model: PreTrainedModel, tokens: Sequence[int]) -> tuple[States, ...]:
    """What stands before every prompt: a trained prefix, and behind it their common beginning."""
    first = frame_of(model).first
    cache = RoomyCache(len(layers_of(model)), 1, first + len(tokens))
    for layer, module in prefixes(model).items():
        states = module.states(model.dtype)
        if states is not None:
            cache.update(states[0][None], states[1][None], layer)
    cache.length = first
    if tokens:
        keys = torch.arange(first + len(tokens), device=model.get_input_embeddings().weight.device)[None]
        given = torch.tensor([list(tokens)], device=keys.device)
        forward_cached(model, given, CacheLayout(keys[:, first:], keys), cache)
        cache.length += len(tokens)
    return cache.front()


@torch.no_grad()
def read_prompts(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], spare: int, *, share: bool = True
) -> Prompts:
    """Run prompts through the model, their common beginning once; `spare`: what may follow them, in tokens.

    What they begin with is held once; behind it they stand side by side in the cache, each row with nothing behind its
    end: position -1, never seen. A prefix of the model's stands before them, reserved slots are their first tokens.
    """
    front, rest = read_beginning(model, prompts, share=share)
    return read_behind(model, front, rest, spare)


@torch.no_grad()
def read_beginning(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], *, share: bool = True
) -> tuple[tuple[States, ...], list[tuple[int, ...]]]:
    """What stands before all prompts, by layer, and the tokens that each has of its own."""
    slots = tuple(-1 - slot for slot in range(frame_of(model).slots))
    whole = [slots + tuple(prompt) for prompt in prompts]
    shared = common_beginning(whole) if share and len(whole) > 1 else 0
    return _read_front(model, whole[0][:shared]), [prompt[shared:] for prompt in whole]


@torch.no_grad()
def read_behind(
    model: PreTrainedModel, front: tuple[States, ...], rest: Sequence[Sequence[int]], spare: int
) -> Prompts:
    """The same where what the prompts begin with was read before; `rest` is what each has of its own."""
    lengths = [len(own) for own in rest]
    cache = RoomyCache(len(layers_of(model)), len(rest), max(lengths) + min(spare, STEP))
    last: dict[int, Tensor] = {}
    row = at_once(model.get_input_embeddings().weight.device.type).prompts
    for members in rows_of(lengths, row):
        last.update(zip(members, _read_row(model, rest, members, cache, front), strict=True))
    cache.length = max(lengths)
    ends = torch.tensor(lengths, device=last[0].device)
    places = torch.arange(cache.length, device=ends.device)[None]
    keys = torch.where(places < ends[:, None], places + size_of(front), -1)
    return Prompts(cache, front, keys, torch.stack([last[row] for row in range(len(rest))]), ends + size_of(front))
