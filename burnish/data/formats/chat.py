"""Conversations: `messages` with role and content, or `conversations` with from and value."""

import contextlib
import json
from collections.abc import Mapping

from burnish.data.layout import Fault, Layout, as_text
from burnish.data.sources import Record
from burnish.registry import did_you_mean
from burnish.types import Message, TaskKind

FIELDS = {
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat"),
    "system": ("system", "system_prompt"),
    "tools": ("tools", "functions"),
}
REQUIRED = ("messages",)
KIND: TaskKind = "generate"
RANK = 10
PROMPTED = False
COMPANIONS = None
ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "function_call": "assistant",
    "tool_call": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
    "function_response": "tool",
    "tool_response": "tool",
}


def turns(record: Record, layout: Layout) -> tuple[Message, ...]:
    """The turns as written; every assistant turn is trained unless its `weight` is 0 or its `trained` is false.

    Assistant turns before anybody has asked are context only. Tools stand in the system text as JSON.
    """
    column = layout.columns["messages"]
    given = layout.value(record, "messages")
    if isinstance(given, str):
        raise Fault(f'"{column}" holds text; expected a list of turns, [{{"role": "user", "content": "..."}}, ...]')
    if not isinstance(given, list):
        raise Fault(f'has no list "{column}" of turns' if given is None else f'"{column}" is no list of turns')
    messages = [_turn(turn, f'"{column}", turn {number}') for number, turn in enumerate(given, 1)]
    if not messages:
        return ()
    messages = _opened(messages, column)
    trained = [message for message in messages if message.trained]
    if not trained:
        raise Fault(
            f'"{column}" has no trained assistant turn, so nothing would be learned; add one, '
            'or set "trained": true on one'
        )
    if any(not message.content.strip() for message in trained):
        return ()
    return (*_system(record, layout, messages), *messages)


def _turn(turn: object, place: str) -> Message:
    if not isinstance(turn, Mapping):
        raise Fault(f'{place}: expected an object with "role" and "content"')
    role = turn.get("role", turn.get("from"))
    if not isinstance(role, str):
        raise Fault(f'{place}: has no "role"; expected one of system, user, assistant, tool')
    known = ROLES.get(role.casefold())
    if known is None:
        raise Fault(
            f'{place}: the role "{role}" is unknown; expected system, user, assistant or tool.'
            f"{did_you_mean(role, ROLES)}"
        )
    content = _content(turn, place)
    return Message(known, content, _trained(turn, known, place))


def _content(turn: Mapping[str, object], place: str) -> str:
    """The text of a turn; calls of tools as one JSON object a line after it."""
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list):
        texts = []
        for part in content:
            text = part.get("text") if isinstance(part, Mapping) else part
            if not isinstance(text, str):
                raise Fault(f"{place}: holds something other than text (a picture?); only text can be trained")
            texts.append(text)
        content = "".join(texts)
    calls = turn.get("tool_calls")
    if content is None and not calls:
        if "content" in turn or "value" in turn:
            return ""
        raise Fault(f'{place}: has no "content"')
    if isinstance(content, bool | int | float):
        raise Fault(f'{place}: "content" is no text; write it in quotes')
    lines = [as_text(content)] if content else []
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or "name" not in function:
            raise Fault(f'{place}: a tool call has no "name"')
        lines.append(_call(function))
    return "\n".join(lines)


def _call(function: Mapping[str, object]) -> str:
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        with contextlib.suppress(ValueError):  # else shown as the text that it is
            arguments = json.loads(arguments)
    return json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)


def _trained(turn: Mapping[str, object], role: str, place: str) -> bool:
    """Whether a turn is learned: `trained`, else `weight` (0 or 1), else whether the assistant speaks."""
    if "trained" in turn and turn["trained"] is not None:
        given = turn["trained"]
        if not isinstance(given, bool):
            raise Fault(f'{place}: "trained" is {given!r}; expected true or false')
    elif "weight" in turn and turn["weight"] is not None:
        if turn["weight"] not in (0, 1):
            raise Fault(f'{place}: "weight" is {turn["weight"]!r}; expected 0 or 1')
        given = bool(turn["weight"])
    else:
        return role == "assistant"
    if given and role != "assistant" and "trained" in turn:
        raise Fault(f"{place}: a {role} turn is marked as trained; only assistant turns can be")
    return given and role == "assistant"


def _opened(messages: list[Message], column: str) -> list[Message]:
    """Assistant turns that nobody asked for, at the beginning, are not trained: no generation ever starts there."""
    first = next((at for at, message in enumerate(messages) if message.role != "system"), len(messages))
    asked = next((at for at, message in enumerate(messages) if message.role in ("user", "tool")), None)
    if asked is None:
        raise Fault(f'"{column}" has no user turn, so there is nothing to answer; add one')
    return [
        Message(message.role, message.content) if first <= at < asked else message
        for at, message in enumerate(messages)
    ]


def _system(record: Record, layout: Layout, messages: list[Message]) -> tuple[Message, ...]:
    """The system text from columns of its own, taken into an existing system turn's place at the front."""
    parts = [layout.text(record, "system")]
    tools = layout.value(record, "tools")
    if tools and tools != "[]":
        parts.append("You can call these tools:\n" + as_text(tools))
    text = "\n\n".join(part for part in parts if part.strip())
    if not text:
        return ()
    if messages[0].role == "system":
        text = text + "\n\n" + messages.pop(0).content
    return (Message("system", text),)
