"""Every environment in the forms that could differ: each contract test runs on all of them."""

import gymnasium as gym
import pytest

import rangym  # noqa: F401  (registers the environments)
from rangym.cli import main
from rangym.envs.registration import OURS

_PLACE = {
    "law": "urban",
    "side_m": 400.0,
    "sites": tuple((0.2 + 0.3 * j, 0.5, 2.0, 10.0, 38.0 + 3 * j) for j in range(3)),
}
_PAPER_SIZE = {"num_ues": 20, "num_bss": 10, "num_dcs": 5}

DAYS = "days.npz"
"""Stands for a small file of recorded days that the session makes."""

FORMS = {
    "rangym/CellAssociation-v0": [
        {},
        {"handover_cost": "norm", "delay_variation": 0.2, "motion": "random_waypoint"},
        {"law": "static"},
        {"law": "volatile"},
        {"motion": "static"},
        {**_PLACE, "failure_slots": 2, "max_spectral_efficiency": 7.4},
        {**_PLACE, "map_seed": None, "grid_m": 20.0, "slot_samples": 1},
    ],
    "rangym/NodePlacement-v0": [
        {},
        {"law": "uniform", "v_max_m": None},
        {"association": "soft", "reward": "mean_rate", "movement_weight": 0.01, "path_loss_exponent": 3.5},
        {"reward": "min_sinr"},
        {"law": "grid", "reward": "jain"},
    ],
    "rangym/NomaAllocation-v0": [
        {},
        {"action": "keys", "power": "agent", "access": "fdma"},
        {"action": "native", "access": "oma_opt", "fading": "flat"},
        {"access": "oma_equal", "power": "fixed", "num_ues": 7, "schedule": "proportional", "num_clusters": 2},
        {"power": "agent", "num_ues": 3, "schedule": "round_robin", "num_clusters": 2},
    ],
    "rangym/QosClustering-v0": [
        {},
        {"eta": 0.003},
        {"observe": "statistics"},
        {"drift": "events", "kappa": 0.0},
        {"scenario": "imported", "horizon": 12, "days": DAYS},
        {"scenario": "imported", "horizon": 12, "days": DAYS, "eta": 0.003, "observe": "statistics"},
    ],
    "rangym/CeflOrchestration-v0": [
        {},
        {"action": "full", "num_ues": 5, "num_bss": 1, "num_dcs": 3},
        {"action": "native", **_PAPER_SIZE, "bs_energy": "once", "proximal": 0.5},
        {"action": "compact", **_PAPER_SIZE},
        {"action": "macro", **_PAPER_SIZE, "reward": "gap", "switching_weight": 0.1, "contraction": 0.5},
        {"action": "full", **_PAPER_SIZE, "theta_mode": "fixed", "server_scale": 1.5},
    ],
}


def _cases():
    for env_id in OURS:
        for overrides in FORMS.get(env_id, [{}]):
            name = env_id.split("/")[1] + "".join(f"-{v}" for v in overrides.values())
            yield pytest.param((env_id, {"scenario": "tiny", **overrides}), id=name)


@pytest.fixture(params=_cases())
def case(request):
    """(environment id, keyword arguments) on a scenario of a few slots."""
    env_id, kwargs = request.param
    return env_id, kwargs | ({"days": request.getfixturevalue("days_file")} if "days" in kwargs else {})


@pytest.fixture
def env(case):
    """The single environment, without Gymnasium's wrappers."""
    env_id, kwargs = case
    return gym.make(env_id, **kwargs).unwrapped


@pytest.fixture
def call():
    """Exit status of ``rangym ...``."""

    def status(*argv: str) -> int:
        try:
            return main(list(argv))
        except SystemExit as end:  # argparse's own way out
            return end.code

    return status
