"""The answer is the expected text but for case, runs of white space, Unicode forms and punctuation at the ends."""

from collections.abc import Mapping

from burnish.proof.answers import normalised
from burnish.types import Example, ItemScore, Observation


class ExactNormalised:
    """Share of answers that equal the expected answer after normalising both."""

    name = "exact_normalised"
    unit = "share"
    better = "higher"
    is_share = True
    margin = 0.05
    reads = "answer"
    also = ("exact",)

    def score(self, observation: Observation, example: Example, _options: Mapping[str, object]) -> ItemScore:
        """1 or 0."""
        return ItemScore(float(normalised(observation.answer or "") == normalised(example.answer)))


metric = ExactNormalised()
