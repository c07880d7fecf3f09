"""Log-probability of the user's own answer, per token: nearness to it, never a judgement of another good answer."""

from collections.abc import Mapping

from burnish.types import Example, ItemScore, Observation


class ReferenceLoglik:
    """Mean log-probability per token of the expected answer with its end of turn, in nats, averaged over items."""

    name = "reference_loglik"
    unit = "nats per token"
    better = "higher"
    is_share = False
    margin = 0.05  # 5 % of perplexity
    reads = "reference"
    also = ("chrf",)
    closer = True

    def score(self, observation: Observation, example: Example, _options: Mapping[str, object]) -> ItemScore:
        """Minus the answer's nats over its tokens."""
        assert observation.reference_nats is not None, example.id
        assert observation.reference_tokens, example.id
        return ItemScore(-observation.reference_nats / observation.reference_tokens)


metric = ReferenceLoglik()
