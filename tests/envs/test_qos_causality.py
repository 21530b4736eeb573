"""QosClustering: what is public when, and that what uses a label too early is caught."""

import dataclasses

import gymnasium as gym
import numpy as np

from rangym.envs.core import SystemEnv
from rangym.envs.learning.heads import HeadMemory, adapted_heads, members, remember, statistics_of
from rangym.envs.qos_clustering.params import SCENARIOS
from rangym.envs.qos_clustering.system import QosClustering
from rangym.evaluation.causality import first_leak
from rangym.policies import Policy

ID = "rangym/QosClustering-v0"


def make(**kwargs) -> SystemEnv:
    return gym.make(ID, **{"scenario": "tiny", **kwargs}).unwrapped


class _LearnsFromTheFuture(QosClustering):
    """Adapts with the label of the slot it is in, which is known only h slots later."""

    def _adapted(self, state, decision, slot):
        pairs = statistics_of(slot["features"], slot["target"][:, :, None])
        before = HeadMemory(state["head_gram"], state["head_cross"])
        memory = remember(before, pairs, members(decision, self.params.num_slots), self.params.eta)
        return memory, adapted_heads(memory, self.prior, self.heads, self.params.anchor)


class _ShowsTheLoss(QosClustering):
    """Keeps the losses of the slot it was in, which are labels h slots early."""

    def transition(self, state, decision, slot):
        following, outcome = super().transition(state, decision, slot)
        return {**following, "average_loss": slot["loss"].astype(np.float64)}, outcome


def test_planted_systems_that_use_a_label_too_early_are_caught():
    adapting = dataclasses.replace(SCENARIOS["tiny"], eta=0.01)
    assert first_leak(SystemEnv(QosClustering(adapting))) is None
    assert first_leak(SystemEnv(_LearnsFromTheFuture(adapting))) == 2
    assert first_leak(SystemEnv(QosClustering(SCENARIOS["tiny"]))) is None
    assert first_leak(SystemEnv(_ShowsTheLoss(SCENARIOS["tiny"]))) == 2


class _ReadsTheLoss(Policy):
    """A cheater: holds the environment and takes the best head of the slot it decides for."""

    def __init__(self, env):
        self.env = env

    def reset(self, task, rng):
        self.t = 0

    def act(self, observation):
        self.t += 1
        return self.env.trace.slots["loss"][self.t].argmin(axis=1)


class _TakesTheLastLoss(_ReadsTheLoss):
    """Honest: the best head of the last pair with a label."""

    def act(self, observation):
        return observation["last_loss"].argmin(axis=1)


def test_a_planted_policy_that_reads_the_loss_early_is_caught():
    env = make()
    assert first_leak(env, _ReadsTheLoss(env)) == 1
    assert first_leak(env, _TakesTheLastLoss(env)) is None


def test_labels_are_never_public_and_the_rest_is_at_once():
    reveal = make(eta=0.01, observe="statistics").system.reveal
    assert {f for f, delay in reveal.items() if delay} == {"features", "target", "true_group"}
    assert set(reveal.values()) == {0, 22}
    assert make().system.reveal["loss"] == 22
