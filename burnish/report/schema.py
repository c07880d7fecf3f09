"""report.json, schema 1, as typed models; `schema.json` beside this file is published from them."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from burnish.types import Scoring, TaskKind

Count = Annotated[int, Field(ge=0)]
Dropped = Literal["empty", "overlap", "too_long"]


class Part(BaseModel):
    """Fields are explained by the string under each; they become the JSON Schema and docs/report.md."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class VerdictPart(Part):
    """What the numbers say, and what to type next."""

    kind: Literal["fine_tune", "prompt", "inconclusive", "harmful"]
    """fine_tune: tuned beats every prompt measured. prompt: a gain worth training for is ruled out. harmful: tuned is worse than the base. inconclusive: none of these is shown."""  # noqa: E501
    sentence: str
    """The verdict in words, with the difference that decided it."""
    next_command: str
    """A command that follows from the verdict."""


class MetricPart(Part):
    """The metric that decides."""

    name: str
    """Its file's name, or the name that your own metric gives itself."""
    unit: str
    """The unit of every value in this metric; a share is a number from 0 to 1."""
    better: Literal["higher", "lower"]
    """Which direction is good."""


class ScoreRow(Part):
    """One arm, one metric, one slice."""

    arm: str
    """base, few_shot_k (k fixed examples in the prompt), similar_k (the k most similar training examples), simple (no language model) or tuned."""  # noqa: E501
    metric: str
    """The metric of this row: the deciding one, or one of `also`."""
    slice: str
    """"all", or a value of the column that `data.slice` names."""
    scoring: Scoring | None
    """How the arm was read: generation (its text), likelihood (its most probable label), calibrated (the same, minus each label's average elsewhere); null where no model was asked."""  # noqa: E501
    value: float
    """The arm's number in the metric's unit."""
    low: float | None
    """Lower end of its 95 % interval; null where the items cannot bound it."""
    high: float | None
    """Upper end of its 95 % interval; null where the items cannot bound it."""
    count: Count
    """Items behind the number."""


class DifferenceRow(Part):
    """Two arms on the same items."""

    a: str
    """The first arm: tuned."""
    b: str
    """The arm that it is compared with; the first row is the comparison with the best prompt."""
    slice: str
    """"all", or a slice."""
    value: float
    """a - b, turned so that positive always means that a is better; in the metric's unit, shares from -1 to 1."""
    low: float | None
    """Lower end of the paired 95 % interval; above 0 means that a is shown to be better."""
    high: float | None
    """Upper end of the paired 95 % interval; below 0 means that a is shown to be worse."""
    p_value: float | None
    """McNemar's exact p for shares, null for other metrics; shown, it decides nothing."""
    count: Count
    """Items that both arms answered."""


class TaskPart(Part):
    """The arms on the held-out items."""

    kind: TaskKind
    """generate (a text), classify (one of a set of labels) or text (raw documents)."""
    metric: MetricPart
    also: tuple[str, ...]
    """Metrics that are shown beside it and decide nothing."""
    part: Literal["held_out", "validation"]
    """The items that the numbers are about; validation while the held-out items are closed (`proof.effort: none`)."""
    items: Count
    """Items that every arm answered."""
    best_prompt: str
    """The best arm without training, chosen on validation items; may be "base"."""
    scores: tuple[ScoreRow, ...]
    differences: tuple[DifferenceRow, ...]


class Probe(Part):
    """One measure of what the model knew before."""

    name: str
    """knowledge (share of general questions whose right option is the likeliest), knowledge_margin (log-likelihood of the right option minus the best wrong one's, per token), general_text (loss on plain paragraphs; its exponential is the perplexity), requests (share of general requests answered as asked) or spill_over (share of them answered in the task's own output format)."""  # noqa: E501
    unit: str
    """Unit of its values."""
    better: Literal["higher", "lower"]
    """Which direction is good."""
    base: float
    """The base model's number."""
    tuned: float
    """The tuned model's number."""
    difference: float
    """tuned - base, turned so that positive means that tuned is better."""
    low: float | None
    """Lower end of its paired 95 % interval."""
    high: float | None
    """Upper end of its paired 95 % interval."""
    count: Count
    """Items of the probe."""


class RetentionPart(Part):
    """Whether the model kept what it knew and did before."""

    kept: Literal["kept", "lost", "not_shown"]
    """kept: for knowledge, requests and spill-over a loss of the margin or more is ruled out. lost: one of them is shown to be worse, and a loss of the margin is not ruled out. not_shown: neither."""  # noqa: E501
    margin: float
    """The loss in the share of right answers to knowledge questions that still counts as kept."""
    margin_of_requests: float
    """The same for the shares of passed requests and of spill-over, of which there are fewer."""
    sentence: str
    """The answer in words."""
    next_command: str | None
    """A command that lowers the loss; null where none is shown."""
    spill_over: float | None
    """Share of general requests that the tuned model answered in the task's own output format; null where that format cannot be told from plain prose."""  # noqa: E501
    probes: tuple[Probe, ...]


class CostPart(Part):
    """What the run took."""

    trainable_parameters: Count
    """Numbers that were trained."""
    total_parameters: Count
    """Numbers in the model, those included."""
    train_seconds: float
    """Seconds of the training stage, its validation losses and samples included."""
    stage_seconds: dict[str, float]
    """Seconds of each stage: prompts (trying prompts on validation items), train, scoring (how the tuned model's answers are read, on validation items), retention (what was kept, both models), and one for each arm on the held-out items."""  # noqa: E501
    trained_tokens: Count
    """Tokens that were learned (answers and their ends of turn), each counted every time it was visited."""
    tokens_per_second: float | None
    """Tokens of the records, prompts included and padding left out, for each second of updates; null where no update was made."""  # noqa: E501
    peak_memory_bytes: Count
    """Most memory that the process held at once (on an accelerator: on the device)."""
    artifact_bytes: Count
    """Size of what was trained on disk: adapter/ or model/."""
    prompt_tokens_per_request: dict[str, float]
    """Mean tokens that each arm reads before it answers an item: what a request costs."""
    reused_arms: tuple[str, ...] = ()
    """Arms whose answers were taken over from another run that asked the same model the same things; their seconds are not in stage_seconds."""  # noqa: E501


class Layer(Part):
    """One block of the model."""

    name: str
    """Its name."""
    relative_change: float
    """How far its weights moved, as below."""


class WeightsPart(Part):
    """How far the weights moved."""

    relative_change: float
    """Length of the change over length of the weights that could move: ||dW|| / ||W||, 0.01 is one percent."""
    by_layer: tuple[Layer, ...]


class DataPart(Part):
    """Every record accounted for: given = train + validation + held_out + dropped + unused."""

    given: Count
    """Records in all files."""
    train: Count
    """Records that were trained on."""
    validation: Count
    """Records by which prompts, scoring and the checkpoint were chosen."""
    held_out: Count
    """Records that were kept closed until everything was frozen."""
    dropped: dict[Dropped, Count]
    """Records left out, by reason: empty, overlap (the input is in a held-out or validation file too) or too_long."""
    unused: Count
    """Records beyond `data.limit`."""
    duplicates: Count
    """Records that repeat an earlier one of their part; they are kept."""
    unseen_labels: Count
    """Validation and held-out records whose label never occurs in training; wrong for every arm."""
    windows: Count
    """Pieces into which raw documents were split; 0 for other data."""
    held_out_opened: Count
    """How often these very held-out items have been opened on this machine, this run included; 0 while they are closed. Choices made between two openings are not covered by the intervals."""  # noqa: E501


class ProvenancePart(Part):
    """Who made this, from what, where and when."""

    burnish: str
    """Version of burnish."""
    torch: str
    """Version of torch."""
    transformers: str
    """Version of transformers."""
    base_sha256: str
    """Hash of the base model's weights."""
    data_sha256: str
    """Hash of the data files."""
    seed: int
    """Training seed."""
    recipe: str
    """The recipe; its resolved form is recipe.yaml in the run directory."""
    device: str
    """cpu, cuda or mps."""
    cpu: str
    """Name of the processor that computed; on CUDA, of the GPU."""
    threads: int
    """Threads that computed."""
    dtype: str
    """Number format of the computation, the same for every arm."""
    started: str
    """When the run began, UTC."""
    finished: str | None
    """When it ended, UTC."""


class Report(Part):
    """report.json of a run."""

    schema_: Literal[1] = Field(alias="schema", description="Version of this format.")
    verdict: VerdictPart
    task: TaskPart
    retention: RetentionPart | None
    """null where it was not measured: `proof.retention: false`, held-out items still closed, or a context too short for the probes."""  # noqa: E501
    cost: CostPart
    weights: WeightsPart | None
    """null where the method adds no change to weights."""
    data: DataPart
    provenance: ProvenancePart

    def to_json(self) -> dict[str, Any]:
        """The report as it stands in report.json."""
        return self.model_dump(mode="json", by_alias=True)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of report.json."""
    schema = Report.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def json_schema_text() -> str:
    """The text of `schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
