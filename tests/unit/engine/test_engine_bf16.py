"""What bf16, which keeps eight bits, must not lose: small changes of weights, and of what the base's products give."""

import copy

import pytest
import torch
from torch import Tensor

from burnish.methods import full, lora
from burnish.methods.method import Method, Start
from burnish.models import attention
from burnish.training import optimizer
from burnish.training.optimizer import Optimizer, Rounding
from burnish.training.trainer import Trainer
from burnish.types import TokenizedExample
from tests.tiny_models import tiny_model

SMALL = 3e-4  # a relative change far below bf16's half step of 2^-9 to 2^-8


def share_that_arrives(moved: Tensor, wanted: Tensor) -> float:
    """The slope of what a computation moved on what it should have; 1 where nothing is lost in the mean."""
    return float((moved.double() * wanted.double()).sum() / wanted.double().square().sum())


@pytest.fixture
def rounding() -> Rounding:
    return Rounding(torch.device("cpu"))


def test_a_change_below_the_last_digit_arrives_in_the_mean(rounding: Rounding) -> None:
    weight = torch.randn(1000, 1200, generator=torch.Generator().manual_seed(0)).bfloat16().float()  # two blocks
    parameter = weight.bfloat16()
    rounding.put(parameter, weight * (1 + SMALL))
    assert share_that_arrives(parameter.float() - weight, weight * SMALL) == pytest.approx(1, rel=0.05)
    assert torch.equal((weight * (1 + SMALL)).bfloat16(), weight.bfloat16()), "to the nearest, all of it is lost"


def test_what_bf16_holds_is_not_moved_whatever_its_layout(rounding: Rounding) -> None:
    weight = torch.randn(60, 50, generator=torch.Generator().manual_seed(0)).bfloat16()
    for held in (weight, -weight, weight.t(), weight[::2], torch.zeros(3), torch.tensor(2.0)):
        parameter = torch.empty_like(held, dtype=torch.bfloat16)
        rounding.put(parameter, held.float())
        assert torch.equal(parameter, held.bfloat16())


def test_a_weight_goes_to_one_of_its_two_neighbours(rounding: Rounding) -> None:
    master = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    parameter = master.bfloat16()
    rounding.put(parameter, master)
    step = 2.0 ** (torch.frexp(master).exponent.float() - 8)
    assert bool(((parameter.float() - master).abs() < step).all())
    assert not torch.equal(parameter, master.bfloat16())


def test_putting_a_state_back_gives_the_same_weights() -> None:
    trained, other = (tiny_model("llama").to(torch.bfloat16) for _ in range(2))
    ours = Optimizer(trained)
    for parameter in trained.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    ours.step(1e-5, ours.gather(1), 1.0)
    Optimizer(other).load(ours.state())
    assert all(torch.equal(a, b) for a, b in zip(trained.parameters(), other.parameters(), strict=True))


CONFIGS = [
    lora.Config(targets="v_proj"),
    lora.Config(targets="v_proj", dropout=1e-9),
    lora.Config(targets="v_proj", variant="dora"),
]


@pytest.mark.parametrize("config", CONFIGS, ids=["plain", "dropout", "dora"])
@pytest.mark.parametrize("architecture", ["mistral", "qwen3"], ids=["without", "with-bias"])
def test_a_small_update_arrives_in_the_mean(architecture: str, config: lora.Config) -> None:
    """A thousandth of what the base gives; added to a rounded product, half of it would be lost."""
    model = tiny_model(architecture).to(torch.bfloat16)
    config.attach(model, Start(torch.Generator().manual_seed(0)))
    module = model.get_submodule("model.layers.0.self_attn.v_proj")
    assert isinstance(module, lora.LoRALinear)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4096, module.weight.shape[1], generator=generator).bfloat16().requires_grad_(True)
    gradient = torch.randn(4096, module.weight.shape[0], generator=generator).bfloat16()
    found: dict[bool, tuple[Tensor, Tensor]] = {}
    with torch.no_grad():
        b = torch.randn(module.lora_B["default"].shape, generator=generator)
        size = module.weight.float().norm() / (2 * b @ module.lora_A["default"]).norm()
    for updated in (False, True):
        with torch.no_grad():
            module.lora_B["default"].copy_(b * size * 1e-3 * updated)
            if config.variant == "dora":
                module.lora_magnitude_vector["default"].copy_(module.lengths("default"))
        y = module(x)
        found[updated] = (y.detach().float(), torch.autograd.grad(y, x, gradient)[0].float())
    delta = module.delta("default").detach().bfloat16().float()
    forward, backward = (after - before for before, after in zip(found[False], found[True], strict=True))
    assert share_that_arrives(forward, x.detach().float() @ delta.t()) == pytest.approx(1, abs=0.15)
    if config is CONFIGS[0]:  # autograd adds up the others' gradients, each rounded
        assert share_that_arrives(backward, gradient.float() @ delta) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(("method", "rate"), [(lora.Config(), 1e-3), (full.Config(), 2e-5)], ids=["lora", "full"])
def test_the_first_updates_in_bf16_are_those_of_fp32(
    method: Method, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss falls as it does in fp32; oracle: fp32 from the same weights, which bf16 holds."""
    documents = [TokenizedExample(f"d{i}", tuple(range(3 + i, 63 + i)), (False,) + (True,) * 59) for i in range(2)]
    start = tiny_model("llama").to(torch.bfloat16)

    def fall(dtype: torch.dtype) -> float:
        model = copy.deepcopy(start).to(dtype)
        model.set_attn_implementation(attention.NAME)
        trainer = Trainer(model, method)
        for _ in range(6):
            trainer.forward_backward(documents)
            trainer.optim_step(rate)
        return before - trainer.validation_loss(documents)[0]

    model = copy.deepcopy(start).float()
    model.set_attn_implementation(attention.NAME)
    before, _ = Trainer(model, full.Config()).validation_loss(documents)
    exact = fall(torch.float32)
    assert exact > 0
    assert fall(torch.bfloat16) == pytest.approx(exact, rel=0.2)
    if isinstance(method, full.Config):
        monkeypatch.setattr(optimizer.Rounding, "put", lambda _, parameter, master: parameter.copy_(master))
        assert fall(torch.bfloat16) < 0.5 * exact, "to the nearest, most of it is lost"
