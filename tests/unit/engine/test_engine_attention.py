"""The attention seam refuses what it does not implement, and layouts put every place where it belongs."""

from typing import Any

import pytest
import torch

from burnish.data.pack import batch_of, micro_batches, rows_of
from burnish.errors import ModelError
from burnish.models.attention import Layout, attention, bucket, forward_hidden
from burnish.models.cached_attention import CacheLayout
from burnish.types import Frame, TokenizedExample
from tests.tiny_models import tiny_model


def document(name: str, length: int) -> TokenizedExample:
    return TokenizedExample(name, tuple(range(5, 5 + length)), (False,) + (True,) * (length - 1))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"softcap": 5.0}, "softcap"),
        ({"s_aux": torch.zeros(1)}, "s_aux"),
        ({"something_new": 1}, "something_new"),
        ({"dropout": 0.1}, "dropout"),
        ({"is_causal": False}, "not causal"),
        ({"layout": None}, "no layout"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_not_implemented_is_refused_by_name(options: dict[str, Any], what: str) -> None:
    states = torch.zeros(1, 2, 4, 8)
    given = {"layout": Layout(torch.zeros(1, 4, dtype=torch.long))} | options
    with pytest.raises(ModelError, match=what):
        attention(torch.nn.Identity(), states, states, states, None, **given)


def test_a_mask_is_refused_too() -> None:
    states = torch.zeros(1, 2, 4, 8)
    layout = CacheLayout(torch.arange(4)[None], torch.arange(4)[None])
    with pytest.raises(ModelError, match="a mask"):
        attention(torch.nn.Identity(), states, states, states, torch.zeros(1, 1, 4, 4), layout)


def test_options_that_are_none_are_no_options() -> None:
    states = torch.zeros(1, 2, 4, 8)
    layout = Layout(torch.zeros(1, 4, dtype=torch.long))
    mixed, weights = attention(torch.nn.Identity(), states, states, states, None, layout, softcap=None, use_cache=True)
    assert mixed.shape == (1, 4, 2, 8)
    assert weights is None


def test_every_place_is_gathered_and_scattered_back() -> None:
    batch = batch_of([document("a", 5), document("b", 30), document("c", 5), document("d", 70)])
    groups = Layout(batch.documents).groups
    gathered = torch.cat([group.gather for group in groups.each])
    real = batch.documents[0] >= 0
    assert torch.equal(gathered[groups.scatter[real]], torch.nonzero(real)[:, 0])
    assert sum(group.count for group in groups.each) == 4
    assert [group.length for group in groups.each] == [8, 32, 80]


def test_buckets_hold_what_they_round() -> None:
    for length in range(1, 2000):
        assert length <= bucket(length) < length + 64
    assert len({bucket(length) for length in range(1, 1025)}) < 40


def test_without_packing_a_row_holds_one_document() -> None:
    model = tiny_model("llama")
    with pytest.raises(AssertionError, match="one document at a time"):
        forward_hidden(model, batch_of([document("a", 5), document("b", 5)]))


@pytest.mark.parametrize("capacity", [1, 16, 40, 1000])
def test_rows_hold_every_document_once_and_no_more_than_fits(capacity: int) -> None:
    lengths = [5, 40, 3, 12, 12, 39, 1, 8]
    rows = rows_of(lengths, capacity)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in row) <= capacity or len(row) == 1 for row in rows)


def test_targets_follow_their_tokens_inside_each_document() -> None:
    one = TokenizedExample("one", (10, 11, 12, 13), (False, True, False, True))
    two = TokenizedExample("two", (20, 21), (False, True))
    batch = batch_of([one, two], round_to=8, frame=Frame(first=3))
    assert batch.tokens.tolist() == [[10, 11, 12, 13, 20, 21, 0, 0]]
    assert batch.targets.tolist() == [[11, -100, 13, -100, 21, -100, -100, -100]]
    assert batch.documents.tolist() == [[0, 0, 0, 0, 1, 1, -1, -1]]
    assert batch.positions.tolist() == [[3, 4, 5, 6, 3, 4, 0, 1]]
    assert batch.ids == ("one", "two")


def test_slots_stand_before_each_document_and_are_no_targets() -> None:
    one = TokenizedExample("one", (10, 11), (False, True))
    two = TokenizedExample("two", (20, 21, 22), (False, False, True))
    batch = batch_of([one, two], round_to=1, frame=Frame(slots=2))
    assert batch.tokens.tolist() == [[-1, -2, 10, 11, -1, -2, 20, 21, 22]]
    assert batch.targets.tolist() == [[-100, -100, 11, -100, -100, -100, -100, 22, -100]]
    assert batch.documents.tolist() == [[0, 0, 0, 0, 1, 1, 1, 1, 1]]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 0, 1, 2, 3, 4]]
    rows = [batch for _, batch in micro_batches([one, two], 8, frame=Frame(slots=2))]
    assert [row.ids for row in rows] == [("two",), ("one",)], "slots take room in a row"


def test_alone_gives_every_document_a_row_without_padding() -> None:
    batches = [batch for _, batch in micro_batches([document("a", 5), document("b", 9)], 1000, alone=True)]
    assert [batch.tokens.shape for batch in batches] == [(1, 5), (1, 9)]
