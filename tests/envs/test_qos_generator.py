"""The day behind QosClustering: its map, hidden concepts, vehicles, rows and statistics."""

import dataclasses
import math

import numpy as np
import pytest

from rangym.envs.qos_clustering import concepts
from rangym.envs.qos_clustering.days import FRESH, HISTORY, POOL, choose, day_rng, history_day, key
from rangym.envs.qos_clustering.deployment import (
    NLOS_SHADOWING_DB,
    RE_NOISE_DBM,
    RE_POWER_DBM,
    _received,
    deployment,
)
from rangym.envs.qos_clustering.generator import (
    COLUMNS,
    MIN_ROWS,
    DaySettings,
    _Period,
    carried_forward,
    draw_day,
    gaussians,
)

TWELVE = DaySettings(num_cells=12, num_vehicles=30, sampling_s=4.0, periods=8, drift="none")


@pytest.fixture(scope="module")
def day():
    return history_day(dataclasses.replace(TWELVE, periods=96), 0)


# --- Map ---


def test_twelve_sites_are_five_downtown_four_residential_two_highway_one_industrial():
    world = deployment(12, 0)
    assert np.bincount(world.site_group).tolist() == [5, 4, 2, 1]
    rows = world.site_group.reshape(3, 4)  # from south to north
    assert rows[2].tolist() == [0, 0, 0, 0]
    assert rows[1].tolist() == [1, 1, 0, 1]
    assert rows[0].tolist() == [2, 2, 1, 3]
    assert world.size_m.tolist() == [1400.0, 1050.0]
    square = 350.0 * (np.stack(np.meshgrid(range(4), range(3)), axis=-1).reshape(12, 2) + 0.5)
    offset = world.cell_position_m - square
    assert np.abs(offset).max() <= 50.0 and np.abs(offset).max() > 30.0


def test_other_numbers_of_sites():
    assert deployment(4, 0).site_group.tolist() == [0, 1, 2, 3]
    assert deployment(4, 0).size_m.tolist() == [700.0, 700.0]
    hundred = deployment(100, 0)
    assert hundred.size_m.tolist() == [3500.0, 3500.0]
    assert np.bincount(hundred.site_group).tolist() == [40, 33, 18, 9]  # eight times 5/4/2/1, and the pattern's first 4
    assert deployment(2, 0).size_m.tolist() == [700.0, 350.0]
    assert not np.array_equal(deployment(12, 0).cell_position_m, deployment(12, 1).cell_position_m)


def test_the_serving_cell_is_the_strongest_and_places_are_where_they_say():
    world = deployment(12, 0)
    assert np.array_equal(world.serving, world.power_mw.argmax(axis=1))
    strongest = 10 * np.log10(world.power_mw.max(axis=1))
    assert world.rsrp_dbm == pytest.approx(strongest, abs=1e-3)
    assert np.bincount(world.serving, minlength=12).min() > 500  # of 14,700 places
    assert world.place(np.array([0.0, 1399.9, 1400.0, 15.0]), np.array([0.0, 1049.9, 1050.0, 25.0])).tolist() == [
        0,
        14699,
        14699,
        2 * 140 + 1,
    ]


def test_power_and_noise_of_a_resource_element_by_hand():
    assert RE_POWER_DBM == pytest.approx(30 - 10 * math.log10(1272))  # -1.04 dBm
    assert RE_NOISE_DBM == pytest.approx(-174 + 10 * math.log10(20e6 / 1272) + 7)


@pytest.mark.parametrize("group, mast, log_odds", [(0, 25.0, -0.5), (1, 25.0, 0.0), (2, 35.0, 1.0), (3, 30.0, 0.3)])
def test_levels_are_path_loss_and_shadowing_and_line_of_sight_has_its_probability(group, mast, log_odds):
    x = y = np.arange(5.0, 2000.0, 10.0)
    distance = np.hypot(x - 1000.0, y[:, None] - 1000.0)
    shares, residuals = [], {True: [], False: []}
    d3 = np.hypot(np.maximum(distance, 10.0), mast - 1.5)
    line = 32.4 + 21 * np.log10(d3) + 20 * math.log10(3.5)
    blocked = np.maximum(line, 22.4 + 35.3 * np.log10(d3) + 21.3 * math.log10(3.5))
    for seed in range(20):
        level, los = _received(np.random.default_rng(seed), x, y, distance, group)
        shares.append(los)
        for clear, loss in ((True, line), (False, blocked)):
            residuals[clear].append((level - (30 - 10 * math.log10(1272) + 8 - loss))[los == clear])
    assert np.concatenate(residuals[True]).std() == pytest.approx(4.0, rel=0.1)
    assert np.concatenate(residuals[False]).std() == pytest.approx(NLOS_SHADOWING_DB[group], rel=0.1)
    for low, high in ((30.0, 60.0), (100.0, 140.0), (200.0, 300.0)):
        ring = (distance >= low) & (distance < high)
        d = distance[ring]
        plain = 18 / d + np.exp(-d / 63) * (1 - 18 / d)
        odds = plain / (1 - plain) * math.exp(log_odds)
        assert np.mean(shares, axis=0)[ring].mean() == pytest.approx((odds / (1 + odds)).mean(), abs=0.08)
    assert np.array(shares)[:, distance <= 18.0].all()


# --- Concepts ---


def test_profiles_by_hand():
    def at(hour):
        return concepts.profiles(np.full(4, float(hour)))

    assert at(13)[0] == pytest.approx(0.15 + 0.52 / (1 + math.exp(-10)) ** 2)
    assert at(8)[0] == pytest.approx(0.15 + 0.26, abs=1e-6)
    assert at(20.5)[1] == pytest.approx(0.15 + 0.55 + 0.30 * math.exp(-(10**2) / (2 * 1.2**2)))
    assert at(7.5)[2] == pytest.approx(0.12 + 0.55 + 0.58 * math.exp(-(9.3**2) / (2 * 1.8**2)))
    # 23 h is two hours before 1 h: the clock wraps.
    assert at(23)[3] == pytest.approx(0.15 + 0.52 * math.exp(-4 / 18) + 0.40 * math.exp(-(10.5**2) / 4.5))
    assert at(25) == pytest.approx(at(1))


def test_memories_have_their_correlation_an_hour_later():
    """r^4 cos(2 pi / cycle): about -.9 downtown, +.9 residential, +.45 highway, none industrial."""
    cells = 20_000
    s = concepts.memories(np.random.default_rng(0), 9, cells)
    assert s.std(axis=(0, 1)) == pytest.approx(0.17, rel=0.02)
    correlation = (s[4] * s[8]).mean(axis=0) / 0.17**2
    expected = [-(0.985**4), 0.985**4, 0.985**4 * math.cos(2 * math.pi / 6), 0.43**4]
    assert correlation == pytest.approx(expected, abs=5 / math.sqrt(cells))
    assert expected == pytest.approx([-0.941, 0.941, 0.471, 0.034], abs=1e-3)
    assert (s[4][:, :1] * s[4][:, 1:]).mean(axis=0) == pytest.approx(0.0, abs=0.17**2 * 4 / math.sqrt(cells))


@pytest.mark.parametrize("group", range(4))
def test_background_load_is_the_mean_and_the_weighted_profile(group):
    """Over a whole day a shifted clock changes no mean: .28 + .3 amplitude (mean profile), little of it clipped."""
    weight = np.zeros((96, 3000, 4))
    weight[..., group] = 1.0
    amplitude = np.full(3000, 1.2)
    load = concepts.background_load(np.random.default_rng(group), weight, amplitude)
    hours = np.repeat(np.arange(0, 24, 0.25)[:, None], 4, axis=1)
    expected = 0.28 + 0.3 * 1.2 * concepts.profiles(hours)[:, group].mean()
    assert load.mean() == pytest.approx(expected, abs=0.01)
    assert load.min() >= 0.03 and load.max() <= 0.88


@pytest.mark.parametrize(
    "kind, hours, expected",
    [
        ("sudden", [1.75, 2.0, 4.75, 5.0, 9.0], [0, 1, 1, 0, 0]),
        ("gradual", [1.75, 2.0, 3.5, 5.0, 9.0], [0, 0, 0.5, 1, 1]),
        ("incremental", [2.0, 2.25, 3.0, 4.25, 9.0], [0, 0.25, 0.5, 0.75, 1]),
        ("recurring", [1.75, 2.0, 4.75, 5.0, 7.75, 8.0, 11.0], [0, 1, 1, 0, 0, 1, 0]),
    ],
)
def test_events_move_the_mixture_of_their_cells(kind, hours, expected):
    start = np.eye(4)[[0, 1, 0]]
    weight = concepts.drifted(start, 60, [(kind, (0, 2), 3, 2.0, 3.0)])
    steps = [round(4 * h) for h in hours]
    assert weight[steps, 0, 3] == pytest.approx(expected)
    assert weight[steps, 2, 0] == pytest.approx(1 - np.array(expected, float))
    assert np.array_equal(weight[:, 1], np.tile(start[1], (60, 1)))


def test_later_events_move_what_earlier_ones_left():
    weight = concepts.drifted(np.eye(4)[[0]], 8, [("gradual", (0,), 1, 0.0, 2.0), ("sudden", (0,), 2, 1.0, 0.5)])
    assert weight[3, 0] == pytest.approx([0.625, 0.375, 0, 0])
    assert weight[4, 0] == pytest.approx([0, 0, 1, 0])
    assert weight[6, 0] == pytest.approx([0.25, 0.75, 0, 0])


def test_wander_starts_anywhere_and_changes_at_exponential_times():
    cells, periods, hold = 4000, 96, 8.0
    weight = concepts.wander(np.random.default_rng(0), periods, cells, hold)
    assert weight.sum(axis=2) == pytest.approx(1.0)
    assert weight[0].mean(axis=0) == pytest.approx(0.25, abs=0.03)
    # Seen from period to period: 3/4 of the changes go elsewhere; a gradual one is seen in every period of its 3 h.
    moved = np.abs(np.diff(weight, axis=0)).sum(axis=2)
    jumps = (moved > 1.9).sum(axis=0)
    rate = (periods - 1) * 0.25 / hold
    assert jumps.mean() == pytest.approx(0.5 * 0.75 * rate, rel=0.05)
    same_after = (weight[32].argmax(axis=1) == weight[0].argmax(axis=1)).mean()
    assert 0.25 < same_after < 0.25 + 0.75 * math.exp(-1) + 0.15  # the mean hold is 32 periods


def test_drawn_events_are_none_to_three_of_one_to_three_cells():
    rng = np.random.default_rng(0)
    drawn = [concepts.draw_events(rng, 12) for _ in range(400)]
    assert {len(events) for events in drawn} == {0, 1, 2, 3}
    every = [event for events in drawn for event in events]
    assert {kind for kind, *_ in every} == {"sudden", "gradual", "recurring"}
    assert {len(cells) for _, cells, *_ in every} == {1, 2, 3}
    assert {group for _, _, group, *_ in every} == {0, 1, 2, 3}
    assert {duration for *_, duration in every} == {3.0, 6.0, 24.0}
    assert all(3.0 <= t0 <= 16.0 and len(set(cells)) == len(cells) for _, cells, _, t0, _ in every)


def test_without_drift_every_cell_keeps_its_sites_group(day):
    assert np.array_equal(day.group_weight.argmax(axis=2), np.tile(deployment(12, 0).site_group, (96, 1)))
    assert np.array_equal(day.group_weight, np.round(day.group_weight))


# --- Rows and statistics ---


def test_a_day_has_a_row_for_each_vehicle_and_sampling_time(day):
    assert (day.num_rows.sum(axis=1) == 30 * 225).all()
    assert day.num_rows.sum() == 648_000
    assert day.num_rows.min() >= 180  # a vehicle is tied to each cell
    assert day.carried == 0


def test_rows_obey_the_formulas_of_the_radio_and_the_queue(day):
    column = {name: day.rows[..., k].astype(np.float64) for k, name in enumerate(COLUMNS)}
    sinr = 10 ** (column["sinr_db"] / 10)
    efficiency = np.clip(0.75 * np.log2(1 + sinr), 0.12, 7.4)
    service_ms = column["packet_kbit"] / (efficiency * 20)
    rho = column["load"]
    late = np.exp(column["ln_latency"]) - 3.4
    spread = np.log(late / (1.5 * service_ms * (1 + rho / (1 - rho))))
    count = spread.size
    assert spread.mean() == pytest.approx(0, abs=5 * 0.22 / math.sqrt(count))
    assert spread.std() == pytest.approx(0.22, rel=0.03)
    uneven = np.exp(column["ln_jitter"]) - 0.29
    spread = np.log(uneven / (service_ms * np.sqrt(rho) / (1 - rho)))
    assert spread.mean() == pytest.approx(0, abs=0.01)
    assert spread.std() == pytest.approx(0.30, rel=0.03)
    packet = np.log(column["packet_kbit"] / 12)
    assert packet.mean() == pytest.approx(0, abs=5 * 0.2 / math.sqrt(count)) and packet.std() == pytest.approx(
        0.2, rel=0.03
    )
    rate = efficiency * 20
    sent = np.minimum(1.2, rate * (1 - rho) / column["n_ue"]) * (1 - column["loss"])
    assert column["throughput_mbps"] == pytest.approx(sent, rel=1e-4)
    expected = 0.002 + 0.05 * np.maximum(rho - 0.8, 0) + 0.02 * (sinr < 0.5)
    lossy = expected > 0.012  # far from the floor at 0, so that little is clipped
    assert (column["loss"] - expected)[lossy].mean() == pytest.approx(0, abs=5 * 0.002 / math.sqrt(lossy.sum()))
    background = np.repeat(day.load[:, :, None], 16, axis=2)
    assert rho == pytest.approx(np.clip(background + 0.012 * column["n_ue"], 0.03, 0.93), abs=1e-6)
    assert column["sin_direction"] ** 2 + column["cos_direction"] ** 2 == pytest.approx(1.0)
    heading = np.round(column["sin_direction"]), np.round(column["cos_direction"])
    assert {*zip(*(h.ravel() for h in heading), strict=True)} == {(0, 1), (1, 0), (0, -1), (-1, 0)}
    assert set(np.unique(column["los"])) == {0.0, 1.0}


def test_interference_counts_the_other_cells_by_their_load():
    """SINR of the rows, spread taken out by its mean, from the map and the loads alone."""
    world, rng = deployment(12, 0), np.random.default_rng(0)
    load = np.linspace(0.05, 0.8, 12)
    period = _Period(TWELVE, world, load, rng)
    power = world.power_mw.astype(np.float64)[period.place]
    own = power[np.arange(len(power)), period.cell]
    other = (power * load).sum(axis=1) - load[period.cell] * own
    noise = 10 ** ((-174 + 10 * math.log10(20e6 / 1272) + 7) / 10)
    residual_db = 10 * np.log10(period.sinr / (own / (other + noise)))
    assert residual_db.mean() == pytest.approx(0, abs=5 * 1.5 / math.sqrt(len(own)))
    assert residual_db.std() == pytest.approx(1.5, rel=0.03)
    assert (period.q[2] - world.rsrp_dbm[period.place]).std() == pytest.approx(1.0, rel=0.03)


def test_statistics_are_the_mean_and_the_unbiased_covariance_of_the_rows():
    world = deployment(12, 0)
    period = _Period(TWELVE, world, np.full(12, 0.4), np.random.default_rng(1))
    moments = period.moments()
    mean, covariance = gaussians(moments)
    for i in range(12):
        rows = period.q[:, period.cell == i].astype(np.float64)
        assert moments[i, 0] == rows.shape[1]
        assert mean[i] == pytest.approx(rows.mean(axis=1), rel=1e-12)
        assert covariance[i] == pytest.approx(np.cov(rows) + 1e-6 * np.eye(3), rel=1e-8, abs=1e-10)


def test_vehicles_circle_their_sites_and_count_as_users_of_the_cell_they_are_in():
    world = deployment(12, 0)
    period = _Period(TWELVE, world, np.full(12, 0.4), np.random.default_rng(2))
    cell, vehicles = period.cell.reshape(225, 30), 30
    for step in (0, 100, 224):
        users = np.bincount(cell[step], minlength=12)
        assert np.array_equal(period.n_ue.reshape(225, vehicles)[step], users[cell[step]])
    kmh = np.array([33.0, 50.0, 90.0, 45.0])[world.site_group]
    speed = period.speed.reshape(225, vehicles)[:, :12]  # of the vehicles that are tied to the cells
    assert np.log(speed / kmh).std() == pytest.approx(0.12, rel=0.25)
    place = period.place.reshape(225, vehicles)[:, :12]
    where = 10.0 * np.stack([place % world.columns, place // world.columns], axis=-1) + 5.0
    assert np.abs(where - world.cell_position_m).max() <= 180.0 + 10.0


def test_a_period_with_few_rows_takes_the_gaussian_of_the_period_before():
    filled = np.array([[False, True], [True, True], [False, False], [False, True]])
    values = np.arange(8.0).reshape(4, 2)
    assert carried_forward(values, filled)[:, 0].tolist() == [2, 2, 2, 2]  # at first the next one
    assert carried_forward(values, filled)[:, 1].tolist() == [1, 3, 3, 7]
    sparse = DaySettings(num_cells=4, num_vehicles=5, sampling_s=50.0, periods=40, drift="none")
    day = history_day(sparse, 3)
    few = day.num_rows < MIN_ROWS
    assert day.carried == few.sum() > 0
    for t, i in np.argwhere(few[1:]):
        assert np.array_equal(day.mean[t + 1, i], day.mean[t, i])
        assert np.array_equal(day.covariance[t + 1, i], day.covariance[t, i])
    assert np.linalg.eigvalsh(day.covariance).min() > 0
    assert np.isfinite(day.rows).all() and (day.rows[..., COLUMNS.index("packet_kbit")] > 0).all()


def test_a_cell_that_nobody_visits_is_refused():
    alone = DaySettings(num_cells=12, num_vehicles=1, sampling_s=100.0, periods=3, drift="none")
    with pytest.raises(ValueError, match=r"num_vehicles, sampling_s: at least 20 rows .* of 12, 1 vehicles"):
        history_day(alone, 0)


def test_concepts_repeat_the_load_by_group(day):
    """What makes heads differ: an hour later a downtown cell's load has turned, a residential one's has stayed."""
    days = [history_day(dataclasses.replace(TWELVE, periods=96), n) for n in range(6)]
    group = deployment(12, 0).site_group
    found = []
    for g in range(3):
        deviation = [d.load[:, group == g] - d.load[:, group == g].mean(axis=1, keepdims=True) for d in days]
        if g == 2:  # two cells only: their mean takes half of the memory out of both, alike
            deviation = [d.load[:, group == g] @ [[1], [-1]] for d in days]
        now, later = (np.concatenate([x[a].ravel() for x in deviation]) for a in (slice(0, -4), slice(4, None)))
        found.append(np.corrcoef(now, later)[0, 1])
    assert found[0] < -0.75 and found[1] > 0.75 and 0.15 < found[2] < 0.75


# --- Which days ---


def test_days_repeat_with_their_number_and_differ_by_kind():
    one, again = (draw_day(TWELVE, day_rng(FRESH, 7)) for _ in range(2))
    assert np.array_equal(one.rows, again.rows) and np.array_equal(one.mean, again.mean)
    for kind in (HISTORY, POOL):
        assert not np.array_equal(one.load, draw_day(TWELVE, day_rng(kind, 7)).load)
    keys = {key(TWELVE, kind, number, "a") for kind in (HISTORY, POOL, FRESH) for number in range(5)}
    assert len(keys) == 15
    assert key(TWELVE, 1, 0, "a") != key(TWELVE, 1, 0, "b")
    other = dataclasses.replace(TWELVE, drift="events", events=(("sudden", (0,), 1, 2.0, 3.0),))
    assert key(TWELVE, 1, 0, "a") != key(other, 1, 0, "a")


def test_evaluation_seeds_never_share_a_day_and_a_pool_is_none_of_theirs():
    chosen = [choose(0, np.random.default_rng(seed)) for seed in range(10_000)]
    assert len(set(chosen)) == 10_000 and {kind for kind, _ in chosen} == {FRESH}
    pooled = {choose(64, np.random.default_rng(seed)) for seed in range(20_000, 21_000)}
    assert pooled == {(POOL, n) for n in range(64)}
