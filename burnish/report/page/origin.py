"""Where the numbers come from: the exact prompts, the recipe, and the line that makes the run again."""

from burnish.report.material import Material
from burnish.report.numbers import arm_name, primary
from burnish.report.page.markup import Child, Html, folded, quoted, section, table, tag
from burnish.report.text import clipped

PROMPT = 20_000  # characters of a prompt
NOTES, NOTE = 40, 500  # remarks, and characters of each


def prompts(found: Material) -> Html:
    """The exact prompt of each arm for one item."""
    if found.report.task.kind == "text":
        text = "Raw text is asked nothing: each document was read from its first token to its last."
        return section("prompts", "The exact prompts", tag("p", text))
    case = found.worst_first()[0]
    blocks = []
    for row in primary(found.report.task):
        line = case.lines[row.arm]
        if line["scoring"] is None:
            words = tag("p", "No language model is asked: the answer is computed from the training records.")
            blocks.append(folded(_title(row.arm, None), words))
        else:
            text = clipped(str(line["prompt"]), PROMPT)
            blocks.append(folded(_title(row.arm, line["prompt_tokens"]), tag("pre", text, dir="auto", class_="prompt")))
    about = tag(
        "p", "What each arm was given for item ", quoted(case.item), ", to the character, control tokens included."
    )
    return section("prompts", "The exact prompts", about, *blocks)


def _title(arm: str, tokens: object) -> Html:
    return tag("span", tag("b", quoted(arm)), f" {arm_name(arm)}", None if tokens is None else f", {tokens} tokens")


def recipe(found: Material) -> Html:
    """The resolved recipe, the command that runs it again, and who made all this from what."""
    where = found.report.provenance
    directory = found.kept.needed("started")["run"]
    rows: list[list[Child]] = [
        ["recipe", quoted(where.recipe)],
        ["base model", quoted(found.kept.needed("started").get("base", "?"))],
        ["base sha256", tag("code", where.base_sha256)],
        ["data sha256", tag("code", where.data_sha256)],
        ["seed", f"{where.seed}"],
        ["burnish", where.burnish],
        ["torch", where.torch],
        ["transformers", where.transformers],
        ["device", f"{where.device}, {where.dtype}, {where.threads} threads"],
        ["processor", quoted(where.cpu)],
        ["started", where.started],
        ["finished", where.finished or "?"],
    ]
    again = [
        tag("p", "The whole run follows from its resolved recipe, its data and its base model:"),
        tag("pre", f"burnish run {directory}/recipe.yaml", class_="command"),
        tag("p", "This page, report.md and report.json follow from the run directory, without a model:"),
        tag("pre", f"burnish report {directory}", class_="command"),
    ]
    text = clipped(found.kept.resolved, PROMPT)
    return section(
        "recipe",
        "Run it again",
        *again,
        folded("The resolved recipe", tag("pre", text, dir="auto")),
        folded("Versions, hashes, machine", table(("what", "value"), rows, left=2)),
        _notes(found),
    )


def _notes(found: Material) -> Html | None:
    texts = list(dict.fromkeys(str(event["text"]) for event in found.kept.all("note")))
    if not texts:
        return None
    more = f"{len(texts) - NOTES} more, in events.jsonl" if len(texts) > NOTES else None
    shown = [tag("li", quoted(clipped(text, NOTE))) for text in texts[:NOTES]]
    return folded("What the run remarked", tag("ul", *shown), more)
