"""How training went, and where the weights moved."""

from burnish.report.material import Material
from burnish.report.page.charts import Curve, columns, curves, thinned
from burnish.report.page.markup import Child, Html, folded, numbers, passage, quoted, section, table, tag

ROWS = 60  # of a table of updates
ANSWERS = 12  # of the request that is asked again during training


def training(found: Material) -> Html:
    """Losses and the learning rate by update."""
    steps, evaluations = found.once("step"), found.once("evaluation")
    if not steps:
        return section("training", "How training went", tag("p", "No update was made."))
    losses = [(float(e["step"]), float(e["loss"])) for e in steps if e["loss"] is not None]
    checks = [(float(e["step"]), float(e["loss"])) for e in evaluations]
    rates = [(float(e["step"]), float(e["learning_rate"])) for e in steps]
    lines = [Curve("training loss of each update", thinned(losses), "faint-line")] if losses else []
    if len(losses) > 20:
        lines.append(Curve("its mean over neighbours", thinned(losses, 20), "tuned-line"))
    lines += [Curve("validation loss", thinned(checks), "prompt-dots", dots=True)] if checks else []
    inside: list[Child] = [tag("p", _told(found, len(steps)))]
    if lines:
        inside.append(curves(lines, "update; loss in nats per trained token", "g"))
    rate = Curve("rate", thinned(rates), "other-line")
    inside += [tag("h3", "Learning rate"), curves([rate], "update", ".2g", low=True)]
    inside += [numbers(*_tables(found)), _answers(found)]
    return section("training", "How training went", *inside)


def _told(found: Material, made: int) -> str:
    artifact = found.kept.needed("artifact")
    text = f"{made} updates."
    if "step" in artifact:
        text += f" The weights of update {artifact['step']} were kept: they had the lowest validation loss."
    skipped = sum(e["loss"] is None for e in found.once("step"))
    return text + (f" {skipped} updates were skipped, since their loss was no number." if skipped else "")


def _tables(found: Material) -> list[Html]:
    steps, evaluations = found.once("step"), found.once("evaluation")
    every = -(-len(steps) // ROWS)
    rows = [
        [
            f"{e['step']}",
            "skipped" if e["loss"] is None else f"{e['loss']:.4f}",
            f"{e['learning_rate']:.3g}",
            f"{e['targets']:,}",
            f"{e['seconds']:.2f}",
        ]
        for e in steps[::every]
    ]
    head = ("update", "loss", "learning rate", "trained tokens", "seconds")
    found_tables = [table(head, rows, left=0)]
    if every > 1:
        text = f"Each {every}th of {len(steps)} updates; all stand in events.jsonl."
        found_tables.append(tag("p", text, class_="about"))
    if evaluations:
        few = evaluations[:: -(-len(evaluations) // ROWS)]
        checks = [[f"{e['step']}", f"{e['loss']:.4f}", "best so far" if e["best"] else ""] for e in few]
        found_tables = [table(("update", "validation loss", ""), checks, left=0), *found_tables]
    return found_tables


def _answers(found: Material) -> Html | None:
    """One validation request, asked before training and again on the way."""
    first, samples = found.kept.last("asked"), found.once("sample")
    if first is None or not samples:
        return None
    every = -(-len(samples) // ANSWERS)
    chosen = [*samples[::every]] + ([samples[-1]] if (len(samples) - 1) % every else [])
    rows: list[list[Child]] = [["0", passage(str(first["answer"]))]]
    rows += [[f"{e['step']}", passage(str(e["answer"]))] for e in chosen]
    return folded(
        "One validation request, asked again on the way",
        tag("div", passage(str(first["request"])), class_="asked"),
        tag("p", "expected:"),
        passage(str(first["expected"])),
        table(("after update", "answer"), rows, left=2),
    )


def weights(found: Material) -> Html:
    """How far each block moved."""
    part = found.report.weights
    if part is None:
        text = "The method adds no change to the base's weights, so nothing moved."
        return section("weights", "Where the weights moved", tag("p", text))
    rows = [(layer.name.removeprefix("block "), layer.relative_change) for layer in part.by_layer]
    text = f"The change is {100 * part.relative_change:.2g} % of the length of the weights that could move."
    listed = [[quoted(layer.name), f"{100 * layer.relative_change:.3g} %"] for layer in part.by_layer]
    most = max((value for _, value in rows), default=0.0)
    return section(
        "weights",
        "Where the weights moved",
        tag("p", text),
        columns(rows, f"{100 * most:.2g} %", "block of the model; length of the change over length of its weights"),
        numbers(table(("part of the model", "‖dW‖ / ‖W‖"), listed)),
    )
