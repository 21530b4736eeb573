"""LDA as a policy."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.params import ranged, require
from rangym.policies.algorithms.association.lda import (
    DELAY_NORMS,
    FORMS,
    GRADIENTS,
    LDA,
    ROUNDINGS,
    DoublingLDA,
    LDASwitches,
)
from rangym.policies.base import Knowledge, Observation, Policy, Task
from rangym.policies.cell_association.optima import StickyOptimum
from rangym.policies.cell_association.rules import log_rate


@dataclass(eq=False)
class Lda(Policy):
    """Learning dynamic associations (Kalntis et al., Algorithm 1).

    It draws its first association at random and learns from the slots it acted in, so slot 0 is not used. The weight
    and the mode of the handover cost are read from the model.

    Parameters
    ----------
    rounding, form, gradient_at, meta_step, step_scale, delay_norm, fair_surrogate : see
        `rangym.policies.algorithms.association.lda.LDASwitches`. The paper's literal algorithm is ``form="printed",
        rounding="independent", gradient_at="sample"``. ``form`` None is ``corrected``, or ``printed`` when doubling.
    handover_cost : what experts are charged for moving: ``environment`` (as the environment charges), ``norm``
        (the paper's) or ``sum``.
    horizon : ``known`` or ``doubling`` (restart after 64, 128, ... slots).
    forecaster : None, or one more expert: ``sticky``, the exact optimum of the previous slot's utility with a moving
        cost ``lam`` (`StickyOptimum`), or any policy of this environment. It keeps to its own last proposal and is
        charged for whole handovers, so use it with ``fair_surrogate``.
    """

    knowledge = Knowledge.MODEL
    rounding: str = ranged("coupled", words=ROUNDINGS)
    form: str | None = ranged(None, words=FORMS, optional=True)
    gradient_at: str = ranged("mean", words=GRADIENTS)
    meta_step: str | float = "theory"
    step_scale: float = ranged(1.0, above=0)
    delay_norm: str = ranged("weighted", words=DELAY_NORMS)
    fair_surrogate: bool = ranged(False)
    handover_cost: str = ranged("environment", words=("environment", "norm", "sum"))
    horizon: str = ranged("known", words=("known", "doubling"))
    forecaster: Policy | str | None = None
    lam: float = ranged(10.0, low=0, only={"forecaster": ("sticky",)})

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = self.forecaster in (None, "sticky") or isinstance(self.forecaster, Policy)
        require(allowed, "forecaster", "None, 'sticky' or a policy", self.forecaster)
        self._switches("norm")  # has the algorithm check the meta step

    def _switches(self, environment_cost: str) -> LDASwitches:
        """The algorithm's switches in an environment that charges ``environment_cost``."""
        return LDASwitches(
            rounding=self.rounding,
            form=self.form or ("printed" if self.horizon == "doubling" else "corrected"),
            gradient_at=self.gradient_at,
            meta_step=self.meta_step,
            step_scale=self.step_scale,
            delay_norm=self.delay_norm,
            fair_surrogate=self.fair_surrogate,
            handover_cost=environment_cost if self.handover_cost == "environment" else self.handover_cost,
        )

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._params, self._horizon, self._rng = task.model(CellAssociation).params, task.horizon, rng
        self._lda: LDA | None = None
        self._expert = StickyOptimum(self.lam) if isinstance(self.forecaster, str) else copy.copy(self.forecaster)
        if self._expert is not None:
            self._expert.reset(task, rng)
            self._proposed = np.zeros((self._params.num_ues, self._params.num_cells))

    def act(self, observation: Observation) -> NDArray:
        if self._lda is None:
            self._lda = self._begin(observation["handover_delay"])
        else:
            self._lda.observe(log_rate(observation), observation["handover_delay"])
        return self._lda.decide(self._proposal(observation))

    @property
    def mixture(self) -> NDArray:
        """The relaxed association x^m of the slot last decided, (I, J); its rows sum to 1."""
        lda: LDA | None = getattr(self, "_lda", None)
        if lda is None:
            raise RuntimeError("mixture: there is none before the first act()")
        return lda.mixture

    def _proposal(self, observation: Observation) -> NDArray | None:
        """The forecaster's cells (I,): it keeps to its own last proposal, not to the cells that serve."""
        if self._expert is None:
            return None
        cell = self._expert.act({**observation, "serving": self._proposed})
        self._proposed = cell[:, None] == np.arange(self._params.num_cells)
        return cell

    def _begin(self, delay: NDArray) -> LDA:
        params = self._params
        begin = DoublingLDA if self.horizon == "doubling" else partial(LDA, horizon=self._horizon)
        return begin(
            params.num_ues,
            params.num_cells,
            handover_weight=params.handover_weight,
            max_delay=float(delay.max()),
            rng=self._rng,
            forecaster=self._expert is not None,
            **dataclasses.asdict(self._switches(params.handover_cost)),
        )
