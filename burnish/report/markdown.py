"""report.md: the page condensed for a terminal or a code host. Tables, no pictures; texts of models stand in code."""

import re
from collections.abc import Iterable, Iterator, Sequence

from burnish.report.material import Case, Material
from burnish.report.numbers import (
    amount,
    bounds,
    counted,
    duration,
    ends,
    is_share,
    memory,
    moved,
    p_value,
    primary,
    recipe_name,
    reused,
    signed,
    slices,
)
from burnish.report.text import clipped, visible

EXAMPLES, ITEMS, SLICES = 3, 12, 30
WIDTH = 90  # characters of a text in a table
PROMPT = 4000


def markdown(found: Material) -> str:
    """The whole file; the same bytes for the same run directory."""
    parts = (_top, _arms, _changed, _training, _kept, _cost, _worst, _data, _prompt, _again)
    return "\n".join(line for part in parts for line in part(found)).rstrip("\n") + "\n"


def code(text: object, width: int = WIDTH) -> str:
    """A text as inline code on one line, cut at `width` characters; fit for a cell of a table."""
    flat = " ".join(visible(str(text).replace("\n", " ⏎ ")).split())
    if not flat:
        return "(empty)"
    if len(flat) > width:
        flat = flat[: width - 1] + "…"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    room = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{room}{flat}{room}{fence}".replace("|", "\\|")


def plain(text: str) -> str:
    """A sentence in which nothing is markup."""
    return visible(text).replace("&", "&amp;").replace("<", "&lt;")


def block(text: str, longest: int = PROMPT, language: str = "text") -> list[str]:
    """A text as a fenced block."""
    shown = visible(clipped(text, longest))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return [f"{fence}{language}", shown, fence, ""]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> list[str]:
    """A table; its first `left` columns are words."""
    line = "".join("---|" if i < left else "--:|" for i in range(len(head)))
    return [f"| {' | '.join(head)} |", f"|{line}", *(f"| {' | '.join(row)} |" for row in rows), ""]


def _top(found: Material) -> Iterator[str]:
    report = found.report
    yield from [f"# {recipe_name(report.provenance.recipe)}: {report.verdict.kind}".replace("`", ""), ""]
    if report.task.part == "validation":
        yield from ["**The held-out items are still closed: every number here is from validation items.**", ""]
    yield from [plain(report.verdict.sentence), "", f"Next: {code(report.verdict.next_command, 400)}", ""]


def _arms(found: Material) -> Iterator[str]:
    task = found.report.task
    share = is_share(task.metric)
    unit = "share in %" if share else task.metric.unit
    yield from [f"## Arms: {code(task.metric.name)} ({unit}, {task.metric.better} is better)", ""]
    yield from [f"On {task.items} {found.items}; `tuned -` is paired, positive where tuned is better.", ""]
    starred = None if task.kind == "text" else task.best_prompt
    rows = []
    for name in ("all", *slices(task)[:SLICES]):
        differences = {row.b: row for row in task.differences if row.slice == name}
        for row in primary(task, name):
            arm = f"{code(row.arm)} \\*" if row.arm == starred else code(row.arm)
            cells = [amount(row.value, share), ends(row.low, row.high, share), counted(row, share)]
            other = differences.get(row.arm)
            apart = ["", "", ""]
            if other is not None:
                apart = [signed(other.value, share), bounds(other.low, other.high, share), p_value(other.p_value)]
            rows.append([code(name), arm, row.scoring or "no model", *cells, *apart])
    yield from table(("slice", "arm", "read by", "value", "95 %", "n", "tuned -", "95 %", "p"), rows, left=3)
    left_out = len(slices(task)) - SLICES
    if left_out > 0:
        yield from [f"{left_out} more slices stand in report.json.", ""]
    if starred:
        yield from ["\\* the best prompt, chosen on validation items", ""]
    others = [row for row in task.scores if row.metric in task.also and row.slice == "all"]
    if others:
        listed = [[code(r.metric), code(r.arm), amount(r.value, False), ends(r.low, r.high, False)] for r in others]
        yield from table(("also", "arm", "value", "95 %"), listed, left=2)


def _changed(found: Material) -> Iterator[str]:
    groups = found.outcomes()
    yield from [f"## Item by item: tuned against {code(found.best)}", ""]
    yield from table(("outcome", "items"), [[outcome, f"{len(cases)}"] for outcome, cases in groups.items()])
    wanted = [c for o in ("fixed", "broken", "better", "worse") for c in groups.get(o, [])[:EXAMPLES]]
    if wanted:
        yield from _cases(found, wanted)


def _cases(found: Material, cases: Sequence[Case]) -> list[str]:
    """Items with what was asked, expected and answered; raw documents with their losses alone."""
    if found.report.task.kind == "text":
        rows = [[code(c.item), code(c.expected), *_scores(c, (found.best, "tuned"))] for c in cases]
        return table(("item", "document", found.best, "tuned"), rows, left=2)
    arms = list(dict.fromkeys((found.best, "tuned")))
    rows = []
    for case in cases:
        answers = [_answer(found, case, arm) for arm in arms]
        rows.append([found.outcome(case), code(case.asked), code(case.expected), *answers])
    return table(("outcome", "asked", "expected", *map(code, arms)), rows, left=3 + len(arms))


def _scores(case: Case, arms: Sequence[str]) -> list[str]:
    return [amount(case.score(arm), False) for arm in arms]


def _answer(found: Material, case: Case, arm: str) -> str:
    answer, score = case.answer(arm), case.score(arm)
    mark = ("✓" if score else "✗") if found.right_or_wrong else amount(score, False)
    return mark if answer is None else f"{mark} {code(answer)}"


def _training(found: Material) -> Iterator[str]:
    steps, evaluations = found.once("step"), found.once("evaluation")
    yield from ["## Training", ""]
    losses = [e["loss"] for e in steps if e["loss"] is not None]
    if losses:
        yield from [
            f"{len(steps)} updates; loss {losses[0]:.3f} at first, {losses[-1]:.3f} at last (nats per token).",
            "",
        ]
    if evaluations:
        every = -(-len(evaluations) // ITEMS)
        rows = [[f"{e['step']}", f"{e['loss']:.4f}", "best so far" if e["best"] else ""] for e in evaluations[::every]]
        yield from table(("update", "validation loss", ""), rows, left=0)
    weights = found.report.weights
    if weights is not None:
        most = max(weights.by_layer, key=lambda layer: layer.relative_change)
        text = f"The weights {moved(weights)}, most in {code(most.name)}"
        yield from [f"{text} ({100 * most.relative_change:.2g} %).", ""]


def _kept(found: Material) -> Iterator[str]:
    part = found.report.retention
    yield from ["## What was kept", ""]
    if part is None:
        yield from ["Not measured in this run.", ""]
        return
    yield from [f"**{part.kept.replace('_', ' ')}**: {plain(part.sentence)}", ""]
    if part.next_command is not None:
        yield from [f"Next: {code(part.next_command, 400)}", ""]
    rows = []
    for probe in part.probes:
        share = probe.unit == "share"
        values = [amount(probe.base, share), amount(probe.tuned, share), signed(probe.difference, share)]
        rows.append([code(probe.name), probe.unit, *values, bounds(probe.low, probe.high, share), f"{probe.count}"])
    yield from table(("probe", "unit", "base", "tuned", "tuned - base", "95 %", "n"), rows, left=2)


def _cost(found: Material) -> Iterator[str]:
    cost = found.report.cost
    total = duration(sum(cost.stage_seconds.values()))
    sizes = f"{memory(cost.peak_memory_bytes)} of memory, {memory(cost.artifact_bytes)} on disk"
    yield from ["## Cost", "", f"{total}, of it training {duration(cost.train_seconds)}; {sizes}{reused(cost)}.", ""]
    yield from table(("stage", "time"), [[code(n), duration(s)] for n, s in cost.stage_seconds.items()])
    tokens = cost.prompt_tokens_per_request
    if tokens:
        yield from table(("arm", "prompt tokens a request"), [[code(a), f"{n:,.1f}"] for a, n in tokens.items()])


def _worst(found: Material) -> Iterator[str]:
    cases = found.worst_first()
    shown = cases[:ITEMS]
    yield from [
        "## Answers, worst first",
        "",
        f"{len(shown)} of {len(cases)} {found.items}; all stand in samples.jsonl.",
        "",
    ]
    yield from _cases(found, shown)


def _data(found: Material) -> Iterator[str]:
    data = found.report.data
    counts = {"train": data.train, "validation": data.validation, "held out": data.held_out}
    counts |= {f"dropped, {reason}": count for reason, count in data.dropped.items()} | {"unused": data.unused}
    yield from ["## Data", ""]
    yield from table(("where", "records"), [[n, f"{c:,}"] for n, c in (counts | {"given": data.given}).items()])
    if data.held_out_opened > 1:
        yield from [f"The held-out items were opened {data.held_out_opened} times on this machine.", ""]


def _prompt(found: Material) -> Iterator[str]:
    if found.report.task.kind == "text":
        return
    case = found.worst_first()[0]
    yield from ["## Exact prompts", "", f"For item {code(case.item)}.", ""]
    for row in primary(found.report.task):
        line = case.lines[row.arm]
        if line["scoring"] is not None:
            yield from [f"{code(row.arm)}, {line['prompt_tokens']} tokens:", "", *block(str(line["prompt"]))]


def _again(found: Material) -> Iterator[str]:
    where = found.report.provenance
    directory = found.kept.needed("started")["run"]
    versions = f"burnish {where.burnish}, torch {where.torch}, transformers {where.transformers}"
    yield from [
        "## Run it again",
        "",
        f"    burnish run {directory}/recipe.yaml",
        f"    burnish report {directory}",
        "",
    ]
    yield from [f"{versions}; {where.device}, {where.dtype}, {where.threads} threads; seed {where.seed}.", ""]
    yield from block(found.kept.resolved.rstrip("\n"), language="yaml")
