"""Tokenizers, templates and files for the tests of the data package."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from burnish.data.template import ChatTemplate
from burnish.data.tokenize import Encoder
from tests.fixtures_text import ENDS, TEMPLATES, blank_first_tokenizer, byte_level_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """Byte-level BPE; padding is the end-of-text token."""
    return byte_level_tokenizer()


@pytest.fixture(scope="session")
def bos_tokenizer() -> Any:
    """The same, which by itself puts <s> before every text."""
    return byte_level_tokenizer(add_bos=True)


@pytest.fixture(scope="session")
def blank_tokenizer() -> Any:
    """A tokenizer that puts a blank before every text."""
    return blank_first_tokenizer()


@pytest.fixture(params=sorted(TEMPLATES))
def template_name(request: pytest.FixtureRequest) -> str:
    """Each of the test templates in turn."""
    return str(request.param)


@pytest.fixture
def encoder_for(tokenizer: Any) -> Callable[..., Encoder]:
    """Encoder of a test template by name; its stop set is what the model's own configuration would give."""

    def make(name: str, *, thinking: bool = False, tokenizer: Any = tokenizer) -> Encoder:
        template = ChatTemplate.choose("auto", TEMPLATES[name], tokenizer, thinking=thinking)
        return Encoder(tokenizer, template, frozenset([tokenizer.convert_tokens_to_ids(ENDS[name])]))

    return make


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Write records as .jsonl and give the path."""

    def write(records: Sequence[object], name: str = "data.jsonl") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        return path

    return write
