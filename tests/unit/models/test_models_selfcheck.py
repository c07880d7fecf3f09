"""The self-check must pass what is right, and find what was broken on purpose."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig, Lfm2Config, MambaConfig, MistralConfig, PreTrainedModel

from burnish.errors import ModelError
from burnish.models import attention, head, selfcheck
from burnish.models.selfcheck import self_check
from tests.tiny_models import ARCHITECTURES, tiny_model


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))


def from_config(config: Any) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    return model.requires_grad_(False)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "one block at a time"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_right_models_pass(architecture: str, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck, "WHOLE_UP_TO", 1e9 if whole else 0)
    monkeypatch.setattr(selfcheck, "ROWS", 50)
    model = tiny_model(architecture)
    before = model.config.to_dict()
    assert self_check(model, "x") == selfcheck.Verdict(True)
    assert attention.is_packed(model)
    model.set_attn_implementation("sdpa")
    assert model.config.to_dict() == before


def test_a_large_model_is_never_copied_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck, "WHOLE_UP_TO", 0)
    monkeypatch.setattr(selfcheck, "ROWS", 50)
    model = tiny_model("gemma3").bfloat16()
    pieces = list(selfcheck._pieces(model))
    assert len(pieces) == 3  # the first of two kinds, and the last
    for piece in pieces:
        assert {p.dtype for p in piece.parameters()} == {torch.float32}
        assert piece.get_input_embeddings().weight is piece.get_output_embeddings().weight
        assert piece.get_input_embeddings().weight.shape[0] == 50
        assert len(piece.model.layers) == 1


def window_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention._causal
    wrong = lambda length, window, *rest: right(length, None if window is None else window + 1, *rest)  # noqa: E731
    monkeypatch.setattr(attention, "_causal", wrong)


def one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention.Layout
    monkeypatch.setattr(attention, "Layout", lambda documents, *_: right(documents.clamp_max(0)))


def another_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention._attend_packed
    wrong = lambda q, k, v, layout, scaling, *rest: right(q, k, v, layout, scaling * 1.01, *rest)  # noqa: E731
    monkeypatch.setattr(attention, "_attend_packed", wrong)


@pytest.mark.parametrize("fault", [window_off_by_one, one_document, another_scale])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "one block at a time"])
def test_a_broken_attention_is_found_and_left(fault: Any, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck, "WHOLE_UP_TO", 1e9 if whole else 0)
    fault(monkeypatch)
    model = tiny_model("mistral")
    verdict = self_check(model, "x")
    assert not verdict.packed
    assert "differ by" in str(verdict.reason)
    assert not attention.is_packed(model)


def test_a_wide_window_is_lowered_for_the_check_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_model("mistral").config.to_dict() | {"sliding_window": 128}
    model = from_config(MistralConfig(**config))
    assert self_check(model, "right").packed
    assert model.config.sliding_window == 128
    window_off_by_one(monkeypatch)
    assert not self_check(model, "wrong").packed


SMALL = {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2}
RECURRENT = {
    "mamba": lambda: MambaConfig(**SMALL, state_size=4),
    "convolution": lambda: Lfm2Config(
        **SMALL,
        intermediate_size=40,
        num_attention_heads=4,
        num_key_value_heads=2,
        layer_types=["conv", "full_attention"],
    ),
    "its own attention": lambda: BloomConfig(vocab_size=100, hidden_size=32, n_layer=2, n_head=4),
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_layers_that_leak_across_documents_fall_back_to_one_document_a_row(kind: str) -> None:
    model = from_config(RECURRENT[kind]())
    verdict = self_check(model, "x")
    assert not verdict.packed
    assert verdict.reason
    assert not attention.is_packed(model)


def test_a_weak_leak_is_found_below_the_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selfcheck, "TOLERANCE", 1.0)
    verdict = self_check(from_config(RECURRENT["convolution"]()), "x")
    assert "changes the logits of the next" in str(verdict.reason)


def test_a_head_that_is_not_the_models_own_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    right = head.head_of
    monkeypatch.setattr(head, "head_of", lambda model: dataclasses.replace(right(model), multiplier=1.1))
    with pytest.raises(ModelError, match="not the model's own logits"):
        self_check(tiny_model("llama"), "x")


def test_a_passed_check_is_remembered_for_these_weights_only(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    assert self_check(model, "x").packed
    asked: list[PreTrainedModel] = []

    def checked(model: PreTrainedModel) -> selfcheck.Verdict:
        asked.append(model)
        return selfcheck.Verdict(False, "asked")

    monkeypatch.setattr(selfcheck, "_checked", checked)
    assert self_check(model, "x").packed
    assert attention.is_packed(model)
    assert not asked
    assert not self_check(model, "y").packed
    assert len(asked) == 1
    assert not self_check(model, "y").packed
    assert len(asked) == 2, "a failure is no proof, it may have been want of memory: it is tried again"
