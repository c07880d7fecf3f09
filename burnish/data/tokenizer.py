"""What is asked of a tokenizer: a transformers fast tokenizer has it all."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Tokenizer(Protocol):
    """The part of `transformers.PreTrainedTokenizerFast` that the data package uses."""

    @property
    def bos_token(self) -> str | None:
        """Text of the token that begins a document."""

    @property
    def bos_token_id(self) -> int | None:
        """Id of the token that begins a document."""

    @property
    def eos_token(self) -> str | None:
        """Text of the token that ends a document."""

    @property
    def special_tokens_map(self) -> Mapping[str, Any]:
        """Names such as "eos_token" -> their texts, as chat templates read them."""

    @property
    def added_tokens_decoder(self) -> Mapping[int, Any]:
        """Id -> added token with `content` and `special`."""

    @property
    def backend_tokenizer(self) -> Any:
        """The `tokenizers.Tokenizer` itself, which makes no dictionaries: a third less time for many short texts."""

    def __call__(self, text: Any, **options: Any) -> Mapping[str, Any]:
        """Encode one text or several; "input_ids" holds the ids."""

    def decode(self, token_ids: Any, **options: Any) -> Any:
        """The text of ids."""


def encoded(tokenizer: Tokenizer, texts: Sequence[str], as_text: bool = False) -> list[list[int]]:
    """Ids of each text, nothing added; with `as_text` the strings of control tokens are ordinary text."""
    if not texts:
        return []
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.no_truncation()
    backend.encode_special_tokens = as_text
    return [found.ids for found in backend.encode_batch_fast(list(texts), add_special_tokens=False)]


def begins_with_bos(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer by itself puts its BOS before a text."""
    if tokenizer.bos_token_id is None:
        return False
    ids = tokenizer("a", add_special_tokens=True)["input_ids"]
    return len(ids) > 0 and ids[0] == tokenizer.bos_token_id


def control_strings(tokenizer: Tokenizer) -> dict[str, int]:
    """Text -> id of every control token."""
    return {str(token.content): index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
