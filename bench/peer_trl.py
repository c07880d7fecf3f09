"""TRL's side of the peers bench; it runs in an environment of its own, made from bench/peers.txt.

    python bench/peer_trl.py CASE.json MODEL RESULT.json ADAPTER|- WEIGHTS COMPUTE CHECKPOINTING BATCH UPDATES DEVICE

WEIGHTS: fp32 or bf16, as the frozen base is held; COMPUTE: fp32 or bf16 (autocast). The result holds the losses, the
seconds of all updates, and the most memory that the process held (on a GPU: held there).
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer


class InOrder(SFTTrainer):  # type: ignore[misc]
    """The records as they come, so that both sides train on the same ones in every update."""

    def _get_train_sampler(self, *_: Any, **__: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


class Clock(TrainerCallback):  # type: ignore[misc]
    """Seconds between the beginning of an update and its end."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.began = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.began = now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(now() - self.began)


def now() -> float:
    """Seconds, once a GPU has done what it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_bytes(device: str) -> int:
    """The most resident memory of this process so far (Linux), or its most on the GPU."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def main() -> None:
    """Train one case once."""
    case_path, model_path, result_path, adapter, weights, compute, checkpointing, batch, updates, device = sys.argv[1:]
    case = json.loads(Path(case_path).read_text(encoding="utf-8"))
    records = case["documents"][: int(updates) * case["update"]]
    model = AutoModelForCausalLM.from_pretrained(
        model_path, dtype=torch.bfloat16 if weights == "bf16" else torch.float32, attn_implementation="sdpa"
    )
    if adapter != "-":
        model = PeftModel.from_pretrained(model, adapter, is_trainable=True)
    rows = [
        {
            "input_ids": r["tokens"],
            "labels": [t if on else -100 for t, on in zip(r["tokens"], r["trained"], strict=True)],
        }
        for r in records
    ]
    settings = SFTConfig(
        output_dir=str(Path(result_path).with_suffix("")),
        per_device_train_batch_size=int(batch),
        gradient_accumulation_steps=case["update"] // int(batch),
        num_train_epochs=1,
        learning_rate=case["rate"],
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=compute == "bf16",
        gradient_checkpointing=checkpointing == "yes",
        max_length=None,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=device == "cpu",
        dataloader_num_workers=0,
        disable_tqdm=True,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    clock = Clock()
    trainer = InOrder(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(model_path),
        callbacks=[clock],
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    result = {"losses": losses, "seconds": clock.seconds, "peak_bytes": peak_bytes(device)}
    result["tokens"] = sum(len(r["tokens"]) for r in records)
    Path(result_path).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
