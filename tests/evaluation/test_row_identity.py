"""Rows are compared only where they belong together: same code behind a bound, same map, named policies."""

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from rangym import policies
from rangym.baselines.agent import load_agents, save_agents
from rangym.baselines.policy import SHIPPED
from rangym.envs.cell_association.radio_map import RadioMap
from rangym.envs.qos_clustering.predictor import load
from rangym.evaluation import Benchmark, evaluate, identity, runner
from rangym.evaluation.episode import episode_rng, make_env
from rangym.evaluation.results import Results
from rangym.evaluation.summary import summarise_all, text_report
from rangym.policies import registry

CELL = "rangym/CellAssociation-v0"


def test_a_bound_is_computed_again_when_its_code_changes(tmp_path, monkeypatch):
    benchmark, out = Benchmark(CELL, "tiny", range(2)), tmp_path / "rows.jsonl"
    assert evaluate(["max_sinr"], benchmark, out=out).computed == 4
    assert evaluate(["max_sinr"], benchmark, out=out).computed == 0
    monkeypatch.setattr(runner, "_bound_code", lambda system: "other")
    assert evaluate(["max_sinr"], benchmark, out=out).computed == 2


def test_rows_on_other_maps_of_the_same_name_are_other_traces():
    row = {"row": "episode", "env_id": CELL, "scenario": "measured", "overrides": {"map": "m.npz"}, "seed": 0}
    row |= {"policy": "max_sinr", "options": {}, "reward": 1.0}
    rows = [{**row, "files": {"m.npz": "a"}}, {**row, "files": {"m.npz": "b"}, "policy": "a3"}]
    found = Results(tuple(rows), (), ()).comparisons
    assert [list(c.rows) for c in found] == [["max_sinr"], ["a3"]]


def test_a_report_says_when_its_rows_come_from_several_versions_of_the_code(tmp_path, monkeypatch):
    benchmark, out = Benchmark(CELL, "tiny", range(2)), tmp_path / "rows.jsonl"
    evaluate(["max_sinr"], benchmark, out=out, bounds=False)
    assert "CAUTION" not in text_report(summarise_all(Results.load(out))[0])
    monkeypatch.setattr(identity, "code_of", lambda *parts: "other")
    evaluate(["random"], benchmark, out=out, bounds=False)
    assert "CAUTION" in text_report(summarise_all(Results.load(out))[0])


def test_the_policys_generator_does_not_show_the_traces_seed():
    random = policies.make("random")
    rng = episode_rng(random, 7)
    assert 7 not in np.atleast_1d(rng.bit_generator.seed_seq.entropy).tolist()
    assert rng.random() == episode_rng(random, 7).random() != episode_rng(random, 8).random()


def test_a_policy_of_ones_own_is_evaluated_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "own_policy.py").write_text(
        "from rangym.policies import Policy\n"
        "class First(Policy):\n"
        "    def reset(self, task, rng): self.n = task.action_space.shape\n"
        "    def act(self, observation): import numpy; return numpy.zeros(self.n, int)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_NAMED", {})
    policies.register("first", "own_policy:First", CELL, source="cell 0")
    results = evaluate(["first", "max_sinr"], Benchmark(CELL, "tiny", range(2)))
    assert not results.problems and results.rewards("first").shape == (2,)
    with pytest.raises(TypeError, match="Policy objects wanted, got First"):
        evaluate([sys.modules["own_policy"].First], Benchmark(CELL, "tiny", range(2)))


def test_numpy_parameters_are_parameters():
    plain = evaluate(["max_sinr"], Benchmark(CELL, "tiny", range(1), {"num_ues": 5}), bounds=False)
    numpy = evaluate(["max_sinr"], Benchmark(CELL, "tiny", range(1), {"num_ues": np.int64(5)}), bounds=False)
    np.testing.assert_array_equal(plain.rewards("max_sinr"), numpy.rewards("max_sinr"))


def test_a_rows_code_is_what_its_parts_import_and_nothing_else():
    from rangym.policies.cell_association.rules import A3

    modules = identity._closure(identity.EPISODE) | identity._closure(A3.__module__)
    assert {"rangym.envs.core", "rangym.envs.trace", "rangym.policies.base", "rangym.envs.physics.channel"} <= modules
    assert not any(name.startswith(("rangym.envs.node_placement", "rangym.baselines")) for name in modules)
    others = {
        "rangym.evaluation.summary",
        "rangym.evaluation.runner",
        "rangym.envs.registration",
        "rangym.envs.rendering",
    }
    assert not modules & others
    bound = identity._closure("rangym.evaluation.problems.cell_association.bound")
    assert "rangym.policies.algorithms.association.handover_planning" in bound
    assert not bound & others and "rangym.policies.algorithms.association.lda" not in bound


@pytest.mark.parametrize(
    ("edit", "other"),
    [
        (lambda text: "# a remark\n" + text, False),
        (lambda text: text.replace('"""Old."""', '"""New words."""'), False),
        (lambda text: text.replace("return 1", "return (  1  )"), False),
        (lambda text: text.replace("return 1", "return 2"), True),
        (lambda text: text.replace("import near", "import near, far"), True),
    ],
    ids=["comment", "docstring", "layout", "code", "import"],
)
def test_only_an_edit_of_the_syntax_tree_is_another_code(tmp_path, monkeypatch, edit, other):
    text = '"""Module."""\nimport near\n\n\ndef f():\n    """Old."""\n    return 1\n'
    for name in ("near", "far"):
        (tmp_path / f"{name}.py").write_text("x = 1\n")
    (tmp_path / "edited.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)

    def code():
        for cached in (identity._closure, identity._imports, identity._module_hash, identity._file_of):
            cached.cache_clear()
        return identity.code_of("edited")

    before = code()
    (tmp_path / "edited.py").write_text(edit(text))
    assert (code() != before) == other
    (tmp_path / "edited.py").write_text(text)
    (tmp_path / "near.py").write_text("x = 2\n")  # what it imports counts as much
    assert code() != before


# Files ---------------------------------------------------------------------------------------------


def agent_of(path, scale=1.0, constant=20.0):
    """The first shipped agent, its weights scaled and its constant changed, saved at ``path``."""
    first = load_agents(SHIPPED / "ppo_shared.npz")[0]
    layers = [(np.float32(scale) * weight, bias) for weight, bias in first.network.layers]
    network = replace(first.network, layers=layers)
    config = {**first.config, "constants": {"handover_weight": constant}}
    return save_agents(path, [replace(first, network=network, config=config)])


@pytest.mark.parametrize("name", ["agent.npz", "agent", "run.1"])
def test_an_agent_trained_anew_under_its_old_name_is_another_one_in_the_same_process(tmp_path, name):
    benchmark, out = Benchmark(CELL, "small", range(1), {"horizon": 10}), tmp_path / "rows.jsonl"
    path = agent_of(tmp_path / name)
    stat = path.stat()

    def reward():
        return evaluate([f"ppo_shared:agent='{path}'"], benchmark, out=out, bounds=False)

    first = reward()
    agent_of(path, scale=-1.0)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # within a tick of the clock
    second = reward()
    assert second.computed == 1 and first.rewards("ppo_shared") != second.rewards("ppo_shared")
    assert reward().computed == 0


def test_the_constants_of_an_agent_are_part_of_its_rows(tmp_path):
    hashes = set()
    for constant in (20.0, 5.0):
        path = agent_of(tmp_path / f"{constant}.npz", constant=constant)
        as_object = policies.make("ppo_shared", agent=load_agents(path)[0])
        hashes |= {identity.options_of(as_object)[1]["agent"], *identity.files_of([path]).values()}
    assert len(hashes) == 4


def test_two_files_of_one_name_are_both_hashed(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.npz").write_text(folder)
    paths = [tmp_path / folder / "x.npz" for folder in ("a", "b", "a")]
    assert list(identity.files_of(paths)) == ["x.npz", "x.npz 2"]


def test_a_model_is_hashed_by_content_or_not_at_all():
    same = [b"".join(identity._bytes({"a": None, "b": [1, "x"]})) for _ in range(2)]
    assert same[0] == same[1] != b"".join(identity._bytes({"a": 0, "b": [1, "x"]}))
    with pytest.raises(ValueError, match="arrays, numbers and words wanted"):
        list(identity._bytes(object()))


def test_the_predictor_is_part_of_the_rows_with_and_without_its_suffix(tmp_path):
    load("small").save(tmp_path / "mine")
    for name in ("mine", "mine.npz"):
        system = make_env("rangym/QosClustering-v0", "tiny", {"predictor": str(tmp_path / name)}).system
        assert [path.name for path in system.data_files()] == ["mine.npz", "mine.json"]


def test_a_map_written_anew_gives_other_traces_in_the_same_process(tmp_path):
    path = tmp_path / "map.npz"
    benchmark = Benchmark(CELL, "measured", range(1), {"map": str(path), "num_cells": 2, "num_ues": 2, "horizon": 3})
    rewards = []
    for level in (0.0, 10.0):
        place = np.arange(8, dtype=np.float32).reshape(4, 2)
        RadioMap(
            kind="measured",
            sinr_db=np.full((4, 2), level, np.float32),
            location_m=place,
            cell_name=np.array(["a", "b"]),
            cell_rat=np.array([5, 4]),
            bandwidth_mhz=np.array([20.0, 10.0]),
            cell_position_m=np.zeros((2, 2)),
            track_start=np.array([0, 4]),
            track_position_m=place,
            track_location=np.arange(4),
            step_s=1.0,
            size_m=np.array([10.0, 10.0]),
            account={},
        ).save(path)
        rewards.append(float(evaluate(["max_sinr"], benchmark, bounds=False).rewards("max_sinr")[0]))
    assert rewards[1] > rewards[0]
