"""Methods by name and by path, their errors, and LoRA's targets."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from burnish.errors import MethodError, RecipeError
from burnish.methods.lora import Config, lora_linears
from burnish.methods.method import Method, Start, method_fields, method_from, method_names
from burnish.methods.peft_format import load_adapter, save_adapter
from burnish.models.seams import block_linears, layers_of, matching, sizes_of
from tests.tiny_models import ARCHITECTURES, tiny_model


def start() -> Start:
    return Start(torch.Generator().manual_seed(0))


def test_the_methods_are_the_files_that_define_a_config() -> None:
    assert method_names() == ["full", "lora"]
    for name in method_names():
        assert isinstance(method_from(name), Method)
        assert method_from(name).name == name


def test_fields_are_read_and_shown_with_their_defaults() -> None:
    method = method_from({"name": "lora", "rank": 8, "targets": ["q_proj", "v_proj"]})
    assert method_fields(method) == {
        "name": "lora",
        "rank": 8,
        "alpha": 32.0,
        "targets": ("q_proj", "v_proj"),
        "dropout": 0.0,
    }
    assert method_from(method_fields(method)) == method


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("laro", r'method: "laro" is unknown; known are full, lora\. Did you mean "lora"\?'),
        ("peft_format", "is unknown"),
        ("method", "is unknown"),
        ({}, 'method: "None" is unknown'),
        ({"name": 3}, 'method: "3" is unknown'),
        ({"name": "lora", "ranks": 4}, r'method\.ranks: unknown field; known are .*Did you mean "rank"\?'),
        ({"name": "lora", "rank": 0}, r"method\.rank: .*greater than or equal to 1, found 0"),
        ({"name": "lora", "rank": "many"}, r"method\.rank: .*valid integer.*found 'many'"),
        ({"name": "lora", "dropout": 1.0}, r"method\.dropout: .*less than 1"),
        ({"name": "full", "rank": 4}, "method.rank: unknown field; this method has no settings"),
        ({"path": "/no/such.py"}, r"method\.path: .*does not exist"),
    ],
    ids=str,
)
def test_errors_name_the_field_and_what_was_meant(value: str | dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        method_from(value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        method_from({"name": "lora", "rank": 0, "alpha": -1, "colour": "red"})
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == {
        "method.rank",
        "method.alpha",
        "method.colour",
    }


def test_a_method_of_the_user_s_own_comes_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from burnish.methods.lora import Config as LoRA\nclass Config(LoRA):\n    extra: int = 3\n")
    method = method_from({"path": str(path), "rank": 2})
    assert method_fields(method)["extra"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "has no class `Config`"),
        ("1 / 0\n", "cannot be loaded: ZeroDivisionError"),
        ("def (\n", "SyntaxError"),
    ],
)
def test_a_file_that_is_no_method_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        method_from({"path": str(path)})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_linears_of_the_blocks_are_targets_and_nothing_else(architecture: str) -> None:
    model = tiny_model(architecture)
    expected = {
        f"{prefix}.{name}"
        for prefix, layer in model.named_modules()
        if layer in list(layers_of(model))
        for name, module in layer.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D")
    }
    assert set(block_linears(model)) == expected
    Config(rank=2).attach(model, start())
    assert set(lora_linears(model)) == expected
    for module in lora_linears(model).values():
        width_in, width_out = sizes_of(module.original)
        assert module.lora_A["default"].shape == (2, width_in)
        assert module.lora_B["default"].shape == (width_out, 2)


@pytest.mark.parametrize(
    ("targets", "count"),
    [
        ("attention", 12),
        ("mlp", 9),
        ("q_proj", 3),
        (("q_proj", "down_proj"), 6),
        ("*.0.*", 7),
        ("*layers.1.mlp.up_proj", 1),
    ],
    ids=str,
)
def test_targets_by_preset_name_and_pattern(targets: str | tuple[str, ...], count: int) -> None:
    assert len(matching(tiny_model("llama"), targets)) == count


def test_a_target_that_matches_nothing_is_named_with_what_there_is() -> None:
    with pytest.raises(MethodError, match=r'"q_prj" matches no linear map of Llama.*q_proj.*Did you mean "q_proj"\?'):
        Config(targets=("k_proj", "q_prj")).attach(tiny_model("llama"), start())


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
        ('{"peft_type": "IA3"}', "peft_type is 'IA3'"),
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
