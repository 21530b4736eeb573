"""Ray tracing against closed forms, where Sionna RT is installed: free space, one reflection, and a line of sight."""

import math

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from rangym.envs.cell_association.city import ROOF, STREET, Cells, Window

pytest.importorskip("sionna.rt", reason="the extra `raytrace` is not installed", exc_type=ImportError)
from rangym.envs.cell_association import raytrace  # noqa: E402

SCENE = """<scene version="2.1.0">
  <bsdf type="itu-radio-material" id="ground"><string name="type" value="concrete"/></bsdf>
  <shape type="rectangle" id="floor">
    <transform name="to_world"><scale value="2000"/></transform><ref id="ground" name="bsdf"/>
  </shape>
  {more}
</scene>"""
BLOCK = """<bsdf type="itu-radio-material" id="wall"><string name="type" value="brick"/></bsdf>
  <shape type="cube" id="house">
    <transform name="to_world"><scale x="20" y="12" z="10"/><translate x="40" y="8" z="10"/></transform>
    <ref id="wall" name="bsdf"/>
  </shape>"""
HOUSE_M = np.array([[20.0, -4.0, 0.0], [60.0, 20.0, 20.0]])
WINDOW = Window((0.0, 0.0), 300.0)
CELLS = Cells.at([(0.0, 0.0, 30.0)], [(3.0, -2.0, 6.0)], ROOF, STREET)
SECTOR, DIPOLE = 0, 3
RAYS = 16_000_000


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Concrete ground without an end."""
    file = tmp_path_factory.mktemp("scene") / "ground.xml"
    file.write_text(SCENE.format(more=""))
    return raytrace.load_scene(str(file))


def ways():
    """Vectors from each cell to the middle of every square, (J, H, W, 3)."""
    x, y = WINDOW.middles()
    place = np.stack([x, y, np.full_like(x, 1.5)], axis=-1)
    return place - CELLS.position_m[:, None, None]


def friis(way, ghz):
    return (0.299792458 / ghz / (4 * math.pi)) ** 2 / (way**2).sum(axis=-1)


def error_db(found, expected, way):
    """dB by which linear gains (H, W) differ at 30 to 100 m, both as means over 3 x 3 squares, as maps take them.

    Farther away a square catches too few of the rays to tell an error from chance.
    """
    flat = np.hypot(way[..., 0], way[..., 1])
    error = 10 * np.log10(uniform_filter(found, 3) / uniform_filter(expected, 3))
    return error[(flat > 30) & (flat < 100)]


@pytest.mark.parametrize("cell", [SECTOR, DIPOLE])
def test_line_of_sight_alone_is_free_space(scene, cell):
    found = raytrace.solve(scene, WINDOW, CELLS, cell, rays=RAYS, depth=0, seed=1, everything=False)
    way = ways()[cell]
    antenna = 10 ** (CELLS.antenna_db(cell, way + CELLS.position_m[cell]) / 10)
    error = error_db(found, friis(way, CELLS.carrier_ghz[cell]) * antenna, way)
    assert abs(error.mean()) < 0.05
    assert np.abs(error).max() < 0.5


def test_ground_adds_the_power_of_one_reflection(scene):
    """The image source has the height of a cell over the mirror image of a place; Fresnel's coefficient is that of
    vertical polarisation for ITU's concrete, less the share that the solver keeps for scattering.
    """
    found = raytrace.solve(scene, WINDOW, CELLS, DIPOLE, rays=RAYS, depth=1, seed=1, everything=False)
    ghz, way = 3.5, ways()[DIPOLE]
    image = way.copy()
    image[..., 2] = 6.0 + 1.5
    flat = np.hypot(way[..., 0], way[..., 1])
    permittivity = 5.24 - 1j * 0.0462 * ghz**0.7822 / (2 * math.pi * ghz * 1e9 * 8.8541878128e-12)
    sine = image[..., 2] / np.hypot(flat, image[..., 2])
    root = np.sqrt(permittivity - (1 - sine**2))
    reflection = (permittivity * sine - root) / (permittivity * sine + root)

    def dipole(vector):
        return 1.5 * flat**2 / (vector**2).sum(axis=-1)

    alone = friis(way, ghz) * dipole(way)
    mirrored = np.abs(reflection) ** 2 * (1 - raytrace.SCATTERING**2)
    expected = alone + mirrored * friis(image, ghz) * dipole(image)
    error = error_db(found, expected, way)
    assert abs(error.mean()) < 0.1
    assert np.abs(error).max() < 0.5
    assert np.median(error_db(expected, alone, way)) > 0.5  # what a missing reflection would cost


def test_line_of_sight_ends_behind_a_house(tmp_path):
    file = tmp_path / "house.xml"
    file.write_text(SCENE.format(more=BLOCK))
    scene = raytrace.load_scene(str(file))
    roof = raytrace.roof_heights(scene, WINDOW)
    x, y = WINDOW.middles()
    inside = (np.abs(x - 40) < 20) & (np.abs(y - 8) < 12)
    np.testing.assert_allclose(roof, np.where(inside, 20.0, 0.0), atol=1e-3)
    np.testing.assert_array_equal(raytrace.outdoors(roof), ~inside)
    free = raytrace.line_of_sight(scene, WINDOW, CELLS.position_m[SECTOR])
    # Slabs: the share of the way between the two planes of each axis.
    way, at = ways()[SECTOR], CELLS.position_m[SECTOR]
    with np.errstate(divide="ignore"):
        ends = np.sort(np.stack([(plane - at) / way for plane in HOUSE_M]), axis=0)
    blocked = np.maximum(ends[0].max(axis=-1), 0) < np.minimum(ends[1].min(axis=-1), 1)
    assert 0.02 < blocked.mean() < 0.5
    assert (free == ~blocked).mean() > 0.99
    assert not free[inside].any()


def test_a_run_goes_on_where_it_was_cut_off(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(raytrace, "BATCH_RAYS", 10_000)
    options = {"rays": np.array([25_000, 25_000, 25_000, 12_000]), "depth": 1}
    whole = raytrace.trace(scene, WINDOW, CELLS, **options)

    def cut_off(total):
        assert total == 11  # three cells in three batches and one in two
        yield from range(5)
        raise KeyboardInterrupt

    keep = tmp_path / "keep.npz"
    with pytest.raises(KeyboardInterrupt):
        raytrace.trace(scene, WINDOW, CELLS, **options, keep=keep, bar=cut_off)
    again = raytrace.trace(scene, WINDOW, CELLS, **options, keep=keep)
    np.testing.assert_allclose(again.gain, whole.gain, rtol=1e-4)
    assert whole.gain.shape == (4, 60, 60) and whole.line_of_sight.all()
    with pytest.raises(ValueError, match="--keep: a file of the same window"):
        raytrace.trace(scene, WINDOW, CELLS, rays=np.full(4, 25_000), depth=2, keep=keep)


def test_foreign_scenes_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="SCENE: a scene file or one of .*munich.* wanted, got 'nowhere'"):
        raytrace.load_scene("nowhere")
    (tmp_path / "x.xml").write_text("<scene")
    with pytest.raises(ValueError, match="SCENE: a scene that Sionna RT reads wanted"):
        raytrace.load_scene(str(tmp_path / "x.xml"))
