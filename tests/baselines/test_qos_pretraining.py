"""Pre-training of QosClustering's predictors: torch and NumPy agree, a resumed run equals a whole one."""

import dataclasses
import json

import gymnasium as gym
import numpy as np
import pytest
import torch

import rangym  # noqa: F401
from rangym.baselines.qos_clustering import pretraining
from rangym.baselines.qos_clustering.pretraining import RECIPES, Material, Pretraining, Rows, pretrain
from rangym.cli import main
from rangym.envs.learning.gaussians import encode
from rangym.envs.qos_clustering import calibration
from rangym.envs.qos_clustering.kpi_logs import KPIS, read_logs
from rangym.envs.qos_clustering.predictor import load
from rangym.envs.qos_clustering.recorded_days import load_days
from rangym.envs.qos_clustering.recorded_predictor import fitted_days

TINY = dataclasses.replace(RECIPES["small"], name="tiny", hidden=(8, 8), epochs=2)


@pytest.fixture(autouse=True)
def few_days(monkeypatch):
    """One day to train on, few to calibrate with."""
    monkeypatch.setattr(pretraining, "PRETRAINING_DAYS", range(100, 101))
    monkeypatch.setattr(calibration, "LIBRARY_DAYS", range(400, 401))
    monkeypatch.setattr(calibration, "CONCEPT_DAYS", range(900, 902))


def test_rows_are_paired_with_the_gaussian_an_hour_later():
    rows = Rows.of([100])
    assert rows.inputs.shape == (92 * 12 * 16, 22) and rows.targets.shape == (92 * 12 * 16, 9)
    code = rows.inputs.reshape(92, 12, 16, 22)[..., 13:]
    target = rows.targets.reshape(92, 12, 16, 9)
    assert np.array_equal(code[4:], target[:-4])


@pytest.mark.parametrize("recipe", [TINY, dataclasses.replace(TINY, skip=False, dropout=0.2)], ids=["skip", "plain"])
def test_both_forward_passes_agree(recipe, tmp_path):
    run = Pretraining(recipe, tmp_path / "run")
    predictor = load(str(run.run(progress=False)))
    inputs = run.rows.inputs[:5000]
    run.network.eval()
    with torch.no_grad():
        scaled = torch.from_numpy((inputs - run.input_mean) / run.input_scale)
        theirs = run.network(scaled).numpy()
    assert np.abs(predictor.predict(inputs) - theirs).max() < 1e-5
    assert predictor.config["curve"] == run.curve and len(run.curve) == 2
    assert run.curve[1]["training"] < run.curve[0]["training"]


@pytest.mark.parametrize("name", ["small", "paper"])
def test_shipped_weights_in_torch_say_what_they_say_in_numpy(name):
    predictor = load(name)
    recipe = RECIPES[name]
    network = pretraining.Network(22, 9, recipe)
    layers = [*network.hidden, network.head]
    arrays = [*predictor.base.layers, (predictor.head[:-1], predictor.head[-1])]
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers, arrays, strict=True):
            layer.weight.copy_(torch.from_numpy(weight.T.copy()))
            layer.bias.copy_(torch.from_numpy(bias.copy()))
        inputs = Rows.of([100]).inputs
        scaled = (inputs - predictor.base.input_mean) / predictor.base.input_scale
        theirs = network.eval()(torch.from_numpy(scaled)).numpy()
    assert np.abs(predictor.predict(inputs) - theirs).max() < 1e-5


def test_a_resumed_run_equals_a_whole_one(tmp_path):
    recipe = dataclasses.replace(TINY, dropout=0.2)
    whole = load(str(Pretraining(recipe, tmp_path / "whole").run(progress=False)))
    Pretraining(dataclasses.replace(recipe, epochs=1), tmp_path / "part").run(progress=False)
    resumed = load(str(Pretraining(recipe, tmp_path / "part", resume=True).run(progress=False)))
    assert np.array_equal(resumed.head, whole.head)
    assert np.array_equal(resumed.library(4).heads, whole.library(4).heads)
    assert resumed.config["curve"] == whole.config["curve"] and len(resumed.config["commands"]) == 2


def test_a_folder_with_a_run_is_not_overwritten_and_another_run_is_not_resumed(tmp_path):
    with pytest.raises(ValueError, match="no checkpoint to resume from"):
        Pretraining(TINY, tmp_path / "run", resume=True)
    Pretraining(TINY, tmp_path / "run").run(progress=False)
    with pytest.raises(ValueError, match="holds a run already"):
        Pretraining(TINY, tmp_path / "run")
    with pytest.raises(ValueError, match="holds another run"):
        Pretraining(dataclasses.replace(TINY, hidden=(9,)), tmp_path / "run", resume=True)


def test_wrong_calls_are_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match="name: one of .* wanted, got 'smal'; did you mean 'small'"):
        pretrain("smal", tmp_path)
    with pytest.raises(ValueError, match="epochs: an integer of at least 1 wanted, got 0"):
        pretrain("small", tmp_path, epochs=0)
    assert main(["pretrain", "smal", "--out", str(tmp_path)]) == 2
    assert "did you mean 'small'" in capsys.readouterr().err


def test_the_command_writes_a_predictor_that_the_environment_takes(tmp_path, capsys):
    out = tmp_path / "mine"
    assert main(["pretrain", "small", "--out", str(out), "--epochs", "1", "--quiet"]) == 0
    assert "validation" in capsys.readouterr().out
    described = json.loads((out / "small.json").read_text())
    assert described["recipe"]["epochs"] == 1
    env = gym.make("rangym/QosClustering-v0", scenario="tiny", predictor=str(out / "small.npz"))
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)


def test_a_network_for_recorded_days_is_trained_on_their_first_half_alone(days_file, kpi_logs, tmp_path, capsys):
    out = tmp_path / "network"
    assert main(["pretrain", "small", "--days", days_file, "--out", str(out), "--epochs", "2", "--quiet"]) == 0
    assert f"scenario=imported and days={days_file}" in capsys.readouterr().out
    said = "The predictor's network was trained on the first half of the file"
    assert main(["cluster", days_file, "--predictor", str(out / "small.npz")]) == 0 and said in capsys.readouterr().out
    assert main(["cluster", days_file]) == 0 and said not in capsys.readouterr().out
    predictor = load(str(out / "small.npz"))
    days = load_days(days_file)
    assert predictor.config["columns"] == list(days.columns) and sorted(predictor.libraries) == [1, 2, 3, 4]
    options = dict(scenario="imported", days=days_file, predictor=str(out / "small.npz"))
    env = gym.make("rangym/QosClustering-v0", **options)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    material = Material.recorded(days_file)
    assert len(material.training.inputs) == (24 - 4) * 4 * 16 and len(material.validation.inputs) == (6 - 4) * 4 * 16
    code = encode(days.day.mean, days.day.covariance)
    np.testing.assert_allclose(material.training.targets[::16].reshape(20, 4, 9), code[4:24], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(material.validation.targets[::16].reshape(2, 4, 9), code[28:30], rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="predictor: .* for the columns .* wanted"):
        gym.make("rangym/QosClustering-v0", **options | {"days": other_days(kpi_logs, tmp_path)})
    with pytest.raises(ValueError, match="holds a run on other days"):
        pretrain("small", out, epochs=2, resume=True, days=other_days(kpi_logs, tmp_path), progress=False)


def other_days(kpi_logs, folder):
    """A file whose rows have no speed."""
    rows = [{k: v for k, v in row.items() if k != "speed_kmh"} for row in kpi_logs.kpi_rows()]
    fitted_days(read_logs(kpi_logs.write_csv(folder / "other.csv", rows)), KPIS).save(folder / "other.npz")
    return str(folder / "other.npz")
