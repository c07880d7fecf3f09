"""One arm over a list of items, chunk by chunk, as lines of samples.jsonl.

The chunks are a pure function of the items: every arm is asked in the same chunks, whatever it answers (rule 10).
"""

import random
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from burnish.generation.decode import Generated
from burnish.proof.answers import unfenced
from burnish.proof.arm import Arm, Rival, asked
from burnish.proof.engine import Engine
from burnish.proof.metric import LoadedMetric
from burnish.proof.summary import Line
from burnish.types import Example, Message, Observation, Scoring, TaskKind, TokenizedExample

CALIBRATION_INPUTS = 64


class Renderer(Protocol):
    """What a measurement needs of `burnish.data.tokenize.Encoder`."""

    @property
    def end_of_turn(self) -> int:
        """The token that ends an answer."""

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The ids that generation starts from."""

    def prompt_text(self, messages: Sequence[Message]) -> str:
        """The same as text."""

    def answer(self, messages: Sequence[Message], text: str) -> tuple[int, ...]:
        """Ids of an answer after that prompt, without the end of turn."""

    def windows(self, example: Example, length: int) -> Sequence[TokenizedExample]:
        """A raw document in consecutive windows of at most `length` tokens."""


@dataclass(frozen=True)
class Setup:
    """What is the same for every arm of a run.

    `metrics`: the first decides, the others are shown. `calibration`: training inputs (`calibration_inputs`).
    `length`: tokens of a window of raw text. `seed` is written into every line. `averages` are kept from the
    validation items to the held-out ones: between the two no arm's model changes.
    """

    renderer: Renderer
    decode: Callable[[Sequence[int]], str]  # ids -> text without special tokens: `Encoder.answer_text`
    metrics: tuple[LoadedMetric, ...]
    kind: TaskKind
    labels: tuple[str, ...] = ()
    calibration: tuple[Example, ...] = ()
    length: int = 1024
    seed: int = 0
    chunk_items: int = 64
    chunk_tokens: int = 16_384
    averages: dict[str, dict[str, float]] = field(
        default_factory=dict, repr=False, compare=False
    )  # by arm: `calibrate`
    label_tokens: dict[tuple[tuple[int, ...], tuple[str, ...]], list[tuple[int, ...]]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def deciding(self) -> "Setup":
        """With the deciding metric alone: no answer is written out that only the others would read."""
        return replace(self, metrics=self.metrics[:1])


def calibration_inputs(train: Sequence[Example], seed: int) -> tuple[Example, ...]:
    """At most 64 training examples, seeded, in the order of train; only their inputs are used."""
    chosen = random.Random(f"calibration {seed}").sample(range(len(train)), min(CALIBRATION_INPUTS, len(train)))
    return tuple(train[i] for i in sorted(chosen))


def chunks(items: Sequence[Example], setup: Setup) -> list[list[Example]]:
    """Consecutive items, bounded in number and in the tokens of their own prompts, the widest times the number."""
    found: list[list[Example]] = []
    widest = 0
    for item in items:
        text = setup.kind == "text"
        size = len(item.messages[0].content) // 4 if text else len(setup.renderer.prompt(asked(item)))
        widest = max(widest, size)
        full = found and (len(found[-1]) >= setup.chunk_items or (len(found[-1]) + 1) * widest > setup.chunk_tokens)
        if full or not found:
            found.append([])
            widest = size
        found[-1].append(item)
    return found


def measure(
    arm: Arm | Rival,
    items: Sequence[Example],
    *,
    part: str,
    engine: Engine | None,
    setup: Setup,
    scorings: Sequence[Scoring] = ("generation",),
    done: Container[str] = (),
) -> Iterator[list[Line]]:
    """The lines of each chunk as it is measured: one for each item and scoring.

    `engine` is None for an arm without a model. `scorings` matters for labels alone; on held-out items it is the one
    that validation chose. A chunk whose items all stand in `done` is passed over.
    """
    averages: Mapping[str, float] = {}
    if "calibrated" in scorings and not isinstance(arm, Rival) and setup.kind == "classify":
        assert engine is not None
        if arm.name not in setup.averages:
            setup.averages[arm.name] = calibrate(arm, engine, setup)
        averages = setup.averages[arm.name]
    for chunk in chunks(items, setup):
        if not all(item.id in done for item in chunk):
            yield _measure_chunk(arm, chunk, part, engine, setup, scorings, averages)


def _measure_chunk(
    arm: Arm | Rival,
    chunk: Sequence[Example],
    part: str,
    engine: Engine | None,
    setup: Setup,
    scorings: Sequence[Scoring],
    averages: Mapping[str, float],
) -> list[Line]:
    if isinstance(arm, Rival):
        given = [(item, arm.answer(item)) for item in chunk]
        return [_line(arm, item, part, setup, Observation(_seen(text, item)), {"answer": text}) for item, text in given]
    assert engine is not None
    if setup.kind == "text":
        return _documents(arm, chunk, part, engine, setup)
    prompts = [arm.prompt(item) for item in chunk]
    asks = [
        _Ask(item, p.messages, setup.renderer.prompt(p.messages), p.left_out)
        for item, p in zip(chunk, prompts, strict=True)
    ]
    if setup.kind != "classify" or set(scorings) == {"generation"}:
        return _generated(arm, asks, part, engine, setup)
    lines: list[Line] = []
    if "generation" in scorings:
        answered, sums = engine.both([ask.tokens for ask in asks], [_label_tokens(ask, setup) for ask in asks])
        lines += _generated(arm, asks, part, engine, setup, answered)
        plain = _means(asks, sums, setup)
    else:
        plain = _label_means(asks, engine, setup)
    for scoring in scorings:
        if scoring != "generation":
            lines += _chosen(arm, asks, plain, averages if scoring == "calibrated" else {}, scoring, part, setup)
    return lines


@dataclass(frozen=True, slots=True)
class _Ask:
    item: Example
    messages: tuple[Message, ...]
    tokens: tuple[int, ...]
    left_out: int


def calibrate(arm: Arm, engine: Engine, setup: Setup) -> dict[str, float]:
    """Mean log-probability per token of each label, averaged over the calibration inputs in the arm's own prompt.

    Examples that stand in every prompt of the arm are no inputs here: their answers would stand before them.
    """
    inputs = [example for example in setup.calibration if example.id not in arm.shown] or list(setup.calibration)
    assert inputs, "calibrated scoring needs calibration inputs"
    sums = dict.fromkeys(setup.labels, 0.0)
    for chunk in chunks(inputs, setup):
        asks = [
            _Ask(item, p.messages, setup.renderer.prompt(p.messages), p.left_out)
            for item in chunk
            for p in [arm.prompt(item)]
        ]
        for scores in _label_means(asks, engine, setup):
            for label, score in scores.items():
                sums[label] += score
    return {label: total / len(inputs) for label, total in sums.items()}


def _label_means(asks: Sequence[_Ask], engine: Engine, setup: Setup) -> list[dict[str, float]]:
    """Mean log-probability per token of each label after each prompt; the end of turn is not counted."""
    sums = engine.continuations([ask.tokens for ask in asks], [_label_tokens(ask, setup) for ask in asks])
    return _means(asks, sums, setup)


def _means(asks: Sequence[_Ask], sums: Sequence[Sequence[float]], setup: Setup) -> list[dict[str, float]]:
    return [
        {
            label: total / len(tokens)
            for label, total, tokens in zip(setup.labels, row, _label_tokens(ask, setup), strict=True)
        }
        for ask, row in zip(asks, sums, strict=True)
    ]


def _label_tokens(ask: _Ask, setup: Setup) -> list[tuple[int, ...]]:
    """Ids of each label after this prompt; kept by the prompt's last tokens, which alone can change them."""
    key = (ask.tokens[-8:], setup.labels)
    if key not in setup.label_tokens:
        setup.label_tokens[key] = [setup.renderer.answer(ask.messages, label) for label in setup.labels]
    return setup.label_tokens[key]


def _chosen(
    arm: Arm,
    asks: Sequence[_Ask],
    plain: Sequence[Mapping[str, float]],
    averages: Mapping[str, float],
    scoring: Scoring,
    part: str,
    setup: Setup,
) -> list[Line]:
    """The label with the highest score; ties to the first of the label set."""
    lines = []
    for ask, means in zip(asks, plain, strict=True):
        scores = {label: score - averages.get(label, 0.0) for label, score in means.items()}
        best = max(scores, key=lambda label: scores[label])
        answer_tokens = len(_label_tokens(ask, setup)[setup.labels.index(best)])
        more = {"scoring": scoring, "label_scores": scores, "answer": best, "answer_tokens": answer_tokens}
        lines.append(_line(arm, ask.item, part, setup, Observation(best), {**_asked(ask, setup), **more}))
    return lines


def _generated(
    arm: Arm,
    asks: Sequence[_Ask],
    part: str,
    engine: Engine,
    setup: Setup,
    answered: Sequence[Generated | None] | None = None,
) -> list[Line]:
    """Generated answers, where a metric reads them, and the nats of the expected ones, where a metric reads those."""
    count = len(asks)
    reads = {metric.reads for metric in setup.metrics}
    if answered is None:
        answered = engine.generate([ask.tokens for ask in asks]) if "answer" in reads else [None] * count
    nats: Sequence[tuple[float, int] | None] = [None] * count
    if "reference" in reads:
        nats = engine.reference([_reference(ask, setup) for ask in asks])
    primary: Scoring = "likelihood" if setup.metrics[0].reads == "reference" else "generation"
    lines = []
    for ask, given, reference in zip(asks, answered, nats, strict=True):
        text = None if given is None else setup.decode(given.tokens)
        seen = None if text is None else _seen(text, ask.item)
        observation = Observation(seen, *(reference or (None, None)))
        more: Line = {**_asked(ask, setup), "scoring": primary, "answer": text}
        if given is not None:
            more |= {"answer_tokens": len(given.tokens), "stopped_by": given.stopped_by}
        lines.append(_line(arm, ask.item, part, setup, observation, more))
    return lines


def _reference(ask: _Ask, setup: Setup) -> TokenizedExample:
    """The expected answer with its end of turn after the arm's prompt, as one document."""
    answer = (*setup.renderer.answer(ask.messages, ask.item.answer), setup.renderer.end_of_turn)
    trained = (False,) * len(ask.tokens) + (True,) * len(answer)
    return TokenizedExample(ask.item.id, ask.tokens + answer, trained)


def _documents(arm: Arm, chunk: Sequence[Example], part: str, engine: Engine, setup: Setup) -> list[Line]:
    """Raw text: the loss of each document, over all its windows."""
    windows = [list(setup.renderer.windows(item, setup.length)) for item in chunk]
    found = iter(engine.reference([window for document in windows for window in document]))
    lines = []
    for item, document in zip(chunk, windows, strict=True):
        results = [next(found) for _ in document]
        nats, tokens = sum(n for n, _ in results), sum(t for _, t in results)
        observation = Observation(None, nats, tokens)
        lines.append(_line(arm, item, part, setup, observation, {"scoring": "likelihood"}))
    return lines


def _seen(answer: str, item: Example) -> str:
    """The answer as metrics see it."""
    return unfenced(answer, item.answer)


def _asked(ask: _Ask, setup: Setup) -> Line:
    line: Line = {"prompt": setup.renderer.prompt_text(ask.messages), "prompt_tokens": len(ask.tokens)}
    return line | ({"examples_left_out": ask.left_out} if ask.left_out else {})


def _line(
    arm: Arm | Rival, item: Example, part: str, setup: Setup, observation: Observation, more: Mapping[str, object]
) -> Line:
    """A line of samples.jsonl; beyond architecture's keys only where they say something: nats, details, left out."""
    scores = {
        metric.name: metric.score(observation, item)
        for metric in setup.metrics
        if metric.reads == "reference" or observation.answer is not None
        if metric.reads == "answer" or observation.reference_nats is not None
    }
    primary = setup.metrics[0].name
    line: Line = {
        "part": part,
        "arm": arm.name,
        "item": item.id,
        "slice": item.slice,
        "group": item.group,
        "seed": setup.seed,
        "asked": item.request[-1].content if item.request else "",
        "prompt": "",
        "answer": None,
        "expected": item.answer,
        "score": scores[primary].value if primary in scores else None,
        "other_scores": {name: score.value for name, score in scores.items() if name != primary},
        "scoring": None,
        "label_scores": None,
        "prompt_tokens": 0,
        "answer_tokens": 0,
        "stopped_by": None,
        **more,
    }
    if observation.reference_nats is not None:
        line |= {"reference_nats": observation.reference_nats, "reference_tokens": observation.reference_tokens}
    details = {name: dict(score.detail) for name, score in scores.items() if score.detail}
    return line | ({"details": details} if details else {})
