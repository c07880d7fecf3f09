"""Greedy decoding of several prompts side by side; what one gets does not depend on its neighbours (law 8)."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedModel

from burnish.generation.cache import Prompts, read_prompts
from burnish.models.attention import forward_cached, is_packed
from burnish.models.cached_attention import CacheLayout
from burnish.models.head import head_of


@dataclass(frozen=True, slots=True)
class Generated:
    """An answer without its stop token."""

    tokens: tuple[int, ...]
    stopped_by: Literal["end", "length"]


@torch.no_grad()
def generate(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    stop_ids: Set[int],
    max_new_tokens: int,
    share: bool = True,
    read: Prompts | None = None,
) -> list[Generated]:
    """The most likely next token, again and again, until a stop token or `max_new_tokens`; one result a prompt.

    `read`: the prompts as they went through the model before, with room for the answers; it is used up.
    """
    if not prompts:
        return []
    if not is_packed(model):
        return [_by_the_model(model, prompt, stop_ids, max_new_tokens) for prompt in prompts]
    head = head_of(model)
    state = read_prompts(model, prompts, max_new_tokens, share=share) if read is None else read
    stops = torch.tensor(sorted(stop_ids), device=state.last.device)
    rows = torch.arange(len(prompts), device=state.last.device)  # which prompt each row of the cache belongs to
    tokens: list[list[int]] = [[] for _ in prompts]
    ended = [False] * len(prompts)
    hidden, keys, positions = state.last, state.keys, state.following
    done = torch.zeros(len(prompts), dtype=torch.bool, device=hidden.device)
    for number in range(max_new_tokens):
        chosen = head.logits(hidden).argmax(-1)
        stopped = torch.isin(chosen, stops) & ~done
        for row, token, stop, was in zip(*(t.tolist() for t in (rows, chosen, stopped, done)), strict=True):
            ended[row] |= stop
            if not (stop or was):
                tokens[row].append(token)
        done |= stopped
        finished = int(done.sum())
        if finished == len(done) or number + 1 == max_new_tokens:
            break
        if finished * 4 >= len(done):  # rows that ended leave the batch once they are a quarter of it
            kept = torch.nonzero(~done)[:, 0]
            state.cache.keep_rows(kept)
            rows, chosen, positions, keys, done = (
                t.index_select(0, kept) for t in (rows, chosen, positions, keys, done)
            )
        keys = torch.cat([keys, positions[:, None]], 1)
        layout = CacheLayout(positions[:, None], keys, front=state.front)
        hidden = forward_cached(model, chosen[:, None], layout, state.cache)[:, 0]
        state.cache.length += 1
        positions = positions + 1
    return [Generated(tuple(t), "end" if e else "length") for t, e in zip(tokens, ended, strict=True)]


def _by_the_model(model: PreTrainedModel, prompt: Sequence[int], stop_ids: Set[int], max_new_tokens: int) -> Generated:
    """A model that failed the self-check decodes by itself, one prompt at a time."""
    given = torch.tensor([list(prompt)], device=model.get_input_embeddings().weight.device)
    everything = model.generate(
        given,
        attention_mask=torch.ones_like(given),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(stop_ids),
        pad_token_id=min(stop_ids),
    )[0, len(prompt) :].tolist()
    end = next((i for i, token in enumerate(everything) if token in stop_ids), None)
    return Generated(tuple(everything[:end]), "length" if end is None else "end")
