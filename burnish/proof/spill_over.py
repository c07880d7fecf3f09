"""Whether an answer to a general request is in the task's own output format; learnt from training answers alone.

Two kinds of format can be told, the first that fits is taken:

- *a set of answers*: at least half of the training answers repeat (a label set, "yes" and "no"). An answer is in the
  format where it, or its first line, is one of those that repeat (`normalised`).
- *a notation* (programs, SQL, JSON, a fixed phrase): two character models (each character given the two before it,
  Witten and Bell 1991), one of the training answers and one of ordinary English answers. An answer is in the format
  where the first gives it more nats per character than the second by more than a threshold, which lies halfway between
  the likeliest ordinary answer and the 10th percentile of training answers that were kept apart.

Where the ordinary answers and the training answers kept apart do not stand clear of each other (`GAP`), the task's own
format is prose like any other: spill-over cannot be told, and there is no `Format`.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from burnish.proof.answers import normalised

SEEN = 400  # training answers that are read
CHARACTERS = 400  # of each, from its beginning: as much as an answer to a general request has
FOLDS = 5
RECOGNISED = 0.9  # share of training answers kept apart that must be recognised
GAP = 1.0  # nats per character between the two groups; programs and SQL have three and more, prose none
SHORT = 10  # characters that count for nothing are added to each text: a word or two say little
FEWEST = 20  # training answers from which a format is learnt
ALPHABET = 256  # characters that an unseen one could be


@dataclass(slots=True)
class CharacterModel:
    """Counts of characters after the two before them; digits are one character, case counts."""

    counts: list[dict[str, Counter[str]]] = field(default_factory=lambda: [{}, {}, {}])

    @classmethod
    def of(cls, texts: Sequence[str]) -> "CharacterModel":
        """A model of these texts."""
        model = cls()
        for text in texts:
            folded = _folded(text)
            for at in range(2, len(folded)):
                for order in range(3):
                    context = folded[at - order : at]
                    model.counts[order].setdefault(context, Counter())[folded[at]] += 1
        return model

    def log_probability(self, context: str, character: str) -> float:
        """Nats, with shorter contexts mixed in by Witten and Bell's weights."""
        probability = 1 / ALPHABET
        for order in range(3):
            seen = self.counts[order].get(context[len(context) - order :])
            if seen:
                kinds, total = len(seen), seen.total()
                probability = (seen[character] + kinds * probability) / (total + kinds)
        return math.log(probability)


def _folded(text: str) -> str:
    """Two blanks, then the beginning of the text: digits as 0, each run of white space as its kind."""
    plain = "".join("0" if c.isdigit() else c for c in text.strip()[:CHARACTERS])
    lines = [" ".join(line.split()) for line in plain.splitlines()]
    return "  " + "\n".join(line for line in lines if line) + "\n"


@dataclass(frozen=True, slots=True)
class Format:
    """A task's output format: a set of answers, or a notation."""

    answers: frozenset[str] = frozenset()
    own: CharacterModel | None = None
    ordinary: CharacterModel | None = None
    threshold: float = 0.0

    def likeness(self, text: str) -> float:
        """Nats per character by which the text is likelier as an answer of the task than as ordinary English."""
        assert self.own is not None
        assert self.ordinary is not None
        folded = _folded(text)
        places = range(2, len(folded))
        gained = sum(
            self.own.log_probability(folded[at - 2 : at], folded[at])
            - self.ordinary.log_probability(folded[at - 2 : at], folded[at])
            for at in places
        )
        return gained / (len(places) + SHORT)

    def holds(self, answer: str) -> bool:
        """Whether an answer is in the format."""
        if not answer.strip():
            return False
        if self.own is None:
            first = answer.strip().splitlines()[0]
            return normalised(answer) in self.answers or normalised(first) in self.answers
        return self.likeness(answer) > self.threshold


def learn(training: Sequence[str], ordinary: Sequence[str], labels: Sequence[str] = ()) -> Format | None:
    """The format of these training answers; None where it cannot be told from ordinary answers.

    `ordinary`: answers and texts in plain English that are no answers of any task. `labels`: the run's label set.
    """
    if labels:
        return Format(answers=frozenset(normalised(label) for label in labels))
    given = [text for text in training if text.strip()]
    if len(given) < FEWEST:
        return None
    counts = Counter(normalised(text) for text in given)
    repeated = {text: count for text, count in counts.items() if count > 1}
    if sum(repeated.values()) * 2 >= len(given):
        return Format(answers=frozenset(repeated))
    return _notation(given[:: max(1, len(given) // SEEN)][:SEEN], ordinary)


def _notation(given: Sequence[str], ordinary: Sequence[str]) -> Format | None:
    """Fitted on every second answer and tried on the others; ordinary answers are tried by models without them."""
    fitted, apart = given[::2], given[1::2]
    own = CharacterModel.of(fitted)
    whole = Format(own=own, ordinary=CharacterModel.of(ordinary))
    task = sorted(whole.likeness(text) for text in apart)
    other = []
    for fold in range(FOLDS):
        rest = [text for i, text in enumerate(ordinary) if i % FOLDS != fold]
        without = Format(own=own, ordinary=CharacterModel.of(rest))
        other += [without.likeness(text) for text in ordinary[fold::FOLDS]]
    low, high = task[int((1 - RECOGNISED) * len(task))], max(other)
    if low - high < GAP:
        return None
    return Format(own=own, ordinary=whole.ordinary, threshold=(low + high) / 2)
