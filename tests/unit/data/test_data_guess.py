"""`burnish init`: what a stranger's file probably is, and a recipe that loads."""

import csv
import io
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from burnish.data.dataset import load
from burnish.data.guess import guess, recipe_yaml
from burnish.data.settings import DataSettings
from burnish.errors import DataError

Write = Callable[..., Path]
PUBLIC = os.environ.get("BURNISH_DATA")


def _tickets(path: Path, encoding: str, delimiter: str, header: list[str]) -> Path:
    """300 rows as a spreadsheet program saves them: an id, a date, a channel, a text with line breaks, a team."""
    chance = random.Random(0)
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(header)
    for number in range(300):
        team = chance.choice(["Billing", "IT support", "Logistics"])
        date = f"{chance.randint(1, 28)}.{chance.randint(1, 12)}.2024"
        comment = f"Guten Tag, Nr. {number}: “{team[:3]}” geht nicht;\r\nbitte prüfen – 5 €"
        writer.writerow([number + 1, date, chance.choice(["mail", "phone"]), comment, team])
    path.write_bytes(buffer.getvalue().encode(encoding))
    return path


@pytest.mark.parametrize(
    ("name", "encoding", "delimiter", "header"),
    [
        ("a.csv", "cp1252", ";", ["Nr", "Datum", "Kanal", " Ticket text ", "Team"]),
        ("b.csv", "utf-8-sig", ",", ["id", "date", "channel", "comment", "team"]),
        ("c.tsv", "utf-16", "\t", ["ID", "Received on", "Source", "What the customer wrote", "Who handles it"]),
    ],
)
def test_a_spreadsheet_of_tickets(tmp_path: Path, name: str, encoding: str, delimiter: str, header: list[str]) -> None:
    found = guess(_tickets(tmp_path / name, encoding, delimiter, header))
    text, label = header[3].strip(), header[4]
    assert (found.format, found.kind, dict(found.fields)) == (
        "classification",
        "classify",
        {"text": text, "label": label},
    )
    assert found.labels == ("Billing", "IT support", "Logistics")
    assert found.instruction == (
        "Classify the text as one of: Billing, IT support, Logistics. Answer with the label only."
    )
    assert header[2] in found.notes[-1]  # another column that could be the label is named
    assert found.dataset is not None
    assert found.dataset.counts.given == 300


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    real = Path.read_bytes

    def counted(path: Path) -> bytes:
        opened.append(path)
        return real(path)

    path = _tickets(tmp_path / "a.csv", "utf-8", ",", ["id", "date", "channel", "comment", "team"])
    monkeypatch.setattr(Path, "read_bytes", counted)
    found = guess(path)
    assert opened == [path]
    assert found.instruction is not None, "the data were loaded twice, the second time with it"
    assert load(found.settings).train == (found.dataset.train if found.dataset else None)


def test_the_recipe_loads_as_the_guess_did(tmp_path: Path) -> None:
    path = _tickets(tmp_path / "tickets 1.csv", "cp1252", ";", ["Nr", "Datum", "Kanal", "Ticket: text", "Team"])
    found = guess(path)
    written = recipe_yaml(found, path.name, "smollm2-135m-instruct")
    tree = yaml.safe_load(written)
    assert tree["model"] == "smollm2-135m-instruct"
    assert tree["task"] == {"kind": "classify", "metric": "auto"}
    assert tree["method"] == "lora"
    assert tree["data"]["train"] == "tickets 1.csv"
    settings = DataSettings(**{**tree["data"], "train": str(path)})
    assert load(settings, task_kind="classify").train == (found.dataset.train if found.dataset else None)
    assert all(len(line) < 200 for line in written.split("\n"))


def test_a_note_never_touches_what_it_explains(jsonl: Write) -> None:
    path = jsonl([{"meaning": f"name[{n}], food", "reference": f"A place {n} that serves food."} for n in range(30)])
    written = recipe_yaml(guess(path), path.name, "m")
    assert "fields: {prompt: meaning, completion: reference}  # our name" in written
    assert not [line for line in written.split("\n") if "#" in line.lstrip()[1:] and "  # " not in line]


def test_a_test_file_beside_the_data_is_pointed_at(jsonl: Write) -> None:
    records = [{"prompt": f"q{n}", "completion": f"some answer {n}"} for n in range(30)]
    path = jsonl(records, "train.jsonl")
    jsonl(records, "test.jsonl")
    assert "# kept apart for the verdict; test.jsonl stands beside it" in recipe_yaml(guess(path), "train.jsonl", "m")


def _looks(jsonl: Write, **columns: Any) -> tuple[str, dict[str, str]]:
    records = [{name: make(n) for name, make in columns.items()} for n in range(60)]
    found = guess(jsonl(records))
    return found.format, dict(found.fields)


def test_guesses_by_what_columns_hold(jsonl: Write) -> None:
    def long(n: int) -> str:
        return f"some longer text, number {n}"

    def code(n: int) -> str:
        return f"def f{n}(x): return x"

    def label(n: int) -> str:
        return ["x", "y"][n % 2]

    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    assert _looks(jsonl, text=long, code=code, task_id=int) == ("completion", {"prompt": "text", "completion": "code"})
    assert _looks(jsonl, alpha=long, beta=code) == ("completion", {"prompt": "alpha", "completion": "beta"})
    assert _looks(jsonl, mr=long, ref=code) == ("completion", {"prompt": "mr", "completion": "ref"})
    assert _looks(jsonl, alpha=long, beta=label) == ("classification", {"text": "alpha", "label": "beta"})
    assert _looks(jsonl, question=long, answer=label) == ("classification", {"text": "question", "label": "answer"})
    assert _looks(jsonl, question=long, answer=code, category=label)[0] == "completion"
    assert _looks(jsonl, alpha=long, n=int) == ("text", {"text": "alpha"})
    assert _looks(jsonl, log=lambda n: [*chat[:1], {"role": "assistant", "content": f"a{n}"}, *chat]) == (
        "chat",
        {"messages": "log"},
    )
    assert _looks(jsonl, instruction=long, instances=lambda n: [{"input": "", "output": code(n)}]) == (
        "instruction",
        {"instruction": "instruction", "input": "instances.0.input", "output": "instances.0.output"},
    )


def test_contexts_stand_before_the_question(jsonl: Write) -> None:
    records = [
        {"question": f"is it {n}?", "contexts": [f"c{n}", "d"], "answer": ["yes", "no"][n % 2]} for n in range(60)
    ]
    found = guess(jsonl(records))
    assert found.settings.prompt == "{contexts}\n\n{question}"
    assert found.instruction == "Answer with one word: no, yes."
    assert found.dataset is not None
    assert found.dataset.train[0].messages[0].content.startswith("Answer with one word: no, yes.\n\nc")


def test_many_labels_are_not_listed_in_the_instruction(jsonl: Write) -> None:
    found = guess(jsonl([{"text": f"text {n}", "label": f"intent {n % 40}"} for n in range(400)]))
    assert found.instruction == "Classify the text. Answer with the label only."


def test_the_instruction_never_knows_a_label_of_held_out_alone(jsonl: Write) -> None:
    records = [{"text": f"text {n}", "label": ["x", "y"][n % 2]} for n in range(60)]
    first = guess(jsonl(records))
    assert first.dataset is not None
    at = int(first.dataset.held_out[0].id.split(":")[1]) - 1
    records[at]["label"] = "only here"
    assert "only here" not in (guess(jsonl(records)).instruction or "")


def test_articles_stay_on_one_side(jsonl: Write) -> None:
    found = guess(jsonl([{"article": n // 5, "text": f"paragraph {n}"} for n in range(100)]))
    assert (found.format, found.settings.group) == ("text", "article")
    assert "group: article" in recipe_yaml(found, "data.jsonl", "m")


def test_columns_that_tell_nothing_are_refused_with_what_to_write(jsonl: Write) -> None:
    with pytest.raises(DataError, match=r'cannot tell what should be learned from the columns "a", "b".*data\.fields'):
        guess(jsonl([{"a": n, "b": n * 2} for n in range(60)]))


@pytest.mark.skipif(PUBLIC is None, reason="BURNISH_DATA is not set: the public data sets are not here")
@pytest.mark.parametrize(
    ("folder", "form", "fields"),
    [
        ("trec6", "classification", {"text": "question", "label": "label"}),
        ("banking77", "classification", {"text": "text", "label": "label"}),
        ("glaive_toolcall", "chat", {"messages": "conversations"}),
        ("nl2bash", "completion", {"prompt": "nl", "completion": "bash"}),
        ("mbpp", "completion", {"prompt": "text", "completion": "code"}),
        ("pubmedqa", "classification", {"label": "answer"}),
        ("identity", "instruction", {"instruction": "instruction", "input": "input", "output": "output"}),
        ("self_instruct", "instruction", None),
        ("e2e_cleaned", "completion", {"prompt": "mr", "completion": "ref"}),
        ("legalbench_overruling", "classification", {"text": "text", "label": "label"}),
    ],
)
def test_public_data_sets(folder: str, form: str, fields: dict[str, str] | None) -> None:
    found = guess(Path(str(PUBLIC)) / folder / "train.jsonl")
    assert found.format == form
    assert fields is None or dict(found.fields) == fields


def test_choices_stand_behind_the_question_marked_as_the_answers_are(jsonl: Write) -> None:
    lists = [["red", "blue", "green"], ["up", "down", "left", "right"]]
    records = [{"question": f"which is {n}?", "choices": lists[n % 2], "answer": "ABC"[n % 3]} for n in range(60)]
    found = guess(jsonl(records, "lettered.jsonl"))
    assert found.settings.prompt == "{question}\n\n{choices:A}"
    assert found.kind == "classify"
    assert any('the choices of the column "choices"' in note for note in found.notes)
    assert found.dataset is not None
    asked = {example.messages[-2].content for example in found.dataset.train}
    assert any(text.endswith("which is 1?\n\nA: up\nB: down\nC: left\nD: right") for text in asked)
    numbered = [{**record, "answer": str(1 + n % 3)} for n, record in enumerate(records)]
    assert guess(jsonl(numbered, "numbered.jsonl")).settings.prompt == "{question}\n\n{choices:1}"
    said = [{**record, "answer": lists[n % 2][n % 3]} for n, record in enumerate(records)]
    assert guess(jsonl(said, "said.jsonl")).settings.prompt == "{question}\n\n{choices}"


def test_choices_beyond_the_letters_are_all_written(jsonl: Write) -> None:
    long = [f"choice number {n}" for n in range(30)]
    records = [{"question": f"which is {n}?", "choices": long, "answer": "ABC"[n % 3]} for n in range(60)]
    found = guess(jsonl(records))
    assert found.dataset is not None
    assert found.dataset.train[0].messages[-2].content.endswith("choice number 29")


def test_a_column_for_each_choice_stands_behind_the_question_too(jsonl: Write) -> None:
    records = [
        {"sentence": f"the _ is {n}", "option1": "cat", "option2": "dog", "answer": "12"[n % 2]} for n in range(60)
    ]
    found = guess(jsonl(records, "options.jsonl"))
    assert found.settings.prompt == "{sentence}\n\n1: {option1}\n2: {option2}"
    assert found.dataset is not None
    assert found.dataset.train[0].messages[-2].content.endswith("1: cat\n2: dog")
