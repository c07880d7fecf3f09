"""What training takes in memory, measured on the model and the data at hand, and the settings with which it fits.

Everything is a prediction from three short forward passes; nothing here changes what a run computes but for the order
of sums, and what was chosen stands in the resolved recipe.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from burnish.data.pack import ROUND, batch_of
from burnish.errors import RecipeError
from burnish.methods.method import Method, Start
from burnish.methods.peft_format import load_adapter
from burnish.models.adapters import adapter_names, frame_of, remove
from burnish.models.at_once import at_once
from burnish.models.attention import KEPT_UP_TO
from burnish.models.dropout import training_on
from burnish.models.load import Base
from burnish.models.seams import layers_of
from burnish.report.numbers import memory
from burnish.training.memory import free_bytes, kept_bytes, taken_bytes
from burnish.training.settings import TrainingSettings
from burnish.types import TokenizedExample

PROBE = (
    256  # places, with a half and a quarter of it: what a row keeps grows with them and, by scores, with their square
)
SLACK = 1.15  # for what a block needs while it is computed, and what torch keeps for later
RESERVE = 0.9  # of the free memory may be taken
AT_WORK = 3  # times what one block keeps: itself, its gradients, and what comes and goes
HEAD = 12  # bytes a logit: fp32, its gradient, and both in the model's dtype


@dataclass(frozen=True, slots=True)
class Kept:
    """What a row keeps for the way back, in bytes, by its places."""

    constant: float
    each: float
    squared: float
    inputs: float  # of each place, where blocks keep only what goes into them
    blocks: int

    def of(self, row: int, longest: int, recompute: bool) -> float:
        """Bytes of a row whose documents have at most `longest` places; scores of longer ones are never kept."""
        inside = self.constant + row * (self.each + self.squared * min(row, longest, KEPT_UP_TO))
        return row * self.inputs + AT_WORK * inside / self.blocks if recompute else inside


@dataclass(frozen=True, slots=True)
class Room:
    """What was found: bytes that training takes at its most, bytes that it may take, and the settings for it."""

    takes: int
    limit: int | None
    micro_batch_tokens: int
    recompute: bool

    @property
    def fits(self) -> bool:
        """Whether training takes no more than it may; True where nobody knows."""
        return self.limit is None or self.takes <= self.limit

    @property
    def line(self) -> str:
        """For the plan."""
        of = "" if self.limit is None else f" of the {memory(self.limit)} that it may take"
        how = ", the inside of each block computed again on the way back" if self.recompute else ""
        less = "lower training.max_length, take a smaller model, or a method that trains less"
        doubt = "" if self.fits else f"; that may not be there: {less}"
        return f"training takes about {memory(self.takes)}{of}: rows of {self.micro_batch_tokens} tokens{how}{doubt}"


def find_room(
    settings: TrainingSettings, base: Base, method: Method, documents: Sequence[TokenizedExample], batch_size: int
) -> Room | None:
    """The first settings that fit; None where nothing is trained, or the recipe neither asks nor leaves anything open.

    Raises `RecipeError` where `training.memory` is given and none of the settings left open fits.
    """
    is_open = "auto" in (settings.micro_batch_tokens, settings.recompute)
    if settings.max_steps == 0 or not (is_open or settings.memory != "auto"):
        return None
    device = base.device.type
    with _attached(base, method):
        kept, fixed = _measured(base, method, documents), _fixed(base)
        taken, free = taken_bytes(device), free_bytes(device)  # only now are all weights read
    limit = settings.memory if settings.memory != "auto" else None if free is None else taken + int(RESERVE * free)
    longest = max(len(document.tokens) for document in documents) + method.virtual_tokens
    whole = longest * batch_size if base.packed else longest
    rows = at_once(device).rows if settings.micro_batch_tokens == "auto" else (settings.micro_batch_tokens,)
    found: Room | None = None
    for recompute in (False, True) if settings.recompute == "auto" else (settings.recompute,):
        for micro_batch in rows:
            row = -(-max(longest, min(micro_batch, whole)) // ROUND) * ROUND
            found = Room(int(taken + fixed + SLACK * kept.of(row, longest, recompute)), limit, micro_batch, recompute)
            if found.fits:
                return found
    assert found is not None
    if is_open and settings.memory != "auto":
        raise RecipeError(
            f"training.memory: {memory(settings.memory)} is less than the {memory(found.takes)} that training takes at "
            f"its least (longest record: {longest} tokens); give more, lower training.max_length, or take another model"
        )
    return found


@contextmanager
def _attached(base: Base, method: Method) -> Iterator[None]:
    """What trains stands in the model, as it will in training, while this lasts."""
    if method.start_from is not None and method.makes_adapter:
        load_adapter(base.model, Path(method.start_from), base_sha256=base.sha256, like=method)
    else:
        method.attach(base.model, Start(torch.Generator().manual_seed(0)))
    try:
        yield
    finally:
        for name in adapter_names(base.model):
            remove(base.model, name)
        base.model.requires_grad_(False)


def _measured(base: Base, method: Method, documents: Sequence[TokenizedExample]) -> Kept:
    tokens = max(documents, key=lambda document: len(document.tokens)).tokens
    most = min(PROBE, base.context - method.virtual_tokens - method.first_position)
    probes = sorted({most, max(2, most // 2), max(2, most // 4)})
    found = []
    for places in probes:
        text = (tokens * (places // len(tokens) + 1))[:places]
        document = TokenizedExample("probe", text, (False,) + (True,) * (places - 1))
        row = batch_of([document], frame=frame_of(base.model), round_to=1)
        row = row.to(base.device)
        with training_on(row, 0, 0):  # as in training: what dropout keeps, too
            found.append(kept_bytes(base.model, row))
    squared, each, constant = (0.0, 0.0, *np.polyfit(probes, found, len(probes) - 1))[-3:]
    if squared < 0:
        squared, (each, constant) = 0.0, np.polyfit(probes, found, 1)
    blocks = len(layers_of(base.model))
    width: int = base.model.config.get_text_config().hidden_size
    inputs = blocks * width * base.dtype.itemsize
    return Kept(max(0.0, float(constant)), float(each), float(squared), inputs, blocks)


def _fixed(base: Base) -> int:
    """Gradients, moments and fp32 copies of what trains, and the logits of one chunk of targets."""
    trained = [p for p in base.model.parameters() if p.requires_grad]
    state = sum(p.numel() * (12 if p.dtype == torch.float32 else 16 + p.element_size()) for p in trained)
    table = base.model.get_input_embeddings().weight
    assert isinstance(table, torch.Tensor)
    return int(state + at_once(base.device.type).targets * HEAD * table.shape[0])
