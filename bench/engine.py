"""How fast one update is, and what it takes: python -m bench.engine RECIPE [--records 64] [a.b=c ...].

The records are one update by the recipe's method (LoRA r 16 on all linears by default). Each pass prints the records'
own tokens a second, padding left out, and the most memory that the process held. Run nothing beside it.
"""

import argparse

import torch

from burnish.methods.method import Start
from burnish.pipeline.start import loaded_from, prepare
from burnish.training.memory import peak_bytes
from burnish.training.trainer import Trainer


def main() -> None:
    """Read the arguments, make the passes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("changes", nargs="*")
    parser.add_argument("--records", type=int, default=64)
    parser.add_argument("--passes", type=int, default=3)
    given = parser.parse_args()
    prepared = prepare(loaded_from(given.target, given.changes), print)
    settings = prepared.recipe.training
    assert isinstance(settings.micro_batch_tokens, int)
    trainer = Trainer(
        prepared.base.model,
        prepared.method,
        start=Start(torch.Generator().manual_seed(0)),
        micro_batch_tokens=settings.micro_batch_tokens,
    )
    documents = prepared.tokenized.train[: given.records]
    print(f"{len(documents)} records, {sum(len(d.tokens) for d in documents):,} tokens, {prepared.base.dtype}")
    for _ in range(given.passes):
        trainer.forward_backward(documents)
        done = trainer.optim_step(5e-4)
        memory = peak_bytes(trainer.device.type)
        print(f"loss {done.loss:.3f}  {done.tokens / done.seconds:.0f} tokens/s  peak {memory / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
