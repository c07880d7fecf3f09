"""`method: [lora, prefix, full]`: a run for each method on the same data, and the comparison of what came out.

The directory holds a run for each method under its name, and the comparison beside them. Every method is trained and
frozen before the held-out items are opened for any (rule 6). Answers of the untuned model are measured by the first run
and taken over by the others, which is possible because all encode the same records: the longest record is what the
method with the least room takes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from burnish.errors import Interrupted, RecipeError, RunError, TrainingError
from burnish.files import read_json, write_json
from burnish.methods.method import short_name
from burnish.methods.peft_format import method_of
from burnish.pipeline.directory import RECIPE, RunDirectory, check_free, free_name
from burnish.pipeline.events import Compared, Finished, Note
from burnish.pipeline.recipe import Loaded, resolved_yaml
from burnish.pipeline.reuse import runs_in
from burnish.pipeline.run import allow_python, begin, go_on, is_finished, is_frozen
from burnish.pipeline.session import Stop
from burnish.pipeline.start import prepare, room_of
from burnish.pipeline.tuned import recipe_of
from burnish.proof.metric import LoadedMetric
from burnish.report.publish import publish_comparison
from burnish.report.several import SEVERAL, names_in
from burnish.training.events import Event
from burnish.version import VERSION


@dataclass(frozen=True)
class _Work:
    path: Path
    parts: Mapping[str, Loaded]
    stop: Stop
    command: str
    recipe: Path | None  # that the user named
    allowed: Sequence[str]  # Python files in it
    reuse: bool
    metrics: tuple[LoadedMetric, ...]

    def begun(self, name: str) -> bool:
        """Whether a run got so far that it can be gone on with."""
        where = self.path / name
        return (where / RECIPE).is_file() and RunDirectory.open(where).started() is not None

    def ready(self, name: str, done: Callable[[RunDirectory], bool]) -> bool:
        """Whether a run got so far that there is nothing left to do."""
        return self.begun(name) and done(RunDirectory.open(self.path / name))


def methods_of(loaded: Loaded) -> dict[str, Loaded]:
    """The recipe once for each of its methods, by the name of its run."""
    given = loaded.recipe.method
    assert isinstance(given, list)
    if len(given) < 2:
        raise RecipeError("method: a list compares methods, so it names two or more; for one, write its name alone")
    found: dict[str, Loaded] = {}
    for fields in given:
        method = method_of(fields)
        name = short_name(method, "-")
        while name in found:  # lora, lora-2, lora-3
            stem, _, number = name.rpartition("-")
            name = f"{stem}-{int(number) + 1}" if number.isdigit() else f"{name}-2"
        recipe = loaded.recipe.model_copy(update={"method": fields})
        found[name] = replace(loaded, recipe=recipe, several=True)
    return found


def begin_several(
    loaded: Loaded, stop: Stop | None = None, *, out: Path | None, replace: bool = False, command: str = "burnish"
) -> Iterator[Event]:
    """A new comparison; what can be refused of any method is refused before anything is written."""
    path = out or free_name(Path("runs"), loaded.name)
    check_free(path, replace)
    loaded, metrics = _same_records(loaded)
    parts = methods_of(loaded)
    run = RunDirectory.create(path, resolved_yaml(loaded.recipe, f"burnish {VERSION}: a run for each method."))
    opening = f"{datetime.now(UTC).isoformat(timespec='seconds')} {path.name}"
    write_json(path / SEVERAL, {"runs": list(parts), "opening": opening})
    with run.held():
        python, reuse = loaded.recipe.python_files, loaded.recipe.proof.reuse
        yield from _each(_Work(path, parts, stop or Stop(), command, loaded.source, python, reuse, metrics))


def go_on_several(
    directory: Path, stop: Stop | None = None, *, recipe: Path | None = None, command: str = "burnish"
) -> Iterator[Event]:
    """Go on where a comparison was stopped: finished runs are kept, a begun one is resumed."""
    run = RunDirectory(directory)
    kept = recipe_of(run)
    allow_python(kept, recipe, directory)
    parts = methods_of(Loaded(kept, directory.name, recipe))
    work = _Work(directory, parts, stop or Stop(), command, recipe, kept.python_files, kept.proof.reuse, ())
    if all(work.ready(name, is_finished) for name in parts):
        raise RunError(f"{directory}: every method is finished; see them with `{command} report {directory}`")
    with run.held():
        metrics = prepare(next(iter(parts.values()))).task.metrics
        yield from _each(replace(work, metrics=metrics))


def _same_records(loaded: Loaded) -> tuple[Loaded, tuple[LoadedMetric, ...]]:
    """The recipe with a `max_length` that every method has room for, so that all train and answer the same records.

    Every method is prepared for it, so whatever is wrong with one is told here.
    """
    needed = [_needs(part) for part in methods_of(loaded).values()]
    rooms, metrics = [room for room, _ in needed], needed[-1][1]
    given = loaded.recipe.training.max_length
    longest = min(*rooms, 4096 if given == "auto" else given)
    training = loaded.recipe.training.model_copy(update={"max_length": longest})
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"training": training})), metrics


def _needs(part: Loaded) -> tuple[int, tuple[LoadedMetric, ...]]:
    """The room that a method leaves to documents, and the task's metrics; its model is gone before the next is read."""
    prepared = prepare(part)
    return room_of(prepared.base, prepared.method), prepared.task.metrics


def _each(work: _Work) -> Iterator[Event]:
    """First all methods until they are frozen, then the held-out items for each."""
    failed: dict[str, str] = {}
    try:
        for number, name in enumerate(work.parts, 1):
            if not work.ready(name, is_frozen):
                yield Note(f"method {number} of {len(work.parts)}: {name}")
                try:
                    yield from _trained(work, name)
                except TrainingError as error:  # a rate that is too high for one method ends only that one
                    failed[name] = str(error)
                    yield Note(f"{name} is left out: {error}")
        for name in work.parts:
            if name not in failed and not work.ready(name, is_finished):
                yield from _measured(work, name)
    except Interrupted as error:
        named = f" --recipe {work.recipe}" if work.recipe and " --recipe " in str(error) else ""
        raise Interrupted(f"stopped; go on with: {work.command} resume {work.path}{named}", error.exit_code) from error
    found = publish_comparison(work.path, names_in(work.path), work.metrics)
    yield Compared(str(work.path), found.to_json())


def _trained(work: _Work, name: str) -> Iterator[Event]:
    where, likes = work.path / name, _likes(work, name)
    if work.begun(name):
        yield from go_on(
            where,
            work.stop,
            recipe=work.recipe,
            command=work.command,
            likes=likes,
            until_frozen=True,
            allowed=work.allowed,
        )
    else:
        part, command = work.parts[name], work.command
        yield from begin(part, work.stop, out=where, replace=True, command=command, likes=likes, until_frozen=True)


def _measured(work: _Work, name: str) -> Iterator[Event]:
    value = read_json(work.path / SEVERAL)
    opening = str(value.get("opening")) if isinstance(value, dict) else None
    where, likes, command = work.path / name, _likes(work, name), work.command
    yield Note(f"{name} on held-out items")
    events = go_on(
        where,
        work.stop,
        recipe=work.recipe,
        command=command,
        likes=likes,
        opening=opening,
        allowed=work.allowed,
    )
    for event in events:
        if isinstance(event, Finished):
            verdict = event.report["verdict"]
            assert isinstance(verdict, dict)
            yield Note(f"{name}: {verdict['sentence']}")
        else:
            yield event


def _likes(work: _Work, name: str) -> list[RunDirectory]:
    return [] if not work.reuse else runs_in([work.path / other for other in work.parts if other != name])
