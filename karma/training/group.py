"""The processes that train together: who takes which micro-batches, and how gradients and decisions become common."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True, kw_only=True)
class Group:
    """This process among those that train together. Alone (the default) nothing is sent, and every sum is its only term.

    Attributes:
        rank: 0 for the first process, which validates, logs, keeps checkpoints and exports.
        size: how many there are.
        device: where tensors that are sent lie: a GPU with NCCL, the CPU with Gloo.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def current(cls, device: torch.device) -> "Group":
        """The process group that was initialised (``karma.training.distributed``), else this process alone."""
        if not (dist.is_available() and dist.is_initialized()):
            return cls(device=device)
        return cls(rank=dist.get_rank(), size=dist.get_world_size(), device=device)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, micro_batches: int) -> range:
        """The numbers of the micro-batches of a step that this process takes."""
        return range(self.rank, micro_batches, self.size)

    def from_first(self, value: int) -> int:
        """The first process's ``value``, in every process."""
        if self.size == 1:
            return value
        said = torch.tensor([value], dtype=torch.int64, device=self.device)
        dist.broadcast(said, 0)
        return int(said)

    def copy_from_first(self, modules: Iterable[nn.Module]) -> None:
        """Give all processes the first one's parameters and buffers."""
        if self.size == 1:
            return
        for module in modules:
            for tensor in (*module.parameters(), *module.buffers()):
                dist.broadcast(tensor.detach(), 0)

    def sums(self, values: Mapping[str, float]) -> dict[str, float]:
        """Each value summed over the processes, which all name the same ones in the same order."""
        if self.size == 1:
            return dict(values)
        summed = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(summed)
        return dict(zip(values, summed.tolist(), strict=True))

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Sum the gradients over the processes. A parameter that no process has used keeps none, as in a process alone."""
        if self.size == 1:
            return
        used = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.int32, device=self.device)
        dist.all_reduce(used, op=dist.ReduceOp.MAX)
        learning = [parameter for parameter, flag in zip(parameters, used.tolist(), strict=True) if flag]
        if not learning:
            return
        gradients = [torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for parameter in learning]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        for parameter, summed in zip(learning, flat.split([parameter.numel() for parameter in learning]), strict=True):
            parameter.grad = summed.view_as(parameter)


ALONE = Group()
