"""The `training:` part of a recipe, and what its "auto" values become."""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from burnish.data.order import steps_for
from burnish.training.schedule import Schedule

Auto = Literal["auto"]
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, lt=1e6)]
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def _bytes(value: object) -> object:
    """`6 GB`, `512MB` or `1.5 GiB` as bytes; anything else goes on to be judged as it is."""
    read = re.fullmatch(r"(\d+(?:\.\d+)?) *([kmg]?i?)b?", value.strip().lower()) if isinstance(value, str) else None
    return int(float(read[1]) * UNITS[read[2]]) if read and read[2] in UNITS else value


Bytes = Annotated[int, Field(ge=1), BeforeValidator(_bytes)]


class TrainingSettings(BaseModel):
    """How the weights are updated."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Count | Auto = Field(
        default="auto", description="visits of every record; auto: the fewest of 1-3 that give 100 updates"
    )
    max_steps: int | None = Field(
        default=None, ge=0, description="stop after so many updates; 0 trains nothing, for an adapter that exists"
    )
    batch_size: Count | Auto = Field(
        default="auto", description="records an update; auto: 4 under 800 records, 8 under 5,000, then 16"
    )
    learning_rate: Rate | Auto = Field(default="auto", description="peak rate; auto: by method and size of the base")
    schedule: Schedule = Field(
        default="linear", description="how the rate falls after the warm-up: linear, cosine or constant"
    )
    warmup: float = Field(default=0.06, ge=0, lt=1, description="share of the updates in which the rate climbs")
    weight_decay: float = Field(default=0.0, ge=0, description="decay of trained matrices")
    clip: float = Field(default=1.0, ge=0, description="largest norm of the gradient; 0 never clips")
    max_length: Count | Auto = Field(
        default="auto", description="longest record in tokens; auto: the smaller of the context and 4,096"
    )
    micro_batch_tokens: Count | Auto = Field(
        default="auto",
        description="tokens computed at once, beside what several records begin with; changes memory, and "
        "results by rounding alone; auto: 512 (8,192 on CUDA), or fewer where `memory` asks for it",
    )
    memory: Bytes | Auto = Field(
        default="auto",
        description="the most that training may take, as `6 GB`; auto: nine tenths of what is free when the run starts",
    )
    recompute: bool | Auto = Field(
        default="auto",
        description="keep of each block only what goes into it, and compute its inside again on the way back: a "
        "fraction of the memory for a third more time, the same results; auto: where `memory` asks for it",
    )
    evaluate_every: Count | Auto = Field(
        default="auto", description="updates between two validation losses; auto: five in a run"
    )
    checkpoint_every: Count | Auto = Field(
        default="auto", description="updates between two checkpoints; auto: as evaluate_every"
    )
    checkpoints_kept: int = Field(default=1, ge=1, description="latest checkpoints kept beside the best one")
    seed: int = Field(default=0, ge=0, description="of the order of records, the method's start and dropout")
    dtype: Literal["auto", "bf16", "fp32"] = Field(
        default="auto", description="of the computation; auto: bf16 where it is faster"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="auto: an accelerator where there is one"
    )

    def resolved(self, *, records: int, documents: int, rate: float, context: int, row: int) -> "TrainingSettings":
        """Every "auto" replaced for this many training records and documents; written into the run's recipe.

        `row`: tokens that the device computes at once where nothing else is said.
        """
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = 4 if records < 800 else 8 if records < 5000 else 16
        epochs = self.epochs
        if epochs == "auto":
            epochs = next((e for e in (1, 2, 3) if steps_for(documents, batch_size, e) >= 100), 3)
        steps = steps_for(documents, batch_size, int(epochs))
        steps = steps if self.max_steps is None else min(steps, self.max_steps)
        every = max(1, -(-steps // 5)) if self.evaluate_every == "auto" else self.evaluate_every
        return self.model_copy(
            update={
                "batch_size": batch_size,
                "epochs": epochs,
                "learning_rate": rate if self.learning_rate == "auto" else self.learning_rate,
                "max_length": min(context, 4096) if self.max_length == "auto" else min(context, self.max_length),
                "micro_batch_tokens": row if self.micro_batch_tokens == "auto" else self.micro_batch_tokens,
                "recompute": self.recompute is True,
                "evaluate_every": every,
                "checkpoint_every": every if self.checkpoint_every == "auto" else self.checkpoint_every,
            }
        )

    def steps(self, documents: int) -> int:
        """Updates of a run; only for resolved settings."""
        assert isinstance(self.batch_size, int)
        assert isinstance(self.epochs, int)
        steps = steps_for(documents, self.batch_size, self.epochs)
        return steps if self.max_steps is None else min(steps, self.max_steps)
