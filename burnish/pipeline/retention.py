"""The stage that measures what a model kept: authored probes, asked of the tuned model and of the base."""

from collections.abc import Iterator, Sequence
from time import perf_counter

from burnish.data.template import ChatTemplate
from burnish.data.tokenize import Encoder
from burnish.errors import DataError
from burnish.pipeline.events import Began, Note, Progress
from burnish.pipeline.session import Session
from burnish.pipeline.start import Prepared
from burnish.proof.engine import ModelEngine
from burnish.proof.probe import MOST_TOKENS, Asking, Probe, chunks_of
from burnish.proof.probes import general_text, knowledge, requests
from burnish.proof.retention import PART
from burnish.proof.spill_over import Format, learn
from burnish.training.events import Event

PROBES: tuple[Probe, ...] = (knowledge.probe, general_text.probe, requests.probe)


class RetentionStage:
    """The probes of one run; what both models are asked with is made once."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._asked: tuple[Encoder, Format | None] | None = None

    def measure(self, arm: str) -> Iterator[Event]:
        """Ask the model in memory, chunk by chunk; what stands in samples.jsonl is not asked again."""
        session = self.session
        if not session.prepared.recipe.proof.retention:
            return
        try:
            asking = self._asking(arm)
        except DataError as error:
            yield Note(f"what the model kept is not measured: {error}")
            return
        chunks = [(probe, chunk) for probe in PROBES for chunk in chunks_of(probe, asking)]
        if {probe.name for probe, _ in chunks} != {probe.name for probe in PROBES}:
            yield Note("what the model kept is not measured: its context is too short for a general request")
            return
        done = {str(line["item"]) for line in session.run.samples() if (line["part"], line["arm"]) == (PART, arm)}
        count, start, ended = 0, perf_counter(), list[Event]()
        total = sum(len(chunk) for _, chunk in chunks)
        with session.timed("retention", ended):
            yield Began(f"{arm} on general questions and requests", total)
            for probe, chunk in chunks:
                if not all(f"{probe.name}:{item.id}" in done for item in chunk):
                    session.run.add_samples(probe.measure(chunk, asking))
                count += len(chunk)
                yield Progress(f"{arm} (retention)", count, total, perf_counter() - start)
                session.check_stop()
        yield from ended

    def _asking(self, arm: str) -> Asking:
        session, prepared = self.session, self.session.prepared
        if self._asked is None:
            self._asked = _encoder(prepared), _task_format(prepared)
        encoder, task_format = self._asked
        method = prepared.method
        return Asking(
            arm=arm,
            engine=ModelEngine(session.model, encoder.stop_ids, MOST_TOKENS),
            renderer=encoder,
            decode=encoder.answer_text,
            room=prepared.base.context - method.virtual_tokens - method.first_position,
            seed=prepared.recipe.training.seed,
            task_format=task_format,
        )


def _encoder(prepared: Prepared) -> Encoder:
    """The run's own; for raw text the model's chat template, "plain" where it has none."""
    if prepared.encoder.template is not None:
        return prepared.encoder
    base = prepared.base
    template = ChatTemplate.choose("auto", base.chat_template, base.tokenizer)
    return Encoder(base.tokenizer, template, base.stop_ids)


def _task_format(prepared: Prepared) -> Format | None:
    """Learnt from the training answers; raw text has none."""
    task = prepared.task
    if task.kind == "text":
        return None
    answers: Sequence[str] = [example.answer for example in prepared.dataset.train]
    return learn(answers, requests.ordinary_answers(), task.labels)


def retention_tokens() -> float:
    """Forward tokens of one model's probes, roughly: characters / 4, and a generated token as 2.5 of a packed row."""
    read = sum(len(item.text) + sum(map(len, item.wrong)) for probe in PROBES for item in probe.items()) / 4
    items = sum(len(probe.items()) for probe in PROBES)
    return read + 16 * items + 2.5 * MOST_TOKENS * len(requests.probe.items())
