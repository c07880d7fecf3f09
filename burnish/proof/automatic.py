"""What `auto` means for a task: kind, metric, label set and longest answer, all read from training examples alone."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from burnish.errors import RecipeError
from burnish.proof.answers import normalised
from burnish.proof.metric import BUILT_IN, LoadedMetric, load, load_path
from burnish.proof.settings import MetricChoice, TaskSettings
from burnish.types import Example, Observation, TaskKind

MOST_LABELS = 100
LEAST_REPEATS = 5  # answers a label, on average
SHORT_WORDS = 12
SHORT_SHARE = 0.95
TRIED = 20  # expected answers that a user's metric is tried on
LABEL_METRICS = ("label_accuracy", "macro_f1")


@dataclass(frozen=True, slots=True)
class Task:
    """A task with nothing left to `auto`. `metrics`: the first decides, the others are shown; `reason` says why."""

    kind: TaskKind
    metrics: tuple[LoadedMetric, ...]
    labels: tuple[str, ...]
    reason: str


def decide(train: Sequence[Example], settings: TaskSettings, kind: TaskKind, labels: Sequence[str] | None) -> Task:
    """The task of these training examples.

    `kind` is what the data's format implies and `labels` the set that was given or found, if any. A `generate` task
    turns into `classify` where the rule finds labels, unless the recipe says `generate`.
    """
    kind = kind if settings.kind == "auto" else settings.kind
    choice = (
        settings.metric if isinstance(settings.metric, MetricChoice) else MetricChoice(name=settings.metric, path=None)
    )
    given_path, name, reason = choice.path, choice.name, "given in the recipe"
    if name == "auto":
        name, reason = automatic([example.answer for example in train], kind)
        if name == "label_accuracy" and kind == "generate":
            if settings.kind == "generate":
                name, reason = automatic_free([example.answer for example in train])
            else:
                kind = "classify"
    first = load_path(Path(given_path), choice.options) if given_path else load(name or "", choice.options)
    kind = _fitting(kind, first, settings)
    needs_labels = kind == "classify" or "labels" in first.options
    found = tuple(labels) if labels else _label_set(train) if needs_labels else ()
    metrics = tuple(_with_labels(metric, found) for metric in (first, *first.others()))
    return Task(kind, metrics, found, reason)


def _fitting(kind: TaskKind, metric: LoadedMetric, settings: TaskSettings) -> TaskKind:
    """The kind that the metric can be measured in; raises RecipeError where there is none."""
    if kind == "text" and metric.reads == "answer":
        raise RecipeError(
            f'task.metric: "{metric.name}" reads answers, and raw text has none; use document_loss, or give data with '
            "prompts and answers"
        )
    if kind == "classify" and metric.reads == "reference":
        if settings.kind == "classify":
            raise RecipeError(
                f'task.metric: "{metric.name}" reads the likelihood of the expected answer and never an answer; '
                "task.kind: classify needs a metric of labels such as label_accuracy, or take task.kind: generate"
            )
        return "generate"
    if kind == "generate" and settings.kind == "auto" and metric.name in LABEL_METRICS:
        return "classify"
    return kind


def automatic(answers: Sequence[str], kind: TaskKind) -> tuple[str, str]:
    """Name of the metric for these training answers, and why."""
    if kind == "text":
        return "document_loss", "raw text"
    if kind == "classify":
        return "label_accuracy", "the data has labels"
    distinct = len(Counter(normalised(answer) for answer in answers))
    if answers and distinct <= MOST_LABELS and len(answers) >= LEAST_REPEATS * distinct:
        return "label_accuracy", f"{distinct} distinct answers in {len(answers)} training examples"
    return automatic_free(answers)


def automatic_free(answers: Sequence[str]) -> tuple[str, str]:
    """The same among answers that are no labels: short or long."""
    short = sum(len(answer.split()) <= SHORT_WORDS for answer in answers)
    if short >= SHORT_SHARE * len(answers):
        return "exact_normalised", f"{short} of {len(answers)} training answers have at most {SHORT_WORDS} words"
    return "reference_loglik", "long free text"


def tried_metric(task: Task, train: Sequence[Example]) -> str | None:
    """Score some expected answers by a user's own metric, so that its faults show before anything is measured.

    Returns a sentence where a share metric calls expected answers wrong; raises RecipeError where the metric fails.
    """
    metric, tried = task.metrics[0], train[:TRIED]
    if metric.source == BUILT_IN or metric.reads != "answer":
        return None
    scores = [(example.id, metric.score(Observation(example.answer), example).value) for example in tried]
    wrong = [name for name, value in scores if value != max(0, metric.sign)]
    if not metric.is_share or not wrong:
        return None
    return (
        f'the metric "{metric.name}" calls the expected answer itself wrong in {len(wrong)} of the first {len(tried)} '
        f"training examples ({', '.join(wrong[:3])})"
    )


def answer_limit(training_answers: Sequence[int], setting: int | str, context: int) -> int:
    """Longest answer in tokens: given, or 1.5 times the longest training answer (`training_answers` in tokens).

    An answer has half of the model's `context` at most, unless more is given. Raises RecipeError where that leaves no
    room for a question.
    """
    if not isinstance(setting, int):
        return max(1, min(math.ceil(1.5 * max(training_answers, default=1)), context // 2))
    if setting >= context:
        raise RecipeError(
            f"task.max_answer_tokens: {setting:,} leaves no room for a question in the model's context of "
            f"{context:,} tokens; give less, or auto"
        )
    return setting


def _label_set(train: Sequence[Example]) -> tuple[str, ...]:
    """One spelling of each label, the most frequent, sorted."""
    spellings: dict[str, Counter[str]] = {}
    for example in train:
        spellings.setdefault(normalised(example.answer), Counter())[example.answer.strip()] += 1
    most: Callable[[Counter[str]], str] = lambda counts: min(counts, key=lambda s: (-counts[s], s))  # noqa: E731
    return tuple(sorted(most(counts) for counts in spellings.values()))


def _with_labels(metric: LoadedMetric, labels: tuple[str, ...]) -> LoadedMetric:
    """A metric that has an option `labels` gets the label set, unless the recipe gave one."""
    if "labels" not in metric.options or metric.options["labels"]:
        return metric
    return replace(metric, options={**metric.options, "labels": labels})
