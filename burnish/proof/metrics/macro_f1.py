"""F1 of each label, averaged over the expected labels: a rare label counts as much as a common one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

from burnish.proof.answers import collapsed, parse_label
from burnish.types import Example, ItemScore, Observation


class MacroF1:
    """0-1, computed from all items together. Option `labels`: the label set, filled in from the data."""

    name = "macro_f1"
    unit = "F1"
    better = "higher"
    is_share = False
    margin = 0.05
    reads = "answer"
    span = 1.0
    options: Mapping[str, object] = {"labels": ()}

    def score(self, observation: Observation, example: Example, options: Mapping[str, object]) -> ItemScore:
        """1 or 0 for the item alone; the labels themselves are kept for the whole."""
        given = parse_label(observation.answer or "", cast("Sequence[str]", options["labels"]))
        expected, answered = collapsed(example.answer), None if given is None else collapsed(given)
        return ItemScore(float(answered == expected), {"expected": expected, "given": answered})

    def aggregate(self, scores: Sequence[ItemScore]) -> float:
        """Mean over the expected labels of 2 right / (expected + given); a label that is only ever given has no F1."""
        pairs = [(score.detail["expected"], score.detail["given"]) for score in scores]
        expected = Counter(e for e, _ in pairs)
        given = Counter(g for _, g in pairs)
        right = Counter(e for e, g in pairs if e == g)
        return sum(2 * right[label] / (expected[label] + given[label]) for label in expected) / len(expected)


metric = MacroF1()
