"""Whether a tuned model kept what it knew and did before: from lines of samples.jsonl to the report's `retention` part.

No model is needed (law 10). The rule, for each share - right answers to knowledge questions, passed requests, and
answers free of spill-over - by the paired 95 % interval of tuned - base, positive when tuned is better:

    kept        its lower end is above -margin: a loss of the margin or more is ruled out
    lost        not that, and its upper end is below 0: a loss is shown
    not_shown   neither

The margin is what the items can show where nothing was lost: 10 points for the 100 questions, which may then change by
seven each way, and 15 points for the 40 requests, of which three may change each way (with 10 points not even one).
The whole is `lost` where one of them is lost, `kept` where all are kept, else `not_shown`. Log-likelihood margin and
loss on general text are shown beside it and decide nothing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from burnish.proof.statistics import Interval, Resampling, bootstrap_mean, paired_shares
from burnish.proof.summary import Line, latest

Pair = tuple[Line, Line]  # base and tuned on one item
Word = Literal["kept", "lost", "not_shown"]
PART = "retention"
MARGIN = 0.10  # of the share of right answers to knowledge questions
MARGIN_OF_REQUESTS = 0.15  # of the shares of passed requests and of spill-over
CLAUSES: dict[Word, str] = {
    "kept": "general answers were kept",
    "lost": "general answers were lost",
    "not_shown": "general answers were not shown to be kept",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of both models on the same items; `difference` is positive when tuned is better."""

    name: str
    unit: str
    better: Literal["higher", "lower"]
    base: float
    tuned: float
    difference: float
    low: float | None
    high: float | None
    count: int

    @property
    def word(self) -> Word:
        """The rule above, for a share."""
        low, high = (-1.0 if self.low is None else self.low), (1.0 if self.high is None else self.high)
        margin = MARGIN if self.name == "knowledge" else MARGIN_OF_REQUESTS
        return "kept" if low > -margin else "lost" if high < 0 else "not_shown"


@dataclass(frozen=True, slots=True)
class Retention:
    """What was kept. `spill_over`: the tuned model's share; None where the task's format cannot be told from prose."""

    kept: Word
    sentence: str
    clause: str  # of the verdict's sentence
    next_command: str | None
    spill_over: float | None
    probes: tuple[Measure, ...]

    def to_json(self) -> dict[str, object]:
        """The `retention` part of report.json."""
        return {
            "kept": self.kept,
            "margin": MARGIN,
            "margin_of_requests": MARGIN_OF_REQUESTS,
            "sentence": self.sentence,
            "next_command": self.next_command,
            "spill_over": self.spill_over,
            "probes": [asdict(probe) for probe in self.probes],
        }


def pairs_of(lines: Iterable[Line]) -> dict[str, list[Pair]]:
    """(base, tuned) for each item that both were asked, by probe."""
    found = latest(line for line in lines if line["part"] == PART)
    base = {line["item"]: line for line in found if line["arm"] == "base"}
    probes: dict[str, list[Pair]] = {}
    for line in found:
        if line["arm"] == "tuned" and line["item"] in base:
            probes.setdefault(str(line["slice"]), []).append((base[line["item"]], line))
    return probes


def summarise_retention(lines: Iterable[Line], lose_less: str, seed: int = 0) -> Retention | None:
    """The part; None where one of the models, knowledge or the requests were not measured.

    `lose_less`: the command of a run that would lose less, named where a loss is shown.
    """
    probes = pairs_of(lines)
    if not {"knowledge", "requests"} <= probes.keys():
        return None
    measures = [
        _share("knowledge", "higher", _scores(probes["knowledge"])),
        _mean("knowledge_margin", "higher", _others(probes["knowledge"], "margin"), seed),
    ]
    if "general_text" in probes:
        measures.append(_mean("general_text", "lower", _scores(probes["general_text"]), seed))
    measures.append(_share("requests", "higher", _scores(probes["requests"])))
    spilled = _others(probes["requests"], "spill_over")
    if spilled:
        measures.append(_share("spill_over", "lower", spilled))
    return _judged(tuple(measures), lose_less)


def decide(shares: Sequence[Measure]) -> Word:
    """The word of the whole."""
    words = [share.word for share in shares]
    if "lost" in words:
        return "lost"
    return "kept" if set(words) == {"kept"} else "not_shown"


def _judged(measures: tuple[Measure, ...], lose_less: str) -> Retention:
    named = {measure.name: measure for measure in measures}
    shares = [measure for measure in measures if measure.unit == "share"]
    kept, spill = decide(shares), named.get("spill_over")
    clause = CLAUSES[kept]
    if kept == "lost":
        clause += f" ({'; '.join(_brief(share) for share in shares if share.word == 'lost')})"
    text = " ".join(_spoken(share) for share in shares)
    if spill is None:
        text += " Spill-over cannot be told: the task's own answers look like ordinary prose, or are too few."
    if kept == "lost":
        text += " A lower learning rate or fewer updates lose less."
    command = lose_less if kept == "lost" else None
    return Retention(kept, text, clause, command, None if spill is None else spill.tuned, measures)


def _brief(share: Measure) -> str:
    tuned, base = (round(value * share.count) for value in (share.tuned, share.base))
    if share.name == "spill_over":
        return f"{tuned} of {share.count} general requests were answered in the task's own format"
    what = "knowledge questions right" if share.name == "knowledge" else "general requests passed"
    return f"{tuned} of {share.count} {what}, base {base}"


def _spoken(share: Measure) -> str:
    tuned, base = (round(value * share.count) for value in (share.tuned, share.base))
    low, high = (("?" if end is None else f"{100 * end:+.1f}") for end in (share.low, share.high))
    count = f"{tuned} of {share.count}"
    numbers = f"base {base}; {100 * share.difference:+.1f} points, 95 % interval {low} to {high}"
    said = {"kept": "kept", "lost": "lost", "not_shown": "not shown to be kept"}[share.word]
    if share.name == "knowledge":
        return f"Knowledge was {said}: {count} questions right ({numbers})."
    if share.name == "requests":
        return f"General requests were {said}: {count} passed ({numbers})."
    spill = {"kept": "no spill-over", "lost": "spill-over", "not_shown": "spill-over is not ruled out"}[share.word]
    return f"{spill.capitalize()}: {count} general requests answered in the task's own format ({numbers})."


def _share(name: str, better: Literal["higher", "lower"], pairs: Sequence[tuple[float, float]]) -> Measure:
    base, tuned = [b for b, _ in pairs], [t for _, t in pairs]
    interval = paired_shares(tuned, base) if better == "higher" else paired_shares(base, tuned)
    return _measure(name, "share", better, base, tuned, interval)


def _mean(name: str, better: Literal["higher", "lower"], pairs: Sequence[tuple[float, float]], seed: int) -> Measure:
    base, tuned = [b for b, _ in pairs], [t for _, t in pairs]
    sign = 1 if better == "higher" else -1
    interval = bootstrap_mean([sign * (t - b) for b, t in pairs], Resampling(seed))
    return _measure(name, "nats per token", better, base, tuned, interval)


def _measure(
    name: str,
    unit: str,
    better: Literal["higher", "lower"],
    base: Sequence[float],
    tuned: Sequence[float],
    interval: Interval,
) -> Measure:
    ends = [end if math.isfinite(end) else None for end in (interval.low, interval.high)]
    means = [sum(values) / len(values) for values in (base, tuned)]
    return Measure(name, unit, better, means[0], means[1], interval.value, ends[0], ends[1], interval.count)


def _scores(pairs: Sequence[Pair]) -> list[tuple[float, float]]:
    """Base's and tuned's score of each item."""
    return [(float(str(base["score"])), float(str(tuned["score"]))) for base, tuned in pairs]


def _others(pairs: Sequence[Pair], name: str) -> list[tuple[float, float]]:
    """The same of one of `other_scores`; items where it is null are left out."""
    found = [(_other(base, name), _other(tuned, name)) for base, tuned in pairs]
    return [(base, tuned) for base, tuned in found if base is not None and tuned is not None]


def _other(line: Line, name: str) -> float | None:
    others = line["other_scores"]
    assert isinstance(others, Mapping)
    return None if others[name] is None else float(others[name])
