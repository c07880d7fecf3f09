"""General requests, answered freely: does the answer do what was asked, and is it in the task's own format?

A check holds where all its conditions do:

- `contains`: one of these words stands in the answer, as a whole word, whatever its case;
- `words`: the answer has at least the first and at most the second number of words;
- `lines`: it has at least this many lines;
- `items`: it is a list of at least this many items: lines that begin with a number or a bullet, or parts between
  commas.

An answer that passes its check is no spill-over: "Paris" is right whatever the task's format is.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from burnish.proof.probe import Asking, Item, asked, data_of, line_of
from burnish.proof.summary import Line

_BULLET = re.compile(r"^\s*(?:[-*•+]|\(?\d+[.):])\s*\S")
_WORD = re.compile(r"\w+(?:['’]\w+)*")


def passes(answer: str, check: Mapping[str, Any]) -> bool:
    """Whether an answer does what was asked, as far as a program can tell."""
    words = [word.casefold() for word in _WORD.findall(answer)]
    lines = [line for line in answer.splitlines() if line.strip()]
    items = max(sum(bool(_BULLET.match(line)) for line in lines), len([p for p in answer.split(",") if p.strip()]))
    low, high = check.get("words", (1, len(words)))
    return (
        low <= len(words) <= high
        and len(lines) >= check.get("lines", 0)
        and items >= check.get("items", 0)
        and ("contains" not in check or not {word.casefold() for word in check["contains"]}.isdisjoint(words))
    )


def spoken(check: Mapping[str, Any]) -> str:
    """What a check asks for, in words."""
    parts = [f"one of: {', '.join(check['contains'])}"] if "contains" in check else []
    parts += [f"{check['words'][0]} to {check['words'][1]} words"] if "words" in check else []
    parts += [f"at least {check[kind]} {kind}" for kind in ("lines", "items") if kind in check]
    return "; ".join(parts)


def ordinary_answers() -> tuple[str, ...]:
    """Authored plain answers and paragraphs: what answers look like that are in no task's format."""
    paragraphs = [row["text"] for row in data_of("general_text")["texts"]]
    return (*data_of("requests")["ordinary"], *paragraphs)


class _Requests:
    name = "requests"
    chunk = 20

    def items(self) -> list[Item]:
        """The requests."""
        return [Item(row["id"], row["request"], check=row["check"]) for row in data_of(self.name)["requests"]]

    def fits(self, item: Item, asking: Asking) -> bool:
        """A request with its longest answer."""
        return asking.fits(item)

    def measure(self, items: Sequence[Item], asking: Asking) -> list[Line]:
        """Passed or not, and spill-over: 1, 0, or null where the task's format cannot be told from plain prose."""
        answered = asking.engine.generate([asking.renderer.prompt(item.request) for item in items])
        lines = []
        for item, given in zip(items, answered, strict=True):
            text = asking.decode(given.tokens)
            passed = passes(text, item.check)
            spilled = None
            if asking.task_format is not None:
                spilled = int(not passed and asking.task_format.holds(text))
            found = {
                "answer": text,
                "expected": spoken(item.check),
                "score": 1.0 if passed else 0.0,
                "other_scores": {"spill_over": spilled},
                "scoring": "generation",
                "answer_tokens": len(given.tokens),
                "stopped_by": given.stopped_by,
            }
            lines.append(line_of(self, item, asking, {**asked(item, asking), **found}))
        return lines


probe = _Requests()
