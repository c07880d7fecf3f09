"""Texts of models and data become text on the page, whatever they hold."""

import re
import unicodedata

import pytest

from burnish.report.markdown import code
from burnish.report.page.markup import Html, joined, passage, quoted, table, tag
from burnish.report.text import LONGEST, clipped, visible
from tests.unit.report.html import Parsed

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-->]]></style></pre><svg/onload=alert(1)>",
    "&lt;b&gt; &amp;",
    "abc\u202edef\u2066ghi\u2069 \u200e\u200f\u061c",
    "null\x00 bell\x07 escape\x1b[31m delete\x7f next\x85 return\rline\x0b",
    "half \ud800 no character \uffff byte order \ufeff zero\u200bwidth soft\u00adhyphen tag\U000e0041",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_markup_or_hides(text: str) -> None:
    for made in (tag("p", text), quoted(text), passage(text), tag("p", "x", title=text), table((text,), [[text]])):
        made.encode("utf-8")
        parsed = Parsed(made)
        assert not {name for name, _ in parsed.elements} & {"script", "img", "svg", "b", "style"}
        for _, attributes in parsed.elements:
            assert not any(name.startswith("on") for name in attributes)
        for character in set(made) - set("\n\t"):
            assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"), hex(ord(character))


@pytest.mark.parametrize("text", HOSTILE)
def test_what_can_be_seen_is_kept(text: str) -> None:
    seen = Parsed(passage(text)).text
    assert seen == re.sub(r"[^ -~]", lambda m: f"⟨U+{ord(m[0]):04X}⟩", text)
    assert visible(text) == seen


def test_letters_of_other_scripts_and_emoji_are_left_alone() -> None:
    text = "مرحبا שלום नमस्ते 你好 می\u200cخواهم 👩\u200d🔬 ü\tx\ny"
    assert visible(text) == text
    assert 'dir="auto"' in passage(text)
    assert quoted(text).startswith("<bdi>")


def test_markup_and_text_do_not_mix_by_accident() -> None:
    bold = tag("b", "x")
    assert tag("p", bold) == "<p><b>x</b></p>"
    assert tag("p", bold + " & more") == "<p>&lt;b&gt;x&lt;/b&gt; &amp; more</p>"
    assert joined([bold, "<", bold], ", ") == "<b>x</b>, &lt;, <b>x</b>"
    assert isinstance(joined([]), Html)


def test_long_texts_are_folded_and_very_long_ones_shown_in_part() -> None:
    assert "<details" not in passage("short")
    assert "<details" in passage("line\n" * 20)
    text = "".join(f"{i:05d} " for i in range(5000))
    assert len(passage(text)) < LONGEST * 1.3
    assert "26,000 characters left out here" in clipped(text)
    assert clipped(text).endswith(text[-100:])


def test_inline_code_of_markdown_holds_any_text() -> None:
    assert code("a|b") == "`a\\|b`"
    assert code("a `tick` b") == "``a `tick` b``"
    assert code("``") == "``` `` ```"
    assert code("two\nlines\x00") == "`two ⏎ lines⟨U+0000⟩`"
    assert len(code("x" * 1000)) < 100
