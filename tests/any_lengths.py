"""What `torch.nn.attention.varlen.varlen_attn` gives, document by document, on any device and in any dtype."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from burnish.models import flash


def by_document(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor,
    max_q: int,
    max_k: int,
    *,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool = False,
) -> Tensor:
    """Causal attention whose last query sees the last key, as FlashAttention aligns them (2.1 and later)."""
    assert query.shape[1] % key.shape[1] == 0
    assert (query.shape[1] != key.shape[1]) <= enable_gqa
    assert window_size[1] == 0
    sizes, key_sizes = cu_seq_q.diff(), cu_seq_k.diff()
    assert (int(sizes.max()), int(key_sizes.max())) == (max_q, max_k)
    mixed = []
    for at, size, key_at, key_size in zip(cu_seq_q, sizes, cu_seq_k, key_sizes, strict=False):
        q = query[at : at + size].transpose(0, 1)
        k, v = (
            t[key_at : key_at + key_size].transpose(0, 1).repeat_interleave(len(q) // t.shape[1], 0)
            for t in (key, value)
        )
        distance = torch.arange(int(size))[:, None] + int(key_size - size) - torch.arange(int(key_size))
        seen = (distance >= 0) & ((distance <= window_size[0]) | (window_size[0] < 0))
        scores = (q @ k.transpose(1, 2) * scale).masked_fill(~seen.to(q.device), -torch.inf)
        mixed.append((scores.softmax(-1) @ v).transpose(0, 1))
    return torch.cat(mixed)


@contextmanager
def any_lengths() -> Iterator[None]:
    """While this lasts the engine attends as on a GPU that has the kernel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flash, "serves", lambda *_: True)
        patch.setattr(flash, "_kernel", by_document)
        patch.setattr(flash, "OPTIONS", frozenset({"scale", "window_size", "enable_gqa"}))
        yield
