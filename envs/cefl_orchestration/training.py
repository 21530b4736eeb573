"""CeflOrchestration with a real model: the decided round is trained, and its loss takes the place of the bound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.cefl_orchestration.codings import Decision
from rangym.envs.cefl_orchestration.samples import moved
from rangym.envs.cefl_orchestration.system import REWARD_UNIT, CeflOrchestration
from rangym.envs.core import Array, SystemEnv
from rangym.envs.errors import WrongType, WrongValue
from rangym.envs.learning.convergence import norm1, server_scale
from rangym.envs.learning.datasets import NAMES, load_once
from rangym.envs.learning.federated import (
    ClientData,
    Network,
    average,
    local_sgd,
    normalised_average,
    sampled_batches,
)
from rangym.envs.learning.partition import ClassPools, drifting_shares
from rangym.envs.params import Overrides, check, derive, ranged, require
from rangym.envs.rendering import Picture

AGGREGATIONS = ("normalised", "fedavg")
"""FedNova's average of changes by the steps they are worth, and the plain average of models."""
SHARES, MODEL, SAMPLES = range(3)
"""The streams of a key: class shares of all rounds, initial model, and what is drawn in a round."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How `TrainedRounds` trains.

    Attributes
    ----------
    dataset, dataset_path : see `rangym.envs.learning.datasets.load`.
    aggregation : ``normalised`` (FedNova) or ``fedavg``.
    learning_rate, proximal : of local SGD (`rangym.envs.learning.federated.local_sgd`); not the eta and mu of the
        bound.
    hidden : widths of the network's hidden layers.
    concentration, drift_rate : Dirichlet concentration of a UE's class shares, and how fast they move
        (`rangym.envs.learning.partition.drifting_shares`).
    points_per_sample : data points that stand for one sample.
    """

    dataset: str = ranged("digits", words=NAMES)
    dataset_path: str | None = None
    aggregation: str = ranged("normalised", words=AGGREGATIONS)
    learning_rate: float = ranged(0.5, above=0, limit=1e30)
    proximal: float = ranged(0.01, low=0)
    hidden: tuple[int, ...] = ranged((32,), low=1, length=0)
    concentration: float = ranged(0.3, above=0)
    drift_rate: float = ranged(0.2, low=0, high=1)
    points_per_sample: float = ranged(20.0, above=0)

    def __post_init__(self) -> None:
        check(self)
        wanted = f"below 1 / learning_rate = {1.0 / self.learning_rate:g}"
        require(self.learning_rate * self.proximal < 1, "proximal", wanted, self.proximal)


class TrainedRounds(gym.Wrapper, gym.utils.RecordConstructorArgs):
    """Trains a small network as each round decides: who holds which samples, how many steps, which mini-batches.

    In round t UE n draws max(1, round(data points / ``points_per_sample``)) samples by its class shares; what it
    offloads is moved to the DCs (`rangym.envs.cefl_orchestration.samples.moved`). Each data processing unit with
    samples then makes its decided steps of SGD on mini-batches of its decided share, and the models are averaged,
    weighted by samples. Under ``normalised`` the server's scale is that of the environment's ``theta_mode``, with the
    training's own learning rate and proximal term.

    Actions and observations are those of the environment, under each of its codings. The term ``learning``,
    -pi_1 loss / 100, replaces all learning terms, with the cross-entropy of the new model over the round's samples,
    and the metric J follows it; the observed gap stays that of the bound. So does the picture, which shows the accuracy
    of each round beside J. Metrics gain

    - ``loss``, and ``accuracy`` of the new model on the test set;
    - ``drift``: what the loss of the model before the round rose by, because the samples changed.

    All chance comes from the trace's ``minibatch_key``: that of slot 0 seeds class shares and the initial model, that
    of slot t samples and mini-batches of round t. So a replayed trace trains the same model bit for bit.

    Parameters
    ----------
    env : a single CeflOrchestration environment.
    settings : see `TrainingSettings`.

    Raises
    ------
    WrongType, WrongValue : another environment, or a setting that does not exist or is out of range; in ``step``, a
        training that diverges.

    >>> import gymnasium as gym
    >>> env = TrainedRounds(gym.make("rangym:rangym/CeflOrchestration-v0", scenario="tiny"), aggregation="fedavg")
    >>> observation, _ = env.reset(seed=0)
    >>> metrics = env.step(env.action_space.sample())[-1]["metrics"]
    >>> sorted({"accuracy", "drift", "loss"} & metrics.keys())
    ['accuracy', 'drift', 'loss']
    """

    def __init__(self, env: gym.Env, **settings: object):
        if not isinstance(env, gym.Env):
            raise WrongType(f"env: a single CeflOrchestration environment wanted, got {env!r}")
        shell = env.unwrapped
        if _trained(env):
            raise WrongType(f"env: a CeflOrchestration environment without TrainedRounds wanted, got {env}")
        if not (isinstance(shell, SystemEnv) and isinstance(shell.system, CeflOrchestration)):
            raise WrongType(f"env: a single CeflOrchestration environment wanted, got {shell}")
        if env.action_space != shell.action_space:
            raise WrongType(f"env: its own coding of actions wanted, {shell.action_space}, got {env.action_space}")
        if env.render_mode != shell.render_mode:
            raise WrongType(
                f"env: its own render_mode {shell.render_mode!r} wanted, got {env.render_mode!r} of a wrapper"
            )
        given: Overrides = settings
        gym.utils.RecordConstructorArgs.__init__(self, **given)
        gym.Wrapper.__init__(self, env)
        self.settings = derive({"training": TrainingSettings()}, "training", given)
        self._shell, self._system = shell, shell.system
        self._data = load_once(self.settings.dataset, self.settings.dataset_path)
        self._pools = ClassPools.of(self._data.y_train, self._data.num_classes)
        self.network = Network((self._data.num_features, *self.settings.hidden, self._data.num_classes))
        self._model: NDArray | None = None
        self._picture = Picture()

    @property
    def model(self) -> NDArray:
        """Parameters (P,) of the current model, read-only."""
        if self._model is None:
            raise RuntimeError("there is no model before reset()")
        view = self._model.view()
        view.flags.writeable = False
        return view

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None):
        observation, info = self.env.reset(seed=seed, options=options)
        slots, s, data = self._shell.trace.slots, self.settings, self._data
        self._keys, self._points = slots["minibatch_key"], slots["data_points"]
        rounds, ues = self._points.shape
        shares = (rounds, ues, data.num_classes, s.concentration, s.drift_rate)
        self._shares = drifting_shares(*shares, self._rng(0, SHARES))
        self._model = self.network.initial(self._rng(0, MODEL)).astype(data.x_train.dtype)
        self._t = 0
        self._terms: list[Mapping[str, Array]] = []
        self._accuracy: list[float] = []
        samples, _ = self._drawn(0, self._rng(0, SAMPLES))
        self._loss = self._loss_over(samples)
        return observation, info

    def step(self, action: ArrayLike):
        observation, _, terminated, truncated, info = self.env.step(action)
        self._t += 1
        rng = self._rng(self._t, SAMPLES)
        samples, sizes = self._drawn(self._t, rng)  # before the mini-batches: they do not depend on the decision
        decision: Decision = self._shell.decision
        drift = self._loss_over(samples) - self._loss
        held = moved(samples, sizes, decision["offload_share"], decision["forward_share"])
        self._train(held, decision, rng)
        self._loss = self._loss_over(samples)
        if not np.isfinite(self.model).all():
            rate = self.settings.learning_rate
            raise WrongValue(f"learning_rate: one at which the training does not diverge wanted, got {rate:g}")
        p = self._system.params
        terms = {"learning": np.float64(-p.learning_weight * self._loss / REWARD_UNIT)}
        terms |= {name: value for name, value in info["terms"].items() if not name.startswith("learning")}
        self._terms.append({name: np.asarray(value) for name, value in terms.items()})
        self._accuracy.append(self.accuracy())
        trained = {"loss": self._loss, "accuracy": self._accuracy[-1], "drift": drift}
        metrics = {**info["metrics"], **{name: np.float64(value) for name, value in trained.items()}}
        metrics["J"] = -REWARD_UNIT * sum(value for name, value in terms.items() if name != "switching")
        reward = float(sum(terms.values()))
        return observation, reward, terminated, truncated, {**info, "terms": terms, "metrics": metrics}

    def render(self) -> NDArray | None:
        """The environment's picture, with J as it was trained and the accuracy of each round."""
        if self.render_mode is None:
            return None
        from rangym.envs.cefl_orchestration.render import draw

        frame = replace(self._shell._episode.frame(0), terms=self._terms)
        return self._picture(lambda figure: draw(figure, self._system, frame, self._accuracy))

    def accuracy(self) -> float:
        """Share of the test set that the current model recognises."""
        logits = self.network.logits(self.model[None], self._data.x_test)[0]
        return float((logits.argmax(axis=1) == self._data.y_test).mean())

    def _rng(self, t: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([int(self._keys[t]), stream])

    def _drawn(self, t: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
        """The samples of slot t, UE after UE, and how many each UE has."""
        sizes = np.maximum(1, np.round(self._points[t] / self.settings.points_per_sample)).astype(np.int64)
        return self._pools.draw(self._shares[t], sizes, rng), sizes

    def _loss_over(self, samples: NDArray) -> float:
        data = self._data
        return float(self.network.losses(self.model[None], data.x_train[samples][None], data.y_train[samples][None])[0])

    def _train(self, held: NDArray, decision: Decision, rng: np.random.Generator) -> None:
        """One round from the samples ``held`` (N + S, ...) by the data processing units to the new model."""
        sizes = (held >= 0).sum(axis=1)
        steps = np.concatenate([decision["ue_iterations"], decision["dc_iterations"]]).astype(np.int64)
        minibatch = np.concatenate([decision["ue_minibatch"], decision["dc_minibatch"]])
        batch_sizes = np.maximum(1, np.round(minibatch * sizes)).astype(np.int64)
        models = np.empty((len(sizes), len(self.model)), self.model.dtype)
        # UEs and DCs apart: a DC may hold a hundred times more, and UEs padded to that would train on nothing.
        ues = len(decision["ue_iterations"])
        for units in (np.arange(ues), np.arange(ues, len(sizes))):
            units = units[sizes[units] > 0]
            own = held[units, : sizes[units].max(initial=0)]
            clients = ClientData.of(self._data.x_train, self._data.y_train, own)
            batches = sampled_batches(sizes[units], batch_sizes[units], steps[units], rng)
            start = np.repeat(self.model[None], len(units), axis=0)
            models[units] = local_sgd(
                self.network, start, clients, batches, self.settings.learning_rate, self.settings.proximal
            )
        active = sizes > 0
        self._model = self._averaged(models[active], sizes[active], steps[active])

    def _averaged(self, models: NDArray, weights: NDArray, steps: NDArray) -> NDArray:
        """The new model (P,) from the trained ones (M, P)."""
        s = self.settings
        if s.aggregation == "fedavg":
            return average(self.model[None], models, weights, np.zeros(len(weights), dtype=np.int64))[0]
        constants = replace(self._system.params.learning, step_size=s.learning_rate, proximal=s.proximal)
        norms = norm1(steps, s.learning_rate, s.proximal)
        return normalised_average(self.model, models, weights, norms, float(server_scale(weights, steps, constants)))


def _trained(env: gym.Env) -> bool:
    """Whether one of the environment's wrappers trains already."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TrainedRounds):
            return True
        env = env.env
    return False
