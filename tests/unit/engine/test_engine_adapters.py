"""Adapters by name on one base, and adapters on disk: what does not fit is refused with a sentence."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, MixtralConfig, PreTrainedModel

from burnish.errors import MethodError, RecipeError
from burnish.generation.decode import generate
from burnish.methods.lora import Config, LoRALinear, lora_places
from burnish.methods.method import Method, Start, method_fields, method_from
from burnish.methods.peft_format import load_adapter, method_of, save_adapter
from burnish.models import attention
from burnish.models.adapters import activate, adapter_names, adapter_parameters, remove, switched
from tests.tiny_models import tiny_model

ADAPTERS = ("lora", "ia3", "bottleneck", "prefix", "prompt")


def start(seed: int = 0) -> Start:
    return Start(torch.Generator().manual_seed(seed))


def packed() -> PreTrainedModel:
    model = tiny_model("llama")
    model.set_attn_implementation(attention.NAME)
    return model


def stirred(model: PreTrainedModel, method: Method, name: str, seed: int) -> None:
    """Attach an adapter and move it off its start."""
    method.attach(model, start(seed), name)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter_parameters(model, name).values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.4)


@torch.no_grad()
def answer(model: PreTrainedModel) -> list[int]:
    found = generate(model, [(5, 6, 7), (8, 9)], stop_ids=set(), max_new_tokens=6)
    return [token for one in found for token in one.tokens]


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_of_one_method_are_switched_by_name(name: str) -> None:
    model, base = packed(), answer(packed())
    alone = {}
    for seed, adapter in enumerate(("first", "second"), 1):
        only = packed()
        stirred(only, method_from(name), adapter, seed)
        alone[adapter] = answer(only)
        stirred(model, method_from(name), adapter, seed)
    assert len({tuple(base), *map(tuple, alone.values())}) == 3
    assert answer(model) == alone["second"], "the last one attached is on"
    activate(model, "first")
    assert answer(model) == alone["first"]
    with method_from(name).disabled(model):
        assert answer(model) == base
    assert answer(model) == alone["first"]
    assert adapter_names(model) == ["first", "second"]
    remove(model, "second")
    assert answer(model) == alone["first"]
    stirred(model, method_from(name), "second", 2)
    assert answer(model) == alone["second"]
    remove(model, "second")
    assert answer(model) == base
    stirred(model, method_from(name), "second", 2)
    with pytest.raises(MethodError, match=r'named "secnd".* it carries first, second\. Did you mean "second"\?'):
        activate(model, "secnd")


def test_two_adapters_side_by_side_and_a_name_only_once() -> None:
    model = tiny_model("llama")
    Config(rank=2).attach(model, start(), "first")
    Config(rank=3, targets="mlp").attach(model, start(), "second")
    module = model.get_submodule("model.layers.0.mlp.up_proj")
    assert module.active == "second"
    assert model.get_submodule("model.layers.0.self_attn.q_proj").active is None
    assert {name for name, p in model.named_parameters() if p.requires_grad and "first" in name} == set()
    with pytest.raises(MethodError, match='named "first" is attached'):
        Config(rank=2).attach(model, start(), "first")


@pytest.mark.parametrize("name", ["keys", "values", "a.b", "", "2nd"])
def test_what_cannot_name_an_adapter_is_refused(name: str) -> None:
    with pytest.raises(MethodError, match=f'"{name}" cannot name an adapter'):
        Config(rank=2).attach(tiny_model("llama"), start(), name)


def test_adapters_of_two_methods_do_not_stand_on_one_base() -> None:
    model = packed()
    method_from("ia3").attach(model, start(), "first")
    with pytest.raises(MethodError, match=r"adapters of another method \(ScaledLinear\)"):
        method_from("lora").attach(model, start(), "second")


def saved(directory: Path, method: str = "lora", **fields: object) -> Method:
    """A stirred adapter on disk."""
    model, config = packed(), method_from({"name": method, **fields})
    stirred(model, config, "default", 1)
    save_adapter(model, config, directory, base="the-base", base_sha256="1" * 64)
    return config


@pytest.mark.parametrize("method", ADAPTERS)
@pytest.mark.parametrize("change", ["missing", "extra", "misshapen", "no number"])
def test_every_method_s_tensors_are_checked_one_by_one(method: str, change: str, tmp_path: Path) -> None:
    saved(tmp_path, method)
    weights = tmp_path / "adapter_model.safetensors"
    tensors = load_file(weights)
    key = sorted(tensors)[-1]
    message = f"{change} tensor {key}"
    if change == "missing":
        del tensors[key]
    elif change == "extra":
        tensors["b.c"], message = torch.zeros(1), r"extra tensor b\.c \(0 missing, 1 extra\)"
    elif change == "misshapen":
        tensors[key] = torch.cat([tensors[key], tensors[key]])
        message = f"{key} has shape "
    else:
        tensors[key] = torch.full_like(tensors[key], float("nan"))
        message = f"{key} holds values that are no numbers"
    save_file(tensors, weights)
    with pytest.raises(MethodError, match=message):
        load_adapter(packed(), tmp_path, base_sha256=None)


def test_a_place_that_lacks_both_its_tensors_is_noticed(tmp_path: Path) -> None:
    saved(tmp_path)
    weights, place = tmp_path / "adapter_model.safetensors", "base_model.model.model.layers.1.mlp.up_proj"
    save_file({key: tensor for key, tensor in load_file(weights).items() if not key.startswith(place)}, weights)
    with pytest.raises(MethodError, match=rf"missing tensor {place}\.lora_A\.weight \(2 missing, 0 extra\)"):
        load_adapter(packed(), tmp_path, base_sha256=None)


def test_an_adapter_of_an_architecture_with_other_names_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    other = tiny_model("gpt2")
    with pytest.raises(MethodError, match=r"names no linear map of this GPT2LMHeadModel, so the adapter is of another"):
        load_adapter(other, tmp_path, base_sha256=None)


def test_an_adapter_at_its_start_is_refused(tmp_path: Path) -> None:
    model, method = packed(), method_from("ia3")
    method.attach(model, start())
    save_adapter(model, method, tmp_path, base="b", base_sha256="1" * 64)
    with pytest.raises(MethodError, match="loads and changes nothing"):
        load_adapter(packed(), tmp_path, base_sha256=None)


def test_a_copy_of_the_base_s_table_beside_an_adapter_must_be_the_base_s(tmp_path: Path) -> None:
    saved(tmp_path, targets=("q_proj", "embeddings"))
    weights, key = tmp_path / "adapter_model.safetensors", "base_model.model.model.embed_tokens.base_layer.weight"
    table: Tensor = packed().get_input_embeddings().weight.detach().clone()
    save_file({**load_file(weights), key: table}, weights)
    load_adapter(packed(), tmp_path, base_sha256=None)
    save_file({**load_file(weights), key: table + 0.1}, weights)
    with pytest.raises(MethodError, match=r"embed_tokens\.base_layer\.weight is not this base's own"):
        load_adapter(packed(), tmp_path, base_sha256=None)


def test_from_takes_the_adapter_s_own_settings(tmp_path: Path) -> None:
    saved(tmp_path, rank=3, alpha=5.0, variant="rslora", targets="mlp")
    found = method_of({"from": str(tmp_path), "dropout": 0.2})
    assert method_fields(found) == {
        "from": str(tmp_path),
        "name": "lora",
        "rank": 3,
        "alpha": 5.0,
        "targets": "mlp",
        "dropout": 0.2,
        "variant": "rslora",
        "lr_ratio": 1.0,
    }
    assert method_from(method_fields(found)) == found
    with pytest.raises(RecipeError, match=r"method\.rank: 8, but the adapter in .* was made with 3; leave it out"):
        method_of({"from": str(tmp_path), "rank": 8})
    with pytest.raises(RecipeError, match=r"method\.name: ia3, but .* holds a lora adapter"):
        method_of({"name": "ia3", "from": str(tmp_path)})
    with pytest.raises(MethodError, match=r"no adapter_config\.json"):
        method_of({"from": str(tmp_path / "nothing")})


def test_what_is_adjustable_is_taken_from_the_recipe(tmp_path: Path) -> None:
    saved(tmp_path, dropout=0.3, targets="mlp")
    for given, expected in (({"dropout": 0.1}, 0.1), ({}, 0.3)):
        model = packed()
        load_adapter(model, tmp_path, base_sha256=None, like=method_of({"from": str(tmp_path), **given}))
        modules = [module for module in lora_places(model).values() if isinstance(module, LoRALinear)]
        assert {rate for module in modules for rate in module.dropouts.values()} == {expected}


def test_an_update_of_rows_that_no_probe_reads_is_something(tmp_path: Path) -> None:
    model, method = packed(), method_from({"name": "lora", "targets": ("embeddings",)})
    method.attach(model, start())
    with torch.no_grad():
        adapter_parameters(model, "default")["model.embed_tokens.lora_embedding_A"][:, 123] = 1.0
    save_adapter(model, method, tmp_path, base="b", base_sha256="1" * 64)
    assert method_fields(load_adapter(packed(), tmp_path, base_sha256=None))["targets"] == ("embeddings",)


def test_an_adapter_that_does_not_load_leaves_the_one_before_it_active(tmp_path: Path) -> None:
    saved(tmp_path)
    model = packed()
    load_adapter(model, tmp_path, base_sha256=None, name="first")
    weights = tmp_path / "adapter_model.safetensors"
    save_file({key: torch.zeros_like(tensor) for key, tensor in load_file(weights).items()}, weights)
    with pytest.raises(MethodError, match="changes nothing"):
        load_adapter(model, tmp_path, base_sha256=None, name="second")
    assert adapter_names(model) == ["first"]
    assert {module.active for module in switched(model).values()} == {"first"}
    with pytest.raises(MethodError, match=r'"first" is attached .* already'):
        load_adapter(model, tmp_path, base_sha256=None, name="first")
    assert adapter_names(model) == ["first"]


def test_a_field_that_a_file_leaves_out_means_what_peft_means(tmp_path: Path) -> None:
    saved(tmp_path, rank=8, alpha=8.0)
    config = tmp_path / "adapter_config.json"
    fields = {key: value for key, value in json.loads(config.read_text()).items() if key not in ("r", "lora_alpha")}
    config.write_text(json.dumps(fields), encoding="utf-8")
    found = method_fields(load_adapter(packed(), tmp_path, base_sha256=None))
    assert (found["rank"], found["alpha"]) == (8, 8.0)


def test_a_single_name_is_as_good_as_a_list_of_one() -> None:
    model = packed()
    method_from({"name": "full", "train": "norms"}).attach(model, start())
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert names
    assert all("norm" in name for name in names)


def test_a_mixture_of_experts_is_told_what_does_not_train() -> None:
    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "head_dim": 8}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 2}
    model = AutoModelForCausalLM.from_config(MixtralConfig(**sizes, **heads))
    assert "are no linear maps" in method_from("lora").notes(model)[0]
    with pytest.raises(MethodError, match=r"no single MLP|several experts"):
        method_from("ia3").check(model)


def test_a_bottleneck_s_config_names_the_method_and_its_fields(tmp_path: Path) -> None:
    saved(tmp_path, "bottleneck", variant="pfeiffer", reduction=4)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config == {
        "peft_type": "BURNISH",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "the-base",
        "inference_mode": True,
        "method": {
            "name": "bottleneck",
            "variant": "pfeiffer",
            "reduction": 4,
            "activation": "silu",
            "start_scale": 0.001,
            "norms": False,
        },
    }
    assert len(switched(packed())) == 0
    (tmp_path / "burnish.json").unlink()  # all that loading needs stands in the one file
    assert method_fields(load_adapter(packed(), tmp_path, base_sha256=None))["reduction"] == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"missing tensor base_model\.model\.model\.layers\.0\.mlp\.up_proj\.lora_A\.weight \(1 missing, 0"),
        ("extra", r"extra tensor .*up_proj\.lora_E\.weight"),
        ("shape", r"up_proj\.lora_A\.weight has shape \[3, 24\], expected \[2, 24\]"),
        ("damaged", r"adapter_model\.safetensors: damaged"),
        ("absent", r"no adapter_model\.safetensors; pickled adapters"),
    ],
)
def test_an_adapter_whose_tensors_do_not_fit_is_refused(change: str, message: str, tmp_path: Path) -> None:
    model, method, weights = tiny_model("llama"), Config(rank=2), tmp_path / "adapter_model.safetensors"
    method.attach(model, start())
    save_adapter(model, method, tmp_path, base="b", base_sha256="1" * 64)
    tensors, key = load_file(weights), "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight"
    if change == "missing":
        del tensors[key]
    elif change == "extra":
        tensors[key.replace("lora_A", "lora_E")] = torch.zeros(1)
    else:
        tensors[key] = torch.zeros(3, 24)
    save_file(tensors, weights)
    if change == "damaged":
        weights.write_bytes(weights.read_bytes()[:-1])
    if change == "absent":
        weights.unlink()
    with pytest.raises(MethodError, match=message):
        load_adapter(tiny_model("llama"), tmp_path, base_sha256=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "expected an object, found list"),
        ("{", "not JSON"),
        ('{"peft_type": "LOHA"}', "peft_type is 'LOHA'"),
        ('{"peft_type": "LORA", "r": "x", "lora_alpha": 2, "target_modules": ["q_proj"]}', "rank: Input should be"),
    ],
)
def test_an_adapter_config_that_is_none_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(MethodError, match=message):
        load_adapter(tiny_model("llama"), tmp_path, base_sha256=None)
    (tmp_path / "adapter_config.json").unlink()
    with pytest.raises(MethodError, match=r"no adapter_config\.json"):
        load_adapter(tiny_model("llama"), tmp_path, base_sha256=None)


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    model, method = tiny_model("llama"), Config(rank=2)
    method.attach(model, start())
    save_adapter(model, method, tmp_path, base="the-base", base_sha256="1" * 64)
    with pytest.raises(MethodError, match=r"another base \(sha256 111111111111….*'the-base'"):
        load_adapter(tiny_model("llama"), tmp_path, base_sha256="2" * 64)
