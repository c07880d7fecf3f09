"""The laws' own truth: plain Python and torch over transformers' own forward, sharing no code with the fast path.

One document at a time, no packer, no shift, no seam: positions and masks are the model's own, the likelihood of each
trained token is looked up by a loop.
"""

import inspect
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from burnish.methods.lora import LoRALinear
from burnish.methods.prompt import PromptEmbedding
from burnish.models import attention
from burnish.models.attention import PrefixStates
from burnish.types import TokenizedExample


@contextmanager
def by_transformers(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """The model with transformers' own attention, and LoRA by plain autograd, while the context lasts."""
    model.set_attn_implementation("eager")
    layers = [module for module in model.modules() if isinstance(module, LoRALinear)]
    for module in layers:
        module.plain = True
    try:
        yield model
    finally:
        model.set_attn_implementation(attention.NAME)
        for module in layers:
            module.plain = False


def logits_of(model: PreTrainedModel, tokens: Sequence[int]) -> Tensor:
    """[time, vocab] of one document by the model's whole forward, behind a trained prefix or prompt where one is on.

    A prefix is a cache that is not empty (Li & Liang 2021: keys and values concatenated before the document's own),
    a prompt is vectors concatenated before the tokens' own; positions and masks are the model's.
    """
    given: dict[str, object] = {"input_ids": torch.tensor([list(tokens)])}
    cache, slots = prefix_of(model), 0
    if cache is not None:
        named = "cache" if "cache" in inspect.signature(type(model).forward).parameters else "past_key_values"
        given[named] = cache
    table = model.get_input_embeddings()
    if isinstance(table, PromptEmbedding) and table.active is not None:
        vectors, slots = table.prompt_embeddings[table.active], len(table.prompt_embeddings[table.active])
        own = table.original(given.pop("input_ids"))
        given["inputs_embeds"] = torch.cat([vectors[None].to(own.dtype), own], 1)
    with by_transformers(model):
        logits: Tensor = model(**given, use_cache=False).logits
    return logits[0, slots:].float()


def prefix_of(model: PreTrainedModel) -> DynamicCache | None:
    """Trained keys and values as a cache of transformers'."""
    found = [m.prefix for m in model.modules() if isinstance(getattr(m, "prefix", None), PrefixStates)]
    if not found or found[0].active is None:
        return None
    cache = DynamicCache()
    for layer, prefix in enumerate(found):
        pair = (prefix.keys[prefix.active], prefix.values[prefix.active])
        cache.update(*(part[None].to(model.dtype) for part in pair), layer)
    return cache


def nats_of(model: PreTrainedModel, document: TokenizedExample) -> Tensor:
    """Summed nats of a document's trained tokens, each given all before it; differentiable."""
    log_shares = torch.log_softmax(logits_of(model, document.tokens).double(), -1)
    total = torch.zeros((), dtype=torch.float64)
    for place in range(1, len(document.tokens)):
        if document.trained[place]:
            total = total - log_shares[place - 1, document.tokens[place]]
    return total


def targets_in(documents: Iterable[TokenizedExample]) -> int:
    """How many tokens are learned, counted by hand."""
    count = 0
    for document in documents:
        for place, trained in enumerate(document.trained):
            count += int(trained and place > 0)
    return count


def gradient_of(nats: Tensor, parameters: dict[str, Tensor]) -> Tensor:
    """d nats / d parameters as one vector, in the order of the names."""
    names = sorted(parameters)
    found = torch.autograd.grad(nats, [parameters[name] for name in names], allow_unused=True)
    pairs = zip(names, found, strict=True)
    return torch.cat([(torch.zeros_like(parameters[n]) if g is None else g).flatten() for n, g in pairs])


@torch.no_grad()
def greedy(model: PreTrainedModel, prompt: Sequence[int], stop_ids: Set[int], most: int) -> tuple[tuple[int, ...], str]:
    """Greedy decoding that runs the whole text through the model for every token; no cache anywhere."""
    text = list(prompt)
    while len(text) < len(prompt) + most:
        token = int(logits_of(model, text)[-1].argmax())
        if token in stop_ids:
            return tuple(text[len(prompt) :]), "end"
        text.append(token)
    return tuple(text[len(prompt) :]), "length"
