"""How much memory this process has taken."""

import resource
import sys
from pathlib import Path

import torch


def peak_bytes(device: str = "cpu") -> int:
    """Largest resident size of this process so far; on CUDA the largest allocation there."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.is_file():  # `ru_maxrss` begins with the peak of the process that started this one
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
