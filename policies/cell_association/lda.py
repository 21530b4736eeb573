"""LDA as a policy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rangym.policies.algorithms.association.lda import LDA, DoublingLDA, LDASwitches
from rangym.policies.base import Knowledge, Observation, Policy, Task
from rangym.policies.cell_association.optima import StickyOptimum
from rangym.policies.cell_association.rules import log_rate


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
    _lda: LDA | None = None

    def __init__(
        self,
        rounding: str = "coupled",
        form: str | None = None,
        gradient_at: str = "mean",
        meta_step: str | float = "theory",
        step_scale: float = 1.0,
        delay_norm: str = "weighted",
        fair_surrogate: bool = False,
        handover_cost: str = "environment",
        horizon: str = "known",
        forecaster: Policy | str | None = None,
        lam: float = 10.0,
    ):
        if horizon not in ("known", "doubling"):
            raise ValueError(f"horizon: 'known' or 'doubling' wanted, got {horizon!r}")
        if not (forecaster is None or forecaster == "sticky" or isinstance(forecaster, Policy)):
            raise ValueError(f"forecaster: None, 'sticky' or a policy wanted, got {forecaster!r}")
        self._forecaster = StickyOptimum(lam) if isinstance(forecaster, str) else forecaster
        self._doubling = horizon == "doubling"
        self._follow_environment = handover_cost == "environment"
        self._switches = LDASwitches(
            rounding=rounding,
            form=form or ("printed" if self._doubling else "corrected"),
            gradient_at=gradient_at,
            meta_step=meta_step,
            step_scale=step_scale,
            delay_norm=delay_norm,
            fair_surrogate=fair_surrogate,
            handover_cost="norm" if self._follow_environment else handover_cost,
        )

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        if task.system is None:
            raise TypeError("lda needs the model: reset(Task.of(env, Knowledge.MODEL), rng)")
        self._params, self._horizon, self._rng = task.system.params, task.horizon, rng
        self._lda = None
        if self._forecaster is not None:
            self._forecaster.reset(task, rng)
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
        if self._lda is None:
            raise RuntimeError("mixture: there is none before the first act()")
        return self._lda.mixture

    def _proposal(self, observation: Observation) -> NDArray | None:
        """The forecaster's cells (I,): it keeps to its own last proposal, not to the cells that serve."""
        if self._forecaster is None:
            return None
        cell = self._forecaster.act({**observation, "serving": self._proposed})
        self._proposed = cell[:, None] == np.arange(self._params.num_cells)
        return cell

    def _begin(self, delay: NDArray) -> LDA:
        params, switches = self._params, self._switches
        if self._follow_environment:
            switches = dataclasses.replace(switches, handover_cost=params.handover_cost)
        options: dict[str, Any] = dict(
            handover_weight=params.handover_weight,
            max_delay=float(delay.max()),
            rng=self._rng,
            forecaster=self._forecaster is not None,
            **dataclasses.asdict(switches),
        )
        if self._doubling:
            return DoublingLDA(params.num_ues, params.num_cells, **options)
        return LDA(params.num_ues, params.num_cells, self._horizon, **options)
