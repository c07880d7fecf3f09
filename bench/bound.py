"""What a training step cannot avoid: the time of its matrix products alone, in the same shapes and dtype.

    python -m bench.bound CASE.json MODEL [bf16|fp32 [cuda]]

Counted are, for every row that the engine would compute (beginnings that documents share, once): each frozen linear
map forward and for the gradient of its input, LoRA's thin products (two forward, four backward) or, in full
fine-tuning, the gradient of the weight, and the head at the targets, forward and backward. Not counted: attention,
norms, activations, copies, the optimiser. Each shape is timed by itself, best of several, on tensors of its own.
Prints the seconds of one pass over the case's records as JSON.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.cases import documents_in
from burnish.data.pack import micro_batches
from burnish.models.at_once import at_once
from burnish.models.device import best_seconds
from burnish.models.load import load_base
from burnish.models.seams import block_linears, sizes_of
from burnish.types import IGNORE

RANK = 16
REPEATS = 5
ASKED = 50  # products that a GPU is asked for at once, so that what it waits for is not counted


def seconds(work: Callable[[], object]) -> float:
    """The best of several times."""
    if torch.get_default_device().type != "cuda":
        return best_seconds(work, REPEATS)

    def several() -> None:
        for _ in range(ASKED):
            work()
        torch.cuda.synchronize()

    return best_seconds(several, REPEATS) / ASKED


def product(rows: int, inner: int, columns: int, dtype: torch.dtype) -> float:
    """Seconds of [rows, inner] x [inner, columns]."""
    left, right = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
    return seconds(lambda: left @ right)


def linear(places: int, width_in: int, width_out: int, dtype: torch.dtype) -> float:
    """Seconds of a frozen map forward and back to its input; the weight lies as [out, in], as in `nn.Linear`."""
    x, grad = torch.randn(places, width_in).to(dtype), torch.randn(places, width_out).to(dtype)
    weight = torch.randn(width_out, width_in).to(dtype)
    return seconds(lambda: torch.nn.functional.linear(x, weight)) + seconds(lambda: grad @ weight)


def lora(places: int, width_in: int, width_out: int, dtype: torch.dtype) -> float:
    """Seconds of the thin products of one map, forward and backward."""
    shapes = ((places, width_in, RANK), (places, RANK, width_out), (places, width_out, RANK), (places, RANK, width_in))
    factors = ((RANK, places, width_in), (width_out, places, RANK))
    return sum(product(*shape, dtype) for shape in (*shapes, *factors))


def seconds_of(case: dict[str, Any], model: str, dtype: torch.dtype, device: str = "cpu") -> float:
    """The unavoidable products of one pass over a case's records."""
    base = load_base(model, dtype="fp32" if dtype == torch.float32 else "bf16", device="cpu")
    documents = documents_in(case)
    update, full = int(case["update"]), bool(case["full"])
    maps = Counter(sizes_of(linear_map) for linear_map in block_linears(base.model).values())
    vocabulary, width = base.model.get_output_embeddings().weight.shape
    known: dict[tuple[object, ...], float] = {}

    def once(name: str, *shape: int) -> float:
        made = {"linear": linear, "lora": lora, "product": product}[name]
        if (name, *shape) not in known:
            with torch.device(device):
                known[name, *shape] = made(*shape, dtype)  # type: ignore[arg-type, call-arg]
        return known[name, *shape]

    total, row = 0.0, at_once(device).rows[0]
    for at in range(0, len(documents), update):
        for _, batch in micro_batches(documents[at : at + update], row):
            places, targets = batch.tokens.numel(), int((batch.targets != IGNORE).sum())
            for (width_in, width_out), count in maps.items():
                own = ("product", width_out, places, width_in) if full else ("lora", places, width_in, width_out)
                total += count * (once("linear", places, width_in, width_out) + once(*own))
            total += once("linear", targets, width, vocabulary)
            if full:
                total += once("product", vocabulary, targets, width)
    return total


def main() -> None:
    """Read the arguments, time the products, print."""
    case = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    device = sys.argv[4] if len(sys.argv) > 4 else "cpu"
    dtype = torch.float32 if sys.argv[3:4] == ["fp32"] else torch.bfloat16
    print(json.dumps({"seconds": seconds_of(case, sys.argv[2], dtype, device)}))


if __name__ == "__main__":
    main()
