"""How much is computed at once, by device: for speed and memory; results change by no more than the order of sums."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Sizes in tokens."""

    rows: tuple[int, ...]  # of a row that is trained on, in the order in which they are tried against the memory
    targets: int  # whose logits are held together
    documents: int  # of a row of documents that are measured
    prompts: int  # of a row of prompts that are read


# longer rows are little faster (docs/performance.md) and take more activations; 128 targets are 25 MB of fp32 logits
CPU = AtOnce(rows=(512, 256, 128), targets=128, documents=1024, prompts=2048)
# a GPU waits for the next operation to be asked for, whatever its size: few large ones
CUDA = AtOnce(rows=(8192, 2048, 512, 128), targets=512, documents=8192, prompts=8192)


def at_once(device: str) -> AtOnce:
    """The sizes for a kind of device: cpu, cuda or mps."""
    return CUDA if device == "cuda" else CPU
