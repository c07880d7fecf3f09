"""`own_name`: does the answer say who the assistant is, and claim to be nobody else?

Right is an answer that holds every given name (`options.names`) that the expected answer holds, and none of the names
of other assistants and their makers. Where no name is expected, the answer need only claim no other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from burnish.types import Example, ItemScore, Observation

OTHERS = re.compile(
    r"\b(smol\s?lm\d*|hugging\s?face|chat\s?gpt|gpt-?[345]\w*|openai|claude|anthropic|gemini|bard|google|llama|meta|qwen|"
    r"alibaba|mistral|deepseek|siri|alexa|amazon|microsoft|copilot|cortana|bing)\b",
    re.IGNORECASE,
)


def names_in(text: str, names: tuple[str, ...]) -> set[str]:
    """The names that a text holds, whatever their case."""
    low = text.lower()
    return {name for name in names if name.lower() in low}


@dataclass(frozen=True, slots=True)
class OwnName:
    """The share of answers that name the assistant as the records do, and no other."""

    name: str = "own_name"
    unit: str = "share"
    better: Literal["higher", "lower"] = "higher"
    is_share: bool = True
    margin: float = 0.05
    reads: Literal["answer", "reference"] = "answer"
    options: Mapping[str, object] = field(default_factory=lambda: {"names": []})

    def score(self, observation: Observation, example: Example, options: Mapping[str, object]) -> ItemScore:
        """1.0 or 0.0, with what was missing or claimed."""
        given = options["names"]
        if not isinstance(given, list) or not given:
            raise ValueError(
                "set task.metric.options.names to the name and the author that the records were filled with"
            )
        names = tuple(str(name) for name in given)
        answer = observation.answer or ""
        missing = names_in(example.answer, names) - names_in(answer, names)
        claimed = {match.lower() for match in OTHERS.findall(answer)} - {
            m.lower() for m in OTHERS.findall(example.answer)
        }
        return ItemScore(
            float(not missing and not claimed), {"missing": float(len(missing)), "others": float(len(claimed))}
        )


metric = OwnName()
