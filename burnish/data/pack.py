"""Tokenised documents into rows: no padding between them, targets shifted once inside each document (rule 3)."""

from collections.abc import Iterator, Sequence

import torch

from burnish.types import IGNORE, Batch, Frame, TokenizedExample

ROUND = 64  # a row's length is rounded up to this, so that matrix products meet few shapes
NOTHING = Frame()


def rows_of(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """First-fit decreasing: indices of the documents of each row, at most `capacity` places a row.

    A document longer than the capacity has a row of its own. A pure function of the lengths.
    """
    rows: list[tuple[int, list[int]]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        for at, (used, row) in enumerate(rows):
            if used + lengths[index] <= capacity:
                rows[at] = (used + lengths[index], [*row, index])
                break
        else:
            rows.append((lengths[index], [index]))
    return [row for _, row in rows]


def batch_of(documents: Sequence[TokenizedExample], *, frame: Frame = NOTHING, round_to: int = ROUND) -> Batch:
    """One row that holds these documents one after the other, each with the frame's slots before it.

    Positions restart in each at the frame's first; slots have the tokens -1, -2, … and no targets.
    """
    slots = [-1 - slot for slot in range(frame.slots)]
    tokens: list[int] = []
    targets: list[int] = []
    index: list[int] = []
    positions: list[int] = []
    for number, document in enumerate(documents):
        shifted = zip(document.tokens[1:], document.trained[1:], strict=True)
        tokens += [*slots, *document.tokens]
        targets += [IGNORE] * len(slots) + [token if trained else IGNORE for token, trained in shifted] + [IGNORE]
        index += [number] * (len(slots) + len(document.tokens))
        positions += range(frame.first, frame.size + len(document.tokens))
    spare = -len(tokens) % round_to
    tokens += [0] * spare
    targets += [IGNORE] * spare
    index += [-1] * spare
    positions += range(spare)
    rows = [torch.tensor(values, dtype=torch.long)[None] for values in (tokens, targets, index, positions)]
    return Batch(rows[0], rows[1], rows[2], rows[3], tuple(document.id for document in documents))


def micro_batches(
    documents: Sequence[TokenizedExample], capacity: int, *, frame: Frame = NOTHING, alone: bool = False
) -> Iterator[Batch]:
    """The rows of one update, one batch each; `alone` puts every document in a row of its own without padding."""
    if alone:
        yield from (batch_of([document], frame=frame, round_to=1) for document in documents)
        return
    for row in rows_of([frame.slots + len(document.tokens) for document in documents], capacity):
        yield batch_of([documents[i] for i in row], frame=frame)
