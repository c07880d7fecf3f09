"""Tokenised documents into rows: no padding between them, targets shifted once inside each document (rule 3).

Documents of an update that begin alike share that beginning: it stands in the row once, and they continue it. Only
places with equal tokens and equal targets are shared, so a shared target simply counts once for each document.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from burnish.types import IGNORE, Batch, Frame, TokenizedExample

ROUND = 64  # a row's length is rounded up to this, so that matrix products meet few shapes
STEP = 8  # so are shared beginnings, down
WORTH = 64  # tokens that a shared beginning must save: it costs products of its own in every layer
NOTHING = Frame()


@dataclass(frozen=True, slots=True)
class Cluster:
    """Documents that share their first `size` places (slots included)."""

    size: int
    members: tuple[int, ...]

    def length(self, lengths: Sequence[int]) -> int:
        """Places that the cluster takes."""
        return self.size + sum(lengths[i] - self.size for i in self.members)


@dataclass(frozen=True, slots=True)
class Places:
    """One document with the slots before it, place by place."""

    tokens: tuple[int, ...]
    targets: tuple[int, ...]  # of the place: the token after it, where that one is trained


def places_of(document: TokenizedExample, frame: Frame = NOTHING) -> Places:
    """Slots have the tokens -1, -2, … and no targets."""
    slots = tuple(-1 - slot for slot in range(frame.slots))
    shifted = zip(document.tokens[1:], document.trained[1:], strict=True)
    targets = [token if trained else IGNORE for token, trained in shifted]
    return Places((*slots, *document.tokens), (*[IGNORE] * len(slots), *targets, IGNORE))


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


def clusters_of(documents: Sequence[Places]) -> list[Cluster]:
    """The documents by what they begin with, so that the fewest places are left; a pure function of the documents."""
    order = sorted(range(len(documents)), key=lambda i: (documents[i].tokens, documents[i].targets, i))
    alike = [_alike(documents[a], documents[b]) for a, b in pairwise(order)]
    found = _best(order, alike)[1] if order else []
    return sorted(found, key=lambda cluster: cluster.members)


def _alike(one: Places, other: Places) -> int:
    """Places that both begin with; at least one of each is left over."""
    limit = min(len(one.tokens), len(other.tokens)) - 1
    for at in range(limit):
        if one.tokens[at] != other.tokens[at] or one.targets[at] != other.targets[at]:
            return at
    return limit


def _best(order: Sequence[int], alike: Sequence[int]) -> tuple[int, list[Cluster]]:
    """(places saved, clusters) of documents in sorted order: all under one beginning, or parted where that is best."""
    if len(order) == 1:
        return 0, [Cluster(0, (order[0],))]
    least = min(alike)
    cuts = [0, *(i + 1 for i, size in enumerate(alike) if size == least), len(order)]
    saved = 0
    clusters: list[Cluster] = []
    for start, end in pairwise(cuts):
        more, found = _best(order[start:end], alike[start : end - 1])
        saved, clusters = saved + more, clusters + found
    size = least // STEP * STEP
    together = size * (len(order) - 1) - WORTH
    return (together, [Cluster(size, tuple(sorted(order)))]) if together > max(0, saved) else (saved, clusters)


def shared_rows(documents: Sequence[Places], capacity: int) -> list[list[Cluster]]:
    """The rows of an update: clusters of at most `capacity` places beside what they share, first-fit into rows."""
    lengths = [len(document.tokens) for document in documents]
    pieces = []
    for cluster in clusters_of(documents):
        for part in rows_of([lengths[i] - cluster.size for i in cluster.members], capacity):
            members = tuple(cluster.members[i] for i in sorted(part))
            pieces.append(Cluster(cluster.size if len(members) > 1 else 0, members))
    return [[pieces[i] for i in row] for row in rows_of([piece.length(lengths) for piece in pieces], capacity)]


def batch_of(
    documents: Sequence[TokenizedExample],
    *,
    frame: Frame = NOTHING,
    round_to: int = ROUND,
    clusters: Sequence[Cluster] | None = None,
) -> Batch:
    """One row that holds these documents one after the other, each with the frame's slots before it.

    Positions restart in each at the frame's first; `clusters` (of all documents) stand behind their shared beginnings.
    """
    tokens: list[int] = []
    targets: list[int] = []
    index: list[int] = []
    positions: list[int] = []
    continues = [-1] * len(documents)
    shared = len(documents)  # the next index of a beginning

    def put(places: Places, part: slice, number: int) -> None:
        found = range(len(places.tokens))[part]
        tokens.extend(places.tokens[part])
        targets.extend(places.targets[part])
        index.extend([number] * len(found))
        positions.extend(frame.first + at for at in found)

    each = [Cluster(0, (number,)) for number in range(len(documents))]
    for cluster in each if clusters is None else clusters:
        members = [(number, places_of(documents[number], frame)) for number in cluster.members]
        if cluster.size:
            put(members[0][1], slice(0, cluster.size), shared)
        for number, places in members:
            put(places, slice(cluster.size, None), number)
            continues[number] = shared if cluster.size else -1
        shared += bool(cluster.size)
    spare = -len(tokens) % round_to
    tokens += [0] * spare
    targets += [IGNORE] * spare
    index += [-1] * spare
    positions += range(spare)
    rows = [torch.tensor(values, dtype=torch.long)[None] for values in (tokens, targets, index, positions)]
    return Batch(rows[0], rows[1], rows[2], rows[3], tuple(document.id for document in documents), tuple(continues))


def micro_batches(
    documents: Sequence[TokenizedExample],
    capacity: int,
    *,
    frame: Frame = NOTHING,
    alone: bool = False,
    share: bool = True,
) -> Iterator[tuple[tuple[int, ...], Batch]]:
    """The rows of one update, one batch each, and which documents stand in it.

    A row holds at most `capacity` places beside a beginning that its documents share, or one longer document. `alone`
    puts every document in a row of its own without padding; without `share` none continues another's beginning.
    """
    if alone:
        yield from (((i,), batch_of([document], frame=frame, round_to=1)) for i, document in enumerate(documents))
        return
    places = [places_of(document, frame) for document in documents]
    if share:
        rows = shared_rows(places, capacity)
    else:
        rows = [[Cluster(0, (i,)) for i in row] for row in rows_of([len(p.tokens) for p in places], capacity)]
    for row in rows:
        members = tuple(i for cluster in row for i in cluster.members)
        number = {i: at for at, i in enumerate(members)}
        clusters = [Cluster(c.size, tuple(number[i] for i in c.members)) for c in row]
        yield members, batch_of([documents[i] for i in members], frame=frame, clusters=clusters)
