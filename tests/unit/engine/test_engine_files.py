"""Files are written whole or not at all; names are met with the nearest."""

import os
from pathlib import Path

import pytest

from burnish import files
from burnish.registry import did_you_mean, module_named, names_in


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    value = {"a": [1, 2.5, None, "ä\n\u2028"], "b": {"c": True}}
    files.write_json(tmp_path / "x.json", value)
    assert files.read_json(tmp_path / "x.json") == value
    files.write_jsonl(tmp_path / "x.jsonl", [value, value])
    files.append_jsonl(tmp_path / "x.jsonl", [{"d": "\r\n"}])
    assert files.read_jsonl(tmp_path / "x.jsonl") == [value, value, {"d": "\r\n"}]


def test_a_line_that_a_crash_cut_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": 3', encoding="utf-8")
    assert files.read_jsonl(path) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"x": [float("-inf")]}])
def test_json_never_holds_what_is_no_number(value: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", value)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.txt"
    files.write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"), files.new_directory(tmp_path / "run") as inside:
        files.write_jsonl(inside / "a", [float("nan")])
    assert list(tmp_path.iterdir()) == []
    with files.new_directory(tmp_path / "run") as inside:
        files.write_text(inside / "a", "1")
        assert not (tmp_path / "run").exists()
    with files.new_directory(tmp_path / "run") as inside:
        files.write_text(inside / "b", "2")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_sha256_is_the_one_everybody_computes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert files.sha256_of(tmp_path / "x").startswith("ba7816bf8f01cfea")


def test_names_are_file_names_without_private_ones() -> None:
    assert {"full", "lora", "method"} <= set(names_in("burnish.methods"))
    assert "classification" in names_in("burnish.data.formats")
    assert module_named("burnish.methods", "lora") is not None
    assert module_named("burnish.methods", "lorra") is None
    assert module_named("burnish.methods", "os") is None
    assert module_named("burnish.methods", "lora", skip=["lora"]) is None


def test_the_nearest_name_is_offered_and_a_far_one_is_not() -> None:
    assert did_you_mean("lroa", ["full", "lora"]) == ' Did you mean "lora"?'
    assert did_you_mean("zebra", ["full", "lora"]) == ""
