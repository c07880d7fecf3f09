"""Law 11: exporting changes nothing.

Oracles: peft and plain transformers, given our files, give our logits and gradients; for bottleneck adapters, which
peft lacks, a reference of thirty lines written from Houlsby et al. 2019, section 2.
"""

from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import (
    IA3Config,
    LoraConfig,
    PeftConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptTuningConfig,
    get_peft_model,
    get_peft_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from burnish.errors import MethodError
from burnish.methods.method import method_fields
from burnish.methods.peft_format import WEIGHTS, load_adapter, save_adapter
from burnish.types import TokenizedExample
from tests.laws.cases import Case, cases, distance, documents, frozen
from tests.laws.oracle import logits_of
from tests.tiny_models import tiny_directory, tiny_model

TEXT = documents(4)[6].tokens
QUIET = pytest.mark.filterwarnings(  # peft's remarks on Conv1D, tied tables and names
    "ignore:fan_in_fan_out is set to True",
    "ignore:Model (with|has) `tie_word_embeddings=True`",
    "ignore:Setting `save_embedding_layers` to `True`",
    "ignore:Position ids are not",
    "ignore:`past_key_values` is deprecated",
    "ignore:The PEFT config's `base_model_name_or_path` was renamed",
)


@QUIET
@cases()
def test_others_read_our_adapter_and_transformers_our_merged_model(case: Case, tmp_path: Path) -> None:
    trainer = case.trainer()
    with torch.no_grad():
        ours = logits_of(trainer.model, TEXT)
    if trainer.method.makes_adapter:
        save_adapter(trainer.model, trainer.method, tmp_path / "adapter", base="base", base_sha256="0" * 64)
        with torch.no_grad():
            assert distance(read_by_others(case, tmp_path / "adapter"), ours) < 1e-5
    if trainer.method.why_unmergeable is not None:
        return
    trainer.method.merge(trainer.model)
    trainer.model.save_pretrained(tmp_path / "merged")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", local_files_only=True).eval()
    with torch.no_grad():
        assert distance(plain(torch.tensor([TEXT])).logits[0], ours) < 1e-5
    assert plain.config._attn_implementation != "burnish"


def read_by_others(case: Case, adapter: Path) -> Tensor:
    """[time, vocab] of TEXT by whoever else can read an adapter."""
    model = tiny_model(case.architecture)
    if case.method == "own":
        tensors = load_file(adapter / WEIGHTS)
        for key, shift in tensors.items():
            place = key.removeprefix("base_model.model.").removesuffix(".shift.shift")
            model.get_submodule(place).register_forward_hook(lambda *given, shift=shift: given[2] + shift)
    elif case.method == "bottleneck":
        houlsby(model, load_file(adapter / WEIGHTS))
    else:
        model = PeftModel.from_pretrained(model, str(adapter)).eval()
    logits: Tensor = model(torch.tensor([TEXT])).logits[0]
    return logits[-len(TEXT) :]  # peft gives logits of a prompt's vectors too


def houlsby(model: PreTrainedModel, tensors: dict[str, Tensor]) -> None:
    """Houlsby et al. 2019, section 2.1, from the tensors of a file.

    "The adapters first project the original d-dimensional features into a smaller dimension, m, apply a nonlinearity,
    then project back to d dimensions. (…) The adapter module itself has a skip-connection internally", after "the
    projection back to the input size", before the skip connection "is added back"; layer norms train per task.
    """
    places = {key.removeprefix("base_model.model.").rpartition(".")[0] for key in tensors}
    for place in places:
        own = {key.rpartition(".")[2]: t for key, t in tensors.items() if f".{place}." in key}
        if "down_weight" not in own:
            for kind, value in own.items():
                with torch.no_grad():
                    model.get_submodule(place).get_parameter(kind.removeprefix("norm_")).copy_(value)
            continue

        def adapt(module: nn.Module, given: object, output: Any, own: dict[str, Tensor] = own) -> Any:
            features = output[0] if isinstance(output, tuple) else output
            projected = features @ own["down_weight"].T + own["down_bias"]
            nonlinear = projected * torch.sigmoid(projected)
            adapted = features + nonlinear @ own["up_weight"].T + own["up_bias"]
            return (adapted, *output[1:]) if isinstance(output, tuple) else adapted

        model.get_submodule(place.removesuffix(".bottleneck")).register_forward_hook(adapt)


@QUIET
@cases()
def test_the_gradient_is_peft_s(case: Case, tmp_path: Path) -> None:
    """Tensor by tensor, under the keys of the file."""
    trainer = case.trainer()
    if trainer.method.peft_type == "BURNISH":
        return  # no adapter, or none that peft knows; law 1 has the gradient of each by autograd
    save_adapter(trainer.model, trainer.method, tmp_path, base="base", base_sha256="0" * 64)
    config = PeftConfig.from_pretrained(str(tmp_path))
    config.inference_mode = False
    theirs = get_peft_model(tiny_model(case.architecture), config).eval()
    set_peft_model_state_dict(theirs, load_file(tmp_path / WEIGHTS))
    logits = theirs(torch.tensor([TEXT])).logits[0, -len(TEXT) :]
    nats = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(TEXT[1:]), reduction="sum")
    nats.backward()  # type: ignore[no-untyped-call]
    trainer.forward_backward([TokenizedExample("d", TEXT, (False,) + (True,) * (len(TEXT) - 1))])
    for parameter in [*trainer.optimizer.parameters.values(), *theirs.parameters()]:
        if parameter.grad is not None:
            parameter.data = parameter.grad  # now both can be asked for their tensors, and give gradients
    expected = get_peft_model_state_dict(theirs, save_embedding_layers=False)
    found = trainer.method.peft_tensors(trainer.model, "default")
    assert found.keys() == expected.keys()
    whole = sum(float(tensor.norm()) ** 2 for tensor in expected.values()) ** 0.5
    for key, tensor in expected.items():
        assert float((found[key] - tensor).norm()) < 1e-5 * whole, key


def linear_of(architecture: str, name: str) -> str:
    """What GPT-2 calls a linear map."""
    fused = {"q_proj": "c_attn", "v_proj": "c_attn", "o_proj": "attn.c_proj", "down_proj": "mlp.c_proj"}
    return fused[name] if architecture == "gpt2" else name


def configs(architecture: str) -> dict[str, PeftConfig]:
    """Adapters as users of peft make them."""

    def lora(*names: str, **fields: object) -> PeftConfig:
        targets = [linear_of(architecture, name) for name in names] or "all-linear"
        whole = {"r": 4, "lora_alpha": 12, "fan_in_fan_out": architecture == "gpt2", **fields}
        return LoraConfig(target_modules=targets, task_type="CAUSAL_LM", **whole)

    feedforward = [linear_of(architecture, "down_proj")]
    scaled = list(dict.fromkeys([linear_of(architecture, n) for n in ("v_proj", "q_proj")])) + feedforward
    virtual: dict[str, object] = {"num_virtual_tokens": 4, "task_type": "CAUSAL_LM"}
    found = {
        "lora on all": lora(),
        "lora on one": lora("o_proj"),
        "lora in two blocks": lora("q_proj", layers_to_transform=[0, 2]),
        "lora but one": lora("q_proj", "down_proj", exclude_modules=r".*\.1\..*"),
        "rslora": lora("q_proj", use_rslora=True),
        "dora": lora("v_proj", "down_proj", use_dora=True),
        "ia3": IA3Config(
            target_modules=scaled,
            feedforward_modules=feedforward,
            fan_in_fan_out=architecture == "gpt2",
            task_type="CAUSAL_LM",
        ),
        "prefix": PrefixTuningConfig(**virtual),
        "prompt": PromptTuningConfig(**virtual),
    }
    if architecture != "gpt2":
        found["lora on the ends"] = lora("q_proj", "embed_tokens", "lm_head")
        found["lora by an expression"] = LoraConfig(r=4, target_modules=r".*\.0\..*_proj", task_type="CAUSAL_LM")
    return found


THEIRS = [(name, kind) for name in ("llama", "qwen3", "gpt2", "gemma3") for kind in configs(name)]


@QUIET
@pytest.mark.parametrize(
    ("architecture", "kind"),
    [pytest.param(*pair, marks=[] if pair == ("llama", "lora on all") else pytest.mark.slow) for pair in THEIRS],
)
def test_we_read_the_adapters_of_peft(architecture: str, kind: str, tmp_path: Path) -> None:
    theirs = get_peft_model(tiny_model(architecture), configs(architecture)[kind]).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        expected = theirs(torch.tensor([TEXT])).logits[0, -len(TEXT) :]
        untouched = logits_of(frozen(architecture), TEXT)
    theirs.save_pretrained(tmp_path)
    model = frozen(architecture)
    method = load_adapter(model, tmp_path, base_sha256="0" * 64)
    fields = method_fields(method)
    assert fields.get("rank", 4) == 4
    assert fields.get("length", 4) == 4
    with torch.no_grad():
        assert distance(expected, untouched) > 1e-2
        assert distance(logits_of(model, TEXT), expected) < 1e-5
        with method.disabled(model):
            assert torch.equal(logits_of(model, TEXT), untouched)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"bias": "lora_only"}, "bias"),
        ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"use_rslora": True, "use_dora": True}, "use_rslora and use_dora"),
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


def test_an_untrained_adapter_changes_nothing_and_is_refused(tmp_path: Path) -> None:
    """Users met adapters that load and have no effect; here nobody does unnoticed."""
    config = LoraConfig(r=4, target_modules=["q_proj"], task_type="CAUSAL_LM")
    get_peft_model(tiny_model("qwen3"), config).save_pretrained(tmp_path)
    with pytest.raises(MethodError, match="loads and changes nothing"):
        load_adapter(frozen("qwen3"), tmp_path, base_sha256=None)


def test_peft_finds_the_base_by_the_path_in_the_adapter(tmp_path: Path) -> None:
    base = tiny_directory(tmp_path / "base", "llama")
    trainer = Case("lora", "llama").trainer()
    save_adapter(trainer.model, trainer.method, tmp_path / "adapter", base=str(base), base_sha256="0" * 64)
    loaded = peft.AutoPeftModelForCausalLM.from_pretrained(str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        assert distance(loaded(torch.tensor([TEXT])).logits[0], logits_of(trainer.model, TEXT)) < 1e-5
