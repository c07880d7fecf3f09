"""The header of a safetensors file, checked against the file before any weight is read."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from burnish.errors import ModelError

MAX_HEADER = 100 << 20  # bytes; the library's own limit


@dataclass(frozen=True, slots=True)
class Header:
    """One tensor of a safetensors file."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def weights(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def tensors_in(path: Path) -> dict[str, Header]:
    """Name -> shape and dtype of every tensor; raises `ModelError` where the header does not fit the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, MAX_HEADER):
            raise ModelError(f"{path}: its header declares {length:,} bytes and the file has {size:,}; get it again")
        content = file.read(length)
    try:
        header = json.loads(content.decode("utf-8"))
        tensors = {name: _tensor(value, size - 8 - length) for name, value in header.items() if name != "__metadata__"}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path}: its header is no safetensors header ({error}); get the file again") from None
    return tensors


def _tensor(value: dict[str, object], data: int) -> Header:
    dtype, shape, offsets = str(value["dtype"]), value["shape"], value["data_offsets"]
    if not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("a shape that is no list of sizes")
    if not isinstance(offsets, list) or len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1] <= data:
        raise ValueError("a tensor outside the file")
    if dtype in _BYTES and math.prod(shape) * _BYTES[dtype] != offsets[1] - offsets[0]:
        raise ValueError("a tensor whose shape and bytes differ")
    return Header(dtype, tuple(shape))
