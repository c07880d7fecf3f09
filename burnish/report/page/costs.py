"""What the run took, and what a request costs afterwards."""

from burnish.report.material import Material
from burnish.report.numbers import arm_name, duration, memory
from burnish.report.page.arms import tone
from burnish.report.page.charts import bars
from burnish.report.page.markup import Child, Html, facts, numbers, quoted, section, table, tag


def cost(found: Material) -> Html:
    """Minutes, memory, bytes, tokens."""
    part, task = found.report.cost, found.report.task
    total = sum(part.stage_seconds.values())
    rate = "?" if part.tokens_per_second is None else f"{part.tokens_per_second:,.0f} tokens/s"
    trained = part.trainable_parameters / max(1, part.total_parameters)
    others = ", ".join(map(arm_name, part.reused_arms))
    taken_over = [("taken over from another run", others)] if others else []
    shown = facts(
        [
            ("all stages", duration(total)),
            ("training", duration(part.train_seconds)),
            ("peak memory", memory(part.peak_memory_bytes)),
            ("on disk", memory(part.artifact_bytes)),
            ("trained parameters", f"{part.trainable_parameters:,} ({trained:.2%})"),
            ("trained tokens", f"{part.trained_tokens:,}"),
            ("speed of training", rate),
            *taken_over,
        ]
    )
    stages = [
        (quoted(name), seconds, duration(seconds), tone(name, task)) for name, seconds in part.stage_seconds.items()
    ]
    listed = [[quoted(n), f"{s:.1f}", f"{s / (total or 1):.1%}"] for n, s in part.stage_seconds.items()]
    inside: list[Child] = [
        shown,
        tag("h3", "Time by stage"),
        bars(stages, "each arm's stage is its answering of all items"),
        numbers(table(("stage", "seconds", "share"), listed)),
    ]
    tokens = part.prompt_tokens_per_request
    if tokens:
        order = sorted(tokens, key=lambda arm: tokens[arm])
        inside += [
            tag("h3", "Prompt tokens of one request"),
            bars(
                [(quoted(arm_name(arm)), tokens[arm], f"{tokens[arm]:,.0f}", tone(arm, task)) for arm in order],
                "mean over the items; a prompt with examples is read anew for every request",
            ),
            numbers(table(("arm", "prompt tokens"), [[quoted(arm), f"{tokens[arm]:,.1f}"] for arm in order])),
        ]
    return section("cost", "What it cost", *inside)
