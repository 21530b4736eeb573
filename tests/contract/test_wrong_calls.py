"""Mistakes a newcomer makes: each is refused with what was wrong, what was allowed and what came."""

import gymnasium as gym
import numpy as np
import pytest

import rangym  # noqa: F401
from rangym import WrongCall, policies
from rangym.envs.core import SystemVectorEnv, Trace
from rangym.envs.registration import OURS
from rangym.policies import Knowledge, Task

ID = "rangym/CellAssociation-v0"
PLACEMENT = "rangym/NodePlacement-v0"


def _make(**kwargs):
    return gym.make(ID, **{"scenario": "tiny", **kwargs}).unwrapped


def _started():
    env = _make()
    env.reset(seed=0)
    return env


def _lanes(id=ID, **kwargs):
    env = SystemVectorEnv(gym.make(id, scenario="tiny", **kwargs).unwrapped.system, 3)
    env.reset(seed=0)
    return env


def _one_wrong(env, lane, value):
    """Its lowest action, but for one number of one lane."""
    action = env.action_space.low.copy()
    action[lane, 1] = value
    return env.step(action)


def _flat_step(value):
    env = gym.make(PLACEMENT, scenario="tiny", flat=True)
    env.reset(seed=0)
    return env.step(np.array([0, value, 0, 0, 0, 0], np.float32))


def _flat_lanes_step(value):
    env = gym.make_vec(PLACEMENT, 3, scenario="tiny", flat=True)
    env.reset(seed=0)
    actions = np.zeros((3, 6), np.float32)
    actions[2, 1] = value
    return env.step(actions)


def _trace(**changes):
    """A valid trace of `tiny` with fields replaced (a function of the old value), removed (None) or added."""
    trace = _started().trace
    parts = {"constants": dict(trace.constants), "slots": dict(trace.slots)}
    for name, change in changes.items():
        part = parts["constants" if name in parts["constants"] else "slots"]
        if change is None:
            del part[name]
        else:
            part[name] = change(part.get(name))
    return Trace(**parts)


def _with(index, value):
    def change(array):
        array = np.array(array, dtype=float)
        array[index] = value
        return array

    return change


def _replay(trace):
    return _make().reset(options={"trace": trace})


CONFIGURATION = {
    "no such module": (lambda: gym.make_vec(ID, system="nomod:X"), "system: 'nomod:X': there is no module 'nomod'"),
    "no such class": (lambda: _make(system="math:X"), "system: 'math:X': the module math has no 'X'"),
    "no class of a system": (lambda: _make(system="math:pi"), "system: a class of SystemModel wanted, got 'math:pi'"),
    "no target": (lambda: gym.make_vec(ID, system="a:b:c"), "system: a SystemModel or 'module:Class' wanted"),
    "unknown scenario": (lambda: _make(scenario="smal"), "scenario: one of .* got 'smal'; did you mean 'small'"),
    "unknown parameter": (lambda: _make(handover_wieght=1.0), "handover_wieght.*did you mean 'handover_weight'"),
    # TorchRL's constructor offers one, and goes without it where the error has Python's own words.
    "frames skipped": (lambda: gym.make(ID, frameskip=1), "unexpected keyword argument 'frameskip'"),
    "flat by a word": (lambda: gym.make(ID, flat="no"), "flat: True or False wanted, got 'no'"),
    "lanes flat by a word": (lambda: gym.make_vec(ID, 2, flat=1), "flat: True or False wanted, got 1"),
    "unknown autoreset": (
        lambda: gym.make_vec(ID, 2, autoreset_mode="SameStp"),
        r"autoreset_mode: one of \['NextStep', 'SameStep', 'Disabled'\] wanted, got 'SameStp'; did you mean 'SameStep'",
    ),
    "autoreset of a single one": (lambda: _make(autoreset_mode="SameStep"), "keyword argument 'autoreset_mode'"),
    "unknown cost": (lambda: _make(handover_cost="l1"), r"handover_cost: one of \['sum', 'norm'\] wanted, got 'l1'"),
    "unknown law": (lambda: _make(law="mobile"), "law: one of .* got 'mobile'"),
    "unknown motion": (lambda: _make(motion="brownian"), "motion: one of .* got 'brownian'"),
    "no UE": (lambda: _make(num_ues=0), "num_ues: an integer of at least 1 wanted, got 0"),
    "true UEs": (lambda: _make(num_ues=True), "num_ues: an integer .* got True"),
    "half a UE": (lambda: _make(num_ues=2.5), "num_ues: an integer .* got 2.5"),
    "one cell": (lambda: _make(num_cells=1), "num_cells: None or an integer of at least 2 wanted, got 1"),
    "no cells": (lambda: _make(num_cells=None), "num_cells: a number, where no map brings one, wanted, got None"),
    "no slot": (lambda: _make(horizon=0), "horizon: an integer of at least 1 wanted, got 0"),
    "negative weight": (lambda: _make(handover_weight=-1), "handover_weight: a number of at least 0 wanted, got -1"),
    "NaN weight": (lambda: _make(handover_weight=float("nan")), "handover_weight: .* got nan"),
    "speeds swapped": (
        lambda: _make(mean_speed_mps=(28, 1)),
        "mean_speed_mps: a tuple of 2 .* ascending, .* at least 0 wanted",
    ),
    "speed is one number": (lambda: _make(mean_speed_mps=3.0), "mean_speed_mps: a tuple of 2 values.* got 3.0"),
    "floor above ceiling": (lambda: _make(sinr_floor_db=40.0), "floor < ceiling"),
    "sites do not match": (lambda: _make(scenario="small", num_cells=4), "sites: num_cells = 4 of them wanted, got 6"),
    "site without power": (lambda: _make(num_cells=2, sites=[[0, 0, 1, 1]] * 2), "sites: .* per cell"),
    "site outside": (lambda: _make(num_cells=2, sites=[[0, 2, 1, 1, 1]] * 2), r"sites: \(x, y in \[0, 1\]"),
    "measured without a map": (lambda: _make(scenario="measured"), "rangym map import LOGS --out FILE.npz"),
    "memory of one": (
        lambda: _make(motion_memory=1.0),
        "motion_memory: a number of at least 0 and below 1 wanted, got 1.0",
    ),
    "override without use": (
        lambda: _make(scenario="static", shadowing_db=99),
        "shadowing_db: used with law 'mobility' only, got law='static'",
    ),
    "zero lanes": (
        lambda: SystemVectorEnv(_make().system, num_envs=0),
        "num_envs: an integer of at least 1 wanted, got 0",
    ),
    "unknown render mode": (lambda: _make(render_mode="ansi"), "render_mode: None or one of .* got 'ansi'"),
    "too few seeds": (lambda: SystemVectorEnv(_make().system, 3).reset(seed=[1, 2]), "sequence of 3 wanted, got 2"),
}
ACTIONS = {
    "cell out of range": (lambda: _started().step(np.array([0, 1, 3, 0])), r"action\[2\] = 3 is outside MultiDiscrete"),
    "negative cell": (lambda: _started().step(np.array([-1, 1, 2, 0])), r"action\[0\] = -1 is outside"),
    "too few UEs": (lambda: _started().step(np.array([0, 1])), r"shape \(4,\).* got shape \(2,\)"),
    "float cells": (lambda: _started().step(np.array([0.0, 1, 2, 0])), "int64.* got shape .*float64"),
    "no action": (lambda: _started().step(None), "action: MultiDiscrete"),
    "NaN": (lambda: _started().step(np.full(4, np.nan)), "float64"),
    "some lanes reset": (
        lambda: _lanes().reset(options={"reset_mask": np.array([True, False, True])}),
        r"options\['reset_mask'\]: all 3 lanes wanted, since they start and end together, got 2 of them",
    ),
    "mask of numbers": (
        lambda: _lanes().reset(options={"reset_mask": np.ones(3)}),
        r"options\['reset_mask'\]: a bool array of 3 lanes wanted, got array\(\[1., 1., 1.\]\)",
    ),
    "mask as a list": (lambda: _lanes().reset(options={"reset_mask": [True] * 3}), "a bool array of 3 lanes wanted"),
    "flat action out of range": (
        lambda: _flat_step(1.5),
        r"action\[1\] = 1.5 is outside Box\(-1.0, 1.0, \(6,\), float32\)",
    ),
    "flat lane out of range": (
        lambda: _flat_lanes_step(1.5),
        r"action\[1\] of lane 2 = 1.5 is outside Box\(-1.0, 1.0, \(6,\), float32\)",
    ),
    "too few lanes": (
        lambda: _lanes().step(np.zeros((2, 4), int)),
        r"3 lanes of MultiDiscrete.* wanted \(shape \(3, 4\), int64\), got shape \(2, 4\)",
    ),
    "no lanes": (lambda: _lanes().step(np.zeros(4, int)), r"3 lanes of .* got shape \(4,\)"),
    "too few UEs in all lanes": (lambda: _lanes().step(np.zeros((3, 2), int)), r"\(shape \(4,\).* got shape \(2,\)"),
    "negative cell of a lane": (lambda: _one_wrong(_lanes(), 2, -1), r"action\[1\] of lane 2 = -1 is outside"),
    "NaN of a lane": (
        lambda: _one_wrong(_lanes("rangym/NomaAllocation-v0", action="scores"), 1, np.nan),
        r"action\[1\] of lane 1 = nan is outside Box",
    ),
    "reset options": (lambda: _make().reset(options={"trac": 0}), "'trace' wanted, got 'trac'; did you mean 'trace'"),
    "reset options of lanes": (lambda: _lanes().reset(options={"trac": 0}), "did you mean 'trace'"),
    "before reset": (lambda: _make().step(np.zeros(4, int)), r"before reset\(\)"),
    "picture before reset": (lambda: _make(render_mode="rgb_array").render(), r"before reset\(\)"),
    "masks before reset": (lambda: _make().action_masks(), r"before reset\(\)"),
    "trace before reset": (lambda: _make().trace, r"before reset\(\)"),
}
TRACES = {
    "not a trace": (lambda: _replay("trace.npz"), r"options\['trace'\] is one Trace or a sequence of 1, got str"),
    "two traces for one": (lambda: _replay([_trace(), _trace()]), "sequence of 1, got list of length 2"),
    "field missing": (lambda: _replay(_trace(bandwidth_mhz=None)), "fields .*'bandwidth_mhz'.* wanted"),
    "field unknown": (lambda: _replay(_trace(sinr=lambda _: np.zeros((22, 4, 3)))), "fields .* wanted, got .*'sinr'"),
    "other horizon": (
        lambda: _replay(_make(horizon=5).reset(seed=0) and _other(horizon=5)),
        "horizon 20 wanted, got 5",
    ),
    "other size": (lambda: _replay(_other(num_ues=5)), r"has shape \(.*\) in a lane, got"),
    "NaN": (lambda: _replay(_trace(sinr_db=_with((3, 0, 0), np.nan))), "'sinr_db' holds NaN or infinity"),
    "above the ceiling": (
        lambda: _replay(_trace(sinr_db=_with((3, 0, 0), 99))),
        r"'sinr_db' within \[-10.0, 30.0\] dB",
    ),
    "negative bandwidth": (lambda: _replay(_trace(bandwidth_mhz=_with(0, -5))), "'bandwidth_mhz' within .* MHz"),
    "delay of an hour": (lambda: _replay(_trace(handover_delay=_with((0, 0), 3600))), "'handover_delay' within"),
    "words": (lambda: _trace(sinr_db=lambda v: v.astype(str)), "'sinr_db' is an array of real numbers"),
    "a list": (lambda: _trace(bandwidth_mhz=lambda v: list(v)), "'bandwidth_mhz' is an array .* got list"),
    "ragged slots": (lambda: _trace(sinr_db=lambda v: v[:-1]), "share one leading axis"),
    "both kinds": (lambda: Trace({"a": np.zeros(1)}, {"a": np.zeros(3)}), "both constants and slot fields"),
}
POLICIES = {
    "unknown policy": (lambda: policies.make("max_snr"), "policy: one of .*'max_snr'; did you mean 'max_sinr'"),
    "unknown policy of a problem": (
        lambda: policies.entry("fix_aggregator", "rangym/CeflOrchestration-v0"),
        r"policy: one of fixed_aggregator, (?!.*(max_sinr|random_fixed)).*did you mean 'fixed_aggregator'",
    ),
    "policy known elsewhere": (lambda: policies.entry("bayes_filtr", ID), "did you mean 'bayes_filter'"),
    "unknown option": (lambda: policies.make("a3:offset=3"), "a3: unknown option 'offset'; did you mean 'offset_db'"),
    "option without value": (lambda: policies.make("a3:offset_db"), "options are KEY=VALUE, got 'offset_db'"),
    "predict without task": (lambda: policies.make("max_sinr").predict({}), r"policy.bind\(Task.of"),
    "policy of another problem": (
        lambda: policies.bind("k_means", _make()),
        r"'k_means' is for .*NodePlacement-v0 \(--env NodePlacement\)",
    ),
    "other coding": (lambda: policies.bind("mba_fixed", _noma()), "mba_fixed needs gym.make.*action='native'"),
    "name taken": (lambda: policies.register("lda", "m:C"), "'lda' is taken"),
    "no class": (lambda: policies.register("mine", "module.Class"), "'module:Class' wanted"),
    "model not granted": (lambda: policies.make("lda").bind(Task.of(_make())), "needs the model"),
    "foreign environment": (lambda: Task.of(gym.make("CartPole-v1")), "a rangym environment wanted, got CartPoleEnv"),
    "oracle of many lanes": (
        lambda: Task.of(SystemVectorEnv(_make().system, 2), Knowledge.ORACLE),
        "trace of one lane",
    ),
}
CASES = {**CONFIGURATION, **ACTIONS, **TRACES, **POLICIES}


def _noma():
    return gym.make("rangym/NomaAllocation-v0", scenario="tiny")


def _other(**kwargs):
    env = _make(**kwargs)
    env.reset(seed=0)
    return env.trace


@pytest.mark.parametrize("call, message", CASES.values(), ids=CASES)
def test_wrong_call_says_what_was_wanted(call, message):
    with pytest.raises((ValueError, TypeError, RuntimeError), match=message):
        call()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"time,ue,cell\n1,2,3\n"])
def test_torn_trace_file_is_refused_by_name(tmp_path, content):
    path = tmp_path / "drive.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="drive.npz: not a trace file"):
        Trace.load(path)


def test_a_truncated_trace_file_is_refused(tmp_path):
    path = tmp_path / "trace.npz"
    _trace().save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="not a trace file"):
        Trace.load(path)
    with pytest.raises(FileNotFoundError):
        Trace.load(tmp_path / "missing.npz")


def test_pickled_arrays_are_not_loaded(tmp_path):
    path = tmp_path / "trace.npz"
    np.savez(path, **{"slots.sinr_db": np.array([{"code": "runs"}] * 3, dtype=object)})
    with pytest.raises(ValueError, match="not a trace file"):
        Trace.load(path)


def test_policies_are_bound_below_wrappers_that_change_what_they_see_or_do():
    env = gym.make(ID, scenario="tiny")
    env.reset(seed=0)
    assert policies.bind("max_sinr", env).predict(env.reset(seed=0)[0])[0].shape == (4,)
    wrapped = {
        "FlattenObservation": gym.wrappers.FlattenObservation(env),
        "TransformObservation": gym.wrappers.TransformObservation(env, lambda seen: seen, env.observation_space),
        "FrameStackObservation": gym.wrappers.FrameStackObservation(env, 2),
        "TransformAction": gym.wrappers.TransformAction(env, lambda action: action, env.action_space),
    }
    for name, outer in wrapped.items():
        with pytest.raises(TypeError, match=f"leave observations and actions as they are wanted, got {name}"):
            policies.bind("max_sinr", outer)
    policies.bind("max_sinr", gym.wrappers.RecordEpisodeStatistics(env))


@pytest.mark.parametrize("make", [gym.make, lambda name, **kwargs: gym.make_vec(name, num_envs=2, **kwargs)])
@pytest.mark.parametrize(("env_id", "policy"), [(ID, "max_sinr"), (PLACEMENT, "k_means")])
def test_policies_read_named_fields_and_are_not_bound_to_a_flat_environment(make, env_id, policy):
    policies.bind(policy, make(env_id, scenario="tiny"))
    with pytest.raises(TypeError, match=r"env: named fields wanted, got Flat\w+: make it without flat=True"):
        policies.bind(policy, make(env_id, scenario="tiny", flat=True))


@pytest.mark.parametrize("env_id", OURS)
def test_shells_have_masks_where_the_system_defines_them(env_id):
    for env in (gym.make(env_id, scenario="tiny").unwrapped, gym.make_vec(env_id, num_envs=2, scenario="tiny")):
        env.reset(seed=0)
        assert hasattr(env, "action_masks") == env.unwrapped.system.has_action_masks
        assert not hasattr(env, "action_masks") or env.action_masks().any()


def test_sizes_that_no_memory_holds_are_refused_with_the_size():
    with pytest.raises(WrongCall, match="horizon x num_ues x num_cells: at most .* GB .* 1,000,000 x 1,000,000 x 3"):
        _make(law="volatile", num_ues=10**6, horizon=10**6)
    with pytest.raises(WrongCall, match="num_ues x num_cells x arrays .*: at most .* GB .* 1,000,000 x 1,000,000"):
        _make(num_ues=10**6, num_cells=10**6)  # drawn in blocks of slots
    with pytest.raises(WrongCall, match="num_ues: an integer of at least 1, of at most 1e.06 wanted, got 1000000000"):
        _make(num_ues=10**9)
    with pytest.raises(WrongCall, match="num_envs x horizon x num_ues x num_cells"):
        gym.make_vec(ID, num_envs=10**9, scenario="tiny")


def test_long_lists_of_names_are_shortened():
    with pytest.raises(WrongCall, match="did you mean 'max_sinr'") as error:
        policies.make("max_snr")
    assert len(str(error.value)) < 200 and "in all" in str(error.value)


def test_numbers_that_are_none_are_refused_and_escapes_are_shown():
    with pytest.raises(WrongCall, match="ppo_shared:agent=1e999.* finite numbers wanted, got '1e999'"):
        policies.make("ppo_shared:agent=1e999")
    with pytest.raises(WrongCall, match="agent: a finite number wanted, got inf"):
        policies.make("ppo_shared", agent=float("inf"))
    assert str(WrongCall("a\x1b[31mb")) == "a\\x1b[31mb"
