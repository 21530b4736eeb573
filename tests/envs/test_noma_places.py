"""NomaAllocation's compiled places and its draws against loops over one user and one lane at a time."""

import gymnasium as gym
import numpy as np
import pytest

from rangym.envs.noma_allocation import place_kernels as kernels
from rangym.envs.noma_allocation.params import SCENARIOS, NomaAllocationParams
from rangym.envs.noma_allocation.scenario import BLOCK, noise_w
from rangym.envs.noma_allocation.system import NomaAllocation

LANES = 2 * BLOCK + 3
"""More than two blocks, and a block that is not full."""


def loudest(wanted, gain, k):
    """The up to two users that want k with the largest gains there, the largest first, ties by index."""
    there = [n for n in range(len(wanted)) if wanted[n] == k and gain[n, k] > 0]
    return sorted(there, key=lambda n: (-gain[n, k], n))[:2]


@pytest.mark.parametrize("ues, channels", [(20, 10), (9, 2), (1, 1), (5, 6)])
def test_places_against_sorted_users(ues, channels):
    rng = np.random.default_rng([ues, channels])
    gain = rng.exponential(size=(40, ues, channels)).round(rng.integers(0, 2))  # ties and zeros included
    gain[20:] = rng.exponential(size=(20, ues, channels))
    window = rng.uniform(-0.1, 1, (40, ues))
    wanted = rng.integers(0, channels + 1, (40, ues))
    users = kernels.two_largest(wanted, gain)
    subchannel, displaced = kernels.keep_two(wanted, gain)
    place_gain, place_window = kernels.at_places(users, gain, window)
    served, power = rng.random(users.shape) < 0.5, rng.random((*users.shape, 2))
    first = rng.integers(-1, 2, users.shape[:2])
    ue_served, ue_power, ue_first = kernels.to_users(users, ues, served, power, first)
    for b in range(40):
        kept = {}
        for k in range(channels):
            found = loudest(wanted[b], gain[b], k)
            assert users[b, k].tolist() == (found + [-1, -1])[:2]
            for i, n in enumerate(found):
                kept[n] = k, i
                assert place_gain[b, k, i] == gain[b, n, k] and place_window[b, k, i] == window[b, n]
            for i in range(len(found), 2):
                assert place_gain[b, k, i] == gain[b, 0, k] and place_window[b, k, i] == window[b, 0]
        assert displaced[b] == (wanted[b] < channels).sum() - len(kept)
        for n in range(ues):
            assert subchannel[b, n] == kept.get(n, (channels,))[0]
            if n in kept:
                k, i = kept[n]
                assert ue_served[b, n] == served[b, k, i] and ue_first[b, n] == (first[b, k] == i)
                np.testing.assert_array_equal(ue_power[b, n], power[b, k, i])
            else:
                assert not ue_served[b, n] and not ue_first[b, n] and not ue_power[b, n].any()


def drawn(params: NomaAllocationParams, rng: np.random.Generator) -> dict:
    """One lane's fields by the environment's page: places, clusters, samples, clocks, fading, turns, in this order."""
    p, slots, users = params, params.horizon + 2, params.num_ues
    fields = {"distance_m": p.radius_m * np.sqrt(rng.uniform((p.min_distance_m / p.radius_m) ** 2, 1, users))}
    fields["cluster"] = rng.integers(p.num_clusters, size=users)
    samples = rng.integers(p.samples[0], p.samples[1] + 1, users)
    clock = rng.uniform(*p.clock_ghz, users)
    columns = 1 if p.fading == "flat" else p.num_subchannels
    fading = rng.standard_exponential((slots, users, columns))
    wavelength = 299_792_458 / (p.carrier_ghz * 1e9)
    mean = (wavelength / (4 * np.pi)) ** 2 * fields["distance_m"] ** -p.path_loss_exponent / noise_w(p)
    fields["gain"] = np.repeat(fading * mean[:, None], p.num_subchannels // columns, axis=2)
    fields["data_samples"] = np.tile(samples, (slots, 1))
    fields["training_time_s"] = np.tile(p.cycles_per_sample * samples / (1e9 * clock), (slots, 1))
    turn = np.arange(slots) % p.num_clusters
    if p.schedule == "proportional":
        turn = fields["cluster"][rng.integers(users, size=slots)]
    everybody = np.ones((slots, users), bool)
    fields["scheduled"] = everybody if p.schedule == "all" else turn[:, None] == fields["cluster"]
    return fields


FORMS = [
    {"scenario": "tight"},
    {"scenario": "small", "fading": "flat", "num_clusters": 3, "schedule": "proportional"},
    {"scenario": "paper", "num_ues": 7, "num_clusters": 2, "schedule": "round_robin"},
]


def system(scenario, **overrides) -> NomaAllocation:
    return gym.make("rangym/NomaAllocation-v0", scenario=scenario, **overrides).unwrapped.system


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["scenario"])
def test_lanes_are_drawn_one_by_one(form):
    model = system(**form)
    trace = model.sample_lanes([np.random.default_rng(seed) for seed in range(LANES)])
    for seed in (0, BLOCK - 1, BLOCK, LANES - 1):
        alone, lane = model.sample(np.random.default_rng(seed)), trace.lane(seed)
        for field, wanted in drawn(model.params, np.random.default_rng(seed)).items():
            found = {**lane.constants, **lane.slots}[field]
            np.testing.assert_array_equal(found, {**alone.constants, **alone.slots}[field])
            assert found.dtype == wanted.dtype
            if field in ("gain", "training_time_s"):
                np.testing.assert_allclose(found, wanted, rtol=4 * np.finfo(float).eps)
            else:
                np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["scenario"])
def test_a_round_has_the_same_bits_in_any_block_of_lanes(form):
    model = system(**form, action="native")
    trace = model.sample_lanes([np.random.default_rng(seed) for seed in range(LANES)])
    action = np.random.default_rng(1).integers(0, model.params.num_subchannels + 1, (LANES, model.params.num_ues))
    whole = round_of(model, trace.slot(1), action)
    for part in (slice(0, 1), slice(1, 3), slice(3, LANES)):
        some = round_of(model, {f: v[part] for f, v in trace.slot(1).items()}, action[part])
        for name, values in some.items():
            np.testing.assert_array_equal(values, whole[name][part])


def round_of(model, slot, action) -> dict:
    """Everything that comes out of a round."""
    state = model.initial(slot)
    decision = model.decode(action, state, slot)
    after, outcome = model.transition(state, decision, slot)
    return {**decision, **after, **outcome.terms, **outcome.metrics}


def test_derived_numbers_follow_overrides():
    """They are kept once computed, with the parameters they belong to."""
    params = SCENARIOS["tight"]
    assert params.rho_j == pytest.approx(10 ** (23 / 10 - 3) * 0.8)
    louder = system("tight", max_power_dbm=30.0).params
    assert louder.max_power_w == pytest.approx(1.0) and louder.rho_j == pytest.approx(0.8)
    assert system("tight", drop_cost_j=0.5).params.rho_j == 0.5
