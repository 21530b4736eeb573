"""``rangym map raytrace`` without a tracer: its checks, and the whole command with a city of blocks in its place."""

import builtins
import sys

import numpy as np
import pytest

from rangym.cli import main
from rangym.envs.cell_association import raytrace
from rangym.envs.cell_association.radio_map import RadioMap


@pytest.fixture
def blocks(monkeypatch):
    """Houses between streets every 60 m, where every cell is received as in free space 20 dB below 1 m."""

    def heights(scene, window):
        row, column = np.indices(window.shape)
        return np.where((row % 12 < 2) | (column % 12 < 2), 0.0, 20.0)

    def solve(scene, window, cells, cell, *, rays, depth, seed, everything=True):
        x, y = window.middles()
        distance = np.hypot(x - cells.position_m[cell, 0], y - cells.position_m[cell, 1])
        return 1e-2 / np.maximum(distance, 1.0) ** 4

    monkeypatch.setattr(raytrace, "load_scene", lambda name: name)
    monkeypatch.setattr(raytrace, "middle_m", lambda scene: (10.0, 20.0))
    monkeypatch.setattr(raytrace, "roof_heights", heights)
    monkeypatch.setattr(raytrace, "line_of_sight", lambda scene, window, position: heights(scene, window) < 1)
    monkeypatch.setattr(raytrace, "solve", solve)
    monkeypatch.setattr(raytrace, "version", lambda: "Tracer 1")


def test_a_map_is_made_and_used(blocks, tmp_path, capsys):
    out = tmp_path / "city.npz"
    argv = ["map", "raytrace", "blocks", "--window", "0,0,300", "--rays", "5e6,4e6", "--tracks", "5", "--walkers", ".4"]
    assert main([*argv, "--depth", "3", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert (
        "18 cells on 4 roofs and in 6 streets" in text
        and "ray-traced map of blocks: 5 million rays of each sector on a roof, 4 million" in text
    )
    found = RadioMap.load(out)
    assert found.num_cells == 18 and len(found.track_start) == 6
    expected = "rangym map raytrace blocks --window 0,0,300 --sites auto --carriers 1.8,3.5 --rays 5e6,4e6 --depth 3"
    assert found.city.about["command"] == f"{expected} --tracks 5 --walkers 0.4 --seed 0 --out city.npz"
    assert main(["evaluate", "max_sinr", "--scenario", "munich", "--set", f"map={out}", "--set", "horizon=3",
                 "--seeds", "0"]) == 0  # fmt: skip


def test_sites_carriers_and_the_scenes_middle(blocks, tmp_path):
    sites = tmp_path / "sites.json"
    sites.write_text('{"street_m": [[0, 0], [100, 100]]}')
    out = tmp_path / "city.npz"
    argv = ["map", "raytrace", "blocks", "--sites", str(sites), "--carriers", "2.6,26", "--tracks", "2"]
    assert main([*argv, "--out", str(out)]) == 0
    found = RadioMap.load(out)
    assert found.size_m.tolist() == [600, 600] and (found.account["x_m"], found.account["y_m"]) == (10, 20)
    np.testing.assert_array_equal(found.cell_position_m, [[290, 280], [390, 380]])
    assert found.city.carrier_ghz.tolist() == [26, 26]


@pytest.mark.parametrize(
    "more, message",
    [
        (["--carriers", ".8,3"], "--carriers: 1 to 40 GHz, for which ITU-R P.2040 describes walls, wanted, got 0.8,3"),
        (["--carriers", "1.8"], "--carriers: ROOF,STREET wanted, got '1.8'"),
        (["--window", "0,0"], "--window: X,Y,SIDE wanted, got '0,0'"),
        (["--window", "0,0,601"], "window: a side of 20 to 5000 m in steps of 5 m wanted, got 601 m"),
        (["--rays", "1.5"], "--rays: one or two whole numbers of 1 to 1e+10 wanted, got '1.5'"),
        (["--depth", "-1"], "--depth: "),
        (["--keep", "x.txt"], "--keep: a file name ending in .npz wanted, got 'x.txt'"),
        (["--sites", "nowhere.json"], "--sites: a file that can be read wanted"),
    ],
)  # fmt: skip
def test_wrong_calls(blocks, tmp_path, monkeypatch, capsys, more, message):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["map", "raytrace", "blocks", *more, "--out", "city.npz"])
    except SystemExit as error:
        status = error.code
    assert status == 2 and message in capsys.readouterr().err
    assert not list(tmp_path.glob("city.npz"))


def test_a_missing_tracer_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "sionna", None)
    monkeypatch.setitem(sys.modules, "sionna.rt", None)
    assert main(["map", "raytrace", "munich", "--out", str(tmp_path / "m.npz")]) == 2
    assert "ray tracing needs the package sionna" in (text := capsys.readouterr().err)
    assert "pip install 'rangym[raytrace]'" in text


def test_a_missing_llvm_is_named(monkeypatch, tmp_path, capsys):
    def no_llvm(name, *args, **kwargs):
        if name.startswith("sionna"):
            raise ImportError("the LLVM backend is inactive because the LLVM shared library could not be found!")
        return original(name, *args, **kwargs)

    original = builtins.__import__
    monkeypatch.delenv(raytrace.LLVM, raising=False)
    monkeypatch.setattr(builtins, "__import__", no_llvm)
    assert main(["map", "raytrace", "munich", "--out", str(tmp_path / "m.npz")]) == 2
    text = capsys.readouterr().err
    assert "LLVM's shared library, got no DRJIT_LIBLLVM_PATH" in text and "libllvm19" in text


def test_an_interrupted_run_says_what_is_left(blocks, tmp_path, monkeypatch, capsys):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(raytrace, "solve", stop)
    argv = ["map", "raytrace", "blocks", "--tracks", "1", "--out", str(tmp_path / "m.npz")]
    assert main([*argv, "--keep", str(tmp_path / "k.npz")]) == 130
    assert "the same command goes on from" in capsys.readouterr().err
    assert main(argv) == 130
    assert "--keep would have" in capsys.readouterr().err
