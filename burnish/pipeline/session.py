"""What the stages of one run share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter

from torch import nn

from burnish.errors import Interrupted
from burnish.generation.decode import generate
from burnish.pipeline.directory import RunDirectory
from burnish.pipeline.events import Stage
from burnish.pipeline.start import Prepared
from burnish.proof.arm import ArmContext, asked
from burnish.proof.engine import ModelEngine
from burnish.proof.measure import Setup, calibration_inputs
from burnish.training.events import Event
from burnish.training.memory import peak_bytes
from burnish.types import Example, Message


@dataclass(slots=True)
class Stop:
    """A wish to stop, set from outside (Ctrl-C, SIGTERM); the run ends at the next safe place."""

    exit_code: int | None = None

    def wanted(self) -> bool:
        """Whether somebody asked."""
        return self.exit_code is not None


@dataclass(slots=True)
class Session:
    """One run while it runs."""

    run: RunDirectory
    prepared: Prepared
    stop: Stop
    command: str
    began: datetime
    likes: Sequence[RunDirectory] = ()  # runs that may have asked the untuned model the same things
    alike: list[RunDirectory] | None = None  # those of them that did; None: not looked at yet
    opening: str | None = None  # the name of the opening of held-out items, where several runs share one
    evaluate: bool = False  # the held-out items are wanted, though the recipe leaves them closed
    tuned: bool = False  # the model in memory carries the frozen change
    _setup: Setup | None = field(default=None)

    @property
    def model(self) -> nn.Module:
        """The model in memory."""
        model: nn.Module = self.prepared.base.model
        return model

    def engine(self) -> ModelEngine:
        """The model as a measurement asks it."""
        return ModelEngine(self.model, self.prepared.encoder.stop_ids, self.prepared.answer_tokens)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of generated ids, without special tokens."""
        return self.prepared.encoder.answer_text(tokens)

    def ask(self, item: Example) -> str:
        """The answer of the model in memory to one item."""
        prompt = self.prepared.encoder.prompt(asked(item))
        limit = self.prepared.answer_tokens
        found = generate(self.model, [prompt], stop_ids=self.prepared.encoder.stop_ids, max_new_tokens=limit)
        return self.decode(found[0].tokens)

    @property
    def setup(self) -> Setup:
        """What is the same for every arm."""
        if self._setup is None:
            prepared, seed = self.prepared, self.prepared.recipe.training.seed
            self._setup = Setup(
                renderer=prepared.encoder,
                decode=self.decode,
                metrics=prepared.task.metrics,
                kind=prepared.task.kind,
                labels=prepared.task.labels,
                calibration=calibration_inputs(prepared.dataset.train, seed),
                length=prepared.tokenized.max_length,
                seed=seed,
            )
        return self._setup

    def context(self) -> ArmContext:
        """What arms are built from."""
        prepared = self.prepared
        room = prepared.base.context - prepared.answer_tokens

        def fits(messages: Sequence[Message]) -> bool:
            return len(prepared.encoder.prompt(messages)) <= room

        return ArmContext(
            train=prepared.dataset.train,
            kind=prepared.task.kind,
            seed=prepared.recipe.training.seed,
            fits=fits,
            validation=prepared.dataset.validation,
        )

    @contextmanager
    def timed(self, name: str, ended: list[Event]) -> Iterator[None]:
        """Put the stage's closing event into `ended` when it is over."""
        start = perf_counter()
        yield
        ended.append(self.so_far(name, start))

    def so_far(self, name: str, start: float) -> Event:
        """What a stage that began at `start` has taken."""
        return Stage(name, round(perf_counter() - start, 3), peak_bytes(self.prepared.base.device.type))

    def check_stop(self) -> None:
        """Raise `Interrupted` where somebody asked to stop; everything done so far is in the run directory."""
        if self.stop.exit_code is not None:
            recipe = self.prepared.loaded.source
            python = getattr(self.prepared.recipe.task.metric, "path", None)
            more = f" --recipe {recipe}" if python and recipe else ""
            raise Interrupted(f"stopped; go on with: {self.command} resume {self.run.path}{more}", self.stop.exit_code)
