"""The answer is the expected text, character by character; white space at the two ends is not looked at."""

from collections.abc import Mapping

from burnish.types import Example, ItemScore, Observation


class Exact:
    """Share of answers that equal the expected answer."""

    name = "exact"
    unit = "share"
    better = "higher"
    is_share = True
    margin = 0.05
    reads = "answer"

    def score(self, observation: Observation, example: Example, _options: Mapping[str, object]) -> ItemScore:
        """1 or 0. Templates trim the ends of an answer, so a model cannot reproduce them."""
        return ItemScore(float((observation.answer or "").strip() == example.answer.strip()))


metric = Exact()
