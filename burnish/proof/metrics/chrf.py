"""chrF2 (Popovic 2015), sacreBLEU's, of each answer against the expected one: overlap of character n-grams."""

from collections.abc import Mapping

from sacrebleu.metrics import CHRF

from burnish.types import Example, ItemScore, Observation


class Chrf:
    """0-100, averaged over items (sacreBLEU's sentence score, not its corpus score)."""

    name = "chrf"
    unit = "chrF2"
    better = "higher"
    is_share = False
    margin = 2.0
    reads = "answer"
    span = 100.0
    closer = True

    def __init__(self) -> None:
        self._chrf = CHRF()

    def score(self, observation: Observation, example: Example, _options: Mapping[str, object]) -> ItemScore:
        """The sentence score; an empty answer scores 0, two empty texts 100."""
        answer, expected = (observation.answer or "").strip(), example.answer.strip()
        if not expected:
            return ItemScore(0.0 if answer else 100.0)
        return ItemScore(float(self._chrf.sentence_score(answer, [expected]).score))


metric = Chrf()
