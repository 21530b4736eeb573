"""Weights on disk: safe to load, refused when tampered with, and the same network as torch's."""

import dataclasses
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
from rangym.baselines import policy as policy_module
from rangym.baselines.agent import TrainedAgent, _checksum, load_agents, save_agents
from rangym.baselines.learner import ALGORITHMS, actor
from rangym.baselines.policy import Sb3Policy, policy_class
from rangym.baselines.recipes import RECIPES
from rangym.baselines.vec_adapter import Sb3VecEnv
from rangym.evaluation import Benchmark, evaluate
from rangym.evaluation.identity import options_of
from rangym.policies import Task

ENV = "rangym/CellAssociation-v0"
CELL_RECIPES = [name for name, recipe in RECIPES.items() if recipe.env_id == ENV]


def _model(name, seed=0):
    recipe = RECIPES[name]
    base = gym.make_vec(recipe.env_id, 2, scenario="tiny", autoreset_mode="SameStep").unwrapped
    env = Sb3VecEnv(policy_class(name).view(base))
    net = {"net_arch": list(recipe.hidden), "activation_fn": torch.nn.Tanh}
    return ALGORITHMS[recipe.algorithm]("MlpPolicy", env, policy_kwargs=net, seed=seed, device="cpu")


def _agent(name, seed=0):
    config = {"recipe": {"name": name, "scenario": "tiny"}, "constants": {"handover_weight": 1.0}}
    return TrainedAgent(actor(_model(name, seed)), config)


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
    base = gym.make_vec(ENV, 2, scenario="tiny", autoreset_mode="SameStep").unwrapped
    env = Sb3VecEnv(policy_class("ppo_flat").view(base))
    with pytest.raises(TypeError, match="tanh"):
        actor(PPO("MlpPolicy", env, policy_kwargs={"activation_fn": torch.nn.ELU}, device="cpu"))


def test_save_and_load(tmp_path):
    agent = _agent("ppo_shared")
    path = save_agents(tmp_path / "run" / "agent.npz", [agent])
    assert [file.name for file in path.parent.iterdir()] == ["agent.npz"]
    (again,) = load_agents(path)
    x = np.ones((3, 27), np.float32)
    np.testing.assert_array_equal(agent.network(x), again.network(x))
    assert again.config == agent.config
    assert type(Sb3Policy.load(path)) is policy_class("ppo_shared")
    policy = policies.make(f"ppo_shared:agent={path}")
    assert policy.agent == str(path)
    policy.reset(Task.of(gym.make(ENV, scenario="tiny")), np.random.default_rng(0))
    np.testing.assert_array_equal(policy.trained.network(x), agent.network(x))


def _several(count=3):
    agents = [_agent("ppo_shared", seed) for seed in range(count)]
    return [dataclasses.replace(a, config={**a.config, "agent": k, "curve": [k]}) for k, a in enumerate(agents)]


def test_a_file_of_several_agents_keeps_each_and_joins_with_others(tmp_path):
    agents = _several()
    one = save_agents(tmp_path / "one.npz", agents[:2])
    two = save_agents(tmp_path / "two.npz", agents[2:])
    joined = save_agents(tmp_path / "all.npz", [agent for file in (one, two) for agent in load_agents(file)])
    with np.load(joined) as archive:
        assert archive["weight0"].shape == (3, 27, 128)
        text = str(archive["description"])
    assert text.count('"handover_weight"') == text.count('"recipe"') == 1
    for before, after in zip(agents, load_agents(joined), strict=True):
        assert before.config == after.config
        for (w, b), (w2, b2) in zip(before.network.layers, after.network.layers, strict=True):
            assert w.tobytes() == w2.tobytes() and b.tobytes() == b2.tobytes()


def test_an_episode_draws_one_of_a_files_agents(tmp_path):
    path = save_agents(tmp_path / "all.npz", _several())
    policy, task = policies.make("ppo_shared", agent=str(path)), Task.of(gym.make(ENV, scenario="tiny"))
    drawn = []
    for seed in range(30):
        policy.reset(task, np.random.default_rng(seed))
        drawn.append(policy.trained.config["agent"])
    assert set(drawn) == {0, 1, 2}
    chosen = policy_class("ppo_shared")(load_agents(path)[2])
    chosen.reset(task, np.random.default_rng(0))
    assert chosen.trained.config["agent"] == 2


def test_agents_of_two_recipes_do_not_share_a_file(tmp_path):
    agent = _agent("ppo_shared")
    other = dataclasses.replace(agent, config={**agent.config, "constants": {"handover_weight": 2.0}})
    with pytest.raises(ValueError, match="one recipe wanted, got different constants"):
        save_agents(tmp_path / "both.npz", [agent, other])
    relu = dataclasses.replace(agent, network=dataclasses.replace(agent.network, activation="relu"))
    with pytest.raises(ValueError, match="different activation"):
        save_agents(tmp_path / "both.npz", [agent, relu])
    assert not list(tmp_path.iterdir())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = save_agents(tmp_path / "agent.npz", [_agent("ppo_shared")])
    before = path.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_agents(path, [_agent("ppo_shared", 1)])
    assert path.read_bytes() == before


def test_a_file_written_again_is_read_again(tmp_path):
    path, task = tmp_path / "agent.npz", Task.of(gym.make(ENV, scenario="tiny"))
    policy, seen = policies.make("ppo_shared", agent=str(path)), []
    for seed in range(2):
        save_agents(path, [_agent("ppo_shared", seed)])
        policy.reset(task, np.random.default_rng(0))
        seen.append(policy.trained.network(np.ones(27, np.float32)))
    assert not np.array_equal(*seen)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_tampered_file_is_refused(tmp_path, part):
    path = save_agents(tmp_path / "agent.npz", [_agent("ppo_shared")])
    data = bytearray(path.read_bytes())
    data[int(len(data) * part)] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="agent.npz: "):
        load_agents(path)


class _Bomb:
    def __reduce__(self):
        return (print, ("unpickled!",))


def _arrays(path):
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def _forged(tmp_path, **changes):
    """A file with a matching checksum, as an attacker would make it; None takes an entry out."""
    path = save_agents(tmp_path / "agent.npz", [_agent("ppo_shared")])
    arrays = {k: v for k, v in (_arrays(path) | changes).items() if v is not None and k != "sha256"}
    np.savez(path, **arrays, sha256=np.array(_checksum(arrays)))
    return path


def test_the_checksum_covers_every_entry(tmp_path):
    path = save_agents(tmp_path / "agent.npz", [_agent("ppo_shared")])
    arrays = _arrays(path)
    assert len(arrays) == 8  # three layers, the description and the checksum
    for name, values in arrays.items():
        changed = np.array(str(values).replace("a", "b")) if values.dtype.kind == "U" else values + np.float32(1e-3)
        np.savez(path, **(arrays | {name: changed}))
        with pytest.raises(ValueError, match="agent.npz: SHA-256"):
            load_agents(path)


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"weight0": np.array([_Bomb()], object)}, "not a file of agents"),
        ({"bias2": None}, "weight0, bias0"),
        ({"bias0": np.zeros((1, 2), np.float32)}, "layer 0"),
        (
            {"weight0": np.zeros((2, 27, 128), np.float32), "bias0": np.zeros((2, 128), np.float32)},
            "layer 0 of 1 agents",
        ),
        ({"weight1": np.zeros((1, 127, 128), np.float32)}, "continues layer 0"),
        ({"weight0": np.zeros((1, 27, 128))}, "float64"),
        ({"weight0": np.full((1, 27, 128), np.nan, np.float32)}, "NaN"),
    ],
)
def test_forged_weights_are_refused_and_no_pickle_runs(tmp_path, capsys, arrays, message):
    path = _forged(tmp_path, **arrays)
    with pytest.raises(ValueError, match=message):
        load_agents(path)
    assert "unpickled" not in capsys.readouterr().out


def test_descriptions_that_say_too_little_are_refused(tmp_path):
    path = save_agents(tmp_path / "agent.npz", [_agent("ppo_shared")])
    arrays = _arrays(path)
    described = json.loads(str(arrays["description"]))
    np.savez(path, **{k: v for k, v in arrays.items() if k != "sha256"})
    with pytest.raises(ValueError, match="'sha256' is missing"):
        load_agents(path)
    with pytest.raises(ValueError, match="agent.npz: not a description of agents"):
        load_agents(_forged(tmp_path, description=np.array("{")))
    for key in ("activation", "pooled", "recipe", "constants", "agents"):
        fewer = {k: v for k, v in described.items() if k != key}
        with pytest.raises(ValueError, match=f"'{key}' is missing"):
            load_agents(_forged(tmp_path, description=np.array(json.dumps(fewer))))
    for changes, message in (
        ({"recipe": "ppo"}, "recipe: dict wanted, got 'ppo'"),
        ({"format": 1}, "format 2 and an activation"),
        ({"agents": []}, "layer 0 of 0 agents"),
    ):
        with pytest.raises(ValueError, match=message):
            load_agents(_forged(tmp_path, description=np.array(json.dumps({**described, **changes}))))
    foreign = json.dumps({**described, "recipe": {"name": "os:system", "scenario": "tiny"}})
    with pytest.raises(ValueError, match="recipe: one of"):
        Sb3Policy.load(_forged(tmp_path, description=np.array(foreign)))


def test_another_recipes_agent_is_refused(tmp_path):
    path = save_agents(tmp_path / "agent.npz", [_agent("ppo_flat")])
    env = gym.make(ENV, scenario="tiny")
    with pytest.raises(ValueError, match="'ppo_shared' wanted, got .*agent.npz of 'ppo_flat'"):
        policy_class("ppo_shared")(str(path)).reset(Task.of(env), np.random.default_rng(0))


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_agents_come_from_their_recipe(name):
    cls, recipe = policy_class(name), json.loads(json.dumps(dataclasses.asdict(RECIPES[name])))
    agents = load_agents(cls.shipped())
    assert len(agents) == 10
    for k, agent in enumerate(agents):
        assert agent.config["agent"] == k
        assert agent.config["recipe"] == recipe
        assert agent.config["training_seeds"] == [20_000 + 1_000 * k, 20_000 + 1_000 * k + recipe["num_envs"] - 1]
        assert agent.config["steps"] >= recipe["total_steps"]
        assert len(agent.config["curve"]) > 10


@pytest.mark.parametrize("name", RECIPES)
def test_the_policy_of_a_recipe_is_registered_under_its_name(name):
    entry, recipe = policies.registry.entry(name), RECIPES[name]
    assert recipe.name == name and recipe.policy == entry.target and entry.role == "agent"
    assert name in policies.registry.names(recipe.env_id)
    assert entry.overrides.items() <= recipe.overrides.items()
    assert policy_class(name).recipe == name


def test_weights_that_are_not_installed_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(policy_module, "SHIPPED", tmp_path)
    task = Task.of(gym.make(ENV, scenario="small"))
    with pytest.raises(ValueError, match="baselines/agents/ppo_flat.npz.*agent=FILE.*rangym train ppo_flat"):
        policies.make("ppo_flat:agent=3").reset(task, np.random.default_rng(0))
    with pytest.raises(FileNotFoundError):
        evaluate(f"ppo_flat:agent={tmp_path}/mine.npz", Benchmark(ENV, "small", [0]))
    with pytest.raises(ValueError, match="rangym train ppo_flat"):  # asked for by name: said before any work
        evaluate(["ppo_flat", "max_sinr"], Benchmark(ENV, "small", [0], {"horizon": 2}), bounds=False)
    others = tuple(name for name in policies.names(ENV) if name not in ("ppo_flat", "max_sinr"))
    results = evaluate(None, Benchmark(ENV, "small", [0], {"horizon": 2}, without=others), bounds=False)
    assert len(results.episodes) == 1 and "baselines/agents/ppo_flat.npz" in str(results.problems)


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


def test_an_agent_tells_what_it_is_made_of(tmp_path):
    agent, other = _agent("ppo_shared"), _agent("ppo_shared", 1)
    cls, path = policy_class("ppo_shared"), save_agents(tmp_path / "agent.npz", [agent])
    assert cls(str(path)).data_files() == (path,)
    assert cls(3).data_files() == cls().data_files() == (cls.shipped(),)
    assert cls(agent).data_files() == ()
    ours = options_of(cls(agent))
    assert ours == options_of(cls(load_agents(path)[0])) != options_of(cls(other))
    farther = dataclasses.replace(agent, config={**agent.config, "constants": {"handover_weight": 2.0}})
    assert options_of(cls(farther)) != ours


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
