"""The engine by hand: forward and backward, an optimiser step, a sample, the state, the weights."""

import math
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from burnish.data.pack import micro_batches
from burnish.errors import TrainingError
from burnish.generation.choose import reference_nats
from burnish.generation.decode import Generated, generate
from burnish.methods.method import Method, Start
from burnish.models.adapters import frame_of
from burnish.models.at_once import at_once
from burnish.models.attention import forward_hidden, is_packed
from burnish.models.dropout import training_on
from burnish.models.recompute import recomputed
from burnish.training.checkpoint import Checkpoint, save_checkpoint
from burnish.training.loss import plain_loss, summed_loss
from burnish.training.optimizer import Optimizer
from burnish.types import Batch, StepResult, TokenizedExample


@dataclass(slots=True)
class Update:
    """What was accumulated since the last optimiser step."""

    nats: float = 0.0
    targets: int = 0
    tokens: int = 0
    seconds: float = 0.0


class Trainer:
    """Trains a model by a method; the model must be in `eval()` (its own dropout is off) and frozen.

    `plain` takes the slow, readable path instead - one document a forward, transformers' own attention, LoRA without
    its own autograd function, full logits - and is the oracle of the laws. Without `share` every document stands in its
    row whole, even where all of an update begin alike. With `recompute` a forward pass keeps of each block only what
    goes into it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        method: Method,
        *,
        start: Start | None = None,
        seed: int = 0,
        micro_batch_tokens: int | None = None,
        weight_decay: float = 0.0,
        clip: float = 1.0,
        plain: bool = False,
        attach: bool = True,
        share: bool = True,
        recompute: bool = False,
    ) -> None:
        self.model, self.method, self.seed, self.clip, self.plain = model, method, seed, clip, plain
        self.micro_batch_tokens = micro_batch_tokens or at_once(self.device.type).rows[0]
        self.recompute = recompute
        self.share = share and not getattr(method, "dropout", 0.0)  # each document draws a mask of its own
        self.step = 0
        if attach:
            method.attach(model, start or Start(torch.Generator().manual_seed(seed)))
        if plain:
            model.set_attn_implementation("eager")
            for module in model.modules():
                if hasattr(module, "plain"):
                    module.plain = True
        self.optimizer = Optimizer(model, weight_decay=weight_decay, rate_factor=method.rate_factor)
        self.update = Update()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def forward_backward(self, documents: Sequence[TokenizedExample] | Batch) -> Update:
        """Add the gradient of the documents' summed loss; call it as often as memory asks for, then `optim_step`."""
        began = time.perf_counter()
        alone = self.plain or not is_packed(self.model)
        if isinstance(documents, Batch):
            batches = iter([documents])
        else:
            frame = frame_of(self.model)
            rows = micro_batches(documents, self.micro_batch_tokens, frame=frame, alone=alone, share=self.share)
            batches = (batch for _, batch in rows)
        for batch in batches:
            self._accumulate(batch.to(self.device))
        self.update.seconds += time.perf_counter() - began
        return self.update

    def _accumulate(self, batch: Batch) -> None:
        times = batch.times()
        with training_on(batch, self.seed, self.step), recomputed(self.model, self.recompute):
            if self.plain:
                loss = plain_loss(self.model, batch)
            else:
                loss = summed_loss(self.model, forward_hidden(self.model, batch), batch.targets, times)
        loss.backward()  # type: ignore[no-untyped-call]
        self.update.nats += float(loss.detach())
        self.update.targets += int(times[batch.targets >= 0].sum())
        self.update.tokens += int(times[batch.tokens >= 0].sum())

    def optim_step(self, learning_rate: float) -> StepResult:
        """Divide once by all targets of the update (rule 2), clip, step; skip where a number is not finite."""
        done, began = self.update, time.perf_counter()
        if done.targets == 0:
            raise TrainingError(f"update {self.step + 1} has no targets, so there is nothing to learn from")
        norm = self.optimizer.gather(done.targets)
        loss, grad_norm = done.nats / done.targets, float(norm)
        finite = math.isfinite(loss) and math.isfinite(grad_norm)
        if finite:
            self.optimizer.step(learning_rate, norm, self.clip)
        else:
            self.optimizer.clear()
        self.step += 1
        self.update = Update()
        seconds = done.seconds + time.perf_counter() - began
        return StepResult(loss, grad_norm, done.targets, done.tokens, seconds, learning_rate, skipped=not finite)

    def validation_loss(self, documents: Sequence[TokenizedExample]) -> tuple[float, int]:
        """(nats per target, targets) over documents, nothing trained."""
        measured = reference_nats(self.model, documents)
        targets = sum(count for _, count in measured)
        return sum(nats for nats, _ in measured) / max(1, targets), targets

    def sample(self, prompts: Sequence[Sequence[int]], *, stop_ids: Set[int], max_new_tokens: int) -> list[Generated]:
        """Greedy answers of the model as it is now."""
        return generate(self.model, prompts, stop_ids=stop_ids, max_new_tokens=max_new_tokens)

    def save_state(self, root: Path, *, identity: Mapping[str, object], counters: Mapping[str, object]) -> Path:
        """A checkpoint under `root` from which `load_state` goes on bit for bit."""
        return save_checkpoint(root, self.step, self.optimizer.state(), identity=identity, counters=counters)

    def load_state(self, checkpoint: Checkpoint) -> None:
        """Put back tensors, optimiser and step."""
        self.optimizer.load(checkpoint.tensors())
        self.step = checkpoint.step

    def end_with(self, checkpoint: Checkpoint) -> None:
        """Put back a checkpoint's weights for use; the optimiser's moments are neither read nor kept."""
        self.optimizer.end(checkpoint.weights())
        self.step = checkpoint.step

    def trained_tensors(self) -> dict[str, Tensor]:
        """What trains, in fp32, by name."""
        return {name: master.detach() for name, master in self.optimizer.masters.items()}
