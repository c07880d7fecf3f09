"""Blocks whose inside is computed again on the way back instead of being kept (Chen et al. 2016, section 3)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import Any

from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from burnish.models.seams import layers_of


@contextmanager
def recomputed(model: PreTrainedModel, wanted: bool = True) -> Iterator[None]:
    """While this lasts, a forward pass keeps of each block only what goes into it.

    The gradient is the same bit for bit, a block's inside is held one block at a time, and each forward pass is paid
    twice. Dropout masks are found in a context variable, and on an accelerator the way back runs in a thread of its
    own, so a block is computed again in the context in which it was computed first.
    """
    blocks = list(layers_of(model)) if wanted else []
    context = copy_context()
    for block in blocks:
        block.forward = _again(block.forward, context)  # in front of the method of the class
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def _again(forward: Callable[..., Any], context: Context) -> Callable[..., Any]:
    def inside(*arguments: Any, **named: Any) -> Any:
        return context.copy().run(forward, *arguments, **named)

    def kept_outside(*arguments: Any, **named: Any) -> Any:
        return checkpoint(inside, *arguments, use_reentrant=False, preserve_rng_state=False, **named)

    return kept_outside
