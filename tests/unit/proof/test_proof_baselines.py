"""No straw men: a baseline's prompt is what the model's own template and tokenizer make of its turns.

Each check has been given the fault that it is there for: a double BOS, another template, a cut prompt.
"""

from collections.abc import Sequence

import pytest
from transformers import PreTrainedTokenizerFast

from burnish.data.template import ChatTemplate
from burnish.data.tokenize import Encoder
from burnish.generation.decode import Generated
from burnish.proof.arm import ArmContext, Rival, build
from burnish.proof.measure import Renderer, Setup, measure
from burnish.proof.metric import load
from burnish.types import Example, Message, TokenizedExample
from tests.fixtures_text import NO_SYSTEM, SMOLLM2, byte_level_tokenizer

TEMPLATE = {"no_system": NO_SYSTEM, "smollm2": SMOLLM2}
TRAIN = [
    Example(f"t:{i}", (Message("user", f"where is order {i}?"), Message("assistant", f"in box {i}", True)))
    for i in range(6)
]
ITEM = Example("h:1", (Message("user", "where is order 9?"), Message("assistant", "in box 9", True)))


class Listening:
    """Keeps the prompts it is given."""

    def __init__(self) -> None:
        self.prompts: list[tuple[int, ...]] = []

    def generate(self, prompts: Sequence[Sequence[int]]) -> list[Generated]:
        self.prompts += [tuple(prompt) for prompt in prompts]
        return [Generated((), "end") for _ in prompts]

    def continuations(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[float]]:
        raise AssertionError

    def both(
        self, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[Sequence[int]]]
    ) -> tuple[list[Generated], list[list[float]]]:
        raise AssertionError

    def reference(self, documents: Sequence[TokenizedExample]) -> list[tuple[float, int]]:
        raise AssertionError


def tokenizer_of(name: str) -> PreTrainedTokenizerFast:
    tokenizer = byte_level_tokenizer(add_bos=name == "no_system")
    tokenizer.chat_template = TEMPLATE[name]
    return tokenizer


def encoder_of(tokenizer: PreTrainedTokenizerFast, name: str) -> Encoder:
    ends = frozenset(tokenizer.convert_tokens_to_ids(["<end_of_turn>", "<|im_end|>", "</s>"]))
    return Encoder(tokenizer, ChatTemplate.choose("auto", TEMPLATE[name], tokenizer), ends)


def faults(arm_name: str, tokenizer: PreTrainedTokenizerFast, renderer: Renderer) -> list[str]:
    """What is wrong with the prompt that reaches the model, judged by transformers' own rendering."""
    arm = build(arm_name, ArmContext(tuple(TRAIN), "generate"))
    assert not isinstance(arm, Rival)
    listening = Listening()
    setup = Setup(renderer, str, (load("exact"),), "generate")
    [[line]] = measure(arm, [ITEM], part="held_out", engine=listening, setup=setup)
    [given] = listening.prompts
    turns = [{"role": message.role, "content": message.content} for message in arm.prompt(ITEM).messages]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    wanted = tuple(tokenizer(text, add_special_tokens=False).input_ids)
    checks = {
        "the sample's prompt is not the template's": line["prompt"] != text,
        "the model's input is not the sample's prompt": given
        != tuple(tokenizer(str(line["prompt"]), add_special_tokens=False).input_ids),
        "begins with BOS twice": given.count(tokenizer.bos_token_id) != wanted.count(tokenizer.bos_token_id),
        "the prompt is cut": len(given) < len(wanted) or line["prompt_tokens"] != len(wanted),
    }
    return [fault for fault, holds in checks.items() if holds]


@pytest.mark.parametrize("template", list(TEMPLATE))
@pytest.mark.parametrize("arm", ["base", "few_shot_2", "similar_2", "tuned"])
def test_every_arm_is_asked_as_the_template_says(arm: str, template: str) -> None:
    tokenizer = tokenizer_of(template)
    assert faults(arm, tokenizer, encoder_of(tokenizer, template)) == []


@pytest.mark.parametrize("arm", ["base", "similar_2"])
def test_a_double_bos_is_caught(arm: str) -> None:
    tokenizer = tokenizer_of("no_system")

    class Twice(Encoder):
        def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
            return tuple(self.tokenizer(self.prompt_text(messages))["input_ids"])  # adds what the template wrote

    template = ChatTemplate.choose("auto", NO_SYSTEM, tokenizer)
    broken = Twice(tokenizer, template, frozenset(tokenizer.convert_tokens_to_ids(["<end_of_turn>"])))
    assert "begins with BOS twice" in faults(arm, tokenizer, broken)


def test_a_wrong_template_is_caught() -> None:
    tokenizer = tokenizer_of("smollm2")
    other = encoder_of(tokenizer, "no_system")
    assert "the sample's prompt is not the template's" in faults("base", tokenizer, other)


def test_a_cut_prompt_is_caught() -> None:
    tokenizer = tokenizer_of("smollm2")

    class Cut(Encoder):
        def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
            return super().prompt(messages)[-20:]

    ends = frozenset(tokenizer.convert_tokens_to_ids(["<|im_end|>"]))
    broken = Cut(tokenizer, ChatTemplate.choose("auto", SMOLLM2, tokenizer), ends)
    found = faults("few_shot_2", tokenizer, broken)
    assert "the prompt is cut" in found
    assert "the model's input is not the sample's prompt" in found
