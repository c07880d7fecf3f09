"""How far the weights moved: the `weights` part of a report."""

import math
import re
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open
from torch import Tensor, nn

from burnish.methods.method import Method
from burnish.models.parameters import weight_files


class NamedOtherwiseError(LookupError):
    """A tensor of the model that its files hold under another name, as experts that transformers fuses at load."""


def base_tensors(directory: Path) -> Callable[[str], Tensor]:
    """Reads a base's tensors one at a time from its files."""
    where: dict[str, Path] = {}
    for path in weight_files(directory):
        with safe_open(path, framework="pt") as file:
            where.update(dict.fromkeys(file.keys(), path))

    def read(name: str) -> Tensor:
        found = next((key for key in (name, name.partition(".")[2]) if key in where), None)  # GPT-2's lack the prefix
        if found is None:
            raise NamedOtherwiseError(name)
        with safe_open(where[found], framework="pt") as file:
            tensor: Tensor = file.get_tensor(found)
        return tensor

    return read


def relative_change(model: nn.Module, method: Method, directory: Path) -> dict[str, object] | None:
    """||dW|| / ||W|| over all weights that moved, and by block; None where the method adds no dW.

    Raises `NamedOtherwiseError` where a weight of the base cannot be found in its files.
    """
    sums: dict[str, tuple[float, float]] = {}
    for name, change, size in method.changes(model, base_tensors(directory)):
        block = re.search(r"\.(\d+)\.", name)
        key = f"block {int(block[1])}" if block else ("embedding" if "emb" in name or "wte" in name else "other")
        moved, total = sums.get(key, (0.0, 0.0))
        sums[key] = (moved + change**2, total + size**2)
    if not sums:
        return None
    everything = math.sqrt(sum(m for m, _ in sums.values()) / (sum(t for _, t in sums.values()) or 1))
    layers = [{"name": key, "relative_change": math.sqrt(m / (t or 1))} for key, (m, t) in sums.items()]
    return {"relative_change": everything, "by_layer": layers}
