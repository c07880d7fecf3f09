"""What every method costs on a model and a machine: parameters, memory, time of an update, bytes on disk - measured.

Each method is measured in a process of its own, because the most memory that a process held is told only for all of
its life: `python -m burnish.pipeline.price MODEL FIELDS`, where FIELDS is the recipe's `method:` as JSON.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from burnish.errors import BurnishError
from burnish.methods.method import Start, method_from, method_names, short_name, variants_of
from burnish.methods.peft_format import save_adapter
from burnish.models.load import load_base, resolve
from burnish.models.parameters import bytes_of, count_parameters
from burnish.training.memory import peak_bytes
from burnish.training.trainer import Trainer
from burnish.types import TokenizedExample

DOCUMENTS, LENGTH, TARGETS = 8, 96, 32  # of an update; their tokens are drawn at random, and begin all differently
PATIENCE = 3.0  # seconds of updates after the first, which compiles


@dataclass(frozen=True, slots=True)
class Price:
    """One method's measured cost; `why_not` stands where it could not be measured."""

    method: str
    trained: int = 0
    parameters: int = 0
    peak_bytes: int = 0
    seconds: float = 0.0  # of an update of 768 tokens, the quickest of several
    file_bytes: int = 0
    why_not: str | None = None


def choices() -> list[Mapping[str, object]]:
    """Every method with every variant, as a recipe writes it."""
    return [
        {"name": name} | ({"variant": variant} if variant else {})
        for name in method_names()
        for variant in variants_of(method_from(name)) or ("",)
    ]


def label(fields: Mapping[str, object]) -> str:
    """A method as a table names it."""
    return short_name(method_from(fields))


def prices(model: str) -> Iterator[Price]:
    """The methods one after the other, as they are measured; raises `BurnishError` where the model cannot be had."""
    resolve(model)
    load_base(model)  # fetched and checked once, so that no method's process does it
    for fields in choices():
        command = [sys.executable, "-m", "burnish.pipeline.price", model, json.dumps(fields)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        last = done.stdout.strip().rpartition("\n")[2]
        if done.returncode == 0:
            yield Price(**json.loads(last))
        else:
            killed = f"stopped by signal {-done.returncode}, most likely for memory" if done.returncode < 0 else None
            why = killed or (done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}")
            yield Price(label(fields), why_not=why)


def _documents(rows: int) -> list[TokenizedExample]:
    draw = random.Random(0)
    trained = tuple(place >= LENGTH - TARGETS for place in range(LENGTH))
    return [
        TokenizedExample(str(n), tuple(draw.randrange(rows) for _ in range(LENGTH)), trained) for n in range(DOCUMENTS)
    ]


def measure(model: str, fields: Mapping[str, object]) -> Price:
    """Some updates of one method, in this process; raises `BurnishError` where model and method do not agree."""
    base, method = load_base(model), method_from(fields)
    method.check(base.model)
    base.model.requires_grad_(False)
    parameters = count_parameters(base.model)
    start = Start(torch.Generator().manual_seed(0), None)
    trainer = Trainer(base.model, method, start=start)
    documents = _documents(base.model.get_input_embeddings().weight.shape[0])
    best, began = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - began < PATIENCE:
        first = trainer.step == 0  # it compiles, and is not counted
        trainer.forward_backward(documents)
        seconds = trainer.optim_step(1e-5).seconds
        if first:
            began = time.perf_counter()
        else:
            best = min(best, seconds)
    peak = peak_bytes(base.device.type)
    trained = sum(p.numel() for p in base.model.parameters() if p.requires_grad)
    if method.makes_adapter:
        with tempfile.TemporaryDirectory() as folder:
            save_adapter(base.model, method, Path(folder), base=model, base_sha256=base.sha256)
            size = bytes_of(Path(folder))
    else:
        size = sum(p.numel() * p.element_size() for p in base.model.parameters())
    return Price(label(fields), trained, parameters, peak, best, size)


def main() -> None:
    """One method for the process that asked."""
    model, fields = sys.argv[1], json.loads(sys.argv[2])
    try:
        print(json.dumps(asdict(measure(model, fields))))
    except (BurnishError, MemoryError) as error:
        sys.exit(str(error) or "not enough memory")


if __name__ == "__main__":
    main()
