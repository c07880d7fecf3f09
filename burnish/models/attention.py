"""The attention seam: one function, registered with transformers, that sees documents instead of masks.

transformers gives a function that is registered only with `AttentionInterface` no mask at all, so causality, the
documents of a packed row, sliding windows and padding are decided here, from the `layout` that travels as a keyword
argument through the model's own forward.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface, DynamicCache, PreTrainedModel

from burnish.errors import ModelError
from burnish.models import flash
from burnish.models.adapters import Switched
from burnish.models.cached_attention import Cache, CacheLayout, States, attend_cached
from burnish.models.flash import Spans, spans_of
from burnish.types import Batch, Frame

NAME = "burnish"
HARMLESS = frozenset(
    {"position_ids", "cache_position", "use_cache", "output_attentions", "output_hidden_states", "output_router_logits"}
)
BLOCK = 256  # queries of a document at a time: what is above the diagonal is not computed
KEPT_UP_TO = 1024  # tokens; of a longer document no scores are kept: the backward pass computes each block again


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Documents of nearly one length that continue the same beginning, attended in one batched product."""

    count: int
    length: int  # rounded up, so that few shapes occur
    gather: Int[Tensor, "places"]  # places in the flattened rows; a place past a document's end repeats its last
    beginning: Int[Tensor, "shared"] | None  # places of the beginning that these documents share


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The documents of packed rows by their lengths."""

    each: tuple[Group, ...]
    scatter: Int[Tensor, "places"]  # for each place of the flattened rows, its place in the concatenated groups


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the documents of packed rows stand, as the way in which they are attended wants to know it."""

    documents: Int[Tensor, "rows time"]  # index of the document of every place, -1 for padding
    continues: Sequence[int] = ()  # of each document: the index of the beginning that it continues, or -1
    front: tuple[States, ...] = ()  # by layer: keys and values that a cache holds, which stand before every document

    @cached_property
    def groups(self) -> Groups:
        """For batched products."""
        return _groups_of(self.documents, self.continues)

    @cached_property
    def spans(self) -> Spans:
        """For a kernel that takes documents of any lengths."""
        return spans_of(self.documents, self.continues)


def bucket(length: int) -> int:
    """A length rounded up: multiples of 8 up to 64, of 16 up to 256, then of 64. oneDNN compiles for each new shape."""
    step = 8 if length <= 64 else 16 if length <= 256 else 64
    return -(-length // step) * step


def _groups_of(documents: Int[Tensor, "rows time"], continues: Sequence[int]) -> Groups:
    flat = documents.reshape(-1).cpu()
    starts = torch.nonzero(torch.diff(flat, prepend=torch.tensor([-2])) != 0)[:, 0].tolist()
    ends = [*starts[1:], len(flat)]
    alike: dict[tuple[int, int], list[tuple[int, int]]] = {}
    stands: dict[int, Tensor] = {}
    for start, end in zip(starts, ends, strict=True):
        number = int(flat[start])
        if number >= 0:
            beginning = continues[number] if number < len(continues) else -1
            alike.setdefault((beginning, bucket(end - start)), []).append((start, end))
        if number >= len(continues):
            stands[number] = torch.arange(start, end).to(documents.device)
    groups, scatter, done = [], torch.zeros(len(flat), dtype=torch.long), 0
    for (beginning, length), spans in sorted(alike.items()):
        first = torch.tensor([start for start, _ in spans])[:, None]
        last = torch.tensor([end - 1 for _, end in spans])[:, None]
        places = torch.minimum(first + torch.arange(length), last)
        for i, (start, end) in enumerate(spans):
            scatter[start:end] = torch.arange(end - start) + done + i * length
        shared = None if beginning < 0 else stands[beginning]
        groups.append(Group(len(spans), length, places.reshape(-1).to(documents.device), shared))
        done += len(spans) * length
    return Groups(tuple(groups), scatter.to(documents.device))


class PrefixStates(Switched):
    """Trained keys and values of one attention layer, which stand before every document at positions 0 … prefix-1.

    It is the attention module's child `prefix`. The keys are as after RoPE, as in PEFT (Li & Liang 2021, section 4.3).
    """

    def __init__(self) -> None:
        super().__init__()
        self.keys, self.values = nn.ParameterDict(), nn.ParameterDict()

    def frame(self) -> Frame:
        """Documents begin after the prefix."""
        return Frame() if self.active is None else Frame(first=self.keys[self.active].shape[1])

    def states(self, dtype: torch.dtype) -> States | None:
        """The active keys and values, in the dtype of the computation."""
        return None if self.active is None else (self.keys[self.active].to(dtype), self.values[self.active].to(dtype))


def prefixes(model: nn.Module) -> dict[int, PrefixStates]:
    """The layers that have a prefix, by their index."""
    found: dict[int, PrefixStates] = {}
    for module in model.modules():
        prefix = getattr(module, "prefix", None)
        if isinstance(prefix, PrefixStates):
            found[getattr(module, "layer_idx", -1)] = prefix
    return dict(sorted(found.items()))


def prefix_cache(model: PreTrainedModel) -> dict[str, DynamicCache]:
    """The active prefix as transformers' own forward takes it: a cache that is not empty; {} where there is none."""
    states = {layer: module.states(model.dtype) for layer, module in prefixes(model).items()}
    held = {layer: pair for layer, pair in states.items() if pair is not None}
    if not held:
        return {}
    cache = DynamicCache()
    for layer, (key, value) in held.items():
        cache.update(key[None], value[None], layer)
    return {_cache_keyword(type(model).forward): cache}


@lru_cache(maxsize=64)
def _causal(
    length: int, window: int | None, repeat: int, before: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "1 queries keys"]:
    """Additive mask of a document behind `before` keys, repeated for the query heads that share a key head."""
    distance = torch.arange(length)[:, None] + before - torch.arange(before + length)[None]
    seen = (distance >= 0) if window is None else (distance >= 0) & (distance < window)
    mask = torch.zeros(length, before + length, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
    return mask.repeat(repeat, 1)[None].to(device)


def _attend_group(
    query: Float[Tensor, "heads count length head"],
    key: Float[Tensor, "kv_heads count length head"],
    value: Float[Tensor, "kv_heads count length head"],
    scaling: float,
    window: int | None,
    before: States | None,
) -> Float[Tensor, "count*length heads head"]:
    """Causal attention inside each document of one group, a block of queries at a time; `before` stands in front."""
    heads, count, length, head = query.shape
    kv_heads, size = len(key), 0 if before is None else before[0].shape[1]
    again = torch.is_grad_enabled() and size + length > KEPT_UP_TO
    q = query.view(kv_heads, -1, count, length, head).transpose(1, 2)
    k, v = (t.reshape(kv_heads * count, length, head) for t in (key, value))
    blocks = []
    for start in range(0, length, BLOCK):
        end = min(start + BLOCK, length)
        given = q[..., start:end, :], k[:, :end], v[:, :end], scaling, window, before
        if again:
            mixed = checkpoint(_attend_block, *given, use_reentrant=False, preserve_rng_state=False)
        else:
            mixed = _attend_block(*given)
        blocks.append(mixed.view(kv_heads, count, -1, end - start, head))
    mixed = blocks[0] if len(blocks) == 1 else torch.cat(blocks, 3)
    return mixed.permute(1, 3, 0, 2, 4).reshape(count * length, heads, head)


def _attend_block(
    query: Float[Tensor, "kv_heads count repeat block head"],
    key: Float[Tensor, "kv_heads*count keys head"],
    value: Float[Tensor, "kv_heads*count keys head"],
    scaling: float,
    window: int | None,
    before: States | None,
) -> Float[Tensor, "kv_heads*count repeat*block head"]:
    """The last `block` queries of documents with all keys up to them; what stands before is not copied for each."""
    kv_heads, _, repeat, block, head = query.shape
    size = 0 if before is None else before[0].shape[1]
    q = query.reshape(len(key), repeat * block, head)
    behind = 0 if window is None else size  # without a window everything sees all of what stands before it
    mask = _causal(block, window, repeat, behind + key.shape[1] - block, q.dtype, q.device)
    scores = torch.baddbmm(mask[..., behind:], q, key.transpose(1, 2), alpha=scaling)
    if before is not None:  # all queries of all documents against the one beginning: one product for each head
        front = torch.bmm(q.reshape(kv_heads, -1, head), before[0].transpose(1, 2)) * scaling
        front = front.view(*scores.shape[:2], size)
        scores = torch.cat([front if window is None else front + mask[..., :size], scores], -1)
    weights = torch.softmax(scores, -1)
    mixed = torch.bmm(weights[..., size:], value)
    if before is not None:
        of_front = torch.bmm(weights[..., :size].reshape(kv_heads, -1, size), before[1])
        mixed = mixed + of_front.view(mixed.shape)
    return mixed


def _attend_packed(
    query: Float[Tensor, "rows heads time head"],
    key: Float[Tensor, "rows kv_heads time head"],
    value: Float[Tensor, "rows kv_heads time head"],
    layout: Layout,
    scaling: float,
    window: int | None,
    before: States | None,
) -> Float[Tensor, "rows time heads head"]:
    rows, heads, time, head = query.shape
    flat = [t.transpose(0, 1).reshape(t.shape[1], rows * time, head) for t in (query, key, value)]
    parts = []
    for group in layout.groups.each:
        q, k, v = (t.index_select(1, group.gather).view(len(t), group.count, group.length, head) for t in flat)
        first = _in_front(before, flat[1], flat[2], group.beginning)
        parts.append(_attend_group(q, k, v, scaling, window, first))
    return torch.cat(parts).index_select(0, layout.groups.scatter).view(rows, time, heads, head)


def _in_front(
    prefix: States | None,
    key: Float[Tensor, "kv_heads places head"],
    value: Float[Tensor, "kv_heads places head"],
    beginning: Int[Tensor, "shared"] | None,
) -> tuple[Float[Tensor, "kv_heads before head"], Float[Tensor, "kv_heads before head"]] | None:
    """What stands before the documents of a group: a trained prefix, and behind it the beginning that they share."""
    if beginning is None:
        return prefix
    shared = key.index_select(1, beginning), value.index_select(1, beginning)
    if prefix is None:
        return shared
    return torch.cat([prefix[0], shared[0]], 1), torch.cat([prefix[1], shared[1]], 1)


def attention(
    module: nn.Module,
    query: Float[Tensor, "rows heads time head"],
    key: Float[Tensor, "rows kv_heads keys head"],
    value: Float[Tensor, "rows kv_heads keys head"],
    attention_mask: Tensor | None,
    layout: Layout | CacheLayout | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,
    **others: object,
) -> tuple[Float[Tensor, "rows time heads head"], None]:
    """What transformers calls in every attention layer; raises `ModelError` on anything that it does not implement."""
    unknown = sorted(k for k, v in others.items() if v is not None and k not in HARMLESS)
    if unknown or attention_mask is not None or dropout or is_causal is False or layout is None:
        found = ", ".join(unknown) or "a mask, dropout, attention that is not causal, or no layout"
        raise ModelError(f"{type(module).__name__}: burnish's attention does not implement {found}")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    prefix, before = getattr(module, "prefix", None), None
    if layout.front:  # a prefix stands in it already
        before = layout.front[int(module.layer_idx)]  # type: ignore[arg-type]
    if isinstance(layout, CacheLayout):
        return attend_cached(query, key, value, layout, scaling, sliding_window, before), None
    if before is None and isinstance(prefix, PrefixStates):
        before = prefix.states(query.dtype)
    if flash.serves(query.device, query.dtype, query.shape[-1]):
        return flash.attend(query, key, value, layout.spans, scaling, sliding_window, before), None
    return _attend_packed(query, key, value, layout, scaling, sliding_window, before), None


AttentionInterface.register(NAME, attention)


def is_packed(model: PreTrainedModel) -> bool:
    """Whether the model attends through this module (else through its own attention, one document a row)."""
    return getattr(model.config, "_attn_implementation", None) == NAME


@lru_cache(maxsize=64)
def _cache_keyword(forward: object) -> str:
    """transformers 5 renamed `past_key_values` to `cache` on the way."""
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"  # type: ignore[arg-type]


def forward_hidden(
    model: PreTrainedModel, batch: Batch, layout: Layout | None = None
) -> Float[Tensor, "rows time hidden"]:
    """Hidden states before the output head, every document by itself.

    A model that failed the self-check for packing runs through its own attention; its rows must hold one document.
    """
    if is_packed(model):
        extra = {"layout": Layout(batch.documents, batch.continues) if layout is None else layout}
    else:
        assert len(batch.ids) == len(batch.tokens) == 1, "a model without packing takes one document at a time"
        extra = {}
    base = model.base_model
    result = base(input_ids=batch.tokens, position_ids=batch.positions, use_cache=False, **extra)
    hidden: Tensor = result.last_hidden_state
    return hidden


def forward_cached(
    model: PreTrainedModel,
    tokens: Int[Tensor, "rows time"],
    layout: CacheLayout,
    cache: Cache | DynamicCache,
) -> Float[Tensor, "rows time hidden"]:
    """Hidden states of tokens that continue what `cache` holds: one of ours, or a plain one that is never cropped."""
    wide = layout.widened(cache.width(tokens.shape[1])) if isinstance(cache, Cache) else layout
    return forward_kept(model, tokens, layout.queries.clamp_min(0), wide, cache)


def forward_kept(
    model: PreTrainedModel,
    tokens: Int[Tensor, "rows time"],
    positions: Int[Tensor, "rows time"],
    layout: Layout | CacheLayout,
    cache: Cache | DynamicCache,
) -> Float[Tensor, "rows time hidden"]:
    """The same for packed documents, whose keys and values the cache keeps for what will continue them."""
    base = model.base_model
    keyword = _cache_keyword(type(base).forward)
    result = base(input_ids=tokens, position_ids=positions, use_cache=True, layout=layout, **{keyword: cache})
    hidden: Tensor = result.last_hidden_state
    return hidden
