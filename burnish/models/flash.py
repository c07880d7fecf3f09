"""Attention of packed documents as one kernel, on GPUs that have it: FlashAttention over documents of any lengths.

Dao 2023 (FlashAttention-2). It computes in bf16 and reads where documents begin from a tensor, so that no document is
padded or copied; what stands before a document (a trained prefix, a shared beginning, what a cache holds) is put in
front of its keys. Elsewhere, and in fp32, the products of `burnish.models.attention` serve.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from burnish.models.cached_attention import States

WIDEST = 256  # numbers of a head that the kernel takes
CAPABILITY = (8, 0)  # Ampere

try:
    from torch.nn.attention.varlen import varlen_attn as _kernel
except ImportError:  # before torch 2.10
    _kernel = None  # type: ignore[assignment]
OPTIONS = frozenset(() if _kernel is None else inspect.signature(_kernel).parameters)  # `scale` came with torch 2.11


@lru_cache(maxsize=16)
def serves(device: torch.device, dtype: torch.dtype, width: int) -> bool:
    """Whether the kernel computes heads of `width` numbers here."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16) or width > WIDEST or width % 8:
        return False
    return "scale" in OPTIONS and torch.cuda.get_device_capability(device) >= CAPABILITY


@dataclass(frozen=True, slots=True, eq=False)
class Keys:
    """Which keys each document sees, as the kernel takes them."""

    places: Int[Tensor, "keys"] | None  # of what stands in front and, behind it, the rows; None: the rows as they are
    starts: Int[Tensor, "documents_and_one"]
    longest: int


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Where the documents of the rows begin, padding included, and which beginning each continues."""

    sizes: tuple[int, ...]
    beginnings: tuple[range | None, ...]
    starts: Int[Tensor, "documents_and_one"]
    known: dict[int, Keys] = field(default_factory=dict)  # by the tokens in front; layers share them

    def keys(self, front: int) -> Keys:
        """The keys of every document behind `front` tokens that all see."""
        if front not in self.known:
            self.known[front] = self._keys(front)
        return self.known[front]

    def _keys(self, front: int) -> Keys:
        device = self.starts.device
        if not front and not any(self.beginnings):
            return Keys(None, self.starts, max(self.sizes))
        parts, lengths, at = [], [], front
        for size, beginning in zip(self.sizes, self.beginnings, strict=True):
            own = [*range(front), *(front + place for place in beginning or ()), *range(at, at + size)]
            parts += own
            lengths.append(len(own))
            at += size
        return Keys(torch.tensor(parts, device=device), _starts(lengths, device), max(lengths))


def _starts(lengths: Sequence[int], device: torch.device) -> Int[Tensor, "documents_and_one"]:
    return torch.tensor([0, *lengths]).cumsum(0).to(device, torch.int32)


def spans_of(documents: Int[Tensor, "rows time"], continues: Sequence[int]) -> Spans:
    """The spans of a batch's rows from the document index of every place (-1: padding) and what each continues."""
    numbers, counts = torch.unique_consecutive(documents.reshape(-1).cpu(), return_counts=True)
    sizes, stands, at = counts.tolist(), {}, 0
    for number, size in zip(numbers.tolist(), sizes, strict=True):
        stands[number] = range(at, at + size)
        at += size
    found = [continues[number] if 0 <= number < len(continues) else -1 for number in numbers.tolist()]
    beginnings = tuple(None if beginning < 0 else stands[beginning] for beginning in found)
    return Spans(tuple(sizes), beginnings, _starts(sizes, documents.device))


def attend(
    query: Float[Tensor, "rows heads time head"],
    key: Float[Tensor, "rows kv_heads time head"],
    value: Float[Tensor, "rows kv_heads time head"],
    spans: Spans,
    scaling: float,
    window: int | None,
    before: States | None,
) -> Float[Tensor, "rows time heads head"]:
    """Causal attention inside each document; `before` stands in front of all of them."""
    rows, heads, time, head = query.shape
    q, k, v = (t.transpose(1, 2).reshape(rows * time, t.shape[1], head) for t in (query, key, value))
    seen = spans.keys(0 if before is None else before[0].shape[1])
    if before is not None:
        k, v = (torch.cat([t.transpose(0, 1), own]) for t, own in zip(before, (k, v), strict=True))
    if seen.places is not None:
        k, v = k.index_select(0, seen.places), v.index_select(0, seen.places)
    options: dict[str, Any] = {"scale": scaling, "window_size": (-1 if window is None else window - 1, 0)}
    if "enable_gqa" in OPTIONS:  # a torch that does not know it takes fewer heads of keys without a word
        options["enable_gqa"] = k.shape[1] != heads
    mixed = _kernel(q, k, v, spans.starts, seen.starts, max(spans.sizes), seen.longest, **options)
    assert isinstance(mixed, Tensor)
    return mixed.view(rows, time, heads, head)
