"""AdamW over what trains, in fp32 whatever the model computes in."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from burnish.errors import TrainingError
from burnish.models.seams import trained

BLOCK = 1 << 20  # weights that are rounded together; the same offsets serve every block


@cache
def _offsets(device: torch.device) -> Tensor:
    """What the weights of a block are rounded by, drawn once in a process: in units of bf16's last digit / 2^16."""
    drawn = torch.randint(0, 1 << 16, (BLOCK,), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    return drawn.to(device)


class Rounding:
    """bf16 weights from fp32 masters, so that small changes survive (Gupta et al. 2015, section 3).

    A change below half of bf16's last digit, and the first updates of full fine-tuning are mostly that, would be lost
    if each weight went to its nearest neighbour. Here each goes up where its remainder exceeds an offset of its own,
    drawn once: over many weights the change arrives whole. It is a function of the master alone, so that resuming
    gives the same weights, and a master that bf16 holds exactly is not moved.
    """

    def __init__(self, device: torch.device) -> None:
        self.offsets = _offsets(device)

    def put(self, parameter: Tensor, master: Tensor) -> None:
        """Write the master's values into the parameter, whatever its shape; one that is its own master stays."""
        if parameter.dtype != torch.bfloat16:
            parameter.copy_(master)
            return
        bits, upper = master.flatten().view(torch.int32), parameter.flatten().view(torch.int16)
        for at in range(0, len(bits), BLOCK):
            block = bits[at : at + BLOCK]
            upper[at : at + BLOCK] = (block + self.offsets[: len(block)]).bitwise_right_shift_(16)
        if not parameter.is_contiguous():  # then `flatten` has copied
            parameter.copy_(upper.view(torch.bfloat16).view(parameter.shape))


class Optimizer:
    """AdamW on fp32 master copies; where a parameter is fp32 already, it is its own master."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        weight_decay: float = 0.0,
        rate_factor: Callable[[str], float] = lambda name: 1.0,  # noqa: ARG005
    ) -> None:
        """`rate_factor` gives what the learning rate of a parameter, by its name, is multiplied with."""
        self.parameters = trained(model)
        self.masters: dict[str, Tensor] = {
            name: p if p.dtype == torch.float32 else p.detach().float().requires_grad_(True)
            for name, p in self.parameters.items()
        }
        if not self.masters:
            raise TrainingError(f"nothing of {type(model).__name__} has requires_grad, so there is nothing to train")
        device = next(iter(self.masters.values())).device
        self.rounding = Rounding(device)
        fused = device.type in ("cpu", "cuda")
        # matrices decay; biases, norms and scales ([n, 1]) do not
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for name, master in self.masters.items():
            decay = weight_decay if master.squeeze().ndim > 1 else 0.0
            groups.setdefault((decay, rate_factor(name)), []).append(master)
        options: list[dict[str, Any]] = [
            {"params": p, "weight_decay": decay, "factor": factor} for (decay, factor), p in groups.items()
        ]
        self.adam = torch.optim.AdamW(options, lr=0.0, betas=(0.9, 0.999), fused=fused)

    def gather(self, divide_by: float) -> Tensor:
        """Move the accumulated gradients to the masters, divided by the update's targets; returns their norm."""
        for name, parameter in self.parameters.items():
            master = self.masters[name]
            if parameter.grad is None:
                master.grad = torch.zeros_like(master)
            elif master is not parameter:
                master.grad = parameter.grad.float()
                parameter.grad = None
            assert master.grad is not None
            master.grad.div_(divide_by)
        return torch.nn.utils.get_total_norm([m.grad for m in self.masters.values() if m.grad is not None])

    def step(self, learning_rate: float, grad_norm: Tensor, clip: float) -> None:
        """Clip to a total norm of `clip` (0: not at all) and take one step."""
        if clip > 0:
            torch.nn.utils.clip_grads_with_norm_(list(self.masters.values()), clip, grad_norm)
        for group in self.adam.param_groups:
            group["lr"] = learning_rate * group["factor"]
        self.adam.step()
        with torch.no_grad():
            for name, master in self.masters.items():
                self.rounding.put(self.parameters[name], master)
        self.clear()

    def clear(self) -> None:
        """Forget the gradients."""
        for name, master in self.masters.items():
            master.grad = None
            self.parameters[name].grad = None

    def state(self) -> dict[str, Tensor]:
        """Masters and moments by name, as they stand in a checkpoint."""
        tensors: dict[str, Tensor] = {}
        for name, master in self.masters.items():
            tensors[f"weight/{name}"] = master.detach()
            for key, value in self.adam.state.get(master, {}).items():
                tensors[f"{key}/{name}"] = value
        return tensors

    def end(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Put these weights in, all of them, and forget gradients and moments: nothing is trained after this."""
        self.clear()
        self.adam.state.clear()
        missing = set(self.masters)
        with torch.no_grad():
            for name, weight in weights:
                self._put(name, weight)
                missing.remove(name)
        assert not missing, missing

    def _put(self, name: str, weight: Tensor) -> None:
        self.masters[name].copy_(weight)
        self.rounding.put(self.parameters[name], self.masters[name])

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave; a name that is missing or has another shape is our own mistake."""
        with torch.no_grad():
            for name, master in self.masters.items():
                self._put(name, tensors[f"weight/{name}"])
                if f"exp_avg/{name}" in tensors:
                    keys = ("step", "exp_avg", "exp_avg_sq")
                    self.adam.state[master] = {key: tensors[f"{key}/{name}"].clone() for key in keys}
