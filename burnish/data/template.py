"""Chat templates: the one that is used, what it can render, and rendering with it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jinja2

from burnish.data.sandbox import PASSES, ChatEnvironment
from burnish.data.skeleton import Skeleton, skeleton
from burnish.data.tokenizer import Tokenizer, begins_with_bos
from burnish.errors import DataError
from burnish.registry import did_you_mean
from burnish.types import Message

LARGEST = 256 << 10  # bytes of a template's source
PLAIN = (
    "{% for message in messages %}{% if not loop.first %}{{ '\\n' }}{% endif %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt and messages %}{{ '\\n' }}{% endif %}"
)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] }}"
    "{{ eos_token if message['role'] == 'assistant' else '<|im_end|>' }}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
BUILT_IN = {"plain": PLAIN, "chatml": CHATML}
AS_TRAINED = "{# burnish: the template as trained, thinking %s #}"  # written where a choice was made, and kept
_SWITCHES = ("enable_thinking", "thinking")  # names by which templates turn thinking on and off


class ChatTemplate:
    """A chat template bound to a tokenizer's special tokens.

    `source` gives the same text in transformers' `apply_chat_template` without further arguments. `gap` is what the
    template writes between the generation prompt and an answer; burnish counts it to the prompt. Blanks there are
    `lead`, which the model generates (they merge with the first word). `notes` says what
    was chosen or mended. Raises DataError where the source is no template or does not show what it is given.
    """

    def __init__(self, source: str, tokenizer: Tokenizer, name: str = "template", thinking: bool = False) -> None:
        self.name = name
        self.notes: list[str] = []
        self.gap = self.lead = ""
        self.constants = {
            key: str(value) for key, value in tokenizer.special_tokens_map.items() if isinstance(value, str)
        }
        self._system = self._tool = True
        self._compile(source)
        self._choose_switch(source, thinking)
        self._look_at_roles()

    @classmethod
    def choose(
        cls, setting: str, model_template: str | None, tokenizer: Tokenizer, *, thinking: bool = False
    ) -> "ChatTemplate":
        """The template that `data.chat_template` names.

        `thinking` says that the training answers hold `</think>`; else thinking is switched off where the template
        has a switch for it.
        """
        if setting == "auto" and model_template is not None:
            return cls(model_template, tokenizer, "auto", thinking)
        name = "plain" if setting == "auto" else setting
        if name not in BUILT_IN:
            return cls(_read(name), tokenizer, Path(name).name, thinking)
        if not tokenizer.eos_token:
            raise DataError(
                f'chat template "{name}": the tokenizer has no end-of-text token that could end a turn; '
                "name a file with a template of your own in data.chat_template"
            )
        start = "{{ bos_token }}" if begins_with_bos(tokenizer) else ""
        template = cls(start + BUILT_IN[name], tokenizer, name, thinking)
        if setting == "auto":
            template.notes.insert(
                0, f'the model has no chat template; "plain" is used: contents on lines, {tokenizer.eos_token} after'
            )
        return template

    def render(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
        """The conversation as text; with a generation prompt it ends where an answer begins. Raises DataError."""
        turns = self._adapted(messages)
        text = self._assembled(turns, add_generation_prompt) if self._environment.simple else None
        if text is None:
            text = self._raw([_as_dict(message) for message in turns], add_generation_prompt)
        return text + self.gap if add_generation_prompt else text

    def _assembled(self, turns: Sequence[Message], add_generation_prompt: bool) -> str | None:
        """The text from the skeleton of these roles; None where there is none."""
        roles = tuple(turn.role for turn in turns)
        key = (roles, add_generation_prompt)
        if key not in self._skeletons:
            self._skeletons[key] = skeleton(roles, lambda marks: self._raw(marks, add_generation_prompt))
        found = self._skeletons[key]
        return found.filled([turn.content for turn in turns]) if found is not None else None

    def _raw(self, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        self._environment.meter.left = PASSES
        try:
            return self._template.render(
                messages=messages, add_generation_prompt=add_generation_prompt, tools=None, **self.constants
            )
        except (jinja2.TemplateError, RecursionError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise DataError(f'the chat template "{self.name}" refuses this conversation: {error}') from None

    def _compile(self, source: str) -> None:
        if len(source.encode("utf-8", errors="replace")) > LARGEST:
            raise DataError(f'chat template "{self.name}": larger than {LARGEST >> 10} kB; no real template is')
        self.source = source
        self._environment = ChatEnvironment()
        self._skeletons: dict[tuple[tuple[str, ...], bool], Skeleton | None] = {}
        try:
            self._template = self._environment.compiled(source)
        except jinja2.TemplateSyntaxError as error:
            raise DataError(f'chat template "{self.name}", line {error.lineno}: {error.message}') from None
        except (jinja2.TemplateError, RecursionError, SyntaxError, ValueError, MemoryError) as error:
            raise DataError(f'chat template "{self.name}": cannot be compiled: {error}') from None

    def _adapted(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages with roles that the template shows: a system text moves into the first user turn after it."""
        if not self._tool:
            messages = [replace(message, role="user") if message.role == "tool" else message for message in messages]
        if self._system or not any(message.role == "system" for message in messages):
            return messages
        kept: list[Message] = []
        waiting: list[str] = []
        for message in messages:
            if message.role == "system":
                waiting.append(message.content)
                continue
            if waiting and message.role == "user":
                message = replace(message, content="\n\n".join([*waiting, message.content]))
                waiting = []
            kept.append(message)
        return [*kept, *(Message("user", text) for text in waiting)]

    def _choose_switch(self, source: str, thinking: bool) -> None:
        """Find how the generation prompt leads straight to the answer, and write that switch into the source.

        A source that was written by an earlier choice is taken as it is, so that a loaded adapter meets its template.
        """
        chosen = next((on for on in (True, False) if source.startswith(AS_TRAINED % on)), None)
        thinking = thinking if chosen is None else chosen
        start, answer = [Message("user", "\ue000")], "<think>\n\ue001\n</think>\n\n\ue002" if thinking else "\ue001"
        variants = [source]
        for name in _SWITCHES if chosen is None else ():
            if name in source:
                variants.append(f"{{% set {name} = {'true' if thinking else 'false'} %}}" + source)
        found: list[tuple[str, str]] = []
        for variant in variants:
            self._compile(variant)
            whole, prompt = self.render([*start, Message("assistant", answer)]), self.render(start, True)
            if "\ue001" not in whole or "\ue000" not in whole:
                raise DataError(f'chat template "{self.name}": does not show the content of a user or assistant turn')
            if whole.startswith(prompt):
                gap = whole[len(prompt) : whole.index("\ue001")]
                if not gap.strip() or thinking:
                    self._take(variant, source, "", thinking)
                    self.lead = "" if thinking else gap
                    return
                found.append((variant, gap))
        if not found:
            raise DataError(
                f'chat template "{self.name}": its generation prompt is not what it writes before an answer, '
                "so an answer cannot be trained as it is generated; use data.chat_template: chatml, or a file"
            )
        self._take(found[0][0], source, found[0][1], thinking)

    def _take(self, variant: str, source: str, gap: str, thinking: bool) -> None:
        mark = AS_TRAINED % thinking
        undecided = thinking or any(name in source for name in _SWITCHES)
        self._compile(mark + variant if undecided and not variant.startswith(mark) else variant)
        self.gap = gap
        if variant != source:
            self.notes.append(f"the chat template is used with {variant[: variant.index('%}') + 2]}")
        if gap:
            self.notes.append(f"the chat template writes {gap!r} before every answer; this is given, not trained")
        if "strftime_now" in source:
            self.notes.append("the chat template writes a date; it is 26 Jul 2024 everywhere, so that runs repeat")

    def _look_at_roles(self) -> None:
        """Try system and tool turns; a role that is refused or swallowed is written as a user's."""
        user, mark = Message("user", "u"), "\ue000"
        self._system = self._shows([Message("system", mark), user], mark)
        last = Message("assistant", "a")
        self._tool = self._shows([user, last, Message("tool", mark), last], mark)

    def _shows(self, messages: list[Message], mark: str) -> bool:
        try:
            return mark in self._raw([_as_dict(message) for message in messages], False)
        except DataError:
            return False

    def role_notes(self, roles: frozenset[str]) -> list[str]:
        """What happens to these roles in this template, where it is not what they say."""
        notes = []
        if "system" in roles and not self._system:
            notes.append("the chat template has no system turn; a system text begins the first user turn")
        if "tool" in roles and not self._tool:
            notes.append("the chat template has no tool turn; results of tools are written as user turns")
        return notes


def _as_dict(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def _read(name: str) -> str:
    path = Path(name)
    if not path.is_file():
        raise DataError(
            f'data.chat_template: "{name}" is no file and none of auto, plain, chatml.'
            f"{did_you_mean(name, ('auto', *BUILT_IN))}"
        )
    if path.stat().st_size > LARGEST:
        raise DataError(f"{path.name}: larger than {LARGEST >> 10} kB; no real chat template is")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path.name}: is not UTF-8; a chat template is a text file") from None
