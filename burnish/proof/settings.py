"""The `task:` and `proof:` sections of a recipe."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from burnish.types import TaskKind

Examples = Annotated[int, Field(ge=1, le=64)]


class MetricChoice(BaseModel):
    """A metric with options: by name, or by the path of a Python file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = Field(default=None, description="Name of a built-in metric.")
    path: str | None = Field(default=None, description="A Python file with an attribute `metric`.")
    options: dict[str, object] = Field(default_factory=dict, description="Overrides of the metric's own options.")

    @model_validator(mode="after")
    def _one_of_them(self) -> "MetricChoice":
        if (self.path is None) == (self.name is None):
            raise ValueError("give either `name` or `path`")
        return self


class TaskSettings(BaseModel):
    """What is asked of the model and how an answer is judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["auto"] | TaskKind = Field(
        default="auto", description="auto, generate, classify or text (raw documents)."
    )
    metric: str | MetricChoice = Field(default="auto", description="auto, a metric's name, or {name | path, options}.")
    max_answer_tokens: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto",
        description="Longest answer in tokens; auto: 1.5 times the longest training answer, at most half the context.",
    )


class ProofSettings(BaseModel):
    """How much is measured to prove what fine-tuning bought."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effort: Literal["none", "quick"] = Field(
        default="quick",
        description="quick: all arms on the held-out items; none: these stay closed, the report is about validation.",
    )
    few_shot: tuple[Examples, ...] = Field(default=(4, 8), description="Numbers of fixed examples tried on validation.")
    similar: tuple[Examples, ...] = Field(
        default=(1, 4, 8), description="Numbers of similar examples tried on validation."
    )
    margin: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="The gain not worth training for, in the metric's unit; by default the metric's own."
    )
    reuse: bool = Field(
        default=True,
        description="Whether answers of the untuned model are taken over from a run beside this one that asked alike.",
    )
    retention: bool = Field(
        default=True,
        description="Whether general questions and requests, asked of base and tuned, tell what the model kept.",
    )
