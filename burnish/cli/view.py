"""A run as a person sees it: a live display on a terminal, plain lines in a log."""

import sys
import time
from collections import deque
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from burnish.pipeline.events import (
    Adopted,
    Artifact,
    Asked,
    Began,
    Chosen,
    Note,
    Opened,
    Plan,
    Progress,
    Stage,
    Started,
)
from burnish.proof.verdict import times
from burnish.report.numbers import duration
from burnish.training.events import Evaluation, Event, Sample, Step, Stopped

SPARKS = "▁▂▃▄▅▆▇█"


def sparkline(values: list[float], width: int = 40) -> str:
    """Values as a row of blocks, the lowest and the highest at the ends of the scale."""
    if not values:
        return ""
    size = max(1, -(-len(values) // width))
    means = [sum(values[i : i + size]) / len(values[i : i + size]) for i in range(0, len(values), size)]
    low, high = min(means), max(means)
    return "".join(SPARKS[round((v - low) / (high - low or 1) * (len(SPARKS) - 1))] for v in means)


def one_line(text: str, width: int) -> str:
    """Text on one line, cut with an ellipsis where it is longer; control characters made visible."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


class View(Protocol):
    """A reader of the stream."""

    def show(self, event: Event) -> None:
        """Take notice of an event."""

    def close(self) -> None:
        """The stream ended."""


class Lines:
    """Plain lines, a step now and then: for logs and pipes."""

    def __init__(self, console: Console, every_seconds: float = 15.0) -> None:
        self.console, self.every = console, every_seconds
        self.width = max(60, min(console.width, 160))
        self.last = 0.0
        self.tokens, self.seconds = 0, 0.0

    def say(self, text: str = "") -> None:
        """One line, as it is."""
        self.console.print(Text(text), soft_wrap=True)

    def show(self, event: Event) -> None:
        """Say what is worth a line."""
        if isinstance(event, Step):
            self.tokens, self.seconds = self.tokens + event.tokens, self.seconds + event.seconds
            due = time.monotonic() - self.last > self.every or event.step in (1, event.steps)
            if due:
                self.say(self._step(event))
        elif isinstance(event, Progress):
            if event.done == event.total or time.monotonic() - self.last > self.every:
                self.last = time.monotonic()
                self.say(f"  {event.name}: {event.done}/{event.total} items, {duration(event.seconds)}")
        else:
            self._begin_anew(event)
            for line in spoken(event, self.width):
                self.say(line)

    def _begin_anew(self, event: Event) -> None:
        """Several methods are trained one after the other; each has a rate of its own."""
        if isinstance(event, Started):
            self.tokens, self.seconds = 0, 0.0

    def _step(self, event: Step) -> str:
        self.last = time.monotonic()
        rate = self.tokens / max(self.seconds, 1e-9)
        left = (event.steps - event.step) * self.seconds / max(1, event.step)
        loss = "skipped" if event.loss is None else f"{event.loss:.4f}"
        return (
            f"  step {event.step}/{event.steps}  loss {loss}  rate {event.learning_rate:.2e}  {rate:,.0f} tokens/s  "
            f"{event.memory_bytes / 1e9:.1f} GB  {duration(left)} left"
        )

    def close(self) -> None:
        """Nothing to undo."""


def spoken(event: Event, width: int) -> list[str]:
    """The lines for an event that both views print."""
    if isinstance(event, Started):
        where = f"{event.device}, {event.dtype}, {event.threads} threads"
        return [f"burnish {event.burnish}: {event.recipe} on {event.base} ({where}) -> {event.run}"]
    if isinstance(event, Plan):
        return list(event.lines)
    if isinstance(event, Asked):
        return [
            f"asked  {one_line(event.request, width - 8)}",
            f"wanted {one_line(event.expected, width - 8)}",
            f"base   {one_line(event.answer, width - 8)}",
        ]
    if isinstance(event, Began):
        return [f"{event.name} ..."]
    if isinstance(event, Evaluation):
        best = " (best so far)" if event.best else ""
        return [
            f"  step {event.step}: validation loss {event.loss:.4f} nats per token{best}, {duration(event.seconds)}"
        ]
    if isinstance(event, Sample):
        return [f"  step {event.step} answers: {one_line(event.answer, width - 24)}"]
    if isinstance(event, Chosen):
        return [f"  {line}" for line in event.lines]
    return _spoken_of_results(event)


def _spoken_of_results(event: Event) -> list[str]:
    if isinstance(event, Stage):
        return [f"  {event.name}: done in {duration(event.seconds)}, peak {event.peak_memory_bytes / 1e9:.1f} GB"]
    if isinstance(event, Note):
        return [f"note: {event.text}"]
    if isinstance(event, Artifact):
        share = event.trainable_parameters / event.total_parameters
        return [
            f"  kept the weights of step {event.step}: {event.path} ({event.bytes / 1e6:.1f} MB, "
            f"{event.trainable_parameters:,} trained parameters, {share:.2%} of the model)"
        ]
    if isinstance(event, Opened):
        again = f", opened {times(event.before)} before on this machine" if event.before else ""
        return [f"everything is frozen; now the {event.count} held-out items are opened{again}"]
    if isinstance(event, Adopted):
        return [f"{event.lines:,} answers of {', '.join(event.arms)} are those of {event.source}: asked the same"]
    if isinstance(event, Stopped):
        return [f"stopped after step {event.step} of {event.steps}; the state is saved"]
    return []


class Screen(Lines):
    """The same lines, with a live bar, a sparkline of the loss and an ETA under them."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, every_seconds=float("inf"))
        self.losses: deque[float] = deque(maxlen=2000)
        self.live = Live(console=console, refresh_per_second=4, transient=True)
        self.live.start()

    def show(self, event: Event) -> None:
        """Update what is live, print the rest above it."""
        if isinstance(event, Step):
            self.tokens, self.seconds = self.tokens + event.tokens, self.seconds + event.seconds
            if event.loss is not None:
                self.losses.append(event.loss)
            spark = Text(f"  loss {sparkline(list(self.losses))}", style="cyan")
            self.live.update(Group(self._bar(event.step, event.steps), Text(self._step(event)), spark))
        elif isinstance(event, Progress):
            left = event.seconds / max(1, event.done) * (event.total - event.done)
            text = f"  {event.name}: {event.done}/{event.total} items, {duration(left)} left"
            self.live.update(Group(self._bar(event.done, event.total), Text(text)))
        else:
            self._begin_anew(event)
            if isinstance(event, Started):
                self.losses.clear()
            if isinstance(event, Stage):
                self.live.update(Text(""))
            for line in spoken(event, self.width):
                self.say(line)

    def _bar(self, done: int, total: int) -> Table:
        grid = Table.grid(padding=(0, 1))
        grid.add_row("  ", ProgressBar(total=total, completed=done, width=min(60, self.width - 4)))
        return grid

    def close(self) -> None:
        """Leave the terminal as it was."""
        self.live.stop()


def view_for(console: Console) -> View:
    """A live screen on a terminal, plain lines elsewhere."""
    return Screen(console) if console.is_terminal and sys.stdout.isatty() else Lines(console)


__all__ = ["Lines", "Screen", "View", "one_line", "sparkline", "view_for"]
