"""NomaAllocation: which users of federated learning share which sub-channel, with NOMA."""

from rangym.envs.noma_allocation.params import NomaAllocationParams
from rangym.envs.noma_allocation.system import NomaAllocation

__all__ = ["NomaAllocation", "NomaAllocationParams"]
