"""CeflOrchestration's certified bound, attacked by random decisions and by every policy."""

import numpy as np
import pytest

from rangym import policies
from rangym.baselines.cefl_orchestration import AGENTS
from rangym.envs.cefl_orchestration.system import CeflOrchestration
from rangym.envs.core import build
from rangym.evaluation import Benchmark, cards, evaluate
from rangym.evaluation.episode import Episode, make_env
from rangym.evaluation.problems.cefl_orchestration.bound import PRICES

ID = "rangym/CeflOrchestration-v0"


@pytest.mark.parametrize("mode", ["fixed", "eff"])
@pytest.mark.parametrize("coding", ["native", "compact", "macro"])
@pytest.mark.parametrize("bs_energy", ["per_ue", "once"])
def test_no_random_decision_exceeds_the_bound(mode, coding, bs_energy):
    overrides = {"theta_mode": mode, "action": coding, "bs_energy": bs_energy, "horizon": 1}
    env = make_env(ID, "tiny", overrides)
    system = env.system
    env.reset(seed=3)
    found = cards.bound(system, env.trace)
    assert found.kind == "certified" and found.lower <= found.value
    trace, lanes = env.trace.stack([env.trace] * 1), 2000
    rng = np.random.default_rng(0)
    space = system.action_space
    actions = rng.uniform(space.low, space.high, (lanes, *space.shape)).astype(space.dtype)
    some = trace.stack([env.trace] * lanes)
    state = system.initial(some.slot(0))
    decision = system.decode(actions, state, some.public(1, system.reveal))
    _, outcome = system.transition(state, decision, some.slot(1))
    assert sum(outcome.terms.values()).max() <= found.value + 1e-9 * abs(found.value)


def test_every_policy_stays_below_the_bound_and_the_reference_is_the_best():
    for scenario in ("tiny", "small_fixed"):
        without = ("primal_dual", "primal_dual_consensus", *AGENTS)  # slow, or trained for another size
        results = evaluate(None, Benchmark(ID, scenario, range(2), {"horizon": 3}, without=without))
        assert results.problems == ()
        comparison = results.comparison()
        rewards = {name: comparison.rewards(name).mean() for name in comparison.rows}
        assert max(rewards, key=rewards.get) == "convex_reference"
        assert comparison.bound("lower").mean() <= comparison.bound().mean()


@pytest.mark.parametrize("points", [50, 20_000, 100_000, 1_000_000])
@pytest.mark.parametrize("scenario", ["small_fixed", "small"])
def test_the_bound_holds_and_is_close_however_many_data_points_there_are(scenario, points):
    """In seconds the programmes of many points were so badly scaled that the solver did not end."""
    small = {"min_points": min(50, points), "horizon": 4 if scenario == "small_fixed" else 1}
    for seed in range(3):
        env = make_env(ID, scenario, {"mean_points": points, "action": "native", **small})
        env.reset(seed=seed)
        found = cards.bound(env.system, env.trace)
        assert found.kind == "certified" and found.lower <= found.value < 0
        assert found.lower >= found.value * ((1 + 0.002) if scenario == "small_fixed" else 1.35)
        steps = list(Episode(env, policies.make("random"), np.random.default_rng(seed), env.trace))
        assert np.mean([step.reward for step in steps]) <= found.value


def test_the_references_decision_stepped_under_native_comes_near_the_bound():
    env = make_env(ID, "small_fixed", {"action": "native", "horizon": 4})
    env.reset(seed=0)
    found = cards.bound(env.system, env.trace)
    steps = list(Episode(env, policies.make("convex_reference"), np.random.default_rng(0), env.trace))
    reward = np.mean([step.reward for step in steps])
    assert found.value * (1 + 0.001) <= found.lower <= found.value
    assert found.value * (1 + 0.1) <= reward <= found.value  # without branch and bound


def test_the_references_decision_stepped_under_native_scores_its_own_cost():
    """To 1e-5, since a policy reads float32 observations."""
    from rangym.policies.algorithms.federated.cefl_reference import fixed_reference
    from rangym.policies.cefl_orchestration.observed import round_problem

    env = make_env(ID, "small_fixed", {"action": "native", "horizon": 2})
    env.reset(seed=0)
    trace = env.trace
    steps = list(Episode(env, policies.make("convex_reference"), np.random.default_rng(0), trace))
    for t, step in enumerate(steps, 1):
        found = fixed_reference(round_problem(env.system, trace.slot(t), env.system.params.initial_gap))
        assert -100 * step.reward == pytest.approx(found.value, rel=1e-5)


@pytest.mark.parametrize("overrides", [{"reward": "gap"}, {"proximal": 0.5}, {"proximal": 0.5, "theta_mode": "fixed"}])
def test_where_nothing_is_proved_the_best_known_episode_is_one_that_can_be_played(overrides):
    env = make_env(ID, "tiny", {**overrides, "action": "native"})
    env.reset(seed=0)
    known = cards.bound(env.system, env.trace)
    assert known.kind == "best known" and known.lower == known.value
    words = [f"priced:price={price}" for price in PRICES] if "reward" in overrides else ["convex_reference"]
    reached = []
    for word in words:
        steps = list(Episode(env, policies.make(word), np.random.default_rng(0), env.trace))
        reached.append(np.mean([step.reward for step in steps]))
    assert max(reached) == pytest.approx(known.value, rel=1e-4)  # policies see rates as float32


def test_the_weight_of_a_switch_only_lowers_the_rewards():
    plain, dear = (make_env(ID, "tiny", {"theta_mode": "fixed", "switching_weight": w}) for w in (0.0, 1.0))
    plain.reset(seed=0), dear.reset(seed=0)
    without, with_weight = cards.bound(plain.system, plain.trace), cards.bound(dear.system, dear.trace)
    assert with_weight.value == without.value and with_weight.lower <= without.lower
    assert isinstance(build(f"{CeflOrchestration.__module__}:CeflOrchestration", "tiny", {}), CeflOrchestration)
