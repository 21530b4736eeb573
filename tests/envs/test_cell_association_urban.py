"""The law `urban`: its maps against TR 38.901, its traces against its maps, and radio link failure."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from rangym.envs.cell_association import place as places
from rangym.envs.cell_association.params import SCENARIOS, CellAssociationParams
from rangym.envs.cell_association.place import Plan, draw_place, fixed_place
from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.core import SystemEnv
from rangym.envs.errors import WrongCall
from rangym.envs.physics.channel import UMA, UMI
from rangym.envs.physics.random_field import Torus
from rangym.evaluation.problems.cell_association.bound import bound

URBAN = SCENARIOS["urban"]
PLACES = 200
CORRELATION_M = 50.0


def urban(**overrides) -> CellAssociationParams:
    return dataclasses.replace(URBAN, **overrides)


def los_probability(distance_m, decay_m):
    """TR 38.901, table 7.4.2-1, for UEs below 13 m."""
    if distance_m <= 18:
        return 1.0
    return 18 / distance_m + math.exp(-distance_m / decay_m) * (1 - 18 / distance_m)


@dataclasses.dataclass
class Statistics:
    """Sums over `PLACES` places on a 5 m grid; cells 0 and 1 are macros, 2 to 5 small cells."""

    los_share: np.ndarray  # (J, G, G) share of the places
    deviation_db: np.ndarray  # (kind, LOS or NLOS)
    along: np.ndarray  # (kind, LOS or NLOS, lag) correlation of a cell's shadowing with itself `LAGS` steps further on
    between_sites: np.ndarray  # (kind,) correlation of two cells where both lack a line of sight


LAGS = (1, 2, 4, 8)
"""Steps of 5 m."""


def products(a, b):
    """Sums from which `correlation` of two fields of mean 0 follows."""
    a, b = a.astype(float), b.astype(float)
    return np.array([(a * b).sum(), (a * a).sum(), (b * b).sum()])


def correlation(sums):
    return sums[..., 0] / np.sqrt(sums[..., 1] * sums[..., 2])


@pytest.fixture(scope="module")
def statistics():
    plan, rng = Plan.of(urban(grid_m=5.0)), np.random.default_rng(12)
    share, squares, counts = 0.0, np.zeros((2, 2)), np.zeros((2, 2))
    along, between = np.zeros((2, 2, len(LAGS), 3)), np.zeros((2, 3))
    for number in range(PLACES):
        drawn = draw_place(plan, rng)
        share = share + drawn.line_of_sight / PLACES
        for kind, cells in enumerate((slice(0, 2), slice(2, 6))):
            los, shadowing = drawn.line_of_sight[cells], drawn.shadowing_db[cells]
            for state, where in enumerate((los, ~los)):
                squares[kind, state] += (shadowing.astype(float) ** 2)[where].sum()
                counts[kind, state] += where.sum()
                for n, lag in enumerate(LAGS if number % 4 == 0 else ()):
                    both = where[:, :, lag:] & where[:, :, :-lag]
                    along[kind, state, n] += products(shadowing[:, :, lag:][both], shadowing[:, :, :-lag][both])
            both = ~(los[0] | los[1])
            between[kind] += products(shadowing[0, both], shadowing[1, both])
    return Statistics(share, np.sqrt(squares / counts), correlation(along), correlation(between))


def test_the_share_of_line_of_sight_follows_the_table_ring_by_ring(statistics):
    grid = 5.0 * np.arange(161)
    for cells, decay in ((range(2), 63.0), (range(2, 6), 36.0)):
        distance = np.stack([np.hypot(grid - 800 * x, grid[:, None] - 800 * y) for x, y, *_ in np.array(URBAN.sites)])
        for near in range(20, 420, 20):
            ring = [(distance[j] >= near) & (distance[j] < near + 20) for j in cells]
            found = np.concatenate([statistics.los_share[j][where] for j, where in zip(cells, ring, strict=True)])
            metres = np.concatenate([distance[j][where] for j, where in zip(cells, ring, strict=True)])
            assert found.mean() == pytest.approx(np.mean([los_probability(d, decay) for d in metres]), abs=0.03), near


def test_shadowing_has_the_deviations_of_both_states_of_both_kinds(statistics):
    """TR 38.901, table 7.4.1-1: UMa and UMi street canyon."""
    assert statistics.deviation_db == pytest.approx(np.array([[4.0, 6.0], [4.0, 7.82]]), rel=0.03)


def test_shadowing_has_the_correlation_distances_of_both_states_of_both_kinds(statistics):
    """TR 38.901, table 7.5-6 and equation (7.4-5): exp(-d / d_cor) between places of one state."""
    d_cor = np.array([[37.0, 50.0], [10.0, 13.0]])
    wanted = np.exp(-5.0 * np.array(LAGS) / d_cor[..., None])
    assert statistics.along == pytest.approx(wanted, abs=0.03)


def test_shadowing_of_two_sites_correlates_by_one_half(statistics):
    """TR 36.814, table A.2.1.1-2."""
    assert statistics.between_sites == pytest.approx([0.5, 0.5], abs=0.03)


def test_fields_have_the_exponential_correlation_and_unit_variance():
    torus, rng = Torus.around(800.0, 200.0, 5.0), np.random.default_rng(3)
    fields = np.stack([torus.field(torus.white(rng) * torus.amplitude(CORRELATION_M)) for _ in range(60)])
    fields = fields.astype(float)
    assert fields.var() == pytest.approx(1.0, abs=0.03)
    for lag in range(1, 16):
        for axis in (1, 2):
            found = (fields * np.roll(fields, lag, axis)).mean()
            assert found == pytest.approx(math.exp(-5 * lag / CORRELATION_M), abs=0.03), lag
    diagonal = (fields * np.roll(fields, (8, 6), (1, 2))).mean()  # 50 m
    assert diagonal == pytest.approx(math.exp(-1), abs=0.03)


@pytest.mark.parametrize("points", [6, 7])
def test_a_field_has_the_covariance_of_the_torus_between_all_points(points):
    """On a few points the whole covariance, by brute force over pairs; odd and even tori have other mirror columns."""
    torus, rng, draws = Torus(points, 1.0), np.random.default_rng(0), 10_000
    fields = np.stack([torus.field(torus.white(rng) * torus.amplitude(0.7)).ravel() for _ in range(draws)])
    found = fields.T.astype(float) @ fields / draws
    spots = list(itertools.product(range(points), repeat=2))
    away = [[min(abs(a - b), points - abs(a - b)) for a, b in zip(p, q, strict=True)] for p in spots for q in spots]
    wanted = np.exp(-np.hypot(*np.array(away, float).T) / 0.7).reshape(found.shape)
    assert np.abs(found - wanted).max() < 5.5 * math.sqrt(2 / draws)


def test_sinr_of_the_map_by_brute_force():
    """Power, loss of the state that holds, shadowing, and all cells of the carrier at full load, in plain Python."""
    p = urban(sinr_floor_db=-60.0, sinr_ceiling_db=60.0)
    drawn = fixed_place(p)
    for row, column in np.random.default_rng(0).integers(0, 401, (40, 2)).tolist():
        x, y = 2.0 * column, 2.0 * row
        mw = []
        for j, (across, along, ghz, _, dbm) in enumerate(p.sites):
            model = UMA if dbm == 46.0 else UMI
            distance = np.array(math.hypot(x - 800 * across, y - 800 * along))
            los = drawn.line_of_sight[j, row, column]
            loss = (model.los_db if los else model.nlos_db)(distance, ghz)
            mw.append(10 ** ((dbm - float(loss) - float(drawn.shadowing_db[j, row, column])) / 10))
        for j, (_, _, ghz, mhz, _) in enumerate(p.sites):
            others = sum(mw[k] for k in range(6) if k != j and p.sites[k][2] == ghz)
            wanted = 10 * math.log10(mw[j] / (others + 10 ** ((-174 + 9) / 10) * mhz * 1e6))
            wanted = min(max(wanted, -60.0), 60.0)
            assert drawn.sinr_db[j, row, column] == pytest.approx(wanted, abs=2e-3)


def test_interpolation_is_bilinear_and_exact_on_the_grid():
    drawn = fixed_place(URBAN)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 800, (2, 50)).astype(np.float32)
    found = drawn.sinr_at(x, y)
    for i in range(50):
        c, r = int(x[i] // 2), int(y[i] // 2)
        u, v = x[i] / 2 - c, y[i] / 2 - r
        four = drawn.sinr_db[:, r : r + 2, c : c + 2].astype(float)
        wanted = (1 - v) * ((1 - u) * four[:, 0, 0] + u * four[:, 0, 1]) + v * (
            (1 - u) * four[:, 1, 0] + u * four[:, 1, 1]
        )
        assert found[:, i] == pytest.approx(wanted, abs=2e-3)
    corners = np.array([0.0, 800.0])
    assert np.array_equal(drawn.sinr_at(corners, corners[::-1]), drawn.sinr_db[:, [-1, 0], [0, -1]])


def test_the_sinr_of_a_slot_is_the_mean_of_its_middle_and_its_end():
    p = urban(heading_sd=0.0, horizon=40)
    trace, drawn = CellAssociation(p).sample(np.random.default_rng(5)), fixed_place(p)
    where = trace.slots["user_position_m"].astype(float)
    inside = ((where > 20) & (where < 780)).all(axis=2)
    straight = inside[1:] & inside[:-1]  # no border was met, so the middle is half-way
    end, middle = where[1:], (where[1:] + where[:-1]) / 2
    at_end, at_middle = (drawn.sinr_at(*at.transpose(2, 0, 1)).transpose(1, 2, 0) for at in (end, middle))
    wanted = (at_end + at_middle) / 2
    assert straight.mean() > 0.8
    assert np.abs(trace.slots["sinr_db"][1:] - wanted)[straight].max() < 5e-3
    first = drawn.sinr_at(*where[0].T).T
    assert np.array_equal(trace.slots["sinr_db"][0], first)


def test_equal_positions_have_equal_sinr():
    """The SINR is a function of the place: that of the map for whoever is there, in every slot and every episode."""
    p = urban(slot_samples=1, num_ues=60, horizon=30)
    for motion, seed in itertools.product(("gauss_markov", "random_waypoint", "static"), (0, 1)):
        trace = CellAssociation(dataclasses.replace(p, motion=motion)).sample(np.random.default_rng(seed))
        where, sinr_db = trace.slots["user_position_m"].reshape(-1, 2), trace.slots["sinr_db"].reshape(-1, 6)
        assert np.array_equal(fixed_place(p).sinr_at(*where.T).T, sinr_db)
    still = CellAssociation(urban(map_seed=None, motion="static", horizon=5)).sample(np.random.default_rng(2))
    assert all(np.array_equal(still.slots["sinr_db"][0], now) for now in still.slots["sinr_db"])


def test_a_map_seed_names_a_place_and_none_draws_one_in_each_episode():
    assert fixed_place(urban()) is fixed_place(urban(horizon=7, num_ues=3, handover_weight=0.0))
    assert not np.array_equal(fixed_place(urban()).sinr_db, fixed_place(urban(map_seed=1)).sinr_db)
    assert fixed_place(urban(map_seed=None)) is None
    episodes = [places.place(urban(map_seed=None), np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(episodes[0].sinr_db, episodes[1].sinr_db)
    assert not np.array_equal(episodes[0].sinr_db, episodes[2].sinr_db)
    assert episodes[0].sinr_db.shape == (6, 161, 161) and fixed_place(urban()).sinr_db.shape == (6, 401, 401)
    # The random numbers of the place 0 are not those of the episode 0.
    assert not np.array_equal(
        draw_place(Plan.of(urban()), np.random.default_rng(0)).sinr_db, fixed_place(urban()).sinr_db
    )


def test_nobody_moves_backwards_and_without_the_floor_some_would():
    p = urban(heading_sd=0.0, side_m=1e5, grid_m=500.0, mean_speed_mps=(1.0, 2.0), speed_variance=(4.0, 4.0))
    for floor, share in ((0.0, 0.0), (None, 0.1)):
        trace = CellAssociation(dataclasses.replace(p, speed_floor_mps=floor)).sample(np.random.default_rng(0))
        step = np.diff(trace.slots["user_position_m"].astype(float), axis=0)
        heading = step.sum(axis=0) / np.linalg.norm(step.sum(axis=0), axis=1, keepdims=True)
        along = (step * heading).sum(axis=2)
        assert ((along < -0.05).mean() > share) if share else (along > -0.05).all()  # 0.05 m: float32 at 100 km
        stands = (np.linalg.norm(step, axis=2) < 0.01).mean()  # whoever would go back
        assert stands > 0.1 if floor == 0.0 else stands < 0.02


def test_the_speed_has_its_mean_and_its_range():
    trace = CellAssociation(urban(num_ues=400, horizon=100)).sample(np.random.default_rng(0))
    where = trace.slots["user_position_m"].astype(float)
    inside = ((where > 20) & (where < 780)).all(axis=2)
    speed = np.linalg.norm(np.diff(where, axis=0), axis=2)
    mean = np.nanmean(np.where(inside[1:] & inside[:-1], speed, np.nan), axis=0)
    assert 0.8 < mean.min() < 1.5 and 15.5 < mean.max() < 16.2
    assert mean.mean() == pytest.approx(8.5, abs=4 * 15 / math.sqrt(12 * 400))


def test_the_place_is_seen_one_slot_late():
    env = SystemEnv(CellAssociation(urban(horizon=4)))
    observation, _ = env.reset(seed=0)
    for t in range(4):
        assert np.array_equal(observation["position_m"], env.trace.slots["user_position_m"][t])
        observation, *_ = env.step(np.zeros(10, np.int64))
    assert "position_m" not in SystemEnv(CellAssociation(SCENARIOS["small"])).observation_space.spaces


def test_the_cap_is_observed_and_limits_the_rate():
    env = SystemEnv(CellAssociation(urban(num_ues=1, horizon=3)))
    observation, _ = env.reset(seed=0)
    assert observation["max_spectral_efficiency"] == np.float32(7.4)
    for cell in (2, 3, 4):
        _, _, _, _, info = env.step(np.array([cell]))
        t = cell - 1
        sinr = 10 ** (float(env.trace.slots["sinr_db"][t, 0, cell]) / 10)
        assert info["metrics"]["throughput_mbps"] == pytest.approx(20 * min(math.log2(1 + sinr), 7.4))


def failures_by_hand(sinr_db, moved, failure_slots):
    """One UE's failures slot by slot, as a state machine that is told apart from its counter."""
    failed, in_sync, timer = [], True, 0
    for level, handed_over in zip(sinr_db, moved, strict=True):
        if handed_over:
            in_sync, timer = True, 0
        in_sync = level >= (-8.0 if in_sync else -6.0)
        timer = 0 if in_sync else timer + 1
        fails = timer == failure_slots or (handed_over and level < -8.0)
        failed.append(fails)
        if fails:
            in_sync, timer = True, 0
    return failed


@pytest.mark.parametrize("failure_slots, handover_cost", [(1, "sum"), (2, "sum"), (3, "norm")])
def test_failures_of_an_episode_slot_by_slot(failure_slots, handover_cost):
    p = urban(failure_slots=failure_slots, failure_delay_slots=0.25, handover_cost=handover_cost, horizon=150)
    env, rng = SystemEnv(CellAssociation(p)), np.random.default_rng(failure_slots)
    env.reset(seed=1)
    cell, cells, infos = np.zeros(10, np.int64), [], []
    for _ in range(150):
        cell = np.where(rng.random(10) < 0.1, rng.integers(6, size=10), cell)
        cells.append(cell)
        _, reward, _, _, info = env.step(cell)
        assert reward == pytest.approx(sum(info["terms"].values()), rel=1e-12)
        infos.append(info)
    serving = np.array(cells)
    sinr = np.take_along_axis(env.trace.slots["sinr_db"][1:-1], serving[..., None], axis=2)[..., 0]
    moved = np.concatenate([np.zeros((1, 10), bool), serving[1:] != serving[:-1]])
    wanted = np.array([failures_by_hand(sinr[:, i], moved[:, i], failure_slots) for i in range(10)]).sum(axis=0)
    assert [info["metrics"]["failures"] for info in infos] == wanted.tolist() and wanted.sum() > 20
    for info, n in zip(infos, wanted.tolist(), strict=True):
        assert info["terms"]["failure"] == pytest.approx(-20 * 0.25 * n / 10)
        f = info["metrics"]["g"] + info["metrics"]["h"] - 20 * 0.25 * n
        assert info["metrics"]["f"] == pytest.approx(f)


def test_links_of_the_other_scenarios_do_not_fail_unless_they_are_told_to():
    for name, p in SCENARIOS.items():
        assert (p.failure_slots is not None) == (name == "urban")
    env = SystemEnv(CellAssociation(dataclasses.replace(SCENARIOS["tiny"])))
    env.reset(seed=0)
    *_, info = env.step(np.zeros(4, np.int64))
    assert "failure" not in info["terms"] and "failures" not in info["metrics"]
    env = SystemEnv(CellAssociation(dataclasses.replace(SCENARIOS["tiny"], failure_slots=1)))
    env.reset(seed=0)
    for _ in range(20):
        *_, info = env.step(np.random.default_rng(0).integers(3, size=4))
        assert info["terms"]["failure"] == -0.5 * info["metrics"]["failures"] / 4


@pytest.mark.parametrize("seed", range(6))
def test_no_plan_with_failures_beats_the_bound(seed):
    """Exhaustively: 2 UEs, 3 cells, 3 slots, 729 plans."""
    p = urban(num_ues=2, num_cells=3, sites=URBAN.sites[:1] + URBAN.sites[2:4], horizon=3, handover_weight=2.0)
    system = CellAssociation(p)
    env = SystemEnv(system)
    env.reset(seed=seed)
    certified, best, best_without = bound(system, env.trace), -np.inf, -np.inf
    trace = env.trace
    for plan in itertools.product(itertools.product(range(3), repeat=2), repeat=3):
        env.reset(options={"trace": trace})
        steps = [env.step(np.array(cells)) for cells in plan]
        best = max(best, sum(step[1] for step in steps) / 3)
        best_without = max(best_without, sum(step[1] - step[4]["terms"]["failure"] for step in steps) / 3)
    assert certified.kind == "certified" and best <= best_without <= certified.value + 1e-9
    assert best_without == pytest.approx(certified.value, abs=1e-3)


WRONG = {
    "no sites": ({"sites": ()}, "sites: "),
    "too fine": ({"grid_m": 0.01}, "grid_m: 0.4 to 800 m at side_m = 800 wanted, got 0.01"),
    "too coarse": ({"grid_m": 900.0}, "grid_m: "),
    "no samples": ({"slot_samples": 0}, "slot_samples: an integer of at least 1"),
    "a word": ({"map_seed": "0"}, "map_seed: None or an integer of at least 0 wanted, got '0'"),
    "no slots": ({"failure_slots": 0}, "failure_slots: None or an integer of at least 1"),
    "no efficiency": ({"max_spectral_efficiency": 0.0}, "max_spectral_efficiency: None or a number above 0"),
    "unused": ({"failure_slots": None, "failure_delay_slots": 1.0}, "failure_delay_slots: used with failure_slots 1"),
    "another law's": ({"shadowing_db": 4.0}, "shadowing_db: used with law 'mobility' only, got law='urban'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_parameters_say_what_was_wanted(case):
    overrides, message = WRONG[case]
    with pytest.raises(WrongCall) as caught:
        SystemEnv("rangym.envs.cell_association.system:CellAssociation", "urban", **overrides)
    assert str(caught.value).startswith(message)


def test_urban_parameters_are_refused_under_other_laws():
    for name, value in {"map_seed": 1, "grid_m": 5.0, "slot_samples": 1}.items():
        with pytest.raises(WrongCall, match=f"^{name}: used with law 'urban' only, got law='mobility'"):
            SystemEnv("rangym.envs.cell_association.system:CellAssociation", "small", **{name: value})


def test_the_picture_of_a_place_shows_its_maps_where_they_are():
    from matplotlib.figure import Figure

    from rangym.envs.cell_association.render import draw_place

    drawn, figure = fixed_place(URBAN), Figure()
    draw_place(figure, drawn, 3)
    images = [axes.images[0] for axes in figure.axes[:3]]
    for image, wanted in zip(images, (drawn.line_of_sight, drawn.shadowing_db, drawn.sinr_db), strict=True):
        assert np.array_equal(image.get_array(), wanted[3]) and image.origin == "lower"
        assert image.get_extent() == pytest.approx((-0.001, 0.801, -0.001, 0.801))
    x, y, *_ = URBAN.sites[3]
    at_site = images[2].get_array()[
        round(400 * y) - 10 : round(400 * y) + 11, round(400 * x) - 10 : round(400 * x) + 11
    ]
    assert at_site.mean() > 20.0  # dB, within 20 m of its site


def test_the_picture_of_a_place_is_a_command(tmp_path):
    from matplotlib.image import imread

    from rangym.evaluation.problems.cell_association.place_picture import main

    first, other = tmp_path / "first.png", tmp_path / "other.png"
    main(["--out", str(first)]), main(["--map-seed", "1", "--out", str(other)])
    assert imread(first).shape[:2] == (352, 1040) and (imread(first) != imread(other)).mean() > 0.1


def test_the_picture_of_an_episode_is_tinted_by_the_strongest_cell():
    env = SystemEnv("rangym.envs.cell_association.system:CellAssociation", "urban", "rgb_array", num_ues=1)
    env.reset(seed=0)
    plain = SystemEnv(
        "rangym.envs.cell_association.system:CellAssociation", "urban", "rgb_array", num_ues=1, map_seed=None
    )
    plain.reset(options={"trace": env.trace})
    tinted, white = (e.render().reshape(-1, 3) for e in (env, plain))
    assert (tinted.min(axis=1) < 240).mean() > (white.min(axis=1) < 240).mean() + 0.2
