"""The questions that a measurement asks a model; the real one asks `burnish.generation`."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from burnish.generation.cache import Prompts, bytes_per_token, common_beginning, fitting, read_prompts
from burnish.generation.choose import continuation_scores, reference_nats, width_of
from burnish.generation.decode import Generated, generate
from burnish.models.attention import is_packed
from burnish.types import TokenizedExample

CACHE_BYTES = 1 << 30  # of keys and values that are held at once


class Engine(Protocol):
    """A model as seen by a measurement."""

    def generate(self, prompts: Sequence[Sequence[int]]) -> list[Generated]:
        """One answer a prompt."""

    def continuations(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[float]]:
        """Summed log-probability in nats of each prompt's continuations."""

    def both(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
    ) -> tuple[list[Generated], list[list[float]]]:
        """`generate` and `continuations` of the same prompts."""

    def reference(self, documents: Sequence[TokenizedExample]) -> list[tuple[float, int]]:
        """Summed nats and number of targets of each document."""


@dataclass(frozen=True, slots=True)
class ModelEngine:
    """A loaded model, with the stop set and the longest answer of the run.

    What is asked at once goes through the model in parts, so that keys and values never take more than `CACHE_BYTES`
    where several prompts are held; the parts are a pure function of the prompts' lengths.
    """

    model: nn.Module
    stop_ids: Set[int]
    max_new_tokens: int

    def generate(self, prompts: Sequence[Sequence[int]], read: Prompts | None = None) -> list[Generated]:
        """Greedy, side by side; `read` as in `burnish.generation.decode.generate`."""
        return generate(
            self.model,
            prompts,
            stop_ids=self.stop_ids,
            max_new_tokens=self.max_new_tokens,
            room=self._room if is_packed(self.model) else None,
            read=read,
        )

    def continuations(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[float]]:
        """Each prompt forwarded once."""
        parts = self._parts(prompts, width_of(continuations))
        return [row for part in parts for row in continuation_scores(self.model, prompts[part], continuations[part])]

    def both(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
    ) -> tuple[list[Generated], list[list[float]]]:
        """Each prompt forwarded once for the two."""
        if not is_packed(self.model):
            return self.generate(prompts), self.continuations(prompts, continuations)
        answers: list[Generated] = []
        scores: list[list[float]] = []
        spare = max(self.max_new_tokens, width_of(continuations))
        for part in self._parts(prompts, spare):
            read = read_prompts(self.model, prompts[part], spare)
            scores += continuation_scores(self.model, prompts[part], continuations[part], read=read)
            answers += self.generate(prompts[part], read)
        return answers, scores

    def reference(self, documents: Sequence[TokenizedExample]) -> list[tuple[float, int]]:
        """Packed rows."""
        return reference_nats(self.model, documents)

    @property
    def _room(self) -> int:
        """Tokens whose keys and values are held at once."""
        return CACHE_BYTES // bytes_per_token(self.model)

    def _parts(self, prompts: Sequence[Sequence[int]], spare: int) -> Iterator[slice]:
        """Consecutive prompts that have room together."""
        shared = common_beginning(prompts) if len(prompts) > 1 else 0
        rest, start = [prompt[shared:] for prompt in prompts], 0
        while start < len(prompts):
            end = start + fitting(rest[start:], spare, self._room - shared)
            yield slice(start, end)
            start = end
