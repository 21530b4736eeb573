"""Rounds of CE-FL by the defaults of the specification, for tests of the algorithms alone."""

import numpy as np

from rangym.envs.learning.convergence import LearningConstants
from rangym.envs.physics.federated_round import FederatedNetwork
from rangym.policies.algorithms.federated.round_problem import RoundProblem

CONSTANTS = LearningConstants.__dataclass_fields__


def problem(ues, stations, centres, heavy=False, seed=0, mode="fixed", network_seed=0, **overrides):
    """One round; ``heavy`` takes the large model and the varying links. Overrides reach problem and constants."""
    given = {name: overrides.pop(name) for name in list(overrides) if name in CONSTANTS}
    network, limits, snr_db = draw_network(ues, stations, centres, heavy, np.random.default_rng([network_seed, 1]))
    conditions, drift = draw_round(network, snr_db, heavy, np.random.default_rng([network_seed, 2, seed]))
    fields = dict(drift_per_s=drift, **limits) | overrides
    return RoundProblem(
        network=network, conditions=conditions, learning_constants=LearningConstants(theta_mode=mode, **given), **fields
    )


def draw_network(ues, stations, centres, heavy, rng):
    inside = homes(ues, centres)[:, None] == homes(stations, centres)
    snr_db = np.where(inside, rng.uniform(12, 24, (ues, stations)), rng.uniform(-8, 4, (ues, stations)))
    backhaul_w = rng.uniform(5, 10, (stations, centres))
    network = FederatedNetwork(
        point_bits=24584.0,
        model_bits=64e6 if heavy else 8e6,
        cycles_per_point=rng.uniform(5e6, 1.5e7, ues),
        capacitance=rng.uniform(1e-27, 2e-27, ues),
        ue_power_w=np.full((ues, stations), 0.2),
        broadcast_power_w=rng.uniform(5, 10, stations),
        backhaul_power_w=backhaul_w,
        dc_to_bs_power_w=backhaul_w.T.copy(),
        dc_to_dc_power_w=rng.uniform(10, 20, (centres, centres)),
        machines=rng.integers(2, 5, centres).astype(np.float64),
        machine_points_per_s=rng.uniform(6e3, 1e4, centres),
        machine_power_w=rng.uniform(150, 250, centres),
        dynamic_share=0.6,
    )
    noise = rng.uniform(2.5e3, 7.5e3, ues)
    limits = dict(
        clock_low_hz=np.full(ues, 2e8),
        clock_high_hz=rng.uniform(1.5e9, 2.5e9, ues),
        gradient_noise=np.concatenate([noise, np.full(centres, noise.mean())]),
    )
    return network, limits, snr_db


def draw_round(network, snr_db, heavy, rng):
    ues, stations = snr_db.shape
    centres = len(network.machines)
    inside = homes(stations, centres)[:, None] == np.arange(centres)

    def backhaul():
        across = np.exp(rng.uniform(np.log(0.002), np.log(0.05), inside.shape)) if heavy else None
        across = rng.uniform(0.003, 0.03, inside.shape) if across is None else across
        available = np.where(inside, rng.uniform(0.5, 1.0, inside.shape), across)
        return rng.uniform(3e9, 4e9, inside.shape) * available

    skew = 1.0 if heavy else 0.5
    size = np.exp(skew * rng.normal(size=centres) - skew**2 / 2)[homes(ues, centres)]
    snr_db = np.maximum(snr_db + rng.normal(0, 6 if heavy else 2, snr_db.shape), -30)
    between = rng.uniform(10e6, 75e6, (centres, centres))
    between = np.exp(rng.uniform(np.log(5e6), np.log(2e8), (centres, centres))) if heavy else between
    conditions = dict(
        data_points=np.maximum(50, np.round(rng.normal(2000, np.sqrt(200), ues) * size)),
        uplink_bps=(1e7 if heavy else 2e6) * np.log2(1 + 10 ** (snr_db / 10)),
        downlink_bps=((5e7 if heavy else 1e7) * np.log2(1 + 10 ** (snr_db / 10 + 0.6))).T.copy(),
        backhaul_bps=backhaul(),
        dc_to_bs_bps=backhaul().T.copy(),
        dc_to_dc_bps=between,
    )
    return conditions, 1e-3 * np.exp((1.0 if heavy else 0.5) * rng.normal())


def homes(count, centres):
    """Sub-network of each of ``count`` devices."""
    return np.arange(count) * centres // count


def random_decisions(given, rng, count, most_iterations=1):
    """``count`` feasible decisions, a mix of extreme and of mild ones."""
    ues, stations, centres = given.shape

    def uniform(low, high, size):
        blend = rng.uniform(size=(count,) + size)
        return low + (high - low) * np.where(rng.uniform(size=(count, 1)) < 0.3, blend.round(), blend)

    def shares(size, free):
        raw = rng.dirichlet(np.full(size[-1] + free, 0.3), size=(count,) + size[:-1])
        return raw[..., : size[-1]]

    best = np.asarray(given.conditions["uplink_bps"]).argmax(axis=1)
    anyone = rng.integers(0, stations, (count, ues))
    return dict(
        aggregator=rng.integers(0, centres, count),
        ue_to_bs=np.where(rng.uniform(size=(count, 1)) < 0.5, best, anyone),
        bs_to_ue=np.where(rng.uniform(size=(count, 1)) < 0.5, given.conditions["downlink_bps"].argmax(axis=0), anyone),
        offload_share=shares((ues, stations), 1) * rng.uniform(size=(count, 1, 1)).round(1),
        forward_share=shares((stations, centres), 0),
        clock_hz=uniform(given.clock_low_hz, given.clock_high_hz, (ues,)),
        points_per_s=uniform(given.least_speed, 1.0, (centres,)) * given.network.machine_points_per_s,
        ue_iterations=rng.integers(1, most_iterations + 1, (count, ues)).astype(np.float64),
        dc_iterations=rng.integers(1, most_iterations + 1, (count, centres)).astype(np.float64),
        ue_minibatch=uniform(given.least_minibatch, 1.0, (ues,)),
        dc_minibatch=uniform(given.least_minibatch, 1.0, (centres,)),
    )
