"""What an arm was asked and what it answered, read from a run directory; no model is loaded."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from burnish.errors import RunError
from burnish.proof.retention import PART
from burnish.proof.summary import Line
from burnish.registry import did_you_mean
from burnish.report.build import Kept, read

PARTS = ("held_out", "validation", PART)
RETENTION = {
    "name": "right",
    "better": "higher",
    "is_share": True,
}  # general_text: nats per token, never wrong


def show_samples(run: Path, arm: str, *, wrong: bool = False, part: str | None = None) -> Iterator[str]:
    """The samples of one arm in its chosen scoring, as text; `arm` may be "best_prompt".

    `wrong`: of a metric that is right or wrong the wrong ones alone, of others all, the worst first. `part`: held_out,
    validation, or retention (general questions and requests, asked of base and tuned); without it the part that the
    report is about. Raises RunError for an unknown part or arm.
    """
    kept = read(run)
    chosen = part or kept.part
    if chosen not in PARTS:
        raise RunError(f'--part: "{chosen}" is unknown; known are {", ".join(PARTS)}.{did_you_mean(chosen, PARTS)}')
    name = kept.choice.best_prompt if arm == "best_prompt" else arm
    lines = _lines_of(kept, name, chosen)
    metric: dict[str, Any] = RETENTION if chosen == PART else kept.needed("task")["metrics"][0]
    total = len(lines)
    if wrong:
        lines = _worst(lines, metric)
    shown = f"{len(lines)} of {total} items" if len(lines) != total else f"{total} items"
    yield f"{name}, {chosen}: {shown}, scored by {metric['name']}; from {run / 'samples.jsonl'}"
    for line in lines:
        yield from ["", *_spoken(line, metric["name"])]


def _lines_of(kept: Kept, arm: str, part: str) -> list[Line]:
    arms = list(dict.fromkeys(str(line["arm"]) for line in kept.lines if line["part"] == part))
    if arm not in arms:
        known = f"it has {', '.join(arms)}" if arms else "nothing was measured on them"
        raise RunError(f'--arm: "{arm}" has no {part} items in {kept.path}; {known}.{did_you_mean(arm, arms)}')
    return [line for line in kept.chosen(part) if line["arm"] == arm]


def _worst(lines: Sequence[Line], metric: dict[str, Any]) -> list[Line]:
    """Wrong answers, or all from the worst to the best where no answer is simply wrong."""
    sign = 1 if metric["better"] == "higher" else -1

    def goodness(line: Line) -> float:
        return sign * float(str(line["score"])) if line["score"] is not None else 0.0

    if metric["is_share"]:
        return [line for line in lines if goodness(line) < max(0, sign) and not _is_text(line)]
    return sorted(lines, key=goodness)


def _is_text(line: Line) -> bool:
    """Whether this is a paragraph of general text, which has a loss and no right or wrong."""
    return line["part"] == PART and line["slice"] == "general_text"


def _spoken(line: Line, metric: str) -> Iterator[str]:
    facts = [f"item {line['item']}"]
    facts += [f"{key} {line[key]}" for key in ("slice", "group") if line[key] is not None]
    if _is_text(line):
        metric = "nats per token"
    facts.append(f"{metric} {line['score']:g}" if isinstance(line["score"], int | float) else f"no {metric}")
    others = line["other_scores"]
    known = others.items() if isinstance(others, dict) else ()
    facts += [f"{name} {value:.3g}" for name, value in known if value is not None]
    facts += [f"read by {line['scoring']}"] if line["scoring"] else []
    if line["prompt_tokens"]:
        facts.append(f"{line['prompt_tokens']} prompt tokens, {line['answer_tokens']} answered")
    if line["stopped_by"]:
        facts.append(f"stopped by {line['stopped_by']}")
    yield "--- " + " · ".join(facts)
    for name in ("prompt", "answer", "expected"):
        text = line[name]
        if text:
            yield f"[{name}]"
            yield str(text)
