"""The stage that trains: the loop with its checkpoints, then the best of them frozen and written."""

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import torch

from burnish.errors import RunError
from burnish.files import new_directory, write_text
from burnish.methods.method import Start
from burnish.methods.peft_format import load_adapter, named_base, save_adapter
from burnish.models.load import put_weights, quietly
from burnish.models.parameters import bytes_of, count_parameters
from burnish.pipeline.change import NamedOtherwiseError, relative_change
from burnish.pipeline.directory import WEIGHTS
from burnish.pipeline.events import Artifact, Began, Note
from burnish.pipeline.session import Session
from burnish.pipeline.start import start_tokens
from burnish.training.checkpoint import latest, name_of, read_checkpoint
from burnish.training.events import Event, Sample, Stopped
from burnish.training.loop import Counters, Work, train
from burnish.training.trainer import Trainer


def train_stage(session: Session) -> Iterator[Event]:
    """Train from the latest valid checkpoint (or the beginning) to the end, then write what came out."""
    if any(event["event"] == "artifact" for event in session.run.events()) and session.run.result:
        _take_up(session)
        return
    prepared = session.prepared
    trainer = _trainer(session)
    yield from (Note(text) for text in _notes(session))
    counters = Counters()
    found, warnings = latest(session.run.checkpoints)
    yield from (Note(text) for text in warnings)
    if found is not None:
        _refuse_other(found.identity, prepared.identity(), session.run.path)
        trainer.load_state(found)
        counters = Counters.from_json(found.counters)
    session.run.cut_events(trainer.step)
    ended: list[Event] = []
    began = perf_counter()
    with session.timed("train", ended):
        steps = prepared.recipe.training.steps(len(prepared.tokenized.train))
        yield Began("training", steps)
        for event in train(trainer, _work(session), counters):
            yield event
            if isinstance(event, Stopped):
                yield session.so_far("train", began)
                session.check_stop()
        yield from _freeze(session, trainer, counters)
    yield from ended


def _trainer(session: Session) -> Trainer:
    prepared = session.prepared
    settings = prepared.recipe.training
    assert isinstance(settings.micro_batch_tokens, int)
    assert isinstance(settings.recompute, bool)
    base, method = prepared.base, prepared.method
    begun = method.start_from is not None and method.makes_adapter
    if method.start_from is not None and not method.makes_adapter:
        put_weights(base, Path(method.start_from))
    elif method.start_from is not None:
        load_adapter(base.model, Path(method.start_from), base_sha256=base.sha256, like=method)
    return Trainer(
        base.model,
        method,
        start=Start(torch.Generator().manual_seed(settings.seed), start_tokens(prepared.recipe, method, base)),
        attach=not begun,
        seed=settings.seed,
        micro_batch_tokens=settings.micro_batch_tokens,
        weight_decay=settings.weight_decay,
        clip=settings.clip,
        recompute=settings.recompute,
    )


def _notes(session: Session) -> list[str]:
    """What the method says of itself, and what is not known of an adapter that came from elsewhere."""
    prepared = session.prepared
    method, base = prepared.method, prepared.base
    said = method.notes(base.model)
    if method.start_from is None:
        if getattr(method, "start", None) == "text" and start_tokens(prepared.recipe, method, base) is None:
            said.append(
                f"{method.name} starts from random tokens, since there is neither method.text nor data.instruction; "
                "words that tell the task are a better start"
            )
        return said
    source = Path(method.start_from)
    named = named_base(source) if method.makes_adapter else None
    if named is not None and Path(named).name.lower() != base.name.lower():
        said.append(
            f"the adapter in {source.name} names {named} as its base; that this is {base.name} is not known, only that "
            "its tensors fit"
        )
    said.append(
        f"begins with what is in {source.name}: what that was trained on is not known, so held-out items that were "
        "among it are not noticed"
    )
    return said


def _work(session: Session) -> Work:
    prepared = session.prepared
    dataset = prepared.dataset
    item = dataset.validation[0] if dataset.validation and prepared.task.kind != "text" else None

    def ask(step: int) -> Sample:
        assert item is not None
        return Sample(step, item.id, session.ask(item), item.answer)

    return Work(
        train=prepared.tokenized.train,
        validation=prepared.tokenized.of(dataset.validation),
        settings=prepared.recipe.training,
        checkpoints=session.run.checkpoints,
        identity=prepared.identity(),
        ask=None if item is None else ask,
        stop=session.stop.wanted,
    )


def _refuse_other(was: object, now: object, path: Path) -> None:
    if was != now:
        assert isinstance(was, dict)
        assert isinstance(now, dict)
        different = sorted(key for key in {*was, *now} if was.get(key) != now.get(key))
        raise RunError(
            f"{path}: its checkpoint was made with another {', '.join(different)}, so it cannot be gone on with "
            "bit for bit; start a new run"
        )


def _freeze(session: Session, trainer: Trainer, counters: Counters) -> Iterator[Event]:
    """Put back the best checkpoint and write adapter or model, and how far the weights moved."""
    prepared, run = session.prepared, session.run
    if counters.best_step or trainer.step:  # no update, no checkpoint: the adapter as it came
        trainer.end_with(read_checkpoint(run.checkpoints / name_of(counters.best_step)))
    base, method = prepared.base, prepared.method
    try:
        run.put(WEIGHTS, relative_change(base.model, method, base.path))
    except NamedOtherwiseError as error:
        run.put(WEIGHTS, None)
        yield Note(f"how far the weights moved is not measured: the files of {base.name} have no tensor named {error}")
    name = "adapter" if method.makes_adapter else "model"
    trained = sum(p.numel() for p in trainer.optimizer.parameters.values())
    with new_directory(run.path / name) as temporary:
        if method.makes_adapter:
            save_adapter(base.model, method, temporary, base=str(base.path), base_sha256=base.sha256)
        else:
            with quietly():
                base.model.save_pretrained(temporary)
            base.tokenizer.save_pretrained(temporary)
        if prepared.encoder.template is not None:
            write_text(temporary / "chat_template.jinja", prepared.encoder.template.source)
    total = count_parameters(base.model) - (trained if method.makes_adapter else 0)
    base.model.requires_grad_(False)
    session.tuned = True
    yield Artifact(name, bytes_of(run.path / name), trained, total, counters.best_step)


def _take_up(session: Session) -> None:
    """A run that was stopped after training: its result goes back into the model."""
    result, base = session.run.result, session.prepared.base
    assert result is not None
    if session.prepared.method.makes_adapter:
        load_adapter(base.model, result, base_sha256=base.sha256, like=session.prepared.method)
    else:
        put_weights(base, result)
    base.model.requires_grad_(False)
    session.tuned = True
