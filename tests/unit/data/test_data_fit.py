"""A dataset in tokens: too long is dropped and named, windows, and the check page that shows it all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, Group
from rich.text import Text

from burnish.data.check import accounting, check_page, masks, summary
from burnish.data.dataset import Dataset, load
from burnish.data.fit import fit
from burnish.data.settings import DataSettings, Limit
from burnish.data.tokenize import Encoder
from burnish.errors import DataError

Write = Callable[..., Path]
Make = Callable[..., Encoder]


def _dataset(jsonl: Write, count: int = 60) -> Dataset:
    records = [{"question": f"q {n} " + "fox " * (n % 20), "answer": f"dog {n}"} for n in range(count)]
    return load(DataSettings(train=str(jsonl(records))))


def _page(*arguments: Any, **options: Any) -> str:
    console = Console(width=100, no_color=True, record=True, file=None)
    with console.capture() as captured:
        console.print(check_page(*arguments, **options))
    return captured.get()


def test_every_record_has_its_documents(jsonl: Write, encoder_for: Make) -> None:
    dataset, encoder = _dataset(jsonl), encoder_for("plain")
    found = fit(dataset, encoder, 500)
    for part in (dataset.train, dataset.validation, dataset.held_out):
        assert [document.id for document in found.of(part)] == [example.id for example in part]
        assert found.of(part) == [encoder.document(example)[0] for example in part]
    assert found.dataset == dataset
    assert found.windows == 0
    assert found.train == found.of(dataset.train)


def test_too_long_is_dropped_whole_counted_and_named(jsonl: Write, encoder_for: Make) -> None:
    dataset, encoder = _dataset(jsonl), encoder_for("plain")
    lengths = {d.id: len(d.tokens) for several in fit(dataset, encoder, 500).documents.values() for d in several}
    found = fit(dataset, encoder, 25)
    too_long = {name for name, length in lengths.items() if length > 25}
    assert 0 < len(too_long) < 60
    counts = found.dataset.counts
    assert counts.dropped == {"too_long": len(too_long)}
    assert set(counts.dropped_ids["too_long"]) == too_long
    assert counts.given == 60 == counts.train + counts.validation + counts.held_out + len(too_long)
    assert set(found.documents) == set(lengths) - too_long
    assert {e.id for e in found.dataset.train} == {e.id for e in dataset.train} - too_long


def test_a_conversation_in_several_documents_is_dropped_whole(jsonl: Write, encoder_for: Make) -> None:
    turns = [{"role": ["user", "assistant"][n % 2], "content": "fox " * 9} for n in range(4)]
    short = [[{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}] for n in range(30)]
    path = jsonl([{"messages": turns}, *({"messages": each} for each in short)])
    dataset, encoder = load(DataSettings(train=str(path))), encoder_for("thinking")
    assert fit(dataset, encoder, 300).encoding.split == 1
    assert len(fit(dataset, encoder, 300).documents["data.jsonl:1"]) == 2
    lengths = [len(d.tokens) for d in fit(dataset, encoder, 300).documents["data.jsonl:1"]]
    found = fit(dataset, encoder, lengths[0])
    assert lengths[0] < lengths[1]
    assert found.dataset.counts.dropped_ids == {"too_long": ("data.jsonl:1",)}


def test_everything_too_long_is_refused(jsonl: Write, encoder_for: Make) -> None:
    with pytest.raises(DataError, match=r"train: every one of the 39 records is longer than 3 tokens .*max_length"):
        fit(_dataset(jsonl), encoder_for("plain"), 3)


def test_what_the_template_refuses_is_gathered(jsonl: Write, encoder_for: Make) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]
    good = [{"messages": [{**turns[0], "content": f"q{n}"}, turns[2]]} for n in range(20)]
    path = jsonl([{"messages": turns}, *good, {"messages": [{**turns[0], "content": "z"}, *turns[1:]]}])
    dataset = load(DataSettings(train=str(path), seed=1))
    with pytest.raises(DataError) as caught:
        fit(dataset, encoder_for("strict"), 100)
    assert "data.jsonl:1: " in str(caught.value) or "data.jsonl:22: " in str(caught.value)
    assert "roles must alternate" in str(caught.value)


def test_raw_documents_become_windows_and_tiny_ones_are_empty(jsonl: Write, encoder_for: Make) -> None:
    path = jsonl([{"text": f"{n} " + "the fox and the dog " * n} for n in range(40)] + [{"text": "a"}])
    dataset = load(DataSettings(train=str(path), seed=3))
    found = fit(dataset, encoder_for("plain"), 20)
    assert found.dataset.counts.dropped == {"empty": 1}
    assert found.windows == sum(map(len, found.documents.values())) > 60
    assert all(len(d.tokens) <= 20 for several in found.documents.values() for d in several)


def test_encoding_counts_are_of_this_fit_only(jsonl: Write, encoder_for: Make) -> None:
    records = [{"prompt": f"q{n}", "completion": "</s>" if n % 2 else "a"} for n in range(40)]
    dataset, encoder = load(DataSettings(train=str(jsonl(records)))), encoder_for("plain")
    assert fit(dataset, encoder, 99).encoding.control_strings == 20
    assert fit(dataset, encoder, 99).encoding.control_strings == 20


def test_the_page_shows_what_is_trained(jsonl: Write, encoder_for: Make) -> None:
    records = [{"prompt": f"q{n}", "completion": f"answer {n}", "who": 1} for n in range(60)]
    records[0]["completion"] = ""
    dataset, encoder = load(DataSettings(train=str(jsonl(records)))), encoder_for("smollm2")
    page = _page(fit(dataset, encoder, 400), encoder, colour=False)
    assert "60 records = " in page
    assert "1 dropped (empty)" in page
    assert "dropped as empty: data.jsonl:1" in page
    assert "an empty answer" not in page
    assert "an answer ends with <|im_end|>" in page
    assert page.count("<|im_start|>assistant\n[[answer ") == 3
    assert page.count("<|im_end|>]]") == 3
    assert 'not part of what the model sees: the columns "who"' in page


def test_many_empty_answers_are_not_passed_over(jsonl: Write) -> None:
    """As in tagging, where most sentences may hold none of what is looked for."""
    records = [{"prompt": f"q{n}", "completion": f"answer {n}" if n % 3 else []} for n in range(90)]
    lines = summary(load(DataSettings(train=str(jsonl(records)))))
    assert '  an empty answer is not learned; where it means something, write a word there, such as "none"' in lines


def test_colours_cover_exactly_the_trained_tokens(jsonl: Write, encoder_for: Make, tokenizer: Any) -> None:
    records = [{"prompt": f"q{n} \U0001f600 é", "completion": f"ä \U0001f600 {n}"} for n in range(40)]
    dataset, encoder = load(DataSettings(train=str(jsonl(records)))), encoder_for("smollm2")
    found = fit(dataset, encoder, 400)
    group = check_page(found, encoder, examples=1)
    assert isinstance(group, Group)
    text = group.renderables[-1]
    assert isinstance(text, Text)
    green = "".join(text.plain[span.start : span.end] for span in text.spans if "green" in str(span.style))
    shown = next(d for d in found.train if tokenizer.decode(d.tokens) == text.plain)
    trained = [token for token, on in zip(shown.tokens, shown.trained, strict=True) if on]
    assert green == tokenizer.decode(trained)


def test_masks_are_the_same_examples_as_plain_values(jsonl: Write, encoder_for: Make, tokenizer: Any) -> None:
    dataset, encoder = _dataset(jsonl), encoder_for("smollm2")
    found = fit(dataset, encoder, 400)
    shown = masks(found, encoder)
    assert len(shown) == 3
    for mask in shown:
        document = next(d for d in found.train if d.id == mask["id"])
        assert (mask["tokens"], mask["trained"]) == (len(document.tokens), sum(document.trained))
        pieces = mask["pieces"]
        assert isinstance(pieces, list)
        assert "".join(text for _, text in pieces) == tokenizer.decode(document.tokens)
        trained = [token for token, on in zip(document.tokens, document.trained, strict=True) if on]
        assert "".join(text for kind, text in pieces if kind.startswith("trained")) == tokenizer.decode(trained)
    assert json.loads(json.dumps(shown)) == shown


def test_long_examples_are_shown_in_part(jsonl: Write, encoder_for: Make) -> None:
    records = [{"prompt": f"q{n}", "completion": "word " * 300} for n in range(20)]
    dataset, encoder = load(DataSettings(train=str(jsonl(records)))), encoder_for("plain")
    page = _page(fit(dataset, encoder, 4000), encoder, colour=False)
    assert " tokens ... " in page
    assert len(page) < 6000
    pieces = masks(fit(dataset, encoder, 4000), encoder, examples=1)[0]["pieces"]
    assert isinstance(pieces, list)
    assert len(pieces) < 200
    assert [kind for kind, _ in pieces].count("left_out") == 1


def test_the_summary_needs_no_tokenizer(jsonl: Write) -> None:
    records = [{"text": f"t{n}", "label": ["a", "A", "b"][n % 3]} for n in range(90)]
    lines = summary(load(DataSettings(train=str(jsonl(records)), limit=Limit(train=20))))
    assert lines[0] == "format classification, task classify (text <- text, label <- label)"
    assert lines[1] == "90 records = 20 train + 14 validation + 18 held out + 38 unused (beyond data.limit)"
    assert "3 labels: A, a, b" in lines
    assert any("differ only in case or blanks" in line for line in lines)
    assert accounting(_dataset(jsonl).counts).startswith("60 records = 39 train")
