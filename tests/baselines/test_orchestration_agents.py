"""CeflOrchestration's agents: what learns is what plays, and corrections add to the constant action."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC

from rangym import policies
from rangym.baselines.agent import TrainedAgent, load_agents
from rangym.baselines.cefl_orchestration import correction
from rangym.baselines.learner import ALGORITHMS, actor
from rangym.baselines.policy import policy_class
from rangym.baselines.recipes import RECIPES
from rangym.baselines.vec_adapter import Sb3VecEnv
from rangym.envs.flat import FlatVectorObservation
from rangym.evaluation.causality import first_leak
from rangym.policies import Task

ENV = "rangym/CeflOrchestration-v0"
NAMES = [name for name, recipe in RECIPES.items() if recipe.env_id == ENV]
SIZE = 3 + 4 * 6 + 3 * 3 + 3 * 3  # S + 4N + BS + 3S of `small`


def _lanes(lanes, **kwargs):
    return gym.make_vec(ENV, lanes, autoreset_mode="SameStep", **kwargs).unwrapped


def _model(name):
    """An untrained model of SB3 with outputs that reach over the box's ends."""
    recipe = RECIPES[name]
    env = Sb3VecEnv(policy_class(name).view(_lanes(2)))
    model = ALGORITHMS[recipe.algorithm](
        "MlpPolicy", env, policy_kwargs={"net_arch": list(recipe.hidden)}, seed=0, device="cpu"
    )
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter += 0.2 * torch.randn(parameter.shape)
    return model


def _player(name, model):
    config = {"recipe": {"name": name, "scenario": "small"}, "constants": policy_class(name).constants(_lanes(1))}
    return policy_class(name)(TrainedAgent(actor(model), config))


@pytest.mark.parametrize("name", NAMES)
def test_agents_decide_as_sb3_does_and_play_what_they_learned(name):
    """SB3's greedy actions through the learner's view, and the policy in single environments, earn the same."""
    model, lanes = _model(name), 3
    assert isinstance(model, {"PPO": PPO, "SAC": SAC}[RECIPES[name].algorithm])
    view = policy_class(name).view(_lanes(lanes, scenario=RECIPES[name].scenario, horizon=4))
    rows, _ = view.reset(seed=10_000)
    single = gym.make(ENV, scenario=RECIPES[name].scenario, horizon=4)
    earned, beyond = np.zeros((lanes, 4)), 0.0
    for t in range(4):
        action, _ = model.predict(rows, deterministic=True)
        beyond = max(beyond, float(np.abs(action).max()))
        rows, earned[:, t], *_ = view.step(action)
    for b in range(lanes):
        policy, (observation, _) = _player(name, model), single.reset(seed=10_000 + b)
        policy.reset(Task.of(single), np.random.default_rng(0))
        for t in range(4):
            action = policy.act(observation)
            assert single.action_space.contains(action)
            observation, reward, *_ = single.step(action)
            assert reward == pytest.approx(earned[b, t], rel=1e-4)
    assert beyond > 0.9 and np.ptp(earned) > 0.1


def test_corrections_add_to_the_constant_action_and_reach_every_other():
    constant = np.linspace(-1.0, 1.0, SIZE)
    view, plain = correction.Around(FlatVectorObservation(_lanes(2)), constant), _lanes(2)
    assert view.single_action_space.shape == (SIZE,) and view.action_space.shape == (2, SIZE)
    rng = np.random.default_rng(0)
    view.reset(seed=3), plain.reset(seed=3)
    for scale in (0.0, 0.3, 2.0):
        change = rng.uniform(-scale, scale, (2, SIZE)).astype(np.float32)
        _, reward, *_ = view.step(change)
        wanted = [[min(max(c + x, -1.0), 1.0) for c, x in zip(constant, row, strict=True)] for row in change]
        np.testing.assert_array_equal(reward, plain.step(np.array(wanted, np.float32))[1])
    target = rng.uniform(-1, 1, (2, SIZE))
    assert view.action_space.contains((target - constant).astype(np.float32))
    np.testing.assert_allclose(correction.corrected(constant, target - constant), target, atol=1e-6)
    with pytest.raises(ValueError, match="constant: an action of Box.* wanted, got \\(3,\\) numbers"):
        correction.Around(FlatVectorObservation(_lanes(2)), constant[:3])


def test_a_scenario_without_a_tuned_constant_is_refused():
    own = gym.make_vec(ENV, 1, autoreset_mode="SameStep", system=_lanes(1).system).unwrapped
    with pytest.raises(ValueError, match="scenario: one with a tuned constant, of .*'small'.* wanted, got None"):
        policy_class("ppo_constant").view(own)


def test_no_correction_is_tuned_constant():
    env = gym.make(ENV)
    agent = load_agents(policy_class("ppo_constant").shipped())[0]
    still = [(w, b) for w, b in agent.network.layers[:-1]]
    still.append(tuple(np.zeros_like(x) for x in agent.network.layers[-1]))
    policy = correction.CorrectingPpo(TrainedAgent(type(agent.network)(still), agent.config))
    fixed, native = policies.make("tuned_constant:tuned", scenario="small"), gym.make(ENV, action="native")
    for seed in range(10_000, 10_003):
        (seen, _), (same, _) = env.reset(seed=seed), native.reset(seed=seed)
        policy.reset(Task.of(env), np.random.default_rng(0))
        fixed.reset(Task.of(native, fixed.knowledge), np.random.default_rng(0))
        for _ in range(3):
            seen, reward, *_ = env.step(policy.act(seen))
            same, wanted, *_ = native.step(fixed.act(same))
            assert reward == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_decisions_are_causal(name):
    assert first_leak(gym.make(ENV, scenario=RECIPES[name].scenario, horizon=4).unwrapped, policies.make(name)) is None


@pytest.mark.parametrize("name", NAMES)
def test_another_coding_or_size_is_refused(name):
    env = gym.make(ENV, action="macro")
    with pytest.raises(ValueError, match=f"{name}: trained on 'small.*' for 75 inputs and {SIZE} outputs, but"):
        policies.make(name).reset(Task.of(env), np.random.default_rng(0))
    with pytest.raises(ValueError, match=f"{name}: trained on 'small.*' for 75 inputs"):
        policies.make(name).reset(Task.of(gym.make(ENV, scenario="tiny")), np.random.default_rng(0))


def _mean_reward(name, scenario, seeds):
    env, rewards = gym.make(ENV, scenario=scenario, **policies.registry.entry(name).overrides), []
    word = "tuned_constant:tuned" if name == "tuned_constant" else name
    for seed in seeds:
        policy, (observation, _) = policies.make(word, scenario=scenario), env.reset(seed=seed)
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(seed))
        for _ in range(env.unwrapped.system.horizon):
            observation, reward, *_ = env.step(policy.act(observation))
            rewards.append(reward)
    return np.mean(rewards)


def test_agents_that_choose_by_the_round_beat_the_tuned_constant():
    """In pairs on the same traces; by 12 of 90 on the evaluation seeds."""
    seeds = range(10_100, 10_110)
    constant = _mean_reward("tuned_constant", "small", seeds)
    for name in ("ppo_rounds", "ppo_constant"):
        assert _mean_reward(name, "small", seeds) > constant + 0.08


def test_a_discount_pays_where_the_gap_stays():
    seeds = range(10_100, 10_110)
    assert _mean_reward("ppo_gap", "small_gap", seeds) > _mean_reward("ppo_gap_myopic", "small_gap", seeds) + 0.03


@pytest.mark.parametrize("name", NAMES)
def test_curves_and_commands_are_kept(name):
    for k, agent in enumerate(load_agents(policy_class(name).shipped())):
        config = agent.config
        assert config["commands"][0].startswith(f"rangym train {name} --seed {k} ")
        assert config["curve"][-1]["reward"] > config["curve"][0]["reward"]


def test_using_the_agents_loads_no_rl_framework():
    code = (
        "import sys\n"
        "import gymnasium as gym, numpy as np\n"
        "from rangym.policies import Task, make\n"
        f"env = gym.make({ENV!r})\n"
        "observation, _ = env.reset(seed=0)\n"
        f"for name in {NAMES!r}:\n"
        "    policy = make(name); policy.reset(Task.of(env), np.random.default_rng(0))\n"
        "    assert env.action_space.contains(policy.act(observation)), name\n"
        "assert not {'torch', 'stable_baselines3', 'sb3_contrib', 'tensorboard'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
