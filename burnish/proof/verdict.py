"""The verdict: four kinds, decided in one order by intervals alone. `docs/verdict.md` is this file in plain words."""

import math
from dataclasses import dataclass
from typing import Literal

from burnish.proof.statistics import items_for_enough, items_needed, smallest_gain

Kind = Literal["fine_tune", "prompt", "inconclusive", "harmful"]


@dataclass(frozen=True, slots=True)
class Difference:
    """tuned - arm on the same held-out items, positive when tuned is better; ends at 95 % and at 90 %."""

    arm: str
    value: float
    low: float
    high: float
    high_90: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict is decided from.

    `differences`: tuned against every prompt arm measured on held-out items, base included. `margin`: the gain that is
    not worth training for, in the metric's unit.
    """

    differences: tuple[Difference, ...]
    best_prompt: str
    margin: float

    def __post_init__(self) -> None:
        arms = [difference.arm for difference in self.differences]
        assert "base" in arms, arms
        assert self.best_prompt in arms, (self.best_prompt, arms)
        assert len(set(arms)) == len(arms), arms

    def against(self, arm: str) -> Difference:
        """tuned - `arm`."""
        return next(difference for difference in self.differences if difference.arm == arm)


def decide(evidence: Evidence) -> Kind:
    """The kind, by the first rule that holds."""
    if evidence.against("base").high < 0:
        return "harmful"
    if all(difference.low > 0 for difference in evidence.differences):
        return "fine_tune"
    if evidence.against(evidence.best_prompt).high_90 < evidence.margin:
        return "prompt"
    return "inconclusive"


@dataclass(frozen=True, slots=True)
class Context:
    """What the sentence and the next command need besides the evidence.

    `simple`: tuned - simple where that arm was measured. `discordant_share`: share of items on which tuned and the best
    prompt differ (metrics that are shares), else None. `closer`: the metric measures nearness to the user's answers, so
    nothing is called better. `prompt_arms`: False where no prompt can be tried (raw text).
    """

    metric: str
    unit: str
    is_share: bool
    items: int
    seeds: int = 1
    simple: Difference | None = None
    discordant_share: float | None = None
    closer: bool = False
    prompt_arms: bool = True
    directory: str = "DIR"
    recipe: str = "RECIPE"
    program: str = "burnish"
    learning_rate: float | None = None
    opened_before: int = 0  # openings of these very held-out items by other runs on this machine
    kept: str = ""  # the clause on what the model kept, where it was measured (`burnish.proof.retention`)
    lose_less: str | None = None  # the command that loses less, where a loss is shown
    records: int | None = None  # how many the held-out items could be cut from; None: they are a file of their own


@dataclass(frozen=True, slots=True)
class Verdict:
    """The `verdict` part of report.json."""

    kind: Kind
    sentence: str
    next_command: str

    def to_json(self) -> dict[str, object]:
        """The part as JSON."""
        return {"kind": self.kind, "sentence": self.sentence, "next_command": self.next_command}


def judge(evidence: Evidence, context: Context) -> Verdict:
    """Kind, sentence and next command."""
    kind = decide(evidence)
    return Verdict(kind, _sentence(kind, evidence, context), _next_command(kind, evidence, context))


def not_judged(evidence: Evidence, context: Context) -> Verdict:
    """What stands in a verdict's place while the held-out items are closed; `evidence` is from validation items."""
    best = evidence.against(evidence.best_prompt)
    sentence = (
        f"No verdict yet: the held-out items are still closed. On {context.items} validation items tuned - {best.arm} "
        f"is {_measured(best, context)} by {context.metric}; prompts and checkpoint were chosen by these items, "
        "so this interval is no proof."
    )
    return Verdict("inconclusive", sentence, f"{context.program} evaluate {context.directory}")


def _amount(value: float, context: Context, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if math.isinf(value):
        return "unbounded"
    return f"{100 * value:{sign}.1f} points" if context.is_share else f"{value:{sign}.3g} {context.unit}"


def _measured(difference: Difference, context: Context) -> str:
    unit = "points" if context.is_share else f"{context.unit} (positive is better)"
    value, low, high = (_end(number, context) for number in (difference.value, difference.low, difference.high))
    return f"{value} {unit}, 95 % interval {low} to {high}"


def _end(value: float, context: Context) -> str:
    return f"{100 * value:+.1f}" if context.is_share else f"{value:+.3g}"


def _name(arm: str) -> str:
    return "the base model without examples" if arm == "base" else f"the best prompt ({arm})"


def _sentence(kind: Kind, evidence: Evidence, context: Context) -> str:
    best = evidence.against(evidence.best_prompt)
    base = evidence.against("base")
    if kind == "harmful":
        worse = "further from your answers" if context.closer else "worse"
        text = f"Fine-tuning did harm: the tuned model is {worse} than the base model ({_measured(base, context)})."
    elif kind == "fine_tune":
        text = _gain_sentence(best, evidence, context)
    elif kind == "prompt":
        who = "The base model is enough as it is" if best.arm == "base" else f"Prompting is enough: use {best.arm}"
        text = (
            f"{who}: a gain of {_amount(evidence.margin, context)} or more by fine-tuning is ruled out at 95 %, "
            f"one-sided (tuned - {best.arm}: {_measured(best, context)}; the 90 % one ends at "
            f"{_end(best.high_90, context)})."
        )
    else:
        text = _open_sentence(best, evidence, context)
    if context.kept:
        text = f"{text.removesuffix('.')}; {context.kept}."
    if context.simple is not None and context.simple.low <= 0:
        measured = _measured(context.simple, context)
        text += f" The tuned model is not shown to beat the simple rival without a language model ({measured})."
    if not context.prompt_arms:
        text += " Raw text has no prompt arm: the only rival was the base model."
    if context.opened_before:
        before = times(context.opened_before)
        text += f" The items were opened {before} before; choices made in between are not covered by the interval."
    seeds = "one training seed was" if context.seeds == 1 else f"{context.seeds} training seeds were"
    return f"{text} Measured by {context.metric} on {context.items} held-out items; {seeds} run."


def times(count: int) -> str:
    """How often, in words."""
    return "once" if count == 1 else f"{count} times"


def _gain_sentence(best: Difference, evidence: Evidence, context: Context) -> str:
    if not context.prompt_arms:
        claim = "Fine-tuning lowered the loss on text like yours against the base model"
    elif context.closer:
        claim = f"Fine-tuning brought the model closer to your answers than {_name(best.arm)}"
    else:
        claim = f"Fine-tuning helps: it beats {_name(best.arm)}"
    others = len(evidence.differences) - 1
    also = f" and every other prompt measured ({others})" if others else ""
    return f"{claim}{also} ({_measured(best, context)})."


def _open_sentence(best: Difference, evidence: Evidence, context: Context) -> str:
    text = f"Inconclusive: tuned - {best.arm} is {_measured(best, context)}"
    if best.low > 0:
        unbeaten = [d.arm for d in evidence.differences if d.low <= 0]
        return f"{text}, but tuned is not shown to beat {' and '.join(unbeaten)}."
    return f"{text}: neither a gain nor the absence of a gain of {_amount(evidence.margin, context)} is shown."


def _next_command(kind: Kind, evidence: Evidence, context: Context) -> str:
    chat = f"{context.program} chat {context.directory}"
    if not context.prompt_arms:
        chat = f"{context.program} export {context.directory} --to merged"
    if kind == "fine_tune":
        return context.lose_less or chat
    if kind == "prompt":
        return f"{chat} --arm best_prompt"
    if kind == "harmful":
        return slower_run(context.recipe, context.learning_rate, context.program)
    wanted = more_items(evidence, context)
    if context.records is not None and wanted <= context.records // 2:
        return f"{context.program} run {context.recipe} data.held_out={wanted}"
    return f"collect about {wanted} held-out items (these {context.items} cannot decide it) and run again"


def slower_run(recipe: str, learning_rate: float | None, program: str = "burnish") -> str:
    """The command of the same run with a fifth of the learning rate."""
    rate = "0.0001" if learning_rate is None else f"{learning_rate / 5:.1g}"
    return f"{program} run {recipe} training.learning_rate={rate}"


def more_items(evidence: Evidence, context: Context) -> int:
    """Held-out items that would probably decide an inconclusive verdict, if the difference stays as measured.

    Shares: by the planning formulas. Other metrics: the interval's half-width shrinks with the root of the items.
    Never fewer than half as many again as were measured, since these did not decide.
    """
    close = [d for d in evidence.differences if d.low <= 0] or list(evidence.differences)
    hardest = min(close, key=lambda d: d.value)
    needs: list[float] = []
    if context.is_share and context.discordant_share is not None:
        share = max(context.discordant_share, 1 / context.items)
        needs.append(items_for_enough(evidence.margin, share))
        if hardest.value > 0:
            needs.append(items_needed(hardest.value, share))
    else:
        half = (hardest.high - hardest.low) / 2
        for distance in (hardest.value, evidence.margin - hardest.value):
            if distance > 0 and math.isfinite(half):
                needs.append(context.items * (half / distance) ** 2)
    wanted = min(needs, default=2.0 * context.items)
    return max(math.ceil(wanted / 10) * 10, math.ceil(1.5 * context.items))


@dataclass(frozen=True, slots=True)
class Reach:
    """What a number of held-out items can show, before anything runs (metrics that are shares).

    `gain`: smallest gain shown with 80 % power; `enough`: whether "prompting is enough" can be expected where it is
    true; `items_for_enough`: the items that takes.
    """

    items: int
    discordant_share: float
    margin: float
    gain: float
    enough: bool
    items_for_enough: int

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The verdicts within reach."""
        if self.gain > 1:
            return ("inconclusive",)
        return (
            ("harmful", "fine_tune", "prompt", "inconclusive")
            if self.enough
            else ("harmful", "fine_tune", "inconclusive")
        )

    @property
    def sentence(self) -> str:
        """One line for the plan."""
        where = f"if the arms differ on {100 * self.discordant_share:.0f} % of items"
        text = f"{self.items} held-out items show a gain of about {100 * self.gain:.0f} points or more {where}"
        margin = f"{100 * self.margin:.0f} points"
        if self.enough:
            return f"{text}, and can show that prompting is enough (a gain under {margin})."
        return f"{text}; that prompting is enough (a gain under {margin}) takes about {self.items_for_enough}."


def reachable(items: int, margin: float = 0.05, discordant_share: float = 0.1) -> Reach:
    """Which verdicts this many items can reach, at an assumed share of items on which two arms differ."""
    needed = items_for_enough(margin, discordant_share)
    gain = smallest_gain(items, discordant_share)
    return Reach(items, discordant_share, margin, gain, items >= needed, needed)
