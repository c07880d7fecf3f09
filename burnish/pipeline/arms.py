"""The stages that measure: prompts on validation items, the tuned model's scoring, all arms on held-out items."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from time import perf_counter

from burnish.models.load import load_base
from burnish.pipeline.directory import PROMPT
from burnish.pipeline.events import Began, Chosen, Note, Opened, Progress
from burnish.pipeline.opened import items_sha256, note_opening, opened_before
from burnish.pipeline.retention import RetentionStage
from burnish.pipeline.reuse import take_over
from burnish.pipeline.session import Session
from burnish.proof.arm import Arm, Rival, build, conversation
from burnish.proof.measure import Setup, measure
from burnish.proof.prompting import Choice, candidates, choose, scorings_of, validation_items, writes_answers
from burnish.proof.retention import PART
from burnish.training.events import Event
from burnish.types import Example, Scoring


def choose_prompts(session: Session) -> Iterator[Event]:
    """Try every prompt arm on the same validation items and freeze the best; done once a run."""
    if (session.run.path / PROMPT).is_file():
        return
    prepared = session.prepared
    kind, train = prepared.task.kind, prepared.dataset.train
    items = validation_items(prepared.dataset.validation, prepared.recipe.training.seed)
    names = candidates(prepared.recipe.proof, kind, len(train))
    yield from take_over(session, "validation", names)
    written = writes_answers(prepared.recipe.proof, session.setup.metrics[0])
    setup = session.setup if written else session.setup.deciding()
    ended: list[Event] = []
    with session.timed("prompts", ended):
        yield Began("prompts on validation items", len(items) * len(names))
        for name in names:
            arm = build(name, session.context())
            yield from _measured(session, arm, items, "validation", scorings_of(kind), setup)
        choice = choose(session.run.samples(), prepared.task.metrics[0])
        session.run.put(PROMPT, {**choice.to_json(), "examples": _examples(session, choice.best_prompt)})
    yield Chosen(tuple(_choice_lines(choice)))
    yield from ended


def _examples(session: Session, name: str) -> list[dict[str, object]] | None:
    """The turns that stand before every item in the best prompt; None where they change from item to item."""
    shown: frozenset[str] | None = getattr(build(name, session.context()), "shown", None)
    if shown is None or name.startswith("similar"):
        return None
    train = session.prepared.dataset.train
    return [
        {"id": example.id, "messages": [{"role": m.role, "content": m.content} for m in conversation(example)]}
        for example in train
        if example.id in shown
    ]


def choose_scoring(session: Session) -> Iterator[Event]:
    """Labels: the tuned model's best way of being read, on the validation items."""
    choice = Choice.from_json(session.run.get(PROMPT))
    prepared = session.prepared
    scorings = scorings_of(prepared.task.kind)
    if len(scorings) == 1 or "tuned" in choice.scoring:
        return
    items = validation_items(prepared.dataset.validation, prepared.recipe.training.seed)
    ended: list[Event] = []
    with session.timed("scoring", ended):
        yield Began("the tuned model on validation items", len(items))
        yield from _measured(session, build("tuned", session.context()), items, "validation", scorings)
        new = choose(session.run.samples(), prepared.task.metrics[0])
        scoring = {**choice.scoring, "tuned": new.scoring["tuned"]}
        tried = (*choice.tried, *(row for row in new.tried if row.arm == "tuned"))
        frozen = Choice(choice.best_prompt, choice.arms, scoring, tried).to_json()
        session.run.put(PROMPT, {**session.run.get(PROMPT), **frozen})
    yield from ended


def measure_held_out(session: Session) -> Iterator[Event]:
    """Open the held-out items: the tuned model first, then all that runs on the base; what was kept beside each."""
    prepared = session.prepared
    items = prepared.dataset.held_out
    choice = Choice.from_json(session.run.get(PROMPT))
    yield _open(session, items)
    retention = RetentionStage(session)
    for name in _with_simple(session, ["tuned", *choice.arms]):
        arm = build(name, session.context())
        ended: list[Event] = []
        if name != "tuned":
            yield from take_over(session, "held_out", [name])
        if name == "base":
            yield from take_over(session, PART, [name])
        with _as_needed(session, arm):
            with session.timed(name, ended):
                yield Began(f"{name} on held-out items", len(items))
                scoring = choice.scoring.get(name)
                yield from _measured(session, arm, items, "held_out", (scoring or "generation",))
            yield from ended
            if name in ("tuned", "base"):
                yield from retention.measure(name)
        variant = getattr(arm, "variant", None)
        if variant:
            yield Note(f"simple: {variant}")


def measure_closed(session: Session) -> Iterator[Event]:
    """The held-out items stay closed: tuned and `simple` on the validation items that the prompts were tried on."""
    prepared = session.prepared
    items = validation_items(prepared.dataset.validation, prepared.recipe.training.seed)
    choice = Choice.from_json(session.run.get(PROMPT))
    for name in _with_simple(session, ["tuned"]):
        ended: list[Event] = []
        with session.timed(f"{name} (validation)", ended):
            yield Began(f"{name} on validation items", len(items))
            scoring = choice.scoring.get(name) or "generation"
            yield from _measured(session, build(name, session.context()), items, "validation", (scoring,))
        yield from ended


def _with_simple(session: Session, names: list[str]) -> list[str]:
    """The rival without a language model needs requests and answers."""
    return names if session.prepared.task.kind == "text" else [*names, "simple"]


def _open(session: Session, items: Sequence[Example]) -> Event:
    sha256, now = items_sha256(items), datetime.now(UTC).isoformat(timespec="seconds")
    started = session.run.started()
    assert started is not None
    name = f"{started['started']} {started['data_sha256'][:12]} {started['seed']} {started['recipe']}"
    name = session.opening or name
    before = opened_before(sha256, name)
    note_opening(sha256, len(items), name, now)
    return Opened(sha256, len(items), before)


def _as_needed(session: Session, arm: Arm | Rival) -> AbstractContextManager[None]:
    """The model that an arm asks: the tuned one, or the base - the adapter switched off, or loaded anew."""
    method, base = session.prepared.method, session.prepared.base
    if arm.needs_model != "base" or not session.tuned:
        return nullcontext()
    if method.makes_adapter:
        return method.disabled(base.model)
    settings = session.prepared.recipe.training
    base.model = None  # never both in memory at once
    base.model = load_base(session.prepared.recipe.model, dtype=settings.dtype, device=settings.device).model
    session.tuned = False
    return nullcontext()


def _measured(
    session: Session,
    arm: Arm | Rival,
    items: Sequence[Example],
    part: str,
    scorings: Sequence[Scoring],
    setup: Setup | None = None,
) -> Iterator[Event]:
    """Measure chunk by chunk; each is written whole, and what stands in samples.jsonl is not measured again."""
    wanted: list[Scoring | None] = [*scorings] if arm.needs_model else [None]
    seen: dict[str, set[object]] = {}
    for line in session.run.samples():
        if line["part"] == part and line["arm"] == arm.name:
            seen.setdefault(str(line["item"]), set()).add(line["scoring"])
    text = session.prepared.task.kind == "text" or session.setup.metrics[0].reads == "reference"
    done = {item for item, found in seen.items() if text or found >= set(wanted)}
    start = perf_counter()
    engine = session.engine() if arm.needs_model else None
    chunks = measure(arm, items, part=part, engine=engine, setup=setup or session.setup, scorings=scorings, done=done)
    for lines in chunks:
        session.run.add_samples(lines)
        done |= {str(line["item"]) for line in lines}
        yield Progress(arm.name, len(done), len(items), perf_counter() - start)
        session.check_stop()


def _choice_lines(choice: Choice) -> Iterator[str]:
    for row in choice.tried:
        mark = "*" if row.arm == choice.best_prompt and row.scoring == choice.scoring[row.arm] else " "
        how = f" ({row.scoring})" if row.scoring not in (None, "generation") else ""
        yield f"{mark} {row.arm}{how}: {row.value:.3f} on {row.count} validation items, {row.prompt_tokens:.0f} tokens"
    yield f"best prompt: {choice.best_prompt}; on held-out items: {', '.join(choice.arms)}"
