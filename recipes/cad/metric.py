"""`solid_equal`: does the answer draw the part that was asked for? The solids are compared, not the texts.

Right is an answer whose solid differs from the reference's in at most a millionth of their joint volume and has as many
through holes (`geometry.py`). Shown beside it: the share of valid programs, of OpenSCAD that is not read here, the mean
overlap of the solids, and the share of answers that are the reference program word for word.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from burnish.types import Example, ItemScore, Observation

from .geometry import Comparison, compare, solid
from .openscad.words import ProgramFault
from .picture import svg
from .program_text import same_text


def compared(observation: Observation, example: Example) -> Comparison:
    """The answer's solid beside the reference's."""
    return compare(observation.answer or "", example.answer)


@dataclass(frozen=True, slots=True)
class Shown:
    """A number beside `solid_equal`: one value of the comparison."""

    name: str
    unit: str
    value: Literal["valid", "unsupported", "iou", "text_equal"]
    better: Literal["higher", "lower"] = "higher"
    is_share: bool = True
    margin: float = 0.05
    reads: Literal["answer", "reference"] = "answer"

    def score(self, observation: Observation, example: Example, options: Mapping[str, object]) -> float:  # noqa: ARG002
        """One item's value; takes no options."""
        return numbers(observation, example)[self.value]


def numbers(observation: Observation, example: Example) -> dict[str, float]:
    """The four numbers beside `solid_equal`, each from 0 to 1."""
    found = compared(observation, example)
    text_equal = same_text(observation.answer or "", example.answer)
    return {
        "valid": float(found.valid),
        "unsupported": float(found.unsupported),
        "iou": found.iou,
        "text_equal": float(text_equal),
    }


@dataclass(frozen=True, slots=True)
class SolidEqual:
    """The share of answers that draw the part."""

    name: str = "solid_equal"
    unit: str = "share"
    better: Literal["higher", "lower"] = "higher"
    is_share: bool = True
    margin: float = 0.05
    reads: Literal["answer", "reference"] = "answer"
    also: tuple[Shown, ...] = (
        Shown("valid_program", "share", "valid"),
        Shown("unsupported_program", "share", "unsupported", better="lower"),
        Shown("mean_iou", "overlap", "iou", is_share=False),
        Shown("same_text", "share", "text_equal"),
    )

    def score(
        self,
        observation: Observation,
        example: Example,
        options: Mapping[str, object],  # noqa: ARG002 - the contract gives them; this metric has none
    ) -> ItemScore:
        """1.0 or 0.0; no answer is wrong. The detail holds the numbers beside it and the fault. Takes no options."""
        found = compared(observation, example)
        fault = {"fault": found.fault} if found.fault else {}
        return ItemScore(float(found.equal), {**numbers(observation, example), **fault})

    def picture(self, text: str) -> str | None:
        """The part that a program draws; None where it draws none."""
        try:
            return svg(solid(text, facets=32))
        except ProgramFault:
            return None


metric = SolidEqual()
