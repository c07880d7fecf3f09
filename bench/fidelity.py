"""How far the losses of the first updates in bf16 are from those in fp32, for every method: python -m bench.fidelity.

Eight updates on the short questions of bench.cases (d), where rounding shows most (bench.peers has the other records),
each method at the rate that `auto` means, from the same start in both numbers. Two rows show what is usual elsewhere:
LoRA's product added to a rounded output, and full fine-tuning's weights rounded to the nearest. The result is
bench/results/tables/fidelity.json; docs/performance.md cites it. No timings, so it may run beside other things.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any, Literal
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.cases import UPDATE, Case, cases
from bench.tables import keep
from burnish.methods import lora
from burnish.methods.method import method_from
from burnish.models.load import load_base
from burnish.models.parameters import count_parameters
from burnish.training.optimizer import Rounding
from burnish.training.trainer import Trainer

MODEL = "smollm2-135m-instruct"
UPDATES = 8


def _after_rounding(
    ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
) -> Tensor:
    """y = round(x W' + bias), then + s (x A') B'."""
    xa = (x @ a.t()).mul_(scale)
    ctx.save_for_backward(x, weight, a, b, xa)
    ctx.scale = scale
    return F.linear(x, weight, bias).addmm_(xa, b.t())


def _to_the_nearest(_: Rounding, parameter: Tensor, master: Tensor) -> None:
    """Each weight becomes bf16's nearest."""
    parameter.copy_(master)


def added_after_rounding() -> AbstractContextManager[object]:
    """While this lasts, LoRA's product is added to a rounded output."""
    return patch.object(lora._Product, "forward", staticmethod(_after_rounding))


def to_the_nearest() -> AbstractContextManager[object]:
    """While this lasts, weights are rounded to the nearest."""
    return patch.object(Rounding, "put", _to_the_nearest)


ROWS: tuple[tuple[str, dict[str, object], Callable[[], AbstractContextManager[object]]], ...] = (
    ("lora", {"name": "lora"}, nullcontext),
    ("lora, added after rounding", {"name": "lora"}, added_after_rounding),
    ("lora, dropout 0.05", {"name": "lora", "dropout": 0.05}, nullcontext),
    ("lora dora", {"name": "lora", "variant": "dora"}, nullcontext),
    ("full", {"name": "full"}, nullcontext),
    ("full, rounded to the nearest", {"name": "full"}, to_the_nearest),
    ("bottleneck", {"name": "bottleneck"}, nullcontext),
    ("prefix", {"name": "prefix"}, nullcontext),
    ("prompt", {"name": "prompt"}, nullcontext),
    ("ia3", {"name": "ia3"}, nullcontext),
)


def losses(fields: dict[str, object], case: Case, dtype: Literal["bf16", "fp32"]) -> list[float]:
    """The loss of each of the first updates, in nats a target."""
    base = load_base(MODEL, dtype=dtype)
    method = method_from(fields)
    rate = method.learning_rate(count_parameters(base.model))
    trainer = Trainer(base.model, method)
    found = []
    for at in range(UPDATES):
        trainer.forward_backward(case.documents[at * UPDATE : (at + 1) * UPDATE])
        found.append(trainer.optim_step(rate).loss)
    return found


def main() -> None:
    """Measure, show, keep."""
    rows: list[dict[str, object]] = []
    (case,) = cases(load_base(MODEL), ["d"])
    exact: dict[str, list[float]] = {}
    for name, fields, arranged in ROWS:
        key = str(fields)
        if key not in exact:
            exact[key] = losses(fields, case, "fp32")
        with arranged():
            found = losses(fields, case, "bf16")
        far = max(abs(a - b) for a, b in zip(found, exact[key], strict=True)) / exact[key][0]
        print(f"{name}: {100 * far:.2f} % of the first loss", flush=True)
        rows.append({"name": name, "bf16": found, "fp32": exact[key], "difference": far})
    made = {"model": MODEL, "torch": torch.__version__, "date": datetime.now(UTC).date().isoformat()}
    keep("fidelity", {**made, "source": case.source, "updates": UPDATES, "rows": rows})


if __name__ == "__main__":
    main()
