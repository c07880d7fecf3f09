"""The main job: check, plan, choose prompts on validation, train, freeze, all arms on held-out items, report.

Every stage finds in the run directory what it did before, so going on with a stopped run is the same code.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
import transformers

from burnish.data.check import masks
from burnish.errors import RunError
from burnish.pipeline.arms import choose_prompts, choose_scoring, measure_closed, measure_held_out
from burnish.pipeline.directory import DATA, MASK, RunDirectory, check_free, free_name
from burnish.pipeline.events import Asked, Finished, Frozen, Note, Plan, Started, Task, as_line
from burnish.pipeline.fit import train_stage
from burnish.pipeline.plan import forward_rate, minutes, plan_lines
from burnish.pipeline.recipe import Loaded, Recipe, load_recipe, resolved_yaml
from burnish.pipeline.session import Session, Stop
from burnish.pipeline.start import Prepared, data_part, loaded_from, prepare, processor, refuse_python_from
from burnish.pipeline.tuned import recipe_of
from burnish.proof.prompting import candidates
from burnish.report.measured import task_as_json
from burnish.report.pictures import write_pictures
from burnish.report.publish import publish
from burnish.report.schema import Report
from burnish.training.events import Event
from burnish.version import VERSION


@dataclass(slots=True)
class _Notes:
    """Sentences that were said while nothing could be yielded."""

    said: list[str] = field(default_factory=list)

    def taken(self) -> list[Note]:
        """What was said since the last time."""
        notes = [Note(text) for text in self.said]
        self.said.clear()
        return notes


def begin(
    loaded: Loaded,
    stop: Stop | None = None,
    *,
    out: Path | None,
    replace: bool = False,
    command: str = "burnish",
    likes: Sequence[RunDirectory] = (),
    until_frozen: bool = False,
) -> Iterator[Event]:
    """A new run; its events, as they happen. Everything that can be refused is refused before anything is written.

    `likes`: runs that may have asked the untuned model the same things. `until_frozen`: end before held-out items.
    """
    path = out or free_name(Path("runs"), loaded.name)
    check_free(path, replace)
    notes = _Notes()
    prepared = prepare(loaded, notes.said.append)
    comment = f"Resolved by burnish {VERSION}; the whole run follows from this file, its data and its base model."
    run = RunDirectory.create(path, resolved_yaml(prepared.recipe, comment))
    with run.held():
        run.put(DATA, data_part(prepared))
        run.put(MASK, masks(prepared.tokenized, prepared.encoder))
        session = Session(run, prepared, stop or Stop(), command, datetime.now(UTC), likes)
        yield from _kept(session, _opening(session, notes))
        yield from _kept(session, _stages(session, until_frozen))


def go_on(
    directory: Path,
    stop: Stop | None = None,
    *,
    recipe: Path | None = None,
    command: str = "burnish",
    likes: Sequence[RunDirectory] = (),
    until_frozen: bool = False,
    opening: str | None = None,
    allowed: Sequence[str] | None = None,
) -> Iterator[Event]:
    """Go on with a run that was stopped; raises `RunError` where data, base, versions or machine are not the same.

    `opening`: the name that several runs give to one opening of their held-out items. `allowed`: Python files that the
    user named already.
    """
    run = RunDirectory.open(directory)
    with run.held():
        if is_finished(run):
            raise RunError(f"{directory}: this run is finished; see it with `{command} report {directory}`")
        session = _taken_up(run, recipe, stop, command, allowed)
        session.likes, session.opening, session.evaluate = likes, opening, _opened(run)
        yield from _kept(session, _stages(session, until_frozen))


def evaluate(
    directory: Path, stop: Stop | None = None, *, recipe: Path | None = None, command: str = "burnish"
) -> Iterator[Event]:
    """Open the held-out items of a finished run that left them closed (`proof.effort: none`), and report on them."""
    run = RunDirectory.open(directory)
    with run.held():
        if recipe_of(run).proof.effort != "none":
            raise RunError(
                f"{directory}: its held-out items are no longer closed (only `proof.effort: none` leaves them so); "
                f"see them with `{command} report {directory}`"
            )
        if not is_finished(run):
            if not _opened(run):
                raise RunError(f"{directory}: this run is not finished; go on with `{command} resume {directory}`")
        elif _opened(run):
            raise RunError(f"{directory}: was evaluated already; see it with `{command} report {directory}`")
        session = _taken_up(run, recipe, stop, command)
        session.evaluate = True
        yield from _kept(session, _stages(session))


def _opened(run: RunDirectory) -> bool:
    """Whether the held-out items were opened, if only to measure some of them."""
    return any(event["event"] == "held_out_opened" for event in run.events())


def is_frozen(run: RunDirectory) -> bool:
    """Whether a run of several stands where only its held-out items are left."""
    return any(event["event"] == "frozen" for event in run.events())


def is_finished(run: RunDirectory) -> bool:
    """Whether a report is the last thing that happened; an evaluation that was stopped is not finished."""
    ends = [event["event"] for event in run.events() if event["event"] in ("finished", "held_out_opened")]
    return bool(ends) and ends[-1] == "finished" and (run.path / "report.json").is_file()


def _taken_up(
    run: RunDirectory, recipe: Path | None, stop: Stop | None, command: str, allowed: Sequence[str] | None = None
) -> Session:
    kept = recipe_of(run)
    if allowed is None or not set(kept.python_files) <= set(allowed):
        allow_python(kept, recipe, run.path)
    started = run.started()
    if started is None:
        raise RunError(f"{run.path}: the run stopped before anything happened; start it again with --replace")
    name = str(started["recipe"])
    prepared = prepare(Loaded(kept, Path(name).stem, Path(name)), lambda _: None)
    _same(prepared, started, run.path)
    return Session(run, prepared, stop or Stop(), command, datetime.now(UTC))


def allow_python(kept: Recipe, recipe: Path | None, directory: Path) -> None:
    """A Python file is run only where the recipe that the user names now names it too."""
    if recipe is None:
        refuse_python_from(kept, directory)
        return
    strangers = sorted(set(kept.python_files) - set(load_recipe(recipe).recipe.python_files))
    if strangers:
        raise RunError(f"{recipe}: does not name {', '.join(strangers)}, which the recipe in {directory} does")


def _same(prepared: Prepared, started: dict[str, object], directory: Path) -> None:
    now = prepared.identity()
    was = {key: started[key] for key in ("data_sha256", "base_sha256")} | {"threads": started["threads"]}
    words = {"data_sha256": "the data", "base_sha256": "the base model", "threads": "the number of threads"}
    for key, value in was.items():
        if now[key] != value:
            raise RunError(
                f"{directory}: {words[key]} is not what the run began with (found {str(now[key])[:12]}, expected "
                f"{str(value)[:12]}), so it cannot be gone on with bit for bit; start a new run"
            )


def _kept(session: Session, events: Iterator[Event]) -> Iterator[Event]:
    """Every event is written down before anybody reads it."""
    for event in events:
        line = as_line(event)
        if line is not None:
            session.run.tell([line])
        yield event


def _opening(session: Session, notes: _Notes) -> Iterator[Event]:
    """Who runs what, the plan, and one request to the base."""
    prepared = session.prepared
    identity, base = prepared.identity(), prepared.base
    source = prepared.loaded.source
    yield Started(
        run=str(session.run.path),
        recipe=str(source) if source else Path(prepared.recipe.data.train).name,
        base=base.name,
        base_sha256=base.sha256,
        data_sha256=prepared.data_sha256,
        burnish=VERSION,
        torch=torch.__version__,
        transformers=transformers.__version__,
        seed=prepared.recipe.training.seed,
        device=base.device.type,
        cpu=processor(base.device),
        threads=torch.get_num_threads(),
        dtype=str(identity["dtype"]),
        started=session.began.isoformat(timespec="seconds"),
        several=prepared.loaded.several,
    )
    yield Task(**task_as_json(prepared.task))  # type: ignore[arg-type]
    yield from notes.taken()
    template = prepared.encoder.template
    said = [*base.notes, *(template.notes if template else []), *prepared.dataset.counts.notes]
    yield from (Note(text) for text in dict.fromkeys(said))
    arms = candidates(prepared.recipe.proof, prepared.task.kind, len(prepared.dataset.train))
    estimate = minutes(prepared, arms, forward_rate(prepared))
    yield Plan(plan_lines(prepared, estimate), {name: round(value, 2) for name, value in estimate.items()})
    if prepared.task.kind != "text" and prepared.dataset.validation:
        item = prepared.dataset.validation[0]
        yield Asked(item.id, item.request[-1].content, session.ask(item), item.answer)


def _stages(session: Session, until_frozen: bool = False) -> Iterator[Event]:
    yield from choose_prompts(session)
    yield from train_stage(session)
    yield from choose_scoring(session)
    if until_frozen:
        yield Frozen()
        return
    closed = session.prepared.recipe.proof.effort == "none" and not session.evaluate
    yield from measure_closed(session) if closed else measure_held_out(session)
    yield from _pictures(session)
    now = datetime.now(UTC)
    seconds = round((now - session.began).total_seconds(), 3)
    end = Finished(now.isoformat(timespec="seconds"), seconds, str(session.run.path))
    session.run.tell([end.as_json()])  # first, since the report tells when it ended
    report = publish(session.run.path, session.prepared.task.metrics)
    yield replace(end, report=report.to_json())


def _pictures(session: Session) -> Iterator[Event]:
    """Answers as the metric draws them, kept so that the report needs no Python of the user."""
    picture = session.prepared.task.metrics[0].picture
    if picture is not None:
        failed = write_pictures(session.run.path, picture)
        yield from (Note(f"no picture: {why}") for why in failed)


def run(
    recipe: str | Path,
    *changes: str,
    out: str | Path | None = None,
    replace: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> Report:
    """Run a recipe or a data file from beginning to end and return its report.

    `changes` are fields as on the command line ("method.rank=8"); `on_event` hears everything that happens.
    Raises `BurnishError` for whatever the user can mend.
    """
    loaded = loaded_from(str(recipe), changes)
    last: Event | None = None
    for event in begin(loaded, out=None if out is None else Path(out), replace=replace):
        if on_event is not None:
            on_event(event)
        last = event
    assert isinstance(last, Finished)
    return Report.model_validate(last.report)
