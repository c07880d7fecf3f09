"""Commands: each parses, calls and shows. Everything heavy is imported inside, so that `burnish --help` is instant."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from burnish.errors import BurnishError
from burnish.version import VERSION

app = typer.Typer(
    name="burnish",
    help="Fine-tune a pretrained language model on your data, and see on held-out items what that bought.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Target = Annotated[str, typer.Argument(metavar="RECIPE|DATA", help="a recipe (.yaml), or a data file")]
Changes = Annotated[list[str] | None, typer.Argument(metavar="[a.b=c]...", help="recipe fields, as method.rank=8")]
Out = Annotated[Path | None, typer.Option("--out", help="where to write")]
Replace = Annotated[bool, typer.Option("--replace", help="replace what is there")]
Run = Annotated[Path, typer.Argument(metavar="DIR", help="a run directory")]
NamedRecipe = Annotated[Path | None, typer.Option("--recipe", help="the recipe, where it names Python files")]
F = TypeVar("F", bound=Callable[..., Any])


def typed_command() -> str:
    """`burnish` as it must be typed here: with its path where it is not on PATH."""
    found = shutil.which("burnish")
    here = Path(sys.argv[0])
    if found is not None or here.name != "burnish":
        return "burnish"
    here = here.absolute()
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else str(here)


@contextmanager
def _following() -> Iterator[Any]:
    """A view on the terminal for the events of a run."""
    from rich.console import Console

    from burnish.cli.view import view_for

    view = view_for(Console())
    try:
        yield view
    finally:
        view.close()


@app.command()
def run(target: Target, changes: Changes = None, out: Out = None, replace: Replace = False) -> None:
    """Check, choose prompts on validation, train, measure every arm on held-out items, report."""
    from burnish.cli.show import follow
    from burnish.pipeline.directory import free_name
    from burnish.pipeline.reuse import runs_beside
    from burnish.pipeline.run import begin
    from burnish.pipeline.several import begin_several
    from burnish.pipeline.start import loaded_from

    loaded = loaded_from(target, changes or [])
    start: Callable[..., Any] = begin_several
    if not isinstance(loaded.recipe.method, list):
        out = out or free_name(Path("runs"), loaded.name)
        start = partial(begin, likes=runs_beside(out) if loaded.recipe.proof.reuse else ())
    with _following() as view:
        follow(partial(start, loaded, out=out, replace=replace, command=typed_command()), view, typed_command())


@app.command()
def resume(directory: Run, recipe: NamedRecipe = None) -> None:
    """Go on with a run that was stopped."""
    from burnish.cli.show import follow
    from burnish.pipeline.run import go_on
    from burnish.pipeline.several import go_on_several
    from burnish.report.several import is_several

    start = go_on_several if is_several(directory) else go_on
    with _following() as view:
        follow(partial(start, directory, recipe=recipe, command=typed_command()), view, typed_command())


@app.command()
def init(data: Annotated[Path, typer.Argument(metavar="DATA")], out: Out = None, replace: Replace = False) -> None:
    """Guess format, fields, task and instruction; write a recipe.yaml beside the data; show the check page."""
    from burnish.cli.show import show_check
    from burnish.data.guess import guess
    from burnish.pipeline.start import loaded_guess, recipe_path, write_recipe

    data = data.expanduser()
    path, found = recipe_path(data, out, replace), guess(data)
    show_check(loaded_guess(found, data))
    write_recipe(found, data, path)
    typer.echo(f"\nwrote {path}; read it, change what you like, then: {typed_command()} run {path}")


@app.command()
def check(target: Target, changes: Changes = None) -> None:
    """What is in the data, what would be dropped, and which tokens would be trained."""
    from burnish.cli.show import show_check
    from burnish.pipeline.start import loaded_from

    show_check(loaded_from(target, changes or []))


@app.command()
def generate(
    directory: Run,
    data: Annotated[Path, typer.Option("--data", help="requests, a record each, with the fields of the training data")],
    out: Annotated[Path, typer.Option("--out", help="answers, a line each; a file begun is gone on with")],
    replace: Replace = False,
) -> None:
    """Answer many requests with a tuned model."""
    from burnish.cli.show import show_progress
    from burnish.pipeline.use import generate_file

    show_progress(generate_file(directory, data, out, replace=replace))
    typer.echo(f"wrote {out}")


@app.command()
def chat(
    directory: Run,
    arm: Annotated[str, typer.Option("--arm", help="tuned, base, best_prompt, or a prompt's own name")] = "tuned",
) -> None:
    """Talk to a tuned model, or to its base with a prompt; an empty line or Ctrl-D ends it."""
    from burnish.cli.show import chat_with
    from burnish.pipeline.use import Conversation

    chat_with(Conversation.open(directory, arm))


@app.command()
def evaluate(directory: Run, recipe: NamedRecipe = None) -> None:
    """Open the held-out items of a run that left them closed (proof.effort: none), and report on them."""
    from burnish.cli.show import follow
    from burnish.pipeline.run import evaluate as start

    with _following() as view:
        follow(partial(start, directory, recipe=recipe, command=typed_command()), view, typed_command())


@app.command()
def samples(
    directory: Run,
    arm: Annotated[str, typer.Option("--arm", help="tuned, base, best_prompt, simple, or a prompt's own name")],
    wrong: Annotated[bool, typer.Option("--wrong", help="only wrong answers; other metrics: the worst first")] = False,
    part: Annotated[str | None, typer.Option("--part", help="held_out, validation or retention")] = None,
) -> None:
    """Show exact prompts and answers of an arm, with what was expected and the score."""
    from burnish.report.samples import show_samples

    for line in show_samples(directory, arm, wrong=wrong, part=part):
        typer.echo(line)


@app.command()
def report(directory: Run) -> None:
    """Write report.html, report.md and report.json anew from the run directory, without a model, and show them."""
    from burnish.cli.show import show_report

    show_report(directory, typed_command())


@app.command()
def models() -> None:
    """The catalog and what is cached, with parameters, context, licence and size."""
    from burnish.cli.show import show_models

    show_models()


@app.command()
def methods(
    measure: Annotated[
        str | None, typer.Option("--measure", metavar="MODEL", help="What each costs on this model and machine.")
    ] = None,
) -> None:
    """The ways to change a model, with their variants, learning rates, and who reads what they make."""
    from burnish.cli.show import show_methods, show_prices

    if measure is None:
        show_methods()
    else:
        show_prices(measure)


@app.command()
def export(
    directory: Run,
    to: Annotated[str, typer.Option("--to", help="merged or peft")],
    out: Out = None,
    replace: Replace = False,
) -> None:
    """Make another format from a run: a merged model directory, or the adapter with its base's public name."""
    from burnish.pipeline.use import export_run

    for line in export_run(directory, to, out, replace=replace):
        typer.echo(line)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"burnish {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show the version")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="show the traceback of an error")] = False,
) -> None:
    """Options before every command."""


def main() -> None:
    """Run a command; an error is one sentence and an exit code, a traceback only with --debug."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="burnish")
    except BurnishError as error:
        if debug:
            raise
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        what = " ".join(f"{type(error).__name__}: {error}".split())
        typer.echo(f"burnish itself failed: {what}\nRun it again with --debug and report what it prints.", err=True)
        sys.exit(1)
