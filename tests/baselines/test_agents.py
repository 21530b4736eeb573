"""Weights on disk: safe to load, refused when tampered with, and the same network as torch's."""

import dataclasses
import hashlib
import io
import json
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO

from rangym import policies
from rangym.baselines.agent import TrainedAgent
from rangym.baselines.learner import ALGORITHMS, actor
from rangym.baselines.policy import Sb3Policy, policy_class
from rangym.baselines.recipes import RECIPES
from rangym.baselines.vec_adapter import VectorAdapter
from rangym.policies import Task

ENV = "rangym/CellAssociation-v0"
CELL_RECIPES = [name for name, recipe in RECIPES.items() if recipe.env_id == ENV]


def _model(name, **kwargs):
    recipe = RECIPES[name]
    base = gym.make_vec(recipe.env_id, 2, scenario="tiny", vectorization_mode="vector_entry_point").unwrapped
    env = VectorAdapter(policy_class(name).view(base))
    net = {"net_arch": list(recipe.hidden), "activation_fn": torch.nn.Tanh}
    return ALGORITHMS[recipe.algorithm]("MlpPolicy", env, policy_kwargs=net, seed=0, device="cpu", **kwargs)


def _agent(name):
    config = {"recipe": {"name": name, "scenario": "tiny"}, "constants": {"handover_weight": 1.0}}
    return TrainedAgent(actor(_model(name)), config)


@pytest.mark.parametrize("name", CELL_RECIPES)
def test_numpy_forward_equals_torch(name):
    model = _model(name)
    with torch.no_grad():
        for parameter in model.policy.parameters():  # SB3 starts the last layer near zero
            parameter += 0.3 * torch.randn(parameter.shape)
    x = np.random.default_rng(0).normal(size=(64, *model.observation_space.shape)).astype(np.float32)
    with torch.no_grad():
        logits = model.policy.action_net(model.policy.mlp_extractor.forward_actor(torch.as_tensor(x))).numpy()
    np.testing.assert_allclose(actor(model)(x), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["ppo_flat", "ppo_maskable"])
def test_flat_policies_decide_as_sb3_does(name):
    model = _model(name)
    with torch.no_grad():
        for parameter in model.policy.action_net.parameters():
            parameter += torch.randn(parameter.shape)
    env = gym.make(ENV, scenario="tiny", sinr_floor_db=5.0)  # many cells at the floor, so masks bite
    agent = dataclasses.replace(_agent(name), network=actor(model))
    policy, observation = policy_class(name)(agent), env.reset(seed=3)[0]
    policy.reset(Task.of(env), np.random.default_rng(0))
    masked_out = 0
    for _ in range(20):
        masks = {}
        if isinstance(model, MaskablePPO):
            masks = {"action_masks": env.unwrapped.action_masks()}
            np.testing.assert_array_equal(policy.mask(observation), masks["action_masks"])
            masked_out += (~masks["action_masks"]).sum()
        wanted, _ = model.predict(policy._flatten(observation), deterministic=True, **masks)
        action = policy.act(observation)
        np.testing.assert_array_equal(action, wanted)
        observation, *_ = env.step(action)
    assert isinstance(model, PPO) or masked_out > 0


def test_unknown_networks_are_not_exported():
    base = gym.make_vec(ENV, 2, scenario="tiny", vectorization_mode="vector_entry_point").unwrapped
    env = VectorAdapter(policy_class("ppo_flat").view(base))
    with pytest.raises(TypeError, match="tanh"):
        actor(PPO("MlpPolicy", env, policy_kwargs={"activation_fn": torch.nn.ELU}, device="cpu"))


def test_save_and_load(tmp_path):
    agent = _agent("ppo_shared")
    path = agent.save(tmp_path / "run" / "agent")
    again = TrainedAgent.load(path)
    x = np.ones((3, 27), np.float32)
    np.testing.assert_array_equal(agent.network(x), again.network(x))
    assert again.config["recipe"] == agent.config["recipe"]
    assert type(Sb3Policy.load(path)) is policy_class("ppo_shared")
    policy = policies.registry.parse_options(f"ppo_shared:agent={path}")
    assert policy == {"agent": str(path)}


def test_a_tampered_file_is_refused(tmp_path):
    path = _agent("ppo_shared").save(tmp_path / "agent")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="agent.npz: SHA-256"):
        TrainedAgent.load(path)


class _Bomb:
    def __reduce__(self):
        return (print, ("unpickled!",))


def _forged(tmp_path, **arrays):
    """Weights with a matching checksum, as an attacker would make them."""
    path = _agent("ppo_shared").save(tmp_path / "agent")
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    path.write_bytes(buffer.getvalue())
    config = json.loads(path.with_suffix(".json").read_text())
    config["sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"weight0": np.array([_Bomb()], object), "bias0": np.zeros(3, np.float32)}, "not an agent's weights"),
        ({"weight0": np.zeros((27, 3), np.float32)}, "weight0, bias0"),
        ({"weight0": np.zeros((27, 3), np.float32), "bias0": np.zeros(2, np.float32)}, "layer 0"),
        ({"weight0": np.zeros((27, 3)), "bias0": np.zeros(3)}, "float64"),
        ({"weight0": np.full((27, 3), np.nan, np.float32), "bias0": np.zeros(3, np.float32)}, "NaN"),
    ],
)
def test_forged_weights_are_refused_and_no_pickle_runs(tmp_path, capsys, arrays, message):
    path = _forged(tmp_path, **arrays)
    with pytest.raises(ValueError, match=message):
        TrainedAgent.load(path)
    assert "unpickled" not in capsys.readouterr().out


def test_configurations_that_say_too_little_are_refused(tmp_path):
    path = _agent("ppo_shared").save(tmp_path / "agent")
    described = path.with_suffix(".json")
    config = json.loads(described.read_text())
    described.write_text("{")
    with pytest.raises(ValueError, match="agent.json: not an agent's configuration"):
        TrainedAgent.load(path)
    described.write_text(json.dumps({k: v for k, v in config.items() if k != "sha256"}))
    with pytest.raises(ValueError, match="'sha256' is missing"):
        TrainedAgent.load(path)
    described.write_text(json.dumps({**config, "recipe": {"name": "os:system", "scenario": "tiny"}}))
    with pytest.raises(ValueError, match="recipe: one of"):
        Sb3Policy.load(path)


def test_another_recipes_agent_is_refused(tmp_path):
    path = _agent("ppo_flat").save(tmp_path / "agent")
    env = gym.make(ENV, scenario="tiny")
    with pytest.raises(ValueError, match="'ppo_shared' wanted, got 'ppo_flat'"):
        policy_class("ppo_shared")(str(path)).reset(Task.of(env), np.random.default_rng(0))


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_agents_come_from_their_recipe(name):
    cls, recipe = policy_class(name), json.loads(json.dumps(dataclasses.asdict(RECIPES[name])))
    assert [path.stem for path in cls.shipped()] == [str(k) for k in range(10)]
    for k, path in enumerate(cls.shipped()):
        agent = TrainedAgent.load(path)
        assert agent.config["agent"] == k
        assert agent.config["recipe"] == recipe
        assert agent.config["training_seeds"] == [20_000 + 1_000 * k, 20_000 + 1_000 * k + recipe["num_envs"] - 1]
        assert agent.config["steps"] >= recipe["total_steps"]
        assert len(agent.config["curve"]) > 10


def test_by_default_each_episode_draws_one_of_the_shipped_agents():
    env = gym.make(ENV, scenario="small", horizon=2)
    policy, drawn = policies.make("ppo_shared"), set()
    for seed in range(60):
        policy.reset(Task.of(env), np.random.default_rng(seed))
        drawn.add(policy.trained.config["agent"])
    assert drawn == set(range(10))
    chosen = policies.make("ppo_shared:agent=3")
    chosen.reset(Task.of(env), np.random.default_rng(0))
    assert chosen.trained.config["agent"] == 3
    with pytest.raises(ValueError, match="0 to 9 or a path wanted, got 10"):
        policies.make("ppo_shared:agent=10").reset(Task.of(env), np.random.default_rng(0))


def _mean_reward(name, num_ues=10):
    env, rewards = gym.make(ENV, scenario="small", num_ues=num_ues), []
    for seed in range(10_100, 10_103):
        policy, (observation, _) = policies.make(name), env.reset(seed=seed)
        policy.reset(Task.of(env), np.random.default_rng(seed))
        for _ in range(200):
            observation, reward, *_ = env.step(policy.act(observation))
            rewards.append(reward)
    return np.mean(rewards)


def test_the_shared_policy_beats_the_strongest_cell_and_transfers_to_more_users():
    assert _mean_reward("ppo_shared") > _mean_reward("max_sinr") + 0.3
    assert _mean_reward("ppo_shared", num_ues=20) > _mean_reward("max_sinr", num_ues=20) + 0.3


def test_using_an_agent_loads_no_rl_framework():
    code = (
        "import sys\n"
        "import gymnasium as gym, numpy as np\n"
        "from rangym.policies import Task, make\n"
        "env = gym.make('rangym/CellAssociation-v0', scenario='small')\n"
        "observation, _ = env.reset(seed=0)\n"
        "for name in ('ppo_shared', 'ppo_flat', 'ppo_maskable'):\n"
        "    policy = make(name); policy.reset(Task.of(env), np.random.default_rng(0))\n"
        "    assert env.action_space.contains(policy.act(observation)), name\n"
        "assert not {'torch', 'stable_baselines3', 'sb3_contrib', 'tensorboard'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
