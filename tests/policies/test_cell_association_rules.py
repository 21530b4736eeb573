"""CellAssociation's rules and optimum policies: hand-made channels, then their measured order."""

import gymnasium as gym
import numpy as np
import pytest

import rangym  # noqa: F401 (registers the environments)
from rangym.envs.core import Trace
from rangym.envs.physics.channel import shannon_rate_mbps
from rangym.policies import Knowledge, Task, make
from rangym.policies.algorithms.association.assignment import optimal_assignment

ENV = "rangym/CellAssociation-v0"


class OneUe:
    """Feeds a policy the SINR of one UE, slot by slot, and obeys it."""

    def __init__(self, policy, cells=3, bandwidth_mhz=None, ues=1):
        env = gym.make(ENV, scenario="tiny", num_ues=ues, num_cells=cells)
        self.policy, self.serving = policy, np.zeros((ues, cells), np.float32)
        self.cells, self.ues = cells, ues
        self.bandwidth_mhz = np.full(cells, 10.0, np.float32) if bandwidth_mhz is None else bandwidth_mhz
        self.delay = np.full((ues, cells), 0.05, np.float32)
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))

    def step(self, *sinr_db):
        observation = {
            "sinr_db": np.array(sinr_db, np.float32).reshape(self.ues, self.cells),
            "serving": self.serving,
            "load": self.serving.sum(axis=0),
            "bandwidth_mhz": np.asarray(self.bandwidth_mhz, np.float32),
            "handover_delay": self.delay,
        }
        action = np.asarray(self.policy.act(observation))
        self.serving = (action[:, None] == np.arange(self.cells)).astype(np.float32)
        return action.tolist() if self.ues > 1 else int(action[0])


def test_a3_first_takes_the_strongest_cell():
    assert OneUe(make("a3")).step(1.0, 5.0, 2.0) == 1


def test_a3_wants_offset_plus_hysteresis_strictly():
    ue = OneUe(make("a3", offset_db=2.0, hysteresis_db=1.0, time_to_trigger=1))
    assert ue.step(10, 0, 0) == 0
    assert ue.step(10, 13.0, 0) == 0  # equal is not above
    assert ue.step(10, 13.1, 0) == 1
    assert ue.step(12.9, 10.0, 0) == 1  # and back needs as much
    assert ue.step(13.1, 10.0, 0) == 0


def test_a3_waits_for_consecutive_slots():
    ue = OneUe(make("a3", offset_db=3.0, time_to_trigger=3))
    assert ue.step(10, 0, 0) == 0
    assert [ue.step(10, 14, 0) for _ in range(2)] == [0, 0]
    assert ue.step(10, 12, 0) == 0  # interrupted: the count starts again
    assert [ue.step(10, 14, 0) for _ in range(3)] == [0, 0, 1]


def test_a3_counts_each_neighbour_apart_and_takes_the_best_triggered():
    ue = OneUe(make("a3", offset_db=3.0, time_to_trigger=2))
    assert ue.step(10, 0, 0) == 0
    assert ue.step(10, 14, 0) == 0
    assert ue.step(10, 14, 20) == 1  # cell 2 is stronger but has entered only once
    ue = OneUe(make("a3", offset_db=3.0, time_to_trigger=2))
    assert [ue.step(10, 0, 0), ue.step(10, 14, 15), ue.step(10, 15, 14)] == [0, 0, 1]


def test_a3_forgets_its_counts_at_a_handover():
    ue = OneUe(make("a3", offset_db=3.0, time_to_trigger=2))
    ue.step(10, 0, 0)
    ue.step(10, 14, 13.5)
    assert ue.step(10, 14, 13.5) == 1
    # Cell 2 had entered against cell 0; against cell 1 it has to start again.
    assert ue.step(10, 10, 14) == 1
    assert ue.step(10, 10, 14) == 2


def test_a3_with_zero_margin_and_one_slot_is_max_sinr():
    env = gym.make(ENV, scenario="tiny").unwrapped
    a3, best = make("a3", offset_db=0.0, time_to_trigger=1), make("max_sinr")
    observation, _ = env.reset(seed=4)
    for policy in (a3, best):
        policy.reset(Task.of(env), np.random.default_rng(0))
    for _ in range(env.system.horizon):
        action = a3.act(observation)
        np.testing.assert_array_equal(action, best.act(observation))
        observation, *_ = env.step(action)


def test_load_aware_by_hand():
    """Two equal cells at 100 and 90 Mbit/s: log10(100/90) = .046, a second UE costs .602, so the UEs alternate."""
    fill = OneUe(make("load_aware"), cells=2, ues=4)
    sinr_db = np.tile([20.0, 18.0], (4, 1))
    assert fill.step(sinr_db) == [0, 1, 0, 1]
    # log10 of the rates 66.6 and 7.0 Mbit/s differs by .98: more than .602, less than phi(3) - phi(2) = .829 + ...
    strong = OneUe(make("load_aware"), cells=2, ues=4)
    rates = shannon_rate_mbps(np.array([20.0, -2.0]), np.array([10.0, 10.0]))
    value, chosen, load = np.log10(rates), [], [0, 0]
    for _ in range(4):
        gain = [value[j] - ((y + 1) * np.log10(y + 1) - (y * np.log10(y) if y else 0.0)) for j, y in enumerate(load)]
        chosen.append(int(np.argmax(gain)))
        load[chosen[-1]] += 1
    assert chosen[:2] == [0, 0] and 1 in chosen
    assert strong.step(np.tile([20.0, -2.0], (4, 1))) == chosen


def test_slot_optimum_solves_what_it_sees():
    fill = OneUe(make("slot_optimum"), cells=3, ues=6, bandwidth_mhz=[5.0, 10.0, 20.0])
    rng = np.random.default_rng(0)
    for _ in range(5):
        sinr_db = rng.uniform(-10, 30, (6, 3)).astype(np.float32)
        action = np.array(fill.step(sinr_db))
        value = np.log10(shannon_rate_mbps(sinr_db, np.array([5.0, 10.0, 20.0])))
        load = np.bincount(action, minlength=3)
        reached = value[np.arange(6), action].sum() - sum(y * np.log10(y) for y in load if y)
        assert reached == pytest.approx(optimal_assignment(value).value, abs=1e-12)


def test_sticky_optimum_moves_when_the_gain_exceeds_the_price():
    """One UE, a_old + a_new = .1 slot: at lam 10 a move must gain one decade of rate."""
    for decades, cell in ((0.9, 0), (1.1, 1)):
        ue = OneUe(make("sticky_optimum", lam=10.0))
        assert ue.step(0, -10, -10) == 0
        rate = shannon_rate_mbps(np.array(0.0), np.array(10.0)) * 10**decades
        sinr_db = 10 * np.log10(2 ** (rate / 10.0) - 1)
        assert ue.step(0, float(sinr_db), -10) == cell


def test_sticky_filtered_averages_the_log_rates():
    ue = OneUe(make("sticky_filtered", lam=0.0, alpha=0.5), cells=2)
    assert ue.step(10, 5) == 0
    # Newest slot alone: cell 1. Average with the slot before: log rates (10 dB, 5 dB) and (7 dB, 9 dB): cell 0.
    means = [np.log10(shannon_rate_mbps(np.array(x), np.array([10.0, 10.0]))).mean() for x in ([10.0, 7.0], [5.0, 9.0])]
    assert means[0] > means[1]
    assert ue.step(7, 9) == 0
    assert OneUe(make("sticky_filtered", lam=0.0, alpha=1.0), cells=2).step(7, 9) == 1


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("a3:hysteresis_db=-1", "hysteresis_db"),
        ("a3:time_to_trigger=0", "time_to_trigger"),
        ("a3:time_to_trigger=1.5", "time_to_trigger"),
        ("a3:offset_db=1e999", "offset_db"),
        ("a3:offset_db=15.5", "offset_db: .* of at most 15"),
        ("a3:offset_db=1.25", "offset_db: a multiple of .5 dB"),
        ("a3:filter_coefficient=10", "filter_coefficient: one of"),
        ("sticky_optimum:lam=-1", "lam"),
        ("sticky_filtered:alpha=0", "alpha"),
        ("sticky_filtered:lam=1e999", "lam"),
    ],
)
def test_bad_options_are_refused(spec, says):
    with pytest.raises(ValueError, match=says):
        make(spec)


def test_static_oracle_refuses_a_changing_channel_and_says_what_to_use():
    env = gym.make(ENV, scenario="tiny").unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match="hindsight"):
        make("static_oracle").reset(Task.of(env, Knowledge.ORACLE), np.random.default_rng(0))


def test_static_oracle_ignores_the_slot_that_is_only_measured():
    env = gym.make(ENV, scenario="static", num_ues=10, horizon=5).unwrapped
    env.reset(seed=0)
    trace = env.trace
    sinr_db = trace.slots["sinr_db"].copy()
    sinr_db[0] = sinr_db[0][:, ::-1]
    changed = Trace(trace.constants, {**trace.slots, "sinr_db": sinr_db})
    scores = []
    for episode in (trace, changed):
        observation, _ = env.reset(options={"trace": episode})
        policy = make("static_oracle")
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
        scores.append(env.step(policy.act(observation))[1])
    assert scores[0] == scores[1]


def test_oracles_say_what_they_need():
    env = gym.make(ENV, scenario="tiny").unwrapped
    env.reset(seed=0)
    with pytest.raises(ValueError, match="ORACLE"):
        make("hindsight").reset(Task.of(env), np.random.default_rng(0))


def mean_f(env, name, seed):
    policy = make(name)
    observation, _ = env.reset(seed=seed)
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(seed))
    total = 0.0
    for _ in range(env.system.horizon):
        observation, reward, *_ = env.step(policy.act(observation))
        total += reward
    return total / env.system.horizon


def test_policies_are_well_separated_on_small():
    """f per slot and UE over 8 traces; the specification's 32-trace means with room for 3 standard errors."""
    env = gym.make(ENV, scenario="small").unwrapped
    expected = {"max_sinr": 1.039, "sticky_optimum": 1.383, "sticky_filtered": 1.403, "hindsight": 1.539}
    found = {name: np.mean([mean_f(env, name, seed) for seed in range(8)]) for name in expected}
    assert sorted(found, key=found.__getitem__) == list(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.05), name


def test_static_previous_slot_optimum_is_optimal_and_beats_max_sinr():
    env = gym.make(ENV, scenario="static", horizon=20).unwrapped
    for seed in range(3):
        oracle = mean_f(env, "static_oracle", seed)
        assert mean_f(env, "slot_optimum", seed) == pytest.approx(oracle, abs=1e-12)
        assert mean_f(env, "max_sinr", seed) < oracle
        assert mean_f(env, "sticky_optimum", seed) > 0.9 * oracle


def test_a3_filters_as_the_standard_says():
    """By hand: k = 4 keeps 1/2 over 200 ms, and so (1/2)^5 = 1/32 over the slot of 1 s."""
    policy = make("a3", offset_db=0.0, time_to_trigger=1, filter_coefficient=4)
    ue = OneUe(policy, cells=2)
    assert ue.step(8.0, 0.0) == 0
    # 8/32 + 31/32 (0) = .25 dB beside 0/32 + 31/32 (.25) = .2421875 dB: the neighbour that is stronger now is not yet
    assert ue.step(0.0, 0.25) == 0
    np.testing.assert_array_equal(policy._filtered_db, [[0.25, 0.2421875]])
    assert ue.step(0.0, 0.25) == 1  # .0078125 beside .2497558...
    plain = OneUe(make("a3", offset_db=0.0, time_to_trigger=1), cells=2)
    assert [plain.step(8.0, 0.0), plain.step(0.0, 0.25)] == [0, 1]


def test_a3_without_the_filter_sees_the_measurement_bit_for_bit():
    policy, rng = make("a3"), np.random.default_rng(0)
    ue = OneUe(policy)
    for _ in range(50):
        measured = rng.normal(0, 10, 3).astype(np.float32)
        ue.step(*measured)
        np.testing.assert_array_equal(policy._filtered_db[0], measured.astype(np.float64))
