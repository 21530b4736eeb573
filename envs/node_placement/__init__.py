"""NodePlacement: where mobile radio nodes hover while their users move."""

from rangym.envs.node_placement.params import NodePlacementParams
from rangym.envs.node_placement.system import NodePlacement

__all__ = ["NodePlacement", "NodePlacementParams"]
