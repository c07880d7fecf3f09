"""Answers a second, beside transformers' own `generate`: python -m bench.generation RECIPE [--items 200] [--tokens 16].

Two kinds of prompts, as the recipe's arms make them: eight fixed examples before each item, and four similar ones.
burnish answers in chunks of one size; transformers answers left-padded batches of the best size of those tried on the
first items. Both are greedy and run in the dtype that a run would take, then once more on some items in fp32, where
the answers must be the same. The last line is JSON; it also stands in bench/results/tables/generation.json.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from bench.tables import keep
from burnish.generation.decode import generate
from burnish.models.load import Base, load_base
from burnish.pipeline.start import Prepared, loaded_from, prepare
from burnish.proof.arm import ArmContext, Rival, build

ARMS = ("few_shot_8", "similar_4")
CHUNK = 40  # items asked together; a run asks as many as have room in the cache, at most 64
BATCHES = (8, 16, 32)
TRIED = 32  # items on which transformers' batch is chosen
EXACT = 40  # items that are answered in fp32 too
Prompts = Sequence[tuple[int, ...]]
Answers = list[tuple[int, ...]]


def ours(base: Base, prompts: Prompts, limit: int) -> Answers:
    """Answers by burnish, chunk by chunk."""
    found: Answers = []
    for at in range(0, len(prompts), CHUNK):
        part = generate(base.model, prompts[at : at + CHUNK], stop_ids=base.stop_ids, max_new_tokens=limit)
        found += [answer.tokens for answer in part]
    return found


@torch.no_grad()
def theirs(model: PreTrainedModel, base: Base, prompts: Prompts, limit: int, batch: int) -> Answers:
    """Answers by transformers, from batches padded on the left."""
    stops, found = sorted(base.stop_ids), list[tuple[int, ...]]()
    for at in range(0, len(prompts), batch):
        part = prompts[at : at + batch]
        width = max(map(len, part))
        tokens = torch.tensor([[0] * (width - len(p)) + list(p) for p in part])
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in part])
        rows = model.generate(
            tokens,
            attention_mask=mask,
            do_sample=False,
            max_new_tokens=limit,
            eos_token_id=stops,
            pad_token_id=stops[0],
        )
        for row in rows[:, width:].tolist():
            end = next((i for i, token in enumerate(row) if token in base.stop_ids), len(row))
            found.append(tuple(row[:end]))
    return found


def timed(work: Callable[[], Answers]) -> tuple[float, Answers]:
    """Seconds, and what came out."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def compare(prepared: Prepared, arm: str, items: int, limit: int) -> dict[str, object]:
    """One kind of prompts."""
    base, context = prepared.base, ArmContext(tuple(prepared.dataset.train), prepared.task.kind)
    built = build(arm, context)
    assert not isinstance(built, Rival)
    held_out = prepared.dataset.held_out[:items]
    prompts = [prepared.encoder.prompt(built.prompt(item).messages) for item in held_out]
    plain = AutoModelForCausalLM.from_pretrained(base.path, dtype=base.dtype, attn_implementation="sdpa").eval()
    tried = {b: timed(partial(theirs, plain, base, prompts[:TRIED], limit, b))[0] for b in BATCHES}
    batch = min(tried, key=lambda b: tried[b])
    ours(base, prompts[:CHUNK], limit)  # compiles its shapes, as the tries did for the others
    seconds, found = timed(lambda: ours(base, prompts, limit))
    their_seconds, wanted = timed(lambda: theirs(plain, base, prompts, limit, batch))
    exact = load_base(prepared.recipe.model, dtype="fp32")
    few = prompts[:EXACT]
    same = [a == b for a, b in zip(ours(exact, few, limit), theirs(plain.float(), exact, few, limit, 8), strict=True)]
    result: dict[str, object] = {
        "items": len(prompts),
        "prompt_tokens": sum(map(len, prompts)) / len(prompts),
        "items_per_second": {"burnish": len(prompts) / seconds, "transformers": len(prompts) / their_seconds},
        "ratio": their_seconds / seconds,
        "transformers_batch": batch,
        "equal": sum(a == b for a, b in zip(found, wanted, strict=True)) / len(prompts),
        "equal_fp32": sum(same) / len(same),
    }
    print(arm, json.dumps(result), flush=True)
    return result


def main() -> None:
    """Read the arguments, compare both kinds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target")
    parser.add_argument("changes", nargs="*")
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=16)
    given = parser.parse_args()
    prepared = prepare(loaded_from(given.target, given.changes), print)
    found = {arm: compare(prepared, arm, given.items, given.tokens) for arm in ARMS}
    result = {"recipe": given.target, "dtype": str(prepared.base.dtype), "torch": torch.__version__, "arms": found}
    keep("generation", result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
