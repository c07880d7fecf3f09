"""Prompt tuning (Lester et al. 2021, section 2): trained input vectors in places reserved before every document."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn
from transformers import PreTrainedModel

from burnish.errors import MethodError
from burnish.methods.method import PROMPT_KEY, MethodConfig, Start, refuse_fields, start_tokens
from burnish.models.adapters import Adapted, make_room, new_parameter, original_of
from burnish.models.attention import is_packed
from burnish.models.seams import replace
from burnish.types import Frame


class PromptEmbedding(Adapted):
    """A table of vectors that fills reserved slots, whose tokens are -1, -2, …, with trained ones by name."""

    def __init__(self, original: nn.Module, place: str) -> None:
        super().__init__(original, place)
        self.prompt_embeddings = nn.ParameterDict()

    def frame(self) -> Frame:
        """As many slots as the active prompt has vectors."""
        return Frame() if self.active is None else Frame(slots=len(self.prompt_embeddings[self.active]))

    def forward(self, tokens: Int[Tensor, "*places"]) -> Float[Tensor, "*places hidden"]:
        """The base's vectors, and the active prompt's in the slots."""
        if self.active is None:
            plain: Tensor = self.original(tokens)
            return plain
        embedded: Tensor = self.original(tokens.clamp_min(0))
        flat = tokens.reshape(-1)
        slots = torch.nonzero(flat < 0)[:, 0]
        vectors = self.prompt_embeddings[self.active].to(embedded.dtype).index_select(0, -1 - flat[slots])
        filled = embedded.reshape(-1, embedded.shape[-1]).index_copy(0, slots, vectors)
        return filled.view(embedded.shape)


class Config(MethodConfig):
    """Trained input vectors before every document."""

    name: ClassVar[str] = "prompt"
    peft_type: ClassVar[str] = "PROMPT_TUNING"
    readers: ClassVar[str] = "peft"
    why_unmergeable: ClassVar[str | None] = "its vectors stand in places of their own, and no weight fills those"

    length: int = Field(default=24, ge=1, description="trained vectors")
    start: Literal["text", "vocabulary"] = Field(
        default="text", description="vectors of a text's tokens, or of tokens drawn from the vocabulary"
    )
    text: str | None = Field(
        default=None, description="the text to start from, repeated or cut to length; none: the task's instruction"
    )

    @property
    def virtual_tokens(self) -> int:
        """A slot for each vector."""
        return self.length

    @model_validator(mode="after")
    def _text_is_used(self) -> "Config":
        if self.text is not None and self.start != "text":
            raise ValueError(f"text is what `start: text` begins with, and start is {self.start}; leave one out")
        return self

    @property
    def start_text(self) -> str | None:
        """The field `text`."""
        return self.text

    def learning_rate(self, parameters: int) -> float:  # noqa: ARG002
        """3e-2."""
        return 3e-2

    def check(self, model: PreTrainedModel) -> None:
        """Rows have places that can be reserved."""
        if not is_packed(model):
            raise MethodError(
                f"prompt needs reserved places in packed rows, and {type(model).__name__} runs one document at a time "
                "(see the note at load); lora, bottleneck and full fit it"
            )

    def attach(self, model: PreTrainedModel, start: Start, name: str = "default") -> None:
        """Put a table that knows the slots in place of the base's and freeze everything else."""
        self.check(model)
        make_room(model, name, PromptEmbedding)
        table = model.get_input_embeddings()
        with torch.no_grad():
            tokens = start_tokens(start, self.length, model, vocabulary=self.start != "text")
            vectors = original_of(table)(tokens)  # as the model reads them: Gemma's tables multiply what they give
        module = table
        if not isinstance(table, PromptEmbedding):
            place = next(name for name, module in model.named_modules() if module is table)
            module = PromptEmbedding(table, place)
            replace(model, place, module)
        module.prompt_embeddings[name] = new_parameter(vectors, vectors)
        module.active = name

    def peft_config(self, model: PreTrainedModel, name: str) -> dict[str, object]:
        """Prompt tuning's own fields."""
        vectors = model.get_input_embeddings().prompt_embeddings[name]
        return {
            "num_virtual_tokens": self.length,
            "token_dim": vectors.shape[1],
            "num_layers": model.config.get_text_config().num_hidden_layers,
            "num_attention_heads": model.config.get_text_config().num_attention_heads,
            "num_transformer_submodules": 1,
            "prompt_tuning_init": "RANDOM",  # PEFT asks for a tokenizer otherwise, before it reads the vectors
            "modules_to_save": None,
        }

    def peft_tensors(self, model: PreTrainedModel, name: str) -> dict[str, Tensor]:
        """One tensor [prefix, hidden]."""
        return {PROMPT_KEY: model.get_input_embeddings().prompt_embeddings[name].detach()}

    def put_tensors(self, model: PreTrainedModel, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Copy it in."""
        with torch.no_grad():
            model.get_input_embeddings().prompt_embeddings[name].copy_(tensors[PROMPT_KEY])

    @classmethod
    def from_peft(cls, config: Mapping[str, object], recorded: Mapping[str, object]) -> "Config":
        """The length from the config; how it began from what burnish recorded."""
        refuse_fields(config, {"modules_to_save": ()})
        start = {key: recorded[key] for key in ("start", "text") if key in recorded} or {"start": "vocabulary"}
        return cls.model_validate({"length": config.get("num_virtual_tokens"), **start})
