"""Requests for `burnish generate`: read as training read its records, with answers left aside."""

from collections.abc import Callable
from pathlib import Path

from burnish.data.dataset import load
from burnish.data.requests import read_requests
from burnish.data.settings import DataSettings

Write = Callable[..., Path]


def test_a_column_of_prompt_and_answer_keeps_what_it_says(jsonl: Write) -> None:
    path = jsonl([{"name": "Kim", "mail": "where is it?", "reply": "on its way"}, {"name": "Lee", "mail": "thanks"}])
    settings = DataSettings(train=str(path), prompt="{name} wrote: {mail}", answer="Dear {name}, {reply}")
    found = read_requests(path, settings, "completion", {})
    assert [turns[-1].content for _, turns in found] == ["Kim wrote: where is it?", "Lee wrote: thanks"]


def test_an_instruction_stands_first_where_no_user_speaks(jsonl: Write) -> None:
    """A tool opens the conversation."""
    turns = [{"role": "tool", "content": "21 degrees"}, {"role": "assistant", "content": "It is warm."}]
    path = jsonl([{"messages": [{"role": "system", "content": f"s{n}"}, *turns]} for n in range(30)])
    settings = DataSettings(train=str(path), instruction="Say it in words.")
    expected = "Say it in words.\n\n21 degrees"
    assert load(settings).train[0].messages[1].content == expected
    assert read_requests(path, settings, "chat", {"messages": "messages"})[0][1][1].content == expected
