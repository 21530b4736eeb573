"""CeflOrchestration: where federated learning computes and at which data centre its models meet."""

from rangym.envs.cefl_orchestration.params import CeflOrchestrationParams
from rangym.envs.cefl_orchestration.system import CeflOrchestration

__all__ = ["CeflOrchestration", "CeflOrchestrationParams"]
