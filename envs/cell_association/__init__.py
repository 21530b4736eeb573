"""CellAssociation: which cell serves which UE, with handover costs."""

from rangym.envs.cell_association.params import CellAssociationParams
from rangym.envs.cell_association.system import CellAssociation

__all__ = ["CellAssociation", "CellAssociationParams"]
