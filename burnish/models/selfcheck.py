"""Proof at load time that packing rows and taking the head apart change nothing for the model at hand.

Two documents, packed through burnish's attention and head, against each alone through the model's own forward, on the
actual weights in fp32. Windows are lowered so that the documents are longer than any. A passed check is remembered.
"""

import copy
import hashlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType

import torch
import transformers
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import logging

from burnish import files
from burnish.errors import ModelError
from burnish.models import attention, head
from burnish.models.cache import home
from burnish.models.parameters import count_parameters
from burnish.models.seams import layers_of
from burnish.types import IGNORE, Batch

TOLERANCE = 1e-4  # of the norm of a place's logits; a window off by one is far above, fp32 rounding far below
LEAK = 1e-5  # the same between two runs of one shape that differ in the other document only: next to no rounding
TOLERANCE_BF16 = 2e-2
WINDOW = 8  # what wider windows are lowered to
LENGTHS = (19, 13)  # of the documents: longer than the window, no multiple of a bucket
PADDING = 3
WHOLE_UP_TO = 300_000_000  # parameters; a larger model is checked one block at a time
ROWS = 512  # of the vocabulary that stand in for a large model's whole
LIMITS = ("sliding_window", "attention_chunk_size", "window_size", "local_attention_window", "attention_window_size")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether rows may hold several documents; `reason` says why not."""

    packed: bool
    reason: str | None = None


def self_check(model: PreTrainedModel, weights_sha256: str) -> Verdict:
    """Check a loaded model, or remember that it passed.

    Where only packing fails, the model is set back to its own attention. Raises `ModelError` where even one document
    a row does not give the model's own logits.
    """
    note = home() / "selfcheck" / f"{_key(model, weights_sha256)}.json"
    try:
        known = files.read_json(note)
        assert isinstance(known, dict)
        verdict = Verdict(bool(known["packed"]), known["reason"])
    except (OSError, ValueError, KeyError, AssertionError):
        verdict = _checked(model)
        if verdict.packed:  # a failure may be want of memory, and is tried again
            with suppress(OSError):  # a cache that cannot be written only costs time
                note.parent.mkdir(parents=True, exist_ok=True)
                files.write_json(note, {"packed": verdict.packed, "reason": verdict.reason})
    _attend_through(model, attention.NAME if verdict.packed else "eager")
    return verdict


def _attend_through(model: PreTrainedModel, name: str) -> None:
    """Choose the attention; some models have one only, and then just the label changes, which the engine reads."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        model.set_attn_implementation(name)
    finally:
        logging.set_verbosity(level)
    model.config._attn_implementation = name


def _key(model: PreTrainedModel, weights_sha256: str) -> str:
    """What the result depends on: weights, config, versions, and the code that is checked and checks."""
    modules: tuple[ModuleType, ...] = (attention, head, inspect.getmodule(self_check) or attention)
    versions = [torch.__version__, transformers.__version__]
    parts = [weights_sha256, model.config.to_json_string(), *versions, model.device.type]
    parts += [inspect.getsource(module) for module in modules]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _checked(model: PreTrainedModel) -> Verdict:
    reason = None
    try:
        reason = next(filter(None, map(_fault, _pieces(model))), None)
    except ModelError as error:
        reason = str(error)
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        reason = f"its forward does not take packed rows ({(str(error) or type(error).__name__).splitlines()[0][:120]})"
    if reason is None:
        return Verdict(True)
    _attend_through(model, "eager")
    distance = _distance_alone(model)
    if not distance <= (TOLERANCE_BF16 if model.dtype == torch.bfloat16 else TOLERANCE):
        raise ModelError(
            f"{type(model).__name__}: hidden states times the output head are not the model's own logits "
            f"(off by {distance:.1e} of their norm), so burnish cannot train it; it trains causal models "
            "whose head is one matrix"
        )
    return Verdict(False, reason)


def _pieces(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """The model in fp32, whole where it is small, else with one block of each kind, and the last, in turn."""
    if count_parameters(model) <= WHOLE_UP_TO:
        yield model if model.dtype == torch.float32 else copy.deepcopy(model).float()
        return
    layers = layers_of(model)
    types = getattr(model.config, "layer_types", None) or [type(layer).__name__ for layer in layers]
    chosen = {kind: index for index, kind in reversed(list(enumerate(types)))}
    for index in sorted({*chosen.values(), len(layers) - 1}):
        yield _one_block(model, layers, index)


def _one_block(model: PreTrainedModel, layers: nn.ModuleList, index: int) -> PreTrainedModel:
    """A copy in fp32 with one block and `ROWS` rows of the vocabulary; the rest of the weights is not copied."""
    memo: dict[int, object] = {}
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        for parameter in module.parameters(recurse=False):
            # a tied weight meets the same entry twice, and stays tied
            memo.setdefault(id(parameter), nn.Parameter(parameter.detach()[:ROWS].clone(), requires_grad=False))
    # one memo for both copies, so that block and model share one config, as they did
    memo[id(layers)] = nn.ModuleList([copy.deepcopy(layers[index], memo)])
    piece: PreTrainedModel = copy.deepcopy(model, memo).float()
    config = piece.config
    config.__dict__["num_hidden_layers"] = 1
    if getattr(config, "layer_types", None):
        config.__dict__["layer_types"] = [config.layer_types[index]] * len(config.layer_types)
    return piece


@contextmanager
def _lowered_windows(model: nn.Module) -> Iterator[None]:
    """Windows of config and modules at most `WINDOW` wide while this lasts."""
    owners = [model.config, *model.modules()]
    before = [
        (owner, name, owner.__dict__[name])
        for owner in {id(owner): owner for owner in owners}.values()
        for name in LIMITS
        if type(owner.__dict__.get(name)) is int and owner.__dict__[name] > WINDOW
    ]
    try:
        for owner, name, _ in before:
            owner.__dict__[name] = WINDOW
        yield
    finally:
        for owner, name, value in before:
            owner.__dict__[name] = value


def _documents(model: PreTrainedModel, seed: int = 0) -> list[torch.Tensor]:
    """Token ids [time] of two documents of `LENGTHS`, the same for every model with that many rows."""
    rows = model.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, rows, (length,), generator=generator) for length in LENGTHS]


def _batch(documents: list[torch.Tensor], padding: int, device: torch.device) -> Batch:
    filler = torch.zeros(padding, dtype=torch.long)
    tokens = torch.cat([*documents, filler])
    places = [torch.full((len(document),), i) for i, document in enumerate(documents)]
    positions = [torch.arange(len(document)) for document in documents]
    return Batch(
        tokens=tokens[None].to(device),
        targets=torch.full_like(tokens, IGNORE)[None].to(device),
        documents=torch.cat([*places, filler - 1])[None].to(device),
        positions=torch.cat([*positions, filler])[None].to(device),
        ids=tuple(f"selfcheck:{i}" for i in range(len(documents))),
    )


def _off(ours: Float[Tensor, "places vocab"], theirs: Float[Tensor, "places vocab"]) -> float:
    """The largest distance of a place's logits, in norms of theirs; infinite where a number is none."""
    distances = torch.linalg.vector_norm(ours.float() - theirs.float(), dim=1)
    worst = (distances / torch.linalg.vector_norm(theirs.float(), dim=1).clamp_min(1e-6)).max()
    return float(worst) if torch.isfinite(worst) else float("inf")


def _fault(model: PreTrainedModel) -> str | None:
    """What is wrong with packed documents through burnish's attention and head, against each alone in the model."""
    documents = _documents(model)
    others = [_documents(model, seed=1)[0], documents[1]]
    before = model.config._attn_implementation
    with torch.no_grad(), _lowered_windows(model):
        try:
            _attend_through(model, attention.NAME)
            packed = _packed_logits(model, documents)
            beside_another = _packed_logits(model, others)
            _attend_through(model, "eager")
            alone = [model(document[None].to(model.device), use_cache=False).logits[0] for document in documents]
        finally:
            _attend_through(model, before)
    distance = _off(packed, torch.cat(alone))
    if not distance <= TOLERANCE:
        return f"logits of packed documents differ by {distance:.1e} of their norm"
    # a weak leak can hide below the rounding of two paths, never below that of one path run twice
    leak = _off(beside_another[LENGTHS[0] :], packed[LENGTHS[0] :])
    return None if leak <= LEAK else f"a document changes the logits of the next in its row by {leak:.1e} of their norm"


def _packed_logits(model: PreTrainedModel, documents: list[torch.Tensor]) -> Float[Tensor, "places vocab"]:
    batch = _batch(documents, PADDING, model.device)
    return head.head_of(model).logits(attention.forward_hidden(model, batch)[0, : sum(LENGTHS)])


def _distance_alone(model: PreTrainedModel) -> float:
    """The same for one document, both through the model's own attention: what remains is the head."""
    document = _documents(model)[0]
    batch = _batch([document], 0, model.device)
    with torch.no_grad():
        ours = head.head_of(model).logits(attention.forward_hidden(model, batch)[0])
        theirs = model(document[None].to(model.device), use_cache=False).logits[0]
    return _off(ours, theirs)
