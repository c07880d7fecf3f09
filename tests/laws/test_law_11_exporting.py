"""Law 11: exporting changes nothing. Oracles: peft and plain transformers, given our files, give our logits."""

from pathlib import Path

import peft
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from burnish.errors import MethodError
from burnish.methods.peft_format import load_adapter, save_adapter
from tests.laws.cases import Case, cases, distance, documents, frozen
from tests.laws.oracle import logits_of
from tests.tiny_models import tiny_directory, tiny_model

TEXT = documents(4)[6].tokens


@cases()
def test_peft_reads_our_adapter_and_transformers_our_merged_model(case: Case, tmp_path: Path) -> None:
    trainer = case.trainer()
    with torch.no_grad():
        ours = logits_of(trainer.model, TEXT)
    if trainer.method.makes_adapter:
        save_adapter(trainer.model, trainer.method, tmp_path / "adapter", base="base", base_sha256="0" * 64)
        theirs = PeftModel.from_pretrained(tiny_model(case.architecture), str(tmp_path / "adapter")).eval()
        with torch.no_grad():
            assert distance(theirs(torch.tensor([TEXT])).logits[0], ours) < 1e-5
    trainer.method.merge(trainer.model)
    trainer.model.save_pretrained(tmp_path / "merged")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", local_files_only=True).eval()
    with torch.no_grad():
        assert distance(plain(torch.tensor([TEXT])).logits[0], ours) < 1e-5
    assert plain.config._attn_implementation != "burnish"


@pytest.mark.parametrize(
    "architecture", ["llama", *(pytest.param(name, marks=pytest.mark.slow) for name in ("qwen3", "gpt2", "mistral"))]
)
@pytest.mark.parametrize("targets", ["all-linear", ["o_proj", "c_proj"], ["v_proj", "c_attn"]], ids=str)
def test_we_read_the_adapters_of_peft(architecture: str, targets: str | list[str], tmp_path: Path) -> None:
    if isinstance(targets, list):
        targets = [targets[1] if architecture == "gpt2" else targets[0]]
    config = LoraConfig(
        r=4, lora_alpha=12, target_modules=targets, task_type="CAUSAL_LM", fan_in_fan_out=architecture == "gpt2"
    )
    theirs = get_peft_model(tiny_model(architecture), config).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_" in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        expected = theirs(torch.tensor([TEXT])).logits[0]
        untouched = logits_of(frozen(architecture), TEXT)
    theirs.save_pretrained(tmp_path)
    model = frozen(architecture)
    method = load_adapter(model, tmp_path, base_sha256="0" * 64)
    assert (method.rank, method.alpha) == (4, 12.0)
    with torch.no_grad():
        assert distance(expected, untouched) > 1e-2
        assert distance(logits_of(model, TEXT), expected) < 1e-5


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"use_rslora": True}, "use_rslora"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "lora_only"}, "bias"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_adapter_that_we_do_not_read_is_refused_by_name(
    options: dict[str, object], what: str, tmp_path: Path
) -> None:
    config = LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM", **options)
    get_peft_model(tiny_model("qwen3"), config).save_pretrained(tmp_path)
    with pytest.raises(MethodError, match=what):
        load_adapter(frozen("qwen3"), tmp_path, base_sha256=None)


def test_peft_finds_the_base_by_the_path_in_the_adapter(tmp_path: Path) -> None:
    base = tiny_directory(tmp_path / "base", "llama")
    trainer = Case("lora", "llama").trainer()
    save_adapter(trainer.model, trainer.method, tmp_path / "adapter", base=str(base), base_sha256="0" * 64)
    loaded = peft.AutoPeftModelForCausalLM.from_pretrained(str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        assert distance(loaded(torch.tensor([TEXT])).logits[0], logits_of(trainer.model, TEXT)) < 1e-5
