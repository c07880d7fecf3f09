"""Methods by name and by path, their errors, and LoRA's targets."""

from pathlib import Path
from typing import Literal

import pytest
import torch
from transformers import PreTrainedModel

from burnish.errors import MethodError, RecipeError
from burnish.methods import bottleneck, full, ia3, prefix, prompt
from burnish.methods.lora import Config, LoRALinear, lora_places
from burnish.methods.method import Method, Start, method_fields, method_from, method_names
from burnish.models import attention
from burnish.models.adapters import frame_of
from burnish.models.seams import block_linears, blocks_of, layers_of, matching, sizes_of
from burnish.training.trainer import Trainer
from burnish.types import TokenizedExample
from tests.tiny_models import ARCHITECTURES, tiny_model


def start() -> Start:
    return Start(torch.Generator().manual_seed(0))


def test_the_methods_are_the_files_that_define_a_config() -> None:
    assert method_names() == ["bottleneck", "full", "ia3", "lora", "prefix", "prompt"]
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
        "variant": "plain",
        "lr_ratio": 1.0,
    }
    assert method_from(method_fields(method)) == method


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("laro", r'method: "laro" is unknown; known are bottleneck, full, .*\. Did you mean "lora"\?'),
        ("peft_format", "is unknown"),
        ("method", "is unknown"),
        ({}, 'method: "None" is unknown'),
        ({"name": 3}, 'method: "3" is unknown'),
        ({"name": "lora", "ranks": 4}, r'method\.ranks: unknown field; known are .*Did you mean "rank"\?'),
        ({"name": "lora", "rank": 0}, r"method\.rank: .*greater than or equal to 1, found 0"),
        ({"name": "lora", "rank": "many"}, r"method\.rank: .*valid integer.*found 'many'"),
        ({"name": "lora", "dropout": 1.0}, r"method\.dropout: .*less than 1"),
        ({"name": "lora", "alpha": "double"}, r"method\.alpha: .*valid number.*found 'double'"),
        ({"name": "lora", "variant": "dorra"}, r"method\.variant: .*'plain', 'rslora' or 'dora', found 'dorra'"),
        ({"name": "full", "rank": 4}, "method.rank: unknown field; known are from, train"),
        ({"name": "prefix", "length": 0}, r"method\.length: .*greater than or equal to 1, found 0"),
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
        ("class Config:\n    pass\n", "is no method; begin it with .*MethodConfig"),
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
    assert set(lora_places(model)) == expected
    for module in lora_places(model).values():
        assert isinstance(module, LoRALinear)
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


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_head_and_embeddings_are_targets_where_they_are_named(architecture: str) -> None:
    model = tiny_model(architecture)
    head, table = ("lm_head", "model.embed_tokens") if architecture == "llama" else ("lm_head", "transformer.wte")
    assert set(matching(model, ("head", "embeddings"), ends=True)) == {head, table}
    assert set(matching(model, (head, table.rpartition(".")[2]), ends=True)) == {head, table}
    assert not {head, table} & set(matching(model, "all", ends=True))
    with pytest.raises(MethodError, match='"head" matches no linear map'):
        matching(model, "head")


@pytest.mark.parametrize("targets", ["head", "embeddings"])
def test_merging_into_a_tied_head_unties_it(targets: str) -> None:
    model = tiny_model("llama")
    before = model.lm_head.weight.detach().clone()
    assert model.lm_head.weight is model.model.embed_tokens.weight
    method = Config(rank=2, targets=targets)
    method.attach(model, start())
    for module in lora_places(model).values():
        for parameter in [tensors["default"] for tensors in module.held.values() if tensors]:
            parameter.data.add_(0.1)
    method.merge(model)
    assert model.config.tie_word_embeddings is False
    changed = {"head": model.lm_head.weight, "embeddings": model.model.embed_tokens.weight}
    assert not torch.equal(changed.pop(targets), before)
    (other,) = changed.values()
    assert torch.equal(other, before)


def test_dora_on_a_table_is_refused() -> None:
    with pytest.raises(MethodError, match=r"dora does not work on model\.embed_tokens"):
        Config(targets="embeddings", variant="dora").attach(tiny_model("llama"), start())


def test_rslora_scales_by_the_root_of_the_rank() -> None:
    assert Config(rank=16, alpha=8).scale == 0.5
    assert Config(rank=16, alpha=8, variant="rslora").scale == 2


@pytest.mark.parametrize(
    ("train", "some", "count"),
    [
        (("all",), "lm_head.weight", 59),
        (("embeddings",), "model.embed_tokens.weight", 1),
        (("head",), "lm_head.weight", 1),
        (("last_1",), "model.layers.2.mlp.up_proj.weight", 16 + 2),
        (("biases",), "model.layers.0.self_attn.q_proj.bias", 12),
        (("norms",), "model.layers.1.self_attn.q_norm.weight", 3 * 4 + 1),
        (("*.mlp.*", "norms"), "model.norm.weight", 9 + 13),
    ],
    ids=str,
)
def test_full_trains_the_parts_that_are_named(train: tuple[str, ...], some: str, count: int) -> None:
    model = tiny_model("qwen3")
    every = dict(model.named_parameters())
    full.Config(train=train).attach(model, start())
    found = {name for name, parameter in every.items() if parameter.requires_grad}
    assert some in found
    expected = len(every) if train == ("all",) else count
    if train == ("last_1",):
        expected = sum(name.startswith("model.layers.2.") for name in every)
    assert len(found) == expected


def test_full_names_every_part_that_matches_nothing() -> None:
    with pytest.raises(MethodError, match=r'"last_0" matches no(.|\n)*"biasses" matches no.*Did you mean "biases"\?'):
        full.Config(train=("norms", "last_0", "biasses")).attach(tiny_model("llama"), start())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_ia3_scales_keys_values_and_the_inside_of_the_mlp(architecture: str) -> None:
    model = tiny_model(architecture)
    ia3.Config().attach(model, start())
    found = {n: m.inside for n, m in model.named_modules() if isinstance(m, ia3.ScaledLinear)}
    last = {"gpt2": "c_proj", "phi": "fc2"}.get(architecture, "down_proj")
    keys = {"c_attn"} if architecture == "gpt2" else {"k_proj", "v_proj"}
    assert {name.rpartition(".")[2] for name, inside in found.items() if inside} == {last}
    assert {name.rpartition(".")[2] for name, inside in found.items() if not inside} == keys
    assert len(found) == 3 * (1 + len(keys))


@pytest.mark.parametrize(("variant", "count"), [("houlsby", 6), ("pfeiffer", 3)])
def test_bottlenecks_stand_after_the_sublayers(variant: Literal["houlsby", "pfeiffer"], count: int) -> None:
    model = tiny_model("gemma3")
    bottleneck.Config(variant=variant).attach(model, start())
    assert sum(isinstance(module, bottleneck.Bottleneck) for module in model.modules()) == count


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_block_has_one_attention_and_one_mlp(architecture: str) -> None:
    model = tiny_model(architecture)
    blocks = blocks_of(model)
    assert len(blocks) == len(layers_of(model)) == 3
    assert type(model.get_submodule(blocks[1].mlp)).__name__.lower().endswith("mlp")
    assert type(model.get_submodule(blocks[1].attention)).__name__.lower().endswith("attention")


def test_blocks_without_an_mlp_of_linear_maps_are_refused_by_name() -> None:
    model = tiny_model("llama")
    model.model.layers[1].mlp = torch.nn.Identity()
    with pytest.raises(
        MethodError, match=r"LlamaForCausalLM: the block model\.layers\.1 has no single MLP .*lora fits"
    ):
        bottleneck.Config().attach(model, start())


@pytest.mark.parametrize("method", [prefix.Config(), prompt.Config()], ids=lambda method: method.name)
def test_a_model_that_runs_by_itself_takes_no_prefix_and_no_prompt(method: prefix.Config | prompt.Config) -> None:
    with pytest.raises(MethodError, match=r"LlamaForCausalLM runs .*; lora, bottleneck and full fit it"):
        method.attach(tiny_model("llama"), start())


def packed(architecture: str) -> PreTrainedModel:
    model = tiny_model(architecture)
    model.set_attn_implementation(attention.NAME)
    return model


def test_a_prefix_starts_as_what_the_model_has_for_its_text() -> None:
    """Oracle: the cache that transformers fills when the same tokens are read."""
    model, plain = packed("gemma3"), tiny_model("gemma3")
    prefix.Config(length=5).attach(model, Start(torch.Generator(), (17, 5, 9)))
    with torch.no_grad():
        cache = plain(torch.tensor([[17, 5, 9, 17, 5]]), use_cache=True).past_key_values
    for layer, states in attention.prefixes(model).items():
        assert torch.allclose(states.keys["default"], cache.layers[layer].keys[0], atol=1e-5)
        assert torch.allclose(states.values["default"], cache.layers[layer].values[0], atol=1e-5)
    assert frame_of(model).first == 5


def test_a_prompt_starts_as_the_vectors_of_its_text() -> None:
    model = packed("gemma3")
    prompt.Config(length=4).attach(model, Start(torch.Generator(), (17, 5, 9)))
    vectors = tiny_model("gemma3").get_input_embeddings()(torch.tensor([17, 5, 9, 17]))
    assert torch.equal(model.get_input_embeddings().prompt_embeddings["default"], vectors)
    assert frame_of(model).slots == 4


@pytest.mark.parametrize("method", [prefix.Config(), prompt.Config()], ids=lambda method: method.name)
def test_a_text_without_tokens_is_refused(method: prefix.Config | prompt.Config) -> None:
    with pytest.raises(MethodError, match=r"method\.text: has no tokens to start from"):
        method.attach(packed("llama"), Start(torch.Generator(), ()))


def test_a_prefix_says_where_a_window_hides_it() -> None:
    (note,) = prefix.Config().notes(packed("gemma3"))
    assert note.startswith("prefix: 2 of 3 layers see 8 positions back")
    assert len(prefix.Config().notes(packed("mistral"))) == 1
    assert prefix.Config().notes(packed("llama")) == []


def test_a_tiny_step_is_not_lost_in_bf16() -> None:
    """1e-6 of a weight is far below bf16's steps of 2^-8; the master copies add such steps up."""
    model = tiny_model("llama").to(torch.bfloat16)
    model.set_attn_implementation(attention.NAME)
    trainer = Trainer(model, full.Config(train=("*.0.mlp.up_proj.weight",)))
    (name,) = trainer.optimizer.parameters
    before = trainer.trained_tensors()[name].clone()
    size = float(before.abs().mean())
    for _ in range(3):
        trainer.forward_backward([TokenizedExample("d", tuple(range(3, 23)), (False,) + (True,) * 19)])
        trainer.optim_step(1e-6 * size)
    large = before.abs() > size  # fp32's own steps are far below 1e-6 of these, bf16's far above
    moved = (trainer.trained_tensors()[name] - before).abs()[large]
    assert 1e-6 * size < float(moved.mean()) < 4e-6 * size
    assert torch.equal(trainer.optimizer.parameters[name].float()[large], before[large]), "bf16 cannot show it yet"


@pytest.mark.parametrize("method", [ia3.Config(targets="v_proj"), Config(variant="dora", targets="v_proj")], ids=str)
def test_a_small_scale_is_not_lost_in_bf16(method: ia3.Config | Config) -> None:
    """1.003 is 1 in bf16, whose next number is 1.0078; over many outputs, each rounded, it must still be there."""
    model = tiny_model("qwen3").to(torch.bfloat16)
    plain = model.get_submodule("model.layers.0.self_attn.v_proj")
    x = torch.randn(64, 24, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    before = (plain(x).float() - plain.bias.float()).detach()
    method.attach(model, start())
    module = model.get_submodule("model.layers.0.self_attn.v_proj")
    (tensors,) = [t for kind, t in module.held.items() if kind in ("ia3_l", "lora_magnitude_vector")]
    with torch.no_grad():
        tensors["default"].mul_(1.003)
        moved = module(x).float() - module.bias.float() - before
    assert 0.0015 < float(moved.mul(before.sign()).mean() / before.abs().mean()) < 0.006
