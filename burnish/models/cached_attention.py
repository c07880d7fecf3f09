"""Attention to what a cache holds: what all rows begin with, held once, and what each row has of its own."""

from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

States: TypeAlias = tuple[Float[Tensor, "kv_heads prefix head"], Float[Tensor, "kv_heads prefix head"]]
BLOCK = 256  # queries of a long prompt at a time
EXPLICIT_UP_TO = 1 << 14  # queries times keys of a row whose scores are held all at once


@dataclass(frozen=True, slots=True, eq=False)
class CacheLayout:
    """Positions of queries and of everything in the cache; -1 marks what is no token.

    With segments, several continuations of one row stand side by side: a query sees the keys of segment -1, which all
    share, and those of its own segment.
    """

    queries: Int[Tensor, "rows time"]
    keys: Int[Tensor, "rows keys"]
    query_segments: Int[Tensor, "rows time"] | None = None
    key_segments: Int[Tensor, "rows keys"] | None = None
    front: tuple[States, ...] = ()  # by layer: what stands before every row, at positions 0, 1, …
    filled: int | None = None  # keys that are held; behind them stand zeros that nothing sees
    masks: dict[tuple[int | None, int, torch.dtype], Tensor] = field(default_factory=dict)  # layers share them

    def widened(self, width: int) -> "CacheLayout":
        """The same for a cache that shows `width` keys."""
        filled = self.keys.shape[1]
        keys = F.pad(self.keys, (0, width - filled), value=-1)
        segments = None if self.key_segments is None else F.pad(self.key_segments, (0, width - filled))
        return replace(self, keys=keys, key_segments=segments, filled=filled, masks={})

    def mask(self, window: int | None, before: int, dtype: torch.dtype) -> Float[Tensor, "rows time all_keys"]:
        """What is added to scores: 0 where a query sees a key, else the lowest number; `before` keys stand in front."""
        if (window, before, dtype) not in self.masks:
            front = torch.arange(before, device=self.keys.device).expand(len(self.keys), -1)
            keys = torch.cat([front, self.keys], 1)
            distance = self.queries[:, :, None] - keys[:, None]
            seen: Bool[Tensor, "rows time all_keys"] = (distance >= 0) & (keys[:, None] >= 0)
            if window is not None:
                seen = seen & (distance < window)
            if self.query_segments is not None and self.key_segments is not None:
                segments = F.pad(self.key_segments, (before, 0), value=-1)
                own = segments[:, None] == self.query_segments[:, :, None]
                seen = seen & (own | (segments[:, None] < 0))
            mask = torch.zeros(seen.shape, dtype=dtype, device=seen.device)
            self.masks[window, before, dtype] = mask.masked_fill_(~seen, torch.finfo(dtype).min)
        return self.masks[window, before, dtype]


@runtime_checkable
class Cache(Protocol):
    """What the attention seam asks of a cache; the rest is between it and transformers."""

    def width(self, time: int) -> int:
        """How many keys a layer is given once `time` more tokens are held."""


def attend_cached(
    query: Float[Tensor, "rows heads time head"],
    key: Float[Tensor, "rows kv_heads keys head"],
    value: Float[Tensor, "rows kv_heads keys head"],
    layout: CacheLayout,
    scaling: float,
    window: int | None,
    before: States | None = None,
) -> Float[Tensor, "rows time heads head"]:
    """Each query with the keys that `layout` lets it see; `before` stands in front of every row, uncopied."""
    rows, heads, time, head = query.shape
    kv_heads, keys = key.shape[1:3]
    size = 0 if before is None else before[0].shape[1]
    if time * (size + keys) > EXPLICIT_UP_TO:
        mask = layout.mask(window, size, query.dtype)
        if before is not None:
            key, value = (
                torch.cat([t.expand(rows, *t.shape), own], 2) for t, own in zip(before, (key, value), strict=True)
            )
        return _attend_long(query, key, value, mask, scaling, size + (layout.filled or keys))
    q = query.reshape(rows, kv_heads, -1, head)
    behind = 0 if window is None else size  # without a window everything sees all of what stands in front
    mask = layout.mask(window, behind, query.dtype)[:, None, None]
    scores = (q @ key.transpose(2, 3)).mul_(scaling).view(rows, kv_heads, -1, time, keys) + mask[..., behind:]
    if before is not None:  # all queries of all rows against what is held once: one product for each head
        together = q.transpose(0, 1).reshape(kv_heads, -1, head)
        front = torch.bmm(together, before[0].transpose(1, 2)).mul_(scaling)
        front = front.view(kv_heads, rows, -1, time, size).transpose(0, 1)
        scores = torch.cat([front if window is None else front + mask[..., :size], scores], -1)
    weights = torch.softmax(scores, -1).view(rows, kv_heads, -1, size + keys)
    mixed = weights[..., size:] @ value
    if before is not None:
        together = weights[..., :size].transpose(0, 1).reshape(kv_heads, -1, size)
        mixed = mixed + torch.bmm(together, before[1]).view(kv_heads, rows, -1, head).transpose(0, 1)
    return mixed.view(rows, heads, time, head).transpose(1, 2)


def _attend_long(
    query: Float[Tensor, "rows heads time head"],
    key: Float[Tensor, "rows kv_heads keys head"],
    value: Float[Tensor, "rows kv_heads keys head"],
    mask: Float[Tensor, "rows time keys"],
    scaling: float,
    filled: int,
) -> Float[Tensor, "rows time heads head"]:
    """The same in blocks of queries; what was appended after a block's queries is never seen by them."""
    time, parts = query.shape[2], []
    for start in range(0, time, BLOCK):
        end = min(start + BLOCK, time)
        until = filled - time + end
        parts.append(
            F.scaled_dot_product_attention(
                query[:, :, start:end],
                key[:, :, :until],
                value[:, :, :until],
                attn_mask=mask[:, None, start:end, :until],
                scale=scaling,
                enable_gqa=query.shape[1] > key.shape[1],
            )
        )
    return torch.cat(parts, 2).transpose(1, 2)
