"""The shipped maps of `munich` and `florence`: what they hold, against formulas written here, and the scenarios."""

import hashlib
import math
from collections import deque

import gymnasium as gym
import numpy as np
import pytest

from rangym.envs.cell_association.measured import SHIPPED
from rangym.envs.cell_association.params import SCENARIOS
from rangym.envs.cell_association.radio_map import RadioMap

ENV_ID = "rangym:rangym/CellAssociation-v0"
SIZES = {"munich": 5462, "florence": 3422}
WALKERS = {"munich": 0, "florence": 50}
USER_M, STEP_M = 1.5, 5.0
SPEED_OF_LIGHT = 299_792_458.0


@pytest.fixture(scope="module", params=sorted(SIZES))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def city(name):
    return RadioMap.load(SHIPPED[name])


def test_the_file_is_small_and_whole(name, city):
    assert SHIPPED[name].stat().st_size < 500_000
    assert city.kind == "ray_traced" and city.sinr_db.shape == (SIZES[name], 18)
    assert not np.isnan(city.sinr_db).any()
    assert (city.account["depth"], city.account["roof_rays"], city.account["street_rays"]) == (12, 8e6, 4e6)
    about = city.city.about
    assert about["scene"] == name and "--rays 8e6,4e6 " in about["command"]
    notice = (SHIPPED[name].parent / "NOTICE.md").read_text()
    assert about["command"] in notice and "OpenStreetMap contributors" in notice and "ODbL" in notice
    assert hashlib.sha256(SHIPPED[name].read_bytes()).hexdigest() in notice


def test_every_place_is_served(city):
    best = city.sinr_db.max(axis=1)
    assert best.min() >= -8
    assert (best >= 0).mean() >= 0.98
    assert 10 <= np.median(best) <= 20


def test_summary_tells_of_scene_sites_and_rays(name, city):
    text = city.summary()
    assert (
        f"ray-traced map of {name}: 8 million rays of each sector on a roof, 4 million" in text and "depth 12" in text
    )
    assert "12 sectors and 0 dipoles at 1.8 GHz, 46 dBm; 0 sectors and 6 dipoles at 3.5 GHz, 37 dBm" in text
    assert "drive" not in text


def test_locations_are_one_connected_street_network(name, city):
    squares = {tuple(square) for square in np.floor(city.location_m / STEP_M).astype(int).tolist()}
    assert len(squares) == SIZES[name]
    np.testing.assert_array_equal(city.location_m % STEP_M, STEP_M / 2)
    reached = {next(iter(squares))}
    todo = deque(reached)
    while todo:
        x, y = todo.popleft()
        for there in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if there in squares and there not in reached:
                reached.add(there)
                todo.append(there)
    assert reached == squares
    outdoor = city.city.outdoor
    assert all(outdoor[y, x] for x, y in squares)


def test_tracks_stay_in_the_streets_at_their_speeds(name, city):
    here, place = city.track_position_m.astype(float), city.location_m[city.track_location]
    assert np.abs(here - place).max() < STEP_M / 2  # inside its square, so within 5 m of the place
    tracks = here.reshape(200, 600, 2)
    speed = np.hypot(*np.moveaxis(np.diff(tracks, axis=1), -1, 0))
    mean = speed.mean(axis=1)
    walks = np.arange(200) >= 200 - WALKERS[name]
    # Half metres and the corners of the grid shorten and lengthen single steps; the speed itself scatters by a quarter.
    assert (mean[~walks] > 6 * 0.8).all() and (mean[~walks] < 14 * 1.2).all()
    assert speed[~walks].max() < 14 * 2.2
    assert np.median(mean[~walks]) == pytest.approx(10, abs=1.5)
    assert (mean[walks] > 0.8 * 0.7).all() and (mean[walks] < 1.8 * 1.2).all()


def test_cells_stand_where_they_should(city):
    sectors = ~np.isnan(city.city.azimuth_deg)
    assert sectors.tolist() == [True] * 12 + [False] * 6
    assert city.city.azimuth_deg[:12].tolist() == [30, 150, 270] * 4 and (city.city.downtilt_deg[:12] == 8).all()
    assert city.cell_rat.tolist() == [4] * 12 + [5] * 6 and (city.bandwidth_mhz == 20).all()
    assert city.city.carrier_ghz.tolist() == [1.8] * 12 + [3.5] * 6
    assert city.city.power_dbm.tolist() == [46] * 12 + [37] * 6
    column, row = np.floor(city.cell_position_m / STEP_M).astype(int).T
    outdoor = city.city.outdoor[row, column]
    assert not outdoor[:12].any() and outdoor[12:].all()
    assert (city.city.height_m[:12] > 15).all() and (city.city.height_m[12:] == 6).all()


def antenna_dbi(azimuth, downtilt, way):
    """TR 38.901, table 7.3-1, or a short dipole, towards ``way`` (3,), by turning the vector with rotation matrices."""
    if math.isnan(azimuth):
        return 10 * math.log10(1.5 * (1 - (way[2] / np.linalg.norm(way)) ** 2))
    a, b = math.radians(azimuth), math.radians(downtilt)
    turn = np.array([[math.cos(a), math.sin(a), 0], [-math.sin(a), math.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[math.cos(b), 0, -math.sin(b)], [0, 1, 0], [math.sin(b), 0, math.cos(b)]])
    x, y, z = tilt @ turn @ (way / np.linalg.norm(way))
    theta, phi = math.degrees(math.acos(z)), math.degrees(math.atan2(y, x))
    vertical, horizontal = min(12 * ((theta - 90) / 65) ** 2, 30), min(12 * (phi / 65) ** 2, 30)
    return 8 - min(vertical + horizontal, 30)


def excess_db(city, place, cell):
    """How far a place's gain is above that of free space along the straight line, with the antenna's pattern."""
    c = city.city
    way = np.array([*(city.location_m[place] - city.cell_position_m[cell]), USER_M - c.height_m[cell]])
    wavelength = SPEED_OF_LIGHT / (c.carrier_ghz[cell] * 1e9)
    free = 20 * math.log10(wavelength / (4 * math.pi * np.linalg.norm(way)))
    return -float(c.loss_db[place, cell]) - free - antenna_dbi(c.azimuth_deg[cell], c.downtilt_deg[cell], way)


def test_places_in_sight_receive_free_space_and_reflections(city):
    """Reflections add power and take none: a line of sight is free space and a few dB more, most of all in a street.

    Taken are the places whose outdoor neighbours are all in sight, since a place is the mean over them, and the front
    of a sector, since its back receives what was reflected in front. The margin is for whole dB and for the mean.
    """
    c, street = city.city, city.city.streets()
    sight = np.zeros((18, *street.shape), bool)
    sight[:, street] = c.line_of_sight.T
    around = np.pad(sight | ~c.outdoor, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    rows, columns = street.shape
    for dy, dx in np.ndindex(3, 3):
        sight &= around[:, dy : dy + rows, dx : dx + columns]
    cell, place = np.nonzero(sight[:, street])
    way = city.location_m[place] - city.cell_position_m[cell]
    off = (np.degrees(np.arctan2(way[:, 1], way[:, 0])) - c.azimuth_deg[cell] + 180) % 360 - 180
    taken = (np.hypot(*way.T) > 30) & ~(np.abs(off) > 60)  # a dipole has no azimuth
    cell, place = cell[taken], place[taken]
    excess = np.array([excess_db(city, p, j) for p, j in zip(place, cell, strict=True)])
    for kind, typical in ((cell < 12, (1.0, 2.0)), (cell >= 12, (2.0, 7.0))):
        assert kind.sum() > 50
        assert excess[kind].min() > -1.0 and excess[kind].max() < 11.0
        assert typical[0] < np.median(excess[kind]) < typical[1]


def test_places_out_of_sight_receive_less(city):
    place, cell = np.nonzero(~city.city.line_of_sight[:, 12:])
    some = np.random.default_rng(0).choice(len(place), 2000, replace=False)
    excess = np.array([excess_db(city, p, 12 + j) for p, j in zip(place[some], cell[some], strict=True)])
    assert np.median(excess) < -30 and np.quantile(excess, 0.95) < 0 and excess.max() < 11.0


def test_sinr_follows_from_losses_at_full_load(city):
    """s_j = P_j / (sum of the other cells of its carrier + noise), from the file's losses in whole dB."""
    c = city.city
    received = 10 ** ((c.power_dbm - c.loss_db.astype(float)) / 10)  # mW
    noise = 10 ** ((-174 + 10 * math.log10(20e6) + 9) / 10)
    for carrier in (1.8, 3.5):
        own = c.carrier_ghz == carrier
        power = received[:, own]
        expected = 10 * np.log10(power / (power.sum(axis=1, keepdims=True) - power + noise))
        # Three roundings to whole dB, of this cell's loss, of its interferer's, and of the SINR.
        assert np.abs(expected - city.sinr_db[:, own]).max() <= 1.5 + 1e-4
        assert np.abs(expected - city.sinr_db[:, own]).mean() < 0.5


def test_saved_is_loaded(city, tmp_path):
    city.save(tmp_path / "again.npz")
    again = RadioMap.load(tmp_path / "again.npz")
    for field in city.__dataclass_fields__:
        if isinstance(values := getattr(city, field), np.ndarray):
            np.testing.assert_array_equal(getattr(again, field), values, strict=True)
    for field in city.city.__dataclass_fields__:
        if isinstance(values := getattr(city.city, field), np.ndarray):
            np.testing.assert_array_equal(getattr(again.city, field), values, strict=True)
    assert again.city.about == city.city.about and again.account == city.account


def test_the_scenario_shows_the_map(name, city):
    env = gym.make(ENV_ID, scenario=name).unwrapped
    p = env.system.params
    assert (p.num_ues, p.num_cells, p.horizon, p.slot_s, p.handover_weight, p.handover_cost, p.noise) == (
        40, 18, 300, 1.0, 20.0, "sum", "none",
    )  # fmt: skip
    observation, _ = env.reset(seed=3)
    assert "covered" not in observation and env.observation_space["sinr_db"].low.min() == -20
    position = observation["position_m"]
    assert (env.observation_space["position_m"].high == 600).all()
    place = np.argmin(((city.location_m[None] - position[:, None]) ** 2).sum(axis=2), axis=1)
    np.testing.assert_array_equal(observation["sinr_db"], np.clip(city.sinr_db[place], -20, 30))
    serving = observation["sinr_db"].argmax(axis=1)
    mask = env.action_masks().reshape(40, 18)
    best = observation["sinr_db"] == observation["sinr_db"].max(axis=1, keepdims=True)
    np.testing.assert_array_equal(mask, (observation["sinr_db"] > -20) | best)
    _, _, _, _, info = env.step(serving)
    assert "uncovered" not in info["metrics"] and "failures" not in info["metrics"]
    np.testing.assert_array_equal(env.unwrapped._episode.trace.constants["cell_position_m"][0], city.cell_position_m)


def test_links_may_fail_in_a_city():
    env = gym.make(ENV_ID, scenario="munich", failure_slots=2, horizon=5).unwrapped
    observation, _ = env.reset(seed=0)
    worst = observation["sinr_db"].argmin(axis=1)
    failures = [env.step(worst)[4]["metrics"]["failures"] for _ in range(3)]
    assert failures[0] == 0 and failures[1] > 30


def test_the_floor_and_the_noise_are_options():
    low, high = SCENARIOS["munich"], gym.make(ENV_ID, scenario="munich", sinr_floor_db=-10.0, horizon=5).unwrapped
    assert low.sinr_floor_db == -20 and high.reset(seed=0)[0]["sinr_db"].min() == -10
    plain, noisy = (gym.make(ENV_ID, scenario="munich", noise=noise, horizon=5) for noise in ("none", "slow"))
    difference = noisy.reset(seed=0)[0]["sinr_db"] - plain.reset(seed=0)[0]["sinr_db"]
    assert 1.0 < difference.std() < 2.7  # 2.7 dB, less where clipped


@pytest.mark.parametrize("tracks", ["road", "plane"])
def test_other_tracks_run_in_a_city(tracks):
    env = gym.make(ENV_ID, scenario="florence", tracks=tracks, horizon=5)
    observation, _ = env.reset(seed=0)
    assert observation["position_m"].std() > 50


def test_pictures_show_buildings_streets_and_cells(name, city):
    pytest.importorskip("matplotlib")
    from rangym.envs.cell_association.render_city import BUILT, draw_radio_map
    from rangym.envs.rendering import colors, picture

    env = gym.make(ENV_ID, scenario=name, render_mode="rgb_array", horizon=5)
    env.reset(seed=0)
    env.step(np.zeros(40, np.int64))
    shown = env.render()

    def share(color):
        wanted = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)])
        return (np.abs(shown.astype(int) - wanted).max(axis=2) <= 2).mean()

    map_share = 0.3  # of the picture, roughly, with its margins
    built = 1 - city.city.outdoor.mean()
    assert 0.5 < share(BUILT) / (map_share * built) < 1.5
    for color in colors(18)[12:]:  # the discs of the street cells and their bars
        assert share("#" + "".join(f"{round(255 * c):02x}" for c in color[:3])) > 1e-4
    both = picture(lambda figure: draw_radio_map(figure, city), (11, 5.2))
    assert both.std() > 20
