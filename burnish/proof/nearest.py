"""The training examples nearest to a text, by the cosine of TF-IDF vectors over words."""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from burnish.types import Example

WORDS = r"(?u)\b\w+\b"  # scikit-learn's own pattern drops words of one character, which many numbers are


class Nearest:
    """An index of examples by a text of each."""

    def __init__(self, examples: Sequence[Example], texts: Sequence[str]) -> None:
        self._examples = tuple(examples)
        self._order = np.argsort(np.argsort(np.array([example.id for example in examples]), kind="stable"))
        self._vectorizer = TfidfVectorizer(token_pattern=WORDS, sublinear_tf=True)
        try:
            self._matrix = self._vectorizer.fit_transform(texts)
        except ValueError:  # no text has a single word: every example is as near as any other
            self._matrix = None

    def ranked(self, text: str, count: int, without: str | None = None) -> list[Example]:
        """The `count` nearest, nearest first, ties by id; `without` is the id of an example to pass over."""
        similarity = np.zeros(len(self._examples))
        if self._matrix is not None:
            similarity = (self._matrix @ self._vectorizer.transform([text]).T).toarray()[:, 0]
        # Rounded, since equal texts may differ in the last bits of a sum.
        best = np.lexsort((self._order, -np.round(similarity, 9)))
        chosen = [self._examples[i] for i in best[: count + 1] if self._examples[i].id != without]
        return chosen[:count]
