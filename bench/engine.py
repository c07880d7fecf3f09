"""How fast updates are, and what they take: python -m bench.engine RECIPE [--records 64] [--batch 8] [a.b=c ...].

The records go through the recipe's method (LoRA r 16 on all linears by default) in updates of `--batch`, all in one
where it is not given. Passes alternate between documents that stand in their rows whole and documents that share
their common beginning (`--share` takes one of the two, which then tells its own peak of memory). Each pass prints the
records' own tokens a second - each counted once a visit, padding left out - and the most memory that the process held.
Run nothing beside it.
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
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--share", choices=("both", "on", "off"), default="both")
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
    step = given.batch or len(documents)
    for number in range(given.passes * (2 if given.share == "both" else 1)):
        trainer.share = given.share == "on" or (given.share == "both" and number % 2 == 1)
        nats, targets, tokens, seconds = 0.0, 0, 0, 0.0
        for start in range(0, len(documents), step):
            trainer.forward_backward(documents[start : start + step])
            done = trainer.optim_step(5e-4)
            nats, targets = nats + done.loss * done.targets, targets + done.targets
            tokens, seconds = tokens + done.tokens, seconds + done.seconds
        memory = peak_bytes(trainer.device.type)
        how = "shared" if trainer.share else "whole "
        print(f"{how}  loss {nats / targets:.3f}  {tokens / seconds:.0f} tokens/s  peak {memory / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
