"""On a GPU the engine gives what it gives on a CPU: loss, gradient, answers, and a run from recipe to report.

Skips where torch finds none. The CPU is the oracle; its own oracles are the laws.
"""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from burnish.generation.cache import read_prompts
from burnish.generation.decode import generate
from burnish.models import flash
from burnish.pipeline.run import run
from tests.laws.cases import Case, cases, distance, documents, frozen, gradient
from tests.laws.conftest import PARTS, recipe_text, write_tickets
from tests.laws.test_law_13_sharing import alike
from tests.tiny_models import tiny_directory

CLOSE = 1e-4  # of the norm, in fp32: sums in another order; TF32 is off where torch's defaults are not changed


@pytest.fixture(scope="module")
def device() -> torch.device:
    """The accelerator of this machine."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    pytest.skip("torch finds no GPU here")


@cases()
def test_loss_and_gradient_are_those_of_the_cpu(case: Case, device: torch.device) -> None:
    given = documents()
    expected, found = case.trainer(), case.trainer(device=device)
    wanted = expected.forward_backward(given)
    update = found.forward_backward(given)
    assert update.targets == wanted.targets
    assert update.nats == pytest.approx(wanted.nats, rel=CLOSE)
    assert distance(gradient(found).cpu(), gradient(expected)) < CLOSE
    assert {p.device.type for p in found.optimizer.parameters.values()} == {device.type}
    found.optim_step(1e-3)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in found.trained_tensors().values())


@cases()
def test_answers_are_those_of_the_cpu(case: Case, device: torch.device) -> None:
    prompts = [document.tokens for document in documents(3, (5, 21, 9, 30))]
    expected = generate(case.trainer().model, prompts, stop_ids={2}, max_new_tokens=6)
    found = generate(case.trainer(device=device).model, prompts, stop_ids={2}, max_new_tokens=6)
    assert found == expected


@cases()
def test_in_bf16_the_kernel_for_any_lengths_is_as_near_to_fp32_as_the_products(
    case: Case, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = alike()
    expected = case.trainer(capacity=512)
    nats = expected.forward_backward(given).nats
    kernel = case.trainer(capacity=512, dtype=torch.bfloat16, device=device)
    if not served(kernel.model):
        pytest.skip("torch has no such kernel here, or not for heads of this width")
    found = kernel.forward_backward(given).nats
    monkeypatch.setattr(flash, "serves", lambda *_: False)
    products = case.trainer(capacity=512, dtype=torch.bfloat16, device=device)
    products.forward_backward(given)
    near = distance(gradient(products).cpu(), gradient(expected))
    assert found == pytest.approx(nats, rel=3e-3)  # as law 13 in bf16
    assert distance(gradient(kernel).cpu(), gradient(expected)) < 1.5 * near + 0.01


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma3"])
def test_in_bf16_the_kernel_reads_prompts_behind_what_they_begin_with(
    architecture: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [document.tokens for document in alike(((40, 6),))[:6]]
    model = frozen(architecture, torch.bfloat16).to(device)
    if not served(model):
        pytest.skip("torch has no such kernel here, or not for heads of this width")
    found = read_prompts(model, prompts, 4).last.float()
    monkeypatch.setattr(flash, "serves", lambda *_: False)
    assert distance(found, read_prompts(model, prompts, 4).last.float()) < 0.02


def served(model: PreTrainedModel) -> bool:
    """Whether the kernel serves this model where it is."""
    config = model.config.get_text_config()
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return flash.serves(next(model.parameters()).device, model.dtype, width)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_run_ends_in_a_report(
    dtype: str, device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BURNISH_HOME", str(tmp_path / "home"))
    tiny_directory(tmp_path / "model", "llama")
    for part, count in PARTS.items():
        write_tickets(tmp_path / f"{part}.jsonl", part, count)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(recipe_text("lora"), encoding="utf-8")
    report = run(recipe, f"training.device={device.type}", f"training.dtype={dtype}", out=tmp_path / "run")
    assert report.provenance.device == device.type
    assert report.cost.peak_memory_bytes > 0
    assert {row.arm for row in report.task.scores} >= {"base", "few_shot_2", "tuned"}
