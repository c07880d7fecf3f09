"""Where a model runs and in which numbers: what "auto" means, decided by what this machine can do."""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import torch

from burnish.errors import ModelError

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
DtypeName = Literal["auto", "bf16", "fp32"]

GAIN = 1.2  # bf16 must be this much faster than fp32 to be chosen on a CPU


def pick_device(setting: DeviceName) -> torch.device:
    """The device for a recipe's `training.device`; raises `ModelError` where the named one is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if setting == "auto":
        return torch.device(next(name for name, found in there.items() if found))
    if not there[setting]:
        found = ", ".join(name for name, is_there in there.items() if is_there)
        raise ModelError(
            f'device: "{setting}" is not available to this torch; it has {found}. Use one of these or auto'
        )
    return torch.device(setting)


def pick_dtype(setting: DtypeName, device: torch.device) -> torch.dtype:
    """The dtype of the frozen weights: bf16 where the device is really faster in it, else fp32."""
    if setting != "auto":
        return {"bf16": torch.bfloat16, "fp32": torch.float32}[setting]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "cpu":
        return torch.bfloat16 if bf16_is_faster() else torch.float32
    return torch.float32


@lru_cache(maxsize=1)
def bf16_is_faster() -> bool:
    """Whether a matrix product of a small model's shape takes clearly less time in bf16 on this CPU.

    Timed, because CPUs without bf16 instructions accept bf16 and are several times slower in it.
    """
    return product_seconds(torch.bfloat16) * GAIN < product_seconds(torch.float32)


def product_seconds(dtype: torch.dtype, rows: int = 256, width: int = 768, repeats: int = 4) -> float:
    """The best time of a few products [rows, width] x [width, width]; the first one, which compiles, is left out."""
    left, right = torch.ones(rows, width, dtype=dtype), torch.ones(width, width, dtype=dtype)
    return best_seconds(lambda: torch.nn.functional.linear(left, right), repeats)


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """The time of the quickest of several calls; the first one, which compiles, is left out."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times[1:])
