"""The label set of a classification: given, or found in train before validation is cut."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from burnish.errors import DataError, listed
from burnish.registry import did_you_mean
from burnish.types import Example


def found_labels(train: Sequence[Example]) -> tuple[str, ...]:
    """Every answer of train, sorted. Raises DataError where there are fewer than two."""
    labels = tuple(sorted({example.answer for example in train}))
    if len(labels) < 2:
        raise DataError(
            f"every one of the {len(train)} training records has the label {labels[0]!r}; a classification needs at "
            "least two; is another column the label (data.fields.label)?"
        )
    return labels


def variants(train: Sequence[Example]) -> tuple[str, ...]:
    """A sentence for each set of labels that differ only in case or blanks: they are not merged."""
    counts = Counter(example.answer for example in train)
    alike: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        alike["".join(label.casefold().split())].append(label)
    return tuple(
        "the labels "
        + " and ".join(f"{label!r} ({counts[label]})" for label in sorted(group, key=lambda label: -counts[label]))
        + " differ only in case or blanks and count as different labels; write one of them if one is meant"
        for group in alike.values()
        if len(group) > 1
    )


def refuse_outsiders(labels: Sequence[str], examples: Sequence[Example], places: Mapping[str, str]) -> None:
    """Raise DataError with file and line of each record whose label is not in the given set."""
    known = set(labels)
    outside = [example for example in examples if example.answer not in known]
    if outside:
        shown = ", ".join(repr(label) for label in labels[:12]) + (" ..." if len(labels) > 12 else "")
        lines = [
            f"{places.get(example.id, example.id)}: the label {example.answer!r} is not in data.labels ({shown})."
            + (did_you_mean(example.answer, labels) or " Mend the record or add the label.")
            for example in outside
        ]
        raise DataError(listed(lines))
