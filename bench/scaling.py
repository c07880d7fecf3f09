"""How time and memory grow: python -m bench.scaling [--only length micro_batch rank threads size examples].

One thing changes at a time; every point is a process of its own, so that its peak of memory is its own. Models have
random weights in the shape of Llama; documents are random tokens of one length, half of each is learned. A point trains
two updates and times the second. `examples` times the data path alone: reading and tokenising a file of so many records
as `burnish check` does. The result is bench/results/tables/scaling.json.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from bench.tables import keep, kept
from burnish.methods.method import method_from
from burnish.models import attention
from burnish.models.at_once import CPU
from burnish.models.device import pick_dtype
from burnish.training.memory import peak_bytes
from burnish.training.trainer import Trainer
from burnish.types import TokenizedExample

ROOT = Path(__file__).resolve().parent.parent
VOCABULARY = 49_152
# hidden, inside of the MLP, layers, heads, key heads
SIZES = {
    "30M": (288, 768, 12, 6, 3),
    "135M": (576, 1536, 30, 9, 3),
    "360M": (960, 2560, 32, 15, 5),
    "1.7B": (2048, 8192, 24, 32, 32),
}
EXAMPLES = (100, 1_000, 10_000, 100_000)


@dataclass(frozen=True)
class Point:
    """What is trained: `tokens` of documents in an update."""

    size: str = "135M"
    length: int = 128
    tokens: int = 2048
    micro_batch: int = CPU.rows[0]
    rank: int = 16
    threads: int = 2


def points(what: str) -> list[Point]:
    """The points of one curve."""
    threads = torch.get_num_threads()
    plain = Point(threads=threads)
    if what == "length":
        return [replace(plain, length=n, tokens=max(2048, n)) for n in (64, 128, 256, 512, 1024, 2048, 4096)]
    if what == "micro_batch":
        return [replace(plain, micro_batch=n, tokens=4096) for n in (256, 512, 1024, 2048, 4096)]
    if what == "rank":
        return [replace(plain, rank=n) for n in (4, 8, 16, 32, 64, 128)]
    if what == "threads":
        return [replace(plain, threads=n) for n in sorted({1, threads})]
    return [replace(plain, size=size, tokens=1024) for size in SIZES]


def train(point: Point) -> dict[str, float]:
    """Two updates; the second is timed."""
    torch.set_num_threads(point.threads)
    torch.manual_seed(0)
    hidden, inside, layers, heads, kv_heads = SIZES[point.size]
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=inside,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        tie_word_embeddings=True,
        max_position_embeddings=8192,
    )
    dtype = pick_dtype("auto", torch.device("cpu"))
    model = AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention.NAME)
    model.eval().requires_grad_(False)
    loaded = peak_bytes()
    trainer = Trainer(model, method_from({"name": "lora", "rank": point.rank}), micro_batch_tokens=point.micro_batch)
    draw = random.Random(0)
    seconds = 0.0
    for _ in range(2):
        documents = [document(draw, point.length) for _ in range(point.tokens // point.length)]
        trainer.forward_backward(documents)
        seconds = trainer.optim_step(1e-4).seconds
    tokens = point.tokens // point.length * point.length
    return {"tokens_per_second": tokens / seconds, "peak_bytes": peak_bytes(), "loaded_bytes": loaded}


def document(draw: random.Random, length: int) -> TokenizedExample:
    """Random tokens, the second half learned."""
    tokens = tuple(draw.randrange(3, VOCABULARY) for _ in range(length))
    return TokenizedExample("d", tokens, (False,) * (length - length // 2) + (True,) * (length // 2))


def check(count: int, work: Path) -> dict[str, float]:
    """Seconds of `burnish check` on so many short records, in a process of its own."""
    draw, path = random.Random(count), work / f"{count}.jsonl"
    words = "print total order name city date price item street number".split()  # noqa: SIM905
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            asked = " ".join(draw.choice(words) for _ in range(12))
            record = {"instruction": f"{asked} {number}", "output": " ".join(draw.choice(words) for _ in range(8))}
            file.write(json.dumps(record) + "\n")
    burnish = str(Path(sys.executable).with_name("burnish"))
    began = time.perf_counter()
    subprocess.run([burnish, "check", str(path)], check=True, capture_output=True)
    return {"seconds": time.perf_counter() - began}


def measured(what: str) -> list[dict[str, object]]:
    """One curve, point by point."""
    found: list[dict[str, object]] = []
    if what == "examples":
        with tempfile.TemporaryDirectory() as work:
            for count in EXAMPLES:
                found.append({"examples": count, **check(count, Path(work))})
                print(what, found[-1], flush=True)
        return found
    for point in points(what):
        command = [sys.executable, "-m", "bench.scaling", "--point", json.dumps(asdict(point))]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found.append({**asdict(point), **json.loads(done.stdout.splitlines()[-1])})
        print(what, found[-1], flush=True)
    return found


CURVES: Sequence[str] = ("length", "micro_batch", "rank", "threads", "size", "examples")


def main() -> None:
    """All curves, or one point of one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CURVES, default=CURVES)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.point:
        print(json.dumps(train(Point(**json.loads(given.point)))))
        return
    before = (kept("scaling") or {"curves": {}})["curves"]  # curves that were not asked for stay as they were
    curves = {**before, **{what: measured(what) for what in given.only}}
    result = {"torch": torch.__version__, "date": datetime.now(UTC).date().isoformat(), "curves": curves}
    keep("scaling", result)


if __name__ == "__main__":
    main()
