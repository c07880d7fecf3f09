"""Dropout masks as a function of (seed, step, document, layer): packing, splitting and resuming change nothing."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from burnish.errors import TrainingError
from burnish.types import Batch


@dataclass(frozen=True, slots=True)
class Spans:
    """The documents of the rows at hand in the order of their places: (seed, length); a None seed is padding."""

    spans: tuple[tuple[str | None, int], ...]
    shared: bool  # some documents share their beginning, so no mask could be each one's own


_current: ContextVar[Spans | None] = ContextVar("burnish_dropout", default=None)


@contextmanager
def training_on(batch: Batch, seed: int, step: int) -> Iterator[None]:
    """While this lasts, `keep` draws masks for the batch's documents; outside it nothing is dropped."""
    flat = batch.documents.reshape(-1)
    documents, lengths = torch.unique_consecutive(flat, return_counts=True)
    spans = tuple(
        (f"{seed}/{step}/{batch.ids[document]}" if 0 <= document < len(batch.ids) else None, length)
        for document, length in zip(documents.tolist(), lengths.tolist(), strict=True)
    )
    token = _current.set(Spans(spans, shared=max(batch.continues, default=-1) >= 0))
    try:
        yield
    finally:
        _current.reset(token)


def keep(x: Float[Tensor, "places width"], share: float, layer: str) -> Float[Tensor, "places width"]:
    """`x` with a share of its entries zeroed and the rest scaled up; `x` itself outside of training."""
    spans = _current.get()
    if spans is None or share == 0:
        return x
    if spans.shared:
        raise TrainingError(
            "dropout met documents that share their beginning; a method with dropout says so in `dropout`"
        )
    parts = []
    for seed, length in spans.spans:
        generator = torch.Generator()
        digest = hashlib.sha256(f"{seed}/{layer}".encode()).digest()
        generator.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        parts.append(torch.rand(length, x.shape[1], generator=generator) >= share)
    mask = torch.cat(parts).to(x.device, x.dtype)
    return x * mask / (1 - share)
