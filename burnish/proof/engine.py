"""The questions that a measurement asks a model; the real one asks `burnish.generation`."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from burnish.generation.cache import read_prompts
from burnish.generation.choose import continuation_scores, reference_nats, width_of
from burnish.generation.decode import Generated, generate
from burnish.models.attention import is_packed
from burnish.types import TokenizedExample


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
    """A loaded model, with the stop set and the longest answer of the run."""

    model: nn.Module
    stop_ids: Set[int]
    max_new_tokens: int

    def generate(self, prompts: Sequence[Sequence[int]]) -> list[Generated]:
        """Greedy, side by side."""
        return generate(self.model, prompts, stop_ids=self.stop_ids, max_new_tokens=self.max_new_tokens)

    def continuations(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[float]]:
        """Each prompt forwarded once."""
        return continuation_scores(self.model, prompts, continuations)

    def both(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
    ) -> tuple[list[Generated], list[list[float]]]:
        """Each prompt forwarded once for the two."""
        if not is_packed(self.model):
            return self.generate(prompts), self.continuations(prompts, continuations)
        read = read_prompts(self.model, prompts, max(self.max_new_tokens, width_of(continuations)))
        scores = continuation_scores(self.model, prompts, continuations, read=read)
        limit = self.max_new_tokens
        return generate(self.model, prompts, stop_ids=self.stop_ids, max_new_tokens=limit, read=read), scores

    def reference(self, documents: Sequence[TokenizedExample]) -> list[tuple[float, int]]:
        """Packed rows."""
        return reference_nats(self.model, documents)
