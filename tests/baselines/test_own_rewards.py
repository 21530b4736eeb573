"""Agents' own rewards against the shared one, and what agents see against what the learners' features need."""

import numpy as np
import pytest

pytest.importorskip("pettingzoo")

import gymnasium as gym  # noqa: E402

import rangym  # noqa: E402
from rangym import WrongValue, policies  # noqa: E402
from rangym.baselines.cell_association.per_ue import UserFeatures  # noqa: E402
from rangym.baselines.node_placement.per_node import NodeLook  # noqa: E402
from rangym.baselines.noma_allocation.pairs import pair_features  # noqa: E402
from rangym.baselines.qos_clustering.per_cell import CellFeatures  # noqa: E402
from rangym.envs.cell_association.system import CellAssociation  # noqa: E402
from rangym.envs.core import SystemEnv  # noqa: E402
from rangym.envs.registration import problem, resolve  # noqa: E402
from rangym.evaluation.episode import Episode, make_env  # noqa: E402
from rangym.parallel_shell import SystemParallelEnv  # noqa: E402

URBAN = {"failure_slots": 2, "max_spectral_efficiency": 7.4, "num_ues": 4}
GAMES = [
    ("CellAssociation", {"scenario": "tiny"}),
    ("CellAssociation", {"scenario": "tiny", "law": "volatile", "delay_variation": 0.2}),
    ("CellAssociation", {"scenario": "urban", "horizon": 12, "failure_delay_slots": 3.0, **URBAN}),
    ("QosClustering", {"scenario": "tiny", "lam": 0.05}),
]


def _played(env, trace, plan):
    """The rewards of the plan's last slot, agents' and shared; own rewards of the slots before have to be asked too."""
    env.reset(options={"trace": trace})
    for joint in plan:
        _, rewards, *_, infos = env.step(dict(zip(env.agents, joint, strict=True)))
    return np.array(list(rewards.values())), _shared(infos)


def _shared(infos):
    """The environment's reward: the sum of its terms, which all agents are told."""
    return float(sum(next(iter(infos.values()))["terms"].values()))


@pytest.mark.parametrize(("name", "kwargs"), GAMES)
def test_an_agent_that_deviates_gains_what_the_whole_gains(name, kwargs):
    """By brute force: in some slots every other choice of every agent, all else as it was."""
    env, rng = rangym.parallel_env(name, reward="own", **kwargs), np.random.default_rng(0)
    env.reset(seed=1)
    trace, agents, choices = env.trace, len(env.agents), env.action_space(env.agents[0]).n
    kept = np.repeat(rng.integers(choices, size=(5, agents)), 2, axis=0)  # so that some links are out for two slots
    gains = []
    for slots in (1, 2, 4, 9):
        plan = kept[:slots]
        own, shared = _played(env, trace, plan)
        for i in range(agents):
            for choice in set(range(choices)) - {plan[-1, i]}:
                other = np.array(plan)
                other[-1, i] = choice
                own_then, shared_then = _played(env, trace, other)
                gains.append((own_then[i] - own[i], agents * (shared_then - shared)))
    found, wanted = np.array(gains).T
    assert len(wanted) == 4 * agents * (choices - 1) and np.ptp(wanted) > 0.1
    np.testing.assert_allclose(found, wanted, atol=2e-5)  # the agents' SINR is float32


def test_links_fail_in_the_game_of_failures():
    """Otherwise the deviations above say nothing about them."""
    name, kwargs = GAMES[2]
    env = rangym.parallel_env(name, **kwargs)
    env.reset(seed=1)
    failures = 0
    for joint in np.repeat(np.random.default_rng(0).integers(env.action_space("ue_0").n, size=(5, 4)), 2, axis=0):
        *_, infos = env.step(dict(zip(env.agents, joint, strict=True)))
        failures += infos["ue_0"]["metrics"]["failures"]
    assert failures > 0


def test_nodes_own_reward_is_what_they_gain_on_k_means():
    env, rng = rangym.parallel_env("NodePlacement", scenario="tiny", reward="own"), np.random.default_rng(2)
    twin = make_env("rangym/NodePlacement-v0", "tiny", {})
    for seed in (4, 5):
        env.reset(seed=seed)
        for step in Episode(twin, policies.make("k_means"), np.random.default_rng(seed), seed=seed):
            actions = {agent: rng.uniform(-0.7, 0.7, 2).astype(np.float32) for agent in env.agents}
            _, rewards, *_, infos = env.step(actions)
            assert len(set(rewards.values())) == 1
            assert rewards["node_0"] == pytest.approx(_shared(infos) - step.reward, abs=1e-12)
        assert not env.agents


def _first(look):
    return lambda seen: look(seen)[0]


LOOKS = {
    "CellAssociation": lambda system: _first(UserFeatures(3.0)),
    "NodePlacement": lambda system: NodeLook(system, others=2, residual=True),
    "NomaAllocation": lambda system: lambda seen: pair_features(seen, 0.4),
    "QosClustering": lambda system: CellFeatures(),
}


@pytest.mark.parametrize("name", LOOKS)
def test_an_agent_sees_all_that_its_learners_features_need(name):
    """Everything that it does not see is taken from another episode: its features stay the same over some slots."""
    slicing = resolve(problem(f"rangym/{name}-v0").slicing)
    (kind,) = slicing.kinds
    env, other = (gym.make(f"rangym/{name}-v0", scenario="tiny", **slicing.overrides).unwrapped for _ in range(2))
    agents, slots = getattr(env.system.params, kind.count), env.system.horizon
    episodes = [_observations(e, seed, slots) for e, seed in ((env, 1), (other, 2))]
    look = LOOKS[name](env.system)
    whole = [look({f: v[None] for f, v in seen.items()})[0] for seen in episodes[0]]
    for i in range(agents):
        look, hidden = LOOKS[name](env.system), 0
        for truth, foreign, features in zip(*episodes, whole, strict=True):
            seen = dict(truth)
            for f in set(kind.fields) & set(truth) - set(kind.others):
                seen[f] = foreign[f].copy()
                seen[f][i] = truth[f][i]
                hidden += not np.array_equal(seen[f], truth[f])
            np.testing.assert_array_equal(look({f: v[None] for f, v in seen.items()})[0][i], features[i])
        assert hidden > 0


def _observations(env, seed, slots):
    env.action_space.seed(seed)
    observations = [env.reset(seed=seed)[0]]
    for _ in range(slots):
        observations.append(env.step(env.action_space.sample())[0])
    return observations


class Fixed(CellAssociation):
    """Other chance, the same rewards."""

    def sample_lanes(self, rngs):
        return super().sample_lanes(rngs)


class Free(CellAssociation):
    """Other rewards."""

    def transition(self, state, decision, slot):
        return super().transition(state, decision, slot)


def test_a_derived_system_keeps_its_agents_and_where_only_chance_differs_their_own_reward():
    params = CellAssociation.scenarios["tiny"]
    env = SystemParallelEnv(SystemEnv(Fixed(params)), reward="own")
    observations, _ = env.reset(seed=0)
    assert observations["ue_3"]["sinr_db"].shape == (3,)
    SystemParallelEnv(SystemEnv(Free(params)))
    with pytest.raises(WrongValue, match="reward: 'shared' wanted, since Free changes transition of CellAssociation"):
        SystemParallelEnv(SystemEnv(Free(params)), reward="own")
