"""GGUF headers that lie: each is refused before anything large is allocated, in well under a second."""

import struct
import time
import tracemalloc
from pathlib import Path

import pytest

from burnish.errors import ModelError
from burnish.models.gguf import MAX_ITEMS, read_gguf
from tests.tiny_gguf import raw_field, raw_gguf, raw_tensor, text, tiny_gguf

BIG = (1 << 63) - 1
U32, F32, TEXT, ARRAY = 4, 6, 8, 9


def u(code: str, *values: float) -> bytes:
    return struct.pack(f"<{code}", *values)


GOOD = raw_tensor("a", (32, 2))
HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "magic only": b"GGUF",
    "other magic": b"GGML" + raw_gguf()[4:],
    "version 1": raw_gguf(version=1),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "fields that are not there": raw_gguf(field_count=4000, data=b""),
    "2^63 fields": raw_gguf(field_count=BIG),
    "2^63 tensors": raw_gguf(tensor_count=BIG),
    "tensors that are not there": raw_gguf(tensor_count=60_000, data=b""),
    "a name of 2^63 bytes": raw_gguf((u("Q", BIG),), field_count=1),
    "a name longer than the file": raw_gguf((u("Q", 200) + b"x",), field_count=1, data=b""),
    "a name that is no UTF-8": raw_gguf((text(b"\xff\xfe") + u("II", U32, 1),)),
    "a text of 2^63 bytes": raw_gguf((raw_field("a", TEXT, u("Q", BIG)),)),
    "a text longer than the file": raw_gguf((raw_field("a", TEXT, u("Q", 1 << 19) + b"x"),)),
    "a text that is no UTF-8": raw_gguf((raw_field("a", TEXT, text(b"\xff")),)),
    "an unknown type": raw_gguf((raw_field("a", 13, u("I", 1)),)),
    "a type of 2^32 - 1": raw_gguf((raw_field("a", 0xFFFFFFFF, b""),)),
    "a NaN": raw_gguf((raw_field("a", F32, u("f", float("nan"))),)),
    "an infinity": raw_gguf((raw_field("a", F32, u("f", float("inf"))),)),
    "an array of 2^63": raw_gguf((raw_field("a", ARRAY, u("IQ", U32, BIG)),)),
    "an array longer than the file": raw_gguf((raw_field("a", ARRAY, u("IQ", U32, MAX_ITEMS)),)),
    "texts longer than the file": raw_gguf((raw_field("a", ARRAY, u("IQ", TEXT, MAX_ITEMS)),)),
    "arrays of arrays": raw_gguf((raw_field("a", ARRAY, u("IQIQ", ARRAY, 1, ARRAY, 1)),)),
    "a field twice": raw_gguf((raw_field("a", U32, u("I", 1)), raw_field("a", U32, u("I", 2)))),
    "alignment 0": raw_gguf((raw_field("general.alignment", U32, u("I", 0)),)),
    "alignment 24": raw_gguf((raw_field("general.alignment", U32, u("I", 24)),)),
    "alignment of 2^31": raw_gguf((raw_field("general.alignment", U32, u("I", 1 << 31)),)),
    "alignment as text": raw_gguf((raw_field("general.alignment", TEXT, text("32")),)),
    "five dimensions": raw_gguf(tensors=(raw_tensor("a", (32, 1, 1, 1, 1)),)),
    "2^32 - 1 dimensions": raw_gguf((), (text("a") + u("I", 0xFFFFFFFF),)),
    "no dimension": raw_gguf(tensors=(raw_tensor("a", ()),)),
    "an empty dimension": raw_gguf(tensors=(raw_tensor("a", (32, 0)),)),
    "dimensions that overflow": raw_gguf(tensors=(raw_tensor("a", (1 << 32, 1 << 32, 1 << 32)),)),
    "dimensions that overflow to little": raw_gguf(tensors=(raw_tensor("a", (1 << 62, 4)),)),
    "larger than the file": raw_gguf(tensors=(raw_tensor("a", (32, 1000)),)),
    "a place outside": raw_gguf(tensors=(raw_tensor("a", (32,), offset=1 << 40),)),
    "a place that overflows": raw_gguf(tensors=(raw_tensor("a", (32,), offset=(1 << 64) - 32),)),
    "an unaligned place": raw_gguf(tensors=(raw_tensor("a", (32,), offset=4),)),
    "an unknown quantization": raw_gguf(tensors=(raw_tensor("a", (32,), kind=4),)),
    "quantization 2^32 - 1": raw_gguf(tensors=(raw_tensor("a", (32,), kind=0xFFFFFFFF),)),
    "a row that is no whole block": raw_gguf(tensors=(raw_tensor("a", (33,), kind=3),)),
    "a tensor twice": raw_gguf(tensors=(GOOD, GOOD)),
    "tensors that overlap": raw_gguf(tensors=(GOOD, raw_tensor("b", (32,), offset=32))),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_header_that_lies_is_refused_before_allocation(tmp_path: Path, case: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(HOSTILE[case])
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(ModelError) as error:
            read_gguf(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 0.2
    assert peak < 8 << 20
    assert str(path) in str(error.value)


def test_the_same_writer_without_a_lie_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(raw_gguf((raw_field("x", U32, u("I", 7)),), (GOOD, raw_tensor("b", (32,), offset=256))))
    read = read_gguf(path)
    assert read.fields == {"x": 7}
    assert [(t.name, t.shape, t.size) for t in read.tensors.values()] == [("a", (2, 32), 256), ("b", (32,), 128)]


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = tiny_gguf(tmp_path / "m.gguf").read_bytes()
    path = tmp_path / "cut.gguf"
    for share in range(1, 20):
        path.write_bytes(whole[: len(whole) * share // 20])
        with pytest.raises(ModelError):
            read_gguf(path)
    path.write_bytes(whole[:-1])
    with pytest.raises(ModelError):
        read_gguf(path)


def test_a_file_that_shrinks_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "m.gguf")
    read = read_gguf(path)
    path.write_bytes(path.read_bytes()[: read.tensors["token_embd.weight"].start + 100])
    with pytest.raises(ModelError, match="ends early"):
        list(read.chunks("token_embd.weight"))
