"""How much memory this process has taken, may still take, and would take to train."""

import os
import resource
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from transformers import PreTrainedModel

from burnish.models.attention import forward_hidden
from burnish.types import Batch

GROUP = Path("/sys/fs/cgroup")  # where Linux tells a container its limits


def peak_bytes(device: str = "cpu") -> int:
    """Largest resident size of this process so far; on CUDA the largest allocation there."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated())
    peak = _status("VmHWM")  # `ru_maxrss` begins with the peak of the process that started this one
    if peak is not None:
        return peak
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def taken_bytes(device: str = "cpu") -> int:
    """What this process holds now; on CUDA what it has allocated there."""
    if device.startswith("cuda"):
        return int(torch.cuda.memory_allocated())
    now = _status("VmRSS")
    return peak_bytes() if now is None else now


def free_bytes(device: str = "cpu") -> int | None:
    """What this process may still take; None where the system does not tell."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info()[0])
    if device != "cpu":
        return None
    told = Path("/proc/meminfo")
    if told.is_file():
        lines = dict(line.split(":", 1) for line in told.read_text(encoding="ascii").splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
        left = _left_in_group(GROUP)
        return free if left is None else min(free, left)
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return max(0, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") - taken_bytes())
    return None


def _left_in_group(group: Path) -> int | None:
    """A container's limit without what it uses; None without a limit. Pages of files are given back on demand."""
    try:
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        if limit == "max":
            return None
        lines = (group / "memory.stat").read_text(encoding="ascii").splitlines()
        pages = dict(line.split() for line in lines)
        used = int((group / "memory.current").read_text(encoding="ascii")) - int(pages.get("inactive_file", 0))
        return max(0, int(limit) - used)
    except (OSError, ValueError):
        return None


def _status(name: str) -> int | None:
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def kept_bytes(model: PreTrainedModel, batch: Batch) -> int:
    """Bytes that a forward pass of this row keeps for the way back; the model's own tensors are not counted."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the tensor itself, kept by the operation that made it, would hold that operation

    with torch.enable_grad(), saved_tensors_hooks(count, lambda tensor: tensor):
        forward_hidden(model, batch)
        return sum(kept.values())
