"""Three parts: sizes, inputs and groups on one side, overlap, limits, labels, and every record accounted for."""

import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.data import dataset, split
from burnish.data.dataset import Dataset, load
from burnish.data.settings import DataSettings, Limit
from burnish.data.split import auto_held_out, auto_validation, input_key
from burnish.errors import DataError, RecipeError
from burnish.types import Example

Write = Callable[..., Path]


def _records(count: int, labels: int = 3) -> list[dict[str, Any]]:
    """Sorted by class, as real files are."""
    return [{"text": f"text {n}", "label": f"label {n * labels // count}"} for n in range(count)]


def _load(jsonl: Write, records: list[dict[str, Any]], **fields: Any) -> Dataset:
    return load(DataSettings(train=str(jsonl(records)), **fields))


def _parts(dataset: Dataset) -> dict[str, tuple[Example, ...]]:
    return {"train": dataset.train, "validation": dataset.validation, "held_out": dataset.held_out}


def test_cycles_are_searched_for_again_after_a_refusal(jsonl: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracle: whether Python searches, asked while records are split and after it was refused."""
    searched: list[bool] = []

    def asked(*given: Any) -> Any:
        searched.append(gc.isenabled())
        return split.cut(*given)

    monkeypatch.setattr(dataset, "cut", asked)
    _load(jsonl, _records(60))
    assert searched == [False, False]
    assert gc.isenabled()
    with pytest.raises(DataError):
        _load(jsonl, [{"text": "t", "label": 1}, {"text": "t"}])
    assert gc.isenabled()
    gc.disable()
    try:
        _load(jsonl, _records(60))
        assert not gc.isenabled(), "it was off before"
    finally:
        gc.enable()


def _accounted(dataset: Dataset) -> bool:
    counts = dataset.counts
    sizes = {name: len(part) for name, part in _parts(dataset).items()}
    assert sizes == {"train": counts.train, "validation": counts.validation, "held_out": counts.held_out}
    return counts.given == sum(sizes.values()) + sum(counts.dropped.values()) + counts.unused


def test_auto_sizes() -> None:
    assert [auto_held_out(n) for n in (5, 40, 239, 240, 300, 301, 2500, 9999)] == [1, 8, 47, 60, 60, 60, 500, 500]
    assert [auto_validation(n) for n in (4, 32, 99, 100, 199, 200, 240, 2000, 9999)] == [
        *(1, 6, 19, 20, 20, 20, 24, 200, 200)
    ]


@pytest.mark.parametrize(("count", "sizes"), [(40, (26, 6, 8)), (300, (216, 24, 60)), (3000, (2300, 200, 500))])
def test_parts_have_the_sizes_of_auto(jsonl: Write, count: int, sizes: tuple[int, int, int]) -> None:
    dataset = _load(jsonl, _records(count))
    assert tuple(map(len, _parts(dataset).values())) == sizes
    assert _accounted(dataset)


def test_counts_and_shares(jsonl: Write) -> None:
    dataset = _load(jsonl, _records(100), held_out=30, validation=0.1)
    assert tuple(map(len, _parts(dataset).values())) == (63, 7, 30)


def test_a_place_depends_on_input_and_seed_not_on_the_order_or_the_answer(jsonl: Write) -> None:
    records = _records(120)
    asked = {e.request for e in _load(jsonl, records).held_out}
    reordered = [{**record, "label": f"label {n % 2}"} for n, record in enumerate(reversed(records))]
    assert {e.request for e in _load(jsonl, reordered).held_out} == asked
    assert {e.request for e in _load(jsonl, records, seed=1).held_out} != asked
    instructed = _load(jsonl, records, instruction="Which label?")
    assert {e.id for e in instructed.held_out} == {e.id for e in _load(jsonl, records).held_out}


def test_one_question_never_stands_on_two_sides(jsonl: Write) -> None:
    records = [{"prompt": f"q{n % 30}  {n % 30}", "completion": f"a{n}"} for n in range(120)]
    records += [{"prompt": f"q{n}\n{n}", "completion": "b"} for n in range(30)]  # the same, blanks aside
    keys = [{input_key(e) for e in part} for part in _parts(_load(jsonl, records)).values()]
    assert all(keys)
    assert sum(map(len, keys)) == len(set().union(*keys)) == 30


def test_groups_stay_whole(jsonl: Write) -> None:
    records = [{**record, "who": f"customer {n % 17}"} for n, record in enumerate(_records(200))]
    dataset = _load(jsonl, records, group="who")
    groups = [{e.group for e in part} for part in _parts(dataset).values()]
    assert all(groups)
    assert sum(map(len, groups)) == 17
    assert abs(len(dataset.held_out) - 40) <= 12


def test_one_group_or_one_input_cannot_be_split(jsonl: Write) -> None:
    with pytest.raises(DataError, match="all 40 records belong to one group"):
        _load(jsonl, [{**record, "g": "x"} for record in _records(40)], group="g")
    with pytest.raises(DataError, match="all 40 records have the same input"):
        _load(jsonl, [{"prompt": "q", "completion": str(n)} for n in range(40)])


def test_very_few_records_work_or_are_refused_with_a_sentence(jsonl: Write) -> None:
    for count in range(1, 12):
        records = [{"prompt": f"q{n}", "completion": f"a{n}"} for n in range(count)]
        if count < 3:
            with pytest.raises(DataError, match="none"):
                _load(jsonl, records)
        else:
            dataset = _load(jsonl, records)
            assert min(map(len, _parts(dataset).values())) >= 1
            assert _accounted(dataset)


def test_asking_for_too_much_is_refused(jsonl: Write) -> None:
    with pytest.raises(DataError, match=r"data\.held_out asks for 40 of 40 records"):
        _load(jsonl, _records(40), held_out=40)
    with pytest.raises(DataError, match=r"data\.validation asks for 35 of 32 records"):
        _load(jsonl, _records(40), validation=35)


def test_limits_are_drawn_by_hash_after_validation_is_cut(jsonl: Write) -> None:
    whole = _load(jsonl, _records(600))
    dataset = _load(jsonl, _records(600), limit={"train": 90, "held_out": 60})
    assert tuple(map(len, _parts(dataset).values())) == (90, 48, 60)
    assert dataset.validation == whole.validation
    assert {e.id for e in dataset.train} <= {e.id for e in whole.train}
    assert dataset.counts.unused == 600 - 90 - 48 - 60
    assert _accounted(dataset)
    for part in (dataset.train, dataset.held_out):
        shares = [sum(e.answer == label for e in part) / len(part) for label in dataset.labels or ()]
        assert all(0.15 < share < 0.55 for share in shares), shares
    assert dataset.labels == whole.labels


def test_overlap_with_given_files_is_dropped_from_train_before_the_limit(jsonl: Write) -> None:
    held_out = jsonl([*_records(300)[:20], {"text": " text  21 ", "label": "label 0"}], "test.jsonl")
    validation = jsonl([{"text": "text 0", "label": "label 0"}, {"text": "text 40", "label": "label 1"}], "dev.jsonl")
    dataset = _load(jsonl, _records(300), held_out=str(held_out), validation=str(validation), limit={"train": 250})
    assert dataset.counts.dropped == {"overlap": 1 + 22}  # one of validation, 21 + 1 of train
    assert [e.id for e in dataset.validation] == ["dev.jsonl:2"]
    assert len(dataset.train) == 250
    assert dataset.counts.unused == 28
    assert dataset.counts.given == 323
    assert _accounted(dataset)


def test_a_group_of_the_held_out_file_is_overlap_too(jsonl: Write) -> None:
    held_out = jsonl([{"text": "new", "label": "label 0", "who": "c1"}], "test.jsonl")
    records = [{**record, "who": f"c{n % 4}"} for n, record in enumerate(_records(80))]
    dataset = _load(jsonl, records, held_out=str(held_out), group="who")
    assert dataset.counts.dropped == {"overlap": 20}


def test_a_group_within_an_object_is_one_too(jsonl: Write) -> None:
    records = [{**record, "meta": {"who": f"c{n % 9}"}} for n, record in enumerate(_records(90))]
    groups = [{e.group for e in part} for part in _parts(_load(jsonl, records, group="meta.who")).values()]
    assert sum(map(len, groups)) == 9
    assert None not in set().union(*groups)


def test_a_file_without_the_group_is_refused(jsonl: Write) -> None:
    held_out = jsonl([{"text": "new", "label": "label 0"}], "test.jsonl")
    records = [{**record, "who": f"c{n % 4}"} for n, record in enumerate(_records(80))]
    with pytest.raises(DataError, match=r'test.jsonl: has no column "who", which train has'):
        _load(jsonl, records, held_out=str(held_out), group="who")


def test_files_of_one_name_have_ids_apart_and_the_same_file_is_refused(tmp_path: Path, jsonl: Write) -> None:
    train, test = jsonl(_records(60), "a/data.jsonl"), jsonl(_records(99)[60:], "b/data.jsonl")
    dataset = load(DataSettings(train=str(train), held_out=str(test)))
    assert dataset.train[0].id.startswith("a/data.jsonl:")
    assert dataset.held_out[0].id == "b/data.jsonl:1"
    with pytest.raises(RecipeError, match=r"data\.held_out: is the same file as data\.train"):
        load(DataSettings(train=str(train), held_out=str(train)))


def test_a_held_out_file_needs_the_columns_of_train(jsonl: Write) -> None:
    test = jsonl([{"text": "a", "class": "label 1"}], "test.jsonl")
    with pytest.raises(DataError, match=r'test\.jsonl: has no column "label"'):
        _load(jsonl, _records(60), held_out=str(test))


def test_duplicates_are_counted_and_kept(jsonl: Write) -> None:
    dataset = _load(jsonl, [*_records(60), *_records(60)[:7]])
    assert dataset.counts.duplicates == 7
    assert dataset.counts.dropped == {}


def test_labels_come_from_train_before_validation_is_cut_never_from_held_out(jsonl: Write) -> None:
    test = jsonl([{"text": "x1", "label": "label 1"}, {"text": "x2", "label": "never seen"}], "test.jsonl")
    dataset = _load(jsonl, _records(60), held_out=str(test))
    assert dataset.labels == ("label 0", "label 1", "label 2")
    assert dataset.counts.unseen_labels == 1
    rare = [*_records(60), {"text": "alone", "label": "rare"}]
    for seed in range(12):
        found = _load(jsonl, rare, seed=seed)
        if any(e.answer == "rare" for e in found.validation):
            assert "rare" in (found.labels or ())
        if any(e.answer == "rare" for e in found.held_out):
            assert "rare" not in (found.labels or ())
            assert found.counts.unseen_labels == 1


def test_a_label_outside_a_given_set_refuses_with_every_place(tmp_path: Path, jsonl: Write) -> None:
    path = tmp_path / "t.csv"
    path.write_text('text,label\n"two\nlines",yes\nb,no\nc,maybe\nd,Yes\n')
    with pytest.raises(DataError) as caught:
        load(DataSettings(train=str(path), labels=["yes", "no"]))
    lines = str(caught.value).split("\n")
    assert lines[0].startswith("t.csv:5 (row 3): the label 'maybe' is not in data.labels ('yes', 'no').")
    assert "t.csv:6 (row 4): the label 'Yes'" in lines[1]
    assert 'Did you mean "yes"?' in lines[1]


def test_task_kinds(jsonl: Write) -> None:
    path = str(jsonl([{"question": f"q{n}", "answer": ["yes", "no"][n % 2]} for n in range(40)]))
    assert load(DataSettings(train=path)).labels is None
    assert load(DataSettings(train=path), task_kind="classify").labels == ("no", "yes")
    with pytest.raises(RecipeError, match="does not go with the data format completion"):
        load(DataSettings(train=path), task_kind="text")
    with pytest.raises(RecipeError, match=r"data\.labels: belongs to"):
        load(DataSettings(train=path, labels=["yes", "no"]))
    with pytest.raises(DataError, match="every one of the 32 training records has the label 'x'"):
        _load(jsonl, [{"text": f"t{n}", "label": "x"} for n in range(40)])


def test_nonsense_answers_in_held_out_change_nothing_else(jsonl: Write) -> None:
    """Rule 6: whatever is chosen here is chosen without the held-out answers."""
    records = _records(120)
    dataset = _load(jsonl, records)
    spoiled = {e.id for e in dataset.held_out}
    other = _load(
        jsonl,
        [r if f"data.jsonl:{n}" not in spoiled else {**r, "label": f"zzz {n}"} for n, r in enumerate(records, 1)],
    )
    assert (other.train, other.validation, other.labels) == (dataset.train, dataset.validation, dataset.labels)
    assert [e.request for e in other.held_out] == [e.request for e in dataset.held_out]
    assert other.counts.unseen_labels == len(spoiled)


def test_one_text_becomes_passages_of_whole_paragraphs(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    paragraphs = [f"Paragraph {n}. " + "word " * (n % 50) for n in range(400)]
    path.write_text("\n\n".join(paragraphs))
    dataset = load(DataSettings(train=str(path)))
    assert "book.txt: one text, taken as" in dataset.counts.notes[0]
    texts = [e.messages[0].content for part in _parts(dataset).values() for e in part]
    assert sum(text.count("Paragraph") for text in texts) == 400
    assert len(dataset.held_out) >= 8
    assert _accounted(dataset)
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(f"line {n}" for n in range(30)))
    assert load(DataSettings(train=str(lines))).counts.given == 30


def test_slices_and_fields_are_kept(jsonl: Write) -> None:
    records = [{**record, "kind": ["a", ""][n % 2], "x": n} for n, record in enumerate(_records(40))]
    dataset = _load(jsonl, records, slice="kind")
    assert {e.slice for e in dataset.train} == {"a", None}
    assert all("x" in e.fields for e in dataset.train)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    inputs=st.lists(st.integers(0, 30), min_size=1, max_size=80),
    seed=st.integers(0, 5),
    grouped=st.booleans(),
    limit=st.none() | st.integers(1, 30),
    held_out=st.sampled_from(["auto", 3, 0.5]),
)
def test_no_record_is_lost(
    tmp_path: Path, inputs: list[int], seed: int, grouped: bool, limit: int | None, held_out: Any
) -> None:
    """Law 9: given = train + validation + held_out + dropped + unused, each record once."""
    path = tmp_path / "data.jsonl"
    rows = [{"prompt": f"q{n}", "completion": "" if n % 9 == 4 else f"a{i}", "g": n % 7} for i, n in enumerate(inputs)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = DataSettings(
        train=str(path), seed=seed, group="g" if grouped else None, held_out=held_out, limit=Limit(train=limit)
    )
    try:
        dataset = load(recipe)
    except DataError:
        return
    assert _accounted(dataset)
    assert dataset.counts.given == len(inputs)
    ids = [e.id for part in _parts(dataset).values() for e in part]
    ids += [name for names in dataset.counts.dropped_ids.values() for name in names]
    assert len(ids) == len(set(ids)) == len(inputs) - dataset.counts.unused
