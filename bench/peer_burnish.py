"""burnish's side of the peers bench, in a process of its own.

    python -m bench.peer_burnish CASE.json MODEL RESULT.json DTYPE UPDATES DEVICE

LoRA begins as seed 0 makes it, which is what `bench.peers` gives to the other side as a file.
"""

import json
import sys
from pathlib import Path

from bench.cases import documents_in
from burnish.methods.method import method_from
from burnish.models.load import load_base
from burnish.training.memory import peak_bytes
from burnish.training.trainer import Trainer


def main() -> None:
    """Train one case once, by the engine that `burnish run` uses."""
    case_path, model_path, result_path, dtype, updates, device = sys.argv[1:]
    case = json.loads(Path(case_path).read_text(encoding="utf-8"))
    documents = documents_in(case)[: int(updates) * case["update"]]
    base = load_base(
        model_path, dtype="fp32" if dtype == "fp32" else "bf16", device="cuda" if device == "cuda" else "cpu"
    )
    trainer = Trainer(base.model, method_from("full" if case["full"] else "lora"), seed=0)
    done = []
    for at in range(0, len(documents), case["update"]):
        trainer.forward_backward(documents[at : at + case["update"]])
        done.append(trainer.optim_step(case["rate"]))
    result = {
        "losses": [step.loss for step in done],
        "seconds": [step.seconds for step in done],
        "peak_bytes": peak_bytes(device),
        "tokens": sum(step.tokens for step in done),
    }
    Path(result_path).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
