"""Many agents: PettingZoo's own tests, and the single environment's episode bit for bit, in all forms."""

import re
import sys
import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete

pytest.importorskip("pettingzoo")

from pettingzoo.test import parallel_api_test, parallel_seed_test, render_test  # noqa: E402
from pettingzoo.test.state_test import state_test  # noqa: E402
from pettingzoo.utils import parallel_to_aec  # noqa: E402

import rangym  # noqa: E402
from rangym import WrongType, WrongValue  # noqa: E402
from rangym.envs.cefl_orchestration.codings import blocks, encode  # noqa: E402
from rangym.envs.core import SystemEnv, SystemModel  # noqa: E402
from rangym.envs.registration import OURS, PROBLEMS, problem, resolve  # noqa: E402
from rangym.envs.slicing import Kind, Slices, Slicing  # noqa: E402
from rangym.parallel import slicing_of  # noqa: E402
from rangym.parallel_shell import SystemParallelEnv  # noqa: E402

SYMBOLS = {
    "rangym/CellAssociation-v0": {"ue": "I"},
    "rangym/NodePlacement-v0": {"node": "K"},
    "rangym/NomaAllocation-v0": {"ue": "N"},
    "rangym/QosClustering-v0": {"cell": "N"},
    "rangym/CeflOrchestration-v0": {"ue": "N", "bs": "B", "dc": "S"},
}
"""Environment -> its kinds of agents and the letters that stand for their numbers in its documentation."""


@pytest.fixture
def native(case):
    """(environment id, keyword arguments) of a form whose actions are native."""
    env_id, kwargs = case
    coded = kwargs.get("power") == "agent"  # powers are no part of native actions
    return env_id, {k: v for k, v in kwargs.items() if k != "action" and not (k == "power" and coded)}


def _pair(native):
    """A parallel environment and its single twin."""
    env_id, kwargs = native
    agents = rangym.parallel_env(env_id, **kwargs)
    overrides = resolve(problem(env_id).slicing).overrides
    return agents, gym.make(env_id, **{**kwargs, **overrides}).unwrapped


def _documented_axes(env_id):
    """Observation field -> the letters of its shape, as the table of the class's docstring says."""
    text = problem(env_id).system_class.__doc__.split("## Observation Space")[1].split("##")[0]
    rows = re.findall(r"^\s*\| (\w+) \| \(([^)]*)\) \|", text, re.M)
    return {name: [part.strip() for part in shape.split(",") if part.strip()] for name, shape in rows}


def _joint(env_id, system, actions):
    """The native action put together by hand."""
    if env_id != "rangym/CeflOrchestration-v0":
        return np.stack([np.asarray(a) for a in actions.values()])
    p, parts = system.params, {}
    ues, bss, dcs = (np.stack([a for name, a in actions.items() if name.startswith(k)]) for k in ("ue", "bs", "dc"))
    b = p.num_bss
    parts["offload_share"], parts["ue_to_bs"], parts["bs_to_ue"] = ues[:, :b], ues[:, b + 3 : 2 * b + 3], ues[:, -b:].T
    parts["clock"], parts["ue_iterations"], parts["ue_minibatch"] = ues[:, b : b + 3].T
    parts["forward_share"] = bss
    parts["aggregator"], parts["speed"], parts["dc_iterations"], parts["dc_minibatch"] = dcs.T
    return np.concatenate([parts[name].ravel() for name in blocks(p)])


def _sample(env, seed):
    rng = np.random.default_rng(seed)
    actions = {}
    for agent in env.agents:
        space = env.action_space(agent)
        space.seed(int(rng.integers(2**31)))
        actions[agent] = space.sample()
    return actions


def _same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, dict):
            _same(value, other[name])
        else:
            assert value.dtype == other[name].dtype
            np.testing.assert_array_equal(value, other[name])


def test_the_episode_is_the_single_environments(native):
    env_id, _ = native
    env, twin = _pair(native)
    observations, infos = env.reset(seed=3)
    whole, _ = twin.reset(seed=3)
    for t in range(env.system.horizon):
        _check_what_agents_see(env_id, env, observations, whole)
        _check_masks(env, twin, infos)
        actions = _sample(env, t)
        alive = env.agents
        observations, rewards, terminations, truncations, infos = env.step(actions)
        whole, reward, terminated, truncated, info = twin.step(_joint(env_id, env.system, actions))
        for agent in alive:
            assert rewards[agent] == reward and isinstance(rewards[agent], float)
            assert (terminations[agent], truncations[agent]) == (terminated, truncated)
            _same({k: v for k, v in infos[agent].items() if k != "action_mask"}, info)
        assert list(observations) == list(rewards) == alive
    assert (terminated or truncated) and env.agents == []
    _check_what_agents_see(env_id, env, observations, whole)


def _check_what_agents_see(env_id, env, observations, whole):
    axes, letters = _documented_axes(env_id), SYMBOLS[env_id]
    assert set(whole) <= set(axes)
    for agent in env.possible_agents:
        kind, _, number = agent.rpartition("_")
        wanted = {}
        for name, values in whole.items():
            if letters[kind] in axes[name]:
                rows = np.moveaxis(values, axes[name].index(letters[kind]), 0)
                wanted[name] = np.atleast_1d(rows[int(number)])
                if f"other_{name}" in observations[agent]:
                    wanted[f"other_{name}"] = np.delete(rows, int(number), axis=0)
            elif not set(letters.values()) & set(axes[name]):
                wanted[name] = values
        _same(observations[agent], wanted)
        assert env.observation_space(agent).contains(observations[agent])


def _check_masks(env, twin, infos):
    if not twin.system.has_action_masks:
        assert all("action_mask" not in infos[agent] for agent in env.agents)
        return
    masks = twin.action_masks().reshape(len(env.agents), -1)
    for agent, mask in zip(env.agents, masks, strict=True):
        assert infos[agent]["action_mask"].dtype == np.int8
        np.testing.assert_array_equal(infos[agent]["action_mask"], mask)
        space = env.action_space(agent)
        assert mask[space.sample(infos[agent]["action_mask"])]


def test_pettingzoos_tests_of_the_parallel_api_and_of_seeds(native):
    env_id, kwargs = native
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        parallel_api_test(rangym.parallel_env(env_id, **kwargs), num_cycles=30)
        parallel_seed_test(lambda: rangym.parallel_env(env_id, **kwargs), num_cycles=30)
    # The API's test passes the option "options", which is none of ours.
    own = [str(w.message) for w in caught if w.category is not ResourceWarning]  # which come from whatever ran before
    assert own == ["options: 'trace' wanted, 'options' is ignored"]


@pytest.mark.parametrize("env_id", OURS)
def test_pettingzoos_tests_of_pictures_and_of_the_state(env_id):
    def turns(render_mode=None):
        mode = render_mode if render_mode in SystemEnv.metadata["render_modes"] else None
        return parallel_to_aec(rangym.parallel_env(env_id, scenario="tiny", render_mode=mode))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state_test(turns(), rangym.parallel_env(env_id, scenario="tiny"))
        render_test(turns)


@pytest.mark.parametrize("env_id", OURS)
def test_every_field_that_a_slicing_names_is_documented(env_id):
    slicing, axes = resolve(problem(env_id).slicing), _documented_axes(env_id)
    for kind in slicing.kinds:
        assert set(kind.others) <= set(kind.fields) <= set(axes)
        assert SYMBOLS[env_id][kind.name] == axes[next(iter(kind.fields))][next(iter(kind.fields.values()))]


def test_agents_of_the_orchestration_decide_at_their_own_places():
    """Each agent's entries by their meaning: the decision that comes out of them."""
    env = rangym.parallel_env("CeflOrchestration", scenario="tiny")  # 2 UEs, 2 BSs, 2 DCs
    env.reset(seed=0)
    low = {agent: np.full(env.action_space(agent).shape, 0.1) for agent in env.agents}
    env.step(low)
    before = env.single.decision
    #                        offload     clock its. batch  talks to  listens to
    high = low | {"ue_1": np.array([0.0, 0.4, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0])}
    high |= {"bs_0": np.array([0.0, 1.0]), "dc_1": np.array([0.9, 1.0, 1.0, 1.0])}
    env.reset(seed=0)
    env.step(high)
    after, p, network = env.single.decision, env.system.params, env.system.network
    assert (before["aggregator"], after["aggregator"]) == (0, 1)
    assert after["ue_to_bs"].tolist() == [0, 1] and after["bs_to_ue"].tolist() == [0, 1]
    np.testing.assert_allclose(after["offload_share"], [[0.1, 0.1], [0.0, 0.4]])
    np.testing.assert_allclose(after["forward_share"], [[0.0, 1.0], [0.5, 0.5]])
    assert after["clock_hz"][1] == network.max_clock_hz[1] and after["clock_hz"][0] == before["clock_hz"][0]
    assert after["ue_iterations"][1] == after["dc_iterations"][1] == p.max_iterations
    assert after["ue_minibatch"][1] == after["dc_minibatch"][1] == 1.0
    assert after["points_per_s"][1] == network.federated.machine_points_per_s[1]
    for name in ("ue_iterations", "ue_minibatch", "dc_iterations", "dc_minibatch", "points_per_s"):
        assert after[name][0] == before[name][0]
    joint = _joint("rangym/CeflOrchestration-v0", env.system, high)
    written = encode(p, network, {**after, "offload_share": np.array([[0.1, 0.1], [0.0, 0.4]])})
    np.testing.assert_allclose(written[2:6], joint[2:6])  # the offloaded shares are where the coding writes them


def test_a_trace_is_replayed_and_the_generator_left_alone():
    env = rangym.parallel_env("NodePlacement", scenario="tiny")
    first, _ = env.reset(seed=5)
    trace = env.trace
    second, _ = env.reset()
    again, _ = env.reset(options={"trace": trace})
    _same(first, again)
    env.reset(seed=5)
    env.reset(options={"trace": trace})
    _same(env.reset()[0], second)


def test_what_an_agent_writes_into_its_arrays_touches_nobody_else():
    env, twin = (rangym.parallel_env("CellAssociation", scenario="tiny") for _ in range(2))
    observations, _ = env.reset(seed=0)
    twins, _ = twin.reset(seed=0)
    for values in observations["ue_0"].values():
        values[...] = -7.0
    _same({a: o for a, o in observations.items() if a != "ue_0"}, {a: o for a, o in twins.items() if a != "ue_0"})
    actions = dict.fromkeys(env.agents, 1)
    _same(env.step(actions)[0], twin.step(actions)[0])


def test_one_node_alone_has_no_others():
    env = rangym.parallel_env("NodePlacement", scenario="tiny", num_nodes=1)
    observations, _ = env.reset(seed=0)
    assert env.agents == ["node_0"] and "other_node_position_m" not in observations["node_0"]


def test_a_parameter_called_reward_is_taken_too():
    env = rangym.parallel_env("NodePlacement", scenario="tiny", reward="mean_rate")
    assert env.system.params.reward == "mean_rate"
    single = gym.make("rangym/NodePlacement-v0", scenario="tiny", reward="mean_rate").unwrapped
    both = SystemParallelEnv(single, reward="own")
    both.reset(seed=0)
    _, rewards, *_ = both.step({agent: np.zeros(2, np.float32) for agent in both.agents})
    assert len(set(rewards.values())) == 1


MADE_WRONG = [
    (("CellAsociation",), {}, WrongValue, "env_id: one of .* wanted, got 'CellAsociation'"),
    (("CellAssociation", "smal"), {}, WrongValue, "scenario: one of .*; did you mean 'small'"),
    (("CellAssociation",), {"num_use": 3}, WrongType, "'num_use'; did you mean 'num_ues'"),
    (("CellAssociation",), {"num_ues": -3}, WrongValue, "num_ues: an integer of at least 1 .* got -3"),
    (("CellAssociation",), {"reward": "owm"}, WrongValue, r"reward: one of \['shared', 'own'\] wanted, got 'owm'; did"),
    (("NodePlacement",), {"reward": "mean"}, WrongValue, r"reward: one of \['shared', 'own', 'prop.* did you mean"),
    (("CellAssociation",), {"reward": "own", "handover_cost": "norm"}, WrongValue, "handover_cost: 'sum' wanted"),
    (("NodePlacement", "paper"), {"reward": "own"}, WrongValue, "v_max_m: a speed limit wanted"),
    (("QosClustering", "adaptive"), {"reward": "own"}, WrongValue, "eta: 0 wanted"),
    (("NomaAllocation",), {"reward": "own"}, WrongValue, "reward: 'shared' wanted, since NomaAllocation defines no"),
    (("CeflOrchestration",), {"reward": "own"}, WrongValue, "reward: 'shared' wanted, since CeflOrchestration defines"),
    (("NomaAllocation",), {"action": "scores"}, WrongValue, "action: 'native' wanted, in whose terms .* got 'scores'"),
    (("CellAssociation",), {"render_mode": "ansi"}, WrongValue, "render_mode: None or one of"),
]


@pytest.mark.parametrize(("args", "kwargs", "error", "text"), MADE_WRONG)
def test_wrong_arguments_are_refused_by_name(args, kwargs, error, text):
    with pytest.raises(error, match=text):
        rangym.parallel_env(*args, **kwargs)


ACTED_WRONG = [
    ({"ue_2": 3}, r"actions\['ue_2'\]: an integer 0..2 wanted, got 3"),
    ({"ue_2": -1}, r"actions\['ue_2'\]: an integer 0..2 wanted, got -1"),
    ({"ue_2": 1.0}, r"actions\['ue_2'\]: an integer 0..2 wanted, got 1.0"),
    ({"ue_2": None}, r"actions\['ue_2'\]: an integer 0..2 wanted, got None"),
    ({"ue_2": [0, 1]}, r"actions\['ue_2'\]: an integer 0..2 wanted, got \[0, 1\]"),
    ({"ue_2": [[0], [1, 2]]}, r"actions\['ue_2'\]: an integer 0..2 wanted, got \[\[0\], "),
    ({"ue_2": 10**30}, r"actions\['ue_2'\]: an integer 0..2 wanted, got 1000"),
    ({"ue_4": 0}, r"actions: one for each of ue_0, ue_1, ue_2, ue_3 wanted, got one for 'ue_4'; did you mean"),
]


@pytest.mark.parametrize(("wrong", "text"), ACTED_WRONG)
def test_wrong_actions_are_refused_by_agent(wrong, text):
    env = rangym.parallel_env("CellAssociation", scenario="tiny")
    env.reset(seed=0)
    with pytest.raises(WrongValue, match=text):
        env.step(dict.fromkeys(env.agents, 0) | wrong)
    env.step(dict.fromkeys(env.agents, 0))  # nothing happened


def test_other_wrong_calls_are_refused():
    env = rangym.parallel_env("NodePlacement", scenario="tiny", horizon=2)
    still = {agent: np.zeros(2, np.float32) for agent in env.possible_agents}
    for call in (lambda: env.step(still), env.state):
        with pytest.raises(RuntimeError, match="before reset"):
            call()
    with pytest.raises(WrongValue, match="seed: an integer of at least 0 wanted, got -1"):
        env.reset(seed=-1)
    with pytest.raises(WrongType, match="options: a dictionary wanted"):
        env.reset(options=3)
    env.reset(seed=0)
    with pytest.raises(WrongValue, match="actions: one for each of node_0, .* wanted, got none for node_1, node_2"):
        env.step({"node_0": still["node_0"]})
    with pytest.raises(WrongValue, match="actions: a dictionary with one action for each agent wanted, got 3"):
        env.step(3)
    for wrong in ([2.0, 0.0], [np.nan, 0.0], [0.0]):
        with pytest.raises(WrongValue, match=r"actions\['node_1'\]: an array of Box.* wanted, got array"):
            env.step(still | {"node_1": np.array(wrong)})
    for _ in range(2):
        env.step(still)
    with pytest.raises(RuntimeError, match="the episode of 2 slots is over"):
        env.step(still)
    with pytest.raises(WrongValue, match="agent: one of 'node_0' .. 'node_2' wanted, got 'node_7'"):
        env.action_space("node_7")
    with pytest.raises(WrongType, match="env: a SystemEnv wanted"):
        SystemParallelEnv(gym.make("rangym/NodePlacement-v0", scenario="tiny"))
    with pytest.raises(WrongValue, match="reward: one of"):
        SystemParallelEnv(gym.make("rangym/NodePlacement-v0", scenario="tiny").unwrapped, reward="mine")


def test_without_pettingzoo_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    monkeypatch.delitem(sys.modules, "rangym.parallel_shell")
    with pytest.raises(rangym.envs.errors.MissingExtra, match=r"pip install 'rangym\[agents\]'"):
        rangym.parallel_env("CellAssociation", scenario="tiny")


def test_a_slicing_shares_out_every_entry_once():
    params = problem("rangym/NodePlacement-v0").system_class.scenarios["tiny"]
    env = gym.make("rangym/NodePlacement-v0", scenario="tiny").unwrapped
    kind = Kind(name="node", count="num_nodes", fields={})
    for wrong, text in (
        ((kind, kind), "slicing: every entry of .* for exactly one agent wanted"),
        (
            (replace(kind, count="num_node"),),
            "a parameter that counts 'node' wanted, got 'num_node'; did you mean 'num_n",
        ),
        ((replace(kind, count="side_m"),), "a parameter that counts 'node' wanted, got 'side_m'"),
        ((replace(kind, action={"move": 0}),), "slicing: one of action wanted, got 'move'"),
        ((replace(kind, action={"action": 1}),), r"slicing: 'action': an axis of 3 node wanted, got 1 of \(3, 2\)"),
        ((replace(kind, fields={"load": 1}),), r"slicing: 'load': an axis of 3 node wanted, got 1 of \(3,\)"),
    ):
        with pytest.raises(WrongValue, match=text):
            Slices(Slicing(kinds=wrong), params, env.observation_space, env.action_space)


MINE = """
from rangym.envs.node_placement.system import NodePlacement
from rangym.envs.slicing import Kind, Slicing


class Blind(NodePlacement):
    pass


class Heir(Blind):
    pass


class Torn(NodePlacement):
    pass


SLICING = Slicing(kinds=(Kind(name="drone", count="num_nodes", fields={"node_position_m": 0, "load": 0}),))
"""


def test_a_users_problem_has_agents_by_its_own_slicing_or_its_parents(tmp_path, monkeypatch):
    (tmp_path / "blind_nodes.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    for name, slicing in (("Blind", "SLICING"), ("Heir", None), ("Torn", "Blind")):
        target = slicing and f"blind_nodes:{slicing}"
        rangym.register(f"lab/{name}-v0", system=f"blind_nodes:{name}", slicing=target)
    try:
        for name in ("Blind", "lab/Heir-v0"):
            observations, _ = rangym.parallel_env(name, scenario="tiny").reset(seed=0)
            assert list(observations) == ["drone_0", "drone_1", "drone_2"]
            assert "other_node_position_m" not in observations["drone_0"]
        with pytest.raises(WrongValue, match="reward: 'shared' wanted, since Heir defines no reward for each agent"):
            rangym.parallel_env("Heir", scenario="tiny", reward="own")
        with pytest.raises(WrongType, match="slicing of lab/Torn-v0: a Slicing wanted, got "):
            rangym.parallel_env("Torn")
    finally:
        for name in ("Blind", "Heir", "Torn"):
            del PROBLEMS[f"lab/{name}-v0"], gym.registry[f"lab/{name}-v0"]
    with pytest.raises(WrongValue, match="env_id: a problem registered with a slicing wanted, got SystemModel"):
        slicing_of(SystemModel)


def test_spaces_speak_the_native_actions_terms():
    slicing = Slicing(kinds=(Kind(name="row", count="rows", fields={}),))
    params = type("Params", (), {"rows": 2})
    observation = gym.spaces.Dict({"x": Box(0, 1, (3,), np.float32)})
    slices = Slices(slicing, params, observation, MultiDiscrete([[2, 3], [4, 5]], start=[[0, 1], [2, 3]]))
    assert slices.action_spaces["row_1"] == MultiDiscrete([4, 5], start=[2, 3])
    joint = slices.join({"row_0": [1, 3], "row_1": [5, 7]})
    assert joint.tolist() == [[1, 3], [5, 7]]
    with pytest.raises(WrongValue, match=r"actions\['row_1'\]"):
        slices.join({"row_0": [1, 3], "row_1": [6, 7]})
    ones = Slices(slicing, params, observation, MultiDiscrete([2, 3], start=[1, 0]))
    assert ones.action_spaces["row_0"] == Discrete(2, start=1)
