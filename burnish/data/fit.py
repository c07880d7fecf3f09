"""A dataset in tokens: what is too long is dropped and counted, raw documents become windows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from burnish.data.collecting import put_off
from burnish.data.dataset import Dataset
from burnish.data.tokenize import Encoder, EncodingCounts
from burnish.errors import DataError, listed
from burnish.types import Example, TokenizedExample

CHUNK = 512  # examples that are encoded together


@dataclass(frozen=True, slots=True)
class TokenizedDataset:
    """The records that fit, with their documents; a record has one document, or several (windows, split turns)."""

    dataset: Dataset
    documents: Mapping[str, tuple[TokenizedExample, ...]]  # by the example's id
    windows: int  # of raw documents; 0 for other data
    encoding: EncodingCounts
    max_length: int

    def of(self, examples: Sequence[Example]) -> list[TokenizedExample]:
        """The documents of some examples, in their order."""
        return [document for example in examples for document in self.documents[example.id]]

    @property
    def train(self) -> list[TokenizedExample]:
        """The documents that are trained on."""
        return self.of(self.dataset.train)


@put_off()
def fit(dataset: Dataset, encoder: Encoder, max_length: int) -> TokenizedDataset:
    """Encode all parts. A record with a document longer than `max_length` tokens is dropped as too_long.

    Raises DataError: nothing fits in a part, or an example that the chat template cannot render as it is trained.
    """
    before = replace(encoder.counts)
    parts = {"train": dataset.train, "validation": dataset.validation, "held_out": dataset.held_out}
    documents: dict[str, tuple[TokenizedExample, ...]] = {}
    for part in parts.values():
        for example, several in _encoded(part, encoder, dataset.kind == "text", max_length):
            documents[example.id] = several
    too_long = [name for name, several in documents.items() if any(len(d.tokens) > max_length for d in several)]
    empty = [name for name, several in documents.items() if not any(d.targets for d in several)]
    dropped = {*too_long, *empty}
    kept = {name: tuple(example for example in part if example.id not in dropped) for name, part in parts.items()}
    _refuse_nothing(parts, kept, documents, max_length)
    left = {example.id: documents[example.id] for part in kept.values() for example in part}
    counts = EncodingCounts(
        encoder.counts.apart - before.apart,
        encoder.counts.control_strings - before.control_strings,
        encoder.counts.split - before.split,
    )
    windows = sum(map(len, left.values())) if dataset.kind == "text" else 0
    return TokenizedDataset(
        _without(dataset, kept, {"too_long": too_long, "empty": empty}), left, windows, counts, max_length
    )


def _encoded(
    examples: Sequence[Example], encoder: Encoder, raw: bool, length: int
) -> Iterator[tuple[Example, tuple[TokenizedExample, ...]]]:
    """Each example with its documents. Gathers what the chat template refuses."""
    problems: list[str] = []
    for start in range(0, len(examples), CHUNK):
        chunk = examples[start : start + CHUNK]
        try:
            found = encoder.all_windows(chunk, length) if raw else encoder.documents(chunk)
        except DataError:
            found = []
            for example in chunk:
                try:
                    found.append(encoder.windows(example, length) if raw else encoder.document(example))
                except DataError as error:
                    problems.append(str(error))
                    found.append([])
        for example, several in zip(chunk, found, strict=True):
            yield example, tuple(several)
    if problems:
        raise DataError(listed(problems))


def _refuse_nothing(
    parts: Mapping[str, Sequence[Example]],
    kept: Mapping[str, Sequence[Example]],
    documents: Mapping[str, tuple[TokenizedExample, ...]],
    max_length: int,
) -> None:
    """Raise where a part loses everything."""
    for name, part in parts.items():
        if part and not kept[name]:
            shortest = min(max(len(d.tokens) for d in documents[example.id]) for example in part)
            raise DataError(
                f"{name}: every one of the {len(part)} records is longer than {max_length} tokens (the shortest has "
                f"{shortest}); raise training.max_length, take a model with a longer context, or shorten the records"
            )


def _without(
    dataset: Dataset, kept: Mapping[str, tuple[Example, ...]], dropped: Mapping[str, Sequence[str]]
) -> Dataset:
    """The dataset after more records were dropped."""
    counts = dataset.counts
    numbers, ids = dict(counts.dropped), dict(counts.dropped_ids)
    for reason, names in dropped.items():
        if names:
            numbers[reason] = numbers.get(reason, 0) + len(names)
            ids[reason] = (*ids.get(reason, ()), *names)
    known = set(dataset.labels or ())
    measured = (*kept["validation"], *kept["held_out"]) if dataset.labels else ()
    counts = replace(
        counts,
        train=len(kept["train"]),
        validation=len(kept["validation"]),
        held_out=len(kept["held_out"]),
        dropped=numbers,
        dropped_ids=ids,
        unseen_labels=sum(example.answer not in known for example in measured),
    )
    return replace(
        dataset, train=kept["train"], validation=kept["validation"], held_out=kept["held_out"], counts=counts
    )
