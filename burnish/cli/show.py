"""What commands show: a run as it goes, the check page, a report, a chat."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import typer
from rich.console import Console
from rich.table import Table

from burnish.cli.view import View
from burnish.data.check import check_page
from burnish.methods.method import method_from, method_names, variants_of
from burnish.models.parameters import list_models
from burnish.pipeline.events import Compared, Finished, Progress
from burnish.pipeline.plan import plan_lines
from burnish.pipeline.price import DOCUMENTS, LENGTH, prices
from burnish.pipeline.recipe import Loaded
from burnish.pipeline.session import Stop
from burnish.pipeline.several import methods_of
from burnish.pipeline.start import prepare
from burnish.pipeline.use import Conversation
from burnish.report.comparison import Comparison, lines_of
from burnish.report.numbers import memory
from burnish.report.publish import MARKDOWN, publish, publish_comparison
from burnish.report.schema import Report
from burnish.report.several import is_several, names_in
from burnish.report.terminal import closing_lines, table
from burnish.training.events import Event


def show_comparison(directory: Path, command: str) -> None:
    """Compare the methods of a directory anew and show them."""
    for line in lines_of(publish_comparison(directory, names_in(directory)), directory, command):
        typer.echo(line)


def follow(start: Callable[[Stop], Iterator[Event]], view: View, command: str) -> None:
    """Show a run's events; Ctrl-C and SIGTERM stop it at the next safe place, a second Ctrl-C at once."""
    stop = Stop()

    def wish(number: int, _: FrameType | None) -> None:
        stop.exit_code = 128 + number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        typer.echo("stopping at the next safe place; once more to stop at once", err=True)

    signal.signal(signal.SIGINT, wish)
    signal.signal(signal.SIGTERM, wish)
    for event in start(stop):
        view.show(event)
        if isinstance(event, Finished):
            view.close()
            report = Report.model_validate(event.report)
            typer.echo("")
            for line in closing_lines(report, command=command, run=Path(event.run), width=Console().width):
                typer.echo(line)
        if isinstance(event, Compared):
            view.close()
            typer.echo("")
            for line in lines_of(Comparison.model_validate(event.comparison), Path(event.run), command):
                typer.echo(line)


def show_check(loaded: Loaded) -> None:
    """The check page, and the plan that follows from it."""
    if isinstance(loaded.recipe.method, list):
        loaded = next(iter(methods_of(loaded).values()))  # the data are the same for all
    prepared = prepare(loaded, lambda text: typer.echo(text, err=True))
    console = Console()
    console.print(check_page(prepared.tokenized, prepared.encoder, colour=console.is_terminal), soft_wrap=True)
    typer.echo("")
    for line in plan_lines(prepared):
        typer.echo(line)


def show_report(directory: Path, command: str) -> None:
    """Write a report anew from its directory, show it, and say where its forms are."""
    if is_several(directory):
        show_comparison(directory, command)
        return
    report = publish(directory)
    console = Console()
    console.print(table(report))
    for line in closing_lines(report, command=command, run=directory, width=console.width):
        typer.echo(line)
    typer.echo(f"as text {directory / MARKDOWN}")


def show_models() -> None:
    """The catalog and the cache as a table."""
    shown = Table(box=None, pad_edge=False)
    for number, title in enumerate(("model", "size", "context", "licence", "on disk", "to train", "note")):
        shown.add_column(title, justify="left" if number in (0, 3, 6) else "right", no_wrap=number != 6)
    for info in list_models():
        shown.add_row(
            info.name,
            "?" if info.parameters is None else f"{info.parameters / 1e6:,.0f} M",
            "?" if info.context is None else f"{info.context:,}",
            info.licence or "?",
            "-" if info.bytes is None else f"{info.bytes / 1e6:,.0f} MB",
            "?" if info.memory is None else f"{info.memory / 1e9:.1f} GB",
            info.note if info.where != "hub" else f"hub, {info.note}",
        )
    Console().print(shown)


def show_methods() -> None:
    """Every method: its variants, the rate that auto means for small and large bases, and who reads what it makes."""
    shown = Table(box=None, pad_edge=False)
    for number, title in enumerate(("method", "rate", "above 8 B", "merges", "read by", "what it is")):
        shown.add_column(title, justify="right" if number in (1, 2) else "left", no_wrap=number < 4)
    for name in method_names():
        method = method_from(name)
        about = (type(method).__doc__ or "").strip().splitlines()[0]
        variants = variants_of(method)
        readers = method.readers if method.makes_adapter else "anybody: a whole model"
        merges = "yes" if method.why_unmergeable is None else "no"
        shown.add_row(
            f"{name}{' (' + ', '.join(variants) + ')' if variants else ''}",
            *(f"{method.learning_rate(parameters):g}" for parameters in (135_000_000, 8_000_000_001)),
            merges,
            readers,
            about,
        )
    Console().print(shown)


def _bar(share: float, cells: int) -> str:
    eighths = max(1, round(share * cells * 8))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def show_prices(model: str) -> None:
    """Every method's parameters, memory, time of an update and file on this model, with bars against the largest."""
    typer.echo(f"measuring an update of {DOCUMENTS} documents of {LENGTH} tokens with every method on {model}")
    found = []
    for price in prices(model):
        found.append(price)
        typer.echo(f"  {price.method}: {price.why_not or f'{price.seconds:.2f} s, {memory(price.peak_bytes)}'}")
    measured = [price for price in found if price.why_not is None]
    most = max((price.peak_bytes for price in measured), default=1)
    longest = max((price.seconds for price in measured), default=1.0)
    console, shown = Console(), Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    cells = 12 if console.width >= 90 else 6  # numbers are never cut off for a bar
    for title in ("method", "trains", "of all", "memory", "", "an update", "", "file"):
        shown.add_column(title, justify="right" if title in ("trains", "of all", "file") else "left", no_wrap=True)
    for price in measured:
        shown.add_row(
            price.method,
            f"{price.trained:,}",
            f"{price.trained / price.parameters:.2%}",
            _bar(price.peak_bytes / most, cells),
            memory(price.peak_bytes),
            _bar(price.seconds / longest, cells),
            f"{price.seconds:.2f} s",
            memory(price.file_bytes),
        )
    console.print(shown)
    typer.echo("memory is the most that the process held, the model and torch included; bars are against the largest")


def show_progress(events: Iterator[Progress]) -> None:
    """A counter on a terminal, a line at the end elsewhere."""
    last = None
    for last in events:
        if sys.stderr.isatty():
            typer.echo(f"\r{last.done}/{last.total} answers, {last.seconds:.0f} s", nl=False, err=True)
    if last is not None:
        typer.echo(f"\r{last.done}/{last.total} answers, {last.seconds:.0f} s", err=True)


def chat_with(conversation: Conversation) -> None:
    """Questions from standard input, answers to standard output."""
    typer.echo(f"{conversation.title}. An empty line or Ctrl-D ends it; /new forgets the conversation.")
    while True:
        try:
            text = input("> " if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            return
        if not text.strip():
            return
        if text.strip() == "/new":
            conversation.forget()
            continue
        typer.echo(conversation.answer(text))
