"""NomaAllocation's agents: one policy that scores every pair of a user and a sub-channel."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from rangym.baselines.policy import Sb3Policy
from rangym.baselines.view import UNBOUNDED, LearnerView
from rangym.envs.core import SystemVectorEnv, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.infos import final_observations
from rangym.envs.noma_allocation.system import NomaAllocation
from rangym.envs.physics.energy import snr_needed
from rangym.envs.physics.pair_upload import pair_upload
from rangym.envs.physics.units import linear_to_db
from rangym.policies.base import Knowledge, Observation, Task

RIVALS = 3
RIVAL_FEATURES = 4
NUM_FEATURES = 12 + RIVAL_FEATURES * RIVALS + 4
HEADROOM_DB = 30.0  # headroom is clipped to this, both ways
SHORTEST_WINDOW = 0.02  # share of the deadline; less time left counts as this, in which nobody can deliver
SCORE_RANGE = 10.0  # output that is a score of 1; only differences of scores matter, and outputs stay well inside
GROUP = 8


def pair_features(observation: Observation, bits_per_hz_deadline: float) -> NDArray[np.float32]:
    """What the policy sees of each user on each sub-channel, ``(L, N, K, 28)``.

    Energies are in units of P_max T_max, which is also what dropping a user costs, times in units of T_max. The
    headroom h_ik is by how many dB user i, alone on sub-channel k, stays below the power cap when it delivers its bits
    just in time (negative: it cannot); e_ik = min(1, w_i 10^(-h_ik/10)) is its cost then, w_i its time left after
    training. The lead is h_ik less the user's best other sub-channel. The 12 columns of the pair itself:

    - h / 10 dB, e, w, and the rank of w among users, in [0, 1];
    - h less the best of the user's other sub-channels (the lead), less the best of the other users there, / 10 dB;
    - e less the least of the user's other sub-channels, less the least of the other users there;
    - the user's mean of h, / 10 dB, over sub-channels, the sub-channel's over users that compete, and both for e.

    Then, for each of its three rivals, the other users with the greatest lead on the sub-channel, greatest first (zeros
    where there are fewer): h / 10 dB, w, lead / 10 dB and the marginal cost, which is the least cost of both together
    under NOMA less the rival's e. Last the first rival's and the mean marginal cost, each less the least of the user's
    other sub-channels and less the least of the other users. Users that do not compete have the least headroom and
    lead.

    Parameters
    ----------
    bits_per_hz_deadline : D / (B T_max), the spectral efficiency needed with all of the deadline.
    """
    snr_db = np.asarray(observation["snr_db"], np.float64)  # (L, N, K)
    competes = np.asarray(observation["scheduled"]) > 0.5  # (L, N)
    window = np.maximum(1.0 - np.asarray(observation["training_time"], np.float64), SHORTEST_WINDOW)
    need_db = linear_to_db(snr_needed(bits_per_hz_deadline, window))
    headroom = np.clip(snr_db - need_db[..., None], -HEADROOM_DB, HEADROOM_DB)
    headroom = np.where(competes[..., None], headroom, -HEADROOM_DB)
    alone = np.where(headroom < 0, 1.0, window[..., None] * 10.0 ** (-headroom / 10))
    headroom = headroom / 10
    rank = np.argsort(np.argsort(window, axis=1), axis=1) / max(window.shape[1] - 1, 1)

    lead, ahead = (headroom - _best_other(headroom, axis) for axis in (2, 1))
    columns = [headroom, alone, window[..., None], rank[..., None], lead, ahead, *_regrets(alone)]
    share = competes / np.maximum(competes.sum(axis=1, keepdims=True), 1)
    for values in (headroom, alone):
        columns += [values.mean(axis=2, keepdims=True), (share[..., None] * values).sum(axis=1, keepdims=True)]

    marginal = []
    for rival in _rivals(np.where(competes[..., None], lead, -2 * HEADROOM_DB / 10)):
        pair = [np.stack([x, _of(x, rival)], -1) for x in np.broadcast_arrays(snr_db, window[..., None])]
        present = np.stack(np.broadcast_arrays(competes[..., None], _of(competes[..., None], rival)), -1)
        done = pair_upload(10.0 ** (pair[0] / 10), pair[1], present, bits_per_hz_deadline, 1.0, 1.0)
        cost = (done.energy_j + (present & ~done.served)).sum(axis=-1)
        marginal.append(cost - np.where(present[..., 1], _of(alone, rival), 0.0))
        columns += [_of(headroom, rival), _of(window[..., None], rival), _of(lead, rival), marginal[-1]]
    columns += [np.zeros((1, 1, 1))] * (RIVAL_FEATURES * (RIVALS - len(marginal)))
    if marginal:
        columns += [*_regrets(marginal[0]), *_regrets(np.mean(marginal, axis=0))]
    else:
        columns += [np.zeros((1, 1, 1))] * 4
    return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(np.float32)


def _rivals(lead: NDArray) -> list[NDArray]:
    """For each pair up to three other users by falling lead (ties by index), each ``(L, N, K)``."""
    order = np.argsort(-lead, axis=1, kind="stable")  # order[l, r, k]: the user of rank r
    rank = np.argsort(order, axis=1)
    others = min(RIVALS, lead.shape[1] - 1)
    return [np.where(rank <= r, order[:, r + 1 : r + 2], order[:, r : r + 1]) for r in range(others)]


def _of(values: NDArray, user: NDArray) -> NDArray:
    """``values[l, user[l, i, k], k]``."""
    return np.take_along_axis(np.broadcast_to(values, user.shape), user, axis=1)


def _regrets(cost: NDArray) -> list[NDArray]:
    """``cost`` less the least of the user's other sub-channels, and less the least of the other users there."""
    return [cost + _best_other(-cost, axis) for axis in (2, 1)]


def _best_other(values: NDArray, axis: int) -> NDArray:
    """The greatest of the other entries along ``axis``; where there is none, the entry itself."""
    if values.shape[axis] == 1:
        return values
    ordered = np.sort(values, axis=axis)
    best, second = (np.take(ordered, [-k], axis=axis) for k in (1, 2))
    return np.where(values == best, second, best)


class PairView(LearnerView):
    """The vector environment as L * 8 * N * K learners that share one policy: each scores one pair.

    Every round is decided eight times over, independently, and a learner's reward is that of its own decision less the
    mean of the other seven: most of the round's chance is gone from it, and the gradient's expectation stays the same.
    Rounds are a stream without ends, for a discount of 0: no decision changes what later rounds can bring.
    """

    def __init__(self, env: SystemVectorEnv):
        params = Task.of(env, Knowledge.MODEL).model(NomaAllocation).params
        if params.action != "scores" or params.power == "agent":
            raise WrongValue(f"action: 'scores' without powers wanted, got {params.action!r}, power {params.power!r}")
        self._env, self._need = env, params.bits_per_hz / params.deadline_s
        self._shape = (env.num_envs, GROUP, params.num_ues * params.num_subchannels)
        features = Box(-UNBOUNDED, UNBOUNDED, (NUM_FEATURES,), np.float32)
        super().__init__(env, GROUP * self._shape[2], features, Box(-SCORE_RANGE, SCORE_RANGE, (1,), np.float32))

    def forget(self) -> None:
        self._trace, self._t = Trace.stack(self._env.traces), 0

    def look(self, observation: Observation) -> NDArray[np.float32]:
        table = pair_features(observation, self._need)
        return np.broadcast_to(table[:, None], (len(table), GROUP, *table.shape[1:])).reshape(self.num_envs, -1)

    def step(self, actions: NDArray):
        scores = to_scores(np.asarray(actions)).reshape(self._shape)
        self._t += 1
        reward = self._rewards(scores)
        observation, *_, info = self._env.step(scores[:, 0])
        if final_observations(info):  # lanes end together
            self.forget()
        advantage = (reward - reward.mean(axis=1, keepdims=True)) * GROUP / (GROUP - 1)
        never = np.zeros(self.num_envs, dtype=bool)
        return self.look(observation), np.repeat(advantage.ravel(), self._shape[2]), never, never, {}

    def _rewards(self, scores: NDArray) -> NDArray[np.float64]:
        """What each of the decisions would bring in this round, ``(L, 8)``."""
        system, slot = self._env.system, self._trace.slot(self._t)
        state, rewards = system.initial(slot), []
        for g in range(GROUP):
            _, outcome = system.transition(state, system.decode(scores[:, g], state, slot), slot)
            rewards.append(sum(outcome.terms.values()))
        return np.stack(rewards, axis=1)


def to_scores(outputs: NDArray) -> NDArray[np.float32]:
    """The network's outputs as entries of the action."""
    return np.clip(outputs / SCORE_RANGE, -1, 1).astype(np.float32)


class _PairsPpo(Sb3Policy):
    """One PPO policy for all pairs; acts for any number of users and sub-channels.

    It scores each pair, and the coding `scores` makes the assignment of it; the scores see pairs of users through the
    features' rivals only. It stands between ``max_gain`` and the swaps of ``mba_kkt``. The policy knows the observation
    only, so the bits per Hz and the deadline in its features are those that it was trained with.
    """

    @classmethod
    def view(cls, env: SystemVectorEnv) -> VectorEnv:
        return PairView(env)

    @staticmethod
    def constants(env: SystemVectorEnv) -> dict[str, float]:
        params = Task.of(env, Knowledge.MODEL).model(NomaAllocation).params
        return {"bits_per_hz_deadline": params.bits_per_hz / params.deadline_s}

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        pairs = (int(np.prod(task.box("snr_db").shape)),)
        if not isinstance(task.action_space, Box) or task.action_space.shape != pairs:
            raise WrongValue(f"{self.recipe}: a score for each of {pairs[0]} pairs wanted, got {task.action_space}")
        self._check_sizes(NUM_FEATURES, 1)
        self._need = self._constant_of_training("bits_per_hz_deadline")

    def act(self, observation: Observation) -> NDArray[np.float32]:
        features = pair_features({f: v[None] for f, v in observation.items()}, self._need)[0]
        return to_scores(self.trained.network(features)).ravel()


class PairsPpo(_PairsPpo):
    """PPO over the scores of pairs, trained on ``small``.

    Parameters
    ----------
    agent : number of a shipped agent, or the path of one that ``rangym train`` wrote; by default each episode draws
        one of the shipped agents, so that intervals over episodes cover the variation between training runs.
    """

    recipe = "ppo_pairs"


class PairsPpoTight(_PairsPpo):
    """`PairsPpo` trained on ``tight``."""

    recipe = "ppo_pairs_tight"
