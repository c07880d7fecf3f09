"""What training takes in memory: what is asked of the system, what a row keeps, and the settings that follow."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from transformers import PreTrainedModel

from burnish.data.pack import batch_of
from burnish.errors import RecipeError
from burnish.methods.method import Start, method_from
from burnish.models.adapters import adapter_names, remove
from burnish.models.attention import forward_hidden
from burnish.models.load import Base, load_base
from burnish.models.recompute import recomputed
from burnish.pipeline import room
from burnish.pipeline.room import Kept, Room, find_room
from burnish.training import memory
from burnish.training.memory import free_bytes, kept_bytes, peak_bytes, taken_bytes
from burnish.training.settings import TrainingSettings
from burnish.types import Batch, TokenizedExample
from tests.tiny_models import tiny_directory

DOCUMENTS = [TokenizedExample(f"d{n}", tuple(range(3, 3 + n)), (False,) + (True,) * (n - 1)) for n in (90, 20, 300)]
METHODS = ["full", "lora", "bottleneck", "prefix", "prompt", "ia3"]


def test_what_dropout_keeps_is_counted(base: Base) -> None:
    kept = []
    for dropout in (0.0, 0.1):
        method = method_from({"name": "lora", "dropout": dropout})
        with room._attached(base, method):
            kept.append(room._measured(base, method, DOCUMENTS).each)
    assert kept[1] > 1.3 * kept[0]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return load_base(str(tiny_directory(tmp_path_factory.mktemp("memory") / "model", "llama")))


@pytest.mark.parametrize(
    ("written", "count"),
    [
        ("6 GB", 6 * 10**9),
        ("512MB", 512 * 10**6),
        ("1.5 GiB", 3 * 2**29),
        ("800k", 800_000),
        (700, 700),
        ("auto", "auto"),
    ],
)
def test_memory_is_written_as_people_write_it(written: str | int, count: int | str) -> None:
    assert TrainingSettings(memory=written).memory == count  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["much", "6 XB", "-1 GB", 0, "", 1.5])
def test_what_is_no_memory_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError, match="memory"):
        TrainingSettings.model_validate({"memory": wrong})


def test_what_the_system_tells_is_plausible() -> None:
    free = free_bytes()
    assert free is not None
    assert 10**6 < free < 10**14
    assert 50_000_000 < taken_bytes() <= peak_bytes()  # torch alone takes more
    assert free_bytes("mps") is None, "not told there"


def test_a_container_s_limit_is_kept_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    whole = free_bytes()
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("2500000\n")
    (tmp_path / "memory.stat").write_text("anon 1000000\ninactive_file 1000000\n")
    assert free_bytes() == 1_500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert whole is not None
    assert free_bytes() == pytest.approx(whole, rel=0.2)


def test_what_a_row_keeps_is_counted_without_the_model_s_own_tensors(base: Base) -> None:
    """Oracle: one product keeps its input, once, and never the frozen weight."""
    method_from("lora").attach(base.model, Start(torch.Generator()))
    one, two, again = (batch_of(part, round_to=1) for part in (DOCUMENTS[:1], DOCUMENTS[:2], DOCUMENTS[:2]))
    small, large = kept_bytes(base.model, one), kept_bytes(base.model, two)
    assert 0 < small < large < small * 110 / 90 * 1.2
    with recomputed(base.model):
        assert kept_bytes(base.model, again) < large / 4
    hidden = forward_hidden(base.model, one)
    assert hidden.requires_grad, "nothing of the counting stays"
    remove(base.model, "default")


@pytest.mark.parametrize("name", METHODS)
def test_nothing_that_was_counted_stays_in_memory(name: str, tmp_path: Path) -> None:
    """An operation that saves its own output would hold itself, where the hook returned that very tensor."""
    base = load_base(str(tiny_directory(tmp_path / "model", "llama")))
    method_from(name).attach(base.model, Start(torch.Generator(), (3, 4)))
    seen: list[weakref.ref[Tensor]] = []
    handles = [
        module.register_forward_hook(lambda _module, _given, out: seen.append(weakref.ref(out)))
        for where, module in base.model.named_modules()
        if where.endswith(("act_fn", "norm"))  # these save what they made
    ]
    kept_bytes(base.model, batch_of(DOCUMENTS[:2]))
    for handle in handles:
        handle.remove()
    gc.collect()
    assert seen
    assert [found for found in seen if found() is not None] == []


def test_a_row_of_long_documents_keeps_more_than_one_of_short_ones() -> None:
    kept = Kept(constant=1000, each=100, squared=1, inputs=2, blocks=10)
    assert kept.of(512, 512, False) == 1000 + 512 * (100 + 512)
    assert kept.of(512, 64, False) == 1000 + 512 * (100 + 64)
    assert kept.of(4096, 4096, False) == 1000 + 4096 * (100 + 1024), "scores of longer documents are not kept"
    assert kept.of(512, 64, True) == 2 * 512 + 3 * kept.of(512, 64, False) / 10


@pytest.mark.parametrize("name", METHODS)
def test_looking_for_room_leaves_the_model_as_it_was(name: str, base: Base) -> None:
    batch = batch_of(DOCUMENTS)
    before = forward_hidden(base.model, batch)
    fresh = load_base(str(base.path))  # another method's places would be in the way
    found = find_room(TrainingSettings(), fresh, method_from(name), DOCUMENTS, 4)
    assert found is not None
    assert found.fits
    assert (found.micro_batch_tokens, found.recompute) == (512, False)
    assert adapter_names(fresh.model) == []
    assert not any(parameter.requires_grad for parameter in fresh.model.parameters())
    assert torch.equal(forward_hidden(fresh.model, batch), before)
    method_from(name).attach(fresh.model, Start(torch.Generator()))  # and training can begin


def _found(base: Base, limit: int | str, **settings: object) -> Room:
    found = find_room(
        TrainingSettings.model_validate({"memory": limit, **settings}),
        base,
        method_from("lora"),
        DOCUMENTS[:2] * 20,
        40,
    )
    assert found is not None
    return found


def test_less_memory_means_shorter_rows_then_blocks_computed_twice(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "taken_bytes", lambda _: 10**6)
    monkeypatch.setattr(room, "AT_WORK", 1)  # the tiny model has so few blocks that three are nearly all
    most = _found(base, 10**12).takes
    found = _found(base, most)
    seen = [(found.micro_batch_tokens, found.recompute)]
    while seen[-1] != (128, True):  # a byte less each time
        found = _found(base, found.takes - 1)
        seen.append((found.micro_batch_tokens, found.recompute))
    order = [(512, False), (256, False), (128, False), (512, True), (256, True), (128, True)]
    assert seen[:4] == [*order[:3], seen[3]]
    assert seen == [tried for tried in order if tried in seen]
    with pytest.raises(
        RecipeError, match=r"at its least \(longest record: 90 tokens\); give more, lower training\.max_"
    ):
        _found(base, found.takes - 1)
    assert _found(base, 10**12, recompute=True).recompute is True
    assert _found(base, most - 1, micro_batch_tokens=512).recompute is True
    decided = _found(base, most - 1, micro_batch_tokens=512, recompute=False)
    assert not decided.fits, "what a recipe decides is kept to, and the doubt stands in the plan"


def test_what_is_free_is_kept_to_and_a_doubt_is_said(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "taken_bytes", lambda _: 10**6)
    most = _found(base, 10**12).takes
    monkeypatch.setattr(room, "free_bytes", lambda _: most)
    found = _found(base, "auto")
    assert found.limit == 10**6 + int(0.9 * most)
    assert found.fits
    assert not found.line.endswith("trains less")
    monkeypatch.setattr(room, "free_bytes", lambda _: 1000)
    found = _found(base, "auto")
    assert (found.micro_batch_tokens, found.recompute, found.fits) == (128, True, False)
    assert "that may not be there: lower training.max_length" in found.line
    monkeypatch.setattr(room, "free_bytes", lambda _: None)
    assert _found(base, "auto").limit is None
    assert " of the " not in _found(base, "auto").line


@pytest.mark.parametrize("context", [40, 9, 2])
def test_no_probe_is_longer_than_what_the_model_can_read(
    context: int, base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []

    def counted(model: PreTrainedModel, batch: Batch) -> int:
        lengths.append(batch.tokens.numel())
        return kept_bytes(model, batch)

    monkeypatch.setattr(room, "kept_bytes", counted)
    found = find_room(TrainingSettings(), replace(base, context=context), method_from("lora"), DOCUMENTS, 4)
    assert found is not None
    assert found.fits
    assert max(lengths) == context
    assert min(lengths) >= 2


def test_what_a_recipe_decides_is_not_measured(base: Base) -> None:
    decided = TrainingSettings(micro_batch_tokens=64, recompute=True)
    assert find_room(decided, base, method_from("lora"), DOCUMENTS, 4) is None
    assert find_room(TrainingSettings(max_steps=0), base, method_from("lora"), DOCUMENTS, 4) is None
