"""Greedy decoding of several prompts side by side; what one gets does not depend on its neighbours (law 8)."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedModel

from burnish.generation.cache import Prompts, fitting, read_beginning, read_behind, size_of
from burnish.models.adapters import frame_of
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
    room: int | None = None,
    read: Prompts | None = None,
) -> list[Generated]:
    """The most likely next token, again and again, until a stop token or `max_new_tokens`; one result a prompt.

    An answer that reaches the end of the model's positions is stopped there, by "length".
    `room`: how many tokens' keys and values are held at most, where several prompts are held: the others wait and enter
    as answers end. `read`: the prompts as they went through the model before; they are used up.
    """
    if not prompts:
        return []
    limits = _limits(model, prompts, max_new_tokens)
    if not is_packed(model):
        return [_by_the_model(model, prompt, stop_ids, limit) for prompt, limit in zip(prompts, limits, strict=True)]
    answers = _Answers([[] for _ in prompts], [False] * len(prompts), stop_ids, limits)
    if read is not None:
        _decode(model, _Running(read, list(range(len(prompts)))), answers, 0)
    else:
        _admit(model, prompts, answers, share=share, room=room)
    pairs = zip(answers.tokens, answers.ended, strict=True)
    return [Generated(tuple(tokens), "end" if ended else "length") for tokens, ended in pairs]


def _limits(model: PreTrainedModel, prompts: Sequence[Sequence[int]], most: int) -> list[int]:
    """How long each answer may get; learned positions end, and beyond them GPT-2 has no vector to look up."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(context, int):
        return [most] * len(prompts)
    taken = frame_of(model).size
    return [max(0, min(most, context - taken - len(prompt))) for prompt in prompts]


@dataclass(slots=True)
class _Answers:
    """What was said to each prompt so far."""

    tokens: list[list[int]]
    ended: list[bool]
    stop_ids: Set[int]
    limits: list[int]

    @property
    def longest(self) -> int:
        """The most tokens that an answer may have."""
        return max(self.limits)

    def take(self, owners: Sequence[int], chosen: Sequence[int]) -> list[bool]:
        """Write down what the rows said, those that are done apart; returns which are done now."""
        done = []
        for owner, token in zip(owners, chosen, strict=True):
            if not self.is_done(owner):
                self.ended[owner] = token in self.stop_ids
                if not self.ended[owner]:
                    self.tokens[owner].append(token)
            done.append(self.is_done(owner))
        return done

    def is_done(self, owner: int) -> bool:
        """Whether a prompt's answer goes no further."""
        return self.ended[owner] or len(self.tokens[owner]) >= self.limits[owner]


@dataclass(slots=True)
class _Running:
    """Rows that are being answered."""

    state: Prompts
    owners: list[int]  # which prompt each row belongs to


def _decode(model: PreTrainedModel, running: _Running, answers: _Answers, until: int) -> _Running | None:
    """Go on until no more than `until` rows are left; returns them."""
    head, state, owners = head_of(model), running.state, running.owners
    while True:
        chosen = head.logits(state.last).argmax(-1)
        done = answers.take(owners, chosen.tolist())
        left = done.count(False)
        if left == 0:
            return None
        if left <= until or (len(done) - left) * 4 >= len(done):  # rows that ended leave once they are a quarter
            kept = torch.tensor([row for row, is_done in enumerate(done) if not is_done], device=chosen.device)
            state.keep_rows(kept)
            owners, chosen = [owners[row] for row in kept.tolist()], chosen.index_select(0, kept)
        state.keys = torch.cat([state.keys, state.following[:, None]], 1)
        layout = CacheLayout(state.following[:, None], state.keys, front=state.front)
        state.last = forward_cached(model, chosen[:, None], layout, state.cache)[:, 0]
        state.cache.length += 1
        state.following = state.following + 1
        if left <= until:
            return _Running(state, owners)


def _admit(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], answers: _Answers, *, share: bool, room: int | None
) -> None:
    """Answer prompts in their order; who waits enters once half of those that found room at first are done."""
    front, rest = read_beginning(model, prompts, share=share)
    running: _Running | None = None
    start = 0
    while start < len(rest) or running is not None:
        held, width = (0, 0) if running is None else (len(running.owners), running.state.cache.length)
        count = len(rest) - start
        if room is not None:
            count = fitting(rest[start:], answers.longest, room - size_of(front), held=held, width=width)
        if count:
            new = read_behind(model, front, rest[start : start + count], answers.longest)
            state = new if running is None else running.state.joined(new)
            owners = [] if running is None else running.owners
            running = _Running(state, [*owners, *range(start, start + count)])
            start += count
        assert running is not None
        running = _decode(model, running, answers, len(running.owners) // 2 if start < len(rest) else 0)


def _by_the_model(model: PreTrainedModel, prompt: Sequence[int], stop_ids: Set[int], max_new_tokens: int) -> Generated:
    """A model that failed the self-check decodes by itself, one prompt at a time."""
    if max_new_tokens < 1:
        return Generated((), "length")
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
