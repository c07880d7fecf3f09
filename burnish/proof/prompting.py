"""The choice of prompts and scoring modes, on validation items alone; frozen before held-out items are opened.

`choose` is a pure function of lines of samples.jsonl, so the choice can be recomputed from a run directory.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from burnish.proof.arm import split_name
from burnish.proof.metric import LoadedMetric
from burnish.proof.settings import ProofSettings
from burnish.proof.summary import Line, aggregate_of, latest
from burnish.types import Example, Scoring, TaskKind

VALIDATION_ITEMS = 40
SCORINGS: tuple[Scoring, ...] = ("generation", "likelihood", "calibrated")  # in the order that ties are broken


def candidates(settings: ProofSettings, kind: TaskKind, train: int) -> list[str]:
    """Names of the prompt arms to try; none shows more examples than `train` has, and raw text has the base alone."""
    if kind == "text":
        return ["base"]
    few = [f"few_shot_{k}" for k in sorted(set(settings.few_shot)) if k <= train]
    return ["base", *few, *(f"similar_{k}" for k in sorted(set(settings.similar)) if k <= train)]


def scorings_of(kind: TaskKind) -> tuple[Scoring, ...]:
    """The ways of reading an answer that validation chooses from."""
    return SCORINGS if kind == "classify" else ("generation",)


def validation_items(validation: Sequence[Example], seed: int) -> tuple[Example, ...]:
    """At most 40 items, seeded, in the order of the validation part; the same for every arm."""
    count = min(VALIDATION_ITEMS, len(validation))
    chosen = random.Random(f"validation {seed}").sample(range(len(validation)), count)
    return tuple(validation[i] for i in sorted(chosen))


@dataclass(frozen=True, slots=True)
class Tried:
    """One arm in one scoring on the validation items; `prompt_tokens` is the mean of an item."""

    arm: str
    scoring: Scoring | None
    value: float
    count: int
    prompt_tokens: float


@dataclass(frozen=True, slots=True)
class Choice:
    """What goes on to the held-out items.

    `arms`: base, the best few_shot and the best similar. `scoring`: of each arm tried. `tried`: what it rests on.
    """

    best_prompt: str
    arms: tuple[str, ...]
    scoring: Mapping[str, Scoring | None]
    tried: tuple[Tried, ...]

    def to_json(self) -> dict[str, object]:
        """Plain JSON."""
        tried = [{name: getattr(t, name) for name in Tried.__dataclass_fields__} for t in self.tried]
        return {
            "best_prompt": self.best_prompt,
            "arms": list(self.arms),
            "scoring": dict(self.scoring),
            "tried": tried,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "Choice":
        """The inverse of `to_json`."""
        arms, scoring, tried = value["arms"], value["scoring"], value["tried"]
        assert isinstance(arms, list)
        assert isinstance(scoring, dict)
        assert isinstance(tried, list)
        return cls(str(value["best_prompt"]), tuple(arms), scoring, tuple(Tried(**row) for row in tried))


def tried_of(lines: Sequence[Line], metric: LoadedMetric) -> list[Tried]:
    """One row for each arm and scoring among the validation lines, in their order."""
    groups: dict[tuple[str, Scoring | None], list[Line]] = {}
    for line in latest(line for line in lines if line["part"] == "validation"):
        groups.setdefault((str(line["arm"]), line["scoring"]), []).append(line)  # type: ignore[arg-type]
    return [
        Tried(arm, scoring, aggregate_of(rows, metric), len(rows), _mean_prompt(rows))
        for (arm, scoring), rows in groups.items()
    ]


def best_scoring(tried: Sequence[Tried], arm: str, metric: LoadedMetric) -> Tried:
    """The arm's best scoring: ties to generation, then plain likelihood."""
    rows = [row for row in tried if row.arm == arm]
    assert rows, f"{arm} was not measured on validation"
    return min(rows, key=lambda row: (-metric.sign * row.value, _rank(row.scoring)))


def writes_answers(settings: ProofSettings, metric: LoadedMetric) -> bool:
    """Whether validation items are answered in full: not where likelihood decides, unless the report is theirs."""
    return metric.reads == "answer" or settings.effort == "none"


def choose(lines: Sequence[Line], metric: LoadedMetric) -> Choice:
    """The best scoring of each arm, the best number of examples of each kind, and the best prompt of all.

    Ties go to fewer prompt tokens, then to the smaller name. Arms other than prompts get their scoring only.
    """
    tried = tried_of(lines, metric)
    best = {arm: best_scoring(tried, arm, metric) for arm in dict.fromkeys(row.arm for row in tried)}
    kinds: dict[str, Tried] = {}
    for arm in sorted(best):
        kind = split_name(arm)[0]
        if kind in ("base", "few_shot", "similar") and (
            kind not in kinds or _order(best[arm], metric) < _order(kinds[kind], metric)
        ):
            kinds[kind] = best[arm]
    arms = tuple(kinds[kind].arm for kind in ("base", "few_shot", "similar") if kind in kinds)
    best_prompt = min(kinds.values(), key=lambda row: _order(row, metric)).arm
    return Choice(best_prompt, arms, {arm: row.scoring for arm, row in best.items()}, tuple(tried))


def _order(row: Tried, metric: LoadedMetric) -> tuple[float, float, str]:
    return (-metric.sign * row.value, row.prompt_tokens, row.arm)


def _rank(scoring: Scoring | None) -> int:
    return SCORINGS.index(scoring) if scoring else 0


def _mean_prompt(rows: Sequence[Line]) -> float:
    return sum(float(str(row["prompt_tokens"])) for row in rows) / len(rows)
