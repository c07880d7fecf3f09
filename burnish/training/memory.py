"""How much memory this process has taken."""

import resource
import sys

import torch


def peak_bytes(device: str = "cpu") -> int:
    """Largest resident size of this process so far; on CUDA the largest allocation there."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
