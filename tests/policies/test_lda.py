"""LDA as a policy: what it reads, what it leaves alone, its options, and what coupled rounding saves."""

import copy

import gymnasium as gym
import numpy as np
import pytest

import rangym  # noqa: F401  (registers the environments)
from rangym.policies import registry
from rangym.policies.algorithms.association.lda import LDA, DoublingLDA
from rangym.policies.base import Knowledge, Task

CELL = "rangym/CellAssociation-v0"


def run(spec, scenario="small", seed=0, **overrides):
    """One episode: associations (T, I), and the sums over slots of every metric."""
    env = gym.make(CELL, scenario=scenario, disable_env_checker=True, **overrides)
    obs, _ = env.reset(seed=seed)
    policy = registry.make(spec)
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(seed))
    cells, totals, done = [], {}, False
    while not done:
        action = policy.act(obs)
        cells.append(action)
        obs, _, terminated, done, info = env.step(action)
        done = done or terminated
        for key, value in info["metrics"].items():
            totals[key] = totals.get(key, 0.0) + float(value)
    return np.array(cells), totals


def test_registered_as_a_reference_that_needs_the_model():
    entry = registry.entry("lda:form=printed")
    assert entry.role == "reference" and "lda" in registry.names(CELL) and entry.knowledge == "model"


def test_needs_the_model():
    env = gym.make(CELL, scenario="tiny", disable_env_checker=True)
    with pytest.raises(TypeError, match="needs the model"):
        registry.make("lda").reset(Task.of(env), np.random.default_rng(0))


def test_same_generator_same_decisions():
    assert (run("lda", "tiny", 3)[0] == run("lda", "tiny", 3)[0]).all()
    assert (run("lda", "tiny", 3)[0] != run("lda", "tiny", 4)[0]).any()


def test_slot_0_is_not_used():
    """Changing what slot 0 measured changes no decision; changing what slot 1 measured does."""
    env = gym.make(CELL, scenario="small", disable_env_checker=True)
    env.reset(seed=5)
    trace = env.unwrapped.trace
    decisions = {}
    for changed in (None, 0, 1):
        sinr_db = trace.slots["sinr_db"].copy()
        if changed is not None:
            sinr_db[changed] = sinr_db[changed, :, ::-1]
        given = copy.copy(trace)
        object.__setattr__(given, "slots", {**trace.slots, "sinr_db": sinr_db})
        obs, _ = env.reset(options={"trace": given})
        policy = registry.make("lda:meta_step=1.0,step_scale=5")
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
        cells = []
        for _ in range(60):
            cells.append(policy.act(obs))
            obs, *_ = env.step(cells[-1])
        decisions[changed] = np.array(cells)
    assert (decisions[0] == decisions[None]).all()
    assert (decisions[1] == decisions[None])[:1].all() and (decisions[1] != decisions[None]).any()


def test_the_policy_is_the_algorithm_on_the_observed_rates():
    """Feedback of slot t is w log2(1 + s) of slot t with the delays of slot t, and a_max is that of the first slot."""
    env = gym.make(CELL, scenario="small", delay_variation=0.3, disable_env_checker=True)
    obs, _ = env.reset(seed=6)
    policy = registry.make("lda:meta_step=0.1")
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(7))
    slots = env.unwrapped.trace.slots
    lda = LDA(
        10,
        6,
        200,
        handover_weight=20.0,
        handover_cost="sum",
        max_delay=float(obs["handover_delay"].max()),
        rng=np.random.default_rng(7),
        meta_step=0.1,
    )
    bandwidth = env.unwrapped.trace.constants["bandwidth_mhz"]
    for t in range(1, 201):
        cell = lda.decide()
        np.testing.assert_array_equal(policy.act(obs), cell)
        obs, *_ = env.step(cell)
        rate = bandwidth * np.log2(1 + 10 ** (slots["sinr_db"][t].astype(float) / 10))
        lda.observe(np.log10(rate), slots["handover_delay"][t])


def test_experts_are_charged_what_the_environment_charges():
    """By default the surrogate follows the environment's mode, and an explicit one overrides it."""
    for mode, other in (("sum", "norm"), ("norm", "sum")):
        followed = run("lda:meta_step=0.5", handover_cost=mode)[0]
        assert (followed == run(f"lda:meta_step=0.5,handover_cost={mode}", handover_cost=mode)[0]).all()
        assert (followed != run(f"lda:meta_step=0.5,handover_cost={other}", handover_cost=mode)[0]).any()


@pytest.mark.parametrize(
    "spec",
    [
        "lda:form=printed,rounding=independent,gradient_at=sample",
        "lda:form=gamma,rounding=shared,meta_step=adaptive",
        "lda:rounding=argmax,delay_norm=euclidean",
        "lda:delay_norm=none,fair_surrogate=True",
        "lda:horizon=doubling",
        "lda:forecaster=sticky,lam=5,meta_step=0.1",
        "lda:horizon=doubling,forecaster=sticky",
    ],
)
def test_every_variant_runs_and_beats_random(spec):
    cells, totals = run(spec)
    assert cells.shape == (200, 10) and cells.min() >= 0 and cells.max() < 6
    assert totals["f"] > run("random")[1]["f"]


def test_a_forecaster_lifts_lda():
    """Paired on 8 traces, the sticky optimum as an expert adds to f on average, by more than 3 standard errors."""
    helped, plain = (
        np.array([run(spec, seed=s)[1]["f"] for s in range(8)])
        for spec in ("lda:meta_step=0.1,forecaster=sticky", "lda:meta_step=0.1")
    )
    gain = helped - plain
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(8)


def test_predict_gives_each_lane_its_own_learner():
    env = gym.make_vec(CELL, num_envs=3, scenario="tiny", autoreset_mode="SameStep")
    obs, _ = env.reset(seed=0)
    policy = registry.make("lda").bind(Task.of(env, Knowledge.MODEL), 0)
    state = None
    for _ in range(5):
        actions, state = policy.predict(obs, state)
        assert actions.shape == (3, 4)
        obs, *_ = env.step(actions)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rounding": "coupld"}, "rounding.*coupled.*coupld"),
        ({"form": "paper"}, "form.*printed.*paper"),
        ({"gradient_at": "sampled"}, "gradient_at"),
        ({"delay_norm": "l2"}, "delay_norm"),
        ({"meta_step": -1}, "meta_step.*adaptive.*-1"),
        ({"meta_step": "fast"}, "meta_step.*fast"),
        ({"step_scale": 0}, "step_scale: a number above 0 wanted, got 0"),
        ({"handover_cost": "l1"}, "handover_cost.*norm.*l1"),
        ({"horizon": 500}, "horizon.*doubling.*500"),
        ({"forecaster": "lstm"}, "forecaster.*sticky.*lstm"),
    ],
)
def test_bad_options_are_refused_when_the_policy_is_made(options, words):
    with pytest.raises(ValueError, match=words):
        registry.make("lda", **options)


def test_bad_arrays_and_wrong_order_are_refused():
    lda = LDA(4, 3, 10, handover_weight=1.0, rng=0)
    good, delay = np.ones((4, 3)), np.full((4, 3), 0.1)
    with pytest.raises(RuntimeError, match="decide"):
        lda.observe(good, delay)
    with pytest.raises(TypeError, match="no proposal"):
        lda.decide(np.zeros(4, int))
    lda.decide()
    with pytest.raises(RuntimeError, match="twice"):
        lda.decide()
    with pytest.raises(ValueError, match=r"log_rate.*\(4, 3\).*\(3, 4\)"):
        lda.observe(good.T, delay)
    with pytest.raises(ValueError, match="log_rate.*NaN"):
        lda.observe(np.where(good > 0, np.nan, 0), delay)
    with pytest.raises(ValueError, match="delay.*-0.1"):
        lda.observe(good, -delay)
    lda.observe(good, delay)  # a refused call leaves the slot open
    for bad in (np.full(4, 3), np.full(4, -1), np.zeros(3, int), np.zeros(4)):
        with pytest.raises(ValueError, match="proposal"):
            LDA(4, 3, 10, handover_weight=1.0, rng=0, forecaster=True).decide(bad)
    with pytest.raises(TypeError, match="a proposal wanted"):
        LDA(4, 3, 10, handover_weight=1.0, rng=0, forecaster=True).decide()
    for sizes in ((0, 3, 10), (4, 1, 10), (4, 3, 0), (4, 3, 2.5)):
        with pytest.raises(ValueError, match="integer of at least"):
            LDA(*sizes, handover_weight=1.0)
    with pytest.raises(ValueError, match="handover_weight"):
        DoublingLDA(4, 3, handover_weight=np.nan)


def test_arrays_handed_out_are_the_callers_own():
    lda = LDA(4, 3, 10, handover_weight=1.0, rng=0)
    cell = lda.decide()
    kept, mixture = cell.copy(), lda.mixture
    cell[:], mixture_before = 2, mixture.copy()
    mixture[:] = 0
    lda.observe(np.ones((4, 3)), np.full((4, 3), 0.1))
    np.testing.assert_array_equal(lda.mixture, mixture_before)
    assert (kept == lda.decide()).mean() > 0.4 or (kept == 2).all()


def test_coupled_rounding_saves_the_handovers_of_independent_rounding():
    """Static scenario, 2000 slots: at least 50 times less handover cost, with the utility not lower than 1 % below."""
    coupled, independent = (
        run(f"lda:rounding={rounding}", "static", horizon=2000)[1] for rounding in ("coupled", "independent")
    )
    assert 50 * -coupled["h"] <= -independent["h"]
    assert coupled["g"] >= 0.99 * independent["g"]
