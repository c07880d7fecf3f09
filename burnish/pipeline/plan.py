"""What a run is going to do, how long that may take on this machine, and what its held-out items can show."""

import time
from collections.abc import Mapping, Sequence

import torch

from burnish.data.pack import batch_of
from burnish.models.attention import forward_hidden
from burnish.pipeline.retention import retention_tokens
from burnish.pipeline.start import Prepared
from burnish.proof.arm import split_name
from burnish.proof.prompting import VALIDATION_ITEMS, writes_answers
from burnish.proof.verdict import reachable
from burnish.training.settings import TrainingSettings
from burnish.types import TokenizedExample

BACKWARD = {True: 2.2, False: 3.2}  # a training token in forward passes: adapters, and all weights
SHARE_OF_LENGTH = 0.6  # answers are shorter than the longest allowed one
DECODE = 2.5  # a generated token in forward tokens of a packed row: products are thin


def forward_rate(prepared: Prepared, seconds: float = 1.5) -> float:
    """Tokens a second of a forward pass on this machine, measured on a row of training documents."""
    documents: list[TokenizedExample] = []
    for document in prepared.tokenized.train:
        if documents and sum(len(d.tokens) for d in documents) + len(document.tokens) > 256:
            break
        documents.append(document)
    if not prepared.base.packed:
        documents = documents[:1]
    batch = batch_of(documents, round_to=64 if prepared.base.packed else 1).to(prepared.base.device)
    best, began = float("inf"), time.perf_counter()
    with torch.no_grad():
        while time.perf_counter() - began < seconds or best == float("inf"):
            start = time.perf_counter()
            forward_hidden(prepared.base.model, batch)
            best = min(best, time.perf_counter() - start)
    return batch.tokens.numel() / best


def minutes(prepared: Prepared, arms: Sequence[str], rate: float) -> dict[str, float]:
    """Estimated minutes of each stage; estimates, corrected by what the run then measures."""
    tokenized, dataset = prepared.tokenized, prepared.dataset
    lengths = [len(d.tokens) for d in tokenized.train]
    mean = sum(lengths) / len(lengths)
    settings = prepared.recipe.training
    batch_size, epochs = settings.batch_size, settings.epochs
    assert isinstance(batch_size, int)
    assert isinstance(epochs, int)
    visits = min(settings.steps(len(lengths)) * batch_size, len(lengths) * epochs)
    evaluations = 5 * sum(len(d.tokens) for d in tokenized.of(dataset.validation))
    training = (visits * mean * BACKWARD[prepared.method.makes_adapter] + evaluations) / rate / 60
    tried = min(VALIDATION_ITEMS, len(dataset.validation))
    written = writes_answers(prepared.recipe.proof, prepared.task.metrics[0])
    prompts = sum(_arm(prepared, arm, tried, mean, written=written) for arm in arms)
    result = {"prompts": prompts / rate / 60, "train": training}
    if prepared.recipe.proof.effort == "none":
        return result | {"tuned": _arm(prepared, "tuned", tried, mean) / rate / 60}
    kinds = dict.fromkeys(split_name(arm)[0] for arm in arms)
    for kind in (*kinds, "tuned"):
        widest = max((split_name(arm)[1] for arm in arms if split_name(arm)[0] == kind), default=0)
        name = f"{kind}_{widest}" if widest else kind
        result[kind] = _arm(prepared, name, len(dataset.held_out), mean) / rate / 60
    if prepared.recipe.proof.retention:
        result["retention"] = 2 * retention_tokens() / rate / 60
    return result


def _arm(prepared: Prepared, arm: str, items: int, mean: float, *, written: bool = True) -> float:
    """Forward tokens that an arm takes; `written`: with answers written out."""
    kind, count = split_name(arm)
    if prepared.task.kind == "text":
        return items * mean
    examples = count * mean if kind == "similar" else count * mean / 16  # fixed examples are computed once a chunk
    if prepared.task.kind == "classify":
        return items * (mean + examples + 4 * len(prepared.task.labels))
    return items * (mean + examples + written * DECODE * SHARE_OF_LENGTH * prepared.answer_tokens)


def plan_lines(prepared: Prepared, estimate: Mapping[str, float] | None = None) -> tuple[str, ...]:
    """The plan, a line each."""
    recipe, dataset = prepared.recipe, prepared.dataset
    settings: TrainingSettings = recipe.training
    counts = dataset.counts
    steps = settings.steps(len(prepared.tokenized.train))
    metric = prepared.task.metrics[0]
    method = dict(recipe.method) if isinstance(recipe.method, dict) else {}
    said = ", ".join(f"{k} {v}" for k, v in method.items() if k != "name" and not isinstance(v, list | tuple))
    lines = [
        f"data    {counts.train:,} train, {counts.validation:,} validation, {counts.held_out:,} held out; "
        f"{prepared.task.kind} by {metric.name} ({prepared.task.reason})",
        f"method  {prepared.method.name}{f' ({said})' if said else ''}, learning rate {settings.learning_rate:g}, "
        f"{steps} updates of {settings.batch_size} records, {settings.epochs} epochs",
    ]
    if estimate:
        stages = ", ".join(f"{name} {value:.1f}" for name, value in estimate.items())
        lines.append(f"time    about {max(1, round(sum(estimate.values())))} minutes (estimate: {stages})")
    if prepared.room is not None:
        lines.append(f"memory  {prepared.room.line}")
    if recipe.proof.effort == "none":
        lines.append(f"proof   none: the {counts.held_out} held-out items stay closed; `burnish evaluate` opens them")
    elif metric.is_share:
        lines.append(f"proof   {reachable(counts.held_out, recipe.proof.margin or metric.margin).sentence}")
    else:
        lines.append(f"proof   {counts.held_out} held-out items, compared in pairs by {metric.name}")
    return tuple(lines)
