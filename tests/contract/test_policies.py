"""What every registered policy promises: causal, native actions, batched = single, no leak through state or seeds."""

import dataclasses
import inspect

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from rangym import policies
from rangym.envs.cell_association.params import SMALL_SITES
from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.core import SystemEnv
from rangym.envs.node_placement.system import NodePlacement
from rangym.envs.params import ranges
from rangym.envs.registration import OURS
from rangym.evaluation.causality import first_leak
from rangym.policies import Knowledge, Policy, Task
from rangym.policies.registry import Entry, entries, entry

PLACE = {"law": "urban", "num_cells": 6, "sites": SMALL_SITES, "side_m": 800.0}
# Policies that only make sense in some form of an environment, and it.
FORMS = {
    "static_oracle": {"law": "static"},
    # The sizes these agents were trained for.
    "ppo_shared": {"num_cells": 6},
    "ppo_city": {"law": "measured", "map": "munich", "num_cells": None, "sinr_floor_db": -20.0, "noise": "none"},
    "ppo_flat": {"num_cells": 6, "num_ues": 10},
    "ppo_maskable": {"num_cells": 6, "num_ues": 10},
    # Those that know a place: it, with fewer UEs.
    "map_forecast": PLACE,
    "ppo_place": PLACE,
    "ppo_plain": {"num_ues": 30, "num_nodes": 4},
    "sac_plain": {"num_ues": 30, "num_nodes": 4},
    "ppo_cells": {"num_heads": 4},
    "ppo_cells_flat": {"num_cells": 12, "num_vehicles": 30, "sampling_s": 4.0, "num_heads": 4},
    "ppo_cells_large": {"num_heads": 10},
    "ppo_rounds": {"num_ues": 6, "num_bss": 3, "num_dcs": 3},
    "ppo_constant": {"num_ues": 6, "num_bss": 3, "num_dcs": 3},
    "sac_rounds": {"num_ues": 6, "num_bss": 3, "num_dcs": 3},
    "ppo_gap": {"num_ues": 6, "num_bss": 3, "num_dcs": 3},
    "ppo_gap_myopic": {"num_ues": 6, "num_bss": 3, "num_dcs": 3},
    # Heads that learn.
    "local_online": {"eta": 0.003},
    "global_online": {"eta": 0.003},
}
# Policies that honestly plan with `sample`, which the causality test would take for guessing the seed.
PLANNERS: set[str] = set()
# Options of several types, which a range cannot say.
UNRANGED = {"meta_step", "forecaster", "agent", "constant"}


PAIRS = [
    pytest.param(env_id, name, id=f"{env_id.split('/')[1]}-{name}")
    for env_id in OURS
    for name in policies.names(env_id)
]


def _env(env_id, name, **kwargs):
    return gym.make(env_id, scenario="tiny", **{**entry(name).overrides, **FORMS.get(name, {}), **kwargs}).unwrapped


def _episode(env, policy, seed=0):
    observation, _ = env.reset(seed=seed)
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(seed))
    actions = []
    for _ in range(env.system.horizon):
        actions.append(np.asarray(policy.act(observation)))
        observation, *_ = env.step(actions[-1])
    return np.array(actions)


@pytest.mark.parametrize("env_id, name", PAIRS)
def test_actions_are_native_and_repeat_with_the_seed(env_id, name):
    env = _env(env_id, name)
    first = _episode(env, policies.make(name), seed=3)
    assert all(env.action_space.contains(a.astype(env.action_space.dtype)) for a in first)
    np.testing.assert_array_equal(first, _episode(env, policies.make(name), seed=3))
    used = policies.make(name)
    _episode(env, used, seed=8)
    np.testing.assert_array_equal(first, _episode(env, used, seed=3))  # reset forgets the last episode


def _own(policy):
    """A policy's attributes but those that the registry gives it."""
    return {name: value for name, value in vars(policy).items() if name not in ("name", "role", "overrides")}


@pytest.mark.parametrize("env_id, name", PAIRS)
def test_a_policy_is_its_options_stored_untouched(env_id, name):
    policy = entry(name).policy_class()
    fields = [f.name for f in dataclasses.fields(policy)]
    assert fields == list(inspect.signature(type(policy)).parameters) == list(_own(policy))
    assert set(fields) - set(ranges(policy)) <= UNRANGED
    given = _own(policy)
    _episode(_env(env_id, name), policy)
    assert {f: getattr(policy, f) for f in fields} == given
    assert [f.name for f in dataclasses.fields(policy)] == fields  # an episode's state is no field
    for field in ranges(policy):
        with pytest.raises(ValueError, match=f"^{field}: .* wanted, got <object"):
            policies.make(name, **{field: object()})


def test_a_task_gives_a_policy_its_model_trace_and_boxes_or_says_what_is_missing():
    env = gym.make("rangym/CellAssociation-v0", scenario="tiny").unwrapped
    env.reset(seed=0)
    task = Task.of(env, Knowledge.ORACLE)
    assert task.model(CellAssociation) is task.system and task.episode() is task.trace
    assert task.box("sinr_db").shape == (4, 3)
    with pytest.raises(TypeError, match="the model of a NodePlacement wanted, got CellAssociation"):
        task.model(NodePlacement)
    with pytest.raises(TypeError, match="needs the model"):
        Task.of(env).model(CellAssociation)
    with pytest.raises(ValueError, match="needs the episode's trace"):
        Task.of(env, Knowledge.MODEL).episode()
    with pytest.raises(TypeError, match="the field 'snr_db' wanted"):
        task.box("snr_db")


@pytest.mark.parametrize("name", entries())
def test_an_entry_says_what_its_class_knows(name):
    """Also that of `sb3`, which needs a file; so that lists need not import the class, nor what it imports."""
    assert entry(name).knowledge == entry(name).policy_class.knowledge.value
    assert entry(name).role in ("reference", "heuristic", "oracle", "random", "agent")


def test_an_entry_with_its_words_in_another_order_is_refused():
    with pytest.raises(ValueError, match=r"role: one of \['reference', .* wanted, got 'observation'"):
        Entry("my_module:Mine", "agent", "observation", "a rule of mine")
    with pytest.raises(ValueError, match=r"knowledge: one of .* wanted, got 'a rule of mine'"):
        Entry("my_module:Mine", "agent", "heuristic", "a rule of mine")
    sb3 = entry("sb3")
    assert (sb3.role, sb3.knowledge) == ("agent", sb3.policy_class.knowledge.value)


@pytest.mark.parametrize("env_id, name", PAIRS)
def test_decisions_do_not_depend_on_what_is_not_public(env_id, name):
    if entry(name).knowledge == "oracle":
        pytest.skip("an oracle sees the future by definition")
    if name in PLANNERS:
        pytest.skip("plans with sample")
    assert first_leak(_env(env_id, name), policies.make(name)) is None


@pytest.mark.parametrize("env_id, name", PAIRS)
def test_predict_equals_act_in_every_lane(env_id, name):
    policy = policies.make(name)
    if policy.knowledge is Knowledge.ORACLE:
        with pytest.raises(TypeError, match="oracle"):
            policy.bind(Task.of(_env(env_id, name)))
        return
    lanes = 2
    form = {"scenario": "tiny", **entry(name).overrides, **FORMS.get(name, {})}
    vector = gym.make_vec(env_id, num_envs=lanes, autoreset_mode="SameStep", **form)
    bound = policy.bind(Task.of(vector, policy.knowledge), 5)
    observations, _ = vector.reset(seed=0)
    by_hand = [policies.make(name) for _ in range(lanes)]
    rngs = np.random.default_rng(5).spawn(lanes)
    for p, rng in zip(by_hand, rngs, strict=True):
        p.reset(Task.of(vector, policy.knowledge), rng)
    state, starts = None, np.ones(lanes, bool)
    for _ in range(vector.unwrapped.system.horizon):
        actions, state = bound.predict(observations, state, starts)
        singles = [p.act({f: v[b] for f, v in observations.items()}) for b, p in enumerate(by_hand)]
        np.testing.assert_array_equal(actions, np.array(singles))
        observations, *_ = vector.step(actions)
        starts = np.zeros(lanes, bool)


@pytest.mark.parametrize("env_id, name", PAIRS)
def test_overrides_of_an_entry_leave_the_trace_unchanged(env_id, name):
    if not entry(name).overrides:
        pytest.skip("no overrides")
    plain = gym.make(env_id, scenario="tiny", **FORMS.get(name, {})).unwrapped
    changed = _env(env_id, name)
    plain.reset(seed=0), changed.reset(seed=0)
    both = plain.trace.slots.keys() & changed.trace.slots.keys()  # an override may add fields, or leave some out
    assert both
    for f in both:
        np.testing.assert_array_equal(plain.trace.slots[f], changed.trace.slots[f])


@pytest.mark.parametrize("env_id", OURS)
def test_stable_baselines3_evaluates_a_policy(env_id):
    name = next(n for n in policies.names(env_id) if entries()[n].role == "reference")
    env = gym.make(env_id, scenario="tiny", **entry(name).overrides)
    policy = policies.make(name)
    mean, _ = evaluate_policy(policy.bind(Task.of(env, policy.knowledge)), Monitor(env), n_eval_episodes=3)
    assert np.isfinite(mean)


class _ReadsTheTrace(Policy):
    """A cheater: declares OBSERVATION but holds the environment and reads the slot it decides for."""

    def __init__(self, env: SystemEnv):
        self.env = env

    def reset(self, task, rng):
        self.t = 0

    def act(self, observation):
        self.t += 1
        return self.env.trace.slots["sinr_db"][self.t].argmax(axis=1)


class _GuessesTheSeed(Policy):
    """A cheater: draws the episode again from its model."""

    knowledge = Knowledge.MODEL

    def reset(self, task, rng):
        self.t, self.trace = 0, task.system.sample(np.random.default_rng(0))

    def act(self, observation):
        self.t += 1
        return self.trace.slots["sinr_db"][self.t].argmax(axis=1)


def test_causality_check_catches_planted_cheaters():
    env = gym.make("rangym/CellAssociation-v0", scenario="tiny").unwrapped
    assert first_leak(env, _ReadsTheTrace(env)) == 1
    assert first_leak(env, _GuessesTheSeed()) == 1
    assert first_leak(env, policies.make("max_sinr")) is None


def test_observations_are_causal_and_a_leaking_system_is_caught(env):
    assert first_leak(env) is None
    honest = env.system.transition
    hidden = max(env.system.reveal, key=env.system.reveal.get)  # the last to be announced: decisions do without it

    def leaking(state, decision, slot):  # carries the slot just acted in further than `reveal` allows
        new, outcome = honest(state, decision, slot)
        secret = slot[hidden]
        # Into one entry of a field that the observation shows, and by little: what takes a mean out or clips keeps it.
        field = next(f for f in ("load", "rounds_since_served", "average_loss", "gap") if f in new)
        told = new[field].astype(np.float64).reshape(len(secret), -1)
        told[:, 0] += np.sin(secret.reshape(len(secret), -1).mean(axis=1)) / 10
        return {**new, field: told.reshape(new[field].shape)}, outcome

    env.system.reveal = {**env.system.reveal, hidden: env.system.horizon + 2}  # never public
    env.system.transition = leaking
    assert first_leak(env) is not None


class _SwitchesTheFutureOn(Policy):
    """A cheater: lets its model announce the SINR one slot early, and hopes that the environment does."""

    knowledge = Knowledge.MODEL

    def reset(self, task, rng):
        task.system.reveal["sinr_db"] = 0

    def act(self, observation):
        return observation["sinr_db"].argmax(axis=1)


def test_a_model_cannot_change_when_the_environment_reveals():
    env = gym.make("rangym/CellAssociation-v0", scenario="tiny").unwrapped
    np.testing.assert_array_equal(_episode(env, _SwitchesTheFutureOn()), _episode(env, policies.make("max_sinr")))
    assert env.system.reveal["sinr_db"] == 1


def test_nothing_is_written_through_a_trace():
    env = gym.make("rangym/CellAssociation-v0", scenario="tiny").unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match="read-only"):
        Task.of(env, Knowledge.ORACLE).trace.slots["sinr_db"][:] = 30


def test_bind_makes_a_policy_ready_where_it_fits():
    env = gym.make("rangym/NomaAllocation-v0", scenario="tiny", action="native", power="fixed")
    observation, _ = env.reset(seed=0)
    action, _ = policies.bind("mba_fixed", env).predict(observation)
    assert env.action_space.contains(action)


def test_a_models_copy_keeps_the_policy_from_changing_the_environment():
    env = gym.make("rangym/CellAssociation-v0", scenario="tiny").unwrapped
    env.reset(seed=0)
    Task.of(env, Knowledge.MODEL).system.horizon = 1
    assert env.system.horizon == 20
    assert Task.of(env).system is None and Task.of(env).trace is None
    assert Task.of(env, Knowledge.MODEL).trace is None
    assert Task.of(env, Knowledge.ORACLE).trace is not None
