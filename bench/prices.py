"""What each method saves on the built-in model: python -m bench.prices; the same as `burnish methods --measure`, kept.

The result is bench/results/tables/prices.json; docs/methods.md cites it. Run nothing beside it.
"""

from dataclasses import asdict
from datetime import UTC, datetime

import torch

from bench.tables import keep
from burnish.models.device import bf16_is_faster
from burnish.pipeline.price import DOCUMENTS, LENGTH, prices

MODEL = "smollm2-135m-instruct"


def main() -> None:
    """Measure, show, keep."""
    found = []
    for price in prices(MODEL):
        print(price, flush=True)
        found.append(asdict(price))
    value = {
        "model": MODEL,
        "tokens": DOCUMENTS * LENGTH,
        "dtype": "bf16" if bf16_is_faster() else "fp32",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "methods": found,
    }
    keep("prices", value)


if __name__ == "__main__":
    main()
