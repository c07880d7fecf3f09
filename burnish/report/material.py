"""What report.html and report.md are written from: the report, and the items of the run side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from burnish.proof.arm import common_beginning
from burnish.proof.retention import Pair, pairs_of
from burnish.proof.summary import Line
from burnish.report.build import Kept
from burnish.report.numbers import primary
from burnish.report.schema import Report, ScoreRow

Outcome = Literal["fixed", "broken", "right", "wrong", "better", "worse", "same"]
RIGHT_OR_WRONG: tuple[Outcome, ...] = ("fixed", "broken", "right", "wrong")
BY_SCORE: tuple[Outcome, ...] = ("better", "worse", "same")


@dataclass(frozen=True, slots=True)
class Case:
    """One item and the line of each arm that answered it, in its chosen scoring."""

    item: str
    slice: str | None
    asked: str  # without the beginning that all items share
    expected: str
    lines: Mapping[str, Line]
    gain: float  # tuned - best prompt, positive where tuned is better
    goodness: float  # of tuned, higher is better

    def score(self, arm: str) -> float | None:
        """The arm's score in the deciding metric; None where it has none."""
        found = self.lines[arm]["score"]
        return float(found) if isinstance(found, int | float) else None

    def answer(self, arm: str) -> str | None:
        """What the arm answered; None where no text was asked for."""
        found = self.lines[arm]["answer"]
        return found if isinstance(found, str) else None


@dataclass(frozen=True, slots=True)
class Material:
    """A report with the items behind it."""

    kept: Kept
    report: Report
    cases: tuple[Case, ...]  # in the order of the items
    beginning: str  # of every request: the instruction, usually
    right_or_wrong: bool  # every score is 1 or 0, and 1 is good

    @property
    def best(self) -> str:
        """The best prompt's arm."""
        return self.report.task.best_prompt

    @property
    def items(self) -> str:
        """The part of the data in words."""
        return "held-out items" if self.report.task.part == "held_out" else "validation items"

    def outcome(self, case: Case) -> Outcome:
        """What training changed for an item, against the best prompt."""
        if self.right_or_wrong:
            if case.gain:
                return "fixed" if case.gain > 0 else "broken"
            return "right" if case.goodness > 0 else "wrong"
        return "better" if case.gain > 0 else "worse" if case.gain < 0 else "same"

    def outcomes(self) -> dict[Outcome, list[Case]]:
        """The items by outcome, those with the largest change first."""
        found: dict[Outcome, list[Case]] = {o: [] for o in (RIGHT_OR_WRONG if self.right_or_wrong else BY_SCORE)}
        for case in sorted(self.cases, key=lambda case: -abs(case.gain)):
            found[self.outcome(case)].append(case)
        return found

    def worst_first(self) -> list[Case]:
        """Wrong before right; among equals those first that the best prompt had better."""
        return sorted(self.cases, key=lambda case: (case.goodness, case.gain))

    def probed(self, name: str) -> list[Pair]:
        """(base, tuned) for each item of a retention probe; none where it was not measured."""
        return pairs_of(self.kept.lines).get(name, [])

    def once(self, event: str) -> list[Mapping[str, Any]]:
        """Events of a kind in the order of their steps; a resumed run told some of them twice."""
        return sorted({e["step"]: e for e in self.kept.all(event)}.values(), key=lambda e: e["step"])


def material(kept: Kept, report: Report) -> Material:
    """Put the run's items side by side."""
    task = report.task
    rows = primary(task)
    arms: dict[str, dict[str, Line]] = {row.arm: {} for row in rows}
    for line in kept.chosen(task.part):
        if line["arm"] in arms:
            arms[str(line["arm"])][str(line["item"])] = line
    asked = {item: str(line.get("asked") or line["prompt"]) for item, line in arms["tuned"].items()}
    beginning = common_beginning(list(asked.values()))
    beginning = beginning[: beginning.rfind("\n") + 1]
    sign = 1 if task.metric.better == "higher" else -1
    cases = []
    for item, line in arms["tuned"].items():
        tuned, best = (sign * _number(arms[arm][item]["score"]) for arm in ("tuned", task.best_prompt))
        name = None if line["slice"] is None else str(line["slice"])
        lines = {arm: found[item] for arm, found in arms.items()}
        text = asked[item].removeprefix(beginning)
        cases.append(Case(item, name, text, str(line["expected"]), lines, tuned - best, tuned))
    binary = sign > 0 and all(_is_right_or_wrong(case, rows) for case in cases)
    return Material(kept, report, tuple(cases), beginning, binary)


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _is_right_or_wrong(case: Case, rows: Sequence[ScoreRow]) -> bool:
    return all(case.score(row.arm) in (0, 1, None) for row in rows)
