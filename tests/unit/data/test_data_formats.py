"""Formats: what each makes of a record, and what it refuses."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from burnish.data.dataset import Dataset, load
from burnish.data.layout import as_text, find_layout, formats, value_at
from burnish.data.settings import DataSettings
from burnish.errors import DataError, RecipeError
from burnish.types import Message

Write = Callable[..., Path]


def _loaded(jsonl: Write, records: Sequence[dict[str, Any]], **fields: Any) -> Dataset:
    """The dataset of these records, repeated with a number so that there are enough to split."""
    many = [{**record, "n": number} for number in range(6) for record in records]
    return load(DataSettings(train=str(jsonl(many)), held_out=1, validation=1, **fields))


def _turns(dataset: Dataset) -> list[tuple[str, str, bool]]:
    example = next(e for e in (*dataset.train, *dataset.validation, *dataset.held_out) if e.id == "data.jsonl:1")
    return [(message.role, message.content, message.trained) for message in example.messages]


def _refusal(jsonl: Write, records: Sequence[dict[str, Any]], **fields: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(DataSettings(train=str(jsonl(records)), **fields))
    return str(caught.value)


CHAT = [
    [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": f"a{number}"}] for number in range(9)
]


def test_each_format_is_found_by_its_columns() -> None:
    columns = {
        "chat": [["messages"], ["conversations", "tools"], ["id", "Conversation", "system"]],
        "instruction": [["instruction", "input", "output"], ["instruction", "response"], ["Instruction", "Output"]],
        "completion": [["prompt", "completion"], ["question", "answer"], ["nl", "bash"], ["input", "output"]],
        "classification": [["text", "label"], ["Sentence", "Category"], ["question", "label", "fine_label"]],
        "text": [["text"], ["title", "content"], ["article", "text"]],
    }
    for name, several in columns.items():
        for names in several:
            assert find_layout(DataSettings(train="a"), names, "a").name == name, names
    assert set(columns) == set(formats())


def test_text_beside_other_texts_is_not_taken_for_raw_documents() -> None:
    with pytest.raises(RecipeError, match=r'"text", "code" fit no format.*data\.fields') as caught:
        find_layout(DataSettings(train="a"), ["text", "code"], "a.jsonl")
    assert "burnish init a.jsonl" in str(caught.value)
    layout = find_layout(DataSettings(train="a", format="text"), ["text", "code"], "a")
    assert layout.columns == {"text": "text"}


def test_chat_trains_every_assistant_turn_unless_told_otherwise(jsonl: Write) -> None:
    turns = [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello", "weight": 0},
        {"role": "user", "content": "bye"},
        {"role": "assistant", "content": "ciao", "trained": True},
    ]
    dataset = _loaded(jsonl, [{"messages": turns}, *({"messages": turns} for turns in CHAT)])
    assert [trained for _, _, trained in _turns(dataset)] == [False, False, False, False, True]
    assert dataset.kind == "generate"


def test_sharegpt_with_calls_observations_and_tools(jsonl: Write) -> None:
    turns = [
        {"from": "human", "value": "weather?"},
        {"from": "function_call", "value": '{"name": "w"}'},
        {"from": "observation", "value": "rain"},
        {"from": "gpt", "value": "It rains."},
    ]
    records = [{"conversations": turns, "tools": '[{"name": "w"}]'}]
    records += [{"conversations": [{"from": "human", "value": f"q{n}"}, turns[3]], "tools": "[]"} for n in range(9)]
    assert _turns(_loaded(jsonl, records)) == [
        ("system", 'You can call these tools:\n[{"name": "w"}]', False),
        ("user", "weather?", False),
        ("assistant", '{"name": "w"}', True),
        ("tool", "rain", False),
        ("assistant", "It rains.", True),
    ]


def test_openai_tool_calls_and_parts_of_text(jsonl: Write) -> None:
    call = {"type": "function", "function": {"name": "w", "arguments": '{"city": "Köln"}'}}
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "wea"}, {"type": "text", "text": "ther?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "rain"},
        {"role": "assistant", "content": "It rains."},
    ]
    found = _turns(_loaded(jsonl, [{"messages": turns}, *({"messages": turns} for turns in CHAT)]))
    assert found[0][1] == "weather?"
    assert found[1] == ("assistant", '{"name": "w", "arguments": {"city": "Köln"}}', True)


def test_a_greeting_before_any_question_is_context_only(jsonl: Write) -> None:
    turns = [{"role": "assistant", "content": "Welcome!"}, *CHAT[0]]
    found = _turns(_loaded(jsonl, [{"messages": turns}, *({"messages": turns} for turns in CHAT[1:])]))
    assert [trained for _, _, trained in found] == [False, False, True]


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ("hello", "holds text; expected a list of turns"),
        ([{"role": "user", "content": "hi"}], "no trained assistant turn, so nothing would be learned"),
        ([{"role": "assistant", "content": "hi"}], "has no user turn"),
        ([{"role": "usr", "content": "hi"}], 'the role "usr" is unknown; expected system, user, assistant or tool.'),
        ([{"content": "hi"}], 'turn 1: has no "role"'),
        ([{"role": "user"}], 'turn 1: has no "content"'),
        (["hi"], "turn 1: expected an object"),
        ([*CHAT[0], {"role": "assistant", "content": "x", "weight": 0.5}], 'turn 3: "weight" is 0.5; expected 0 or 1'),
        ([*CHAT[0], {"role": "assistant", "content": "x", "trained": "yes"}], 'turn 3: "trained" is'),
        ([{"role": "user", "content": "x", "trained": True}, *CHAT[0]], "only assistant turns can be"),
        ([{"role": "user", "content": [{"type": "image_url"}]}, *CHAT[0]], "only text can be trained"),
        ([{"role": "user", "content": 3}, *CHAT[0]], "is no text"),
    ],
)
def test_chat_refusals(jsonl: Write, turns: object, words: str) -> None:
    message = _refusal(jsonl, [{"messages": CHAT[0]}, {"messages": turns}])
    assert message.startswith('data.jsonl:2: "messages"')
    assert words in message


def test_instruction_joins_input_system_and_history(jsonl: Write) -> None:
    record = {
        "instruction": "Translate.",
        "input": "Haus",
        "output": "house",
        "system": "You translate.",
        "history": [["hi", "hello"]],
    }
    rest = [{"instruction": f"Say {n}", "input": "", "output": str(n)} for n in range(9)]
    dataset = _loaded(jsonl, [record, *rest])
    assert _turns(dataset) == [
        ("system", "You translate.", False),
        ("user", "hi", False),
        ("assistant", "hello", False),
        ("user", "Translate.\n\nHaus", False),
        ("assistant", "house", True),
    ]
    assert dataset.counts.dropped == {}  # an empty optional input is normal


def test_prompt_answer_and_instruction_are_written_from_columns(jsonl: Write) -> None:
    records = [{"title": f"T{n}", "body": "B", "who": f"w{n}", "extra": 1} for n in range(9)]
    dataset = _loaded(jsonl, records, prompt="{title}: {{{body}}}", answer="who", instruction="Who?")
    assert dataset.format == "completion"
    assert _turns(dataset) == [("user", "Who?\n\nT0: {B}", False), ("assistant", "w0", True)]
    assert 'the columns "extra", "n"' in dataset.counts.notes[-1]
    template = _loaded(jsonl, records, prompt="{title}", answer="<{who}>")
    assert _turns(template)[1][1] == "<w0>"


def test_a_column_can_be_reached_inside_a_list() -> None:
    values = {"instances": [{"input": "i", "output": "o"}], "a.b": "dotted"}
    assert value_at(values, "instances.0.output") == "o"
    assert value_at(values, "a.b") == "dotted"
    assert not isinstance(value_at(values, "instances.1.output"), str)


def test_values_that_are_no_text() -> None:
    assert [as_text(value) for value in (None, True, 3, 2.5, ["a", 1], {"ä": [1]}, [["x"]])] == [
        *("", "true", "3", "2.5", "a\n1", '{"ä": [1]}', '[["x"]]')
    ]


def test_empty_records_are_dropped_and_other_faults_refuse(jsonl: Write) -> None:
    records = [{"prompt": f"q{n}", "completion": f"a{n}"} for n in range(9)]
    records[2]["completion"] = "  "
    records[5]["prompt"] = ""
    dataset = load(DataSettings(train=str(jsonl(records)), held_out=2, validation=1))
    assert dataset.counts.dropped == {"empty": 2}
    assert dataset.counts.dropped_ids == {"empty": ("data.jsonl:3", "data.jsonl:6")}
    del records[7]["completion"]
    assert 'data.jsonl:8: has no field "completion"; it has "prompt"' in _refusal(jsonl, records)


def test_names_that_do_not_exist_list_what_does(jsonl: Write) -> None:
    path = str(jsonl([{"question": "q", "answer": "a"}]))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"fields": {"prompt": "qestion"}}, r'data\.fields\.prompt.*no column "qestion".*Did you mean "question"'),
        ({"fields": {"promt": "question"}}, r'data\.fields: "promt" is no field.*Did you mean "prompt"'),
        ({"prompt": "{quest}"}, r'data\.prompt.*no column "quest"'),
        ({"answer": "reply"}, r'data\.answer.*no column "reply"'),
        ({"slice": "topic"}, r'data\.slice.*no column "topic"'),
        ({"group": "topic"}, r'data\.group.*no column "topic"'),
        ({"format": "chatt"}, r'data\.format: "chatt" is unknown.*Did you mean "chat"'),
        ({"format": "classification"}, r"needs label \(or labels, class"),
        ({"format": "chat", "prompt": "{question}"}, r"do not apply to the format chat"),
    ]
    for fields, words in wrong:
        with pytest.raises(RecipeError, match=words):
            load(DataSettings(train=path, **fields))


def test_formats_keep_the_protocol() -> None:
    for name, form in formats().items():
        assert set(form.REQUIRED) <= set(form.FIELDS), name
        assert form.KIND in ("generate", "classify", "text")
        assert all(spellings[0] == ours for ours, spellings in form.FIELDS.items()), name


def test_classification_labels_as_written(jsonl: Write) -> None:
    records = [{"text": f"t{n}", "label": ["Refund ", "refund", "bill"][n % 3]} for n in range(9)]
    dataset = _loaded(jsonl, records)
    assert dataset.labels == ("Refund ", "bill", "refund")
    assert "'Refund '" in dataset.counts.label_variants[0]
    assert "'refund'" in dataset.counts.label_variants[0]
    assert "holds a list or an object" in _refusal(jsonl, [{"text": "a", "label": ["x", "y"]}])


def test_raw_text_is_one_trained_message(jsonl: Write) -> None:
    dataset = load(DataSettings(train=str(jsonl([{"text": f"Document {n}."} for n in range(9)]))))
    assert dataset.train[0].messages == (Message("text", dataset.train[0].answer, trained=True),)
    assert dataset.kind == "text"
    with pytest.raises(RecipeError, match="raw documents ask nothing"):
        load(DataSettings(train=str(jsonl([{"text": f"D{n}"} for n in range(9)])), instruction="Go"))
