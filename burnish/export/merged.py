"""A normal model directory with the change folded in, which plain transformers loads."""

import gc
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from burnish.data.pack import batch_of
from burnish.errors import ModelError
from burnish.files import new_directory
from burnish.methods.method import Method
from burnish.models.attention import forward_hidden, is_packed
from burnish.models.head import head_of
from burnish.models.load import Base, quietly
from burnish.models.parameters import weight_files
from burnish.models.safetensors_header import tensors_in
from burnish.types import TokenizedExample

PROBES = ("The capital of France is Paris.", "def add(a, b):\n    return a + b\n", "1, 2, 3, 4, 5, 6, 7")


def export(base: Base, method: Method, template: str | None, out: Path) -> list[str]:
    """Merge in fp32, round once to the base's stored dtype, save, reload, compare; returns what to say.

    Raises `ModelError` where the reloaded model's logits are not the merged model's.
    """
    model, stored = base.model, _stored_dtype(base.path)
    if method.why_unmergeable is not None:
        method.merge(model)  # says in a sentence why not, before anything is computed
    probes = [tuple(base.tokenizer.encode(text, add_special_tokens=False)) for text in PROBES]
    before = [_logits(model, probe) for probe in probes]
    method.merge(model.float())
    exact = {name: p.detach().clone() for name, p in model.named_parameters()} if stored != torch.float32 else {}
    model.to(stored)
    lost = _rounding(model, exact)
    base.tokenizer.chat_template = template
    with new_directory(out) as temporary:
        with quietly():
            model.save_pretrained(temporary)
        base.tokenizer.save_pretrained(temporary)
        exact.clear()
        gc.collect()
        after, kept = _reloaded(temporary, model, probes)
    difference = max(float((a - b).norm() / b.norm()) for a, b in zip(after, before, strict=True))
    same = sum(int((a.argmax(-1) == b.argmax(-1)).sum()) for a, b in zip(after, before, strict=True))
    places = sum(len(a) for a in after)
    name = str(stored).removeprefix("torch.")
    return [
        f"{out}: merged in fp32, stored in {name}; rounding moved the weights by {lost:.1e} of their norm",
        f"reloaded with transformers: logits equal to the merged model's to {kept:.1e}, to the tuned model's to "
        f"{difference:.1e} of their norm; the likeliest token is the same at {same} of {places} places",
    ]


def _stored_dtype(directory: Path) -> torch.dtype:
    """The dtype that most of a model directory's weights have on disk."""
    sizes: dict[str, int] = {}
    for path in weight_files(directory):
        for header in tensors_in(path).values():
            sizes[header.dtype] = sizes.get(header.dtype, 0) + header.weights
    return {"BF16": torch.bfloat16, "F16": torch.float16}.get(max(sizes, key=lambda d: sizes[d]), torch.float32)


@torch.no_grad()
def _logits(model: PreTrainedModel, tokens: tuple[int, ...]) -> torch.Tensor:
    """[time, vocab] in fp32, by whatever attention the model has."""
    if is_packed(model):
        batch = batch_of([TokenizedExample("probe", tokens, (False,) * len(tokens))], round_to=1)
        return head_of(model).logits(forward_hidden(model, batch.to(model.device))[0]).float().cpu()
    logits: torch.Tensor = model(torch.tensor([tokens], device=model.device)).logits
    return logits[0].float().cpu()


def _rounding(model: PreTrainedModel, exact: dict[str, torch.Tensor]) -> float:
    lost = size = 0.0
    for name, parameter in model.named_parameters():
        if name in exact:
            lost += float((parameter.detach().float() - exact[name]).norm()) ** 2
            size += float(exact[name].norm()) ** 2
    return (lost / size) ** 0.5 if size else 0.0


def _reloaded(path: Path, model: PreTrainedModel, probes: list[tuple[int, ...]]) -> tuple[list[torch.Tensor], float]:
    """Logits of the saved model in fp32 arithmetic, and their largest distance from those of the model in memory."""
    with quietly():
        loaded = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, local_files_only=True)
    after = [_logits(loaded.eval(), probe) for probe in probes]
    del loaded
    here = [_logits(model.float(), probe) for probe in probes]
    distance = max(float((a - b).norm() / b.norm()) for a, b in zip(after, here, strict=True))
    if not distance <= 1e-4:
        raise ModelError(f"the exported model's logits differ from the merged model's by {distance:.1e} of their norm")
    return after, distance
