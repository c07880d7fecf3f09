"""A strict reader of GGUF files: every size that the file declares is checked against the file before it is used.

Source: the GGUF specification of ggml (docs/gguf.md), versions 2 and 3, little-endian.
"""

import itertools
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import gguf
import numpy as np
import numpy.typing as npt

from burnish.errors import ModelError, listed

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MAX_FIELDS = 4096
MAX_TENSORS = 65_536
MAX_NAME = 256  # bytes of a field's or a tensor's name
MAX_TEXT = 1 << 20  # bytes of one text
MAX_ITEMS = 1 << 20  # entries of one array
MAX_HEADER = 256 << 20  # bytes of the whole header
CHUNK = 1 << 24  # weights de-quantised at a time

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _ARRAY = 8, 9

Scalar = int | float | bool | str
Value = Scalar | list[Scalar]


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor as it stands in the file; `shape` has the rows first, the reverse of the file's order."""

    name: str
    shape: tuple[int, ...]
    kind: gguf.GGMLQuantizationType
    start: int  # from the beginning of the file
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Gguf:
    """The header of a file: its fields, and its tensors, which are not read yet."""

    path: Path
    fields: dict[str, Value]
    tensors: dict[str, Stored]

    def chunks(self, name: str) -> Iterator[npt.NDArray[np.float32]]:
        """The weights of a tensor in fp32, flat, in order, at most `CHUNK` or one block row at a time."""
        tensor = self.tensors[name]
        block, block_bytes = gguf.GGML_QUANT_SIZES[tensor.kind]
        step = max(CHUNK // block, 1) * block_bytes
        with self.path.open("rb") as file:
            file.seek(tensor.start)
            left = tensor.size
            while left:
                part = file.read(min(step, left))
                if len(part) != min(step, left):
                    raise ModelError(f"{self.path}: tensor {name} ends early; the file changed while it was read")
                left -= len(part)
                yield gguf.dequantize(np.frombuffer(part, np.uint8), tensor.kind).reshape(-1)


class _Header:
    """The file's beginning, read in order; nothing is read before it is known to be there."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path = file, path
        self.left = path.stat().st_size
        self.at = 0

    def fail(self, what: str) -> ModelError:
        return ModelError(f"{self.path}: at byte {self.at}: {what}; the file is damaged or not GGUF: get it again")

    def take(self, size: int, what: str) -> bytes:
        if size > self.left or self.at + size > MAX_HEADER:
            raise self.fail(f"{what} needs {size:,} bytes and {min(self.left, MAX_HEADER - self.at):,} are there")
        self.left -= size
        self.at += size
        content = self.file.read(size)
        if len(content) != size:
            raise self.fail(f"{what} ends early")
        return content

    def number(self, code: str, what: str) -> Scalar:
        value: Scalar = struct.unpack(code, self.take(struct.calcsize(code), what))[0]
        return value

    def count(self, code: str, what: str, most: int) -> int:
        value = int(self.number(code, what))
        if value > most:
            raise self.fail(f"{what} is {value:,} and at most {most:,} is read")
        return value

    def text(self, what: str, most: int = MAX_TEXT) -> str:
        size = self.count("<Q", f"the length of {what}", most)
        try:
            return self.take(size, what).decode("utf-8")
        except UnicodeDecodeError:
            raise self.fail(f"{what} is no UTF-8") from None

    def value(self, name: str) -> Value:
        kind = int(self.number("<I", f"the type of {name}"))
        if kind == _ARRAY:
            return self.array(name)
        return self.scalar(kind, name)

    def scalar(self, kind: int, name: str) -> Scalar:
        if kind == _TEXT:
            return self.text(name)
        if kind not in _SCALARS:
            raise self.fail(f"{name} has the unknown type {kind}")
        value = self.number(_SCALARS[kind], name)
        if isinstance(value, float) and not math.isfinite(value):
            raise self.fail(f"{name} is {value}")
        return value

    def array(self, name: str) -> list[Scalar]:
        kind = int(self.number("<I", f"the type of the entries of {name}"))
        size = self.count("<Q", f"the length of {name}", MAX_ITEMS)
        if kind == _TEXT:
            if size * 8 > self.left:
                raise self.fail(f"{name} declares {size:,} texts, more than the file can hold")
            return [self.text(name) for _ in range(size)]
        if kind not in _SCALARS:
            raise self.fail(f"{name} has entries of the unknown type {kind}")
        code = _SCALARS[kind]
        content = self.take(size * struct.calcsize(code), name)
        values: list[Scalar] = list(struct.unpack(f"<{size}{code[1]}", content))
        return values


def read_gguf(path: Path) -> Gguf:
    """Read the header of a GGUF file; raises `ModelError` where anything in it does not fit the file."""
    try:
        with path.open("rb") as file:
            return _read(_Header(file, path), path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error


def _read(header: _Header, path: Path) -> Gguf:
    if header.take(4, "the first four bytes") != MAGIC:
        raise ModelError(f'{path}: does not begin with "GGUF", so it is no GGUF file')
    version = int(header.number("<I", "the version"))
    if version not in VERSIONS:
        raise ModelError(f"{path}: GGUF version {version}; versions 2 and 3 (little-endian) are read")
    tensor_count = header.count("<Q", "the number of tensors", MAX_TENSORS)
    field_count = header.count("<Q", "the number of fields", MAX_FIELDS)
    fields: dict[str, Value] = {}
    for _ in range(field_count):
        name = header.text("a field's name", MAX_NAME)
        if name in fields:
            raise header.fail(f"the field {name} stands twice")
        fields[name] = header.value(name)
    infos = [_tensor_info(header) for _ in range(tensor_count)]
    alignment = fields.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 8 <= alignment <= 1 << 20 or alignment & (alignment - 1):
        raise header.fail(f"general.alignment is {alignment!r}, not a power of two from 8")
    start = -(-header.at // alignment) * alignment
    return Gguf(path, fields, _placed(header, infos, start, alignment))


def _tensor_info(header: _Header) -> tuple[str, tuple[int, ...], int, int]:
    """(name, shape with the rows first, type, offset) of the next tensor."""
    name = header.text("a tensor's name", MAX_NAME)
    dimensions = header.count("<I", f"the number of dimensions of {name}", 4)
    shape = tuple(int(header.number("<Q", f"a dimension of {name}")) for _ in range(dimensions))
    kind = int(header.number("<I", f"the type of {name}"))
    offset = int(header.number("<Q", f"the place of {name}"))
    return name, shape[::-1], kind, offset


def _placed(
    header: _Header, infos: list[tuple[str, tuple[int, ...], int, int]], start: int, alignment: int
) -> dict[str, Stored]:
    """The tensors with their places, each checked to lie inside the file and beside the others."""
    end = header.at + header.left
    problems: list[str] = []
    tensors: dict[str, Stored] = {}
    for name, shape, kind, offset in infos:
        if name in tensors:
            problems.append(f"{name} stands twice")
            continue
        try:
            quantization = gguf.GGMLQuantizationType(kind)
            block, block_bytes = gguf.GGML_QUANT_SIZES[quantization]
        except (ValueError, KeyError):
            problems.append(f"{name} has the unknown type {kind}")
            continue
        weights = math.prod(shape)
        if not shape or weights == 0 or shape[-1] % block:
            problems.append(f"{name} has the shape {list(shape)}, which {quantization.name} cannot hold")
            continue
        size = weights // block * block_bytes
        if offset % alignment or start + offset + size > end:
            problems.append(f"{name} needs bytes {start + offset:,} to {start + offset + size:,} of {end:,}")
            continue
        tensors[name] = Stored(name, shape, quantization, start + offset, size)
    ordered = sorted(tensors.values(), key=lambda tensor: tensor.start)
    for first, second in itertools.pairwise(ordered):
        if first.start + first.size > second.start:
            problems.append(f"{first.name} and {second.name} overlap")
    if problems:
        raise header.fail(f"of {len(infos)} tensors:\n{listed(problems)}\n")
    return tensors
