"""The answer names the expected label and no other; one lenient reading for every arm (`answers.parse_label`)."""

from collections.abc import Mapping, Sequence
from typing import cast

from burnish.proof.answers import collapsed, parse_label
from burnish.types import Example, ItemScore, Observation


class LabelAccuracy:
    """Share of items whose label is right. Option `labels`: the label set, filled in from the data."""

    name = "label_accuracy"
    unit = "share"
    better = "higher"
    is_share = True
    margin = 0.05
    reads = "answer"
    options: Mapping[str, object] = {"labels": ()}
    also = ("macro_f1",)

    def score(self, observation: Observation, example: Example, options: Mapping[str, object]) -> ItemScore:
        """1 or 0; a label that the set lacks is wrong for every arm."""
        given = parse_label(observation.answer or "", cast("Sequence[str]", options["labels"]))
        return ItemScore(float(given is not None and collapsed(given) == collapsed(example.answer)))


metric = LabelAccuracy()
