"""Training: it learns, survives a kill, and says what is missing."""

import argparse
import dataclasses
import json
import subprocess
import sys
import time

import pytest

from rangym.baselines.agent import load_agents
from rangym.baselines.policy import policy_class
from rangym.baselines.recipes import RECIPES
from rangym.baselines.train import add_arguments, run, train
from rangym.cli import main
from rangym.envs.files import sole_user

SMALL = dict(num_envs=4, total_steps=1_500, scenario="tiny")

NEEDS_ITS_SCENARIO = ("ppo_place",)
"""It looks at a learned map, which only `urban` has."""


def _recipe(name="ppo_shared", **changes):
    recipe = RECIPES[name]
    short = {"n_steps": 20} if recipe.algorithm != "SAC" else {"train_freq": 20, "gradient_steps": 2}
    kwargs = {**recipe.kwargs, **short, "batch_size": 80}
    smaller = {"scenario": recipe.scenario} if name in NEEDS_ITS_SCENARIO else {}
    return dataclasses.replace(recipe, **{**SMALL, "kwargs": kwargs, **smaller, **changes})


def _config(path):
    (agent,) = load_agents(path)
    return agent.config


@pytest.mark.parametrize("name", RECIPES)
def test_trains_logs_and_exports(name, tmp_path):
    weights = train(_recipe(name), 2, tmp_path)
    config = _config(weights)
    assert weights == tmp_path / "agent.npz"
    assert config["agent"] == 2 and config["training_seeds"] == [22_000, 22_003]
    assert config["steps"] >= 1_500 and config["curve"][-1]["steps"] == config["steps"]
    steps = [point["steps"] for point in config["curve"]]
    assert steps[0] == 0 and steps == sorted(set(steps))
    assert list((tmp_path / "tensorboard").rglob("events.*"))
    assert isinstance(policy_class(name).load(weights), policy_class(name))
    with pytest.raises(ValueError, match="holds a run already"):
        train(_recipe(name), 2, tmp_path)


def test_training_leaves_the_process_as_it_was(tmp_path):
    """torch's threads are the caller's again, no warning is hidden from it, and SB3's of matrices does not come."""
    code = (
        "import dataclasses, torch, warnings\n"
        "torch.set_num_threads(3)\n"
        "from rangym.baselines.recipes import RECIPES\n"
        "from rangym.baselines.train import train\n"
        "r = RECIPES['ppo_shared']\n"
        "kwargs = {**r.kwargs, 'n_steps': 20, 'batch_size': 80}\n"
        "r = dataclasses.replace(r, num_envs=4, total_steps=80, scenario='tiny', kwargs=kwargs)\n"
        f"train(r, 0, {str(tmp_path)!r})\n"
        "assert torch.get_num_threads() == 3, torch.get_num_threads()\n"
        "hidden = [f for f in warnings.filters if f[1] and 'observation' in f[1].pattern]\n"
        "assert not hidden, hidden\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "unconventional" not in done.stderr


def test_the_same_seed_gives_the_same_agent(tmp_path):
    one, again, other = (
        load_agents(train(_recipe(), seed, tmp_path / folder))[0] for seed, folder in ((0, "a"), (0, "b"), (1, "c"))
    )
    weights = [[a.tobytes() for layer in agent.network.layers for a in layer] for agent in (one, again, other)]
    assert weights[0] == weights[1] != weights[2]
    curves = [[(p["steps"], p["reward"]) for p in agent.config["curve"]] for agent in (one, again, other)]
    assert curves[0] == curves[1] != curves[2]


def test_the_shared_policy_learns_to_stay(tmp_path):
    """With handovers this dear, random choices cost far more than any association can bring."""
    recipe = _recipe(total_steps=8_000, overrides={"handover_weight": 40.0})
    curve = _config(train(recipe, 0, tmp_path))["curve"]
    assert curve[-1]["reward"] > curve[0]["reward"] + 1


def test_a_killed_run_resumes(tmp_path):
    code = (
        "import dataclasses\n"
        "from rangym.baselines.recipes import RECIPES\n"
        "from rangym.baselines.train import train\n"
        "r = RECIPES['ppo_shared']\n"
        "kwargs = {**r.kwargs, 'n_steps': 20, 'batch_size': 80}\n"
        "r = dataclasses.replace(r, num_envs=4, total_steps=10**7, scenario='tiny', kwargs=kwargs)\n"
        f"train(r, 0, {str(tmp_path)!r})\n"
    )
    process, deadline = subprocess.Popen([sys.executable, "-c", code]), time.monotonic() + 60
    progress, seen = tmp_path / "progress.json", set()
    while len(seen) < 2 and time.monotonic() < deadline:  # until a checkpoint after the first one is there
        if progress.exists():
            seen.add(progress.stat().st_mtime_ns)
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -9

    endless = _recipe(total_steps=10**7)
    with pytest.raises(ValueError, match="resume it"):
        train(endless, 0, tmp_path)
    with pytest.raises(ValueError, match="holds another run"):
        train(_recipe(), 0, tmp_path, resume=True)
    content = json.loads(progress.read_text())
    content["identity"]["recipe"]["total_steps"] = 6_000  # let the endless run end soon
    progress.write_text(json.dumps(content))
    config = _config(train(_recipe(total_steps=6_000), 0, tmp_path, resume=True))
    assert config["steps"] >= 6_000
    assert len(config["commands"]) == 2
    assert config["training_seeds"] == [20_004, 20_007]  # traces the first part has not seen
    steps = [point["steps"] for point in config["curve"]]
    assert steps == sorted(set(steps)) and steps[0] == 0


def test_nothing_to_resume(tmp_path):
    with pytest.raises(ValueError, match="no checkpoint"):
        train(_recipe(), 0, tmp_path, resume=True)


def test_command(tmp_path, capsys):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["ppo_shared", "--seed", "1", "--out", str(tmp_path), "--steps", "1", "--quiet"]
    assert run(parser.parse_args(words)) == 0
    assert f"ppo_shared:agent={tmp_path}/agent.npz" in capsys.readouterr().out
    with pytest.raises(ValueError, match="holds a run already"):
        run(parser.parse_args(words))
    with pytest.raises(SystemExit):
        parser.parse_args([*words[:-2], "0"])
    assert "--steps: an integer of at least 1 wanted, got 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parser.parse_args(["ppo_share", "--out", "x"])


@pytest.mark.parametrize("missing", ["torch", "sb3_contrib", "tensorboard"])
def test_a_missing_extra_names_the_line_to_run(missing, tmp_path):
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from rangym.cli import main\n"
        f"sys.exit(main(['train', 'ppo_shared', '--steps', '1', '--out', {str(tmp_path / 'x')!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'rangym[rl]'" in done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("progress.json", b"{", "progress.json: what this command keeps wanted, got JSONDecodeError"),
        ("progress.json", b"[]", "progress.json: what this command keeps wanted, got TypeError"),
        ("checkpoint.zip", b"PK", "checkpoint.zip: a whole checkpoint of this command wanted"),
    ],
)
def test_what_a_run_left_torn_is_refused_by_name(name, content, says, tmp_path, capsys):
    argv = ["train", "ppo_pairs", "--steps", "512", "--quiet", "--out", str(tmp_path)]
    assert main(argv) == 0
    (tmp_path / name).write_bytes(content)
    assert main([*argv, "--resume"]) == 2
    assert says in capsys.readouterr().err


def test_a_folder_has_one_run_at_a_time(tmp_path, capsys):
    with sole_user(tmp_path):
        assert main(["train", "ppo_pairs", "--steps", "512", "--quiet", "--out", str(tmp_path)]) == 2
    assert f"out: a folder that no other run is writing wanted, got '{tmp_path}'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
