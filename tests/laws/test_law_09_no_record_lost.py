"""Law 9: no record is lost: every line of every file stands in one part, was dropped by name, or is counted as unused.

Oracle: the lines are numbered here, by hand, while they are written; burnish's own counts are only compared with that.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from burnish.data.dataset import Dataset, load
from burnish.data.fit import fit
from burnish.data.settings import DataSettings, Limit
from burnish.data.template import ChatTemplate
from burnish.data.tokenize import Encoder
from tests.tiny_models import CHATML, tiny_tokenizer

KINDS = ("completion", "instruction", "classification", "chat", "text")
LONG = "wordy " * 300


@dataclass
class Written:
    """Files, and what a careful reader knows about their lines."""

    ids: list[str]
    empty: set[str]
    long: set[str]
    inputs: dict[str, str]  # id -> what is asked


def record(kind: str, question: str, answer: str) -> dict[str, object]:
    """One record of a format; an empty answer makes an empty record."""
    match kind:
        case "completion":
            return {"prompt": question, "completion": answer}
        case "instruction":
            return {"instruction": question, "input": "", "output": answer}
        case "classification":
            return {"text": question, "label": answer}
        case "chat":
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            return {"messages": turns if answer else turns[:1]}
    return {"text": f"{question} {answer}" if answer else ""}


def write(path: Path, kind: str, questions: Sequence[str]) -> Written:
    """A file in which every 11th answer is empty and every 13th question too long; questions come as given."""
    written, lines = Written([], set(), set(), {}), []
    for number, question in enumerate(questions, 1):
        name = f"{path.name}:{number}"
        written.ids.append(name)
        answer = "" if number % 11 == 0 and kind != "chat" else ("yes", "no")[number % 2]
        if not answer:
            written.empty.add(name)
        elif number % 13 == 0:
            question = f"{question} {LONG}"
            written.long.add(name)
        written.inputs[name] = f"{question} {answer}" if kind == "text" else question
        lines.append(json.dumps(record(kind, question, answer)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return written


def account(dataset: Dataset, written: Sequence[Written]) -> dict[str, list[str]]:
    """Where each line went, by burnish's own lists of ids."""
    places: dict[str, list[str]] = {name: [] for each in written for name in each.ids}
    parts = {"train": dataset.train, "validation": dataset.validation, "held_out": dataset.held_out}
    for part, examples in parts.items():
        for example in examples:
            places[example.id].append(part)
    for reason, names in dataset.counts.dropped_ids.items():
        for name in names:
            places[name].append(reason)
    return places


def check(dataset: Dataset, written: Sequence[Written]) -> dict[str, list[str]]:
    """The law itself, on a dataset and the files that it was made from."""
    places, counts = account(dataset, written), dataset.counts
    everything = [name for each in written for name in each.ids]
    assert counts.given == len(everything)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}, "in two places at once"
    nowhere = [name for name, where in places.items() if not where]
    assert len(nowhere) == counts.unused, "neither used, dropped by name, nor counted as unused"
    assert counts.train == len(dataset.train)
    assert counts.validation == len(dataset.validation)
    assert counts.held_out == len(dataset.held_out)
    assert counts.dropped == {reason: len(names) for reason, names in counts.dropped_ids.items()}
    assert {name for name, where in places.items() if where == ["empty"]} == set[str]().union(
        *(w.empty for w in written)
    )
    inputs: dict[str, set[str]] = {}
    for each in written:
        for name, question in each.inputs.items():
            if places[name] in (["train"], ["validation"], ["held_out"]):
                inputs.setdefault(question, set()).add(places[name][0])
    assert {question for question, parts in inputs.items() if len(parts) > 1} == set(), "one question on two sides"
    return places


def questions(count: int, prefix: str = "is it number") -> list[str]:
    """Questions, of which every seventh repeats the one before it."""
    return [f"{prefix} {n - (n % 7 == 6)}" for n in range(count)]


def encoder() -> Encoder:
    tokenizer = tiny_tokenizer()
    return Encoder(tokenizer, ChatTemplate(CHATML, tokenizer), frozenset({2}))


@pytest.mark.parametrize("kind", KINDS)
def test_one_file(kind: str, tmp_path: Path) -> None:
    written = write(tmp_path / "all.jsonl", kind, questions(160))
    places = check(load(DataSettings(train=str(tmp_path / "all.jsonl"))), [written])
    assert {where[0] for where in places.values()} >= {"train", "validation", "held_out"}


@pytest.mark.parametrize("kind", KINDS)
def test_after_tokenising_too_long_ones_are_named_and_windows_lose_nothing(kind: str, tmp_path: Path) -> None:
    written = write(tmp_path / "all.jsonl", kind, questions(160))
    found = fit(load(DataSettings(train=str(tmp_path / "all.jsonl"))), encoder(), 200)
    places = check(found.dataset, [written])
    too_long = {name for name, where in places.items() if where == ["too_long"]}
    assert too_long == (set() if kind == "text" else written.long)
    if kind == "text":
        tokenizer = tiny_tokenizer()
        for example in (*found.dataset.train, *found.dataset.validation, *found.dataset.held_out):
            whole = tokenizer(example.messages[0].content, add_special_tokens=False)["input_ids"]
            learned = [t for d in found.documents[example.id] for t, on in zip(d.tokens, d.trained, strict=True) if on]
            assert learned == whole[-len(learned) :]
            assert len(learned) >= len(whole) - 1, "every token but the first is learned exactly once"


@pytest.mark.parametrize("kind", ["completion", "classification", "chat"])
def test_three_files_that_overlap_and_limits(kind: str, tmp_path: Path) -> None:
    shared = questions(20, "shared question")
    train = write(tmp_path / "train.jsonl", kind, [*questions(120), *shared, *questions(15, "checked")])
    validation = write(tmp_path / "validation.jsonl", kind, [*questions(15, "checked"), *shared[:10]])
    held_out = write(tmp_path / "held_out.jsonl", kind, [*questions(40, "unseen"), *shared])
    paths = {part: str(tmp_path / f"{part}.jsonl") for part in ("train", "validation", "held_out")}
    dataset = load(DataSettings.model_validate({**paths, "limit": Limit(train=50, held_out=30)}))
    places = check(dataset, [train, validation, held_out])
    assert dataset.counts.unused > 0
    assert (len(dataset.train), len(dataset.held_out)) == (50, 30)
    asked = {example.request[-1].content for example in (*dataset.validation, *dataset.held_out)}
    assert not asked & {example.request[-1].content for example in dataset.train}
    assert any(where == ["overlap"] for where in places.values())


def test_a_table_with_groups(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [(f"ticket {n}", ("refund", "login")[n % 2], f"customer {n % 30}") for n in range(150)]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows([("Text", "Team Name", "customer"), *rows])
    fields = {"text": "Text", "label": "Team Name"}
    dataset = load(DataSettings(train=str(path), fields=fields, group="customer", format="classification"))
    sides: dict[str, set[str]] = {}
    found = 0
    for part in ("train", "validation", "held_out"):
        for example in getattr(dataset, part):
            found += 1
            assert example.group is not None
            sides.setdefault(example.group, set()).add(part)
    assert found == 150 == dataset.counts.given
    assert all(len(parts) == 1 for parts in sides.values())


def test_several_documents_of_one_record_are_one_record(tmp_path: Path) -> None:
    path = tmp_path / "text.jsonl"
    path.write_text("".join(json.dumps({"text": f"{n} {LONG}"}) + "\n" for n in range(60)), encoding="utf-8")
    found = fit(load(DataSettings(train=str(path))), encoder(), 100)
    counts = found.dataset.counts
    assert counts.given == 60 == counts.train + counts.validation + counts.held_out
    assert found.windows > 120
