"""Chat templates: which one is used, what it renders, what it is not allowed to do."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burnish.data.template import CHATML, ChatTemplate
from burnish.errors import DataError
from burnish.types import Message
from tests.fixtures_text import NO_SYSTEM, SMOLLM2, STRICT, TEMPLATES, THINKING

SIMPLE = {"no_system", "plain", "smollm2", "strict"}
ASK, REPLY = Message("user", "How far?"), Message("assistant", "number")


def _dicts(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _transformers(tokenizer: Any, source: str, messages: Sequence[Message], prompt: bool) -> str:
    """The oracle: what transformers itself renders."""
    return str(
        tokenizer.apply_chat_template(
            _dicts(messages), chat_template=source, add_generation_prompt=prompt, tokenize=False
        )
    )


@pytest.mark.parametrize("thinking", [False, True])
def test_renders_what_transformers_renders(tokenizer: Any, template_name: str, thinking: bool) -> None:
    template = ChatTemplate.choose("auto", TEMPLATES[template_name], tokenizer, thinking=thinking)
    turns = [ASK, REPLY, Message("user", " why? \n"), Message("assistant", "<think>\nhm\n</think>\n\nso")]
    for end in range(1, 5):
        prompt = bool(end % 2)
        expected = _transformers(tokenizer, template.source, turns[:end], prompt)
        assert template.render(turns[:end], prompt) == expected


_PIECES = [*"ab{}%<>|' \n\t\u2003é\\\"", "<|im_end|>", "[INST]"]
_CONTENT = st.lists(st.sampled_from(_PIECES), max_size=12).map("".join)


def test_skeletons_render_what_jinja_renders(tokenizer: Any, template_name: str) -> None:
    template = ChatTemplate.choose("auto", TEMPLATES[template_name], tokenizer)

    @settings(max_examples=60, deadline=None)
    @given(contents=st.lists(_CONTENT, min_size=2, max_size=5))
    def compare(contents: list[str]) -> None:
        turns = [Message("assistant" if at % 2 else "user", content) for at, content in enumerate(contents)]
        for prompt in (False, True):
            expected = template._raw(_dicts(turns), prompt) + (template.gap if prompt else "")
            assert template.render(turns, prompt) == expected

    compare()


def test_which_templates_are_simple(tokenizer: Any) -> None:
    found = {name for name, source in TEMPLATES.items() if ChatTemplate(source, tokenizer)._environment.simple}
    assert found == SIMPLE


@pytest.mark.parametrize(
    "trick",
    [
        "{% for m in messages %}{{ m.role }}{{ m.content if m.content != 'b' else 'c' }}{% endfor %}",
        "{% for m in messages %}{% if 'b' in m.content %}!{% endif %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{% set c = m.content %}{{ c|replace('b', 'd') }}{% endfor %}",
        "{% for m in messages %}{{ m.content|upper }}{% endfor %}",
        "{% for m in messages %}{{ (m.content + 'x')|trim }}{% endfor %}",
        "{% for m in messages %}{{ m|tojson }}{% endfor %}",
        "{% for m in messages %}{% filter upper %}{{ m.content }}{% endfilter %}{% endfor %}",
        "{% macro w(m) %}{{ m.content }}{% endmacro %}{% for m in messages %}{{ w(m)|title }}{% endfor %}",
        "{% for m in messages %}{% macro w() %}{{ m.content }}{% endmacro %}{{ w()|title }}{% endfor %}",
        "{% for m in messages %}{{ m.content }}{{ m.content|length }}{% endfor %}",
        "{% for m in messages[::-1] %}{{ m.content }}{% endfor %}",
        "{% set all = messages %}{% for m in all %}{{ m['content'].strip() }}{% endfor %}",
        "{% for m in messages if m.content != 'b' %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ m['con' ~ 'tent']|title }}{% endfor %}",
        "{% for m in messages %}{{ m.get('content')|title }}{% endfor %}",
        "{% for m in messages %}{{ m.content * 2 }}{% endfor %}",
        "{% for m in messages %}{% if loop.previtem and loop.previtem == m %}=={% endif %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ m.content }}{% for c in m.content %}.{% endfor %}{% endfor %}",
    ],
)
def test_templates_that_look_into_contents_are_always_run(tokenizer: Any, trick: str) -> None:
    """Each of these would be rendered wrongly from a skeleton."""
    template = object.__new__(ChatTemplate)
    template.name, template.gap, template.constants, template._system, template._tool = "t", "", {}, True, True
    template._compile(trick)
    for contents in (("a", "b"), ("a b", "b b"), ("a", "a")):
        turns = [Message("user", contents[0]), Message("assistant", contents[1])]
        assert template.render(turns) == _transformers(tokenizer, trick, turns, False)


def test_auto_without_a_template_is_plain_and_announced(tokenizer: Any) -> None:
    template = ChatTemplate.choose("auto", None, tokenizer)
    assert template.name == "plain"
    assert 'no chat template; "plain" is used' in template.notes[0]
    assert template.render([ASK, REPLY, ASK], True) == "How far?\nnumber</s>\nHow far?\n"
    assert template.render([Message("system", "s"), ASK]) == "s\nHow far?"


def test_chatml_has_markers_and_ends_a_turn_with_the_eos(tokenizer: Any) -> None:
    template = ChatTemplate.choose("chatml", SMOLLM2, tokenizer)
    text = template.render([Message("system", "s"), ASK, REPLY])
    assert text == (
        "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nHow far?<|im_end|>\n<|im_start|>assistant\nnumber</s>\n"
    )


def test_built_in_templates_write_a_bos_where_the_tokenizer_would(bos_tokenizer: Any) -> None:
    for name in ("plain", "chatml"):
        text = ChatTemplate.choose(name, None, bos_tokenizer).render([ASK])
        assert text.startswith("<s>")
        assert text.count("<s>") == 1


def test_without_an_eos_built_in_templates_are_refused(tokenizer: Any) -> None:
    class NoEnd:
        eos_token = bos_token = bos_token_id = None
        special_tokens_map: ClassVar[dict[str, str]] = {}

    for setting in ("auto", "plain", "chatml"):
        with pytest.raises(DataError, match="no end-of-text token"):
            ChatTemplate.choose(setting, None, NoEnd())  # type: ignore[arg-type]


def test_a_file_is_read_and_its_faults_are_named(tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.jinja"
    path.write_text(CHATML)
    assert ChatTemplate.choose(str(path), SMOLLM2, tokenizer).name == "mine.jinja"
    for content, words in [
        ("{% for m in messages %}", r'"mine.jinja", line 1'),
        ("{{ x", r"line 1"),
        ("hello", "does not show the content"),
        ("{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}", "does not show"),
        ("x" * 300_000, "larger than 256 kB"),
    ]:
        path.write_text(content)
        with pytest.raises(DataError, match=words):
            ChatTemplate.choose(str(path), None, tokenizer)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        ChatTemplate.choose(str(path), None, tokenizer)
    with pytest.raises(DataError, match='Did you mean "chatml"'):
        ChatTemplate.choose("chatm", None, tokenizer)


def test_roles_that_a_template_lacks_are_written_as_user_turns(tokenizer: Any) -> None:
    template = ChatTemplate(NO_SYSTEM, tokenizer)
    text = template.render([Message("system", "Be short."), ASK, REPLY])
    assert "<start_of_turn>user\nBe short.\n\nHow far?<end_of_turn>" in text
    assert template.role_notes(frozenset({"system"}))[0].startswith("the chat template has no system turn")
    strict = ChatTemplate(STRICT, tokenizer)
    assert "[INST] rain [/INST]" in strict.render([ASK, REPLY, Message("tool", "rain"), REPLY])
    assert ChatTemplate(SMOLLM2, tokenizer).role_notes(frozenset({"system", "tool"})) == []


def test_a_refusing_template_gives_its_reason(tokenizer: Any) -> None:
    with pytest.raises(DataError, match="refuses this conversation: Conversation roles must alternate"):
        ChatTemplate(STRICT, tokenizer).render([ASK, ASK])


def test_thinking_is_switched_off_in_the_source_itself(tokenizer: Any) -> None:
    """Without thoughts in the data the empty thought belongs to the prompt, never to what is trained."""
    template = ChatTemplate.choose("auto", THINKING, tokenizer)
    assert template.render([ASK], True).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert template.render([ASK, REPLY]).startswith(template.render([ASK], True) + "number")
    thoughtful = ChatTemplate.choose("auto", THINKING, tokenizer, thinking=True)
    assert thoughtful.render([ASK], True).endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("thinking", [False, True])
def test_a_stored_source_is_taken_as_it_was_trained(tokenizer: Any, thinking: bool) -> None:
    first = ChatTemplate.choose("auto", THINKING, tokenizer, thinking=thinking)
    again = ChatTemplate.choose("auto", first.source, tokenizer)
    assert (again.source, again.gap, again.lead) == (first.source, first.gap, first.lead)
    assert again.render([ASK], True) == first.render([ASK], True)


def test_a_text_before_every_answer_is_given_not_trained(tokenizer: Any) -> None:
    source = SMOLLM2.replace(
        "message['content'] + '<|im_end|>'",
        "('Answer: ' if message['role'] == 'assistant' else '') + message['content'] + '<|im_end|>'",
    )
    template = ChatTemplate(source, tokenizer)
    assert template.gap == "Answer: "
    assert template.render([ASK], True).endswith("assistant\nAnswer: ")


def test_a_generation_prompt_that_no_answer_follows_is_refused(tokenizer: Any) -> None:
    source = SMOLLM2.replace("{{ '<|im_start|>assistant\n' }}", "{{ '<|im_start|>assistant\n<think>\n' }}")
    with pytest.raises(DataError, match="its generation prompt is not what it writes before an answer"):
        ChatTemplate(source, tokenizer)


def test_the_date_is_the_same_every_day(tokenizer: Any) -> None:
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}" + SMOLLM2, tokenizer)
    assert template.render([ASK]).startswith("26 Jul 2024")
    assert "a date" in template.notes[0]


BOMBS = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "tilde": "{% set n = namespace(x='aa') %}{% for a in range(64) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "plus": "{% set n = namespace(x='aa') %}{% for a in range(64) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "join": "{% set n = namespace(x='aa') %}{% for a in range(64) %}{% set n.x = [n.x, n.x]|join %}{% endfor %}",
    "block": "{% set n = namespace(x=1) %}{% for a in 'b' * 64 %}{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}"
    "{% endfor %}",
    "times": "{{ 'a' * 10 ** 10 }}",
    "power": "{{ 9 ** 999999999 }}",
    "center": "{{ 'a'|center(1000000000) }}",
    "ljust": "{{ 'a'.ljust(1000000000) }}",
    "percent": "{{ '%1000000000d' % 1 }}",
    "format": "{{ '{:>1000000000}'.format(1) }}",
    "format filter": "{{ '%1000000000d'|format(1) }}",
    "replace": "{% set x = 'a' * 1000000 %}{{ x.replace('a', x) }}",
    "macro": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "recursion": "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ raise_exception.__globals__.x }}",
    "import": "{% import 'os' as os %}{{ os }}",
    "include": "{% include '/etc/passwd' %}",
    "namespace": "{% set n = namespace() %}{% set n._x = 1 %}",
    "mutation": "{{ messages.append(1) }}",
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_bombs_are_refused_quickly(tokenizer: Any, name: str) -> None:
    begun = time.process_time()
    with pytest.raises(DataError, match="chat template"):
        ChatTemplate(BOMBS[name] + SMOLLM2, tokenizer)
    assert time.process_time() - begun < 3


def test_contents_with_wide_formats_are_only_text(tokenizer: Any) -> None:
    text = "{:>1000000000} %1000000d".ljust(60)
    assert text in ChatTemplate(THINKING, tokenizer).render([Message("user", text), REPLY])


def test_generation_blocks_and_loop_controls_are_understood(tokenizer: Any) -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}"
        "{% endgeneration %}{% continue %}{% endif %}{{ m.content }}\n{% endfor %}"
    )
    template = ChatTemplate(source, tokenizer)
    assert template.render([ASK, REPLY]) == _transformers(tokenizer, source, [ASK, REPLY], False)
