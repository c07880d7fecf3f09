"""How likely given answers are: several after each prompt, or the targets of whole documents."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from burnish.data.pack import micro_batches
from burnish.generation.cache import Prompts, read_prompts
from burnish.models.adapters import frame_of
from burnish.models.at_once import at_once
from burnish.models.attention import forward_cached, forward_hidden, is_packed
from burnish.models.cached_attention import CacheLayout
from burnish.models.head import nats_of_targets
from burnish.types import IGNORE, TokenizedExample

TOGETHER = 256  # documents among which common beginnings are looked for


@torch.no_grad()
def continuation_scores(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[Sequence[int]]],
    *,
    share: bool = True,
    read: Prompts | None = None,
) -> list[list[float]]:
    """Summed log-probability (nats) of each prompt's continuations; a continuation has at least one token.

    A prompt is forwarded once, the prompts' common beginning once for all; a prompt's continuations stand side by side
    in one row, each seeing the prompt and itself. `read`: the prompts as they went through the model before, with room
    for `width_of` more tokens; they can be continued again afterwards.
    """
    if not prompts:
        return []
    if not is_packed(model):
        return [_one_by_one(model, p, c) for p, c in zip(prompts, continuations, strict=True)]
    inputs = [[token for c in row for token in c[:-1]] for row in continuations]  # the last token is only predicted
    width = width_of(continuations)
    state = read_prompts(model, prompts, width, share=share) if read is None else read
    hidden = _continued(model, state, inputs, continuations, width) if width else None
    scores = []
    for row, given in enumerate(continuations):
        states, wanted, at = [], [], 0
        for tokens in given:
            states.append(state.last[row, None])
            if len(tokens) > 1:
                assert hidden is not None
                states.append(hidden[row, at : at + len(tokens) - 1])
            at += len(tokens) - 1
            wanted += list(tokens)
        nats = nats_of_targets(model, torch.cat(states)[None], torch.tensor([wanted], device=state.last.device))
        parts = torch.split(nats.double(), [len(tokens) for tokens in given])
        scores.append([-float(part.sum()) for part in parts])
    return scores


def width_of(continuations: Sequence[Sequence[Sequence[int]]]) -> int:
    """The room that continuations take behind their prompts."""
    return max((sum(len(tokens) - 1 for tokens in given) for given in continuations), default=0)


def _continued(
    model: PreTrainedModel,
    state: Prompts,
    inputs: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[Sequence[int]]],
    width: int,
) -> Float[Tensor, "rows width hidden"]:
    """Hidden states of all continuations of all prompts, in one forward."""
    device = state.last.device
    tokens = torch.zeros(len(inputs), width, dtype=torch.long)
    positions = torch.full((len(inputs), width), -1)
    segments = torch.zeros(len(inputs), width, dtype=torch.long)
    for row, given in enumerate(continuations):
        at = 0
        for number, continuation in enumerate(given):
            end = at + len(continuation) - 1
            tokens[row, at:end] = torch.tensor(continuation[:-1])
            positions[row, at:end] = torch.arange(end - at) + int(state.following[row])
            segments[row, at:end] = number
            at = end
    tokens, positions, segments = tokens.to(device), positions.to(device), segments.to(device)
    keys = torch.cat([state.keys, positions], 1)
    key_segments = torch.cat([torch.full_like(state.keys, -1), segments], 1)
    layout = CacheLayout(positions, keys, segments, key_segments, state.front)
    return forward_cached(model, tokens, layout, state.cache)


def _one_by_one(model: PreTrainedModel, prompt: Sequence[int], continuations: Sequence[Sequence[int]]) -> list[float]:
    documents = [
        TokenizedExample(str(i), (*prompt, *c), (False,) * len(prompt) + (True,) * len(c))
        for i, c in enumerate(continuations)
    ]
    return [-nats for nats, _ in reference_nats(model, documents)]


@torch.no_grad()
def reference_nats(model: PreTrainedModel, documents: Sequence[TokenizedExample]) -> list[tuple[float, int]]:
    """(summed nats, targets) of each document, by packed rows of a fixed size: a pure function of the documents."""
    results = [(0.0, 0)] * len(documents)
    device = model.get_input_embeddings().weight.device
    alone, frame, row = not is_packed(model), frame_of(model), at_once(device.type).documents
    for start in range(0, len(documents), TOGETHER):
        some = documents[start : start + TOGETHER]
        for members, batch in micro_batches(some, row, frame=frame, alone=alone):
            targets = batch.targets.to(device)
            nats = nats_of_targets(model, forward_hidden(model, batch.to(device)), targets)
            owner = batch.documents.reshape(-1)[batch.targets.reshape(-1) != IGNORE]
            for number, index in enumerate(members):
                own = nats[
                    (owner == number) | (owner == batch.continues[number])
                ]  # no target is padding, so none is -1
                results[start + index] = (float(own.double().sum()), len(own))
    return results
