"""Streets, tracks and the building of a city's map, on small grids by brute force."""

import itertools
import math

import numpy as np
import pytest

from rangym.envs.cell_association import site_plan
from rangym.envs.cell_association.city import ROOF, STREET, Cells, City, Window
from rangym.envs.cell_association.city_builder import build_city, floor_db, full_load_sinr_db, path_gain_db
from rangym.envs.cell_association.radio_map import RadioMap
from rangym.envs.cell_association.raytrace import Traced, outdoors
from rangym.envs.cell_association.render_city import outlines_m
from rangym.envs.cell_association.streets import _graph, middles_m, places, square_of, street_tracks
from rangym.envs.errors import WrongValue


def blocks(rows=60, columns=60):
    """Streets every 12 squares, two squares wide."""
    row, column = np.indices((rows, columns))
    return (row % 12 < 2) | (column % 12 < 2)


def test_the_largest_part_is_the_streets():
    outdoor = np.zeros((6, 7), bool)
    outdoor[0, :] = outdoor[:, 0] = True
    outdoor[3:5, 3:5] = True  # a courtyard of 4 squares
    street = places(outdoor)
    assert street.sum() == 12 and not street[3:5, 3:5].any()
    with pytest.raises(WrongValue, match="outdoor squares wanted, got none"):
        places(np.zeros((3, 3), bool))


def test_squares_are_counted_row_by_row():
    street = np.array([[1, 0, 1], [1, 1, 1]], bool)
    assert middles_m(street).tolist() == [[2.5, 2.5], [12.5, 2.5], [2.5, 7.5], [7.5, 7.5], [12.5, 7.5]]
    assert square_of(street, np.array([[[14.9, 0.1]], [[5.0, 5.0]]])).tolist() == [[1], [3]]
    for outside in ([7.0, 1.0], [-0.1, 1.0], [1.0, 10.0], [15.1, 1.0]):
        with pytest.raises(WrongValue, match="positions in the streets wanted"):
            square_of(street, np.array([outside]))


def test_ways_follow_every_side_and_no_corner():
    """Against all pairs of squares, each judged by itself."""
    street = np.random.default_rng(5).random((6, 6)) < 0.65
    square = [tuple(s) for s in np.argwhere(street).tolist()]
    found = _graph(street).toarray()
    for (a, (ay, ax)), (b, (by, bx)) in itertools.product(enumerate(square), repeat=2):
        dy, dx = by - ay, bx - ax
        expected = 0.0
        if abs(dy) + abs(dx) == 1:
            expected = 5.0
        elif abs(dy) == abs(dx) == 1 and street[ay + dy, ax] and street[ay, ax + dx]:
            expected = 5.0 * math.sqrt(2)
        assert found[a, b] == pytest.approx(expected)


def test_tracks_stay_in_the_streets_and_are_as_fast_as_their_speed():
    street = blocks()
    tracks = street_tracks(street, 12, 300, 0.5, np.random.default_rng(1))
    assert tracks.shape == (12, 300, 2)
    square_of(street, tracks)  # refuses a place off the street
    speed = np.hypot(*np.moveaxis(np.diff(tracks, axis=1), -1, 0)).mean(axis=1)
    assert (speed[:6] > 4.5).all() and (speed[6:] < 2.1).all() and (speed[6:] > 0.5).all()
    np.testing.assert_array_equal(tracks, street_tracks(street, 12, 300, 0.5, np.random.default_rng(1)))


def test_small_streets_are_refused():
    with pytest.raises(WrongValue, match="at least 200 m across"):
        street_tracks(np.ones((10, 10), bool), 1, 10, 0.0, np.random.default_rng(0))


def small_city():
    """A city of 300 m with two cells, built of random gains."""
    window = Window((1000.0, -500.0), 300.0)
    cells = Cells.at([(1030.0, -480.0, 30.0)], [(902.5, -642.5, 6.0)], ROOF, STREET)
    rng = np.random.default_rng(7)
    outdoor = blocks()
    gain = 10 ** rng.uniform(-12, -7, (4, 60, 60)) * (rng.random((4, 60, 60)) < 0.7)
    traced = Traced(np.where(outdoor, 0.0, 20.0), gain, rng.random((4, 60, 60)) < 0.2)
    tracks = street_tracks(places(outdoor), 3, 50, 0.0, rng)
    about = {"scene": "blocks", "tracer": "nobody", "command": "none"}
    account = {"roof_rays": 1e6, "street_rays": 5e5, "depth": 1, "x_m": 1000.0, "y_m": -500.0}
    return window, cells, traced, outdoor, build_city(traced, outdoor, window, cells, tracks, about, account)


def test_gains_are_means_over_outdoor_neighbours_with_a_floor_below():
    window, cells, traced, outdoor, _ = small_city()
    found = path_gain_db(traced.gain, outdoor, window, cells)
    x, y = window.middles()
    for j, row, column in itertools.product(range(4), (0, 1, 13, 59), (0, 1, 30, 59)):
        near = [
            (r, c)
            for r in range(max(row - 1, 0), min(row + 2, 60))
            for c in range(max(column - 1, 0), min(column + 2, 60))
            if outdoor[r, c]
        ]
        mean = sum(traced.gain[j, r, c] for r, c in near) / max(len(near), 1)
        place = np.array([x[row, column], y[row, column], 1.5])
        expected = 10 * math.log10(mean + 10 ** (floor_db(cells, j, place) / 10))
        assert found[j, row, column] == pytest.approx(expected)


def test_floor_is_38901_without_sight_less_10_db():
    """Table 7.4.1-1 at 300 m: 13.54 + 39.08 lg d3 + 20 lg f (UMa), 35.3 lg d3 + 22.4 + 21.3 lg f (UMi)."""
    cells = Cells.at([(0.0, 0.0, 25.0)], [(0.0, 0.0, 10.0)], ROOF, STREET)
    place = np.array([300.0, 0.0, 1.5])
    macro, street = math.log10(math.hypot(300, 23.5)), math.log10(math.hypot(300, 8.5))
    dip = 10 * math.log10(1.5 * 300**2 / (300**2 + 8.5**2))
    assert floor_db(cells, 3, place) == pytest.approx(-(35.3 * street + 22.4 + 21.3 * math.log10(3.5)) - 10 + dip)
    down = math.degrees(math.atan2(23.5, 300))
    # The sector at 30 degrees, tilted by 8: in its own coordinates the place is at about -30 and 8 - down degrees.
    sector = floor_db(cells, 0, place) + (13.54 + 39.08 * macro + 20 * math.log10(1.8)) + 10
    assert sector == pytest.approx(8 - 12 * (30 / 65) ** 2 - 12 * ((8 - down) / 65) ** 2, abs=0.1)


def test_cells_of_a_carrier_interfere_and_others_do_not():
    cells = Cells.at([(0.0, 0.0, 25.0)], [(0.0, 0.0, 6.0)], ROOF, STREET)
    found = full_load_sinr_db(np.array([-80.0, -83.0, -300.0, -90.0])[:, None], cells)[:, 0]
    noise = -174 + 10 * math.log10(20e6) + 9
    assert found[0] == pytest.approx(3.0, abs=1e-4) and found[1] == pytest.approx(-3.0, abs=1e-4)
    assert found[3] == pytest.approx(37 - 90 - noise)


def test_file_holds_the_map_but_for_what_it_rounds(tmp_path):
    *_, city = small_city()
    city.save(tmp_path / "city.npz")
    again = RadioMap.load(tmp_path / "city.npz")
    assert np.abs(again.sinr_db - city.sinr_db).max() <= 0.5
    np.testing.assert_array_equal(again.track_position_m, city.track_position_m)
    np.testing.assert_array_equal(again.track_location, city.track_location)
    np.testing.assert_array_equal(again.location_m, city.location_m)
    assert again.summary().startswith("ray-traced map of blocks: 1 million rays of each sector")
    np.testing.assert_array_equal(city.cell_position_m, [[180, 170]] * 3 + [[52.5, 7.5]])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"outdoor": np.ones((60, 60), bool)}, "outdoor: .* connected squares wanted"),
        ({"azimuth_deg": np.zeros(3)}, r"azimuth_deg: \(4,\) .* wanted"),
        ({"carrier_ghz": np.full(4, np.nan)}, "carrier_ghz: numbers in"),
        ({"loss_db": np.zeros((3, 4), np.uint8)}, "loss_db: "),
        ({"about": {"scene": 3}}, "about: texts by name"),
    ],
)
def test_unfitting_cities_are_refused(change, message):
    *_, found = small_city()
    fields = {f: getattr(found.city, f) for f in found.city.__dataclass_fields__}
    with pytest.raises(WrongValue, match=message):
        RadioMap(**{f: getattr(found, f) for f in found.__dataclass_fields__} | {"city": City(**fields | change)})


def test_kind_and_city_belong_together():
    *_, found = small_city()
    fields = {f: getattr(found, f) for f in found.__dataclass_fields__}
    with pytest.raises(WrongValue, match="city for the kind 'ray_traced'"):
        RadioMap(**fields | {"kind": "measured"})
    with pytest.raises(WrongValue, match="city for the kind 'ray_traced'"):
        RadioMap(**fields | {"city": None})
    with pytest.raises(WrongValue, match="a number for every cell in every place"):
        RadioMap(**fields | {"sinr_db": np.where(np.eye(*found.sinr_db.shape) > 0, np.nan, found.sinr_db)})


def test_outlines_are_the_sides_between_built_and_free():
    outdoor = np.ones((4, 5), bool)
    outdoor[1, 2] = False
    found = {tuple(map(tuple, np.sort(side, axis=0).tolist())) for side in outlines_m(outdoor)}
    assert found == {((10, 5), (15, 5)), ((10, 10), (15, 10)), ((10, 5), (10, 10)), ((15, 5), (15, 10))}


def test_windows_have_whole_squares():
    x, y = Window((100.0, -50.0), 600.0).middles()
    assert x.shape == (120, 120) and (x[0, 0], y[0, 0], x[0, 119], y[119, 0]) == (-197.5, -347.5, 397.5, 247.5)
    for side in (601.0, 15.0, 6000.0, math.nan):
        with pytest.raises(WrongValue, match="window: a side of 20 to 5000 m in steps of 5 m wanted"):
            Window((0.0, 0.0), side)


def test_ground_is_what_lies_lowest():
    assert outdoors(np.array([[3.0, 3.9], [4.1, np.nan]])).tolist() == [[True, True], [False, False]]
    with pytest.raises(WrongValue, match="inside the scene wanted"):
        outdoors(np.full((2, 2), np.nan))


def test_sites_are_read_from_a_file(tmp_path):
    window, roof_m = Window((0.0, 0.0), 300.0), np.where(blocks(), 0.0, 21.0)
    file = tmp_path / "sites.json"
    file.write_text('{"roof_m": [[-120, -120], [1, 2, 33]], "street_m": [[-149, -149]]}')
    plan = site_plan.read_sites(str(file), roof_m, window)
    assert plan.roof_m == ((-120.0, -120.0, 26.0), (1.0, 2.0, 33.0)) and plan.street_m == ((-149.0, -149.0, 6.0),)
    for text, message in {
        "{": "a JSON file wanted",
        "[]": "an object with roof_m and street_m wanted",
        '{"roofs": []}': "an object with roof_m and street_m wanted",
        '{"roof_m": [[1, 2]]}': "at least two sites wanted",
        '{"roof_m": [[1, 2], [3]]}': r"points \[x, y\] or \[x, y, z\] wanted",
        '{"roof_m": [[1, 2], [3, NaN]]}': r"points \[x, y\] or \[x, y, z\] wanted",
        '{"street_m": [[1, 2], [151, 0]]}': r"positions inside the window wanted, got \(151, 0\)",
    }.items():
        file.write_text(text)
        with pytest.raises(WrongValue, match=message):
            site_plan.read_sites(str(file), roof_m, window)


def test_sites_are_found_in_any_city():
    window, outdoor = Window((0.0, 0.0), 300.0), blocks()
    roof_m = np.where(outdoor, 0.0, 20.0)
    roof_m[14, 16] = 22.0  # the highest roof of the south-west quarter's middle
    roof_m[15, 15] = 70.0  # a tower
    plan = site_plan.auto_sites(roof_m, outdoor, window)
    assert len(plan.roof_m) == 4 and plan.roof_m[0] == (-150 + 16.5 * 5, -150 + 14.5 * 5, 27.0)
    assert len(plan.street_m) == 6
    point = np.array(plan.street_m)[:, :2]
    assert np.abs(point).max() <= 110 and np.hypot(*point[0]) < 30
    distance = np.hypot(*(point[:, None] - point[None]).transpose(2, 0, 1))
    assert distance[~np.eye(6, dtype=bool)].min() > 70
    with pytest.raises(WrongValue, match="finds no street"):
        site_plan.auto_sites(np.full((60, 60), 20.0), np.eye(60, dtype=bool) * (np.arange(60) < 4), window)
