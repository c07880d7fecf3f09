"""Mean loss per token of each document, in nats; the perplexity is its exponential."""

import math
from collections.abc import Mapping

from burnish.types import Example, ItemScore, Observation


class DocumentLoss:
    """Nats per token, averaged over documents: each document counts alike, however long it is."""

    name = "document_loss"
    unit = "nats per token"
    better = "lower"
    is_share = False
    margin = 0.02  # 2 % of perplexity
    reads = "reference"
    closer = True

    def score(self, observation: Observation, example: Example, _options: Mapping[str, object]) -> ItemScore:
        """The document's nats over its targets, all windows together."""
        assert observation.reference_nats is not None, example.id
        assert observation.reference_tokens, example.id
        return ItemScore(observation.reference_nats / observation.reference_tokens)


def perplexity(loss: float) -> float:
    """The number of equally likely next tokens that a loss in nats per token stands for."""
    return math.exp(loss)


metric = DocumentLoss()
