"""Examples become token ids: what is trained is exactly what the model must generate (rules 4 and 5).

A conversation is rendered once and tokenised once. An answer begins where rendering the turns before it, with the
generation prompt, ends: that text must be the beginning of the whole, and so must its tokens. Where they are not,
because a token would reach over the border, the answer is encoded apart, as generation meets it. An answer ends with
the first token of the stop set after it; whatever the template adds after that is context for later turns only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from burnish.data.segments import SegmentEncoder
from burnish.data.template import ChatTemplate
from burnish.data.tokenizer import Tokenizer, begins_with_bos, control_strings, encoded
from burnish.errors import DataError
from burnish.types import Example, Message, TokenizedExample

_ANCHOR = "\n"  # put before a piece that continues a text, for tokenizers that begin every text with a blank


@dataclass(slots=True)
class EncodingCounts:
    """What was special while encoding, in conversations."""

    apart: int = 0  # an answer was encoded apart, because it would merge with its prompt
    control_strings: int = 0  # a content holds a control token's string, which was encoded as text
    split: int = 0  # each assistant turn became a document, because the template rewrites earlier turns


@dataclass(frozen=True, slots=True)
class _Chain:
    """A text to encode, the beginnings of it that are prompts, and contents that are text whatever they look like."""

    prompts: tuple[str, ...]  # each begins the next
    text: str  # begins with the last prompt
    contents: tuple[tuple[int, int], ...]  # characters from .. to


@dataclass(frozen=True, slots=True)
class _Plan:
    """One document before it is encoded."""

    id: str
    chain: _Chain
    trained: tuple[str, ...]  # the prompts of the chain whose answers are trained


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Ids of a chain."""

    ids: list[int]
    starts: list[int]  # how many ids each prompt has
    apart: bool  # an answer was encoded apart from its prompt


class Encoder:
    """Encodes examples for one tokenizer and chat template.

    `stop_ids` are the ids that end a generation; the template's own end of turn is added, see the attribute of the
    same name. `counts` grows with each document. A template is needed for conversations only.
    """

    def __init__(self, tokenizer: Tokenizer, template: ChatTemplate | None, stop_ids: frozenset[int]) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.counts = EncodingCounts()
        self._segments = SegmentEncoder(tokenizer)
        self._bos = (tokenizer.bos_token_id,) if begins_with_bos(tokenizer) else ()
        self._control = control_strings(tokenizer)
        self.special_ids = frozenset(self._control.values())
        self._tails: dict[tuple[tuple[str, ...], int], bool] = {}
        self._end: int | None = None
        self.stop_ids = stop_ids
        if template is not None:
            self._find_end(template)
        self._stop_texts = {str(tokenizer.decode([index])) for index in self.stop_ids}
        texts = sorted((text for text in {*self._control, *self._stop_texts} if text), key=len, reverse=True)
        self._looks_like_control = re.compile("|".join(map(re.escape, texts))) if texts else None
        self._begins_with_blank = self._encode(["a"])[0] != self._after_anchor("a")

    @property
    def end_of_turn(self) -> int:
        """Id of the token that ends an answer."""
        if self._end is None:
            name = self.template.name if self.template else "none"
            raise DataError(
                f'the chat template "{name}" ends an answer with none of the tokens that stop a generation '
                f"({self.stop_words}), so the model could not learn to stop; choose another data.chat_template"
            )
        return self._end

    @property
    def stop_words(self) -> str:
        """The stop set as text, for messages."""
        return ", ".join(repr(str(self.tokenizer.decode([index]))) for index in sorted(self.stop_ids)) or "none"

    def document(self, example: Example) -> list[TokenizedExample]:
        """The documents of one example: one, or one for each trained turn where the template rewrites earlier turns.

        Raises DataError: the template refuses it, an answer does not follow its prompt, a turn has no end.
        """
        return self.documents([example])[0]

    def documents(self, examples: Sequence[Example]) -> list[list[TokenizedExample]]:
        """`document` of each example, encoded together."""
        result = []
        for encodings in self._documents(examples):
            self.counts.apart += any(found.apart for _, found in encodings)
            self.counts.control_strings += any(plan.chain.contents for plan, _ in encodings)
            self.counts.split += len(encodings) > 1
            result.append([self._marked(plan, found) for plan, found in encodings])
        return result

    def _documents(self, examples: Sequence[Example]) -> list[list[tuple[_Plan, _Encoded]]]:
        plans = [self._plans(example) for example in examples]
        found = iter(self._encode_chains([plan.chain for several in plans for plan in several]))
        return [[(plan, next(found)) for plan in several] for several in plans]

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Ids from which the answer to these turns is generated: the beginning of the document that holds it."""
        return self.prompts([messages])[0]

    def prompts(self, several: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        """`prompt` of each list of turns, encoded together."""
        chains = [self._chain(messages, self.prompt_text(messages), True) for messages in several]
        return [tuple(found.ids) for found in self._encode_chains(chains)]

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The text that `prompt` encodes."""
        return self._needed_template().render(messages, add_generation_prompt=True)

    def answer(self, messages: Sequence[Message], text: str) -> tuple[int, ...]:
        """Ids of a given answer after these turns, as it would be trained, without its end of turn."""
        turns = (*(replace(message, trained=False) for message in messages), Message("assistant", text, True))
        [[(plan, found)]] = self._documents([Example("answer", turns)])
        document = self._marked(plan, found)
        return tuple(token for token, on in zip(document.tokens, document.trained, strict=True) if on)[:-1]

    def answer_text(self, tokens: Sequence[int]) -> str:
        """The text of generated ids: without control tokens and without the blank that a template puts first."""
        text = str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))
        return text.removeprefix(self.template.lead) if self.template is not None else text

    def windows(self, example: Example, length: int) -> list[TokenizedExample]:
        """A raw document in consecutive windows of at most `length` tokens.

        A window begins with the last token of the one before it, so that every token but the first is a target exactly
        once. Control strings are text.
        """
        text = example.messages[0].content
        ids = [*self._bos, *self._encode([text], as_text=self._holds_control(text))[0]]
        self.counts.control_strings += self._holds_control(text)
        return self._cut(example.id, ids, length)

    def all_windows(self, examples: Sequence[Example], length: int) -> list[list[TokenizedExample]]:
        """`windows` of each raw document, encoded together."""
        texts = [example.messages[0].content for example in examples]
        found = self._encode(texts)
        result = []
        for example, text, ids in zip(examples, texts, found, strict=True):
            if self._holds_control(text):
                self.counts.control_strings += 1
                ids = self._encode([text], as_text=True)[0]
            result.append(self._cut(example.id, [*self._bos, *ids], length))
        return result

    @staticmethod
    def _cut(name: str, ids: list[int], length: int) -> list[TokenizedExample]:
        assert length > 1, length
        starts = range(0, max(len(ids) - 1, 1), length - 1)
        pieces = [tuple(ids[start : start + length]) for start in starts]
        names = [name] if len(pieces) == 1 else [f"{name}#{number}" for number in range(1, len(pieces) + 1)]
        return [
            TokenizedExample(each, piece, (False, *(True,) * (len(piece) - 1)))
            for each, piece in zip(names, pieces, strict=True)
            if piece
        ]

    def _needed_template(self) -> ChatTemplate:
        assert self.template is not None, "conversations need a chat template"
        return self.template

    def _find_end(self, template: ChatTemplate) -> None:
        """The end of turn: the first control or stop token that the template writes after an answer."""
        whole = template.render([Message("user", "\ue000"), Message("assistant", "\ue001")])
        for token in self._encode([whole[whole.index("\ue001") + 1 :]])[0]:
            if token in self.special_ids or token in self.stop_ids:
                self._end = token
                self.stop_ids |= {token}
                return

    def _plans(self, example: Example) -> list[_Plan]:
        """The documents of an example as text. Raises DataError with the example's id in front."""
        try:
            trained = [at for at, message in enumerate(example.messages) if message.trained]
            whole = self._plan(example.id, example.messages, trained)
            if whole is not None:
                return [whole]
            single = []
            for at in trained:
                turns = (*(replace(turn, trained=False) for turn in example.messages[:at]), example.messages[at])
                name = example.id if len(trained) == 1 else f"{example.id}#{at}"
                plan = self._plan(name, turns, [at])
                if plan is None:
                    raise DataError(
                        f'the chat template "{self._needed_template().name}" rewrites the answer of turn {at + 1}, so '
                        "it does not follow the generation prompt; see data.chat_template"
                    )
                single.append(plan)
            return single
        except DataError as error:
            raise DataError(f"{example.id}: {error}") from None

    def _plan(self, name: str, messages: Sequence[Message], trained: Sequence[int]) -> _Plan | None:
        """One document, or None where the prompt of a trained turn is not the beginning of the whole."""
        text = self._needed_template().render(messages)
        prompts = {at: self.prompt_text(messages[:at]) for at in trained}
        if not all(text.startswith(prompt) for prompt in prompts.values()):
            return None
        for at in trained:
            if not self._has_end(messages, at):
                self._refuse_turn(at)
        chain = self._chain(messages, text, False, prompts)
        return _Plan(name, chain, tuple(prompts.values()))

    def _refuse_turn(self, at: int) -> None:
        raise DataError(
            f'the chat template "{self._needed_template().name}" ends turn {at + 1} with none of the tokens that stop '
            f"a generation ({self.stop_words}), so the model could not learn to stop; choose another data.chat_template"
        )

    def _has_end(self, messages: Sequence[Message], at: int) -> bool:
        """Whether the template writes a stop token between this turn's content and the next turn's."""
        key = (tuple(message.role for message in messages), at)
        if key not in self._tails:
            marks = [replace(turn, content=f"\ue000{number}\ue001") for number, turn in enumerate(messages)]
            text = self._needed_template().render(marks)
            _, _, tail = text.partition(marks[at].content)
            tail = tail.partition("\ue000")[0]
            self._tails[key] = any(token in self.stop_ids for token in self._encode([tail])[0])
        return self._tails[key]

    def _chain(
        self, messages: Sequence[Message], text: str, generation: bool, known: dict[int, str] | None = None
    ) -> _Chain:
        """The prompts of the assistant turns as far as they begin the text, and the contents to encode as text."""
        prompts = []
        for at, message in enumerate(messages):
            if message.role == "assistant":
                prompt = known[at] if known and at in known else self._prompt_before(messages, at)
                if prompt is not None and text.startswith(prompt) and len(prompt) < len(text):
                    prompts.append(prompt)
        contents = [
            self._place(messages, at, text, generation)
            for at, message in enumerate(messages)
            if self._holds_control(message.content)
        ]
        return _Chain(tuple(sorted(prompts, key=len)), text, tuple(sorted(contents)))

    def _prompt_before(self, messages: Sequence[Message], at: int) -> str | None:
        """The prompt of an assistant turn that is not trained; None where the template has none for it."""
        try:
            return self.prompt_text(messages[:at]) if at else None
        except DataError:
            return None

    def _holds_control(self, text: str) -> bool:
        return self._looks_like_control is not None and self._looks_like_control.search(text) is not None

    def _place(self, messages: Sequence[Message], at: int, text: str, generation: bool) -> tuple[int, int]:
        """Where the content of a turn stands in the rendered text, found by rendering a mark in its place."""
        mark = "\ue000"
        while any(mark in message.content for message in messages):
            mark += "\ue000"
        turns = [*messages[:at], replace(messages[at], content=mark), *messages[at + 1 :]]
        parts = self._needed_template().render(turns, add_generation_prompt=generation).split(mark)
        if len(parts) == 2 and text.startswith(parts[0]) and text.endswith(parts[1]):
            start, end = len(parts[0]), len(text) - len(parts[1])
            if start <= end:
                return start, end
        found = self._looks_like_control.search(messages[at].content) if self._looks_like_control else None
        raise DataError(
            f"turn {at + 1} holds {found.group() if found else ''!r}, a control token's text, and the chat template "
            "rewrites this turn so that its place cannot be known; take the text out of the record"
        )

    def _encode(self, texts: Sequence[str], as_text: bool = False) -> list[list[int]]:
        return encoded(self.tokenizer, texts, as_text=True) if as_text else self._segments(texts)

    def _after_anchor(self, text: str, as_text: bool = False) -> list[int]:
        """Ids of a text that continues another one, for tokenizers that put a blank before every text."""
        anchor, both = self._encode([_ANCHOR], as_text)[0], self._encode([_ANCHOR + text], as_text)[0]
        return both[len(anchor) :] if both[: len(anchor)] == anchor else self._encode([text], as_text)[0]

    def _piece(self, text: str, first: bool, as_text: bool) -> list[int]:
        if not text:
            return []
        ids = self._encode([text], as_text)[0] if first or not self._begins_with_blank else self._after_anchor(text)
        if as_text:
            if not first and self._begins_with_blank:
                ids = self._after_anchor(text, as_text=True)
            if self.stop_ids.intersection(ids):
                raise DataError(f"a text holds {self.stop_words}, which ends a turn and cannot be encoded as text")
        return ids

    def _stretch(self, chain: _Chain, start: int, end: int) -> list[int]:
        """Ids of text[start:end], with the contents that are plain text as pieces of their own."""
        ids: list[int] = []
        at = start
        for low, high in chain.contents:
            low, high = max(low, start), min(high, end)
            if low >= high:
                continue
            ids += self._piece(chain.text[at:low], at == 0, False)
            ids += self._piece(chain.text[low:high], low == 0, True)
            at = high
        return ids + self._piece(chain.text[at:end], at == 0, False)

    def _encode_chains(self, chains: Sequence[_Chain]) -> list[_Encoded]:
        """Ids of each chain; those of a prompt always begin those of the whole."""
        plain = [number for number, chain in enumerate(chains) if not chain.contents]
        texts = [text for number in plain for text in (*chains[number].prompts, chains[number].text)]
        found = iter(self._encode(texts))
        result: dict[int, _Encoded] = {}
        for number in plain:
            prompts = [next(found) for _ in chains[number].prompts]
            whole = next(found)
            if all(whole[: len(prompt)] == prompt for prompt in prompts):
                result[number] = _Encoded(whole, [len(prompt) for prompt in prompts], False)
        return [result[n] if n in result else self._with_borders(chain) for n, chain in enumerate(chains)]

    def _with_borders(self, chain: _Chain) -> _Encoded:
        """As `_encode_chains`, for a chain in which a token may reach over a border."""
        ids: list[int] = []
        lengths: list[int] = []
        cut, kept, before = 0, 0, 0  # the last cut in the text, ids before it, where the text before this one ends
        apart = False
        for text in (*chain.prompts, chain.text):
            longer = ids[:kept] + self._stretch(chain, cut, len(text))
            if longer[: len(ids)] != ids:
                apart, cut, kept = True, before, len(ids)
                longer = ids + self._stretch(chain, cut, len(text))
            ids, before = longer, len(text)
            lengths.append(len(ids))
        return _Encoded(ids, lengths[:-1], apart)

    def _marked(self, plan: _Plan, found: _Encoded) -> TokenizedExample:
        """Mark as trained each answer from the end of its prompt to the first stop token."""
        ids = found.ids
        trained = [False] * len(ids)
        lengths = dict(zip(plan.chain.prompts, found.starts, strict=True))
        for prompt in plan.trained:
            start = lengths.get(prompt, 0)
            end = next((at for at in range(start, len(ids)) if ids[at] in self.stop_ids), None)
            if end is None or not start:
                raise DataError(f"{plan.id}: an answer needs text before it and an end of turn after it")
            trained[start : end + 1] = [True] * (end + 1 - start)
        return TokenizedExample(plan.id, tuple(ids), tuple(trained))
