"""Reading files: what people and spreadsheet programs write, and what is refused with its place."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from burnish.data.sources import read_records, read_source
from burnish.errors import DataError


def _write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_records(path)
    return str(caught.value)


def test_jsonl_accepts_bom_crlf_and_blank_lines(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jsonl", b'\xef\xbb\xbf{"a": "\xc3\xa9"}\r\n\r\n{"a": "x", "b": 1}\r\n')
    records = read_records(path)
    assert [(record.id, dict(record.values)) for record in records] == [
        ("a.jsonl:1", {"a": "é"}),
        ("a.jsonl:3", {"a": "x", "b": 1}),
    ]
    assert read_source(path).columns == ("a", "b")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"a": 1', "broken JSON"),
        ('{"a": NaN}', "NaN is no JSON value"),
        ('{"a": -Infinity}', "Infinity is no JSON value"),
        ('{"a": 1e999}', "too large"),
        ('{"a": 1, "a": 2}', '"a" stands twice'),
        ('{"a": "\\ud800"}', "lone surrogate \\ud800"),
        ('{"\\udfff": 1}', "lone surrogate"),
        ('{"a": "x\\u0000"}', "NUL"),
        ('{"a": ' + "[" * 70 + "]" * 70 + "}", "64 deep"),
        ('{"a": ' + "[" * 5000 + "]" * 5000 + "}", "64 deep"),
        ('{"a": ' + "9" * 5000 + "}", "write it as text"),
        ("[1, 2]", "found a list"),
        ('"text"', "found a text"),
        ("17", "found a number"),
        ("null", "found null"),
        ('{"a": 1} {"b": 2}', "more text after the object, at column 9"),
        ("{'a': 1}", "broken JSON"),
        ('{"a": "tab\there"}', "broken JSON"),
    ],
)
def test_jsonl_refuses_with_file_line_and_reason(tmp_path: Path, line: str, words: str) -> None:
    message = _refusal(_write(tmp_path / "bad.jsonl", '{"a": "fine"}\n' + line + "\n"))
    assert message.startswith("bad.jsonl:2: ")
    assert words in message


def test_escaped_pairs_and_backslashes_are_no_lone_surrogates(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jsonl", '{"a": "\\ud83d\\ude00 \\\\ud800 \\\\u0000"}\n')
    assert read_records(path)[0].values["a"] == "\U0001f600 \\ud800 \\u0000"


def test_nesting_of_64_is_read(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.jsonl", '{"a": ' + "[" * 63 + "]" * 63 + "}")
    assert len(read_records(path)) == 1


def test_every_bad_line_is_named_and_the_rest_counted(tmp_path: Path) -> None:
    message = _refusal(_write(tmp_path / "bad.jsonl", "{\n" * 25))
    assert message.count("\n") == 10
    assert message.endswith("... and 15 more")


def test_not_utf8_and_utf16_jsonl(tmp_path: Path) -> None:
    assert "bad.jsonl:2: byte 0xe9 is not UTF-8" in _refusal(
        _write(tmp_path / "bad.jsonl", b'{"a": 1}\n{"a": "\xe9"}\n')
    )
    message = _refusal(_write(tmp_path / "wide.jsonl", '{"a": 1}\n'.encode("utf-16")))
    assert message.startswith("wide.jsonl:1: the file is UTF-16")


def test_a_line_beyond_16_mb_is_refused_and_reading_goes_on(tmp_path: Path) -> None:
    content = b'{"a": "' + b"x" * (16 << 20) + b'"}\n{"a": }\n'
    message = _refusal(_write(tmp_path / "long.jsonl", content))
    assert "long.jsonl:1: the line is longer than 16 MB" in message
    assert "long.jsonl:2: broken JSON" in message


def test_json_array_gives_each_record_its_line(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.json", '[\n  {"a": 1},\n  {"a":\n 2}\n,{"a": 3}]\n')
    assert [record.id for record in read_records(path)] == ["a.json:2", "a.json:3", "a.json:5"]


def test_records_on_one_line_have_ids_of_their_own(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.json", '[{"a": 1}, {"a": 2},\n{"a": 3}, {"a": 4}]')
    assert [record.id for record in read_records(path)] == ["a.json:1", "a.json:1[2]", "a.json:2", "a.json:2[2]"]


def test_json_object_with_one_list_and_json_lines(tmp_path: Path) -> None:
    source = read_source(_write(tmp_path / "a.json", '{"version": 1,\n "data": [{"a": "data"}]}'))
    assert source.records[0].values == {"a": "data"}
    assert 'the list under "data"' in source.notes[0]
    lines = read_source(_write(tmp_path / "b.json", '{"a": 1}\n{"a": 2}\n'))
    assert len(lines.records) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"a": 1},\n{"a": 2', "bad.json:2: broken JSON"),
        ('[{"a": 1}\n{"a": 2}]', 'bad.json:2: broken JSON: expected ","'),
        ('[{"a": 1},\n 3]', "bad.json:2: expected an object"),
        ('{"a": 1}', "expected a list of objects, found one object"),
        ('{"a": [{}], "b": [{}]}', "expected a list of objects, found one object"),
        ("[]", "holds no records"),
        ('[{"a": NaN}]', "NaN"),
        ("17", "expected a list of objects"),
    ],
)
def test_json_refusals(tmp_path: Path, content: str, words: str) -> None:
    assert words in _refusal(_write(tmp_path / "bad.json", content))


def test_csv_as_excel_writes_it(tmp_path: Path) -> None:
    text = '\ufeffNr; Ticket  text ;Team\r\n1;"Zwei\r\nZeilen; ein ""Wort""";IT\r\n2;kurz;\r\n;;\r\n'
    source = read_source(_write(tmp_path / "a.csv", text))
    assert source.columns == ("Nr", "Ticket text", "Team")
    assert source.records[0].values == {"Nr": "1", "Ticket text": 'Zwei\nZeilen; ein "Wort"', "Team": "IT"}
    assert [(record.id, record.row) for record in source.records] == [("a.csv:2", 1), ("a.csv:4", 2), ("a.csv:5", 3)]
    assert source.records[1].where == "a.csv:4 (row 2)"
    assert "separated by semicolon" in source.notes[0]


def test_csv_in_cp1252_is_announced(tmp_path: Path) -> None:
    source = read_source(_write(tmp_path / "a.csv", "text,label\nprüfen – 5 €,gut\n".encode("cp1252")))
    assert source.records[0].values["text"] == "prüfen – 5 €"
    assert "cp1252" in source.notes[0]
    assert "line 2" in source.notes[0]


def test_csv_that_is_utf8_with_a_flaw_is_not_read_as_cp1252(tmp_path: Path) -> None:
    content = "text,label\nprüfen ä ö ü,gut\n".encode() + b"kaputt \xfc,x\n"
    assert "a.csv:3: byte 0xfc is not UTF-8" in _refusal(_write(tmp_path / "a.csv", content))


def test_utf16_and_tabs_and_the_sep_line(tmp_path: Path) -> None:
    wide = read_source(_write(tmp_path / "a.tsv", "a\tb\n1, 2\tx\n".encode("utf-16")))
    assert wide.records[0].values == {"a": "1, 2", "b": "x"}
    told = read_source(_write(tmp_path / "b.csv", "sep=;\r\na;b\r\n1,5;2,5\r\n"))
    assert told.records[0].values == {"a": "1,5", "b": "2,5"}
    assert told.records[0].id == "b.csv:3"


def test_the_delimiter_is_the_header_s_not_the_texts(tmp_path: Path) -> None:
    source = read_source(_write(tmp_path / "a.csv", "text;label\na, b, c;x\nd, e;y\nf;z\n"))
    assert source.columns == ("text", "label")
    single = read_source(_write(tmp_path / "b.csv", "text\nno commas here\nnone here\n"))
    assert single.columns == ("text",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n1,2\n1,2,3\n", "bad.csv:3 (row 2): found 3 cells where the header has 2"),
        ("a,b\n1,2\n1\n", "bad.csv:3 (row 2): found 1 cells where the header has 2"),
        ('a,b\n"1\n\n2,3\n', "bad.csv:2: broken CSV in the row that begins here"),
        ('a,b\n"1"x,3\n', "bad.csv:2: broken CSV"),
        ("a,a\n1,2\n", 'the header names "a" twice'),
        (",\n1,2\n", "expected column names in the first row"),
        ("a,,b\n1,2,3\n", "a cell stands under a column without a name"),
        ("good,yes\nbad,yes\nfine,no\nwell,yes\n", "the first row looks like data"),
        ("a,b\n", "holds no records"),
        ("a,b\n1,\0\n", "bad.csv:2: holds a NUL"),
    ],
)
def test_csv_refusals_name_line_and_row(tmp_path: Path, content: str, words: str) -> None:
    assert words in _refusal(_write(tmp_path / "bad.csv", content))


def test_empty_nameless_columns_are_excel_s(tmp_path: Path) -> None:
    source = read_source(_write(tmp_path / "a.csv", "a,b,,\n1,2,,\n3,4,,\n"))
    assert source.columns == ("a", "b")


def test_txt_is_one_document_or_parts_at_marks(tmp_path: Path) -> None:
    whole = read_records(_write(tmp_path / "a.txt", "\n\nOne.\n\nStill one.\n"))
    assert [(record.id, record.values["text"]) for record in whole] == [("a.txt:3", "One.\n\nStill one.")]
    parts = read_records(_write(tmp_path / "b.txt", "One\n<|endoftext|>\n\nTwo\fThree\n<|endoftext|>\n \n"))
    assert [(record.id, record.values["text"]) for record in parts] == [
        ("b.txt:1", "One"),
        ("b.txt:4", "Two"),
        ("b.txt:4[2]", "Three"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.jsonl", None, "no such file"),
        ("empty.jsonl", b"", "the file is empty"),
        ("blank.jsonl", b"\n\n", "holds no records"),
        ("a.xlsx", b"PK", "CSV UTF-8"),
        ("a.parquet", b"PAR1", "to_json"),
        ("a.pkl", b"x", 'cannot read ".pkl" files'),
        ("a.txt", b"a\xff", "not UTF-8"),
        ("b.txt", b"a\0b", "NUL"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert words in _refusal(tmp_path / name)


def test_a_mistyped_name_is_met_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "tickets.csv").write_text("a,b\n1,2\n")
    assert 'Did you mean "tickets.csv"?' in _refusal(tmp_path / "tikets.csv")
    assert "is a directory" in _refusal(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), ending=st.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".txt"]))
def test_any_bytes_are_read_or_refused_never_a_crash(tmp_path: Path, content: bytes, ending: str) -> None:
    path = _write(tmp_path / f"fuzz{ending}", content)
    begun = time.perf_counter()
    try:
        records = read_records(path)
    except DataError:
        records = []
    assert all(record.id.startswith("fuzz") for record in records)
    assert time.perf_counter() - begun < 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20) | st.integers() | st.none(),
            max_size=4,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_python_writes_as_json_is_read_back(tmp_path: Path, records: list[dict[str, object]]) -> None:
    lines = _write(tmp_path / "a.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    assert [dict(record.values) for record in read_records(lines)] == records
    array = _write(tmp_path / "a.json", json.dumps(records, indent=1, ensure_ascii=False))
    assert [dict(record.values) for record in read_records(array)] == records
